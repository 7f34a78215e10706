//! Every rule's documentation is held against the module.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use serde_json::{Value, json};
use telewarden_policy::diagnostic::rules::{RuleDoc, all, find};
use telewarden_policy::diagnostic::{Diagnostic, Rule};
use telewarden_policy::protocol::RenderRequest;
use telewarden_policy::render::render;

const KEY: &str = "telegraf.influxdata.com/rubin-telegraf-operator";

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
    let application = application("argocd", &annotations);
    let (raw_settings, application) = (raw(&settings), raw(&application));
    #[cfg_attr(not(feature = "files"), allow(unused_mut))]
    let mut answer = render(&RenderRequest {
        protocol: 1,
        settings: Some(&raw_settings),
        sources: vec![&application],
        ..Default::default()
    });
    // Hosts that check files know more of the settings.
    #[cfg(feature = "files")]
    if !settings.is_null() {
        answer.diagnostics = telewarden_policy::settings::thorough(Some(&settings), answer.diagnostics);
    }
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

/// An Application with annotations.
fn application(name: &str, annotations: &Value) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name, "namespace": "argocd", "annotations": annotations},
        "spec": {"destination": {"namespace": "argocd", "server": "https://kubernetes.default.svc"}},
    })
}

/// A request that raises a rule which a few lines of YAML cannot show.
fn request(rule: Rule) -> Value {
    let annotation = |text: &str| json!({KEY: text});
    let good = annotation("redis: http://redis.argocd.svc:9121/metrics");
    let with = |name: &str, text: &str| {
        let mut annotations = good.clone();
        annotations[format!("telegraf.influxdata.com/{name}")] = json!(text);
        annotations
    };
    let request =
        |settings: Value, sources: Vec<Value>| json!({"protocol": 1, "settings": settings, "sources": sources});
    let one = |settings: Value, annotations: &Value| request(settings, vec![application("argocd", annotations)]);
    let changed = |pointer: &str, value: Value| {
        let mut source = application("argocd", &good);
        *source.pointer_mut(pointer).unwrap() = value;
        source
    };
    let env = json!({"allow": {"env": true}});
    let in_cluster = |cluster: Value, source: Value| {
        let mut request = request(json!({}), vec![source]);
        request["cluster"] = cluster;
        request
    };
    let everywhere = json!({"metadata": {"name": "default", "namespace": "argocd"},
        "spec": {"destinations": [{"server": "*", "namespace": "*"}]}});
    match rule.code() {
        "TW002" => one(json!({}), &annotation(&"x".repeat(200_000))),
        "TW014" => one(json!({}), &annotation(&"- a: nonsense\n".repeat(200))),
        "TW015" => one(json!({}), &annotation(&format!("a: [{}]", "1,".repeat(20_000)))),
        "TW103" => one(
            json!({"endpoints": {"max": 1}}),
            &annotation("{a: http://a.argocd.svc:1, b: http://b.argocd.svc:1}"),
        ),
        "TW114" => one(
            json!({"endpoints": {"hosts": ["*"]}}),
            &annotation("a: http://a.other.svc:1"),
        ),
        "TW117" => {
            let mut source = application("argocd", &annotation("a: http://a.svc:1"));
            source["spec"]["destination"]["namespace"] = json!("svc");
            request(json!({"endpoints": {"hosts": ["*.{namespace}"]}}), vec![source])
        }
        "TW211" => {
            let inputs = json!({"telegraf.influxdata.com/inputs": "[[inputs.ping]]\nurls = [1, 'a']\n"});
            one(json!({"inputs": {"allowedPlugins": ["prometheus", "ping"]}}), &inputs)
        }
        "TW216" => {
            let patterns = vec!["a*"; 200];
            let endpoint = json!({"a": {"url": "http://a.argocd.svc:1", "tagexclude": patterns}});
            one(json!({}), &annotation(&endpoint.to_string()))
        }
        "TW217" => {
            let tags: serde_json::Map<_, _> = (0..33).map(|n| (format!("t{n}"), json!("x"))).collect();
            let endpoint = json!({"a": {"url": "http://a.argocd.svc:1", "tags": tags}});
            one(json!({}), &annotation(&endpoint.to_string()))
        }
        "TW304" => one(json!({"classes": {"default": {"allow": ["nobody"]}}}), &good),
        "TW307" => one(env, &with("env-literal-1X", "a")),
        "TW308" => one(env, &with("env-literal-INFLUX_TOKEN", "a")),
        "TW313" => one(json!({"topology": "standalone"}), &with("limits-cpu", "1")),
        "TW316" => {
            let mut annotations = with("env-literal-X", "a");
            annotations["telegraf.influxdata.com/env-fieldref-X"] = json!("metadata.name");
            one(env, &annotations)
        }
        "TW401" => request(json!({}), vec![changed("/spec/destination/namespace", json!(""))]),
        "TW402" => request(json!({}), vec![changed("/spec/destination/namespace", json!("a.b"))]),
        "TW403" => request(json!({}), vec![changed("/spec", json!({"destination": 5}))]),
        "TW404" => request(json!({}), vec![changed("/metadata/namespace", json!("elsewhere"))]),
        "TW405" => {
            let source = changed("/spec/destination/server", json!("https://other.example"));
            in_cluster(json!({"projects": [everywhere]}), source)
        }
        "TW414" => request(
            json!({}),
            vec![changed(
                "/spec/destination",
                json!({"name": "in-cluster", "server": "https://kubernetes.default.svc", "namespace": "argocd"}),
            )],
        ),
        "TW413" => request(json!({}), vec![changed("/spec/destination/server", json!(""))]),
        "TW406" => {
            let path = "x".repeat(400);
            let lines: String = (0..64)
                .map(|n| format!("- w{n}: http://w.argocd.svc:8080/{path}{n}\n"))
                .collect();
            let tags = json!({"prometheus_app": "x".repeat(20_000)});
            one(json!({"inputs": {"tags": tags}}), &annotation(&lines))
        }
        "TW407" => request(
            json!({}),
            vec![json!({
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "ApplicationSet",
                "metadata": {"name": "set", "namespace": "argocd"},
                "spec": {"template": {
                    "metadata": {"name": "{{name}}", "annotations": annotation("a: http://{{name}}.argocd.svc:1")},
                    "spec": {"destination": {"namespace": "argocd"}},
                }},
            })],
        ),
        "TW408" => in_cluster(json!({"projects": []}), application("argocd", &good)),
        "TW409" => json!({"protocol": 99, "sources": []}),
        "TW410" => request(
            json!({}),
            vec![application("argocd", &good), application("argocd", &good)],
        ),
        "TW411" => {
            let output = json!({"urls": ["http://{application}.influx.svc:8086"], "bucket": "b", "organization": "o", "token": "t"});
            let settings = json!({"classes": {"default": {"outputs": {"influxdb_v2": [output]}}}});
            request(settings, vec![application("evil.example", &good)])
        }
        "TW415" => {
            let mut watchful = everywhere;
            watchful["spec"]["orphanedResources"] = json!({"warn": true});
            in_cluster(json!({"projects": [watchful]}), application("argocd", &good))
        }
        "TW412" => in_cluster(
            json!({"projects": [everywhere], "inClusterEnabled": false}),
            application("argocd", &good),
        ),
        code => panic!("{code} ({rule:?}) has no example, and nothing here raises it"),
    }
}

/// Raised at admission alone: `tests/admission.rs` does so.
const AT_ADMISSION: &[&str] = &["TW119", "TW120", "TW315"];

/// Raised for files: the tests of `manifest/` and of the command do so.
const OF_FILES: &str = "TW6";

#[test]
fn each_rule_without_an_example_is_raised_by_a_request() {
    let without = all().iter().filter(|rule| rule.example.is_empty());
    for rule in without.filter(|rule| !AT_ADMISSION.contains(&rule.code) && !rule.code.starts_with(OF_FILES)) {
        let known = Rule::ALL.iter().find(|known| known.code() == rule.code).unwrap();
        let request = request(*known).to_string();
        let answer = render(&serde_json::from_str(&request).unwrap());
        let of_sources = answer.sources.into_iter().flat_map(|source| source.diagnostics);
        let findings: Vec<_> = answer.diagnostics.into_iter().chain(of_sources).collect();
        let raised = findings.iter().find(|finding| finding.is(*known));
        let raised = raised.unwrap_or_else(|| panic!("{} is not raised: {findings:#?}", rule.code));
        assert_eq!(raised.severity, rule.severity, "{}", rule.code);
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
