//! `topology: standalone`: one Telegraf for all sources, or a few (shards), in a separate namespace.
//!
//! Each source has one file, with its inputs and the outputs that are restricted to its metrics. The file depends only on
//! the source and the settings, so a source cannot change the file of another one.
//!
//! Everything else of a shard depends on its sources only by what they need beside their files: destinations of connections,
//! variables with tokens, and digests of the files if a change of them is a rollout. Needs are short texts, and a shard has each
//! once. So a host that keeps files and needs has a shard rendered again only if it needs something else, and without its files.

use std::collections::{BTreeMap, BTreeSet};

use super::peers::{self, Peer, Peers};
use super::{Accepted, ConfigFiles, Need, Owner, Pod, Workload, configuration, database, name, status};
use crate::digest::sha256;
use crate::settings::{Names, Reload, Settings, has_placeholder};
use crate::shards::{self, Ledger, SHARED_NAME, TooLarge, place};
use crate::sorted_map::SmallMap;
use crate::source::Identity;
use crate::telegraf::to_toml;
use crate::well_known::ALL_SOURCES;

/// The name of the file that all sources share. Telegraf reads files in the order of their names, and `[agent]` applies
/// only to files that are read later, so this name must sort before those of the sources.
const SHARED_FILE: &str = "00-telegraf.conf";

/// One source's part of the shared Telegraf.
#[derive(Debug)]
pub(crate) struct Part {
    identity: Identity,
    /// The tenant whose limit applies: an Application's namespace or, for Namespaces and for Applications in Argo CD's
    /// namespace, the scraped namespace.
    tenant: String,
    file_name: String,
    file: String,
    databases: Vec<Need>,
    /// What its shard needs beside the file.
    needs: Vec<String>,
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
        let (file_name, file) = (name::file_name(&source.identity), to_toml(&configuration));
        let databases = databases_of(accepted, settings);
        let mut needs = Vec::new();
        if settings.network_policy {
            let peers = peers::of_telegraf(&endpoints, &configuration, settings);
            needs.extend(peers.as_slice().iter().map(Peer::to_text));
        }
        add_tokens(&mut needs, &databases);
        if settings.reload == Reload::Rollout {
            needs.push(format!("{FILE}{file_name} {}", sha256(&file)));
        }
        Self {
            identity: source.identity.clone(),
            tenant: tenant.clone(),
            file_name,
            file,
            databases,
            needs,
        }
    }

    /// Whose it is.
    #[cfg(feature = "guest")]
    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What the source's own outputs need of databases.
    pub(crate) fn databases(&self) -> &[Need] {
        &self.databases
    }

    /// The size in bytes.
    pub(crate) fn size(&self) -> usize {
        self.file_name.len() + self.file.len()
    }

    /// For a host, which keeps it.
    #[cfg(feature = "guest")]
    pub(crate) fn into_answer(self) -> crate::protocol::Part {
        crate::protocol::Part {
            source: self.identity.to_string(),
            tenant: self.tenant,
            file: self.file_name,
            text: self.file,
            databases: self.databases.into_iter().map(|need| need.database).collect(),
            needs: self.needs,
        }
    }
}

fn databases_of(accepted: &Accepted<'_>, settings: &Settings) -> Vec<Need> {
    let (names, holder) = (accepted.names(settings), accepted.source.identity.to_string());
    database::of_class(&holder, accepted.class_settings, &names, settings, has_placeholder)
}

/// The needs of variables with tokens.
fn add_tokens(needs: &mut Vec<String>, databases: &[Need]) {
    for Need { database, variable } in databases {
        if database.token.is_some() {
            needs.push(format!("{TOKEN}{variable}"));
        }
    }
}

/// How a need begins that is the variable of a token, and one that is a file's digest. All others are peers.
const TOKEN: &str = "token ";
const FILE: &str = "file ";

/// The shared Telegrafs, to which parts are added.
#[derive(Debug)]
pub(crate) struct Standalone<'a> {
    settings: &'a Settings,
    /// The parts by source.
    parts: SmallMap<Identity, Part>,
    ledger: Ledger,
    base: Base,
}

impl<'a> Standalone<'a> {
    /// The Telegrafs without sources. `shards` is how many there are now.
    pub(crate) fn new(settings: &'a Settings, shards: usize) -> Self {
        let base = Base::of(settings);
        Self {
            settings,
            parts: SmallMap::default(),
            ledger: Ledger::new(settings.standalone.shards, shards, base.size()),
            base,
        }
    }

    /// Adds or replaces a source's part.
    ///
    /// # Errors
    /// If there is no room for it. The previous part stays.
    pub(crate) fn add(&mut self, part: Part) -> Result<(), TooLarge> {
        self.ledger.put(&part.identity.to_string(), &part.tenant, part.size())?;
        self.parts.insert(part.identity.clone(), part);
        Ok(())
    }

    /// Removes a source's part.
    pub(crate) fn remove(&mut self, identity: &Identity) {
        self.ledger.remove(&identity.to_string());
        self.parts.remove(identity);
    }

    /// The workload of each shard, the last one first: a source that has moved to a new shard is in the new place before it
    /// leaves the old one. And what all sources need of databases.
    pub(crate) fn workloads(self) -> (Vec<Workload<'a>>, Vec<Need>) {
        let shards = self.ledger.shards();
        let mut of_shards: Vec<_> = (0..shards).map(|_| (BTreeMap::new(), BTreeSet::new())).collect();
        let mut databases = self.base.databases.clone();
        for (identity, part) in self.parts {
            let (files, needs) = &mut of_shards[place(&identity.to_string(), shards)];
            files.insert(part.file_name, part.file);
            for need in part.needs {
                needs.insert(need);
            }
            // Each source has outputs of its own.
            databases.extend(part.databases);
        }
        let of_shards = of_shards.into_iter().enumerate().rev();
        let workload = |(shard, (files, needs))| self.base.workload(shard, files, needs, self.settings);
        (of_shards.map(workload).collect(), databases)
    }
}

/// The values of placeholders in what belongs to no single source.
pub(crate) fn names_of_all(settings: &Settings) -> Names<'_> {
    Names {
        application: SHARED_NAME,
        namespace: &settings.standalone.namespace,
        bucket: SHARED_NAME,
        endpoint: "",
        cluster_domain: &settings.endpoints.cluster_domain,
    }
}

/// What every shard has.
#[derive(Debug)]
pub(crate) struct Base {
    file: String,
    /// See [`Workload::status`].
    status: Option<String>,
    databases: Vec<Need>,
    needs: Vec<String>,
}

impl Base {
    pub(crate) fn of(settings: &Settings) -> Self {
        let class = &settings.classes[&*settings.default_class];
        let shared = configuration::shared_by_all(class, settings);
        let mut file = to_toml(&shared);
        let status = status::add_to(&mut file, settings);
        let is_shared = |output: &_| !has_placeholder(output);
        let databases = database::of_class(ALL_SOURCES, class, &Names::NONE, settings, is_shared);
        let peers = peers::of_outputs(&shared, settings);
        let mut needs: Vec<_> = peers.as_slice().iter().map(Peer::to_text).collect();
        add_tokens(&mut needs, &databases);
        Self {
            file,
            status,
            databases,
            needs,
        }
    }

    /// The size of its file, in bytes.
    pub(crate) fn size(&self) -> usize {
        SHARED_FILE.len() + self.file.len()
    }

    /// What the outputs need of databases that are the same for all sources.
    #[cfg(feature = "guest")]
    pub(crate) fn databases(&self) -> &[Need] {
        &self.databases
    }

    /// The workload of a shard with these files of sources, which need something.
    pub(crate) fn workload<'a>(
        &self,
        shard: usize,
        mut files: BTreeMap<String, String>,
        mut needs: BTreeSet<String>,
        settings: &'a Settings,
    ) -> Workload<'a> {
        let namespace = &*settings.standalone.namespace;
        files.insert(SHARED_FILE.to_owned(), self.file.clone());
        for need in &self.needs {
            needs.insert(need.clone());
        }
        let (mut peers, mut pod) = (Peers::default(), Pod::of_settings(settings));
        let (mut digests, mut has_tokens) = (self.file.clone(), false);
        for need in &needs {
            if let Some(variable) = need.strip_prefix(TOKEN) {
                has_tokens = true;
                pod.take_shared_token(variable, database::shared_secret(settings));
            } else if need.starts_with(FILE) {
                digests.push_str(need);
            } else {
                peers.insert_text(need);
            }
        }
        Workload {
            owner: Owner::All,
            name: shards::name(shard),
            namespace,
            names: names_of_all(settings),
            files: ConfigFiles::Directory { files, digests },
            peers,
            pod,
            has_tokens,
            needs: Vec::new(),
            status: self.status.clone(),
        }
    }
}
