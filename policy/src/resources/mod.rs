//! The Kubernetes objects of a workload. They do not depend on the topology.
//!
//! They are safe to have beside Argo CD: nothing that it tracks by is ever set, and it is told to leave alone what it
//! does not know (<https://argo-cd.readthedocs.io/en/stable/user-guide/compare-options/>).

mod config_map;
mod deployment;
mod extra;
mod metadata;
mod network_policy;
mod object;
mod secret;

pub(crate) use extra::extra_resources;
pub(crate) use secret::secret;

use serde::Serialize;
use serde_json::Value;

use crate::plan::Workload;
use crate::settings::Settings;

/// A workload's objects, in the order in which they should be applied.
pub(crate) fn objects(workload: &Workload<'_>, settings: &Settings) -> Vec<Value> {
    let mut objects = vec![to_json(config_map::config_map(workload, settings))];
    if settings.network_policy {
        objects.push(to_json(network_policy::network_policy(workload, settings)));
    }
    objects.push(to_json(deployment::deployment(workload, settings)));
    objects
}

/// A typed object as the JSON that is applied.
///
/// # Panics
/// Never: the types of `k8s-openapi` have text keys only.
fn to_json(object: impl Serialize) -> Value {
    serde_json::to_value(object).expect("a Kubernetes object is JSON")
}
