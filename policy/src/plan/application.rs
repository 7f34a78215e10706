//! `topology: application`: one Telegraf for each source, in the source's namespace.

use super::{Accepted, ConfigFiles, Owner, Pod, Workload, configuration, name, peers};
use crate::settings::Settings;
use crate::sorted_map::sorted_map;
use crate::telegraf::to_toml;

/// The Telegraf of a source.
pub(super) fn workload<'a>(accepted: &'a Accepted<'a>, settings: &'a Settings) -> Workload<'a> {
    let Accepted {
        source, declaration, ..
    } = accepted;
    let endpoints: Vec<_> = declaration.endpoints.iter().collect();
    let configuration = configuration::of_source(accepted, &endpoints, settings);
    let mut peers = peers::of_endpoints(&endpoints, settings);
    peers.extend(peers::of_outputs(&configuration, settings));
    Workload {
        owner: Owner::Source {
            identity: &source.identity,
            endpoint: None,
        },
        name: name::object_name(&source.identity, None, settings),
        namespace: &source.namespace,
        names: accepted.names(settings),
        files: ConfigFiles::One(sorted_map([(ConfigFiles::FILE.to_owned(), to_toml(&configuration))])),
        peers,
        pod: Pod::of(declaration, settings),
    }
}
