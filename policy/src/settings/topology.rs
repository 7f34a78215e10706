//! What the topologies differ in, besides their plans in `plan/`.

use super::document::Topology;
use super::template::Scope;

impl Topology {
    /// True if all sources share one Telegraf, so that none has objects of its own.
    pub(crate) fn is_shared(self) -> bool {
        match self {
            Self::Application | Self::Endpoint => false,
            Self::Standalone => true,
        }
    }

    /// The placeholders that are known where the agent, tags and processors of a Telegraf are configured.
    pub(super) fn scope_of_telegraf(self) -> Scope {
        match self {
            Self::Application => Scope::Source,
            Self::Endpoint => Scope::Endpoint,
            Self::Standalone => Scope::All,
        }
    }

    /// The placeholders that are known in outputs.
    pub(super) fn scope_of_outputs(self) -> Scope {
        match self {
            Self::Application | Self::Standalone => Scope::Source,
            Self::Endpoint => Scope::Endpoint,
        }
    }
}
