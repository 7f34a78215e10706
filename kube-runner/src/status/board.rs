//! All that is known of all sources, and whose turn it is.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::jiff::Timestamp;
use telewarden_policy::printable::printable;
use telewarden_policy::report::EndpointResult;

use super::endpoint::{Endpoint, Transition};
use super::expected::{Expected, ExpectedTelegraf, TelegrafId};
use super::health::{EndpointHealth, Health, OutputHealth, Problem, SourceHealth, State, TelegrafHealth};
use super::output::Output;
use super::pods::{Pods, ReadPod};
use super::published::{Published, verdict};
use super::telegraf::{Answer, Telegraf};
use super::telegraf_report::TelegrafReport;
use super::words::{Explanation, short};
use crate::events::Notification;

/// So many outputs of a source are kept.
const MAX_OUTPUTS: usize = 64;

/// The longest message of a recalled Report, in characters. Ours are shorter.
const MAX_MESSAGE: usize = 1000;

/// What is known. It outlives a change of the settings.
#[derive(Debug, Default)]
pub(crate) struct Board(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    sources: BTreeMap<String, Followed>,
    /// What keeps sources from being applied, or should be known of them: by source and reason.
    problems: BTreeMap<String, BTreeMap<&'static str, Problem>>,
    telegrafs: BTreeMap<TelegrafId, Turn>,
    pods: Pods,
    /// Sources with results that are not published yet.
    unpublished: BTreeSet<String>,
    spread: RandomState,
}

/// When a Telegraf is asked next, and about whom.
#[derive(Debug)]
struct Turn {
    next: Instant,
    sources: BTreeSet<String>,
}

/// One source.
#[derive(Debug)]
struct Followed {
    expected: Expected,
    /// By name and URL.
    endpoints: BTreeMap<(String, String), Endpoint>,
    outputs: BTreeMap<String, Output>,
    telegrafs: BTreeMap<TelegrafId, Telegraf>,
    published: Published,
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

/// An endpoint whose reason should be looked for.
pub(super) struct Question {
    pub(super) source: String,
    pub(super) name: String,
    pub(super) url: String,
    /// Its alias in Telegraf.
    pub(super) alias: String,
    /// The namespace whose Services may be named.
    pub(super) namespace: String,
    transition: Option<Transition>,
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
            let expected = followed.expected.clone();
            known.follow(Expected { telegrafs, ..expected }, interval);
        }
    }

    /// Forgets all sources but these.
    pub(crate) fn forget_others(&self, there: &BTreeSet<String>) {
        let mut known = self.known();
        let known_names = known.sources.keys().chain(known.problems.keys());
        let gone: Vec<_> = known_names.filter(|source| !there.contains(*source)).cloned().collect();
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
        self.known().pods.put(pod);
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
        let followed = turn.sources.iter().filter_map(|source| known.sources.get(source));
        let expected: Vec<_> = followed.map(|followed| &followed.expected).collect();
        let mut telegrafs = expected.iter().flat_map(|expected| &expected.telegrafs);
        let pod = known.pods.best_of(id);
        Some(Task {
            pod: pod.and_then(|(name, pod)| Some((name.clone(), pod.address?))),
            tells: telegrafs.any(|telegraf| telegraf.id == *id && telegraf.digest.is_some()),
            prefixes: expected.iter().map(|expected| expected.alias_prefix.clone()).collect(),
            names: expected
                .iter()
                .flat_map(|expected| &expected.endpoints)
                .map(|endpoint| 1 + endpoint.urls.len())
                .sum(),
        })
    }

    /// Takes in what came of asking a Telegraf. Answers whom to tell what, and what to look for.
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

    /// Takes in the reason that was found. Answers whom to tell what.
    pub(super) fn explain(
        &self,
        question: &Question,
        explanation: &Explanation,
        is_service_missing: bool,
    ) -> Vec<Notification> {
        let mut known = self.known();
        let Some(followed) = known.sources.get_mut(&question.source) else {
            return Vec::new();
        };
        let key = (question.name.clone(), question.url.clone());
        let Some(endpoint) = followed.endpoints.get_mut(&key) else {
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
    pub(super) fn publish(&self, now: Instant) -> Vec<String> {
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
        (!followed.published.is_recalled()).then(|| followed.expected.namespace.clone())
    }

    /// Takes in what an earlier operator has published. Others can write it too, so only results of the source's own endpoints are
    /// believed, until something is known of them.
    pub(crate) fn recall(&self, source: &str, results: Vec<EndpointResult>) {
        if let Some(followed) = self.known().sources.get_mut(source) {
            let mut own: Vec<EndpointResult> = Vec::new();
            for mut result in results {
                let is_own = followed
                    .endpoints
                    .contains_key(&(result.name.clone(), result.url.clone()));
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
            namespace: followed.expected.namespace.clone(),
            reference: followed.expected.reference.clone(),
            results: followed.published.results()?.to_vec(),
        })
    }

    /// The state of all sources, worst first.
    pub(crate) fn health(&self) -> Health {
        let known = self.known();
        let names: BTreeSet<_> = known.sources.keys().chain(known.problems.keys()).collect();
        let health = |name: &String| {
            let problems = known.problems.get(name).into_iter().flat_map(BTreeMap::values);
            let followed = known.sources.get(name);
            let mut health = followed.map_or_else(|| SourceHealth::of(name), Followed::health);
            health.take(problems.cloned().collect());
            health
        };
        let mut sources: Vec<_> = names.into_iter().map(health).collect();
        sources.sort_by_key(|source| source.state);
        Health { sources }
    }
}

impl Known {
    fn follow(&mut self, expected: Expected, interval: Duration) {
        let source = expected.source.clone();
        let before = self.sources.remove(&source);
        self.leave(&source, &expected);
        for telegraf in &expected.telegrafs {
            let share = self.spread.hash_one(&telegraf.id) % 1000;
            let first = Instant::now() + interval * u32::try_from(share).unwrap_or(0) / 1000;
            let new = || Turn {
                next: first,
                sources: BTreeSet::new(),
            };
            let turn = self.telegrafs.entry(telegraf.id.clone()).or_insert_with(new);
            turn.sources.insert(source.clone());
        }
        self.sources.insert(source, Followed::new(expected, before));
    }

    /// Takes a source from the Telegrafs that it does not need any more.
    fn leave(&mut self, source: &str, expected: &Expected) {
        let needs = |id: &TelegrafId| expected.telegrafs.iter().any(|telegraf| telegraf.id == *id);
        self.telegrafs.retain(|id, turn| {
            if !needs(id) {
                turn.sources.remove(source);
            }
            !turn.sources.is_empty()
        });
    }

    fn forget(&mut self, source: &str) {
        self.problems.remove(source);
        if let Some(mut followed) = self.sources.remove(source) {
            followed.expected.telegrafs.clear();
            self.leave(source, &followed.expected);
        }
    }
}

impl Followed {
    /// What is known of an endpoint that is still there is kept.
    fn new(expected: Expected, before: Option<Self>) -> Self {
        let now = Timestamp::now();
        let (mut endpoints, mut outputs, mut telegrafs, published) = match before {
            Some(before) => (before.endpoints, before.outputs, before.telegrafs, before.published),
            None => Default::default(),
        };
        let urls = expected.endpoints.iter().flat_map(|endpoint| {
            // An input of another plugin has no URL that is known.
            let none = endpoint.urls.is_empty().then(String::new);
            let urls = endpoint.urls.iter().cloned().chain(none);
            urls.map(|url| (endpoint.name.clone(), url))
        });
        let endpoints = urls.map(|key| {
            let known = endpoints.remove(&key);
            (key, known.unwrap_or_else(|| Endpoint::new(now)))
        });
        let endpoints = endpoints.collect();
        let ids = expected.telegrafs.iter().map(|telegraf| telegraf.id.clone());
        let telegrafs = ids.map(|id| {
            let known = telegrafs.remove(&id);
            (id, known.unwrap_or_else(|| Telegraf::new(now)))
        });
        let telegrafs = telegrafs.collect();
        if expected.telegrafs.is_empty() {
            outputs.clear();
        }
        Self {
            expected,
            endpoints,
            outputs,
            telegrafs,
            published,
        }
    }

    /// What is known of the endpoints now. Where it is not known, what was published last stays.
    fn results(&self) -> Vec<EndpointResult> {
        let result = |((name, url), endpoint): (&(String, String), &Endpoint)| {
            let telegraf = match &endpoint.teller {
                Some(teller) => self.telegrafs.get(teller),
                None => self.telegrafs.values().next(),
            };
            let telegraf = telegraf.and_then(|telegraf| Some((telegraf.state, telegraf.explanation.as_ref()?)));
            let known = verdict(endpoint.state, endpoint.explanation.as_ref(), telegraf);
            let (verdict, message) = known?;
            Some(EndpointResult {
                name: name.clone(),
                url: url.clone(),
                verdict,
                message,
                since: endpoint.since.as_second(),
            })
        };
        let of_endpoint = |endpoint: (&(String, String), &Endpoint)| {
            let (name, url) = endpoint.0;
            self.published.keep_if_same(name, url, result(endpoint))
        };
        self.endpoints.iter().filter_map(of_endpoint).collect()
    }

    fn observe(
        &mut self,
        id: &TelegrafId,
        pods: &Pods,
        answer: &Answer,
        now: Timestamp,
        told: &mut Vec<Notification>,
        questions: &mut Vec<Question>,
    ) {
        let expected = self.expected.telegrafs.iter().find(|telegraf| telegraf.id == *id);
        let digest = expected.and_then(|telegraf| telegraf.digest.as_deref());
        if let Some(telegraf) = self.telegrafs.get_mut(id) {
            telegraf.observe(id, pods, answer, digest, now);
            if telegraf.state == State::Failing && !telegraf.told {
                telegraf.told = true;
                let why = telegraf
                    .explanation
                    .as_ref()
                    .map(|told| format!("{}. {}", told.why, told.what_to_do));
                let note = format!("Telegraf {}/{}: {}", id.namespace, id.name, why.unwrap_or_default());
                told.push(self.warning("TelegrafNotRunning", note));
            }
        }
        let Answer::Report(report) = answer else {
            let is_only = self.expected.telegrafs.len() == 1;
            let is_its = |endpoint: &&mut Endpoint| is_only || endpoint.teller.as_ref() == Some(id);
            for endpoint in self.endpoints.values_mut().filter(is_its) {
                endpoint.becomes(State::Unknown, now);
            }
            return;
        };
        self.observe_endpoints(id, report, now, told, questions);
        self.observe_outputs(report, now, told);
    }

    fn observe_endpoints(
        &mut self,
        id: &TelegrafId,
        report: &TelegrafReport,
        now: Timestamp,
        told: &mut Vec<Notification>,
        questions: &mut Vec<Question>,
    ) {
        let expected = &self.expected;
        for ((name, url), endpoint) in &mut self.endpoints {
            let alias = format!("{}{name}", expected.alias_prefix);
            // Another Telegraf of the source may have it.
            let Some(input) = report.inputs.get(&alias) else {
                continue;
            };
            if expected.telegrafs.len() > 1 && endpoint.teller.as_ref() != Some(id) {
                endpoint.teller = Some(id.clone());
            }
            let transition = endpoint.observe(input, input.urls.get(url), now);
            if let Some(Transition::Up { failed }) = transition {
                let note = format!(
                    "{} answers again, after {failed} scrapes that failed",
                    expected.describe(name, url)
                );
                told.push(expected.notification(false, "EndpointUp", note));
            }
            if endpoint.asks_why(transition) {
                questions.push(Question {
                    source: expected.source.clone(),
                    name: name.clone(),
                    url: url.clone(),
                    alias,
                    namespace: expected.namespace.clone(),
                    transition,
                });
            }
        }
    }

    fn observe_outputs(&mut self, report: &TelegrafReport, now: Timestamp, told: &mut Vec<Notification>) {
        let expected = &self.expected;
        for (alias, counters) in &report.outputs {
            // An output that all sources share is not prefixed.
            let is_shared = !expected.alias_prefix.is_empty() && !alias.contains('/');
            let Some(name) = expected.own_name(alias).or(is_shared.then_some(alias.as_str())) else {
                continue;
            };
            let Some(output) = self.outputs.get_mut(name) else {
                if self.outputs.len() == MAX_OUTPUTS {
                    continue;
                }
                self.outputs.insert(name.to_owned(), Output::new(counters.clone(), now));
                continue;
            };
            if output.observe(counters.clone(), now).is_some() {
                let why = output
                    .explanation
                    .as_ref()
                    .map(|told| format!("{}. {}", told.why, told.what_to_do));
                let note = format!("output {}: {}", short(name), why.unwrap_or_default());
                told.push(expected.notification(true, "MetricsDropped", note));
            }
        }
        let is_there = |name: &String| {
            let own = format!("{}{name}", expected.alias_prefix);
            report.outputs.contains_key(&own) || report.outputs.contains_key(name)
        };
        if expected.telegrafs.len() == 1 {
            self.outputs.retain(|name, _| is_there(name));
        }
    }

    fn warning(&self, reason: &'static str, note: String) -> Notification {
        self.expected.notification(true, reason, note)
    }

    fn health(&self) -> SourceHealth {
        let endpoint = |((name, url), endpoint): (&(String, String), &Endpoint)| EndpointHealth {
            name: name.clone(),
            url: url.clone(),
            state: endpoint.state,
            since: seconds(endpoint.since),
            successes: endpoint.successes(),
            failures: endpoint.failures(),
            explanation: endpoint
                .explanation
                .clone()
                .filter(|_| endpoint.state == State::Failing),
        };
        let telegraf = |(id, telegraf): (&TelegrafId, &Telegraf)| TelegrafHealth {
            namespace: id.namespace.clone(),
            name: id.name.clone(),
            state: telegraf.state,
            since: seconds(telegraf.since),
            is_current: telegraf.is_current,
            explanation: telegraf.explanation.clone(),
        };
        let output = |(name, output): (&String, &Output)| OutputHealth {
            name: name.clone(),
            state: output.state,
            since: seconds(output.since),
            written: output.counters.written,
            rejected: output.counters.rejected,
            dropped: output.counters.dropped,
            buffered: output.counters.buffered,
            buffer_limit: output.counters.buffer_limit,
            explanation: output.explanation.clone(),
        };
        let endpoints: Vec<_> = self.endpoints.iter().map(endpoint).collect();
        let telegrafs: Vec<_> = self.telegrafs.iter().map(telegraf).collect();
        let outputs: Vec<_> = self.outputs.iter().map(output).collect();
        let states = endpoints.iter().map(|endpoint| endpoint.state);
        let states = states.chain(telegrafs.iter().map(|telegraf| telegraf.state));
        let states = states.chain(outputs.iter().map(|output| output.state));
        SourceHealth {
            state: states.min().unwrap_or(State::Unknown),
            endpoints,
            telegrafs,
            outputs,
            ..SourceHealth::of(&self.expected.source)
        }
    }
}

impl Expected {
    fn describe(&self, name: &str, url: &str) -> String {
        match url.is_empty() {
            true => format!("endpoint {name}"),
            false => format!("endpoint {name} ({url})"),
        }
    }

    fn notification(&self, warning: bool, reason: &'static str, note: String) -> Notification {
        Notification {
            regarding: self.reference.clone(),
            warning,
            reason,
            note,
        }
    }
}

/// RFC 3339, to the second.
fn seconds(time: Timestamp) -> String {
    format!("{time:.0}")
}

#[cfg(test)]
mod tests {
    use telewarden_policy::report::Verdict;

    use super::super::expected::{ExpectedEndpoint, ExpectedTelegraf};
    use super::super::telegraf_report;
    use super::*;

    const SOURCE: &str = "Namespace/shop";
    const URL: &str = "http://web.shop.svc/";

    fn id() -> TelegrafId {
        TelegrafId {
            namespace: "shop".to_owned(),
            name: "telegraf-shop".to_owned(),
        }
    }

    /// A board that follows a source with one endpoint.
    fn board() -> Board {
        let board = Board::default();
        let telegraf = ExpectedTelegraf {
            id: id(),
            digest: Some("x".to_owned()),
        };
        let endpoint = ExpectedEndpoint {
            name: "web".to_owned(),
            urls: vec![URL.to_owned()],
        };
        let expected = Expected {
            source: SOURCE.to_owned(),
            reference: ObjectReference::default(),
            endpoints: vec![endpoint],
            telegrafs: vec![telegraf],
            namespace: "shop".to_owned(),
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
            let outputs = (0..1000).map(|number| (format!("{round}-{number}"), telegraf_report::Output::default()));
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
