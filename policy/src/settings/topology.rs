//! Differences between topologies that the settings depend on. The workloads are planned in `plan/`.

use super::document::Topology;
use super::template::Scope;

impl Topology {
    /// True if all sources share one Telegraf, so that no source has separate objects.
    pub(crate) fn is_shared(self) -> bool {
        match self {
            Self::Application | Self::Endpoint => false,
            Self::Standalone => true,
        }
    }

    /// The scope of a class's agent, tags, processors and aggregators.
    pub(super) fn scope_of_telegraf(self) -> Scope {
        match self {
            Self::Application => Scope::Source,
            Self::Endpoint => Scope::Endpoint,
            Self::Standalone => Scope::All,
        }
    }

    /// The scope of a class's outputs.
    pub(super) fn scope_of_outputs(self) -> Scope {
        match self {
            Self::Application | Self::Standalone => Scope::Source,
            Self::Endpoint => Scope::Endpoint,
        }
    }
}
