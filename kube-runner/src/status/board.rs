//! All that is known of all sources, and whose turn it is.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::jiff::Timestamp;
use telewarden_policy::printable::printable;
use telewarden_policy::report::EndpointResult;

use super::endpoint::Transition;
use super::expected::{Expected, ExpectedTelegraf, TelegrafId};
use super::followed::{Followed, Question};
use super::health::{FailingEndpoint, Health, Problem, SourceHealth, State, States, seconds};
use super::pods::{Pods, ReadPod, telegraf_of};
use super::telegraf::Answer;
use super::words::Explanation;
use crate::events::Notification;

/// The longest message of a recalled Report, in characters. Ours are shorter.
const MAX_MESSAGE: usize = 1000;

/// What is known. It outlives a change of the settings.
#[derive(Debug, Default)]
pub(crate) struct Board(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// In boxes, because half of such a map can be empty.
    sources: BTreeMap<Arc<str>, Box<Followed>>,
    /// What keeps sources from being applied, or should be known of them: by source and reason.
    problems: BTreeMap<String, BTreeMap<&'static str, Problem>>,
    telegrafs: BTreeMap<TelegrafId, Turn>,
    pods: Pods,
    /// Sources with results that are not published yet.
    unpublished: BTreeSet<Arc<str>>,
    spread: RandomState,
}

/// When a Telegraf is asked next, and about whom.
#[derive(Debug)]
struct Turn {
    next: Instant,
    sources: Vec<Arc<str>>,
}

/// What a round needs to know of a Telegraf.
pub(super) struct Task {
    /// The pod's name and address, if it can be asked.
    pub(super) pod: Option<(String, IpAddr)>,
    /// The configuration tells its state.
    pub(super) tells: bool,
    /// Telegraf's names of what the sources expect.
    pub(super) prefixes: BTreeSet<String>,
    /// The number of names and URLs of all endpoints.
    pub(super) names: usize,
}

/// What the Report of a source says.
pub(crate) struct ReportContent {
    pub(crate) namespace: String,
    pub(crate) reference: ObjectReference,
    pub(crate) results: Vec<EndpointResult>,
}

impl Board {
    fn known(&self) -> MutexGuard<'_, Known> {
        // What is locked is whole whenever somebody panics.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows a source, or follows it with what is expected now.
    pub(crate) fn follow(&self, expected: Expected, interval: Duration) {
        self.known().follow(expected, interval);
    }

    /// Follows a source in other Telegrafs.
    pub(crate) fn has_moved(&self, source: &str, telegrafs: Vec<ExpectedTelegraf>, interval: Duration) {
        let mut known = self.known();
        if let Some(followed) = known.sources.get(source) {
            let mut expected = followed.expected.clone();
            expected.telegrafs = telegrafs;
            expected.endpoints = followed.names();
            known.follow(expected, interval);
        }
    }

    /// Forgets all sources but these.
    pub(crate) fn forget_others(&self, there: &BTreeSet<String>) {
        let mut known = self.known();
        let gone: Vec<_> = known
            .names()
            .filter(|source| !there.contains(*source))
            .map(str::to_owned)
            .collect();
        gone.iter().for_each(|source| known.forget(source));
    }

    /// Forgets a source.
    pub(crate) fn forget(&self, source: &str) {
        self.known().forget(source);
    }

    /// Takes in what came of the last attempt to apply a source. If it was not `complete`, what is not named is not known to have ended.
    pub(crate) fn note<'a>(
        &self,
        source: &str,
        problems: impl Iterator<Item = (&'static str, State, &'a str)>,
        complete: bool,
    ) {
        let mut known = self.known();
        let mut before = known.problems.remove(source).unwrap_or_default();
        let mut now = BTreeMap::new();
        for (reason, state, note) in problems {
            let known = before.remove(reason).filter(|known| known.note == note);
            let new = || Problem {
                reason: reason.to_owned(),
                state,
                since: seconds(Timestamp::now()),
                note: note.to_owned(),
            };
            now.insert(reason, known.unwrap_or_else(new));
        }
        if !complete {
            before.append(&mut now);
            now = before;
        }
        if !now.is_empty() {
            known.problems.insert(source.to_owned(), now);
        }
    }

    /// Takes in a pod that is there.
    pub(super) fn put_pod(&self, pod: &ReadPod) {
        let mut known = self.known();
        let Some(id) = telegraf_of(pod) else { return };
        let id = known.shared(&id);
        known.pods.put(id, pod);
    }

    /// Forgets a pod.
    pub(super) fn remove_pod(&self, pod: &ReadPod) {
        self.known().pods.remove(pod);
    }

    /// Forgets all pods.
    pub(super) fn clear_pods(&self) {
        self.known().pods.clear();
    }

    /// The Telegrafs whose turn it is. Their next turn is an interval later.
    pub(super) fn due(&self, now: Instant, interval: Duration) -> Vec<TelegrafId> {
        let mut known = self.known();
        let due = known.telegrafs.iter_mut().filter(|(_, turn)| turn.next <= now);
        due.map(|(id, turn)| {
            turn.next = now + interval;
            id.clone()
        })
        .collect()
    }

    /// What a round needs to know. `None` if nobody expects this Telegraf any more.
    pub(super) fn task(&self, id: &TelegrafId) -> Option<Task> {
        let known = self.known();
        let turn = known.telegrafs.get(id)?;
        let followed: Vec<_> = turn
            .sources
            .iter()
            .filter_map(|source| known.sources.get(source))
            .collect();
        // A name and a URL for each.
        let names = 2 * followed.iter().map(|followed| followed.endpoints.len()).sum::<usize>();
        let expected: Vec<_> = followed.iter().map(|followed| &followed.expected).collect();
        let mut telegrafs = followed.iter().flat_map(|followed| &followed.telegrafs);
        let pod = known.pods.best_of(id);
        Some(Task {
            pod: pod.and_then(|(name, pod)| Some((name.to_owned(), pod.address?))),
            tells: telegrafs.any(|(telegraf, _)| telegraf.id == *id && telegraf.digest.is_some()),
            prefixes: expected.iter().map(|expected| expected.alias_prefix.clone()).collect(),
            names,
        })
    }

    /// Takes in what came of asking a Telegraf. Returns whom to tell what, and what to look for.
    pub(super) fn observe(&self, id: &TelegrafId, answer: &Answer) -> (Vec<Notification>, Vec<Question>) {
        let mut known = self.known();
        let Known {
            sources,
            telegrafs,
            pods,
            ..
        } = &mut *known;
        let (mut told, mut questions) = (Vec::new(), Vec::new());
        let of_telegraf = telegrafs.get(id).map(|turn| turn.sources.clone()).unwrap_or_default();
        for source in of_telegraf {
            if let Some(followed) = sources.get_mut(&source) {
                followed.observe(id, pods, answer, Timestamp::now(), &mut told, &mut questions);
            }
        }
        (told, questions)
    }

    /// Takes in the reason that was found. Returns whom to tell what.
    pub(super) fn explain(
        &self,
        question: &Question,
        explanation: &Explanation,
        is_service_missing: bool,
    ) -> Vec<Notification> {
        let mut known = self.known();
        let Some(followed) = known.sources.get_mut(question.source.as_str()) else {
            return Vec::new();
        };
        let Some(endpoint) = followed.endpoint_mut(&question.name, &question.url) else {
            return Vec::new();
        };
        let tells_of_service = endpoint.explain(explanation.clone(), is_service_missing);
        let what = followed.expected.describe(&question.name, &question.url);
        let Explanation { why, what_to_do } = explanation;
        let mut told = Vec::new();
        if tells_of_service {
            told.push(followed.warning("ServiceNotFound", format!("{what}: {why}. {what_to_do}")));
        }
        if let Some(Transition::Down { answered }) = question.transition {
            let before = match answered {
                0 => "it has never answered".to_owned(),
                answered => format!("it had answered {answered} times"),
            };
            told.push(followed.warning("EndpointDown", format!("{what}: {why} ({before}). {what_to_do}")));
        }
        told
    }

    /// Takes note of the sources of a Telegraf whose results have changed.
    pub(super) fn note_results(&self, id: &TelegrafId) {
        let mut known = self.known();
        let of_telegraf = known.telegrafs.get(id).map(|turn| turn.sources.clone());
        for source in of_telegraf.unwrap_or_default() {
            let followed = known.sources.get(&source);
            if followed.is_some_and(|followed| followed.published.differs(&followed.results())) {
                known.unpublished.insert(source);
            }
        }
    }

    /// Publishes results that have changed, and answers whose. Those of a source that was published a moment ago wait.
    pub(super) fn publish(&self, now: Instant) -> Vec<Arc<str>> {
        let mut known = self.known();
        let Known {
            sources, unpublished, ..
        } = &mut *known;
        let mut published = Vec::new();
        unpublished.retain(|source| {
            let Some(followed) = sources.get_mut(source) else {
                return false;
            };
            if !followed.published.may_change(now) {
                return true;
            }
            let results = followed.results();
            if followed.published.replace(results, now) {
                published.push(source.clone());
            }
            false
        });
        published
    }

    /// The namespace of a source's Report, if nobody has looked yet what is in it.
    pub(crate) fn report_to_recall(&self, source: &str) -> Option<String> {
        let known = self.known();
        let followed = known.sources.get(source)?;
        (!followed.published.is_recalled()).then(|| followed.expected.namespace.to_string())
    }

    /// Takes in what an earlier operator has published. Others can write it too, so only results of the source's own endpoints are
    /// believed, until something is known of them.
    pub(crate) fn recall(&self, source: &str, results: Vec<EndpointResult>) {
        if let Some(followed) = self.known().sources.get_mut(source) {
            let mut own: Vec<EndpointResult> = Vec::new();
            for mut result in results {
                let is_own = followed.endpoint_mut(&result.name, &result.url).is_some();
                let is_new = !own.iter().any(|own| own.name == result.name && own.url == result.url);
                if is_own && is_new && result.since >= 0 {
                    result.message = printable(&result.message).chars().take(MAX_MESSAGE).collect();
                    own.push(result);
                }
            }
            followed.published.recall(own);
        }
    }

    /// What a source's Report says. `None` if nothing is known yet.
    pub(crate) fn report(&self, source: &str) -> Option<ReportContent> {
        let known = self.known();
        let followed = known.sources.get(source)?;
        Some(ReportContent {
            namespace: followed.expected.namespace.to_string(),
            reference: followed.expected.source.reference(),
            results: followed.published.results()?.to_vec(),
        })
    }

    /// The state of all sources, worst first.
    pub(crate) fn health(&self) -> Health {
        let known = self.known();
        let health = |name: &str| {
            let problems = known.problems.get(name).into_iter().flat_map(BTreeMap::values);
            let followed = known.sources.get(name);
            let mut health = followed.map_or_else(|| SourceHealth::of(name), |followed| followed.health());
            health.take(problems.cloned().collect());
            health
        };
        let mut sources: Vec<_> = known.names().map(health).collect();
        sources.sort_by_key(|source| source.state);
        Health { sources }
    }

    /// How many sources and endpoints are in each state, and so many of the endpoints that fail.
    pub(crate) fn states(&self, failing: usize) -> States {
        let known = self.known();
        let mut states = States::default();
        for name in known.names() {
            let problems = known.problems.get(name).into_iter().flat_map(BTreeMap::values);
            let of_problems = problems.map(|problem| problem.state).min();
            let followed = known.sources.get(name);
            let state = of_problems
                .into_iter()
                .chain(followed.map(|followed| followed.state()))
                .min();
            *states.sources.entry(state.unwrap_or(State::Up)).or_default() += 1;
            for (key, endpoint) in followed.into_iter().flat_map(|followed| &followed.endpoints) {
                *states.endpoints.entry(endpoint.state).or_default() += 1;
                if endpoint.state == State::Failing && states.failing.len() < failing {
                    let (source, endpoint, url) = (name.to_owned(), key.name.to_string(), key.url.to_string());
                    states.failing.push(FailingEndpoint { source, endpoint, url });
                }
            }
        }
        states
    }
}

impl Known {
    /// All sources that something is known of, in order.
    fn names(&self) -> impl Iterator<Item = &str> {
        let unfollowed = self
            .problems
            .keys()
            .filter(|name| !self.sources.contains_key(name.as_str()));
        let mut unfollowed = unfollowed.map(String::as_str).peekable();
        let mut followed = self.sources.keys().map(|name| &**name).peekable();
        std::iter::from_fn(move || match (followed.peek(), unfollowed.peek()) {
            (Some(one), Some(other)) if other < one => unfollowed.next(),
            (None, _) => unfollowed.next(),
            _ => followed.next(),
        })
    }

    fn follow(&mut self, mut expected: Expected, interval: Duration) {
        let source = expected.source.key.clone();
        let before = self.sources.remove(&source);
        if let Some(before) = &before {
            self.leave(&source, before, &expected.telegrafs);
        }
        for telegraf in &mut expected.telegrafs {
            telegraf.id = self.shared(&telegraf.id);
            if telegraf.id.namespace == expected.namespace {
                expected.namespace = telegraf.id.namespace.clone();
            }
            let share = self.spread.hash_one(&telegraf.id) % 1000;
            let first = Instant::now() + interval * u32::try_from(share).unwrap_or(0) / 1000;
            let new = || Turn {
                next: first,
                sources: Vec::new(),
            };
            let turn = self.telegrafs.entry(telegraf.id.clone()).or_insert_with(new);
            if !turn.sources.contains(&source) {
                turn.sources.reserve_exact(1);
                turn.sources.push(source.clone());
            }
        }
        let followed = Followed::new(expected, before.map(|before| *before));
        self.sources.insert(source, Box::new(followed));
    }

    /// The same, in the memory that is used for it already.
    fn shared(&self, id: &TelegrafId) -> TelegrafId {
        let known = self.telegrafs.get_key_value(id).map(|(known, _)| known);
        known.or_else(|| self.pods.known(id)).unwrap_or(id).clone()
    }

    /// Takes a source from the Telegrafs that it does not need any more.
    fn leave(&mut self, source: &str, before: &Followed, needed: &[ExpectedTelegraf]) {
        let ids = before.telegrafs.iter().map(|(telegraf, _)| &telegraf.id);
        for id in ids.filter(|id| needed.iter().all(|telegraf| telegraf.id != **id)) {
            let Some(turn) = self.telegrafs.get_mut(id) else {
                continue;
            };
            turn.sources.retain(|other| **other != *source);
            if turn.sources.is_empty() {
                self.telegrafs.remove(id);
            }
        }
    }

    fn forget(&mut self, source: &str) {
        self.problems.remove(source);
        if let Some(followed) = self.sources.remove(source) {
            self.leave(source, &followed, &[]);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;
    use telewarden_policy::report::Verdict;

    use super::super::expected::ExpectedEndpoint;
    use super::super::followed::MAX_OUTPUTS;
    use super::super::telegraf_report::{Output, TelegrafReport};
    use super::*;
    use crate::cluster_state::Source;

    const SOURCE: &str = "Namespace/shop";
    const URL: &str = "http://web.shop.svc/";

    fn id() -> TelegrafId {
        TelegrafId {
            namespace: "shop".into(),
            name: "telegraf-shop".into(),
        }
    }

    /// A board that follows a source with one endpoint.
    fn board() -> Board {
        let board = Board::default();
        let telegraf = ExpectedTelegraf {
            id: id(),
            digest: Some("x".into()),
        };
        let endpoint = ExpectedEndpoint {
            name: "web".into(),
            urls: vec![URL.to_owned()],
        };
        let expected = Expected {
            source: Arc::new(Source::new(
                SOURCE.into(),
                RawValue::from_string("{}".to_owned()).unwrap(),
                "".into(),
                None,
            )),
            endpoints: vec![endpoint],
            telegrafs: vec![telegraf],
            namespace: "shop".into(),
            alias_prefix: String::new(),
        };
        board.follow(expected, Duration::from_secs(60));
        board
    }

    #[test]
    fn of_a_report_that_others_wrote_only_the_own_endpoints_are_believed() {
        let board = board();
        let result = |name: &str, url: &str, message: &str, since| EndpointResult {
            name: name.to_owned(),
            url: url.to_owned(),
            verdict: Verdict::Pass,
            message: message.to_owned(),
            since,
        };
        let long = format!("\u{1b}[31m{}", "x".repeat(100_000));
        let forged = vec![
            result("web", URL, "from the future of the past", -5),
            result("web", URL, &long, 1),
            result("web", URL, "again", 2),
            result("web", "http://elsewhere.svc/", "another URL", 3),
            result("other", URL, "another endpoint", 4),
        ];
        board.recall(SOURCE, forged);
        let results = board.report(SOURCE).expect("something is known").results;
        assert_eq!(results.len(), 1);
        assert_eq!((results[0].since, results[0].message.chars().count()), (1, MAX_MESSAGE));
        assert!(!results[0].message.contains('\u{1b}'));
    }

    #[test]
    fn made_up_outputs_are_bounded() {
        let board = board();
        for round in 0..3 {
            let outputs = (0..1000).map(|number| (format!("{round}-{number}"), Output::default()));
            let report = TelegrafReport {
                digest: "x".to_owned(),
                outputs: outputs.collect(),
                ..TelegrafReport::default()
            };
            board.observe(&id(), &Answer::Report(report));
            assert!(board.health().sources[0].outputs.len() <= MAX_OUTPUTS);
        }
    }
}
