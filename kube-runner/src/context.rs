//! What attempts share, and the steps that they are made of.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt};
use telewarden::{
    ClusterView, Diagnostic, Module, Outcome, PROTOCOL, RenderAnswer, RenderRequest, Rendered, SourceAnswer,
};
use telewarden_policy::well_known::ALL_SOURCES;
use tokio::sync::Semaphore;

use crate::accepted::{AcceptedStore, Declarations};
use crate::cluster_state::{ArgoCd, ClusterState, Source};
use crate::conditions::{Condition, Conditions};
use crate::error::Error;
use crate::events::{Events, Notification, describe};
use crate::group::{Choice, Input};
use crate::http::Status;
use crate::influxdb::{Failure, Provided, Provider};
use crate::live_object::Live;
use crate::module::blocking;
use crate::object_id::{GroupKind, ObjectId};
use crate::owned::{Change, Owned, Stuck, Verb};
use crate::queue::Attempt;
use crate::reports::{self, Reports, apply_report};
use crate::retry::LATER;
use crate::settings::Settings;
use crate::shards::Shards;
use crate::status::expected_of;
use crate::writer::Writer;

/// The additional deadline of a call for each source after the first.
const DEADLINE_PER_SOURCE: Duration = Duration::from_millis(50);
/// The number of accepted declarations that are written at the same time.
const WRITES_AT_ONCE: usize = 8;

/// Everything that attempts share.
pub(crate) struct Context {
    pub(crate) writer: Writer,
    pub(crate) module: Module,
    /// Limits the number of concurrent calls to the number of processors.
    pub(crate) calls: Arc<Semaphore>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) state: ClusterState,
    pub(crate) events: Events,
    pub(crate) conditions: Conditions,
    pub(crate) status: Arc<Status>,
    /// All changes, if `keeps_changes` is true.
    pub(crate) changes: Mutex<Vec<Change>>,
    pub(crate) keeps_changes: bool,
    /// How often each Telegraf is asked how it is, if it is.
    pub(crate) looks: Option<Duration>,
    /// What becomes of Reports.
    pub(crate) reports: Reports,
    /// Provides in InfluxDB what sources need, if the settings ask for it.
    pub(crate) provider: Option<Arc<Provider>>,
    /// What would be made or revoked in InfluxDB, in a dry run.
    pub(crate) provisions: Mutex<Vec<String>>,
    /// The number of endpoints of each source.
    pub(crate) endpoints: Mutex<EndpointCounts>,
    /// `standalone`: the accepted declarations and their store.
    pub(crate) store: AcceptedStore,
    pub(crate) accepted: Mutex<Declarations>,
    /// `standalone`: what is rendered of all sources; none before the first attempt.
    pub(crate) shards: tokio::sync::Mutex<Option<Shards>>,
    /// `standalone`: the sources on which the module failed. They are retried when they change, or later.
    pub(crate) failing: Mutex<HashMap<String, FailingSource>>,
}

/// The number of endpoints of each source that has any, and their sum.
#[derive(Default)]
pub(crate) struct EndpointCounts {
    by_source: HashMap<Arc<str>, usize>,
    sum: usize,
}

impl EndpointCounts {
    fn set(&mut self, source: Arc<str>, endpoints: usize) {
        let before = match endpoints {
            0 => self.by_source.remove(&source),
            endpoints => self.by_source.insert(source, endpoints),
        };
        self.sum = self.sum + endpoints - before.unwrap_or_default();
    }
}

/// A source whose text is not used, its replacement, and the time since then.
type FailingSource = (Arc<Source>, Choice, Instant);

/// The reason of an Event that a bucket or a token could not be provided.
const NOT_PROVIDED: &str = "NotProvided";

/// The most objects that cannot be deleted that a note names.
const NAMED: usize = 5;

/// What a source is told of its objects that should be gone and are not. Of an object that only says that it is a source's
/// nothing is told: anybody can create one.
pub(crate) fn not_deleted(sources: &[Arc<Source>], stuck: &[Stuck]) -> Vec<Condition> {
    let mut by_source: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for stuck in stuck.iter().filter(|stuck| stuck.is_known) {
        by_source.entry(&stuck.source).or_default().push(&stuck.why);
    }
    let told = |source: &Arc<Source>| {
        let whys = by_source.get(&*source.key)?;
        let mut note = whys[..whys.len().min(NAMED)].join("\n");
        if whys.len() > NAMED {
            note.push_str(&format!("\nand {} more", whys.len() - NAMED));
        }
        Some(Condition {
            source: source.clone(),
            warning: true,
            reason: "NotDeleted",
            note,
        })
    };
    sources.iter().filter_map(told).collect()
}

/// Locks a mutex. Its data is consistent even after a panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Context {
    /// The result of an attempt, for the metric.
    pub(crate) fn finish(&self, waiting: bool, changes: Vec<Change>) -> &'static str {
        // After the writes: the next attempt may be hours away.
        self.count();
        let result = match (waiting, changes.is_empty()) {
            (true, _) => "waiting",
            (false, true) => "unchanged",
            (false, false) => "changed",
        };
        if self.keeps_changes {
            lock(&self.changes).extend(changes);
        }
        result
    }

    /// Leaves out what is rendered for a namespace that does not exist. Returns whether that is so.
    pub(crate) fn wait_for_namespace(
        &self,
        key: &str,
        sources: &[Arc<Source>],
        rendered: &mut Rendered,
        conditions: &mut Vec<Condition>,
    ) -> bool {
        let namespace = rendered.namespace.as_ref().filter(|_| !rendered.objects.is_empty());
        let Some(namespace) = namespace.filter(|namespace| !self.state.has_namespace(namespace, key)) else {
            return false;
        };
        let note = format!("namespace {namespace} does not exist; Telegraf is deployed when it is created");
        conditions.extend(sources.iter().map(|source| Condition {
            source: source.clone(),
            warning: false,
            reason: "WaitingForNamespace",
            note: note.clone(),
        }));
        rendered.objects.clear();
        rendered.databases.clear();
        true
    }

    /// The sources with their accepted declarations, as input for the module.
    pub(crate) fn inputs(&self, sources: &[Arc<Source>]) -> Vec<Input> {
        let (failing, accepted) = (lock(&self.failing), lock(&self.accepted));
        let input = |source: &Arc<Source>| {
            let failed = failing.get(&*source.key);
            let failed = failed.filter(|(failed, _, at)| Arc::ptr_eq(failed, source) && at.elapsed() < LATER);
            Input {
                source: source.clone(),
                accepted: accepted.get(&*source.key).cloned(),
                choice: failed.map_or(Choice::Current, |(_, choice, _)| *choice),
            }
        };
        sources.iter().map(input).collect()
    }

    /// Stores whether a source fails, so that it need not be found out again at each attempt.
    pub(crate) fn remember_failing(&self, input: &Input) {
        let mut failing = lock(&self.failing);
        let known = failing.remove(&*input.source.key);
        if input.choice != Choice::Current {
            let known = known.filter(|known| Arc::ptr_eq(&known.0, &input.source) && known.1 == input.choice);
            let since = known.map_or_else(Instant::now, |(_, _, since)| since);
            failing.insert(
                input.source.key.to_string(),
                (input.source.clone(), input.choice, since),
            );
        }
    }

    /// Calls the module on a thread that may block.
    pub(crate) async fn call(
        &self,
        key: &str,
        inputs: Vec<Input>,
        argocd: ArgoCd,
        operation: fn(&Module, &RenderRequest<'_>) -> Result<RenderAnswer, telewarden::Error>,
    ) -> Result<RenderAnswer, Error> {
        let more = u32::try_from(inputs.len().saturating_sub(1)).unwrap_or(u32::MAX);
        let deadline = self.module.deadline() + DEADLINE_PER_SOURCE.saturating_mul(more);
        let (module, settings) = (self.module.with_deadline(deadline), self.settings.clone());
        let _call = self.calls.acquire().await;
        let started = Instant::now();
        let answer = blocking(move || {
            let texts: Vec<_> = inputs.iter().filter_map(Input::text).collect();
            let request = RenderRequest {
                protocol: PROTOCOL,
                settings: Some(&settings.document),
                sources: texts.iter().map(|text| &**text).collect(),
                cluster: Some(ClusterView {
                    projects: argocd.projects.iter().map(|project| &**project).collect(),
                    global_projects: argocd.global_projects.as_deref(),
                    in_cluster_enabled: argocd.in_cluster_enabled,
                }),
                accepted: inputs.iter().filter_map(Input::declaration).collect(),
                ..Default::default()
            };
            operation(&module, &request)
        })
        .await;
        self.status.metrics.called_module(started.elapsed());
        answer.map_err(|source| Error::Module {
            doing: format!("render {key}"),
            source,
        })
    }

    /// Provides what the answer needs of databases, and puts the tokens into its Secrets.
    ///
    /// # Errors
    /// If it cannot be provided. In `standalone` the others are not held up: whoever it concerns is told.
    pub(crate) async fn provide(
        &self,
        sources: &[Arc<Source>],
        rendered: &mut Rendered,
        owned: &BTreeMap<ObjectId, Arc<Live>>,
        conditions: &mut Vec<Condition>,
        left: &mut Attempt,
    ) -> Result<Option<Provided>, Error> {
        let Some(provider) = self.provider.as_ref().filter(|_| !rendered.databases.is_empty()) else {
            return Ok(None);
        };
        let mut provided = provider.provide(&self.writer, rendered, owned).await;
        provided.fill(&mut rendered.objects);
        if let Some(again) = provided.again {
            *left = left.or(Attempt::At(again));
        }
        let failures = std::mem::take(&mut provided.failures);
        let is_standalone = self.settings.is_standalone();
        if let Some((_, failure)) = failures.iter().find(|(_, failure)| !is_standalone || failure.is_busy) {
            return Err(Error::Provide(failure.clone()));
        }
        // One Event for each source and reason.
        let mut notes: BTreeMap<(&str, bool, &'static str), Vec<&str>> = BTreeMap::new();
        for (holder, failure) in &failures {
            notes
                .entry((holder, true, NOT_PROVIDED))
                .or_default()
                .push(&failure.why);
            *left = left.or(Attempt::At(failure.until));
        }
        for (holder, note) in &provided.notes {
            notes.entry((holder, false, "RetentionDiffers")).or_default().push(note);
        }
        let told = |holder: &str| match self.state.source(holder) {
            Some(source) => vec![source],
            None => sources.to_vec(),
        };
        for ((holder, warning, reason), mut lines) in notes {
            lines.dedup();
            let note = lines.join("\n");
            conditions.extend(told(holder).into_iter().map(|source| Condition {
                source,
                warning,
                reason,
                note: note.clone(),
            }));
        }
        if self.writer.dry_run {
            lock(&self.provisions).append(&mut provided.made);
        } else if let ([source], false) = (sources, provided.made.is_empty()) {
            self.events.send(Notification {
                regarding: source.reference(),
                warning: false,
                reason: "Provided",
                note: provided.made.join("; "),
            });
        }
        Ok(Some(provided))
    }

    /// Revokes tokens of a holder, or of all, that are not needed any more.
    pub(crate) async fn revoke(&self, holder: Option<&str>, rendered: &Rendered) -> Result<(), Failure> {
        let Some(provider) = &self.provider else { return Ok(()) };
        let mut revoked = provider.revoke(&self.writer, holder, Some(rendered)).await?;
        if self.writer.dry_run {
            lock(&self.provisions).append(&mut revoked);
        }
        Ok(())
    }

    /// What an answer says of a source, as a condition.
    pub(crate) fn condition_of(&self, of_source: &SourceAnswer, source: &Arc<Source>) -> Option<Condition> {
        let note = describe(&of_source.diagnostics);
        let (warning, reason) = match of_source.outcome {
            Outcome::Refused => {
                tracing::warn!(source = &*source.key, diagnostics = note, "refused");
                (true, "Refused")
            }
            Outcome::Skipped => (false, "Skipped"),
            Outcome::Rendered if note.is_empty() => return None,
            Outcome::Rendered => (true, "Doubtful"),
            Outcome::Idle => return None,
        };
        Some(Condition {
            source: source.clone(),
            warning,
            reason,
            note,
        })
    }

    /// Converts the answer about a source to conditions and what it should have. `None` keeps what it has.
    pub(crate) fn read(
        &self,
        key: &str,
        answer: RenderAnswer,
        sources: &[Arc<Source>],
        conditions: &mut Vec<Condition>,
    ) -> Result<Option<Rendered>, Error> {
        let told = |of_source: &SourceAnswer| self.condition_of(of_source, sources.get(of_source.index)?);
        conditions.extend(answer.sources.iter().filter_map(told));
        check_settings(&answer)?;
        if answer.sources.iter().any(|source| source.outcome == Outcome::Refused) {
            return Ok(None);
        }
        let endpoints = answer.sources.iter().map(|source| source.endpoints.len()).sum();
        self.count_endpoints(key, endpoints);
        if let Some(interval) = self.looks {
            let expected = expected_of(
                &answer,
                |index| sources.get(index).cloned(),
                |text| self.state.shared(text),
            );
            match expected.into_iter().next() {
                Some(expected) => self.status.board.follow(expected, interval),
                None => self.status.board.forget(key),
            }
        }
        let rendered = answer.sources.into_iter().next().map(|source| source.rendered);
        Ok(Some(rendered.unwrap_or_default()))
    }

    /// Applies the Reports of sources. What is wrong with them holds up nothing else.
    pub(crate) async fn report(
        &self,
        all: &mut Owned<'_>,
        sources: &[Arc<Source>],
        conditions: &mut Vec<Condition>,
    ) -> Attempt {
        let kind = GroupKind::of(&reports::kind());
        let mut left = Attempt::Done;
        match self.reports {
            Reports::Deleted => {}
            Reports::Kept => all.keep_kind(&kind),
            Reports::Written => {
                for (at, source) in sources.iter().enumerate() {
                    let (board, state) = (&self.status.board, &self.state);
                    let Err(error) = apply_report(all, &self.writer, board, state, source).await else {
                        continue;
                    };
                    conditions.extend(self.failure(&source.key, &error, std::slice::from_ref(source)));
                    if error.is_of_server() {
                        // The next one would most likely fail too. None of them is pruned.
                        all.keep_kind(&kind);
                        sources[at..].iter().for_each(|source| state.has_changed(&source.key));
                        return Attempt::Soon;
                    }
                    // Somebody can see to it that one namespace takes no Report.
                    state.has_changed(&source.key);
                    left = left.or(match error.is_passing() {
                        true => Attempt::Soon,
                        false => Attempt::Later,
                    });
                }
            }
        }
        left
    }

    /// `standalone`: stores new and changed accepted declarations. Returns whether all are stored. One that the API server
    /// refuses does not stop the others.
    pub(crate) async fn remember(&self, accepted: Declarations) -> Result<bool, Error> {
        if self.writer.dry_run {
            return Ok(true);
        }
        let new: Vec<_> = {
            let known = lock(&self.accepted);
            let is_known = |source: &str, declaration: &str| {
                let known = known.get(source);
                known.is_some_and(|known| known.get() == declaration)
            };
            let mut new: Vec<_> = accepted.into_iter().collect();
            new.retain(|(source, declaration)| !is_known(source, declaration.get()));
            new
        };
        let write = async |(source, declaration): (String, Arc<_>)| match self
            .store
            .write(&self.writer, &source, &declaration)
            .await
        {
            Ok(()) => {
                lock(&self.accepted).insert(source, declaration);
                Ok(true)
            }
            Err(error) if matches!(error.reason(), "forbidden" | "invalid" | "api") => {
                self.status.metrics.failed(error.reason());
                tracing::warn!(source, error = %error.chain(), "could not store the accepted declaration");
                Ok(false)
            }
            Err(error) => Err(error),
        };
        let mut all = true;
        let mut writes = std::pin::pin!(futures::stream::iter(new).map(write).buffer_unordered(WRITES_AT_ONCE));
        while let Some(written) = writes.try_next().await? {
            all &= written;
        }
        Ok(all)
    }

    /// `standalone`: deletes the declarations of sources that were deleted or have no endpoints.
    pub(crate) async fn forget_accepted(&self, gone: &BTreeSet<String>) -> Result<(), Error> {
        for key in gone.iter().filter(|_| !self.writer.dry_run) {
            if lock(&self.accepted).contains_key(key) {
                self.store.delete(&self.writer, key).await?;
                lock(&self.accepted).remove(key);
            }
            self.conditions.forget(key);
        }
        Ok(())
    }

    pub(crate) fn count_endpoints(&self, key: &str, endpoints: usize) {
        let mut all = lock(&self.endpoints);
        all.set(self.state.shared(key), endpoints);
        self.status.metrics.endpoints(all.sum);
        self.count();
    }

    /// Sets the metrics of how much there is.
    fn count(&self) {
        let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let counts = self.state.counts();
        self.status.metrics.sources.set(gauge(counts.sources));
        self.status.metrics.owned.set(gauge(counts.owned));
    }

    /// Counts a failure, and answers the conditions of its sources: none if a retry is likely to succeed.
    pub(crate) fn failure(&self, key: &str, error: &Error, sources: &[Arc<Source>]) -> Vec<Condition> {
        if matches!(error, Error::Provide(failure) if failure.is_busy) {
            return Vec::new();
        }
        self.status.metrics.failed(error.reason());
        let text = error.chain();
        tracing::warn!(%key, error = %text, reason = error.reason(), "the attempt failed");
        let reason = match error.reason() {
            // A conflict means that another client wrote first.
            "conflict" | "connection" | "leadership" | "throttled" | "server" | "timeout" => return Vec::new(),
            "foreign" => "ForeignObject",
            "influxdb" => NOT_PROVIDED,
            _ => "Failed",
        };
        let condition = |source: &Arc<Source>| Condition {
            source: source.clone(),
            warning: true,
            reason,
            note: text.clone(),
        };
        sources.iter().map(condition).collect()
    }

    /// Sends an Event with the changes. Deleted objects that were not rendered for the source are left out, because anybody
    /// can create objects with its annotation.
    pub(crate) fn publish_changes(&self, key: &str, sources: &[Arc<Source>], changes: &[Change]) {
        let [source] = sources else { return };
        if key == ALL_SOURCES {
            return;
        }
        let some = |verb: Verb| {
            let changes = changes.iter().filter(|change| change.verb == verb && change.is_known);
            let ids: Vec<String> = changes.map(|change| change.id.to_string()).collect();
            (!ids.is_empty()).then(|| format!("{} {}", verb.past(), ids.join(", ")))
        };
        let verbs = [Verb::Create, Verb::Apply, Verb::Delete];
        let note: Vec<String> = verbs.into_iter().filter_map(some).collect();
        if note.is_empty() {
            return;
        }
        self.events.send(Notification {
            regarding: source.reference(),
            warning: false,
            reason: "Applied",
            note: note.join("; "),
        });
    }
}

/// # Errors
/// If the settings are invalid, so that nothing was rendered.
pub(crate) fn check_settings(answer: &RenderAnswer) -> Result<(), Error> {
    match answer.diagnostics.iter().any(Diagnostic::is_error) {
        true => Err(Error::Settings {
            why: describe(&answer.diagnostics),
        }),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use serde_json::value::RawValue;

    fn source(key: &str) -> Arc<Source> {
        let text = RawValue::from_string("{}".to_owned()).unwrap();
        Arc::new(Source::new(key.into(), text, "".into(), None))
    }

    fn stuck(source: &str, name: &str, is_known: bool) -> Stuck {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "redis"}});
        Stuck {
            id: ObjectId::of(&object).unwrap(),
            source: source.into(),
            is_known,
            why: format!("cannot delete {name}").into(),
        }
    }

    #[test]
    fn only_the_source_of_what_cannot_be_deleted_is_told() {
        let sources = [source("a"), source("b"), source("c")];
        let told = not_deleted(
            &sources,
            &[
                stuck("b", "x", true),
                stuck("c", "forged", false),
                stuck("d", "y", true),
            ],
        );
        let told: Vec<_> = told
            .iter()
            .map(|told| (&*told.source.key, told.reason, told.note.as_str()))
            .collect();
        assert_eq!(told, [("b", "NotDeleted", "cannot delete x")]);
    }

    #[test]
    fn of_many_that_cannot_be_deleted_some_are_named() {
        let many: Vec<_> = (0..500)
            .map(|number| stuck("a", &format!("x{number:03}"), true))
            .collect();
        let told = not_deleted(&[source("a")], &many);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].note.lines().last(), Some("and 495 more"));
        assert_eq!(told[0].note.lines().count(), 6);
    }
}
