//! `topology: standalone`: one Telegraf for all sources, in a namespace of its own.
//!
//! Each source is one file: its inputs, and the outputs that take its metrics alone. A source's part depends on that source
//! and the settings, and on nothing else: what one source writes changes no other part.

use std::collections::BTreeMap;

use super::peers::{self, Peers};
use super::{Accepted, ConfigFiles, Owner, Pod, Workload, configuration, name};
use crate::settings::{Names, Settings};
use crate::source::Identity;
use crate::telegraf::to_toml;

/// What all sources share. Telegraf reads files in the order of their names, and what `[agent]` says counts only for what is
/// read after it: this name is before every source's.
const SHARED_FILE: &str = "00-telegraf.conf";

/// The most that a ConfigMap holds, in bytes, with some room for its metadata:
/// <https://kubernetes.io/docs/concepts/configuration/configmap/#motivation>.
pub(crate) const MAX_CONFIG_MAP: usize = 1_048_576 - 4096;

/// The most that one source may take of it, in bytes.
const MAX_PART: usize = MAX_CONFIG_MAP / 8;

/// The most that all sources of one tenant may take of it, in bytes.
const MAX_TENANT: usize = MAX_CONFIG_MAP / 4;

/// What one source adds.
#[derive(Debug)]
pub(crate) struct Part {
    identity: Identity,
    /// Whose room it takes: the namespace of an Application, or, of one in Argo CD's own namespace and of a Namespace, the
    /// namespace that is scraped.
    tenant: String,
    file_name: String,
    file: String,
    peers: Peers,
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
        }
    }

    /// How much room it needs, in bytes.
    fn size(&self) -> usize {
        self.file_name.len() + self.file.len()
    }
}

/// The Telegraf of all sources, while its parts are put together.
#[derive(Debug)]
pub(crate) struct Standalone<'a> {
    settings: &'a Settings,
    /// `None` for a source that was taken out again.
    parts: BTreeMap<Identity, Option<Part>>,
    /// In bytes.
    size: usize,
    shared_file: String,
    shared_peers: Peers,
}

impl<'a> Standalone<'a> {
    /// A Telegraf without any source.
    pub(crate) fn new(settings: &'a Settings) -> Self {
        let class = &settings.classes[&settings.default_class];
        let shared = configuration::shared_by_all(class, settings);
        let shared_file = to_toml(&shared);
        Self {
            settings,
            parts: BTreeMap::new(),
            size: SHARED_FILE.len() + shared_file.len(),
            shared_file,
            shared_peers: peers::of_outputs(&shared, settings),
        }
    }

    /// Adds a source's part, or replaces the one that it has.
    ///
    /// # Errors
    /// When there is no room for it: the size that all would have, and the limit, in bytes. What was there stays.
    pub(crate) fn add(&mut self, part: Part) -> Result<(), (usize, usize)> {
        let size = self.size - self.size_of(&part.identity) + part.size();
        if part.size() > MAX_PART {
            return Err((part.size(), MAX_PART));
        }
        let of_tenant = self.parts.values().flatten();
        let of_tenant = of_tenant.filter(|other| other.tenant == part.tenant && other.identity != part.identity);
        let of_tenant = part.size() + of_tenant.map(Part::size).sum::<usize>();
        if of_tenant > MAX_TENANT {
            return Err((of_tenant, MAX_TENANT));
        }
        if size > MAX_CONFIG_MAP {
            return Err((size, MAX_CONFIG_MAP));
        }
        self.size = size;
        self.parts.insert(part.identity.clone(), Some(part));
        Ok(())
    }

    fn size_of(&self, identity: &Identity) -> usize {
        let part = self.parts.get(identity).and_then(Option::as_ref);
        part.map_or(0, Part::size)
    }

    /// Takes a source's part out.
    pub(crate) fn remove(&mut self, identity: &Identity) {
        self.size -= self.size_of(identity);
        // A map that can also lose an entry is 3 KB of the module.
        if let Some(part) = self.parts.get_mut(identity) {
            *part = None;
        }
    }

    /// The workload that they come to.
    pub(crate) fn workload(self) -> Workload<'a> {
        let namespace = self.settings.standalone.namespace.as_str();
        let mut files = BTreeMap::new();
        files.insert(SHARED_FILE.to_owned(), self.shared_file);
        let mut peers = self.shared_peers;
        for part in self.parts.into_values().flatten() {
            files.insert(part.file_name, part.file);
            peers.merge(part.peers);
        }
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
            pod: Pod::of_settings(self.settings),
        }
    }
}
