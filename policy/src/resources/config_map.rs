//! The ConfigMap that carries a configuration.

use std::collections::BTreeMap;

use super::Owner;
use super::object::ConfigMap;
use crate::settings::Settings;

/// A ConfigMap with files by name.
pub(crate) fn config_map(
    name: &str,
    namespace: &str,
    owner: Owner<'_>,
    files: &BTreeMap<String, String>,
    settings: &Settings,
) -> ConfigMap {
    ConfigMap::config_map(owner.metadata(name, namespace, settings), files.clone())
}
