//! The cached state of the cluster: sources, projects, namespaces and owned objects.
//!
//! The watches update it. The operator's own writes update it too, because watches lag behind. Each change queues the key
//! of the source to reconcile.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::core::v1::ObjectReference;
use serde::Deserialize;
use serde_json::value::RawValue;
use telewarden_policy::well_known::ALL_SOURCES;
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;

use crate::compressed::{Pattern, Text};
use crate::live_object::{Digest, Live};
use crate::names::Names;
use crate::object_id::{GroupKind, ObjectId};

/// An annotated Application or Namespace.
#[derive(Debug)]
pub(crate) struct Source {
    /// Its identity, as in the annotation of its rendered objects.
    pub(crate) key: Arc<str>,
    /// The fields of the object that the module reads, and its UID.
    text: Text,
    /// Whose it is: the namespace of an Application, or, of one in Argo CD's own namespace and of a Namespace, the namespace
    /// that is scraped.
    pub(crate) tenant: Arc<str>,
    /// An Application's project; `default` if it sets none.
    pub(crate) project: Option<Arc<str>>,
}

impl Source {
    /// A source with what the module reads of it.
    pub(crate) fn new(key: Arc<str>, text: Box<RawValue>, tenant: Arc<str>, project: Option<Arc<str>>) -> Self {
        Self {
            key,
            text: Text::Plain(text.into()),
            tenant,
            project,
        }
    }

    /// The fields of the object that the module reads, and its UID.
    pub(crate) fn text(&self) -> Box<RawValue> {
        RawValue::from_string(self.text.get().into_owned()).expect("it was JSON")
    }

    /// The object that Events refer to.
    pub(crate) fn reference(&self) -> ObjectReference {
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        struct Object {
            api_version: Option<String>,
            kind: Option<String>,
            metadata: Metadata,
        }
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Metadata {
            name: Option<String>,
            namespace: Option<String>,
            uid: Option<String>,
        }
        let object: Object = serde_json::from_str(&self.text.get()).unwrap_or_default();
        ObjectReference {
            api_version: object.api_version,
            kind: object.kind,
            name: object.metadata.name,
            namespace: object.metadata.namespace,
            uid: object.metadata.uid,
            ..ObjectReference::default()
        }
    }
}

/// The cached state of the cluster. It is cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct ClusterState(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    /// The keys to reconcile.
    changed: UnboundedSender<Arc<str>>,
    /// The namespace of `topology: standalone`, in which all sources have one key.
    standalone: Option<String>,
    /// `standalone`: what has changed since an attempt was last about it.
    changes: Mutex<Changes>,
    /// Notified when there is room again for untracked objects.
    room: Notify,
}

#[derive(Debug, Default)]
struct State {
    names: Names,
    /// What content of a kind is compressed with.
    kinds: BTreeMap<Arc<GroupKind>, Option<Pattern>>,
    sources: BTreeMap<Arc<str>, Arc<Source>>,
    /// What the texts of sources are compressed with.
    pattern: Option<Pattern>,
    projects: BTreeMap<Arc<str>, Arc<RawValue>>,
    /// The list of global projects. If there is one, every project can affect every source.
    global_projects: Option<Arc<RawValue>>,
    in_cluster_enabled: Option<bool>,
    namespaces: BTreeSet<Arc<str>>,
    /// Owned objects by source, sorted by their id.
    owned: BTreeMap<Arc<str>, Vec<Arc<Live>>>,
    /// The same objects.
    tracked: HashSet<Tracked>,
    usage: Usage,
    /// Kinds of owned objects that may not be listed.
    forbidden: BTreeSet<GroupKind>,
    /// The namespace that a source waits for, by source.
    waiting: BTreeMap<Arc<str>, Arc<str>>,
}

/// An owned object that is found by its id.
#[derive(Debug)]
struct Tracked(Arc<Live>);

impl Borrow<ObjectId> for Tracked {
    fn borrow(&self) -> &ObjectId {
        &self.0.id
    }
}

impl Hash for Tracked {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.id.hash(state);
    }
}

impl PartialEq for Tracked {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

impl Eq for Tracked {}

/// `standalone`: what an attempt is about.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    /// The sources to render, or that are gone.
    pub(crate) sources: BTreeSet<String>,
    /// The sources in whose name there are objects that the operator did not make. Nothing has to be rendered to delete them:
    /// anybody can create them.
    pub(crate) named: BTreeSet<String>,
}

/// The input of one attempt.
#[derive(Debug)]
pub(crate) struct View {
    /// The source, or all of them.
    pub(crate) sources: Vec<Arc<Source>>,
    pub(crate) argocd: ArgoCd,
    /// Their owned objects.
    pub(crate) owned: BTreeMap<ObjectId, Arc<Live>>,
}

/// The parts of Argo CD's configuration that apply to the sources of an attempt.
#[derive(Clone, Debug, Default)]
pub(crate) struct ArgoCd {
    /// Their existing projects, or all projects if there are global ones.
    pub(crate) projects: Vec<Arc<RawValue>>,
    /// The list of global projects.
    pub(crate) global_projects: Option<Arc<RawValue>>,
    /// True if Argo CD deploys to its own cluster. `None` if there is no `argocd-cm`.
    pub(crate) in_cluster_enabled: Option<bool>,
}

/// The settings of Argo CD's ConfigMap `argocd-cm` that are used.
#[derive(Debug, Default)]
pub(crate) struct ArgoCdSettings {
    /// The list of global projects.
    pub(crate) global_projects: Option<Box<RawValue>>,
    /// True if Argo CD deploys to its own cluster. `None` if there is no ConfigMap.
    pub(crate) in_cluster_enabled: Option<bool>,
}

/// The size of the state.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) sources: usize,
    pub(crate) owned: usize,
}

impl ClusterState {
    /// Without anything. `standalone` is the namespace of that topology, if it is meant.
    pub(crate) fn new(standalone: Option<String>, changed: UnboundedSender<Arc<str>>) -> Self {
        Self(Arc::new(Inner {
            state: Mutex::default(),
            changed,
            standalone,
            changes: Mutex::default(),
            room: Notify::new(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No change is left incomplete by a panic.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True for `topology: standalone`, in which one attempt is about all sources.
    pub(crate) fn is_standalone(&self) -> bool {
        self.0.standalone.is_some()
    }

    /// Queues a source.
    pub(crate) fn touch(&self, source: &Arc<str>) {
        self.has_changed(source);
        self.queue(source);
    }

    /// Queues a source, or in `standalone` only the objects that say that they are its.
    pub(crate) fn touch_named(&self, source: &Arc<str>) {
        self.set_named(source);
        self.queue(source);
    }

    /// `standalone`: the next attempt is about the objects that say that they are this source's.
    pub(crate) fn set_named(&self, source: &str) {
        if self.is_standalone() {
            self.changes().named.insert(source.to_owned());
        }
    }

    fn queue(&self, source: &Arc<str>) {
        let key = match self.is_standalone() {
            true => ALL_SOURCES.into(),
            false => source.clone(),
        };
        // Fails only if the operator is stopping.
        let _ = self.0.changed.send(key);
    }

    /// `standalone`: the next attempt is about this source too.
    pub(crate) fn has_changed(&self, source: &str) {
        if self.is_standalone() && source != ALL_SOURCES {
            self.changes().sources.insert(source.to_owned());
        }
    }

    /// `standalone`: takes what has changed since an attempt was last about it.
    pub(crate) fn take_changes(&self) -> Changes {
        std::mem::take(&mut *self.changes())
    }

    /// `standalone`: the next attempt is about this too.
    pub(crate) fn put_back(&self, mut changes: Changes) {
        let mut all = self.changes();
        all.sources.append(&mut changes.sources);
        all.named.append(&mut changes.named);
    }

    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.0.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A source.
    pub(crate) fn source(&self, key: &str) -> Option<Arc<Source>> {
        self.state().sources.get(key).cloned()
    }

    /// `standalone`: the input of an attempt about some sources. Of the other sources there are no objects of their own, such as
    /// Reports, so these are neither applied nor deleted.
    pub(crate) fn view_of(&self, changes: &Changes) -> View {
        let state = self.state();
        let sources = &changes.sources;
        let sources: Vec<_> = sources
            .iter()
            .filter_map(|key| state.sources.get(key.as_str()).cloned())
            .collect();
        let is_meant = |source: &str, live: &Live| {
            changes.sources.contains(source)
                || !state.sources.contains_key(source)
                || changes.named.contains(source) && !live.was_as_rendered()
        };
        let owned = state.owned.iter().flat_map(|(source, objects)| {
            let theirs = objects.iter().filter(|live| is_meant(source, live));
            theirs.map(|live| (live.id.clone(), live.clone()))
        });
        View {
            argocd: state.argocd_of(&sources),
            owned: owned.collect(),
            sources,
        }
    }

    /// All keys to reconcile.
    pub(crate) fn keys(&self) -> BTreeSet<Arc<str>> {
        if self.is_standalone() {
            return BTreeSet::from([ALL_SOURCES.into()]);
        }
        let state = self.state();
        state.sources.keys().chain(state.owned.keys()).cloned().collect()
    }

    /// The sources whose identity begins with a text.
    pub(crate) fn sources_of(&self, prefix: &str) -> BTreeSet<Arc<str>> {
        let state = self.state();
        let from = state
            .sources
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
        let theirs = from.map(|(key, _)| key).take_while(|key| key.starts_with(prefix));
        theirs.cloned().collect()
    }

    /// The names of all projects.
    pub(crate) fn projects(&self) -> BTreeSet<Arc<str>> {
        self.state().projects.keys().cloned().collect()
    }

    /// All namespaces.
    pub(crate) fn namespaces(&self) -> BTreeSet<Arc<str>> {
        self.state().namespaces.clone()
    }

    /// The owned objects of a kind.
    pub(crate) fn owned_of(&self, kind: &GroupKind) -> BTreeSet<ObjectId> {
        let state = self.state();
        let ids = state.tracked.iter().map(|tracked| &tracked.0.id);
        ids.filter(|id| *id.kind == *kind).cloned().collect()
    }

    /// A text that is kept once for all who ask for it.
    pub(crate) fn shared(&self, text: &str) -> Arc<str> {
        self.state().names.shared(text)
    }

    pub(crate) fn counts(&self) -> Counts {
        let state = self.state();
        Counts {
            sources: state.sources.len(),
            owned: state.tracked.len(),
        }
    }

    /// True if there may be an owned object of this kind.
    pub(crate) fn may_have_kind(&self, kind: &GroupKind) -> bool {
        let state = self.state();
        state.forbidden.contains(kind) || state.tracked.iter().any(|tracked| *tracked.0.id.kind == *kind)
    }

    /// Takes note that owned objects of a kind may not be listed.
    pub(crate) fn set_forbidden(&self, kind: &GroupKind) {
        self.state().forbidden.insert(kind.clone());
    }

    /// The input of an attempt for a key.
    pub(crate) fn view(&self, key: &str) -> View {
        let state = self.state();
        let whole = self.is_standalone();
        let sources: Vec<_> = match whole {
            true => state.sources.values().cloned().collect(),
            false => state.sources.get(key).cloned().into_iter().collect(),
        };
        let owned = match whole {
            true => state
                .owned
                .values()
                .flatten()
                .map(|live| (live.id.clone(), live.clone()))
                .collect(),
            false => state
                .owned
                .get(key)
                .into_iter()
                .flatten()
                .map(|live| (live.id.clone(), live.clone()))
                .collect(),
        };
        View {
            argocd: state.argocd_of(&sources),
            sources,
            owned,
        }
    }

    /// True if the namespace exists.
    pub(crate) fn knows_namespace(&self, namespace: &str) -> bool {
        self.state().namespaces.contains(namespace)
    }

    /// True if the namespace exists. If not, the source is queued when the namespace is created.
    pub(crate) fn has_namespace(&self, namespace: &str, key: &str) -> bool {
        let mut state = self.state();
        let there = state.namespaces.contains(namespace);
        match there {
            true => drop(state.waiting.remove(key)),
            // It waits only for its current namespace.
            false => {
                let (key, namespace) = (state.names.shared(key), state.names.shared(namespace));
                state.waiting.insert(key, namespace);
            }
        }
        there
    }

    pub(crate) fn put_source(&self, mut source: Source) {
        let mut state = self.state();
        let old = state.sources.get(&source.key);
        if old.is_none_or(|old| old.text.get() != source.text.get()) {
            source.text.compress_like_first(&mut state.pattern);
            state.names.share(&mut source.key);
            state.names.share(&mut source.tenant);
            if let Some(project) = &mut source.project {
                state.names.share(project);
            }
            self.touch(&source.key);
            let key = source.key.clone();
            state.sources.insert(key.clone(), Arc::new(source));
            self.recount(&mut state, &key);
        }
    }

    pub(crate) fn remove_source(&self, key: &str) {
        let mut state = self.state();
        if let Some(source) = state.sources.remove(key) {
            self.touch(&source.key);
            self.recount(&mut state, key);
        }
    }

    pub(crate) fn put_project(&self, name: &str, text: Box<RawValue>) {
        let mut state = self.state();
        if state.projects.get(name).is_none_or(|old| old.get() != text.get()) {
            state.projects.insert(name.into(), Arc::from(text));
            self.touch_project(&state, name);
        }
    }

    pub(crate) fn remove_project(&self, name: &str) {
        let mut state = self.state();
        if state.projects.remove(name).is_some() {
            self.touch_project(&state, name);
        }
    }

    pub(crate) fn put_argocd_settings(&self, settings: ArgoCdSettings) {
        let mut state = self.state();
        let ArgoCdSettings {
            global_projects,
            in_cluster_enabled,
        } = settings;
        let old = state.global_projects.as_deref().map(RawValue::get);
        if old != global_projects.as_deref().map(RawValue::get) || state.in_cluster_enabled != in_cluster_enabled {
            state.global_projects = global_projects.map(Arc::from);
            state.in_cluster_enabled = in_cluster_enabled;
            state.sources.keys().for_each(|key| self.touch(key));
        }
    }

    fn touch_project(&self, state: &State, name: &str) {
        let global = state.global_projects.is_some();
        let theirs = state
            .sources
            .values()
            .filter(|source| global || source.project.as_deref() == Some(name));
        theirs.for_each(|source| self.touch(&source.key));
    }

    pub(crate) fn put_namespace(&self, name: &str) {
        let mut state = self.state();
        let name = state.names.shared(name);
        if state.namespaces.insert(name.clone()) {
            state.waiting.retain(|key, namespace| {
                let goes_on = *namespace != name;
                if !goes_on {
                    self.touch(key);
                }
                goes_on
            });
        }
    }

    pub(crate) fn remove_namespace(&self, name: &str) {
        self.state().namespaces.remove(name);
    }

    /// Tracks an owned object, unless a newer version is known. The operator's own writes (`by_us`) do not queue the source.
    /// Returns whether the object is tracked.
    pub(crate) fn put_owned(&self, mut live: Live, by_us: bool) -> bool {
        let mut state = self.state();
        state.share(&mut live);
        let old = state.find(&live.id);
        if let Some(old) = &old {
            if old.uid == live.uid && !live.is_newer(old) {
                // The watch was faster than the answer to the write.
                if by_us && old.resource_version == live.resource_version && live.was_as_rendered() {
                    state.untrack(&live.id);
                    let surplus = self.is_surplus(&state, &live);
                    if state.reserve(&mut live, surplus) {
                        state.track(live);
                    }
                }
                return true;
            }
            live.inherit(old);
            if !by_us && !old.is_same(&live) {
                self.touch_of(&state, old);
            }
        }
        let is_new = old.is_none_or(|old| old.source != live.source);
        state.untrack(&live.id);
        let surplus = self.is_surplus(&state, &live);
        if !state.reserve(&mut live, surplus) {
            tracing::debug!(id = %live.id, "not tracked: too many objects in its namespace without a source");
            return false;
        }
        if !by_us && is_new {
            self.touch_of(&state, &live);
        }
        state.track(live);
        true
    }

    /// Records that an owned object equals the rendered one.
    pub(crate) fn set_as_rendered(&self, live: &Live, digest: Digest) {
        let mut state = self.state();
        let Some(known) = state.find(&live.id).filter(|known| known.is_same(live)) else {
            return;
        };
        let mut known = Arc::unwrap_or_clone(known);
        known.set_as_rendered(digest);
        state.untrack(&known.id);
        let surplus = self.is_surplus(&state, &known);
        if state.reserve(&mut known, surplus) {
            state.track(known);
        }
    }

    /// Takes note that the API server refuses to delete an owned object.
    pub(crate) fn set_refused(&self, live: &Live) {
        let mut state = self.state();
        if let Some(known) = state.find(&live.id).filter(|known| known.uid == live.uid) {
            let mut known = Arc::unwrap_or_clone(known);
            known.copy_refusal(live);
            state.track(known);
        }
    }

    /// Takes note that an owned object goes away as soon as its finalizers let it, unless it is gone already.
    pub(crate) fn set_deleting(&self, live: Live) {
        let known = self.state().find(&live.id);
        if known.is_some_and(|known| known.uid == live.uid) {
            self.put_owned(live, true);
        }
    }

    /// Stops tracking an owned object. With a uid, only the object with that uid. Returns whether it was tracked.
    pub(crate) fn remove_owned(&self, id: &ObjectId, uid: Option<&str>, by_us: bool) -> bool {
        let mut state = self.state();
        let known = state.find(id);
        let known = known.filter(|live| uid.is_none_or(|uid| uid == &*live.uid));
        if let Some(known) = &known {
            state.untrack(id);
            if !by_us {
                self.touch_of(&state, known);
            }
        }
        if state.usage.has_room_again() {
            self.0.room.notify_one();
        }
        known.is_some()
    }

    /// Handles the deletion of an object that there was no room for: something rendered may be created in its place.
    pub(crate) fn untracked_is_gone(&self, live: &Live) {
        let state = self.state();
        if state.usage.full.contains(&live.id.namespace) && self.is_known(&state, &live.source) {
            self.touch(&live.source);
        }
    }

    /// Queues the source of an object that has changed. One that it was not rendered for is only deleted.
    fn touch_of(&self, state: &State, live: &Live) {
        match live.was_as_rendered() || !state.sources.contains_key(&*live.source) {
            true => self.touch(&live.source),
            false => self.touch_named(&live.source),
        }
    }

    /// Waits until there is room for untracked objects, so that they should be listed again.
    pub(crate) async fn has_room_again(&self) {
        self.0.room.notified().await;
    }

    fn is_known(&self, state: &State, source: &str) -> bool {
        match self.is_standalone() {
            true => source == ALL_SOURCES,
            false => state.sources.contains_key(source),
        }
    }

    /// True for an object that will be deleted, as far as is known without rendering.
    fn is_surplus(&self, state: &State, live: &Live) -> bool {
        // All that sources share is in one namespace.
        let is_elsewhere = |namespace: &String| **namespace != *live.id.namespace;
        live.deleting || !self.is_known(state, &live.source) || self.0.standalone.as_ref().is_some_and(is_elsewhere)
    }

    /// Updates the usage of a source's objects after the source was added or removed.
    fn recount(&self, state: &mut State, key: &str) {
        let ids: Vec<ObjectId> = state
            .owned
            .get(key)
            .into_iter()
            .flatten()
            .map(|live| live.id.clone())
            .collect();
        for id in ids {
            let Some(live) = state.find(&id) else { continue };
            state.untrack(&id);
            let mut live = Arc::unwrap_or_clone(live);
            let surplus = self.is_surplus(state, &live);
            if state.reserve(&mut live, surplus) {
                state.track(live);
            }
        }
    }

    /// The memory of all owned objects, in bytes.
    #[cfg(test)]
    fn bytes(&self) -> usize {
        let state = self.state();
        state.owned.values().flatten().map(|live| live.bytes()).sum()
    }
}

impl State {
    /// What applies to some sources.
    fn argocd_of(&self, sources: &[Arc<Source>]) -> ArgoCd {
        let names: BTreeSet<_> = sources.iter().filter_map(|source| source.project.as_ref()).collect();
        let projects = match self.global_projects {
            Some(_) => self.projects.values().cloned().collect(),
            None => names
                .into_iter()
                .filter_map(|name| self.projects.get(name).cloned())
                .collect(),
        };
        ArgoCd {
            projects,
            global_projects: self.global_projects.clone(),
            in_cluster_enabled: self.in_cluster_enabled,
        }
    }

    fn find(&self, id: &ObjectId) -> Option<Arc<Live>> {
        self.tracked.get(id).map(|tracked| tracked.0.clone())
    }

    /// Keeps what an object has in common with others once.
    fn share(&mut self, live: &mut Live) {
        let Self { names, kinds, .. } = self;
        let of_kind = kinds.entry(live.id.kind.clone());
        live.id.kind = of_kind.key().clone();
        of_kind.or_default();
        names.share(&mut live.id.namespace);
        names.share(&mut live.id.name);
        names.share(&mut live.source);
    }

    /// Reserves room for an object, and for what is kept of its content.
    fn reserve(&mut self, live: &mut Live, surplus: bool) -> bool {
        if !surplus {
            live.compress(self.kinds.entry(live.id.kind.clone()).or_default());
        }
        self.usage.reserve(live, surplus)
    }

    fn track(&mut self, live: Live) {
        let live = Arc::new(live);
        self.tracked.replace(Tracked(live.clone()));
        let of_source = self.owned.entry(live.source.clone()).or_default();
        match of_source.binary_search_by(|known| known.id.cmp(&live.id)) {
            Ok(at) => of_source[at] = live,
            Err(at) => of_source.insert(at, live),
        }
    }

    fn untrack(&mut self, id: &ObjectId) {
        let Some(Tracked(live)) = self.tracked.take(id) else {
            return;
        };
        self.usage.release(&live);
        if let Some(of_source) = self.owned.get_mut(&live.source) {
            if let Ok(at) = of_source.binary_search_by(|known| known.id.cmp(id)) {
                of_source.remove(at);
            }
            if of_source.is_empty() {
                self.owned.remove(&live.source);
            }
        }
    }
}

/// Accounting of owned objects. Other users can create objects with the operator's labels, so their number and size are
/// limited.
#[derive(Debug, Default)]
struct Usage {
    /// The sums by namespace.
    sums: HashMap<Arc<str>, Taken>,
    /// The content of all namespaces, in bytes.
    content: usize,
    /// Namespaces with untracked objects.
    full: BTreeSet<Arc<str>>,
}

/// The usage of all objects in a namespace.
#[derive(Clone, Copy, Debug, Default)]
struct Taken {
    /// The number of objects that will be deleted.
    surplus: usize,
    /// The size of the content in bytes.
    content: usize,
}

/// The maximum number of objects in a namespace that are tracked to be deleted. The others are listed again later.
const MAX_SURPLUS: usize = 500;
/// The maximum size of content that is kept until it was compared, in one namespace and in all.
const MAX_CONTENT: usize = 512 * 1024;
const MAX_CONTENT_OF_ALL: usize = 32 * 1024 * 1024;

impl Usage {
    /// Reserves room for an object. Its content is dropped if there is no room for it, or the object will be deleted. Answers
    /// false if there is no room for the object itself.
    fn reserve(&mut self, live: &mut Live, surplus: bool) -> bool {
        let namespace = &live.id.namespace;
        let sum = self.sums.get(namespace).copied().unwrap_or_default();
        if surplus && sum.surplus >= MAX_SURPLUS {
            self.full.insert(namespace.clone());
            return false;
        }
        let size = live.content_size();
        if surplus || sum.content + size > MAX_CONTENT || self.content + size > MAX_CONTENT_OF_ALL {
            live.drop_content();
        }
        live.is_surplus = surplus;
        let content = live.content_size();
        if surplus || content > 0 {
            let sum = self.sums.entry(live.id.namespace.clone()).or_default();
            sum.surplus += usize::from(surplus);
            sum.content += content;
            self.content += content;
        }
        true
    }

    fn release(&mut self, live: &Live) {
        let content = live.content_size();
        self.content -= content;
        if let Some(sum) = self.sums.get_mut(&live.id.namespace) {
            sum.surplus -= usize::from(live.is_surplus);
            sum.content -= content;
            if sum.surplus + sum.content == 0 {
                self.sums.remove(&live.id.namespace);
            }
        }
    }

    /// True once after half of the room in a full namespace is free again.
    fn has_room_again(&mut self) -> bool {
        let sums = &self.sums;
        let before = self.full.len();
        self.full
            .retain(|namespace| sums.get(namespace).is_some_and(|sum| sum.surplus > MAX_SURPLUS / 2));
        self.full.len() < before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    const REDIS: &str = "argoproj.io/Application/argocd/redis";
    const NUBLADO: &str = "argoproj.io/Application/argocd/nublado";

    struct Fixture {
        state: ClusterState,
        changed: UnboundedReceiver<Arc<str>>,
    }

    impl Fixture {
        fn new(standalone: bool) -> Self {
            let (sender, changed) = unbounded_channel();
            let state = ClusterState::new(standalone.then(|| "telegraf".to_owned()), sender);
            Self { state, changed }
        }

        /// The keys that were queued since the last call.
        fn touched(&mut self) -> Vec<String> {
            std::iter::from_fn(|| self.changed.try_recv().ok())
                .map(|key| key.to_string())
                .collect()
        }
    }

    fn raw(value: &Value) -> Box<RawValue> {
        serde_json::value::to_raw_value(value).unwrap()
    }

    fn source(key: &str, text: &str, project: &str) -> Source {
        Source::new(key.into(), raw(&json!(text)), "".into(), Some(project.into()))
    }

    fn object(name: &str, version: u64, source: &str, data: &str) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": "redis", "uid": name, "resourceVersion": version.to_string(),
                "annotations": {"telegraf.influxdata.com/source": source}},
            "data": {"telegraf.conf": data},
        })
    }

    fn live_of(object: &Value) -> Live {
        let id = ObjectId::of(object).unwrap();
        Live::of(
            &id.kind,
            serde_json::from_value::<crate::object::Object>(object.clone()).unwrap(),
        )
        .unwrap()
    }

    fn live(name: &str, version: u64, source: &str, data: &str) -> Live {
        live_of(&object(name, version, source, data))
    }

    fn deleting(name: &str, version: u64, source: &str, data: &str) -> Live {
        let mut object = object(name, version, source, data);
        object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        live_of(&object)
    }

    #[test]
    fn a_source_is_queued_only_when_it_changes() {
        let mut fixture = Fixture::new(false);
        fixture.state.put_source(source(REDIS, "one", "default"));
        assert_eq!(fixture.touched(), [REDIS]);
        fixture.state.put_source(source(REDIS, "one", "default"));
        assert_eq!(fixture.touched(), [""; 0]);
        fixture.state.put_source(source(REDIS, "two", "default"));
        assert_eq!(fixture.touched(), [REDIS]);
        fixture.state.remove_source(REDIS);
        fixture.state.remove_source(REDIS);
        assert_eq!(fixture.touched(), [REDIS]);
    }

    #[test]
    fn standalone_has_one_key() {
        let mut fixture = Fixture::new(true);
        fixture.state.put_source(source(REDIS, "one", "default"));
        fixture.state.put_owned(live("a", 1, ALL_SOURCES, ""), false);
        fixture.state.put_owned(live("b", 1, NUBLADO, ""), false);
        assert_eq!(fixture.touched(), [ALL_SOURCES; 3]);
        assert_eq!(fixture.state.keys(), BTreeSet::from([ALL_SOURCES.into()]));
        assert_eq!(fixture.state.view(ALL_SOURCES).owned.len(), 2);
    }

    #[test]
    fn in_standalone_nothing_is_rendered_for_what_others_make_in_a_source_s_name() {
        let mut fixture = Fixture::new(true);
        fixture.state.put_source(source(REDIS, "one", "default"));
        fixture.state.take_changes();
        fixture.touched();
        let forged = live("forged", 1, REDIS, "");
        fixture.state.put_owned(forged.clone(), false);
        assert_eq!(fixture.touched(), [ALL_SOURCES]);
        let changes = fixture.state.take_changes();
        let view = fixture.state.view_of(&changes);
        assert_eq!((view.sources.len(), view.owned.len()), (0, 1));
        // An object that the operator has made is the source's.
        fixture
            .state
            .set_as_rendered(&forged, Digest::of_rendered(&Value::Null));
        assert_eq!(fixture.state.view_of(&changes).owned.len(), 0);
        fixture.state.put_owned(live("forged", 2, REDIS, "changed"), false);
        let changes = fixture.state.take_changes();
        let view = fixture.state.view_of(&changes);
        assert_eq!((view.sources.len(), view.owned.len()), (1, 1));
    }

    #[test]
    fn in_standalone_objects_of_all_are_limited_in_other_namespaces() {
        let tracked = |namespace: &str| {
            let fixture = Fixture::new(true);
            let of_all = |number: usize| {
                let mut object = object(&format!("spam-{number}"), 1, ALL_SOURCES, "");
                object["metadata"]["namespace"] = json!(namespace);
                live_of(&object)
            };
            let tracked = (0..=MAX_SURPLUS).filter(|number| fixture.state.put_owned(of_all(*number), false));
            tracked.count()
        };
        assert_eq!(tracked("telegraf"), MAX_SURPLUS + 1);
        assert_eq!(tracked("evil"), MAX_SURPLUS);
    }

    #[test]
    fn a_project_queues_its_sources_and_global_projects_queue_all() {
        let mut fixture = Fixture::new(false);
        fixture.state.put_source(source(REDIS, "one", "team"));
        fixture.state.put_source(source(NUBLADO, "one", "default"));
        fixture.touched();
        fixture.state.put_project("team", raw(&json!({"spec": 1})));
        assert_eq!(fixture.touched(), [REDIS]);
        assert_eq!(fixture.state.view(REDIS).argocd.projects.len(), 1);
        assert_eq!(fixture.state.view(NUBLADO).argocd.projects.len(), 0);
        let global = || ArgoCdSettings {
            global_projects: Some(raw(&json!([]))),
            in_cluster_enabled: Some(true),
        };
        fixture.state.put_argocd_settings(global());
        assert_eq!(fixture.touched().len(), 2);
        assert_eq!(fixture.state.view(NUBLADO).argocd.projects.len(), 1);
        fixture.state.put_argocd_settings(global());
        assert_eq!(fixture.touched().len(), 0);
        fixture.state.put_argocd_settings(ArgoCdSettings {
            in_cluster_enabled: Some(false),
            ..global()
        });
        assert_eq!(fixture.touched().len(), 2);
        assert_eq!(fixture.state.view(REDIS).argocd.in_cluster_enabled, Some(false));
    }

    #[test]
    fn a_new_namespace_queues_the_sources_that_wait_for_it() {
        let mut fixture = Fixture::new(false);
        assert!(!fixture.state.has_namespace("redis", REDIS));
        fixture.state.put_namespace("redis");
        assert_eq!(fixture.touched(), [REDIS]);
        assert!(fixture.state.has_namespace("redis", REDIS));
    }

    #[test]
    fn a_source_waits_for_one_namespace() {
        let mut fixture = Fixture::new(false);
        for number in 0..100 {
            assert!(!fixture.state.has_namespace(&format!("redis-{number}"), REDIS));
        }
        assert_eq!(fixture.state.state().waiting.len(), 1);
        fixture.state.put_namespace("redis-0");
        assert_eq!(fixture.touched(), [""; 0]);
        fixture.state.put_namespace("redis-99");
        assert_eq!(fixture.touched(), [REDIS]);
    }

    #[test]
    fn writes_of_others_queue_the_source_and_own_writes_do_not() {
        let mut fixture = Fixture::new(false);
        fixture.state.put_source(source(REDIS, "one", "default"));
        fixture.touched();
        fixture.state.put_owned(live("a", 1, REDIS, "x"), true);
        assert_eq!(fixture.touched(), [""; 0]);
        // The watch reports the same write, then a status update, then an edit.
        fixture.state.put_owned(live("a", 1, REDIS, "x"), false);
        fixture.state.put_owned(live("a", 2, REDIS, "x"), false);
        assert_eq!(fixture.touched(), [""; 0]);
        fixture.state.put_owned(live("a", 3, REDIS, "y"), false);
        assert_eq!(fixture.touched(), [REDIS]);
        fixture.state.put_owned(live("a", 4, REDIS, "z"), true);
        assert_eq!(fixture.touched(), [""; 0]);
        // An older version is ignored.
        fixture.state.put_owned(live("a", 2, REDIS, "z"), false);
        assert_eq!(fixture.touched(), [""; 0]);
        fixture
            .state
            .remove_owned(&live("a", 3, REDIS, "y").id, Some("another"), false);
        assert_eq!(fixture.state.counts().owned, 1);
        fixture.state.remove_owned(&live("a", 4, REDIS, "z").id, None, false);
        assert_eq!(
            (fixture.touched(), fixture.state.counts().owned),
            (vec![REDIS.to_owned()], 0)
        );
    }

    #[test]
    fn an_object_that_moves_to_another_source_queues_both() {
        let mut fixture = Fixture::new(false);
        fixture.state.put_owned(live("a", 1, REDIS, "x"), false);
        fixture.touched();
        fixture.state.put_owned(live("a", 2, NUBLADO, "x"), false);
        assert_eq!(fixture.touched(), [REDIS, NUBLADO]);
        assert_eq!(fixture.state.view(REDIS).owned.len(), 0);
        assert_eq!(fixture.state.view(NUBLADO).owned.len(), 1);
    }

    /// Text that cannot be compressed.
    fn noise(seed: usize, length: usize) -> String {
        let digests = (0..).map(|number| Digest::of_rendered(&json!([seed, number])).to_string());
        digests.take(length / 32).collect()
    }

    #[test]
    fn content_of_objects_without_a_source_is_not_kept() {
        for standalone in [false, true] {
            let fixture = Fixture::new(standalone);
            for number in 0..300 {
                let live = live(&format!("spam-{number}"), 1, NUBLADO, &noise(number, 20_000));
                assert!(fixture.state.put_owned(live, false));
            }
            let bytes = fixture.state.bytes();
            assert!(bytes < 300 * 512, "{bytes}");
        }
    }

    #[test]
    fn content_of_objects_that_are_being_deleted_is_not_kept() {
        let fixture = Fixture::new(false);
        fixture.state.put_source(source(REDIS, "one", "default"));
        for number in 0..300 {
            let live = deleting(&format!("spam-{number}"), 1, REDIS, &noise(number, 20_000));
            assert!(fixture.state.put_owned(live, false));
        }
        let bytes = fixture.state.bytes();
        assert!(bytes < 300 * 512, "{bytes}");
    }

    #[test]
    fn the_content_of_a_source_is_limited() {
        let fixture = Fixture::new(false);
        fixture.state.put_source(source(REDIS, "one", "default"));
        for number in 0..300 {
            fixture
                .state
                .put_owned(live(&format!("spam-{number}"), 1, REDIS, &noise(number, 20_000)), false);
        }
        let bytes = fixture.state.bytes();
        assert!(bytes > MAX_CONTENT / 2 && bytes < 300 * 512 + MAX_CONTENT, "{bytes}");
        // Objects that equal the rendered ones keep no content, and deleted ones release theirs.
        let owned = fixture.state.view(REDIS).owned;
        for live in owned.values() {
            fixture.state.set_as_rendered(live, Digest::of_rendered(&json!(1)));
        }
        assert!(fixture.state.bytes() < 300 * 512);
        assert_eq!(fixture.state.state().usage.content, 0);
        fixture.state.remove_source(REDIS);
        assert!(fixture.state.bytes() < 300 * 512);
    }

    #[test]
    fn a_namespace_has_a_limit_for_objects_to_delete() {
        let mut fixture = Fixture::new(false);
        let tracked = |fixture: &Fixture, number: usize| {
            fixture
                .state
                .put_owned(live(&format!("spam-{number}"), 1, NUBLADO, ""), false)
        };
        assert!((0..MAX_SURPLUS).all(|number| tracked(&fixture, number)));
        assert!(!tracked(&fixture, MAX_SURPLUS));
        assert_eq!(fixture.state.counts().owned, MAX_SURPLUS);
        // Rendered objects are not limited.
        fixture.state.put_source(source(REDIS, "one", "default"));
        assert!(fixture.state.put_owned(live("telegraf-redis", 1, REDIS, ""), false));
        // Other namespaces have their own limit.
        let mut elsewhere = object("spam", 1, NUBLADO, "");
        elsewhere["metadata"]["namespace"] = json!("elsewhere");
        assert!(fixture.state.put_owned(live_of(&elsewhere), false));
        fixture.touched();
        let remove = |number: usize| {
            let id = live(&format!("spam-{number}"), 1, NUBLADO, "").id;
            fixture.state.remove_owned(&id, None, false);
            fixture.state.state().usage.full.is_empty()
        };
        let first = (0..MAX_SURPLUS).find(|number| remove(*number));
        assert_eq!(first, Some(MAX_SURPLUS / 2 - 1), "listed again when half is free");
    }

    #[test]
    fn usage_follows_a_source_that_is_added_and_removed() {
        let fixture = Fixture::new(false);
        fixture.state.put_owned(live("a", 1, REDIS, "x"), false);
        let surplus = || {
            fixture
                .state
                .state()
                .usage
                .sums
                .values()
                .map(|sum| sum.surplus)
                .sum::<usize>()
        };
        assert_eq!(surplus(), 1);
        fixture.state.put_source(source(REDIS, "one", "default"));
        assert_eq!(surplus(), 0);
        fixture.state.remove_source(REDIS);
        assert_eq!(surplus(), 1);
        fixture.state.remove_owned(&live("a", 1, REDIS, "x").id, None, true);
        assert_eq!(surplus(), 0);
    }
}
