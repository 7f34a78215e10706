//! The state of sources, as `/status` serves it.

use std::collections::BTreeMap;

use k8s_openapi::jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::words::Explanation;

/// A state. The worst comes first.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum State {
    /// It does not work.
    Failing,
    /// It has not worked yet; it has not had the time.
    Pending,
    /// It is not known.
    Unknown,
    /// It is deliberately not deployed.
    Skipped,
    /// It works.
    Up,
}

impl State {
    /// The states, worst first.
    pub(crate) const ALL: [Self; 5] = [Self::Failing, Self::Pending, Self::Unknown, Self::Skipped, Self::Up];

    /// The name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::Pending => "pending",
            Self::Unknown => "unknown",
            Self::Skipped => "skipped",
            Self::Up => "up",
        }
    }

    /// True for `up` and `skipped`.
    pub(crate) fn is_well(self) -> bool {
        matches!(self, Self::Skipped | Self::Up)
    }
}

/// The answer of `/status`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Health {
    /// The sources, worst first.
    pub(crate) sources: Vec<SourceHealth>,
}

/// The state of one source.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SourceHealth {
    /// `argoproj.io/Application/<namespace>/<name>` or `Namespace/<name>`.
    pub(crate) source: String,
    /// The worst state of its parts.
    pub(crate) state: State,
    /// What the operator has told the source when it applied it, and is still so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) problems: Vec<Problem>,
    pub(crate) endpoints: Vec<EndpointHealth>,
    pub(crate) telegrafs: Vec<TelegrafHealth>,
    pub(crate) outputs: Vec<OutputHealth>,
}

impl SourceHealth {
    /// A source of which nothing is known.
    pub(crate) fn of(source: &str) -> Self {
        Self {
            source: source.to_owned(),
            state: State::Up,
            problems: Vec::new(),
            endpoints: Vec::new(),
            telegrafs: Vec::new(),
            outputs: Vec::new(),
        }
    }

    /// Adds problems.
    pub(super) fn take(&mut self, problems: Vec<Problem>) {
        let states = problems.iter().map(|problem| problem.state);
        self.state = states.chain([self.state]).min().unwrap_or(self.state);
        self.problems = problems;
    }
}

/// What the operator has told a source, as an Event.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Problem {
    /// The Event's reason, such as `Refused`.
    pub(crate) reason: String,
    /// What it means for the source. `up` for a remark.
    pub(crate) state: State,
    pub(crate) since: String,
    /// The Event's text.
    pub(crate) note: String,
}

/// The state of one URL of an endpoint.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EndpointHealth {
    pub(crate) name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) url: String,
    pub(crate) state: State,
    /// Since when it is so, as far as the operator has seen it.
    pub(crate) since: String,
    /// Scrapes since Telegraf started. Telegraf before 1.39 does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) successes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failures: Option<u64>,
    #[serde(default, flatten)]
    pub(crate) explanation: Option<Explanation>,
}

/// The state of one Telegraf.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TelegrafHealth {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) state: State,
    pub(crate) since: String,
    /// Whether it runs the configuration that was rendered last. Absent if nobody says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) is_current: Option<bool>,
    #[serde(default, flatten)]
    pub(crate) explanation: Option<Explanation>,
}

/// The state of one output.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OutputHealth {
    /// Its alias in Telegraf's configuration.
    pub(crate) name: String,
    pub(crate) state: State,
    pub(crate) since: String,
    /// Metrics since Telegraf started.
    pub(crate) written: u64,
    pub(crate) rejected: u64,
    pub(crate) dropped: u64,
    /// Metrics that wait.
    pub(crate) buffered: u64,
    pub(crate) buffer_limit: u64,
    #[serde(default, flatten)]
    pub(crate) explanation: Option<Explanation>,
}

/// How many are in each state.
#[derive(Clone, Debug, Default)]
pub(crate) struct States {
    pub(crate) sources: BTreeMap<State, i64>,
    pub(crate) endpoints: BTreeMap<State, i64>,
    /// Some of the endpoints that fail.
    pub(crate) failing: Vec<FailingEndpoint>,
}

/// A URL of an endpoint that fails.
#[derive(Clone, Debug)]
pub(crate) struct FailingEndpoint {
    pub(crate) source: String,
    pub(crate) endpoint: String,
    pub(crate) url: String,
}

/// RFC 3339, to the second.
pub(super) fn seconds(time: Timestamp) -> String {
    format!("{time:.0}")
}
