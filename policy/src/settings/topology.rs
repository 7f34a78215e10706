//! The topologies: how many Telegraf instances there are, and what the settings of each can contain. The workloads are
//! planned in `plan/`.

use serde::{Deserialize, Serialize};

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
}
