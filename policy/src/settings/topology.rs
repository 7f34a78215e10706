//! The topologies: how many Telegraf instances there are, and what the settings of each can contain. The workloads are
//! planned in `plan/`.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::template::{Scope, Scopes};

choices! {
    /// How many Telegraf instances are deployed.
    #[derive(Deserialize, Serialize)]
    #[serde(rename_all = "camelCase")]
    pub enum Topology {
        /// One for each source, in its namespace.
        Application,
        /// One for each endpoint, in the source's namespace.
        Endpoint,
        /// One for all sources, or a few (`standalone.shards`), in a separate namespace.
        Standalone,
    }
}

impl Topology {
    /// True if sources share a Telegraf, so that no source has separate objects.
    pub(crate) fn is_shared(self) -> bool {
        match self {
            Self::Application | Self::Endpoint => false,
            Self::Standalone => true,
        }
    }

    /// The placeholders that a class can contain. Outputs with placeholders are written once for each source, even if all
    /// sources share a Telegraf.
    pub(super) fn scopes(self) -> Scopes {
        let (telegraf, outputs) = match self {
            Self::Application => (Scope::Source, Scope::Source),
            Self::Endpoint => (Scope::Endpoint, Scope::Endpoint),
            Self::Standalone => (Scope::All, Scope::Source),
        };
        Scopes { telegraf, outputs }
    }

    /// The topology of a settings document. One that is invalid is found when the settings are read.
    pub(super) fn of(document: &Json) -> Self {
        document["topology"]
            .as_str()
            .and_then(Self::from_name)
            .unwrap_or(Self::Application)
    }

    /// The default of `pod.resources.limits.memory`, if it is another one than that of [`Settings`](super::Settings): an output
    /// takes about 3 MB, and where many sources share a Telegraf, each can have its own (docs/performance.md).
    pub(super) fn memory_limit(self, document: &Json) -> Option<&'static str> {
        let is_default = || document["pod"]["resources"]["limits"]["memory"].is_null();
        (self.is_shared() && is_default()).then_some("2Gi")
    }
}
