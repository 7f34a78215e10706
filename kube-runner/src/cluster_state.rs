//! What is known of the cluster: sources, projects, namespaces, and the objects that it owns.
//!
//! The watches write it, and so does whoever just wrote to the API server, for a watch lags behind. Each change names the
//! source that has to be looked at again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::core::v1::ObjectReference;
use serde_json::value::RawValue;
use telewarden_policy::well_known::ALL_SOURCES;
use tokio::sync::mpsc::UnboundedSender;

use crate::live_object::Live;
use crate::object_id::{GroupKind, ObjectId};

/// An annotated Application or Namespace.
#[derive(Debug)]
pub(crate) struct Source {
    /// Its identity, as in the annotation of what is rendered for it.
    pub(crate) key: String,
    /// The object, as far as the module reads it.
    pub(crate) text: Box<RawValue>,
    /// What Events are about.
    pub(crate) reference: ObjectReference,
    /// An Application's project; `default` where it names none.
    pub(crate) project: Option<String>,
}

/// What is known of the cluster. Cloning it is cheap.
#[derive(Clone, Debug)]
pub(crate) struct ClusterState(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    /// Where to say whose objects have to be looked at again.
    changed: UnboundedSender<String>,
    /// All sources are one: `topology: standalone`.
    standalone: bool,
}

#[derive(Debug, Default)]
struct State {
    sources: BTreeMap<String, Arc<Source>>,
    projects: BTreeMap<String, Arc<RawValue>>,
    /// The list of global projects. Where there is one, every project may count for every source.
    global_projects: Option<Arc<RawValue>>,
    namespaces: BTreeSet<String>,
    /// By source.
    owned: BTreeMap<String, BTreeMap<ObjectId, Arc<Live>>>,
    /// The source under which an owned object is filed.
    filed: HashMap<ObjectId, String>,
    /// Sources whose namespace is not there yet.
    waiting: BTreeMap<String, BTreeSet<String>>,
}

/// What one attempt works on.
#[derive(Debug)]
pub(crate) struct View {
    /// The source, or all of them.
    pub(crate) sources: Vec<Arc<Source>>,
    pub(crate) projects: Projects,
    /// What was rendered for them before.
    pub(crate) owned: BTreeMap<ObjectId, Arc<Live>>,
}

/// What Argo CD has to say about the sources of an attempt.
#[derive(Clone, Debug)]
pub(crate) struct Projects {
    /// Their projects, as far as they exist, or all where there are global ones.
    pub(crate) named: Vec<Arc<RawValue>>,
    /// The list of global projects.
    pub(crate) global: Option<Arc<RawValue>>,
}

/// How much is known.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) sources: usize,
    pub(crate) owned: usize,
}

impl ClusterState {
    pub(crate) fn new(standalone: bool, changed: UnboundedSender<String>) -> Self {
        Self(Arc::new(Inner {
            state: Mutex::default(),
            changed,
            standalone,
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is complete before anything can panic.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that a source has to be looked at.
    fn touch(&self, source: &str) {
        let key = if self.0.standalone { ALL_SOURCES } else { source };
        // Nobody listens any more when the operator stops.
        let _ = self.0.changed.send(key.to_owned());
    }

    /// Everything that there is to look at.
    pub(crate) fn keys(&self) -> BTreeSet<String> {
        if self.0.standalone {
            return BTreeSet::from([ALL_SOURCES.to_owned()]);
        }
        let state = self.state();
        state.sources.keys().chain(state.owned.keys()).cloned().collect()
    }

    pub(crate) fn counts(&self) -> Counts {
        let state = self.state();
        Counts {
            sources: state.sources.len(),
            owned: state.filed.len(),
        }
    }

    /// True if there is an owned object of a kind.
    pub(crate) fn has_kind(&self, kind: &GroupKind) -> bool {
        self.state().filed.keys().any(|id| *id.kind == *kind)
    }

    /// What an attempt for a key works on.
    pub(crate) fn view(&self, key: &str) -> View {
        let state = self.state();
        let whole = self.0.standalone;
        let sources: Vec<_> = match whole {
            true => state.sources.values().cloned().collect(),
            false => state.sources.get(key).cloned().into_iter().collect(),
        };
        let names: BTreeSet<_> = sources.iter().filter_map(|source| source.project.as_ref()).collect();
        let owned = match whole {
            true => state
                .owned
                .values()
                .flatten()
                .map(|(id, live)| (id.clone(), live.clone()))
                .collect(),
            false => state.owned.get(key).cloned().unwrap_or_default(),
        };
        let named = match state.global_projects {
            Some(_) => state.projects.values().cloned().collect(),
            None => names
                .into_iter()
                .filter_map(|name| state.projects.get(name).cloned())
                .collect(),
        };
        View {
            projects: Projects {
                named,
                global: state.global_projects.clone(),
            },
            sources,
            owned,
        }
    }

    /// True if the namespace is there. If not, the source is looked at again when it is.
    pub(crate) fn has_namespace(&self, namespace: &str, key: &str) -> bool {
        let mut state = self.state();
        let there = state.namespaces.contains(namespace);
        if !there {
            state
                .waiting
                .entry(namespace.to_owned())
                .or_default()
                .insert(key.to_owned());
        }
        there
    }

    pub(crate) fn put_source(&self, source: Source) {
        let mut state = self.state();
        let old = state.sources.get(&source.key);
        let changed =
            old.is_none_or(|old| old.text.get() != source.text.get() || old.reference.uid != source.reference.uid);
        if changed {
            self.touch(&source.key);
            state.sources.insert(source.key.clone(), Arc::new(source));
        }
    }

    pub(crate) fn remove_source(&self, key: &str) {
        if self.state().sources.remove(key).is_some() {
            self.touch(key);
        }
    }

    pub(crate) fn put_project(&self, name: &str, text: Box<RawValue>) {
        let mut state = self.state();
        if state.projects.get(name).is_none_or(|old| old.get() != text.get()) {
            state.projects.insert(name.to_owned(), Arc::from(text));
            self.touch_project(&state, name);
        }
    }

    pub(crate) fn remove_project(&self, name: &str) {
        let mut state = self.state();
        if state.projects.remove(name).is_some() {
            self.touch_project(&state, name);
        }
    }

    pub(crate) fn put_global_projects(&self, text: Option<Box<RawValue>>) {
        let mut state = self.state();
        let old = state.global_projects.as_deref().map(RawValue::get);
        if old != text.as_deref().map(RawValue::get) {
            state.global_projects = text.map(Arc::from);
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
        if state.namespaces.insert(name.to_owned()) {
            state
                .waiting
                .remove(name)
                .iter()
                .flatten()
                .for_each(|key| self.touch(key));
        }
    }

    pub(crate) fn remove_namespace(&self, name: &str) {
        self.state().namespaces.remove(name);
    }

    /// Files an owned object, unless something newer is known of it. What the operator itself wrote needs no second look.
    pub(crate) fn put_owned(&self, mut live: Live, by_us: bool) {
        let mut state = self.state();
        let old = state
            .filed
            .get(&live.id)
            .and_then(|key| state.owned.get(key)?.get(&live.id))
            .cloned();
        if let Some(old) = &old {
            if old.uid == live.uid && !live.is_newer(old) {
                return;
            }
            let same = old.is_same(&live);
            live.settled |= same && old.settled;
            if !by_us && !same {
                self.touch(&old.source);
            }
        }
        if !by_us && old.is_none_or(|old| old.source != live.source) {
            self.touch(&live.source);
        }
        unfile(&mut state, &live.id);
        state.filed.insert(live.id.clone(), live.source.clone());
        state
            .owned
            .entry(live.source.clone())
            .or_default()
            .insert(live.id.clone(), Arc::new(live));
    }

    /// Forgets an owned object; with a uid, only if it is that very one.
    pub(crate) fn remove_owned(&self, id: &ObjectId, uid: Option<&str>, by_us: bool) {
        let mut state = self.state();
        let known = state.filed.get(id).and_then(|key| state.owned.get(key)?.get(id));
        let gone = known.is_some_and(|live| uid.is_none_or(|uid| uid == live.uid));
        if gone
            && let Some(key) = unfile(&mut state, id)
            && !by_us
        {
            self.touch(&key);
        }
    }
}

fn unfile(state: &mut State, id: &ObjectId) -> Option<String> {
    let key = state.filed.remove(id)?;
    if let Some(of_source) = state.owned.get_mut(&key) {
        of_source.remove(id);
        if of_source.is_empty() {
            state.owned.remove(&key);
        }
    }
    Some(key)
}
