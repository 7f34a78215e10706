//! `topology: endpoint`: one Telegraf for each endpoint, in the source's namespace.

use super::{Accepted, ConfigFiles, Owner, Pod, Workload, configuration, name, peers};
use crate::annotation::Endpoint;
use crate::settings::Settings;
use crate::sorted_map::sorted_map;
use crate::telegraf::to_toml;

/// The Telegrafs of a source, in the order of its endpoints.
pub(super) fn workloads<'a>(accepted: &'a Accepted<'a>, settings: &'a Settings) -> Vec<Workload<'a>> {
    let endpoints = accepted.declaration.endpoints.iter();
    endpoints
        .map(|endpoint| workload(accepted, endpoint, settings))
        .collect()
}

fn workload<'a>(accepted: &'a Accepted<'a>, endpoint: &'a Endpoint, settings: &'a Settings) -> Workload<'a> {
    let Accepted {
        source, declaration, ..
    } = accepted;
    let configuration = configuration::of_source(accepted, &[endpoint], settings);
    let mut peers = peers::of_endpoints(&[endpoint], settings);
    peers.extend(peers::of_outputs(&configuration, settings));
    let endpoint = Some(endpoint.name.as_str());
    Workload {
        owner: Owner::Source {
            identity: &source.identity,
            endpoint,
        },
        name: name::object_name(&source.identity, endpoint, settings),
        namespace: &source.namespace,
        names: accepted.names(settings),
        files: ConfigFiles::One(sorted_map([(ConfigFiles::FILE.to_owned(), to_toml(&configuration))])),
        peers,
        pod: Pod::of(declaration, settings),
    }
}
