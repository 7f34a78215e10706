//! The ConfigMap that carries a configuration.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;

use super::Owner;
use crate::settings::Settings;

/// A ConfigMap with files by name.
pub(crate) fn config_map(
    name: &str,
    namespace: &str,
    owner: Owner<'_>,
    files: &BTreeMap<String, String>,
    settings: &Settings,
) -> ConfigMap {
    ConfigMap {
        metadata: owner.metadata(name, namespace, settings),
        data: Some(files.clone()),
        ..ConfigMap::default()
    }
}
