//! The flow of metrics in an answer of `render`: endpoints, the Telegrafs that scrape them, and the outputs of those.
//!
//! The endpoints are fields of the answer. The outputs are read from the rendered configurations, so this also works with
//! answers of other modules.

use serde::Serialize;
use toml::de::{DeTable, DeValue};

use crate::protocol::{Configuration, EndpointAnswer, RenderAnswer, Rendered};
use crate::well_known::STATUS_TAG;

/// Endpoints, the Telegrafs that scrape them, and the outputs of those.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Flow"))]
pub struct DataFlow {
    /// The sources that have endpoints.
    pub sources: Vec<FlowSource>,
    /// Every Telegraf.
    pub telegrafs: Vec<Telegraf>,
    /// All outputs of all Telegrafs, except those for the pod's probes and for its own state.
    pub outputs: Vec<Output>,
}

/// A source and its endpoints.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FlowSource {
    /// The identity of the object.
    pub source: String,
    /// Its endpoints.
    pub endpoints: Vec<FlowEndpoint>,
}

/// An endpoint and the Telegraf that scrapes it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FlowEndpoint {
    /// Its name in the annotation.
    pub name: String,
    /// The URLs.
    pub urls: Vec<String>,
    /// The interval, as a Telegraf duration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
    /// The index in `telegrafs` of the Telegraf that scrapes it, if one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub telegraf: Option<usize>,
}

/// One Telegraf.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Telegraf {
    /// The name of its Deployment.
    pub name: String,
    /// Its namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The indices in `outputs` of its outputs.
    pub outputs: Vec<usize>,
}

/// A destination of metrics.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Output {
    /// Telegraf's output plugin.
    pub plugin: String,
    /// Its identifying options: URLs, organization, bucket, database or files.
    pub details: Vec<String>,
}

impl DataFlow {
    /// Reads an answer.
    pub fn of(answer: &RenderAnswer) -> Self {
        let mut flow = Self::default();
        let shared = match &answer.shared {
            Some(shared) => flow.add_telegrafs(shared),
            None => Vec::new(),
        };
        for source in &answer.sources {
            let own = flow.add_telegrafs(&source.rendered);
            let scrapes = |endpoint: &EndpointAnswer| {
                let mut all = own.iter().chain(&shared);
                // Sources that share a Telegraf have longer names in it.
                let in_shared = format!("{}/{}", source.source, endpoint.name);
                let is_meant = |alias: &String| *alias == endpoint.name || *alias == in_shared;
                let found = all.find(|(_, aliases)| aliases.iter().any(is_meant));
                found.map(|(number, _)| *number)
            };
            let endpoints = source.endpoints.iter().map(|endpoint| FlowEndpoint {
                name: endpoint.name.clone(),
                urls: endpoint.urls.clone(),
                interval: endpoint.interval.clone(),
                telegraf: scrapes(endpoint),
            });
            let endpoints: Vec<_> = endpoints.collect();
            if !endpoints.is_empty() {
                let source = source.source.clone();
                flow.sources.push(FlowSource { source, endpoints });
            }
        }
        flow
    }

    /// Adds one Telegraf for each configuration. Answers their indices, each with the aliases of its inputs.
    fn add_telegrafs(&mut self, rendered: &Rendered) -> Vec<(usize, Vec<String>)> {
        let mut added = Vec::new();
        for Configuration { name, files, .. } in &rendered.configurations {
            // An unreadable configuration is ignored.
            let files: Vec<_> = files.values().filter_map(|file| DeTable::parse(file).ok()).collect();
            let files: Vec<_> = files.iter().map(|file| file.get_ref()).collect();
            let inputs = files.iter().flat_map(|file| plugins(file, "inputs"));
            let aliases = inputs.filter_map(|(_, input)| plain_text(input.get("alias")?.get_ref()));
            let aliases = aliases.collect();
            let mut telegraf = Telegraf {
                name: name.clone(),
                namespace: rendered.namespace.clone(),
                outputs: Vec::new(),
            };
            for (plugin, table) in files.iter().flat_map(|file| plugins(file, "outputs")) {
                if plugin == "health" || is_status(table) {
                    continue;
                }
                let number = self.output(plugin, table);
                if !telegraf.outputs.contains(&number) {
                    telegraf.outputs.push(number);
                }
            }
            added.push((self.telegrafs.len(), aliases));
            self.telegrafs.push(telegraf);
        }
        added
    }

    fn output(&mut self, plugin: &str, table: &DeTable<'_>) -> usize {
        let told = ["urls", "organization", "bucket", "database", "files"];
        let details = told.into_iter().filter_map(|name| {
            let text = plain_text(table.get(name)?.get_ref())?;
            Some(if name == "urls" { text } else { format!("{name} {text}") })
        });
        let output = Output {
            plugin: plugin.to_owned(),
            details: details.collect(),
        };
        let known = self.outputs.iter().position(|known| *known == output);
        known.unwrap_or_else(|| {
            self.outputs.push(output);
            self.outputs.len() - 1
        })
    }
}

/// A section's plugins, each instance with its plugin's name.
fn plugins<'a, 'f>(file: &'f DeTable<'a>, section: &str) -> impl Iterator<Item = (&'f str, &'f DeTable<'a>)> {
    let section = match file.get(section).map(|section| section.get_ref()) {
        Some(DeValue::Table(plugins)) => Some(plugins),
        _ => None,
    };
    section.into_iter().flatten().flat_map(|(plugin, instances)| {
        let instances = match instances.get_ref() {
            DeValue::Array(instances) => Some(instances),
            _ => None,
        };
        let tables = instances
            .into_iter()
            .flatten()
            .filter_map(|instance| match instance.get_ref() {
                DeValue::Table(table) => Some(table),
                _ => None,
            });
        tables.map(|table| (plugin.get_ref().as_ref(), table))
    })
}

/// True for the output that tells a Telegraf's own state.
fn is_status(output: &DeTable<'_>) -> bool {
    let tagpass = output.get("tagpass").map(|tags| tags.get_ref());
    matches!(tagpass, Some(DeValue::Table(tags)) if tags.contains_key(STATUS_TAG))
}

fn plain_text(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Array(items) => {
            let texts: Vec<_> = items.iter().filter_map(|item| plain_text(item.get_ref())).collect();
            Some(texts.join(" "))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_is_read() {
        let conf = "[[inputs.prometheus]]\nalias = \"redis\"\n[[outputs.health]]\nservice_address = \"http://:8888\"\n\
                    [[outputs.influxdb_v2]]\nbucket = \"argocd\"\nurls = [\"http://a:8086\", \"http://b:8086\"]\n";
        let endpoint = |name: &str| json!({"name": name, "plugin": "prometheus", "interval": "60s"});
        let source = |name: &str, conf: &str| {
            json!({
                "index": 0, "source": name, "outcome": "rendered", "namespace": name,
                "endpoints": [endpoint("redis"), endpoint("server")],
                "configurations": [{"name": format!("telegraf-{name}"), "files": {"telegraf.conf": conf}}],
            })
        };
        let answer = json!({
            "protocol": 1, "diagnostics": [],
            "sources": [source("a", conf), source("b", &conf.replace("argocd", "b")), source("c", "not TOML")],
        });
        let flow = DataFlow::of(&serde_json::from_value(answer).expect("an answer"));
        let telegrafs: Vec<_> = flow
            .telegrafs
            .iter()
            .map(|one| (one.name.as_str(), one.outputs.as_slice()))
            .collect();
        assert_eq!(
            telegrafs,
            [("telegraf-a", &[0][..]), ("telegraf-b", &[1]), ("telegraf-c", &[])]
        );
        assert_eq!(
            flow.outputs[0].details,
            ["http://a:8086 http://b:8086", "bucket argocd"]
        );
        let scraped_by = |number: usize| {
            let endpoints = flow.sources[number].endpoints.iter();
            endpoints.map(|endpoint| endpoint.telegraf).collect::<Vec<_>>()
        };
        assert_eq!(scraped_by(1), [Some(1), None]);
        assert_eq!(scraped_by(2), [None, None]);
    }
}
