//! The table of annotations, through the native core.

use super::table::{Case, cases};
use serde_json::{Value, json};
use telewarden_policy::diagnostic::Diagnostic;
use telewarden_policy::protocol::{Outcome, RenderAnswer, Rendered};
use telewarden_policy::render::render;

fn rendered(case: &Case) -> RenderAnswer {
    let request = case.request();
    render(&serde_json::from_str(&request).expect("a case is a request"))
}

fn spelled(finding: &Diagnostic) -> String {
    let range = finding.place.as_ref().and_then(|place| place.range);
    match range {
        Some(range) => format!("{} {}:{}", finding.code, range.start.line, range.start.column),
        None => finding.code.to_string(),
    }
}

#[test]
fn every_case_is_diagnosed_as_the_table_says() {
    let mut wrong = Vec::new();
    for case in cases() {
        let answer = rendered(&case);
        assert_eq!(answer.diagnostics, [], "{}", case.name);
        let found: Vec<_> = answer.sources[0].diagnostics.iter().map(spelled).collect();
        if found != case.expect {
            wrong.push(format!(
                "{}\n  expected {:?}\n  found    {found:?}",
                case.name, case.expect
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_annotation_with_an_error_renders_nothing() {
    for case in cases() {
        let source = rendered(&case).sources.remove(0);
        let refused = source.diagnostics.iter().any(Diagnostic::is_error);
        assert_eq!(refused, source.outcome == Outcome::Refused, "{}", case.name);
        if refused {
            assert!(
                source.rendered.objects.is_empty() && source.rendered.configurations.is_empty(),
                "{}",
                case.name
            );
        }
    }
}

#[test]
fn nothing_of_an_annotation_is_live_in_what_is_rendered() {
    for case in cases() {
        for configuration in rendered(&case).sources.remove(0).rendered.configurations {
            for text in configuration.files.values() {
                let of_settings = text.replace("${INFLUX_TOKEN}", "");
                assert!(
                    !of_settings.contains('$') && !of_settings.contains("@{"),
                    "{}: {text}",
                    case.name
                );
            }
        }
    }
}

#[test]
fn findings_are_the_same_without_what_is_rendered() {
    for case in cases() {
        for topology in ["application", "endpoint", "standalone"] {
            let mut request: Value = serde_json::from_str(&case.request()).unwrap();
            // Twice, because the second one is a duplicate.
            let source = request["sources"][0].clone();
            request["sources"] = json!([source, source]);
            request["settings"]["topology"] = topology.into();
            let answer = |request: &Value| render(&serde_json::from_str(&request.to_string()).unwrap());
            let mut everything = answer(&request);
            request["findingsOnly"] = true.into();
            let findings = answer(&request);
            everything.shared = None;
            for source in &mut everything.sources {
                source.rendered = Rendered::default();
                source.accepted = None;
            }
            assert_eq!(findings, everything, "{}", case.name);
        }
    }
}
