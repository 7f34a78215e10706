//! The ConfigMap with a configuration.

use super::metadata::metadata;
use super::object::ConfigMap;
use crate::plan::Workload;
use crate::settings::Settings;

/// A ConfigMap with the workload's files.
pub(super) fn config_map(workload: &Workload<'_>, settings: &Settings) -> ConfigMap {
    ConfigMap::config_map(metadata(workload, settings), workload.files.by_name().clone())
}
