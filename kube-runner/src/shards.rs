//! `topology: standalone`: which Telegraf scrapes which source, as the operator knows it. Nothing here asks the cluster.
//!
//! The core says where a source's file goes, and how many shards there are. When a file has to move, its old shard keeps it until
//! the Telegraf of the new one runs: no metric is lost, and some are written twice for a moment.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use telewarden::{Part, Rendered};
use telewarden_policy::shards::{Ledger, TooLarge, place};
use tokio::time::Instant;

use crate::live_object::Digest;

/// How long a running Telegraf needs at most to read a changed ConfigMap: the kubelet looks for changes of ConfigMaps each
/// minute, with a cache of as much
/// (<https://kubernetes.io/docs/concepts/configuration/configmap/#mounted-configmaps-are-updated-automatically>), and Telegraf each
/// 10 s.
pub(crate) const RELOAD: Duration = Duration::from_secs(130);

/// The maximum size of a ConfigMap's files while some of them leave it, in bytes. Above it they are removed at once.
const MAX_WHILE_LEAVING: usize = 1_000_000;

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
    /// The sources for whose last text there was no room: the tenant, and the size.
    refused: BTreeMap<String, (String, usize)>,
    /// True if there is more room since it was last asked who fits now.
    has_more_room: bool,
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
    /// True if it needs something else than what was rendered.
    is_stale: bool,
    needs: BTreeSet<String>,
    /// True if its files have changed since its needs were last compared.
    is_touched: bool,
    /// Of the ConfigMap with all files.
    digest: Option<Digest>,
    written: Written,
    /// True if its ConfigMap had the files that moved here from the beginning, so that its pod has started with them.
    is_new: bool,
    /// When files that moved here were written last.
    since: Instant,
    /// True if its ConfigMap was there when the operator started, and has not been compared yet.
    is_found: bool,
}

/// What is known of the ConfigMap in the cluster.
#[derive(Debug, Default)]
struct Written {
    /// The digest of the object that was written last.
    digest: Option<Digest>,
    /// The files that have changed since then.
    changed: BTreeSet<String>,
}

/// What an operator that has just started finds of a shard.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) number: usize,
    /// The names of the files in its ConfigMap.
    pub(crate) files: BTreeSet<String>,
    /// True if it has not been changed since it was created.
    pub(crate) is_as_created: bool,
    /// How long ago it was changed last.
    pub(crate) age: Duration,
}

impl Shards {
    /// Creates shards without sources. `setting` is `None` for `auto`, `current` is the number of ConfigMaps in the cluster, and
    /// `base` the size of what each ConfigMap has beside the sources' files, in bytes.
    pub(crate) fn new(setting: Option<usize>, current: usize, base: usize) -> Self {
        let mut all = Self {
            ledger: Ledger::new(setting, current, base),
            parts: BTreeMap::new(),
            shards: Vec::new(),
            moved: BTreeSet::new(),
            refused: BTreeMap::new(),
            has_more_room: false,
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
        if let Err(too_large) = self.ledger.put(&part.source, &part.tenant, size) {
            self.refused.insert(part.source.clone(), (part.tenant.clone(), size));
            return Err(too_large);
        }
        self.refused.remove(&part.source);
        let before = self.parts.insert(part.source.clone(), part.clone());
        self.has_more_room |=
            before.is_some_and(|before| before.tenant != part.tenant || before.file.len() + before.text.len() > size);
        if self.ledger.shards() != shards {
            self.has_more_room = true;
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
        self.refused.remove(source);
        self.has_more_room |= self.parts.remove(source).is_some();
        self.shards.iter_mut().for_each(|shard| shard.unset(source));
    }

    /// The sources that were refused because there was no room, and for which there is room now.
    pub(crate) fn fit_now(&mut self) -> Vec<String> {
        if !std::mem::take(&mut self.has_more_room) {
            return Vec::new();
        }
        let fits = |(source, (tenant, size)): (&String, &(String, usize))| {
            self.ledger.has_room(source, tenant, *size).then(|| source.clone())
        };
        self.refused.iter().filter_map(fits).collect()
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
                if number != place && has && shard.written.digest.is_none() {
                    // Nobody scrapes it there yet, as far as is known.
                    shard.unset(source);
                } else if number != place && has {
                    shard.leaving.insert(source.clone());
                } else if number == place && !has {
                    shard.set(part);
                    if shard.written.digest.is_some() {
                        shard.has_gained();
                    }
                    self.moved.insert(source.clone());
                } else if number == place {
                    shard.leaving.remove(source);
                }
            }
        }
    }

    /// Tells what there is in the cluster. The text of a file is never read.
    pub(crate) fn found(&mut self, found: &Found) {
        while self.shards.len() <= found.number {
            self.shards.push(Shard::new(Instant::now()));
        }
        let shards = self.ledger.shards();
        let shard = &mut self.shards[found.number];
        shard.is_found = true;
        shard.is_new = found.is_as_created;
        shard.since = Instant::now().checked_sub(found.age).unwrap_or(shard.since);
        for (source, part) in &self.parts {
            if place(source, shards) != found.number && found.files.contains(&part.file) {
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
            let leave = |source: &&String| is_up.contains(&place(source, shards));
            let gone: Vec<_> = shard.leaving.iter().filter(leave).cloned().collect();
            gone.iter().for_each(|source| shard.unset(source));
            shard.make_room();
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
            is_stale: true,
            needs: BTreeSet::new(),
            is_touched: true,
            digest: None,
            written: Written::default(),
            is_new: true,
            since: now,
            is_found: false,
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

    /// Removes files that leave until the others have room: as few as possible, the largest first.
    fn make_room(&mut self) {
        let mut size = self.size();
        let mut leaving: Vec<_> = self
            .leaving
            .iter()
            .filter_map(|source| self.files.get(source))
            .cloned()
            .collect();
        leaving.sort_by_key(|part| part.file.len() + part.text.len());
        while size > MAX_WHILE_LEAVING
            && let Some(part) = leaving.pop()
        {
            size -= part.file.len() + part.text.len();
            self.unset(&part.source);
        }
    }

    /// What the module has to be asked for, if it is not known.
    pub(crate) fn needs_rendering(&mut self) -> Option<Vec<String>> {
        if std::mem::take(&mut self.is_touched) {
            let needs: BTreeSet<_> = self.files.values().flat_map(|part| &part.needs).cloned().collect();
            if needs != self.needs {
                (self.needs, self.is_stale) = (needs, true);
            }
        }
        self.is_stale.then(|| self.needs.iter().cloned().collect())
    }

    /// Takes the module's answer to [`Self::needs_rendering`].
    pub(crate) fn set_rendered(&mut self, rendered: Rendered) {
        (self.rendered, self.is_stale) = (Some(Arc::new(rendered)), false);
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

    /// Takes note that the ConfigMap is in the cluster as it should be. `by_us` is true if it was written for that.
    pub(crate) fn is_written(&mut self, by_us: bool) {
        if std::mem::take(&mut self.is_found) && by_us {
            self.has_gained();
        }
        self.written = Written {
            digest: self.digest,
            changed: BTreeSet::new(),
        };
    }

    /// Takes note that files move into a ConfigMap that a pod reads already.
    fn has_gained(&mut self) {
        self.is_new = false;
        self.since = Instant::now();
    }

    /// True if its pod reads what has moved here, once it is rolled out.
    pub(crate) fn may_be_up(&self) -> bool {
        let is_written = self.written.digest.is_some() && self.written.changed.is_empty();
        is_written && (self.is_new || self.since.elapsed() >= RELOAD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(number: usize, text: &str) -> Part {
        Part {
            source: format!("argoproj.io/Application/argocd/app-{number}"),
            tenant: number.to_string(),
            file: format!("application.argocd.app-{number}.conf"),
            text: text.to_owned(),
            databases: Vec::new(),
            needs: vec![format!("namespace {}", number % 3)],
        }
    }

    /// All that a Telegraf reads, by the number of its shard.
    fn texts(shards: &mut Shards) -> Vec<BTreeMap<String, String>> {
        let files = |shard: &Shard| {
            let map = shard.config_map(serde_json::json!({"data": {}}));
            serde_json::from_value(map["data"].clone()).expect("texts")
        };
        shards.shards().iter().map(files).collect()
    }

    /// Shards as they are when everything is written.
    fn shards(setting: usize, sources: usize) -> Shards {
        let mut shards = Shards::new(Some(setting), 1, 1000);
        (0..sources).for_each(|number| shards.put(part(number, "text")).expect("room"));
        write(&mut shards);
        shards
    }

    fn write(shards: &mut Shards) {
        for shard in shards.shards() {
            let digest = shard.digest(&serde_json::json!({"data": {}}));
            assert_eq!(shard.digest, Some(digest));
            shard.is_written(true);
        }
    }

    /// More than fits into one ConfigMap, in sources of different tenants.
    fn grown() -> Shards {
        let mut shards = Shards::new(None, 1, 1000);
        (0..7).for_each(|number| shards.put(part(number, &"x".repeat(100_000))).expect("room"));
        write(&mut shards);
        assert_eq!(shards.shards().len(), 1);
        shards.put(part(7, &"x".repeat(100_000))).expect("room");
        shards
    }

    #[test]
    fn a_source_is_in_one_shard_and_changes_one_file() {
        let mut all = shards(3, 30);
        let files: Vec<_> = texts(&mut all).iter().map(BTreeMap::len).collect();
        assert_eq!(files.iter().sum::<usize>(), 30);
        assert!(files.iter().all(|files| *files > 3), "{files:?}");
        all.put(part(4, "other")).unwrap();
        let changes: Vec<_> = all.shards().iter().filter_map(Shard::changes).collect();
        let changes: Vec<_> = changes.iter().flat_map(|(_, files)| files).collect();
        assert_eq!(changes, [(&"application.argocd.app-4.conf", &Some("other"))]);
        all.remove(&part(4, "").source);
        let changes: Vec<_> = all.shards().iter().filter_map(Shard::changes).collect();
        let changes: Vec<_> = changes.iter().flat_map(|(_, files)| files).collect();
        assert_eq!(changes, [(&"application.argocd.app-4.conf", &None)]);
    }

    #[test]
    fn a_shard_is_rendered_again_only_if_it_needs_something_else() {
        let mut all = shards(1, 3);
        let asked = all.shards()[0].needs_rendering();
        assert_eq!(asked.unwrap(), ["namespace 0", "namespace 1", "namespace 2"]);
        all.shards()[0].set_rendered(Rendered::default());
        all.put(part(4, "new")).unwrap();
        all.remove(&part(1, "").source);
        assert_eq!(all.shards()[0].needs_rendering(), None);
        all.remove(&part(4, "").source);
        let asked = all.shards()[0].needs_rendering();
        assert_eq!(asked.unwrap(), ["namespace 0", "namespace 2"]);
        // Until it was answered, it is asked again.
        assert!(all.shards()[0].needs_rendering().is_some());
    }

    #[test]
    fn what_was_never_written_moves_at_once() {
        let mut all = Shards::new(None, 1, 1000);
        (0..20).for_each(|number| all.put(part(number, &"x".repeat(100_000))).unwrap());
        let files: Vec<_> = texts(&mut all).iter().map(BTreeMap::len).collect();
        assert!(files.len() > 1, "{files:?}");
        assert_eq!(files.iter().sum::<usize>(), 20);
        assert!(all.awaited().is_empty());
    }

    #[test]
    fn what_moves_stays_in_the_old_shard_until_the_new_one_runs() {
        let mut all = grown();
        let [old, new] = &texts(&mut all)[..] else {
            panic!("{all:?}")
        };
        // The last one has never been in the old shard.
        assert!(old.len() >= 7, "{}", old.len());
        assert!(!new.is_empty());
        assert_eq!(all.awaited(), BTreeSet::from([1]));
        assert!(!all.shards()[1].may_be_up(), "it is not written yet");
        all.release(&BTreeSet::new());
        assert_eq!(texts(&mut all)[0].len(), old.len());
        // A source that changes meanwhile changes in both.
        let moved = all.take_moved().into_iter().next().unwrap();
        let mut changed = (*all.parts[&moved]).clone();
        changed.text = "changed".to_owned();
        all.put(changed.clone()).unwrap();
        let both = texts(&mut all);
        assert!(both.iter().all(|files| files[&changed.file] == "changed"));
        write(&mut all);
        assert!(all.shards()[1].may_be_up());
        all.release(&BTreeSet::from([1]));
        let after = texts(&mut all);
        assert_eq!(after[0].len() + after[1].len(), 8);
        assert!(!after[0].contains_key(&changed.file));
        assert!(all.awaited().is_empty());
    }

    #[test]
    fn a_shard_goes_when_others_have_read_what_was_in_it() {
        let mut all = grown();
        write(&mut all);
        all.release(&BTreeSet::from([1]));
        write(&mut all);
        (2..8).for_each(|number| all.remove(&part(number, "").source));
        all.settle();
        assert_eq!(all.shards().len(), 2);
        write(&mut all);
        if !all.awaited().is_empty() {
            assert!(!all.shards()[0].may_be_up(), "its pod has not started with them");
            let shard = &mut all.shards()[0];
            shard.since = shard.since.checked_sub(RELOAD).expect("the machine is up for longer");
            assert!(all.shards()[0].may_be_up());
        }
        all.release(&BTreeSet::from([0]));
        assert_eq!(all.shards().len(), 1);
        assert_eq!(texts(&mut all)[0].len(), 2);
    }

    #[test]
    fn after_a_restart_a_file_that_was_about_to_leave_stays_and_its_text_is_not_that_of_the_cluster() {
        let mut all = shards(2, 10);
        let (moved, part) = all.shards()[1]
            .files
            .iter()
            .next()
            .map(|(source, part)| (source.clone(), part.clone()))
            .unwrap();
        let files = [part.file.clone(), "of-nobody.conf".to_owned()].into();
        let found = |number, files| Found {
            number,
            files,
            is_as_created: false,
            age: Duration::ZERO,
        };
        all.found(&found(0, files));
        assert_eq!(texts(&mut all)[0][&part.file], "text");
        assert!(!texts(&mut all)[0].contains_key("of-nobody.conf"));
        assert_eq!(all.awaited(), BTreeSet::from([1]));
        // A shard that is not meant to be goes at once, if nothing is in it that is known.
        all.found(&found(5, BTreeSet::new()));
        all.release(&BTreeSet::new());
        assert_eq!(all.shards().len(), 2);
        all.remove(&moved);
        assert!(all.awaited().is_empty());
    }

    #[test]
    fn who_was_refused_is_named_when_there_is_room() {
        let mut all = shards(1, 0);
        let mut number = 0;
        while all.put(part(number, &"x".repeat(100_000))).is_ok() {
            number += 1;
        }
        assert!(all.fit_now().is_empty(), "nothing has changed");
        let refused = part(number, "").source;
        // What takes less room than before makes room too.
        all.put(part(0, "short")).unwrap();
        assert_eq!(all.fit_now(), [refused]);
        assert!(all.fit_now().is_empty(), "it is said once");
        all.put(part(number, &"x".repeat(100_000))).unwrap();
        all.remove(&part(1, "").source);
        assert!(all.fit_now().is_empty(), "nobody waits");
    }

    #[test]
    fn a_shard_that_could_not_be_rendered_keeps_what_it_had() {
        let mut all = shards(1, 1);
        assert!(all.shards()[0].needs_rendering().is_some());
        all.shards()[0].set_rendered(Rendered::default());
        all.put(part(1, "text")).unwrap();
        // The module fails.
        assert!(all.shards()[0].needs_rendering().is_some());
        assert!(all.shards()[0].rendered().is_some());
        assert!(all.shards()[0].needs_rendering().is_some());
    }

    #[test]
    fn what_has_no_room_any_more_leaves_at_once() {
        let mut all = grown();
        for number in 10..20 {
            // Those that belong to the old shard grow.
            let part = part(number, &"x".repeat(100_000));
            if place(&part.source, 2) == 0 && all.shards()[0].size() < MAX_WHILE_LEAVING {
                all.put(part).unwrap();
            }
        }
        assert!(all.shards()[0].size() > MAX_WHILE_LEAVING, "{}", all.shards()[0].size());
        let (size, leaving) = (all.shards()[0].size(), all.shards()[0].leaving.len());
        all.release(&BTreeSet::new());
        assert!(all.shards()[0].size() <= MAX_WHILE_LEAVING);
        // As few as possible: each has about 100,000 bytes.
        let too_much = (size - MAX_WHILE_LEAVING).div_ceil(100_000);
        assert_eq!(all.shards()[0].leaving.len(), leaving - too_much);
    }
}
