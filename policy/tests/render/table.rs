//! Reads `cases/annotations.yaml`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

/// A row of the table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// What it shows.
    pub(crate) name: String,
    annotation: Option<String>,
    repeat: Option<Repeat>,
    #[serde(default)]
    annotations: serde_yaml::Mapping,
    destination: Option<String>,
    #[serde(default)]
    settings: Value,
    /// What the module says.
    pub(crate) expect: Vec<String>,
    /// Why the JSON Schema does not say the same.
    #[allow(dead_code, reason = "not everybody who includes this asks")]
    pub(crate) schema: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Repeat {
    text: String,
    times: usize,
}

impl Case {
    /// The settings alone.
    pub(crate) fn settings(&self) -> &Value {
        &self.settings
    }

    /// The text of the usual annotation.
    #[allow(dead_code, reason = "not everybody who includes this asks")]
    pub(crate) fn annotation(&self) -> Option<String> {
        let repeated = self.repeat.as_ref().map(|repeat| repeat.text.repeat(repeat.times));
        Some(self.annotation.clone()? + &repeated.unwrap_or_default())
    }

    /// The payload of `render`.
    pub(crate) fn request(&self) -> String {
        // In the order of the table, which is the order of the findings.
        let mut annotations = serde_json::Map::new();
        if let Some(text) = self.annotation() {
            annotations.insert("telegraf.influxdata.com/rubin-telegraf-operator".into(), text.into());
        }
        let others: BTreeMap<usize, (String, Value)> = (0..)
            .zip(self.annotations.iter().map(|(name, text)| {
                let name = name.as_str().expect("a name is text").to_owned();
                (name, serde_json::to_value(text).expect("a value is JSON"))
            }))
            .collect();
        annotations.extend(others.into_values());
        let namespace = self.destination.as_deref().unwrap_or("argocd");
        json!({
            "protocol": 1,
            "settings": self.settings(),
            "sources": [{
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "Application",
                "metadata": {"name": "argocd", "namespace": "argocd", "annotations": annotations},
                "spec": {"destination": {"namespace": namespace, "server": "https://kubernetes.default.svc"}},
            }],
        })
        .to_string()
    }
}

/// All rows.
pub(crate) fn cases() -> Vec<Case> {
    serde_yaml::from_str(include_str!("../cases/annotations.yaml")).expect("the table is YAML")
}
