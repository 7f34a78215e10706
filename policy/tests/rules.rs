//! Every rule's documentation is held against the module.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use serde_json::{Value, json};
use telewarden_policy::diagnostic::Diagnostic;
use telewarden_policy::diagnostic::rules::{RuleDoc, all, find};
use telewarden_policy::protocol::RenderRequest;
use telewarden_policy::render::render;

fn raw(value: &Value) -> Box<serde_json::value::RawValue> {
    serde_json::value::to_raw_value(value).unwrap()
}

/// What the module says of a rule's YAML: settings for `TW5`, annotations for the others.
fn findings(rule: &RuleDoc, yaml: &str) -> Vec<Diagnostic> {
    let document: Value = serde_yaml::from_str(yaml).unwrap_or_else(|error| panic!("{}: {error}", rule.code));
    let (settings, annotations) = if rule.code.starts_with("TW5") {
        let key = document["annotation"]
            .as_str()
            .unwrap_or("telegraf.influxdata.com/rubin-telegraf-operator");
        let annotations = json!({key: "redis: http://redis.argocd.svc:9121/metrics"});
        (document, annotations)
    } else {
        (Value::Null, document)
    };
    let application = json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": "argocd", "namespace": "argocd", "annotations": annotations},
        "spec": {"destination": {"namespace": "argocd", "server": "https://kubernetes.default.svc"}},
    });
    let (settings, application) = (raw(&settings), raw(&application));
    let answer = render(&RenderRequest {
        protocol: 1,
        settings: Some(&settings),
        sources: vec![&application],
        cluster: None,
        accepted: Default::default(),
    });
    let of_sources = answer.sources.into_iter().flat_map(|source| source.diagnostics);
    answer.diagnostics.into_iter().chain(of_sources).collect()
}

#[test]
fn each_example_raises_its_rule() {
    for rule in all().iter().filter(|rule| !rule.example.is_empty()) {
        let findings = findings(rule, rule.example);
        let raised = findings.iter().find(|finding| finding.code == rule.code);
        let raised = raised.unwrap_or_else(|| panic!("{} is not raised: {findings:#?}", rule.code));
        assert_eq!(raised.severity, rule.severity, "{}", rule.code);
        assert!(raised.place.is_some(), "{} has no place", rule.code);
    }
}

#[test]
fn what_to_write_instead_is_fine() {
    for rule in all().iter().filter(|rule| !rule.instead.is_empty()) {
        let findings = findings(rule, rule.instead);
        assert!(findings.is_empty(), "{}: {findings:#?}", rule.code);
    }
}

#[test]
fn codes_are_sorted_and_found() {
    assert!(all().windows(2).all(|pair| pair[0].code < pair[1].code));
    assert_eq!(find("tw010").map(|rule| rule.name), Some("Variable"));
    assert_eq!(find("TW999"), None);
}
