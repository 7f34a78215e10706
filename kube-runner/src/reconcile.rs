//! One source, from what is seen to what runs.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use telewarden::{ClusterView, Module, Outcome, PROTOCOL, RenderAnswer, RenderRequest, Rendered};
use telewarden_policy::well_known::ALL_SOURCES;
use tokio::sync::Semaphore;

use crate::cluster_state::{ClusterState, Projects, Source, View};
use crate::error::Error;
use crate::events::{Events, News, describe};
use crate::http::Status;
use crate::live_object::Live;
use crate::module::blocking;
use crate::object_id::ObjectId;
use crate::owned::{Change, Owned, Verb};
use crate::queue::{Attempt, LATER};
use crate::settings::Settings;
use crate::writer::Writer;

/// What every attempt shares.
pub(crate) struct Context {
    pub(crate) writer: Writer,
    pub(crate) module: Module,
    /// Calls to the module are for processors, of which there are only so many.
    pub(crate) calls: Arc<Semaphore>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) state: ClusterState,
    pub(crate) events: Events,
    pub(crate) status: Arc<Status>,
    /// What was done, for those who print it.
    pub(crate) changes: Mutex<Vec<Change>>,
    pub(crate) keeps_changes: bool,
    /// How many endpoints each source has.
    pub(crate) endpoints: Mutex<HashMap<String, usize>>,
    /// `standalone`: the sources that the module failed on, and when. They are left out until they change, or a later try.
    pub(crate) failing: Mutex<HashMap<String, (Arc<Source>, Instant)>>,
}

/// Brings what a source owns to what the module renders for it.
pub(crate) async fn reconcile(context: Arc<Context>, key: Arc<str>) -> Attempt {
    let view = context.state.view(&key);
    let sources = view.sources.clone();
    match attempt(&context, &key, view).await {
        Ok((result, attempt)) => {
            context.status.metrics.reconciled(result);
            attempt
        }
        Err(error) => {
            context.status.metrics.reconciled("failed");
            context.tell_failure(&key, &error, &sources);
            if error.is_passing() {
                Attempt::Soon
            } else {
                Attempt::Later
            }
        }
    }
}

/// Answers how it went, for the metric, and whether something is left to do.
async fn attempt(context: &Context, key: &str, view: View) -> Result<(&'static str, Attempt), Error> {
    let View {
        sources,
        projects,
        owned,
    } = view;
    let mut left = Attempt::Done;
    let rendered = if sources.is_empty() && !(context.settings.is_standalone() && key == ALL_SOURCES) {
        // It is gone, or has no annotation any more.
        context.count_endpoints(key, 0);
        Rendered::default()
    } else {
        let previous = match context.settings.is_standalone() {
            true => previous_files(&owned),
            false => BTreeMap::new(),
        };
        let (answer, good) = context.render_what_can_be(key, &sources, &projects, previous).await?;
        if good.len() < sources.len() {
            left = Attempt::Later;
        }
        match context.read(key, answer, &good)? {
            Wanted::Objects(rendered) => rendered,
            Wanted::AsBefore => return Ok(("refused", left)),
        }
    };

    let mut objects = rendered.objects;
    let mut waiting = false;
    if let Some(namespace) = rendered.namespace.filter(|_| !objects.is_empty())
        && !context.state.has_namespace(&namespace, key)
    {
        for source in &sources {
            let note = format!("namespace {namespace} does not exist; Telegraf is set up when it does");
            context.tell(source, false, "WaitingForNamespace", note);
        }
        objects.clear();
        waiting = true;
    }

    let mut all = Owned::new(
        &context.writer,
        Some(&context.state),
        Some(&context.status.metrics),
        owned,
    );
    for object in &objects {
        all.apply(object).await?;
    }
    let changes = all.prune().await?;
    context.tell_changes(key, &sources, &changes);
    let result = match (waiting, changes.is_empty()) {
        (true, _) => "waiting",
        (false, true) => "unchanged",
        (false, false) => "changed",
    };
    if context.keeps_changes {
        lock(&context.changes).extend(changes);
    }
    Ok((result, left))
}

/// What is locked is whole whenever somebody panics.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What an answer asks for.
enum Wanted {
    /// These, and nothing else. There may be none.
    Objects(Rendered),
    /// What is there stays.
    AsBefore,
}

impl Context {
    /// Has the module render sources, and answers also which they were. In `standalone`, where all are one call, those that
    /// the module fails on are found by rendering each alone; they keep what they have, and the others are rendered.
    async fn render_what_can_be(
        &self,
        key: &str,
        sources: &[Arc<Source>],
        projects: &Projects,
        previous: BTreeMap<String, String>,
    ) -> Result<(RenderAnswer, Vec<Arc<Source>>), Error> {
        let (good, kept) = self.without_failing(sources);
        let failure = match self.render(key, &good, projects, &kept, previous.clone()).await {
            Err(failure @ Error::Module { .. }) if self.settings.is_standalone() => failure,
            answer => return Ok((answer?, good)),
        };
        let found_before = kept.len();
        for source in &good {
            let alone = std::slice::from_ref(source);
            if let Err(error) = self.render(&source.key, alone, projects, &[], BTreeMap::new()).await {
                self.tell_failure(&source.key, &error, alone);
                let failing = (source.clone(), Instant::now());
                lock(&self.failing).insert(source.key.clone(), failing);
            }
        }
        let (good, kept) = self.without_failing(sources);
        if kept.len() == found_before {
            // Each alone is well, and all together are too much.
            return Err(failure);
        }
        Ok((self.render(key, &good, projects, &kept, previous).await?, good))
    }

    /// Sources without those that the module failed on a moment ago, and those.
    fn without_failing(&self, sources: &[Arc<Source>]) -> (Vec<Arc<Source>>, Vec<Arc<Source>>) {
        let failing = lock(&self.failing);
        let fails = |source: &Arc<Source>| {
            let failed = failing.get(&source.key);
            failed.is_some_and(|(failed, at)| Arc::ptr_eq(failed, source) && at.elapsed() < LATER)
        };
        sources.iter().cloned().partition(|source| !fails(source))
    }

    /// Has the module render sources, on a thread where that holds up nobody. Others are kept as they are.
    async fn render(
        &self,
        key: &str,
        sources: &[Arc<Source>],
        projects: &Projects,
        _kept: &[Arc<Source>],
        _previous: BTreeMap<String, String>,
    ) -> Result<RenderAnswer, Error> {
        let (module, settings) = (self.module.clone(), self.settings.clone());
        let (sources, projects) = (sources.to_vec(), projects.clone());
        let _call = self.calls.acquire().await;
        let started = Instant::now();
        let answer = blocking(move || {
            module.render(&RenderRequest {
                protocol: PROTOCOL,
                settings: Some(&settings.document),
                sources: sources.iter().map(|source| &*source.text).collect(),
                cluster: Some(ClusterView {
                    projects: projects.named.iter().map(|project| &**project).collect(),
                    global_projects: projects.global.as_deref(),
                    in_cluster_enabled: None,
                }),
                accepted: Vec::new(),
            })
        })
        .await;
        self.status.metrics.called_module(started.elapsed());
        answer.map_err(|source| Error::Module {
            doing: format!("render {key}"),
            source,
        })
    }

    /// Tells sources what the module found, and says what is wanted.
    fn read(&self, key: &str, answer: RenderAnswer, sources: &[Arc<Source>]) -> Result<Wanted, Error> {
        let mut refused = false;
        for of_source in &answer.sources {
            let Some(source) = sources.get(of_source.index) else {
                continue;
            };
            let note = describe(&of_source.diagnostics);
            match of_source.outcome {
                Outcome::Refused => {
                    tracing::warn!(source = source.key, diagnostics = note, "refused");
                    self.tell(source, true, "Refused", note);
                    refused = true;
                }
                Outcome::Skipped => self.tell(source, false, "Skipped", note),
                Outcome::Rendered if !note.is_empty() => self.tell(source, true, "Doubtful", note),
                Outcome::Rendered | Outcome::Idle => {}
            }
        }
        if answer.diagnostics.iter().any(telewarden::Diagnostic::is_error) {
            let why = describe(&answer.diagnostics);
            return match &answer.shared {
                // The one Telegraf does not fit into a ConfigMap.
                Some(_) => {
                    tracing::warn!(diagnostics = why, "refused");
                    sources
                        .iter()
                        .for_each(|source| self.tell(source, true, "Refused", why.clone()));
                    Ok(Wanted::AsBefore)
                }
                None => Err(Error::Settings { why }),
            };
        }
        let endpoints = answer.sources.iter().map(|source| source.endpoints.len()).sum();
        if let Some(shared) = answer.shared {
            self.count_endpoints(key, endpoints);
            return Ok(Wanted::Objects(shared));
        }
        if refused {
            return Ok(Wanted::AsBefore);
        }
        self.count_endpoints(key, endpoints);
        let rendered = answer.sources.into_iter().next().map(|source| source.rendered);
        Ok(Wanted::Objects(rendered.unwrap_or_default()))
    }

    fn count_endpoints(&self, key: &str, endpoints: usize) {
        let mut all = lock(&self.endpoints);
        match endpoints {
            0 => all.remove(key),
            endpoints => all.insert(key.to_owned(), endpoints),
        };
        self.status.metrics.endpoints(all.values().sum());
        let counts = self.state.counts();
        self.status
            .metrics
            .sources
            .set(i64::try_from(counts.sources).unwrap_or(i64::MAX));
        self.status
            .metrics
            .owned
            .set(i64::try_from(counts.owned).unwrap_or(i64::MAX));
    }

    /// Counts a failure, and tells sources of it unless the next try is likely to go well.
    fn tell_failure(&self, key: &str, error: &Error, sources: &[Arc<Source>]) {
        self.status.metrics.failed(error.reason());
        let text = error.chain();
        tracing::warn!(%key, error = %text, reason = error.reason(), "the attempt failed");
        let reason = match error.reason() {
            // A conflict is how the API server says that somebody was faster.
            "conflict" | "connection" | "leadership" | "throttled" | "server" | "timeout" => return,
            "foreign" => "ForeignObject",
            _ => "Failed",
        };
        for source in sources {
            self.tell(source, true, reason, text.clone());
        }
    }

    fn tell(&self, source: &Source, warning: bool, reason: &'static str, note: String) {
        self.events.tell(News {
            regarding: source.reference.clone(),
            warning,
            reason,
            note,
        });
    }

    fn tell_changes(&self, key: &str, sources: &[Arc<Source>], changes: &[Change]) {
        // In `standalone` the changes are nobody's in particular.
        let [source] = sources else { return };
        if key == ALL_SOURCES || changes.is_empty() {
            return;
        }
        let some = |verb: Verb| {
            let ids: Vec<String> = changes
                .iter()
                .filter(|change| change.verb == verb)
                .map(|change| change.id.to_string())
                .collect();
            (!ids.is_empty()).then(|| format!("{} {}", verb.past(), ids.join(", ")))
        };
        let note: Vec<String> = [Verb::Create, Verb::Apply, Verb::Delete]
            .into_iter()
            .filter_map(some)
            .collect();
        self.tell(source, false, "Applied", note.join("; "));
    }
}

/// `standalone`: the files that the one Telegraf reads now, for the sources whose annotation is broken.
pub(crate) fn previous_files(owned: &BTreeMap<ObjectId, Arc<Live>>) -> BTreeMap<String, String> {
    let shared = |live: &&Arc<Live>| {
        live.source == ALL_SOURCES && live.id.kind.kind == "ConfigMap" && live.id.kind.group.is_empty()
    };
    let files = owned
        .values()
        .filter(shared)
        .flat_map(|live| match live.content()["data"].take() {
            serde_json::Value::Object(data) => data.into_iter().collect::<Vec<_>>(),
            _ => Vec::new(),
        });
    files
        .filter_map(|(name, text)| Some((name, text.as_str()?.to_owned())))
        .collect()
}
