//! `topology: standalone`: which Telegraf scrapes which source, as the operator knows it. Nothing here asks the cluster.
//!
//! The core says where a source's file goes, and how many shards there are. When a file has to move, its old shard keeps it until
//! the Telegraf of the new one runs: no metric is lost, and some are written twice for a moment.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use telewarden::{Part, Rendered};
use telewarden_policy::shards::{Ledger, TooLarge, name, place};
use tokio::time::Instant;

use crate::live_object::Digest;

/// After this a Telegraf that was there before reads its new configuration: the kubelet looks for changes of ConfigMaps each
/// minute, with a cache of as much
/// (<https://kubernetes.io/docs/concepts/configuration/configmap/#mounted-configmaps-are-updated-automatically>), and Telegraf each
/// 10 s.
pub(crate) const RELOAD: Duration = Duration::from_secs(130);

/// The most bytes of files in a ConfigMap with those that leave it.
const MOST: usize = 1_000_000;

/// All shards, and what is in them.
#[derive(Debug)]
pub(crate) struct Shards {
    ledger: Ledger,
    /// What is accepted of each source.
    parts: BTreeMap<String, Arc<Part>>,
    /// Those that are meant to be, and behind them those from which sources are still leaving.
    shards: Vec<Shard>,
    /// The sources whose shard has changed, since it was last asked.
    moved: BTreeSet<String>,
    /// True if all sources are there, and what the cluster has is known.
    pub(crate) is_complete: bool,
}

/// One Telegraf.
#[derive(Debug)]
pub(crate) struct Shard {
    /// Its files, by source.
    files: BTreeMap<String, Arc<Part>>,
    /// The sources whose place is another shard.
    leaving: BTreeSet<String>,
    /// What the module rendered for the needs of its sources, without their files.
    rendered: Option<Arc<Rendered>>,
    needs: BTreeSet<String>,
    /// True if its files have changed since its needs were last compared.
    is_touched: bool,
    /// Of the ConfigMap with all files.
    digest: Option<Digest>,
    written: Written,
    /// True if it is the operator that has created its Telegraf, so that its pod has started with the files that moved there.
    is_new: bool,
    /// When sources moved here.
    since: Instant,
}

/// What is known of the ConfigMap in the cluster.
#[derive(Debug, Default)]
struct Written {
    /// The digest of the object that was written last.
    digest: Option<Digest>,
    /// The files that have changed since then.
    changed: BTreeSet<String>,
}

impl Shards {
    /// Without sources. There are `current` shards now; the setting is none for `auto`; and each ConfigMap has `base` bytes apart
    /// from the sources' files.
    pub(crate) fn new(setting: Option<usize>, current: usize, base: usize) -> Self {
        let mut all = Self {
            ledger: Ledger::new(setting, current, base),
            parts: BTreeMap::new(),
            shards: Vec::new(),
            moved: BTreeSet::new(),
            is_complete: false,
        };
        all.spread();
        all
    }

    /// What is accepted of a source.
    pub(crate) fn part(&self, source: &str) -> Option<&Arc<Part>> {
        self.parts.get(source)
    }

    /// All that is accepted, by source.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &Arc<Part>> {
        self.parts.values()
    }

    /// The shards, and those that are still left by sources.
    pub(crate) fn shards(&mut self) -> &mut [Shard] {
        &mut self.shards
    }

    /// The shard of a source.
    pub(crate) fn shard_of(&self, source: &str) -> Option<&Shard> {
        self.shards.get(place(source, self.ledger.shards()))
    }

    /// The sources whose shard has changed since this was last asked.
    pub(crate) fn take_moved(&mut self) -> BTreeSet<String> {
        std::mem::take(&mut self.moved)
    }

    /// Adds or replaces what is accepted of a source.
    ///
    /// # Errors
    /// If there is no room for it. What was there before stays.
    pub(crate) fn put(&mut self, part: Part) -> Result<(), TooLarge> {
        let size = part.file.len() + part.text.len();
        let (shards, part) = (self.ledger.shards(), Arc::new(part));
        self.ledger.put(&part.source, &part.tenant, size)?;
        self.parts.insert(part.source.clone(), part.clone());
        if self.ledger.shards() != shards {
            self.spread();
        }
        let place = place(&part.source, self.ledger.shards());
        for (number, shard) in self.shards.iter_mut().enumerate() {
            if number == place || shard.files.contains_key(&part.source) {
                shard.set(&part);
            }
        }
        Ok(())
    }

    /// Removes a source.
    pub(crate) fn remove(&mut self, source: &str) {
        self.ledger.remove(source);
        self.parts.remove(source);
        self.shards.iter_mut().for_each(|shard| shard.unset(source));
    }

    /// Gives up shards that are not needed any more.
    pub(crate) fn settle(&mut self) {
        let shards = self.ledger.shards();
        self.ledger.shrink();
        if self.ledger.shards() != shards {
            self.spread();
        }
    }

    /// Puts each source into its place.
    fn spread(&mut self) {
        let shards = self.ledger.shards();
        if self.shards.len() != shards {
            tracing::info!(shards, "the number of Telegrafs of all sources");
        }
        while self.shards.len() < shards {
            self.shards.push(Shard::new(Instant::now()));
        }
        for (source, part) in &self.parts {
            let place = place(source, shards);
            for (number, shard) in self.shards.iter_mut().enumerate() {
                let has = shard.files.contains_key(source);
                if number != place && has {
                    shard.leaving.insert(source.clone());
                } else if number == place && !has {
                    shard.set(part);
                    shard.since = Instant::now();
                    self.moved.insert(source.clone());
                } else if number == place {
                    shard.leaving.remove(source);
                }
            }
        }
    }

    /// Tells which files a ConfigMap in the cluster has. The text of a file is never read.
    pub(crate) fn found(&mut self, number: usize, files: &BTreeSet<String>) {
        while self.shards.len() <= number {
            self.shards.push(Shard::new(Instant::now()));
        }
        let shards = self.ledger.shards();
        let shard = &mut self.shards[number];
        shard.is_new = false;
        for (source, part) in &self.parts {
            if place(source, shards) != number && files.contains(&part.file) {
                shard.set(part);
                shard.leaving.insert(source.clone());
            }
        }
    }

    /// The shards that others are leaving for, by number.
    pub(crate) fn awaited(&self) -> BTreeSet<usize> {
        let shards = self.ledger.shards();
        let leaving = self.shards.iter().flat_map(|shard| &shard.leaving);
        leaving.map(|source| place(source, shards)).collect()
    }

    /// Takes from the other shards what `is_up` says runs in its new place, and what there is no room for. Then shards that are not
    /// needed any more go.
    pub(crate) fn release(&mut self, is_up: &BTreeSet<usize>) {
        let shards = self.ledger.shards();
        for shard in &mut self.shards {
            let is_full = !shard.leaving.is_empty() && shard.size() > MOST;
            let leave = |source: &String| is_full || is_up.contains(&place(source, shards));
            let gone: Vec<_> = shard.leaving.iter().filter(|source| leave(source)).cloned().collect();
            gone.iter().for_each(|source| shard.unset(source));
        }
        while self.shards.len() > shards && self.shards.last().is_some_and(|shard| shard.leaving.is_empty()) {
            self.shards.pop();
        }
    }
}

impl Shard {
    fn new(now: Instant) -> Self {
        Self {
            files: BTreeMap::new(),
            leaving: BTreeSet::new(),
            rendered: None,
            needs: BTreeSet::new(),
            is_touched: true,
            digest: None,
            written: Written::default(),
            is_new: true,
            since: now,
        }
    }

    fn set(&mut self, part: &Arc<Part>) {
        let before = self.files.insert(part.source.clone(), part.clone());
        if before.as_ref().is_none_or(|before| **before != **part) {
            self.touch(&part.file);
        }
    }

    fn unset(&mut self, source: &str) {
        self.leaving.remove(source);
        if let Some(part) = self.files.remove(source) {
            self.touch(&part.file);
        }
    }

    fn touch(&mut self, file: &str) {
        self.is_touched = true;
        self.digest = None;
        self.written.changed.insert(file.to_owned());
    }

    fn size(&self) -> usize {
        let sizes = self.files.values().map(|part| part.file.len() + part.text.len());
        sizes.sum()
    }

    /// What the module has to be asked for, if it is not known.
    pub(crate) fn needs_rendering(&mut self) -> Option<Vec<String>> {
        if std::mem::take(&mut self.is_touched) {
            let needs: BTreeSet<_> = self.files.values().flat_map(|part| &part.needs).cloned().collect();
            if needs != self.needs {
                (self.needs, self.rendered) = (needs, None);
            }
        }
        self.rendered.is_none().then(|| self.needs.iter().cloned().collect())
    }

    /// Takes the module's answer to [`Self::needs_rendering`].
    pub(crate) fn set_rendered(&mut self, rendered: Rendered) {
        self.rendered = Some(Arc::new(rendered));
        self.digest = None;
    }

    /// What the module rendered, without the files.
    pub(crate) fn rendered(&self) -> Option<&Arc<Rendered>> {
        self.rendered.as_ref()
    }

    /// The ConfigMap, from the one without files.
    pub(crate) fn config_map(&self, mut without_files: Value) -> Value {
        if let Some(data) = without_files["data"].as_object_mut() {
            for part in self.files.values() {
                data.insert(part.file.clone(), Value::String(part.text.clone()));
            }
        }
        without_files
    }

    /// The digest of the ConfigMap.
    pub(crate) fn digest(&mut self, without_files: &Value) -> Digest {
        let known = self.digest;
        let digest = known.unwrap_or_else(|| Digest::of_rendered(&self.config_map(without_files.clone())));
        self.digest = Some(digest);
        digest
    }

    /// The digest of what was written last, and the files that have changed since, with their texts; none where one is gone.
    pub(crate) fn changes(&self) -> Option<(Digest, BTreeMap<&str, Option<&str>>)> {
        let texts: BTreeMap<&str, &str> = self.files.values().map(|part| (&*part.file, &*part.text)).collect();
        let changed = self.written.changed.iter();
        let changed = changed.map(|file| (file.as_str(), texts.get(file.as_str()).copied()));
        Some((self.written.digest?, changed.collect()))
    }

    /// Takes note that the ConfigMap is in the cluster as it should be.
    pub(crate) fn is_written(&mut self) {
        self.written = Written {
            digest: self.digest,
            changed: BTreeSet::new(),
        };
    }

    /// True if its pod reads what has moved here, once it is rolled out.
    pub(crate) fn may_be_up(&self) -> bool {
        let is_written = self.written.digest.is_some() && self.written.changed.is_empty();
        is_written && (self.is_new || self.since.elapsed() >= RELOAD)
    }
}

/// The name of the objects of a shard.
pub(crate) fn name_of(number: usize) -> String {
    name(number)
}
