//! What Argo CD counts as orphaned: `spec.orphanedResources` of an AppProject.
//!
//! Where it is set, Argo CD lists all objects of a destination's namespace that have no owner and belong to no Application,
//! and so also what is rendered. Entries in `ignore` prevent that. They are read as Argo CD does
//! (`isKnownOrphanedResourceExclusion` in `controller/appcontroller.go`, v3.2).

use serde_json::Value as Json;

use super::{Deployed, Projects, own_kinds};
use crate::glob::Glob;
use crate::settings::Settings;

/// The beginning of the names of objects of a kind, which a `-` follows.
fn prefix<'a>(kind: &str, settings: &'a Settings) -> &'a str {
    match kind {
        "Secret" => &settings.influxdb.token_secret.name,
        _ => "telegraf",
    }
}

/// The entry of `ignore` for a kind, as YAML.
fn entry(group: &str, kind: &str, settings: &Settings) -> String {
    // What is rendered for a Namespace has no `-` after `telegraf`.
    let name = prefix(kind, settings);
    let any = if kind == "Secret" { "-*" } else { "*" };
    format!("{{group: \"{group}\", kind: {kind}, name: \"{name}{any}\"}}")
}

/// The entries of `spec.orphanedResources.ignore` with which Argo CD warns of nothing that is rendered, each as YAML in one line.
/// Empty in `standalone`, where nothing is rendered into the namespaces of Applications.
#[cfg(feature = "host")]
pub fn entries_for_orphans(settings: &Settings) -> Vec<String> {
    use crate::settings::{Names, Scope, Template};
    const ANY: Names<'static> = Names {
        application: "*",
        namespace: "*",
        bucket: "*",
        endpoint: "*",
        cluster_domain: "*",
    };
    if settings.topology.is_shared() {
        return Vec::new();
    }
    let own = own_kinds(settings).map(|(group, kind)| entry(group, kind, settings));
    let extra = settings.extra_resources.iter().filter_map(|object| {
        let (group, kind) = super::group_and_kind(object)?;
        let name = Template::parse(object.get("metadata")?.get("name")?.as_str()?, Scope::Source);
        let name = name.ok()?.fill(&ANY);
        Some(format!("{{group: \"{group}\", kind: {kind}, name: \"{name}\"}}"))
    });
    own.chain(extra).collect()
}

/// Whether an entry of `ignore` covers an object. An empty kind or name is any. An empty group is the core's.
fn covers(entry: &Json, group: &str, kind: &str, name: &str) -> bool {
    let matches = |field: &str, text: &str, is_any: bool| {
        let pattern = entry[field].as_str().unwrap_or_default();
        (pattern.is_empty() && is_any) || Glob::gobwas(pattern).is_some_and(|glob| glob.matches(text))
    };
    matches("kind", kind, true) && matches("group", group, false) && matches("name", name, true)
}

impl Projects {
    /// The entries that `spec.orphanedResources.ignore` of the Application's project needs, so that Argo CD does not warn of
    /// what is rendered for it. Empty if it does not warn. Of `extraResources` nothing is said: their names are the settings'.
    pub(crate) fn warns_of_ours(&self, deployed: Deployed<'_>, application: &str, settings: &Settings) -> String {
        // A host without AppProjects has none of this, as it has no regular expressions of them.
        if cfg!(not(feature = "regex")) {
            return String::new();
        }
        let Some(Ok(project)) = self.get(deployed.project_name()) else {
            return String::new();
        };
        let orphaned = &project.spec.orphaned_resources;
        if orphaned["warn"] != Json::Bool(true) || settings.topology.is_shared() {
            return String::new();
        }
        let ignored = orphaned["ignore"].as_array().map_or(&[][..], Vec::as_slice);
        let missing = own_kinds(settings).filter_map(|(group, kind)| {
            let name = format!("{}-{application}", prefix(kind, settings));
            let is_covered = ignored.iter().any(|entry| covers(entry, group, kind, &name));
            (!is_covered).then(|| entry(group, kind, settings))
        });
        missing.collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ClusterView;
    use rstest::rstest;
    use serde_json::value::RawValue;
    use serde_json::{Value, json};

    fn missing(orphaned: Value, settings: Value) -> String {
        let project = json!({"metadata": {"name": "default"}, "spec": {"orphanedResources": orphaned}});
        let project = RawValue::from_string(project.to_string()).unwrap();
        let settings = crate::settings::read(Some(&settings)).0.unwrap();
        let cluster = ClusterView {
            projects: vec![&project],
            ..ClusterView::default()
        };
        let deployed = Deployed {
            application_namespace: "argocd",
            project: "",
            namespace: "shop",
        };
        Projects::read(&cluster, &settings).warns_of_ours(deployed, "shop", &settings)
    }

    const BOTH: &str =
        r#"{group: "", kind: ConfigMap, name: "telegraf*"}, {group: "apps", kind: Deployment, name: "telegraf*"}"#;

    #[rstest]
    #[case::no_monitoring(json!(null), "")]
    #[case::no_warnings(json!({}), "")]
    #[case::silent(json!({"warn": false}), "")]
    #[case::nothing_is_ignored(json!({"warn": true}), BOTH)]
    #[case::all_is_ignored(json!({"warn": true, "ignore": [{"group": "*"}]}), "")]
    #[case::all_of_the_core(json!({"warn": true, "ignore": [{}]}), r#"{group: "apps", kind: Deployment, name: "telegraf*"}"#)]
    #[case::by_name(json!({"warn": true, "ignore": [{"group": "{,apps}", "name": "telegraf-shop"}]}), "")]
    #[case::others(json!({"warn": true, "ignore": [{"group": "*", "name": "telegraf-other"}, {"group": "*", "kind": "Secret"}]}), BOTH)]
    fn entries_that_are_missing_are_named(#[case] orphaned: Value, #[case] expected: &str) {
        assert_eq!(missing(orphaned, json!({})), expected);
    }

    #[test]
    fn an_entry_for_each_kind_that_the_settings_render_is_enough() {
        let output = json!({"urls": ["http://db.influx.svc"], "organization": "o", "bucket": "{bucket}", "token": "${INFLUX_TOKEN}"});
        let settings = json!({
            "networkPolicy": true,
            "classes": {"default": {"outputs": {"influxdb_v2": [output]}}},
            "influxdb": {"provide": "bucketsAndTokens", "tokenSecret": {"name": "metrics"}},
            "extraResources": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "extra-{application}"}}],
        });
        let entries = missing(json!({"warn": true}), settings.clone());
        assert!(
            entries.contains(r#"{group: "", kind: Secret, name: "metrics-*"}"#),
            "{entries}"
        );
        let ignore: Value = serde_yaml::from_str(&format!("[{entries}]")).unwrap();
        assert_eq!(ignore.as_array().map(Vec::len), Some(4));
        assert_eq!(missing(json!({"warn": true, "ignore": ignore}), settings), "");
    }

    #[cfg(feature = "host")]
    #[test]
    fn what_is_rendered_for_a_namespace_and_extra_resources_are_ignored_too() {
        let settings = json!({
            "influxdb": {"tokenSecret": {"name": "metrics"}},
            "extraResources": [
                {"apiVersion": "ricoberger.de/v1alpha1", "kind": "VaultSecret", "metadata": {"name": "token-{application}"}},
                {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "fixed"}},
            ],
        });
        let of = |settings: &Value| {
            let settings = crate::settings::read(Some(settings)).0.unwrap();
            entries_for_orphans(&settings)
        };
        assert_eq!(
            of(&settings),
            [
                r#"{group: "", kind: ConfigMap, name: "telegraf*"}"#,
                r#"{group: "apps", kind: Deployment, name: "telegraf*"}"#,
                r#"{group: "ricoberger.de", kind: VaultSecret, name: "token-*"}"#,
                r#"{group: "", kind: ConfigMap, name: "fixed"}"#,
            ]
        );
        let mut standalone = settings;
        standalone["topology"] = json!("standalone");
        standalone["extraResources"] =
            json!([{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "fixed"}}]);
        assert_eq!(of(&standalone), [""; 0]);
    }

    #[test]
    fn nothing_of_standalone_is_in_the_applications_namespace() {
        assert_eq!(missing(json!({"warn": true}), json!({"topology": "standalone"})), "");
    }
}
