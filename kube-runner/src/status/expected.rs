//! What was rendered for a source, as far as its state depends on it.

use std::sync::Arc;

use telewarden::{RenderAnswer, Rendered, SourceAnswer};

use crate::cluster_state::Source;

/// A Telegraf, by its Deployment.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct TelegrafId {
    pub(crate) namespace: Arc<str>,
    pub(crate) name: Arc<str>,
}

/// A Telegraf that was rendered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ExpectedTelegraf {
    pub(crate) id: TelegrafId,
    /// The digest of its configuration, if it tells its state.
    pub(crate) digest: Option<Box<str>>,
}

/// An endpoint that was rendered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ExpectedEndpoint {
    pub(crate) name: Arc<str>,
    pub(crate) urls: Vec<String>,
}

/// What was rendered for a source.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) source: Arc<Source>,
    pub(crate) endpoints: Vec<ExpectedEndpoint>,
    pub(crate) telegrafs: Vec<ExpectedTelegraf>,
    /// The namespace that it deploys to; in `standalone`, that of whoever it belongs to. Only about this one its owner may learn
    /// what there is, and its Report lies there.
    pub(crate) namespace: Arc<str>,
    /// Names in a Telegraf that sources share begin with this.
    pub(crate) alias_prefix: String,
}

impl Expected {
    /// The name of one of its endpoints or outputs in a Telegraf's configuration, without what stands before it.
    pub(super) fn own_name<'a>(&self, alias: &'a str) -> Option<&'a str> {
        alias.strip_prefix(&*self.alias_prefix)
    }
}

/// What an answer says of the sources that it renders, each with Telegrafs of its own. Names that many sources have are kept once.
pub(crate) fn expected_of(
    answer: &RenderAnswer,
    source_at: impl Fn(usize) -> Option<Arc<Source>>,
    shared: impl Fn(&str) -> Arc<str>,
) -> Vec<Expected> {
    let rendered = answer.sources.iter().filter(|source| !source.endpoints.is_empty());
    let expected = |of_source: &SourceAnswer| {
        let source = source_at(of_source.index)?;
        Some(Expected {
            namespace: shared(of_source.rendered.namespace.as_deref().unwrap_or_default()),
            alias_prefix: String::new(),
            ..expected_in(of_source, &source, telegrafs_of(&of_source.rendered, &shared), &shared)
        })
    };
    rendered.filter_map(expected).collect()
}

/// What an answer says of a source in Telegrafs that it shares with others.
pub(crate) fn expected_in(
    of_source: &SourceAnswer,
    source: &Arc<Source>,
    telegrafs: Vec<ExpectedTelegraf>,
    shared: impl Fn(&str) -> Arc<str>,
) -> Expected {
    let endpoints = of_source.endpoints.iter().map(|endpoint| ExpectedEndpoint {
        name: shared(&endpoint.name),
        urls: endpoint.urls.clone(),
    });
    Expected {
        source: source.clone(),
        endpoints: endpoints.collect(),
        telegrafs,
        namespace: source.tenant.clone(),
        alias_prefix: format!("{}/", of_source.source),
    }
}

/// The Telegrafs of what is rendered.
pub(crate) fn telegrafs_of(rendered: &Rendered, shared: impl Fn(&str) -> Arc<str>) -> Vec<ExpectedTelegraf> {
    let Some(namespace) = &rendered.namespace else {
        return Vec::new();
    };
    let namespace = shared(namespace);
    let telegraf = |configuration: &telewarden::Configuration| ExpectedTelegraf {
        id: TelegrafId {
            namespace: namespace.clone(),
            name: shared(&configuration.name),
        },
        digest: configuration.status.as_deref().map(Into::into),
    };
    rendered.configurations.iter().map(telegraf).collect()
}
