//! The settings as an administrator writes them. `schemas/settings.schema.json` is made from these types, and what they
//! say about themselves is what an editor shows.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{EnvVar, Toleration};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Settings of telewarden: the same document for Kubewarden (`spec.settings`), the command and the operator. All of it is
/// optional; maps are merged with the defaults, lists replace them.
#[derive(Clone, Debug)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename_all = "camelCase", deny_unknown_fields),
    schemars(title = "telewarden settings")
)]
pub struct Document {
    /// The annotation that holds the endpoints.
    pub annotation: String,
    /// How many Telegrafs there are.
    pub topology: Topology,
    /// For `topology: standalone`.
    pub standalone: Standalone,
    /// The class of a source that names none.
    pub default_class: String,
    /// Where metrics go, by name. Every class starts from the built-in one; its `outputs`, `processors` and `aggregators`
    /// are taken as a whole.
    pub classes: BTreeMap<String, Class>,
    /// How endpoints become Telegraf inputs.
    pub inputs: Inputs,
    /// What may be scraped.
    pub endpoints: Endpoints,
    /// Which objects are read.
    pub sources: Sources,
    /// The pods that run Telegraf.
    pub pod: Pod,
    /// What annotations may ask for.
    pub allow: Allow,
    /// How a changed configuration reaches a running Telegraf.
    pub reload: Reload,
    /// Render a NetworkPolicy that lets Telegraf reach the endpoints and the outputs only.
    pub network_policy: bool,
    /// Namespaced objects that every source gets, in its namespace: an ExternalSecret, a VaultSecret. Texts may hold
    /// `{application}`, `{namespace}` and `{bucket}`.
    pub extra_resources: Vec<Map<String, Value>>,
    /// A label of everything rendered. An operator prunes only what has its own.
    pub instance: String,
    /// What admission adds to an object. Anything but `none` needs `spec.mutating: true` in the policy, and lets the
    /// ApplicationSet controller and the policy fight over Applications that it owns.
    pub mutation: Mutation,
}

/// How many Telegrafs there are.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename_all = "camelCase"))]
pub enum Topology {
    /// One for each source, in its namespace.
    Application,
    /// One for each endpoint, in the source's namespace.
    Endpoint,
    /// One for all sources, in a namespace of its own.
    Standalone,
}

/// The one Telegraf of `topology: standalone`.
#[derive(Clone, Debug)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename_all = "camelCase", deny_unknown_fields)
)]
pub struct Standalone {
    /// Its namespace.
    pub namespace: String,
}

/// Where metrics go: Telegraf's configuration as data, with the names that it has in TOML. Texts may hold
/// `{application}`, `{namespace}` and `{bucket}`, and Telegraf's own `${VARIABLE}`.
#[derive(Clone, Debug)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename_all = "camelCase", deny_unknown_fields)
)]
pub struct Class {
    /// The sources that may choose it: patterns for an Application's or Namespace's name, or for `namespace/name`; `*`
    /// stands for any characters.
    pub allow: Vec<String>,
    /// Tags of every metric.
    pub global_tags: Map<String, Value>,
    /// Telegraf's `[agent]`.
    pub agent: Map<String, Value>,
    /// Telegraf's `[[processors.<name>]]`, as lists by name.
    pub processors: BTreeMap<String, Vec<Map<String, Value>>>,
    /// Telegraf's `[[aggregators.<name>]]`, as lists by name.
    pub aggregators: BTreeMap<String, Vec<Map<String, Value>>>,
    /// Telegraf's `[[outputs.<name>]]`, as lists by name.
    pub outputs: BTreeMap<String, Vec<Map<String, Value>>>,
}

/// How endpoints become Telegraf inputs.
#[derive(Clone, Debug)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename_all = "camelCase", deny_unknown_fields)
)]
pub struct Inputs {
    /// The measurement's name. Not used with `metric_version: 1`, where the name is the metric's.
    pub name_override: String,
    /// Tags of every metric that annotations cannot set. Texts may hold `{endpoint}` too.
    pub tags: BTreeMap<String, String>,
    /// Options of an endpoint that sets none, with the names that they have in the annotation.
    pub defaults: Map<String, Value>,
    /// Input plugins that the `inputs` annotation may use. Others than `prometheus` are only checked for variables: they
    /// are your own responsibility.
    pub allowed_plugins: Vec<String>,
    /// Remove a scraped label that is called like one of the class's `globalTags`, so that the global tag counts.
    pub protect_global_tags: bool,
}

/// What may be scraped.
#[derive(Clone, Debug)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename_all = "camelCase", deny_unknown_fields)
)]
pub struct Endpoints {
    /// The most endpoints that a source may have.
    pub max: usize,
    /// The shortest interval, as a Telegraf duration.
    pub min_interval: String,
    /// The longest interval, as a Telegraf duration.
    pub max_interval: String,
    /// The shortest timeout of a scrape, as a Telegraf duration.
    pub min_timeout: String,
    /// The longest timeout of a scrape, as a Telegraf duration. A timeout is never longer than the interval either.
    pub max_timeout: String,
    /// The largest `content_length_limit` that an endpoint may ask for, such as `20MB`.
    pub max_content_length: String,
    /// The URL schemes that may be used.
    pub schemes: Vec<Scheme>,
    /// The cluster's DNS domain.
    pub cluster_domain: String,
    /// The hosts that may be scraped. `*` stands for one or more labels; texts may hold `{namespace}`, `{application}`
    /// and `{clusterDomain}`. `["*"]` opens it.
    pub hosts: Vec<String>,
}

/// A URL scheme that Telegraf can scrape.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename_all = "camelCase"))]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS.
    Https,
}

/// Which objects are read.
#[derive(Clone, Debug)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename_all = "camelCase", deny_unknown_fields)
)]
pub struct Sources {
    /// Argo CD Applications.
    pub applications: bool,
    /// Namespaces.
    pub namespaces: bool,
    /// Argo CD's own namespace, where its AppProjects are.
    pub argocd_namespace: String,
    /// The namespaces whose Applications are served besides those in Argo CD's own.
    pub application_namespaces: Vec<String>,
    /// Let `{bucket}` be the same for sources of the same name: for an Application outside of Argo CD's own namespace, and
    /// for a Namespace. Otherwise theirs are `<namespace>:<name>` and `Namespace:<name>`.
    pub shared_buckets: bool,
}

/// The pods that run Telegraf.
#[derive(Clone, Debug)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename_all = "camelCase", deny_unknown_fields)
)]
pub struct Pod {
    /// Telegraf's image, 1.38 or later.
    pub image: String,
    /// What Telegraf may use.
    pub resources: Resources,
    /// Environment variables, as in a container. The outputs' `${VARIABLE}` are these.
    pub env: Vec<EnvVar>,
    /// Labels of the pods. Texts may hold `{application}`, `{namespace}` and `{bucket}`.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the pods. Texts may hold `{application}`, `{namespace}` and `{bucket}`.
    pub annotations: BTreeMap<String, String>,
    /// Labels of the nodes that may run it.
    pub node_selector: BTreeMap<String, String>,
    /// Taints of nodes that it tolerates.
    pub tolerations: Vec<Toleration>,
}

/// Requests and limits, as in a container.
#[derive(Clone, Debug)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename_all = "camelCase", deny_unknown_fields)
)]
pub struct Resources {
    /// What is set aside for it.
    pub requests: ResourceList,
    /// What it cannot go beyond.
    pub limits: ResourceList,
}

/// Processors and memory, as Kubernetes quantities.
#[derive(Clone, Debug)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename_all = "camelCase", deny_unknown_fields)
)]
pub struct ResourceList {
    /// Processors, such as `100m`.
    pub cpu: String,
    /// Memory, such as `64Mi`.
    pub memory: String,
}

/// What annotations may ask for.
#[derive(Clone, Debug)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename_all = "camelCase", deny_unknown_fields)
)]
pub struct Allow {
    /// Images, as patterns in which `*` stands for any characters. Empty: none.
    pub image: Vec<String>,
    /// Environment variables, also from ConfigMaps and Secrets of the namespace.
    pub env: bool,
    /// What the names of the variables that `secret-env` brings start with. A Secret's keys are called as its author likes:
    /// without a prefix one could be called `HTTP_PROXY`.
    pub secret_env_prefix: String,
    /// The most that requests and limits may be.
    pub max_resources: ResourceList,
}

/// How a changed configuration reaches a running Telegraf.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename_all = "camelCase"))]
pub enum Reload {
    /// Telegraf watches its file and reloads it.
    Watch,
    /// The Deployment rolls out new pods.
    Rollout,
}

/// What admission adds to an object.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename_all = "camelCase"))]
pub enum Mutation {
    /// Nothing.
    None,
    /// The annotation `telegraf.influxdata.com/rendered-digest`.
    Digest,
    /// The annotation `telegraf.influxdata.com/rendered`, with the objects themselves.
    Resources,
}
