//! The parts of the settings that a host needs.

use serde_json::Value as Json;

use super::{DatabaseOutput, Provide, Settings, databases, read};
use crate::annotation_name::PREFIXES;
use crate::diagnostic::Problem;
use crate::protocol::{HostInfluxdb, HostOrganization, HostSettings, ObjectKind, SettingsReport};
use crate::telegraf::Duration;

/// Answers the payload of the operation `settings`: the document, or null for the defaults.
pub fn report(payload: &[u8]) -> SettingsReport {
    let document: Json = match crate::decode::decode(payload) {
        Ok(document) => document,
        Err(error) => {
            let problem = Problem::Unreadable {
                what: "the settings",
                error: error.to_string(),
            };
            return SettingsReport {
                diagnostics: vec![problem.diagnostic()],
                host: None,
            };
        }
    };
    let (settings, diagnostics) = read(Some(&document));
    SettingsReport {
        diagnostics,
        host: settings.as_ref().map(for_host),
    }
}

fn for_host(settings: &Settings) -> HostSettings {
    let sources = &settings.sources;
    HostSettings {
        instance: settings.instance.to_string(),
        annotation: settings.annotation.to_string(),
        annotation_prefixes: PREFIXES.map(str::to_owned).into(),
        topology: settings.topology,
        standalone_namespace: settings.standalone.namespace.to_string(),
        standalone_shards: settings.standalone.shards,
        applications: sources.applications,
        namespaces: sources.namespaces,
        argocd_namespace: sources.argocd_namespace.to_string(),
        application_namespaces: settings.application_namespaces(),
        cluster_domain: settings.endpoints.cluster_domain.to_string(),
        kinds: kinds(settings),
        influxdb: influxdb(settings),
    }
}

fn influxdb(settings: &Settings) -> Option<HostInfluxdb> {
    let mut organizations = Vec::new();
    for output in settings.classes.values().flat_map(databases::outputs) {
        if let Some(DatabaseOutput { url, organization, .. }) = DatabaseOutput::of(output, settings) {
            let organization = HostOrganization { url, organization };
            if !organizations.contains(&organization) {
                organizations.push(organization);
            }
        }
    }
    (settings.influxdb.provide != Provide::Nothing).then(|| HostInfluxdb {
        tokens: settings.provides_tokens(),
        token_lifetime_seconds: settings.influxdb.token_lifetime.as_ref().map(Duration::seconds),
        organizations,
    })
}

/// The kinds of rendered objects other than ConfigMap and Deployment, each once.
fn kinds(settings: &Settings) -> Vec<ObjectKind> {
    let mut kinds = Vec::new();
    if settings.network_policy {
        kinds.push(ObjectKind {
            group: "networking.k8s.io".to_owned(),
            version: "v1".to_owned(),
            kind: "NetworkPolicy".to_owned(),
        });
    }
    if settings.provides_tokens() {
        kinds.push(ObjectKind {
            group: String::new(),
            version: "v1".to_owned(),
            kind: "Secret".to_owned(),
        });
    }
    for resource in &settings.extra_resources {
        let text = |field| resource.get(field).and_then(Json::as_str).unwrap_or_default();
        let (group, version) = text("apiVersion").rsplit_once('/').unwrap_or(("", text("apiVersion")));
        let kind = ObjectKind {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: text("kind").to_owned(),
        };
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    kinds
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(settings: &str) -> HostSettings {
        report(settings.as_bytes()).host.expect("the settings are good")
    }

    #[test]
    fn null_stands_for_the_default() {
        let nulls =
            r#"{"instance": null, "sources": {"applications": null, "argocdNamespace": null}, "topology": null}"#;
        assert_eq!(host(nulls), host("null"));
        assert!(host(nulls).applications);
        assert_eq!(host(nulls).instance, "telewarden");
    }

    #[test]
    fn kinds_are_named_once() {
        let secret = r#"{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}"#;
        let settings = format!(r#"{{"networkPolicy": true, "extraResources": [{secret}, {secret}]}}"#);
        let kinds: Vec<_> = host(&settings).kinds.into_iter().map(|kind| kind.kind).collect();
        assert_eq!(kinds, ["NetworkPolicy", "Secret"]);
    }

    #[test]
    fn settings_with_an_error_say_nothing_to_a_host() {
        for settings in ["[]", "3", "{", r#"{"topologie": "standalone"}"#] {
            let report = report(settings.as_bytes());
            assert!(report.host.is_none() && !report.diagnostics.is_empty(), "{settings}");
        }
    }
}
