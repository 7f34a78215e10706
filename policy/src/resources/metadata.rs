//! To whom an object belongs, as labels and annotations.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::name::label_value;
use super::object::Metadata;
use crate::ordered::ordered_map;
use crate::settings::Settings;
use crate::source::Identity;

/// Whom an object is rendered for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Owner<'a> {
    /// A source, or one endpoint of it.
    Source {
        identity: &'a Identity,
        endpoint: Option<&'a str>,
    },
    /// All sources together.
    All,
}

impl Owner<'_> {
    /// The labels by which an operator finds its own objects again, and people theirs.
    pub(crate) fn labels(&self, settings: &Settings) -> BTreeMap<String, String> {
        let mut labels = ordered_map([
            ("app.kubernetes.io/name".to_owned(), "telegraf".to_owned()),
            ("app.kubernetes.io/component".to_owned(), "metrics".to_owned()),
            ("app.kubernetes.io/managed-by".to_owned(), "telewarden".to_owned()),
            ("telegraf.influxdata.com/instance".to_owned(), settings.instance.clone()),
        ]);
        if let Self::Source { identity, endpoint } = self {
            let kind = match identity {
                Identity::Application { .. } => "application",
                Identity::Namespace { .. } => "namespace",
            };
            labels.insert(format!("telegraf.influxdata.com/{kind}"), label_value(identity.name()));
            if let Some(endpoint) = endpoint {
                labels.insert("telegraf.influxdata.com/endpoint".to_owned(), label_value(endpoint));
            }
        }
        labels
    }

    /// What Argo CD and an operator have to know about an object.
    pub(crate) fn annotations(&self) -> BTreeMap<String, String> {
        let source = match self {
            Self::Source { identity, .. } => identity.to_string(),
            Self::All => "all".to_owned(),
        };
        ordered_map([
            (
                "argocd.argoproj.io/compare-options".to_owned(),
                "IgnoreExtraneous".to_owned(),
            ),
            ("argocd.argoproj.io/sync-options".to_owned(), "Prune=false".to_owned()),
            ("telegraf.influxdata.com/source".to_owned(), source),
        ])
    }

    /// The metadata of an object.
    pub(crate) fn metadata(&self, name: &str, namespace: &str, settings: &Settings) -> Metadata {
        Metadata {
            name: Some(name.to_owned()),
            namespace: Some(namespace.to_owned()),
            labels: self.labels(settings),
            annotations: self.annotations(),
        }
    }
}

/// The label that a Deployment's pods alone have. A Deployment's selector cannot be changed, so it holds nothing else that
/// settings or sources could change.
pub(super) fn pod_labels(name: &str) -> BTreeMap<String, String> {
    ordered_map([
        ("app.kubernetes.io/name".to_owned(), "telegraf".to_owned()),
        ("telegraf.influxdata.com/name".to_owned(), name.to_owned()),
    ])
}

/// Selects a Deployment's pods.
pub(super) fn pod_selector(name: &str) -> LabelSelector {
    LabelSelector {
        match_labels: Some(pod_labels(name)),
        ..LabelSelector::default()
    }
}
