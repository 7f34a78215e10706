//! Findings with one plausible fix come with it.

use telewarden_playground::check;

fn fix_of(endpoint: &str) -> Option<(u32, u32, String)> {
    let source = format!(
        "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop\n  annotations:\n    telewarden.io/endpoints: |\n{endpoint}"
    );
    let findings = check(&source, "").findings;
    assert_eq!(findings.len(), 1, "{findings:#?}");
    let fix = findings[0].fix.clone()?;
    assert_eq!(fix.start.line, fix.end.line);
    Some((fix.start.line, fix.start.column, fix.text))
}

#[test]
fn a_misspelt_option_is_replaced_where_it_is() {
    let endpoint = "      web:\n        url: http://web.shop.svc:80/metrics\n        intervall: 30s\n";
    assert_eq!(fix_of(endpoint), Some((9, 9, "interval".to_owned())));
}

#[test]
fn nothing_is_guessed() {
    assert_eq!(fix_of("      web: web\n"), None);
}
