//! The state of sources, as `/status` serves it.

use serde::{Deserialize, Serialize};

use super::words::Explanation;

/// How something is. The worst comes first.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum State {
    /// It does not work.
    Failing,
    /// It has not worked yet; it has not had the time.
    Pending,
    /// Nobody says.
    Unknown,
    /// It works.
    Up,
}

impl State {
    /// The states, worst first.
    pub(crate) const ALL: [Self; 4] = [Self::Failing, Self::Pending, Self::Unknown, Self::Up];

    /// The name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::Pending => "pending",
            Self::Unknown => "unknown",
            Self::Up => "up",
        }
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
    pub(crate) endpoints: Vec<EndpointHealth>,
    pub(crate) telegrafs: Vec<TelegrafHealth>,
    pub(crate) outputs: Vec<OutputHealth>,
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
