//! Plans workloads for accepted sources. A workload contains everything that its Kubernetes objects are made from.
//!
//! ```text
//!  settings ─┐
//!            ├─▶ application.rs   one workload for each source
//!  Accepted ─┤   endpoint.rs      one workload for each endpoint
//!            └─▶ standalone.rs    one part for each source, and one workload for each shard
//! ```
//!
//! A topology is one file here and one variant of [`Topology`]. [`resources`](crate::resources) makes the objects of each
//! workload.

mod application;
pub(crate) mod configuration;
mod database;
mod endpoint;
mod name;
mod output_address;
mod peers;
mod pod;
mod size_bound;
mod standalone;
mod status;

use std::collections::BTreeMap;

use crate::annotation::{Declaration, Endpoint};
use crate::digest::sha256;
use crate::settings::{Class, Names, Settings, Topology};
use crate::sorted_map::sorted_map;
use crate::source::{Identity, Source};
use crate::telegraf::to_toml;

pub(crate) use database::Need;
#[cfg(feature = "guest")]
pub(crate) use database::shared_secret;
pub(crate) use name::label_value;
pub(crate) use output_address::check_output_addresses;
pub(crate) use peers::{Peer, Peers, has_open_output};
pub(crate) use pod::Pod;
pub(crate) use size_bound::size_bound;
#[cfg(feature = "guest")]
pub(crate) use standalone::Base;
pub(crate) use standalone::{Part, Standalone, names_of_all};

/// A source without errors, and its declaration. Only the checks in [`render`](crate::render) create one, so that nothing
/// is planned for a refused source.
#[derive(Debug)]
pub(crate) struct Accepted<'a> {
    pub(crate) source: Source<'a>,
    pub(crate) declaration: Declaration,
    pub(crate) class: &'a str,
    pub(crate) class_settings: &'a Class,
}

impl Accepted<'_> {
    /// The values of placeholders.
    pub(crate) fn names<'s>(&'s self, settings: &'s Settings) -> Names<'s> {
        self.source.names(settings, "")
    }
}

/// The owner of a workload.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Owner<'a> {
    /// A source, or one of its endpoints.
    Source {
        identity: &'a Identity,
        endpoint: Option<&'a str>,
    },
    /// All sources together.
    All,
}

/// One Telegraf, with everything that its objects are made from.
#[derive(Debug)]
pub(crate) struct Workload<'a> {
    pub(crate) owner: Owner<'a>,
    /// The name of its objects: a DNS label.
    pub(crate) name: String,
    /// The namespace of its objects.
    pub(crate) namespace: &'a str,
    /// The values of placeholders in the pods' labels and annotations.
    pub(crate) names: Names<'a>,
    pub(crate) files: ConfigFiles,
    /// Telegraf's connections.
    pub(crate) peers: Peers,
    pub(crate) pod: Pod,
    /// What its outputs need of databases. In `standalone` that belongs to all workloads together.
    pub(crate) needs: Vec<Need>,
    /// It uses tokens that are provided.
    pub(crate) has_tokens: bool,
    /// The digest that it tells with its state, if it does.
    pub(crate) status: Option<String>,
}

/// The files of a Telegraf's configuration, by name.
#[derive(Debug)]
pub(crate) enum ConfigFiles {
    /// One file, which Telegraf reads by its path.
    One(BTreeMap<String, String>),
    /// Any number of files in a directory that Telegraf reads. `digests` is a text that changes with them, if a change of them
    /// is a rollout.
    Directory {
        files: BTreeMap<String, String>,
        digests: String,
    },
}

impl ConfigFiles {
    /// The name of the file in [`Self::One`].
    pub(crate) const FILE: &'static str = "telegraf.conf";

    /// The files, by name.
    pub(crate) fn by_name(&self) -> &BTreeMap<String, String> {
        match self {
            Self::One(files) | Self::Directory { files, .. } => files,
        }
    }

    /// A digest of all files.
    pub(crate) fn digest(&self) -> String {
        match self {
            Self::One(files) => {
                let files = files.iter();
                sha256(
                    &files
                        .map(|(name, text)| format!("{name}\n{text}\n"))
                        .collect::<String>(),
                )
            }
            Self::Directory { digests, .. } => sha256(digests),
        }
    }
}

/// The workloads of a single source. In `standalone` there are none, because a source is a [`Part`] of the shared one.
pub(crate) fn of_source<'a>(accepted: &'a Accepted<'a>, settings: &'a Settings) -> Vec<Workload<'a>> {
    match settings.topology {
        Topology::Application => vec![application::workload(accepted, settings)],
        Topology::Endpoint => endpoint::workloads(accepted, settings),
        Topology::Standalone => Vec::new(),
    }
}

/// A Telegraf in the source's namespace that scrapes some of its endpoints. `only` is the endpoint's name, if it scrapes
/// only one.
fn of_endpoints<'a>(
    accepted: &'a Accepted<'a>,
    only: Option<&'a str>,
    endpoints: &[&Endpoint],
    settings: &'a Settings,
) -> Workload<'a> {
    let Accepted {
        source, declaration, ..
    } = accepted;
    let identity = &source.identity;
    let configuration = configuration::of_source(accepted, endpoints, settings);
    let names = accepted.source.names(settings, configuration::endpoint_name(endpoints));
    let holder = identity.to_string();
    let needs = database::of_class(&holder, accepted.class_settings, &names, settings, |_| true);
    let mut pod = Pod::of(declaration, settings);
    pod.take_tokens(&needs);
    pod.take_credentials(endpoints);
    let mut file = to_toml(&configuration);
    let status = status::add_to(&mut file, settings);
    Workload {
        owner: Owner::Source {
            identity,
            endpoint: only,
        },
        name: name::object_name(identity, only, settings),
        namespace: &source.namespace,
        names: accepted.names(settings),
        files: ConfigFiles::One(sorted_map([(ConfigFiles::FILE.to_owned(), file)])),
        peers: peers::of_telegraf(endpoints, &configuration, settings),
        pod,
        has_tokens: needs.iter().any(|need| need.database.token.is_some()),
        needs,
        status,
    }
}
