//! What is made from the code and committed: schemas for editors, and the rules as a page.
//!
//! `GENERATE=1 cargo test -p telewarden-policy --features schema --test generated` writes them anew.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fmt::Write;
use std::path::Path;

use rstest::rstest;
use telewarden_policy::diagnostic::{Severity, rules};
use telewarden_policy::schema;

/// Compares a committed file with what it should be, or writes it when asked to.
fn check(path: &str, expected: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    if std::env::var_os("GENERATE").is_some() {
        std::fs::write(&file, expected).unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        committed == expected,
        "{path} is out of date. Write it anew: \
         GENERATE=1 cargo test -p telewarden-policy --features schema --test generated"
    );
}

#[rstest]
#[case("settings", schema::settings())]
#[case("annotation", schema::annotation())]
#[case("render-request", schema::render_request())]
#[case("render-answer", schema::render_answer())]
fn schemas_are_those_of_the_types(#[case] name: &str, #[case] schema: schemars::Schema) {
    let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    check(&format!("schemas/{name}.schema.json"), &text);
}

#[test]
fn the_reference_of_settings_is_that_of_the_code() {
    let path = "docs/settings.md";
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap();
    let (begin, end) = (
        "<!-- Made from policy/src/settings/document.rs; a test compares. -->\n\n",
        "<!-- End. -->",
    );
    let (before, rest) = page.split_once(begin).unwrap();
    let (_, after) = rest.split_once(end).unwrap();
    let reference = schema::settings_reference();
    check(path, &format!("{before}{begin}{reference}{end}{after}"));
}

#[test]
fn the_page_of_rules_is_that_of_the_code() {
    let mut page = String::from(
        "<!-- Made from policy/src/diagnostic/rules.rs; a test compares. -->\n\n# Rules\n\n\
         Each has a page. `telewarden rule CODE` prints one of them. An error keeps a source from being rendered; a warning\n\
         does not.\n\n\
         | code | | what it looks for |\n| --- | --- | --- |\n",
    );
    let severity = |severity| match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    for rule in rules::all() {
        let code = rule.code;
        let _ = writeln!(
            page,
            "| [{code}](rules/{code}.md) | {} | {} |",
            severity(rule.severity),
            rule.summary
        );
    }
    check("docs/rules.md", &page);
    for rule in rules::all() {
        let mut page = format!(
            "<!-- Made from policy/src/diagnostic/rules.rs; a test compares. -->\n\n# {} {} ({})\n\n{}\n\n{}\n",
            rule.code,
            rule.name,
            severity(rule.severity),
            rule.summary,
            rule.why
        );
        for (title, yaml) in [("Example", rule.example), ("Instead", rule.instead)] {
            if !yaml.is_empty() {
                let _ = write!(page, "\n## {title}\n\n```yaml\n{}\n```\n", yaml.trim_end());
            }
        }
        page += "\n[All rules](../rules.md)\n";
        check(&format!("docs/rules/{}.md", rule.code), &page);
    }
}
