//! What Argo CD counts as orphaned: `spec.orphanedResources` of an AppProject.
//!
//! Where it is set, Argo CD lists all objects of a destination's namespace that have no owner and belong to no Application,
//! and so also what is rendered. Entries in `ignore` prevent that. They are read as Argo CD does
//! (`isKnownOrphanedResourceExclusion` in `controller/appcontroller.go`, v3.2).

use serde_json::Value as Json;

use super::{Deployed, Projects, deployed_kinds};
use crate::glob::Glob;
use crate::settings::Settings;

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
        if orphaned["warn"] != Json::Bool(true) {
            return String::new();
        }
        let ignored = orphaned["ignore"].as_array().map_or(&[][..], Vec::as_slice);
        let extra = settings.extra_resources.len();
        let mut own = deployed_kinds(settings);
        own.truncate(own.len().saturating_sub(extra));
        let missing = own.iter().filter_map(|(group, kind)| {
            let secrets = &settings.influxdb.token_secret.name;
            let prefix = if kind == "Secret" { secrets.as_str() } else { "telegraf" };
            let name = format!("{prefix}-{application}");
            let is_covered = ignored.iter().any(|entry| covers(entry, group, kind, &name));
            (!is_covered).then(|| format!("{{group: \"{group}\", kind: {kind}, name: \"{prefix}-*\"}}"))
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
        r#"{group: "", kind: ConfigMap, name: "telegraf-*"}, {group: "apps", kind: Deployment, name: "telegraf-*"}"#;

    #[rstest]
    #[case::no_monitoring(json!(null), "")]
    #[case::no_warnings(json!({}), "")]
    #[case::silent(json!({"warn": false}), "")]
    #[case::nothing_is_ignored(json!({"warn": true}), BOTH)]
    #[case::all_is_ignored(json!({"warn": true, "ignore": [{"group": "*"}]}), "")]
    #[case::all_of_the_core(json!({"warn": true, "ignore": [{}]}), r#"{group: "apps", kind: Deployment, name: "telegraf-*"}"#)]
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

    #[test]
    fn nothing_of_standalone_is_in_the_applications_namespace() {
        assert_eq!(missing(json!({"warn": true}), json!({"topology": "standalone"})), "");
    }
}
