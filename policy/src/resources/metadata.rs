//! Labels and annotations that identify an object's owner.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::object::Metadata;
use crate::plan::{Owner, Workload, label_value};
use crate::settings::Settings;
use crate::sorted_map::sorted_map;
use crate::source::Identity;
use crate::well_known::{ALL_SOURCES, FIELD_MANAGER, INSTANCE, MANAGED_BY, PREFIX, SOURCE};

/// The labels by which operators and people find objects.
pub(super) fn owner_labels(owner: Owner<'_>, settings: &Settings) -> BTreeMap<String, String> {
    let mut labels = sorted_map([
        ("app.kubernetes.io/name".to_owned(), "telegraf".to_owned()),
        ("app.kubernetes.io/component".to_owned(), "metrics".to_owned()),
        (MANAGED_BY.to_owned(), FIELD_MANAGER.to_owned()),
        (INSTANCE.to_owned(), settings.instance.to_string()),
    ]);
    if let Owner::Source { identity, endpoint } = owner {
        let kind = match identity {
            Identity::Application { .. } => "application",
            Identity::Namespace { .. } => "namespace",
        };
        labels.insert(format!("{PREFIX}{kind}"), label_value(identity.name()));
        if let Some(endpoint) = endpoint {
            labels.insert(format!("{PREFIX}endpoint"), label_value(endpoint));
        }
    }
    labels
}

/// The annotations for Argo CD and the operator.
pub(super) fn owner_annotations(owner: Owner<'_>) -> BTreeMap<String, String> {
    let source = match owner {
        Owner::Source { identity, .. } => identity.to_string(),
        Owner::All => ALL_SOURCES.to_owned(),
    };
    sorted_map([
        (
            "argocd.argoproj.io/compare-options".to_owned(),
            "IgnoreExtraneous".to_owned(),
        ),
        ("argocd.argoproj.io/sync-options".to_owned(), "Prune=false".to_owned()),
        (SOURCE.to_owned(), source),
    ])
}

/// The metadata of a workload's objects.
pub(super) fn metadata(workload: &Workload<'_>, settings: &Settings) -> Metadata {
    Metadata {
        name: Some(workload.name.clone()),
        namespace: Some(workload.namespace.to_owned()),
        labels: owner_labels(workload.owner, settings),
        annotations: owner_annotations(workload.owner),
    }
}

/// The label that only this Deployment's pods have. A Deployment's selector is immutable, so it must not depend on
/// anything that settings or sources can change.
pub(super) fn pod_labels(name: &str) -> BTreeMap<String, String> {
    sorted_map([
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
