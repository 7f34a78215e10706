//! `topology: standalone`: one Telegraf for all sources, in a separate namespace.
//!
//! Each source has one file, with its inputs and the outputs that are restricted to its metrics. The file depends only on
//! the source and the settings, so a source cannot change the file of another one.

use std::collections::BTreeMap;

use super::peers::{self, Peers};
use super::{Accepted, ConfigFiles, Need, Owner, Pod, Workload, configuration, database, name, status};
use crate::settings::{Names, Settings, has_placeholder};
use crate::sorted_map::SmallMap;
use crate::source::Identity;
use crate::telegraf::to_toml;
use crate::well_known::ALL_SOURCES;

/// The name of the file that all sources share. Telegraf reads files in the order of their names, and `[agent]` applies
/// only to files that are read later, so this name must sort before those of the sources.
const SHARED_FILE: &str = "00-telegraf.conf";

/// The maximum size of all files in a ConfigMap, in bytes, with some room for its metadata:
/// <https://kubernetes.io/docs/concepts/configuration/configmap/#motivation>.
pub(crate) const MAX_CONFIG_MAP: usize = 1_048_576 - 4096;

/// The maximum size of one source's file, in bytes.
pub(crate) const MAX_PART: usize = MAX_CONFIG_MAP / 8;

/// The maximum size of all files of one tenant, in bytes.
const MAX_TENANT: usize = MAX_CONFIG_MAP / 4;

/// One source's part of the shared Telegraf.
#[derive(Debug)]
pub(crate) struct Part {
    identity: Identity,
    /// The tenant whose limit applies: an Application's namespace or, for Namespaces and for Applications in Argo CD's
    /// namespace, the scraped namespace.
    tenant: String,
    file_name: String,
    file: String,
    peers: Peers,
    needs: Vec<Need>,
}

impl Part {
    /// The part of a source.
    pub(crate) fn of(accepted: &Accepted<'_>, settings: &Settings) -> Self {
        let endpoints: Vec<_> = accepted.declaration.endpoints.iter().collect();
        let configuration = configuration::part_of_source(accepted, settings);
        let source = &accepted.source;
        let tenant = match &source.identity {
            Identity::Application { namespace, .. } if *namespace != settings.sources.argocd_namespace => namespace,
            Identity::Application { .. } | Identity::Namespace { .. } => &source.namespace,
        };
        Self {
            identity: source.identity.clone(),
            tenant: tenant.clone(),
            file_name: name::file_name(&source.identity),
            file: to_toml(&configuration),
            peers: peers::of_telegraf(&endpoints, &configuration, settings),
            needs: needs_of(accepted, settings),
        }
    }

    /// What the source's own outputs need of databases.
    pub(crate) fn needs(&self) -> &[Need] {
        &self.needs
    }

    /// The size in bytes.
    pub(crate) fn size(&self) -> usize {
        self.file_name.len() + self.file.len()
    }
}

fn needs_of(accepted: &Accepted<'_>, settings: &Settings) -> Vec<Need> {
    let (names, holder) = (accepted.names(settings), accepted.source.identity.to_string());
    database::of_class(&holder, accepted.class_settings, &names, settings, has_placeholder)
}

/// The shared Telegraf, to which parts are added.
#[derive(Debug)]
pub(crate) struct Standalone<'a> {
    settings: &'a Settings,
    /// The parts by source.
    parts: SmallMap<Identity, Part>,
    /// The size in bytes.
    size: usize,
    shared_file: String,
    /// See [`Workload::status`].
    status: Option<String>,
    shared_peers: Peers,
    shared_needs: Vec<Need>,
}

impl<'a> Standalone<'a> {
    /// The Telegraf without sources.
    pub(crate) fn new(settings: &'a Settings) -> Self {
        let class = &settings.classes[&*settings.default_class];
        let shared = configuration::shared_by_all(class, settings);
        let mut shared_file = to_toml(&shared);
        let status = status::add_to(&mut shared_file, settings);
        Self {
            settings,
            parts: SmallMap::default(),
            size: SHARED_FILE.len() + shared_file.len(),
            shared_file,
            status,
            shared_peers: peers::of_outputs(&shared, settings),
            shared_needs: database::of_class(ALL_SOURCES, class, &Names::NONE, settings, |output| {
                !has_placeholder(output)
            }),
        }
    }

    /// Adds or replaces a source's part.
    ///
    /// # Errors
    /// If there is no room for it: the resulting size and the limit, in bytes. The previous part stays.
    pub(crate) fn add(&mut self, part: Part) -> Result<(), (usize, usize)> {
        let size = self.size - self.size_of(&part.identity) + part.size();
        if part.size() > MAX_PART {
            return Err((part.size(), MAX_PART));
        }
        let of_tenant = self.parts.values();
        let of_tenant = of_tenant.filter(|other| other.tenant == part.tenant && other.identity != part.identity);
        let of_tenant = part.size() + of_tenant.map(Part::size).sum::<usize>();
        if of_tenant > MAX_TENANT {
            return Err((of_tenant, MAX_TENANT));
        }
        if size > MAX_CONFIG_MAP {
            return Err((size, MAX_CONFIG_MAP));
        }
        self.size = size;
        self.parts.insert(part.identity.clone(), part);
        Ok(())
    }

    fn size_of(&self, identity: &Identity) -> usize {
        self.parts.get(identity).map_or(0, Part::size)
    }

    /// Removes a source's part.
    pub(crate) fn remove(&mut self, identity: &Identity) {
        self.size -= self.size_of(identity);
        self.parts.remove(identity);
    }

    /// The workload of all parts.
    pub(crate) fn workload(self) -> Workload<'a> {
        let namespace = self.settings.standalone.namespace.as_str();
        let mut files = BTreeMap::new();
        files.insert(SHARED_FILE.to_owned(), self.shared_file);
        let mut peers = self.shared_peers;
        let mut needs = self.shared_needs;
        for (_, part) in self.parts {
            files.insert(part.file_name, part.file);
            peers.merge(part.peers);
            // Each source has outputs of its own.
            needs.extend(part.needs);
        }
        let mut pod = Pod::of_settings(self.settings);
        pod.take_tokens(&needs, self.settings);
        Workload {
            owner: Owner::All,
            name: name::SHARED_NAME.to_owned(),
            namespace,
            names: Names {
                application: name::SHARED_NAME,
                namespace,
                bucket: name::SHARED_NAME,
                endpoint: "",
                cluster_domain: &self.settings.endpoints.cluster_domain,
            },
            files: ConfigFiles::Directory(files),
            peers,
            pod,
            needs,
            status: self.status,
        }
    }
}
