//! One source over time: its endpoints, its Telegrafs, and its outputs.
//!
//! There are thousands of sources, and each has few of these. So they are kept in lists of exactly their length.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;
use telewarden_policy::report::EndpointResult;

use super::endpoint::{Endpoint, Transition};
use super::expected::{Expected, ExpectedEndpoint, ExpectedTelegraf, TelegrafId};
use super::health::{EndpointHealth, OutputHealth, SourceHealth, State, TelegrafHealth, seconds};
use super::output::Output;
use super::pods::Pods;
use super::published::{Published, verdict};
use super::telegraf::{Answer, Telegraf};
use super::telegraf_report::TelegrafReport;
use super::words::{Explanation, short};
use crate::events::Notification;

/// The most outputs of a source that are kept.
pub(super) const MAX_OUTPUTS: usize = 64;

/// A URL of an endpoint.
#[derive(Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct EndpointKey {
    pub(super) name: Arc<str>,
    /// Empty if it is not known.
    pub(super) url: Box<str>,
}

/// One source.
#[derive(Debug)]
pub(super) struct Followed {
    /// Its endpoints and Telegrafs are the keys of those below.
    pub(super) expected: Expected,
    /// Sorted.
    pub(super) endpoints: Box<[(EndpointKey, Endpoint)]>,
    /// Sorted.
    outputs: Vec<(Box<str>, Output)>,
    /// Sorted.
    pub(super) telegrafs: Box<[(ExpectedTelegraf, Telegraf)]>,
    pub(super) published: Published,
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
    pub(super) transition: Option<Transition>,
}

impl EndpointKey {
    fn new(name: &Arc<str>, url: &str) -> Self {
        Self {
            name: name.clone(),
            url: url.into(),
        }
    }
}

impl Followed {
    /// What is known of an endpoint that is still there is kept.
    pub(super) fn new(mut expected: Expected, before: Option<Self>) -> Self {
        let now = Timestamp::now();
        let (endpoints, mut outputs, telegrafs, published) = match before {
            Some(before) => (before.endpoints, before.outputs, before.telegrafs, before.published),
            None => Default::default(),
        };
        let named = std::mem::take(&mut expected.endpoints);
        let urls = named.iter().flat_map(|endpoint| {
            // An input of another plugin has no URL that is known.
            let none = endpoint.urls.is_empty().then_some("");
            let urls = endpoint.urls.iter().map(String::as_str).chain(none);
            urls.map(|url| EndpointKey::new(&endpoint.name, url))
        });
        let mut known: BTreeMap<_, _> = endpoints.into_iter().collect();
        let keys: BTreeSet<_> = urls.collect();
        let endpoints = keys.into_iter().map(|key| {
            let known = known.remove(&key);
            (key, known.unwrap_or_else(|| Endpoint::new(now)))
        });
        let endpoints = endpoints.collect();
        let known = telegrafs.into_iter().map(|(telegraf, known)| (telegraf.id, known));
        let mut known: BTreeMap<_, _> = known.collect();
        let mut telegrafs = std::mem::take(&mut expected.telegrafs);
        telegrafs.sort_by(|one, other| one.id.cmp(&other.id));
        telegrafs.dedup_by(|one, other| one.id == other.id);
        let telegrafs = telegrafs.into_iter().map(|telegraf| {
            let known = known.remove(&telegraf.id);
            (telegraf, known.unwrap_or_else(|| Telegraf::new(now)))
        });
        let telegrafs: Box<[_]> = telegrafs.collect();
        if telegrafs.is_empty() {
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

    /// The endpoints, as they were rendered.
    pub(super) fn names(&self) -> Vec<ExpectedEndpoint> {
        let mut names: Vec<ExpectedEndpoint> = Vec::new();
        for (key, _) in &self.endpoints {
            let url = (!key.url.is_empty()).then(|| key.url.to_string());
            match names.last_mut().filter(|last| *last.name == *key.name) {
                Some(last) => last.urls.extend(url),
                None => names.push(ExpectedEndpoint {
                    name: key.name.clone(),
                    urls: url.into_iter().collect(),
                }),
            }
        }
        names
    }

    /// One endpoint.
    pub(super) fn endpoint_mut(&mut self, name: &str, url: &str) -> Option<&mut Endpoint> {
        let place = |(key, _): &(EndpointKey, Endpoint)| (&*key.name, &*key.url).cmp(&(name, url));
        let at = self.endpoints.binary_search_by(place).ok()?;
        self.endpoints.get_mut(at).map(|(_, endpoint)| endpoint)
    }

    /// What is known of the endpoints now. Where it is not known, what was published last stays.
    pub(super) fn results(&self) -> Vec<EndpointResult> {
        let result = |key: &EndpointKey, endpoint: &Endpoint| {
            let mut telegrafs = self.telegrafs.iter();
            let telegraf = match &endpoint.teller {
                Some(teller) => telegrafs.find(|(telegraf, _)| telegraf.id == **teller),
                None => telegrafs.next(),
            };
            let telegraf = telegraf.and_then(|(_, telegraf)| Some((telegraf.state, telegraf.explanation.as_deref()?)));
            let known = verdict(endpoint.state, endpoint.explanation.as_deref(), telegraf);
            let (verdict, message) = known?;
            Some(EndpointResult {
                name: key.name.to_string(),
                url: key.url.to_string(),
                verdict,
                message,
                since: endpoint.since.as_second(),
            })
        };
        let of_endpoint = |(key, endpoint): &(EndpointKey, Endpoint)| {
            self.published.keep_if_same(&key.name, &key.url, result(key, endpoint))
        };
        self.endpoints.iter().filter_map(of_endpoint).collect()
    }

    /// Takes in what came of asking one of its Telegrafs.
    pub(super) fn observe(
        &mut self,
        id: &TelegrafId,
        pods: &Pods,
        answer: &Answer,
        now: Timestamp,
        told: &mut Vec<Notification>,
        questions: &mut Vec<Question>,
    ) {
        if let Some((expected, telegraf)) = self.telegrafs.iter_mut().find(|(known, _)| known.id == *id) {
            telegraf.observe(id, pods, answer, expected.digest.as_deref(), now);
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
            let is_only = self.telegrafs.len() == 1;
            for (_, endpoint) in &mut self.endpoints {
                if is_only || endpoint.teller.as_deref() == Some(id) {
                    endpoint.becomes(State::Unknown, now);
                }
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
        for (EndpointKey { name, url }, endpoint) in &mut self.endpoints {
            let alias = format!("{}{name}", expected.alias_prefix);
            // Another Telegraf of the source may have it.
            let Some(input) = report.inputs.get(&alias) else {
                continue;
            };
            if self.telegrafs.len() > 1 && endpoint.teller.as_deref() != Some(id) {
                endpoint.teller = Some(Box::new(id.clone()));
            }
            let transition = endpoint.observe(input, input.urls.get(&**url), now);
            if let Some(Transition::Up { failed }) = transition {
                let note = format!(
                    "{} answers again, after {failed} scrapes that failed",
                    expected.describe(name, url)
                );
                told.push(expected.notification(false, "EndpointUp", note));
            }
            if endpoint.asks_why(transition) {
                questions.push(Question {
                    source: expected.source.key.to_string(),
                    name: name.to_string(),
                    url: url.to_string(),
                    alias,
                    namespace: expected.namespace.to_string(),
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
            let at = match self.outputs.binary_search_by(|(known, _)| (**known).cmp(name)) {
                Ok(at) => at,
                Err(at) => {
                    if self.outputs.len() < MAX_OUTPUTS {
                        self.outputs.reserve_exact(1);
                        self.outputs.insert(at, (name.into(), Output::new(*counters, now)));
                    }
                    continue;
                }
            };
            let output = &mut self.outputs[at].1;
            if output.observe(*counters, now).is_some() {
                let why = output
                    .explanation
                    .as_ref()
                    .map(|told| format!("{}. {}", told.why, told.what_to_do));
                let note = format!("output {}: {}", short(name), why.unwrap_or_default());
                told.push(expected.notification(true, "MetricsDropped", note));
            }
        }
        let is_there = |name: &str| {
            let own = format!("{}{name}", expected.alias_prefix);
            report.outputs.contains_key(&own) || report.outputs.contains_key(name)
        };
        if self.telegrafs.len() == 1 {
            self.outputs.retain(|(name, _)| is_there(name));
        }
    }

    /// A warning about it.
    pub(super) fn warning(&self, reason: &'static str, note: String) -> Notification {
        self.expected.notification(true, reason, note)
    }

    /// The worst state of its parts.
    pub(super) fn state(&self) -> State {
        let endpoints = self.endpoints.iter().map(|(_, endpoint)| endpoint.state);
        let telegrafs = self.telegrafs.iter().map(|(_, telegraf)| telegraf.state);
        let outputs = self.outputs.iter().map(|(_, output)| output.state);
        endpoints
            .chain(telegrafs)
            .chain(outputs)
            .min()
            .unwrap_or(State::Unknown)
    }

    /// The state of it and of its parts.
    pub(super) fn health(&self) -> SourceHealth {
        let endpoint = |(key, endpoint): &(EndpointKey, Endpoint)| EndpointHealth {
            name: key.name.to_string(),
            url: key.url.to_string(),
            state: endpoint.state,
            since: seconds(endpoint.since),
            successes: endpoint.successes(),
            failures: endpoint.failures(),
            explanation: endpoint
                .explanation
                .as_deref()
                .filter(|_| endpoint.state == State::Failing)
                .cloned(),
        };
        let telegraf = |(expected, telegraf): &(ExpectedTelegraf, Telegraf)| TelegrafHealth {
            namespace: expected.id.namespace.to_string(),
            name: expected.id.name.to_string(),
            state: telegraf.state,
            since: seconds(telegraf.since),
            is_current: telegraf.is_current,
            explanation: match (&telegraf.explanation, telegraf.state) {
                (None, State::Pending) => Some(Explanation::new("nobody has looked yet", "Wait for a moment.")),
                (explanation, _) => explanation.as_deref().cloned(),
            },
        };
        let output = |(name, output): &(Box<str>, Output)| OutputHealth {
            name: name.to_string(),
            state: output.state,
            since: seconds(output.since),
            written: output.counters.written,
            rejected: output.counters.rejected,
            dropped: output.counters.dropped,
            buffered: output.counters.buffered,
            buffer_limit: output.counters.buffer_limit,
            explanation: output.explanation.as_deref().cloned(),
        };
        SourceHealth {
            state: self.state(),
            endpoints: self.endpoints.iter().map(endpoint).collect(),
            telegrafs: self.telegrafs.iter().map(telegraf).collect(),
            outputs: self.outputs.iter().map(output).collect(),
            ..SourceHealth::of(&self.expected.source.key)
        }
    }
}

impl Expected {
    pub(super) fn describe(&self, name: &str, url: &str) -> String {
        match url.is_empty() {
            true => format!("endpoint {name}"),
            false => format!("endpoint {name} ({url})"),
        }
    }

    fn notification(&self, warning: bool, reason: &'static str, note: String) -> Notification {
        Notification {
            regarding: self.source.reference(),
            warning,
            reason,
            note,
        }
    }
}
