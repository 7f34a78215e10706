//! The contract of the `render` operation, version 1: what a host sends, and what the module answers.
//!
//! Request and answer are JSON. A host may run a module that somebody else built (`--policy`), so the contract has a
//! version, is documented in `docs/render-protocol.md`, and is described by `schemas/render-request.schema.json` and
//! `schemas/render-answer.schema.json`. A version may gain fields; readers must ignore fields that they do not know.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::diagnostic::Diagnostic;
use crate::settings::Topology;

/// The version of the contract that this crate speaks.
pub const VERSION: u32 = 1;

/// A host's request to `render`.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RenderRequest<'a> {
    /// The contract's version, 1. Any other is refused.
    pub protocol: u32,
    /// The administrator's settings. Absent or null means the defaults.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Value>"))]
    pub settings: Option<&'a RawValue>,
    /// Applications, Namespaces, ApplicationSets, and `v1` Lists of these. Objects of other kinds are ignored.
    #[serde(borrow)]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<Value>"))]
    pub sources: Vec<&'a RawValue>,
    /// Ask for findings, outcomes and endpoints alone. Nothing that is rendered is answered, which takes less than half of the work. A
    /// module that does not know this field answers everything.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub findings_only: bool,
    /// State of the cluster that the rendered objects will be applied to. Absent if the objects are not applied to a
    /// cluster.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterView<'a>>,
    /// `standalone` only: the declarations that were accepted last, of sources that still exist, each as
    /// [`SourceAnswer::accepted`] had it. A source that `sources` does not render is rendered from here, after the same
    /// checks: it is refused now, or the host left it out.
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<Value>"))]
    pub accepted: Vec<&'a RawValue>,
    /// `standalone` with `shards: auto`: how many shards there are. There will be at least as many. Absent means one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shards: Option<usize>,
    /// Only for the operation `shard`: which of the Telegrafs of `standalone` is rendered, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<usize>,
    /// Only for the operation `shard`: the [`Part::needs`] of its sources, in any order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
}

/// What a host that applies objects has read from the cluster. With it, Applications that name no cluster are skipped, and
/// Applications whose AppProject does not permit the destination are refused.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ClusterView<'a> {
    /// The AppProjects in Argo CD's namespace. A project that is not in the list does not exist.
    #[serde(borrow, default)]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<Value>"))]
    pub projects: Vec<&'a RawValue>,
    /// The value of `globalProjects` in Argo CD's ConfigMap `argocd-cm`, converted from YAML to JSON.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Value>"))]
    pub global_projects: Option<&'a RawValue>,
    /// The value of `cluster.inClusterEnabled` in Argo CD's ConfigMap `argocd-cm`. If it is false, Argo CD deploys
    /// nothing to this cluster (<https://argo-cd.readthedocs.io/en/stable/operator-manual/argocd-cm-yaml/>).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_cluster_enabled: Option<bool>,
}

/// The answer of `render`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RenderAnswer {
    /// The contract's version, 1.
    pub protocol: u32,
    /// Problems of the request or of the settings. If one of them is an error, nothing was rendered.
    pub diagnostics: Vec<Diagnostic>,
    /// One entry for each Application, Namespace and ApplicationSet of the request, in its order.
    pub sources: Vec<SourceAnswer>,
    /// `standalone` only: the Telegraf that all sources share, or the few of them (shards).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<Rendered>,
    /// Only of the operation `parts`: the parts of the sources that were rendered. Whether there is room for them is not known
    /// there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(not(feature = "guest"), serde(skip_serializing))]
    pub parts: Vec<Part>,
    /// Only of the operation `parts`: the parts of [`RenderRequest::accepted`], apart from those of sources that are idle or
    /// skipped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(not(feature = "guest"), serde(skip_serializing))]
    pub kept: Vec<Part>,
}

/// What one source adds to its Telegraf in `standalone`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Part {
    /// The source. Its shard depends on this and on the number of shards.
    pub source: String,
    /// The tenant that the source belongs to. Each tenant has limited room.
    pub tenant: String,
    /// The name of its file: a key of the shard's ConfigMap.
    pub file: String,
    /// The file.
    pub text: String,
    /// What its outputs need of databases.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub databases: Vec<Database>,
    /// What its shard needs beside the file. If the set of all needs of a shard stays the same, so does everything of the shard
    /// but its files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
}

/// The result for one source.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SourceAnswer {
    /// Its position in the request's `sources`.
    pub index: usize,
    /// Its position within the `v1` List at `index`, if the object at `index` is a List.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<usize>,
    /// The object, as `argoproj.io/Application/<namespace>/<name>` or `Namespace/<name>`.
    pub source: String,
    /// The outcome.
    pub outcome: Outcome,
    /// Errors and warnings about the source, in the order of its text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diagnostics: Vec<Diagnostic>,
    /// The endpoints that will be scraped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<EndpointAnswer>,
    /// The rendered objects. Empty unless `outcome` is `rendered`; empty in `standalone`, where `shared` has the
    /// objects.
    #[serde(flatten)]
    pub rendered: Rendered,
    /// `standalone` only, and only if `outcome` is `rendered`: the fields of the object that were read. A host stores it and
    /// sends it in [`RenderRequest::accepted`].
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
    /// At least one of its diagnostics is an error. Its existing objects should stay.
    Refused,
    /// It has nothing to render: it has no annotation of telewarden, an ApplicationSet none in its template, or the settings
    /// turn its kind off.
    Idle,
    /// It is not served: it belongs to another cluster or to a namespace that the settings exclude, or it is an
    /// ApplicationSet, which is never rendered itself.
    Skipped,
}

/// One endpoint, in a form for display.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EndpointAnswer {
    /// Its name in the annotation.
    pub name: String,
    /// Telegraf's input plugin, `prometheus` unless the settings allow others.
    pub plugin: String,
    /// The URLs; empty for a plugin without URLs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// The interval, as a Telegraf duration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
    /// The measurement's name, if the configuration sets it.
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
    /// The class, which defines where the metrics are sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// What the outputs need of databases, if the settings have it provided (`influxdb.provide`). A host that applies the
    /// objects provides it first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub databases: Vec<Database>,
    /// The configurations, one for each Telegraf.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub configurations: Vec<Configuration>,
    /// The objects, in the order in which they should be applied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<Value>,
}

/// A bucket of InfluxDB 2, and a token that can write it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Database {
    /// The source that needs it; `all` for an output that is the same for all sources of `standalone`.
    pub holder: String,
    /// The database's URL. It does not depend on a source.
    pub url: String,
    /// The organization's name. It does not depend on a source.
    pub organization: String,
    /// The bucket's name.
    pub bucket: String,
    /// How long a new bucket keeps its data, in seconds.
    pub retention_seconds: u64,
    /// The token, if one is provided. It can write the bucket and do nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<DatabaseToken>,
}

/// A token that can write one bucket.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DatabaseToken {
    /// The name of the rendered Secret that it is put into. The Secret is rendered without data.
    pub secret: String,
    /// Its key in the Secret.
    pub key: String,
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
    /// The digest that this Telegraf tells with its state (setting `status`): that of its file, in `standalone` of the file that
    /// all sources share, without the part that makes it tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

/// The answer of `settings`: whether the settings are valid, and the parts of them that a host needs.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SettingsReport {
    /// Errors and warnings.
    pub diagnostics: Vec<Diagnostic>,
    /// The parts that a host needs. Absent if one of the diagnostics is an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostSettings>,
}

/// The settings that a host needs in order to watch a cluster. A host must not read the settings document itself.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HostSettings {
    /// The value of the label [`INSTANCE`](crate::well_known::INSTANCE) of everything that is rendered.
    pub instance: String,
    /// The annotation that contains the endpoints.
    pub annotation: String,
    /// The prefixes of the names of all other annotations that are read.
    pub annotation_prefixes: Vec<String>,
    /// The topology.
    pub topology: Topology,
    /// The namespace of the Telegrafs of `standalone`.
    pub standalone_namespace: String,
    /// How many Telegrafs `standalone` has. Absent if that depends on the sources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standalone_shards: Option<usize>,
    /// Whether Applications are sources.
    pub applications: bool,
    /// Whether Namespaces are sources.
    pub namespaces: bool,
    /// The namespace of Argo CD's AppProjects and of its ConfigMap `argocd-cm`.
    pub argocd_namespace: String,
    /// The namespaces whose Applications are served, including Argo CD's.
    pub application_namespaces: Vec<String>,
    /// The cluster's DNS domain.
    #[serde(default = "cluster_domain")]
    pub cluster_domain: String,
    /// The kinds of the objects that are rendered, apart from ConfigMap and Deployment.
    pub kinds: Vec<ObjectKind>,
    /// What is provided in InfluxDB. Absent if nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub influxdb: Option<HostInfluxdb>,
}

/// What modules mean that do not answer it.
fn cluster_domain() -> String {
    "cluster.local".to_owned()
}

/// What a host provides in InfluxDB.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HostInfluxdb {
    /// True if each source gets a token of its own.
    pub tokens: bool,
    /// After how many seconds a token is replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_lifetime_seconds: Option<u64>,
    /// The organizations that outputs write to, each once.
    pub organizations: Vec<HostOrganization>,
}

/// An organization of a database.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HostOrganization {
    /// The database's URL.
    pub url: String,
    /// The organization's name.
    pub organization: String,
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
