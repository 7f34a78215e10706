//! The files in `e2e/hostile/tenants`: what several tenants of one cluster write, one step after the other.
//!
//! A file holds several YAML documents. The first is the case:
//!
//!     what: what is tried
//!     hostile: [team-a/shop]             # the sources of whoever tries it; all others are tenants that nothing may reach
//!     topologies: [standalone]           # all three, if left out
//!     settings: {...}                    # over those of the runner, see `Case::settings`
//!     nowhere: ["inputs.exec"]           # texts that nothing may hold that is rendered
//!     run:                               # it is run, with an exporter for each source and a server that records
//!       exports: {team-a/shop: "METRIC{le=\"1\"} 1"}   # what an exporter serves besides `METRIC 1`, a name of its own
//!       buckets: {argocd/shop: [shop]}   # where a source's metrics arrive; those of whom nothing is said: nowhere
//!       tags: {argocd/shop: {cluster: a}}  # what every metric of a source is tagged with
//!
//! Each further document is a step. It says what changes:
//!
//!     step: what happens
//!     sources:
//!       argocd/shop: "web: http://CAPTURE/metrics"   # an Application, and its annotation; `CAPTURE` is its exporter
//!       Namespace/shop: {annotation: "...", annotations: {...}}
//!       team-a/shop: {annotation: "...", destination: team-a, project: default}
//!       team-b/shop: null                # it is deleted
//!     objects: [...]                     # objects of other kinds, which the host sends too
//!     says: {team-a/shop: refused TW105} # `rendered`, where it says nothing: an outcome, and the codes of errors; or `any`
//!
//! A long text is a list of texts and of `{repeat: text, times: 1000}`, where `{n}` in the text counts.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use telewarden_e2e_telegraf::{ANNOTATION, merged, on_loopback, outputs_to, repository};

#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) head: Head,
    pub(crate) steps: Vec<Step>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Head {
    /// A comment for the reader of the file.
    #[serde(rename = "what")]
    _what: String,
    pub(crate) hostile: Vec<String>,
    #[serde(default = "all_topologies")]
    pub(crate) topologies: Vec<String>,
    #[serde(default)]
    settings: Value,
    #[serde(default)]
    pub(crate) nowhere: Vec<String>,
    pub(crate) run: Option<Run>,
}

fn all_topologies() -> Vec<String> {
    ["application", "endpoint", "standalone"].map(str::to_owned).to_vec()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Run {
    #[serde(default)]
    pub(crate) exports: BTreeMap<String, String>,
    pub(crate) buckets: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    pub(crate) tags: BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    pub(crate) step: String,
    #[serde(default)]
    pub(crate) sources: BTreeMap<String, Option<Written>>,
    #[serde(default)]
    pub(crate) objects: Vec<Value>,
    #[serde(default)]
    pub(crate) says: BTreeMap<String, String>,
}

/// The annotations of a source.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Written {
    Annotation(Text),
    Object(Box<Source>),
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Source {
    annotation: Option<Text>,
    #[serde(default)]
    annotations: BTreeMap<String, Text>,
    /// The destination of an Application. Default: its own name, or its namespace if that is not Argo CD's.
    destination: Option<String>,
    server: Option<String>,
    project: Option<String>,
    /// Merged into the object.
    #[serde(default)]
    object: Value,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Text {
    Plain(String),
    Parts(Vec<Part>),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Part {
    Plain(String),
    Repeated { repeat: String, times: usize },
}

impl Text {
    fn whole(&self) -> String {
        match self {
            Self::Plain(text) => text.clone(),
            Self::Parts(parts) => parts.iter().map(Part::whole).collect(),
        }
    }
}

impl Part {
    fn whole(&self) -> String {
        match self {
            Self::Plain(text) => text.clone(),
            Self::Repeated { repeat, times } => (0..*times).map(|n| repeat.replace("{n}", &n.to_string())).collect(),
        }
    }
}

impl Written {
    /// The object of a source with the address of its exporter.
    pub(crate) fn object(&self, key: &str, exporter: &str) -> Value {
        let source = match self {
            Self::Annotation(text) => &Source {
                annotation: Some(text.clone()),
                ..Source::default()
            },
            Self::Object(source) => source,
        };
        let own = source.annotation.iter().map(|text| (ANNOTATION, text));
        let others = source.annotations.iter().map(|(name, text)| (name.as_str(), text));
        let annotations: Map<String, Value> = own
            .chain(others)
            .map(|(name, text)| (name.to_owned(), text.whole().replace("CAPTURE", exporter).into()))
            .collect();
        let (namespace, name) = key.split_once('/').expect("a source is namespace/name");
        let object = if namespace == "Namespace" {
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "annotations": annotations}})
        } else {
            let usual = if namespace == "argocd" { name } else { namespace };
            json!({
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "Application",
                "metadata": {"name": name, "namespace": namespace, "annotations": annotations},
                "spec": {
                    "destination": {
                        "namespace": source.destination.as_deref().unwrap_or(usual),
                        "server": source.server.as_deref().unwrap_or("https://kubernetes.default.svc"),
                    },
                    "project": source.project.as_deref().unwrap_or("default"),
                },
            })
        };
        match &source.object {
            Value::Null => object,
            over => merged(object, over.clone()),
        }
    }
}

/// The module's name for the source of a key.
pub(crate) fn identity(key: &str) -> String {
    match key.split_once('/') {
        Some(("Namespace", _)) => key.to_owned(),
        _ => format!("argoproj.io/Application/{key}"),
    }
}

impl Case {
    /// The settings with a topology, an image and an output. Without an output nothing is scraped: an unreachable one
    /// would fill the log with errors.
    pub(crate) fn settings(&self, topology: &str, image: &str, output: Option<&str>) -> Value {
        let interval = if output.is_some() { "200ms" } else { "60s" };
        let output = output.unwrap_or("http://127.0.0.1:1");
        let agent = json!({"interval": interval, "flush_interval": interval});
        let own = json!({
            "topology": topology,
            "pod": {"image": image},
            "classes": {"default": {"agent": agent}},
            "endpoints": {"hosts": ["127.0.0.1", "*.{namespace}.svc"]},
            "sources": {"applicationNamespaces": ["team-a", "team-b"]},
        });
        let settings = merged(merged(on_loopback(), outputs_to(output)), own);
        let settings = match self.head.settings.clone() {
            Value::Null => settings,
            own => merged(settings, own),
        };
        let text = settings.to_string().replace("http://OUTPUT", output);
        serde_json::from_str(&text).expect("JSON")
    }

    pub(crate) fn is_hostile(&self, key: &str) -> bool {
        self.head.hostile.iter().any(|hostile| hostile == key)
    }
}

/// All cases, in the order of their names.
pub(crate) fn cases() -> Vec<Case> {
    let folder = fs::read_dir(repository("e2e/hostile/tenants")).expect("the cases");
    let mut paths: Vec<PathBuf> = folder.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.iter().map(read).collect()
}

fn read(path: &PathBuf) -> Case {
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let text = fs::read_to_string(path).expect("a case");
    let mut documents = serde_yaml::Deserializer::from_str(&text);
    let head = documents.next().expect("a first document");
    let head = Head::deserialize(head).unwrap_or_else(|error| panic!("{name}: {error}"));
    let steps: Vec<_> = documents
        .map(|step| Step::deserialize(step).unwrap_or_else(|error| panic!("{name}: {error}")))
        .collect();
    assert!(steps.len() >= 2, "{name}: the hostile one comes in a step of its own");
    Case { name, head, steps }
}
