//! The contract of the `render` operation, version 1: what a host sends, and what the module answers.
//!
//! Both are JSON. A host may run a module that somebody else built (`--policy`), so the contract is versioned, documented
//! in `docs/render-protocol.md` and described by `schemas/render-request.schema.json` and
//! `schemas/render-answer.schema.json`. Fields may be added within a version; a reader passes over what it does not know.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::diagnostic::Diagnostic;
use crate::settings::Topology;

/// The version of the contract that this crate speaks.
pub const VERSION: u32 = 1;

/// What a host sends to `render`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RenderRequest<'a> {
    /// The contract's version, 1. Any other is refused.
    pub protocol: u32,
    /// The administrator's settings; absent or null for the defaults.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Value>"))]
    pub settings: Option<&'a RawValue>,
    /// Applications, Namespaces and ApplicationSets, or `v1` Lists of them; objects of any other kind are passed over.
    #[serde(borrow)]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<Value>"))]
    pub sources: Vec<&'a RawValue>,
    /// The cluster that the rendered objects are meant for; absent where nobody applies them yet.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterView<'a>>,
    /// `standalone` only: the declarations that were accepted last, of sources that still exist, each as
    /// [`SourceAnswer::accepted`] had it. A source that `sources` does not render is rendered from here, after the same
    /// checks: it is refused now, or the host left it out.
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<Value>"))]
    pub accepted: Vec<&'a RawValue>,
}

/// What a host that applies has seen of the cluster. With it, Applications for other clusters are skipped, and those whose
/// AppProject does not permit their destination are refused.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ClusterView<'a> {
    /// The AppProjects of Argo CD's namespace. A project that is not among them does not exist.
    #[serde(borrow, default)]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<Value>"))]
    pub projects: Vec<&'a RawValue>,
    /// What Argo CD's ConfigMap `argocd-cm` has under `globalProjects`, which is YAML there, as JSON.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Value>"))]
    pub global_projects: Option<&'a RawValue>,
    /// What Argo CD's ConfigMap `argocd-cm` has under `cluster.inClusterEnabled`. When it is false, Argo CD deploys nothing
    /// to this cluster (<https://argo-cd.readthedocs.io/en/stable/operator-manual/argocd-cm-yaml/>).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_cluster_enabled: Option<bool>,
}

/// What `render` answers.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RenderAnswer {
    /// The contract's version, 1.
    pub protocol: u32,
    /// What is wrong with the request or with the settings. When one of these is an error nothing was rendered.
    pub diagnostics: Vec<Diagnostic>,
    /// One entry for each Application, Namespace and ApplicationSet of the request, in its order.
    pub sources: Vec<SourceAnswer>,
    /// `standalone` only: the one Telegraf that all sources share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<Rendered>,
}

/// What became of one source.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SourceAnswer {
    /// Its position in the request's `sources`.
    pub index: usize,
    /// Its position within the `v1` List at `index`, where that is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<usize>,
    /// Which object it is, as `argoproj.io/Application/<namespace>/<name>` or `Namespace/<name>`.
    pub source: String,
    /// Whether it was rendered.
    pub outcome: Outcome,
    /// What is wrong or doubtful about it, in the order of its text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diagnostics: Vec<Diagnostic>,
    /// What will be scraped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<EndpointAnswer>,
    /// What it renders to; empty unless `outcome` is `rendered`, and in `standalone`, where `shared` has it.
    #[serde(flatten)]
    pub rendered: Rendered,
    /// `standalone` only, and only if `outcome` is `rendered`: the object as far as it was read. A host keeps it, and sends
    /// it in [`RenderRequest::accepted`] from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Value>,
}

/// Whether a source was rendered, and why not.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Outcome {
    /// It was rendered.
    Rendered,
    /// At least one of its diagnostics is an error. What ran for it before should go on running.
    Refused,
    /// It asks for nothing: it has no annotation of ours, or its kind is turned off by the settings.
    Idle,
    /// It is none of ours: it belongs to another cluster or to a namespace that the settings leave out, or it is an
    /// ApplicationSet, which is never rendered itself.
    Skipped,
}

/// One endpoint, for people.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EndpointAnswer {
    /// Its name in the annotation.
    pub name: String,
    /// Telegraf's input plugin, `prometheus` unless the settings allow others.
    pub plugin: String,
    /// What is scraped; empty for a plugin that has no URLs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// How often, as a Telegraf duration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
    /// The measurement's name, where the configuration sets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measurement: Option<String>,
}

/// Telegraf configurations, and the Kubernetes objects that carry and run them.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Rendered {
    /// The namespace that the objects are in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The class that says where the metrics go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// The configurations, one for each Telegraf.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub configurations: Vec<Configuration>,
    /// The objects, in the order in which they should be applied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<Value>,
}

/// The configuration of one Telegraf.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Configuration {
    /// The name of the Deployment that reads it.
    pub name: String,
    /// Its files by name; one, `telegraf.conf`, except in `standalone`.
    pub files: BTreeMap<String, String>,
}

/// What `settings` answers: whether the settings can be used, and what a host has to know of them.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SettingsReport {
    /// What is wrong or doubtful.
    pub diagnostics: Vec<Diagnostic>,
    /// What a host has to know; absent when one of the diagnostics is an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostSettings>,
}

/// The settings as far as they concern a host that watches a cluster. A host never reads the document by itself.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HostSettings {
    /// The value of the label [`INSTANCE`](crate::well_known::INSTANCE) of everything that is rendered.
    pub instance: String,
    /// The annotation that holds the endpoints.
    pub annotation: String,
    /// What the names of all other annotations that are read start with.
    pub annotation_prefixes: Vec<String>,
    /// How many Telegrafs there are.
    pub topology: Topology,
    /// The namespace of the one Telegraf of `standalone`.
    pub standalone_namespace: String,
    /// Whether Applications are sources.
    pub applications: bool,
    /// Whether Namespaces are sources.
    pub namespaces: bool,
    /// The namespace of Argo CD's AppProjects and of its ConfigMap `argocd-cm`.
    pub argocd_namespace: String,
    /// The namespaces whose Applications are served, that of Argo CD included.
    pub application_namespaces: Vec<String>,
    /// The kinds of the objects that are rendered, apart from ConfigMap and Deployment.
    pub kinds: Vec<ObjectKind>,
}

/// A kind of object.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ObjectKind {
    /// The API group; empty for the core group.
    pub group: String,
    /// The version within the group.
    pub version: String,
    /// The kind's name.
    pub kind: String,
}
