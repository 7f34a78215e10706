//! The settings that the operator itself needs.
//!
//! The module reads the document. The operator never does.

use kube::core::GroupVersionKind;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use telewarden::Module;
use telewarden_policy::protocol::{HostSettings, SettingsReport};
use telewarden_policy::settings::Topology;

use crate::error::Error;
use crate::events::describe;
use crate::module::blocking;

/// Valid settings.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The document, as input for the module.
    pub(crate) document: Box<RawValue>,
    /// The settings that a host needs, from the module's report.
    pub(crate) host: HostSettings,
}

impl Settings {
    /// Checks a document with the module.
    ///
    /// # Errors
    /// If the module fails, or the settings are invalid.
    pub(crate) async fn check(document: &Value, module: &Module) -> Result<Self, Error> {
        let (document, module) = (document.clone(), module.clone());
        blocking(move || {
            let report = module.settings(&document).map_err(|source| Error::Module {
                doing: "have the module check the settings".to_owned(),
                source,
            })?;
            Self::of_report(&document, report)
        })
        .await
    }

    fn of_report(document: &Value, report: SettingsReport) -> Result<Self, Error> {
        match report.host {
            Some(host) => Ok(Self {
                document: to_raw_value(document).expect("a JSON value is JSON"),
                host,
            }),
            None => Err(Error::Settings {
                why: describe(&report.diagnostics),
            }),
        }
    }

    /// True if all sources share one Telegraf.
    pub(crate) fn is_standalone(&self) -> bool {
        self.host.topology == Topology::Standalone
    }

    /// The namespace of the Telegrafs that all sources share, if they do.
    pub(crate) fn standalone_namespace(&self) -> Option<&str> {
        self.is_standalone().then_some(self.host.standalone_namespace.as_str())
    }

    /// The kinds that are rendered besides ConfigMap and Deployment.
    pub(crate) fn kinds(&self) -> Vec<GroupVersionKind> {
        let kinds = self.host.kinds.iter();
        kinds
            .map(|kind| GroupVersionKind::gvk(&kind.group, &kind.version, &kind.kind))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    async fn check(document: Value) -> Result<Settings, Error> {
        let module = crate::module::for_tests();
        Settings::check(&document, &module).await
    }

    #[tokio::test]
    async fn null_means_the_default() {
        let nulls = json!({"instance": null, "sources": {"applications": null, "namespaces": null}});
        let settings = check(nulls).await.unwrap();
        assert_eq!(settings.host, check(json!({})).await.unwrap().host);
        assert!(settings.host.applications);
        assert_eq!(settings.host.instance, "telewarden");
    }

    #[tokio::test]
    async fn documents_that_are_not_maps_are_refused() {
        for document in [
            json!([]),
            json!(["instance"]),
            json!(3),
            json!("text"),
            json!({"topologie": 1}),
        ] {
            let error = check(document.clone()).await.unwrap_err();
            assert_eq!(error.reason(), "settings", "{document}: {}", error.chain());
        }
    }

    #[tokio::test]
    async fn kinds_come_from_the_module() {
        let secret = json!({"apiVersion": "ricoberger.de/v1alpha1", "kind": "VaultSecret", "metadata": {"name": "a"}});
        let settings = check(json!({"networkPolicy": true, "extraResources": [secret]}))
            .await
            .unwrap();
        let kinds: Vec<_> = settings.kinds().into_iter().map(|gvk| gvk.kind).collect();
        assert_eq!(kinds, ["NetworkPolicy", "VaultSecret"]);
    }
}
