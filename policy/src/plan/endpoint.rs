//! `topology: endpoint`: one Telegraf for each endpoint, in the source's namespace.

use super::{Accepted, Workload, of_endpoints};
use crate::settings::Settings;

/// The Telegrafs of a source, in the order of its endpoints.
pub(super) fn workloads<'a>(accepted: &'a Accepted<'a>, settings: &'a Settings) -> Vec<Workload<'a>> {
    let endpoints = accepted.declaration.endpoints.iter();
    endpoints
        .map(|endpoint| of_endpoints(accepted, Some(endpoint.name.as_str()), &[endpoint], settings))
        .collect()
}
