//! The settings: name, kind, default and documentation of each, in one place.
//!
//! The document's reader, the JSON Schema (`schemas/settings.schema.json`) and the reference in `docs/settings.md` are made
//! from these declarations. The structs are what the document becomes: every name, pattern and template in them is known to
//! be valid. Rules that concern several settings are in `check.rs`.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::kind::{
    AnnotationName, Count, Domain, EndpointOptions, ExtraResource, Image, InstanceName, Memory, NameSet, NamespaceName,
    OfEndpoint, OfTelegraf, OneOrMore, OptionalDuration, Outputs, Plugins, PodAnnotations, PodFields, PodLabel,
    PodLabels, PodToleration, Port, SecretName, Sections, Shards, Size, Table, Tags, TextMap, TextWith, VariablePrefix,
};
use super::pattern::{HostPattern, NamePattern};
use super::pod_variable::Variable;
use super::quantity::Quantity;
use super::topology::Topology;
use crate::telegraf::{Duration, Key};

settings! {
    /// Settings of telewarden: the same document for Kubewarden (`spec.settings`), the command and the operator. All settings
    /// are optional. Maps are merged with the defaults; lists replace them.
    pub struct Settings {
        /// The annotation that holds the endpoints.
        annotation: AnnotationName = "telewarden.io/endpoints",
        /// How many Telegraf instances are deployed.
        topology: Topology = "application",
        /// Settings for `topology: standalone`.
        standalone: Standalone,
        /// The class of sources without a `class` annotation.
        default_class: String = "default",
        /// Where metrics are sent, by name. Every class is merged with the built-in one, except its `outputs`, `processors` and
        /// `aggregators`, which replace those of the built-in class.
        classes: Sections<Class>,
        /// How endpoints are rendered as Telegraf inputs.
        inputs: Inputs,
        /// Limits for endpoints.
        endpoints: Endpoints,
        /// The objects that are read.
        sources: Sources,
        /// The pods that run Telegraf.
        pod: Pod,
        /// What annotations may set.
        allow: Allow,
        /// How a running Telegraf gets a changed configuration.
        reload: Reload = "watch",
        /// Render a NetworkPolicy that allows Telegraf to connect only to DNS, the namespaces of its endpoints, and its outputs.
        /// For destinations in the cluster it contains namespaces and no ports, because a Service's port can differ from the
        /// port of its pods.
        network_policy: bool = false,
        /// The cluster's DNS servers, for `networkPolicy`.
        dns: Dns,
        /// Namespaced objects that are rendered for every source in its namespace, such as an ExternalSecret or a VaultSecret.
        /// In `standalone` they are rendered once. Texts can contain `{application}`, `{namespace}` and `{bucket}`.
        extra_resources: Vec<ExtraResource> = [],
        /// A label of all rendered objects. An operator prunes only objects with its own instance.
        instance: InstanceName = "telewarden",
        /// What the operator provides in InfluxDB for the outputs `influxdb_v2`.
        influxdb: Influxdb,
        /// Each Telegraf tells at port 8889, as Prometheus metrics, which endpoints answer and what its outputs have written. The
        /// operator reads it. Telegraf needs its plugins `inputs.internal` and `outputs.prometheus_client` for it.
        status: bool = true,
        /// The operator's namespace, which the NetworkPolicy lets read `status`.
        operator_namespace: NamespaceName = "telewarden",
        /// What admission adds to an object. All values except `none` need `spec.mutating: true` in the policy. An ApplicationSet
        /// has to name the annotation in `spec.preservedFields.annotations`, or its controller writes its Applications each time
        /// that it looks at them.
        mutation: Mutation = "none",
        /// Whether admission looks up the Services that an annotation scrapes in its namespace, and warns (TW119, TW120) of those
        /// that do not exist. The policy needs `spec.contextAwareResources` for it; `telewarden policies` prints it.
        services: LookUp = "nothing",
    }

    /// The DNS servers that the NetworkPolicy allows: pods of a namespace, and addresses.
    pub(crate) struct Dns {
        /// The namespace of the DNS pods.
        namespace: NamespaceName = "kube-system",
        /// The label of the DNS pods, as `name=value`. If empty, all pods of the namespace.
        pods: PodLabel = "k8s-app=kube-dns",
        /// The port of the DNS pods. On OpenShift: 5353.
        port: Port = 53,
        /// Other DNS servers, with port 53, such as a node-local cache at `169.254.20.10`.
        addresses: Vec<IpAddr> = [],
    }

    /// The shared Telegraf of `topology: standalone`.
    pub(crate) struct Standalone {
        /// Telegraf's namespace.
        namespace: NamespaceName = "telegraf",
        /// How many Telegrafs the sources are spread over: a number from 1 to 128, or `auto` for as many as their configuration
        /// needs. Each has a ConfigMap, which holds some 650 sources with three endpoints.
        shards: Shards = "auto",
    }

    /// Where metrics are sent: Telegraf's configuration as data, with the names that it has in TOML. Texts can contain
    /// `{application}`, `{namespace}` and `{bucket}`, and Telegraf's `${VARIABLE}`.
    pub(crate) struct Class {
        /// The sources that may use this class: patterns for the name of a Namespace or of an Application in Argo CD's namespace,
        /// or for `namespace/name` of any Application. `*` alone matches every source.
        allow: Vec<NamePattern> = ["*"],
        /// Tags of all metrics.
        global_tags: Table<OfTelegraf> = {},
        /// Telegraf's `[agent]`.
        agent: Table<OfTelegraf> = {
            "interval": "60s",
            "flush_interval": "60s",
            "collection_jitter": "5s",
            "metric_batch_size": 5000,
            "metric_buffer_limit": 100000,
            "omit_hostname": true,
            "skip_processors_after_aggregators": true
        },
        /// Telegraf's `[[processors.<name>]]`, as lists by name.
        processors: Plugins<OfTelegraf> = {},
        /// Telegraf's `[[aggregators.<name>]]`, as lists by name.
        aggregators: Plugins<OfTelegraf> = {},
        /// Telegraf's `[[outputs.<name>]]`, as lists by name.
        outputs: Outputs = {
            "influxdb_v2": [
                {
                    "urls": ["http://influxdb.influxdb.svc:8086"],
                    "organization": "default",
                    "bucket": "{bucket}",
                    "token": "${INFLUX_TOKEN}"
                }
            ]
        },
        /// How long buckets of this class keep their data. If not set, as long as `influxdb.retention` says.
        retention: OptionalDuration,
    }

    /// What the operator provides in InfluxDB. It needs an administrator's token (`--influxdb-token-file`).
    pub(crate) struct Influxdb {
        /// `buckets`: the buckets of the sources. `bucketsAndTokens`: also a token for each source, which can only write the
        /// bucket of this source. The operator never deletes a bucket.
        provide: Provide = "nothing",
        /// How long a bucket that the operator makes keeps its data, as a Telegraf duration of 1 hour or more. Existing buckets
        /// are not changed.
        retention: Duration = "30d",
        /// Where `bucketsAndTokens` puts a source's token.
        token_secret: TokenSecret,
        /// After how long the operator replaces a token, as a Telegraf duration of 1 hour or more. If not set, it replaces tokens
        /// only when `telewarden-operator rotate` asks for it.
        token_lifetime: OptionalDuration,
    }

    /// The Secrets with the sources' tokens. They are in the namespaces of the Telegrafs.
    pub(crate) struct TokenSecret {
        /// The prefix of their names. A hash follows, because several sources can be in one namespace.
        name: SecretName = "telegraf",
        /// The key. In `standalone` there is one Secret, whose keys are the names of variables.
        key: SecretName = "influx-token",
    }

    /// How endpoints are rendered as Telegraf inputs.
    pub(crate) struct Inputs {
        /// The measurement's name. It has no effect with `metric_version: 1`, which uses the metric's name.
        name_override: TextWith<OfEndpoint> = "prometheus_{endpoint}",
        /// Tags of all metrics, which annotations cannot set. Texts can also contain `{endpoint}`.
        tags: Tags = {"prometheus_app": "{bucket}"},
        /// Default options of endpoints, with the names that they have in the annotation.
        defaults: EndpointOptions = {"metric_version": 2, "content_length_limit": "5MB"},
        /// Input plugins that the `inputs` annotation may use. Options of plugins other than `prometheus` are only checked for
        /// variables, so allow only plugins that are safe.
        allowed_plugins: NameSet = ["prometheus"],
        /// Remove scraped labels with the name of one of the class's `globalTags`, so that they cannot override it.
        protect_global_tags: bool = true,

        @derived
        /// Tags that annotations cannot set: those of `tags`, those that outputs select by, and, if protected, the classes'
        /// global tags.
        reserved_tags: BTreeSet<String>,
        /// Tags by which an output selects metrics or destinations.
        choosing_tags: Vec<Key>,
    }

    /// Limits for endpoints.
    pub(crate) struct Endpoints {
        /// The maximum number of endpoints of a source.
        max: Count = 64,
        /// The minimum interval, as a Telegraf duration.
        min_interval: Duration = "10s",
        /// The maximum interval, as a Telegraf duration.
        max_interval: Duration = "24h",
        /// The minimum timeout of a scrape, as a Telegraf duration.
        min_timeout: Duration = "100ms",
        /// The maximum timeout of a scrape, as a Telegraf duration. A timeout also cannot be longer than the interval.
        max_timeout: Duration = "60s",
        /// The maximum `content_length_limit` of an endpoint, such as `20MB`.
        max_content_length: Size = "20MB",
        /// The allowed URL schemes.
        schemes: OneOrMore<Scheme> = ["http", "https"],
        /// The cluster's DNS domain.
        cluster_domain: Domain = "cluster.local",
        /// The allowed hosts, as patterns. `*` matches one or more labels. Texts can contain `{namespace}`, `{application}` and
        /// `{clusterDomain}`. `["*"]` allows all hosts.
        hosts: OneOrMore<HostPattern> = ["*.{namespace}.svc", "*.{namespace}.svc.{clusterDomain}"],
    }

    /// The objects that are read.
    pub(crate) struct Sources {
        /// Read Argo CD Applications.
        applications: bool = true,
        /// Read Namespaces.
        namespaces: bool = true,
        /// Argo CD's namespace. Its AppProjects are read, and its Applications are served.
        argocd_namespace: NamespaceName = "argocd",
        /// Other namespaces whose Applications are served.
        application_namespaces: Vec<NamespaceName> = [],
        /// Use the name alone as `{bucket}` for Applications outside of Argo CD's namespace and for Namespaces, so that sources
        /// with the same name share a bucket. Otherwise it is `<namespace>:<name>` or `Namespace:<name>`.
        shared_buckets: bool = false,
    }

    /// The pods that run Telegraf.
    pub(crate) struct Pod {
        /// Telegraf's image, with a tag or a digest. Version 1.38 or later.
        image: Image = "docker.io/library/telegraf:1.40-alpine",
        /// Plugins of your own build of Telegraf that classes use, such as `outputs.mine`. Nothing in them is checked. Input
        /// plugins are allowed by `inputs.allowedPlugins`.
        #[cfg_attr(not(feature = "plugins"), allow(dead_code, reason = "options are not checked"))]
        own_plugins: NameSet = [],
        /// Resource requests and limits.
        resources: Resources,
        /// Environment variables, as in a container. Outputs can use them as `${VARIABLE}`.
        env: Vec<Variable> = [
            {"name": "INFLUX_TOKEN", "valueFrom": {"secretKeyRef": {"name": "telegraf", "key": "influx-token"}}}
        ],
        /// Labels of the pods. Texts can contain `{application}`, `{namespace}` and `{bucket}`.
        labels: PodLabels = {},
        /// Annotations of the pods. Texts can contain `{application}`, `{namespace}` and `{bucket}`.
        annotations: PodAnnotations = {},
        /// The node selector of the pods.
        node_selector: TextMap = {},
        /// The tolerations of the pods.
        tolerations: Vec<PodToleration> = [],
        /// The affinity of the pods.
        affinity: PodFields = {},
        /// How pods are spread over nodes and zones. Give each constraint a `labelSelector`, such as
        /// `{matchLabels: {app.kubernetes.io/name: telegraf}}`.
        topology_spread_constraints: Vec<PodFields> = [],
        /// The name of a PriorityClass.
        priority_class_name: String = "",
        /// A ServiceAccount in the namespace of each Telegraf. Its token is not mounted.
        service_account_name: String = "",
        /// Secrets to pull the image with, such as `[{name: registry}]`.
        image_pull_secrets: Vec<PodFields> = [],
        /// The security context of the pods. Null leaves a field to the platform: on OpenShift, set `runAsUser` and
        /// `runAsGroup` to null.
        security_context: PodFields = {
            "runAsGroup": 65532,
            "runAsNonRoot": true,
            "runAsUser": 65532,
            "seccompProfile": {"type": "RuntimeDefault"}
        },
        /// More volumes, such as a ConfigMap with the certificate of a private authority.
        volumes: Vec<PodFields> = [],
        /// Where `volumes` are mounted: `name`, `mountPath`, and, if needed, `subPath` and `readOnly`.
        volume_mounts: Vec<PodFields> = [],
        /// How many old ReplicaSets are kept.
        revision_history_limit: Count = 2,
    }

    /// Resource requests and limits, as in a container.
    pub(crate) struct Resources {
        /// The resource requests.
        requests: ResourceList = {"cpu": "50m", "memory": "64Mi"},
        /// The resource limits. In `topology: standalone`, the default of `memory` is `2Gi`.
        limits: ResourceList = {"cpu": "500m", "memory": "256Mi"},
    }

    /// CPU and memory, as Kubernetes quantities.
    #[derive(PartialEq)]
    pub(crate) struct ResourceList {
        /// CPU, such as `100m`.
        cpu: Quantity,
        /// Memory, such as `64Mi`.
        memory: Memory,
    }

    /// What annotations may set.
    pub(crate) struct Allow {
        /// Images that annotations may set, as patterns in which `*` matches any characters. If empty, none.
        image: Vec<NamePattern> = [],
        /// Allow annotations to set environment variables, also from ConfigMaps and Secrets of the namespace.
        env: bool = false,
        /// The prefix of the variables that the `secret-env` annotation sets. The keys of a Secret can have any name; without a
        /// prefix, a key could set `HTTP_PROXY`.
        secret_env_prefix: VariablePrefix = "SECRET_",
        /// Secrets whose entries annotations may use as credentials of endpoints, as patterns in which `*` matches any
        /// characters. If empty, none. The Secrets that `pod.env` and `influxdb` name cannot be used.
        secrets: Vec<NamePattern> = [],
        /// The maximum of requests and limits.
        max_resources: ResourceList = {"cpu": "1", "memory": "1Gi"},
    }
}

choices! {
    /// A URL scheme that Telegraf can scrape.
    pub enum Scheme {
        /// HTTP without TLS.
        Http,
        /// HTTP over TLS.
        Https,
    }

    /// How a running Telegraf gets a changed configuration.
    pub enum Reload {
        /// Telegraf watches its files and reloads them.
        Watch,
        /// The Deployment rolls out new pods.
        Rollout,
    }

    /// What the operator provides in InfluxDB.
    pub enum Provide {
        /// Nothing.
        Nothing,
        /// Buckets.
        Buckets,
        /// Buckets, and a token for each source.
        BucketsAndTokens,
    }

    /// What admission does about Services that do not exist.
    pub enum LookUp {
        /// Nothing. The policy looks nothing up in the cluster.
        Nothing,
        /// It warns.
        Warn,
    }

    /// What admission adds to an object.
    pub enum Mutation {
        /// Nothing.
        None,
        /// The annotation `telegraf.influxdata.com/rendered-digest`.
        Digest,
        /// The annotation `telegraf.influxdata.com/rendered`, with the objects themselves.
        Resources,
    }
}
