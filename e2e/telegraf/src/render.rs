//! Sources and settings for tests, and what the core renders for them.

use std::fs;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use telewarden_policy::protocol::{Outcome, RenderAnswer, RenderRequest, Rendered, VERSION};

/// The annotation's default name.
pub const ANNOTATION: &str = "telegraf.influxdata.com/rubin-telegraf-operator";

/// An Application that is deployed to the namespace with its name.
pub fn application(name: &str, annotation: &str) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name, "namespace": "argocd", "annotations": {ANNOTATION: annotation}},
        "spec": {"destination": {"namespace": name, "server": "https://kubernetes.default.svc"}, "project": "default"},
    })
}

/// A Namespace.
pub fn namespace(name: &str, annotation: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "annotations": {ANNOTATION: annotation}},
    })
}

/// Settings that allow frequent scrapes of loopback.
pub fn on_loopback() -> Value {
    json!({
        "classes": {"default": {"agent": {"interval": "1s", "flush_interval": "1s", "collection_jitter": "0s"}}},
        "endpoints": {"hosts": ["*"], "minInterval": "1s"},
    })
}

/// Settings that send metrics to a URL.
pub fn outputs_to(url: &str) -> Value {
    let output = json!({"urls": [url], "organization": "square", "bucket": "{bucket}", "token": "${INFLUX_TOKEN}"});
    json!({"classes": {"default": {"outputs": {"influxdb_v2": [output]}}}})
}

/// The core's answer. `accepted` are the declarations that `standalone` accepted before.
///
/// # Panics
/// If the request cannot be serialized.
pub fn try_render(settings: &Value, sources: &[Value], accepted: &[Value]) -> RenderAnswer {
    let raw = |value: &Value| to_raw_value(value).expect("JSON");
    let settings = raw(settings);
    let sources: Vec<Box<RawValue>> = sources.iter().map(raw).collect();
    let accepted: Vec<Box<RawValue>> = accepted.iter().map(raw).collect();
    telewarden_policy::render::render(&RenderRequest {
        protocol: VERSION,
        settings: Some(&settings),
        sources: sources.iter().map(AsRef::as_ref).collect(),
        cluster: None,
        accepted: accepted.iter().map(AsRef::as_ref).collect(),
        ..Default::default()
    })
}

/// The core's answer without errors.
///
/// # Panics
/// If the settings or a source are refused.
pub fn render(settings: &Value, sources: &[Value]) -> RenderAnswer {
    let answer = try_render(settings, sources, &[]);
    let bad = answer
        .sources
        .iter()
        .filter(|source| source.outcome == Outcome::Refused);
    let bad: Vec<_> = answer
        .diagnostics
        .iter()
        .chain(bad.flat_map(|source| &source.diagnostics))
        .collect();
    assert!(bad.is_empty(), "{bad:#?}");
    answer
}

/// All rendered configurations and objects.
pub fn rendered(answer: RenderAnswer) -> Vec<Rendered> {
    let of_sources = answer.sources.into_iter().map(|source| source.rendered);
    let all = of_sources.chain(answer.shared);
    all.filter(|rendered| !rendered.configurations.is_empty()).collect()
}

/// The only rendered Telegraf.
///
/// # Panics
/// If there is none, or more than one.
pub fn whole(answer: RenderAnswer) -> Rendered {
    let mut all = rendered(answer);
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0)
}

/// A file of the repository.
///
/// # Panics
/// If it does not exist, or is not YAML.
pub fn read_yaml(path: &str) -> Vec<Value> {
    let path = crate::repository(path);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let documents = serde_yaml::Deserializer::from_str(&text);
    let read = |document| Value::deserialize(document).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    documents.map(read).collect()
}

/// The examples with sources, by file.
///
/// # Panics
/// If they cannot be read.
pub fn examples() -> Vec<(String, Vec<Value>)> {
    let folder = fs::read_dir(crate::repository("examples")).expect("the examples");
    let mut paths: Vec<PathBuf> = folder.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    paths.sort();
    let name = |path: &PathBuf| {
        path.file_name()
            .map(|name| format!("examples/{}", name.to_string_lossy()))
    };
    let files = paths
        .iter()
        .filter_map(name)
        .map(|name| (name.clone(), read_yaml(&name)));
    files
        .filter(|(_, documents)| documents.iter().all(|document| document["kind"].is_string()))
        .collect()
}
