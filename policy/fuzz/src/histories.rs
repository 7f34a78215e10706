//! Several tenants with a history: whatever one of them writes, changes and deletes, in any topology, nothing changes for
//! another.
//!
//! The text is a topology (`a`, `e` or `s`) and then steps, separated by lines of `%%`. A step's first line says what it
//! changes: `application NAME DESTINATION ANNOTATION` or `namespace NAME ANNOTATION`. The rest is the annotation's new text: `-`
//! removes the annotation, and no text the object.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use telewarden_policy::diagnostic::Diagnostic;
use telewarden_policy::printable::is_hidden;
use telewarden_policy::protocol::{Outcome, RenderAnswer, SourceAnswer};
use telewarden_policy::render::render;

const PREFIX: &str = "telegraf.influxdata.com/";
const GOOD: &str = "argoproj.io/Application/argocd/good";
const SHARED_FILE: &str = "00-telegraf.conf";

fn application(namespace: &str, name: &str, destination: &str, annotations: &Map<String, Value>) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name, "namespace": namespace, "annotations": annotations},
        "spec": {"destination": {"namespace": destination, "server": "https://kubernetes.default.svc"}},
    })
}

/// The Application that never changes.
fn good() -> Value {
    let text = "- web: http://web.good.svc:8080/metrics\n- redis:\n    url: http://redis.good.svc:9121/\n    tags: {zone: a}\n";
    let annotations = json!({format!("{PREFIX}rubin-telegraf-operator"): text});
    application("argocd", "good", "good", annotations.as_object().expect("a map"))
}

fn settings(topology: &str) -> Value {
    json!({
        "topology": topology,
        "networkPolicy": true,
        "allow": {"env": true},
        "inputs": {"allowedPlugins": ["prometheus", "redis"]},
        "sources": {"applicationNamespaces": ["team-a", "team-b"]},
        "classes": {"gold": {"globalTags": {"tier": "gold"}}},
    })
}

fn answer(settings: &Value, sources: &[Value], accepted: &BTreeMap<String, Value>) -> RenderAnswer {
    let accepted: Vec<_> = accepted.values().collect();
    let request = json!({"protocol": 1, "settings": settings, "sources": sources, "accepted": accepted}).to_string();
    render(&serde_json::from_str(&request).expect("a request"))
}

/// The files of the one Telegraf of `standalone`.
fn files(answer: &RenderAnswer) -> BTreeMap<String, String> {
    let shared = answer.shared.as_ref();
    shared.map_or_else(BTreeMap::new, |shared| shared.configurations[0].files.clone())
}

/// All that is the good tenant's.
fn of_good(answer: &RenderAnswer) -> Value {
    let source = answer.sources.iter().find(|source| source.source == GOOD);
    let files = files(answer);
    let own: Vec<_> = ["application.argocd.good.conf", SHARED_FILE]
        .map(|file| files.get(file))
        .into();
    json!([source, own])
}

fn check_findings(source: &SourceAnswer) {
    assert!(source.diagnostics.len() <= 101, "{}", source.diagnostics.len());
    let refused = source.diagnostics.iter().any(Diagnostic::is_error);
    assert_eq!(source.outcome == Outcome::Refused, refused, "{}", source.source);
    for finding in &source.diagnostics {
        let text = format!("{} {}", finding.message, finding.help.as_deref().unwrap_or_default());
        assert!(text.len() < 2000 && !text.contains(is_hidden), "{text:?}");
    }
}

/// No object of one source is another's, and no text of a configuration is live but the settings' token.
fn check_objects(answer: &RenderAnswer) {
    let mut names = BTreeSet::new();
    let rendered = answer.sources.iter().map(|source| &source.rendered);
    for rendered in rendered.chain(&answer.shared) {
        for object in &rendered.objects {
            let metadata = &object["metadata"];
            let name = format!("{} {} {}", object["kind"], metadata["namespace"], metadata["name"]);
            assert!(names.insert(name.clone()), "{name}");
        }
        for text in rendered
            .configurations
            .iter()
            .flat_map(|configuration| configuration.files.values())
        {
            let ours = text.replace("${INFLUX_TOKEN}\"", "\"");
            assert!(!ours.contains('$') && !ours.contains("@{"), "{text}");
            let tables: toml::Table = text.parse().expect("TOML");
            let known = ["agent", "global_tags", "inputs", "outputs"];
            assert!(tables.keys().all(|key| known.contains(&key.as_str())), "{text}");
        }
    }
}

/// Only the source that a part is of changes it: a refused one keeps what it had.
fn check_kept(answer: &RenderAnswer, before: &BTreeMap<String, String>) {
    let after = files(answer);
    for source in &answer.sources {
        let name = source.source.replace("argoproj.io/Application", "application");
        let name = format!("{}.conf", name.replace("Namespace", "namespace").replace('/', "."));
        match source.outcome {
            Outcome::Refused => assert_eq!(after.get(&name), before.get(&name), "{name}"),
            Outcome::Idle | Outcome::Skipped => assert_eq!(after.get(&name), None, "{name}"),
            Outcome::Rendered => {}
        }
    }
}

/// Plays a history, and checks after each step what holds for all of them.
#[allow(unreachable_pub, reason = "a part of the fuzz crate, and of a test")]
pub fn check(text: &str) {
    let mut chars = text.chars();
    let topology = match chars.next() {
        Some('a') => "application",
        Some('e') => "endpoint",
        _ => "standalone",
    };
    let settings = settings(topology);
    let alone = of_good(&answer(&settings, &[good()], &BTreeMap::new()));
    assert_eq!(alone[0]["outcome"], "rendered");
    let mut objects: BTreeMap<(bool, String), (String, Map<String, Value>)> = BTreeMap::new();
    let mut accepted: BTreeMap<String, Value> = BTreeMap::new();
    let mut before = BTreeMap::new();
    for step in chars.as_str().split("\n%%\n").take(12) {
        let (header, text) = step.trim_start().split_once('\n').unwrap_or((step, ""));
        let words: Vec<_> = header.split_whitespace().collect();
        let (key, destination, annotation) = match words[..] {
            ["application", name, destination, annotation] => ((true, name.to_owned()), destination, annotation),
            ["namespace", name, annotation] if name != "good" => ((false, name.to_owned()), "", annotation),
            _ => continue,
        };
        if text.is_empty() {
            objects.remove(&key);
        } else {
            let (at, annotations) = objects.entry(key).or_default();
            *at = destination.to_owned();
            let annotation = format!("{PREFIX}{annotation}");
            match text.trim_end() {
                "-" => drop(annotations.remove(&annotation)),
                _ => drop(annotations.insert(annotation, text.into())),
            }
        }
        let mut sources: Vec<_> = objects
            .iter()
            .map(|((is_application, name), (destination, annotations))| match is_application {
                true => application("team-b", name, destination, annotations),
                false => json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "annotations": annotations}}),
            })
            .collect();
        // Where it stands among them makes no difference.
        sources.insert(text.len() % (sources.len() + 1), good());

        // The operator forgets what is deleted before it asks.
        let there = objects.keys().map(|(is_application, name)| match is_application {
            true => format!("argoproj.io/Application/team-b/{name}"),
            false => format!("Namespace/{name}"),
        });
        let there: BTreeSet<_> = there.chain([GOOD.to_owned()]).collect();
        accepted.retain(|source, _| there.contains(source));

        let answer = answer(&settings, &sources, &accepted);
        assert_eq!(of_good(&answer), alone_at(&alone, &answer));
        answer.sources.iter().for_each(check_findings);
        check_objects(&answer);
        check_kept(&answer, &before);

        // What the operator remembers.
        for source in &answer.sources {
            match (source.outcome, &source.accepted) {
                (Outcome::Rendered, Some(declaration)) => {
                    drop(accepted.insert(source.source.clone(), declaration.clone()))
                }
                (Outcome::Idle | Outcome::Skipped, _) => drop(accepted.remove(&source.source)),
                _ => {}
            }
        }
        before = files(&answer);
    }
}

/// What the good tenant has alone, at the place that it has in an answer.
fn alone_at(alone: &Value, answer: &RenderAnswer) -> Value {
    let mut expected = alone.clone();
    let source = answer.sources.iter().find(|source| source.source == GOOD);
    expected[0]["index"] = source.map(|source| source.index).into();
    expected
}
