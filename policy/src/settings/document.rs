//! The settings: name, kind, default and documentation of each, in one place.
//!
//! The document's reader, the JSON Schema (`schemas/settings.schema.json`) and the reference in `docs/settings.md` are made
//! from these declarations. The structs are what the document becomes: every name, pattern and template in them is known to
//! be usable. What is a matter of two settings is in `check.rs`.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::kind::{
    AnnotationName, Classes, Count, Domain, EndpointOptions, ExtraResource, Image, InstanceName, NameSet,
    NamespaceName, OfEndpoint, OfTelegraf, OneOrMore, Outputs, Plugins, PodAnnotations, PodLabel, PodLabels,
    PodToleration, Port, Size, Table, Tags, TextMap, TextWith, Variable, VariablePrefix,
};
use super::pattern::{HostPattern, NamePattern};
use super::quantity::Quantity;
use crate::telegraf::{Duration, Key};

settings! {
    /// Settings of telewarden: the same document for Kubewarden (`spec.settings`), the command and the operator. All of it is
    /// optional; maps are merged with the defaults, lists replace them.
    pub struct Settings {
        /// The annotation that holds the endpoints.
        annotation: AnnotationName = "telegraf.influxdata.com/rubin-telegraf-operator",
        /// How many Telegrafs there are.
        topology: Topology = "application",
        /// For `topology: standalone`.
        standalone: Standalone,
        /// The class of a source that names none.
        default_class: String = "default",
        /// Where metrics go, by name. Every class starts from the built-in one; its `outputs`, `processors` and `aggregators`
        /// are taken as a whole.
        classes: Classes,
        /// How endpoints become Telegraf inputs.
        inputs: Inputs,
        /// What may be scraped.
        endpoints: Endpoints,
        /// Which objects are read.
        sources: Sources,
        /// The pods that run Telegraf.
        pod: Pod,
        /// What annotations may ask for.
        allow: Allow,
        /// How a changed configuration reaches a running Telegraf.
        reload: Reload = "watch",
        /// Render a NetworkPolicy that lets Telegraf reach DNS, the namespaces of its endpoints and its outputs only. Inside
        /// the cluster it names namespaces and no ports, because a Service's port may differ from its pods'.
        network_policy: bool = false,
        /// The cluster's DNS servers, for `networkPolicy`.
        dns: Dns,
        /// Namespaced objects that every source gets, in its namespace: an ExternalSecret, a VaultSecret. In `standalone` there
        /// is one of each, for the one Telegraf. Texts may hold `{application}`, `{namespace}` and `{bucket}`.
        extra_resources: Vec<ExtraResource> = [],
        /// A label of everything rendered. An operator prunes only what has its own.
        instance: InstanceName = "telewarden",
        /// What admission adds to an object. Anything but `none` needs `spec.mutating: true` in the policy, and lets the
        /// ApplicationSet controller and the policy fight over Applications that it owns.
        mutation: Mutation = "none",
    }

    /// The DNS servers that the NetworkPolicy lets Telegraf reach: pods of a namespace, and addresses.
    pub(crate) struct Dns {
        /// Their namespace.
        namespace: NamespaceName = "kube-system",
        /// The label of the pods, as `name=value`; empty for all pods of the namespace.
        pods: PodLabel = "k8s-app=kube-dns",
        /// The port of the pods; on OpenShift 5353.
        port: Port = 53,
        /// Addresses that answer at port 53 besides them, such as `169.254.20.10` of a node-local cache.
        addresses: Vec<IpAddr> = [],
    }

    /// The one Telegraf of `topology: standalone`.
    pub(crate) struct Standalone {
        /// Its namespace.
        namespace: NamespaceName = "telegraf",
    }

    /// Where metrics go: Telegraf's configuration as data, with the names that it has in TOML. Texts may hold
    /// `{application}`, `{namespace}` and `{bucket}`, and Telegraf's own `${VARIABLE}`.
    pub(crate) struct Class {
        /// The sources that may choose it: patterns for an Application's or Namespace's name, or for `namespace/name`; `*`
        /// stands for any characters.
        allow: Vec<NamePattern> = ["*"],
        /// Tags of every metric.
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
    }

    /// How endpoints become Telegraf inputs.
    pub(crate) struct Inputs {
        /// The measurement's name. It has no effect with `metric_version: 1`, where the name is the metric's.
        name_override: TextWith<OfEndpoint> = "prometheus_{endpoint}",
        /// Tags of every metric that annotations cannot set. Texts may hold `{endpoint}` too.
        tags: Tags = {"prometheus_app": "{bucket}"},
        /// Options of an endpoint that sets none, with the names that they have in the annotation.
        defaults: EndpointOptions = {"metric_version": 2, "content_length_limit": "5MB"},
        /// Input plugins that the `inputs` annotation may use. Others than `prometheus` are only checked for variables: they
        /// are your own responsibility.
        allowed_plugins: NameSet = ["prometheus"],
        /// Remove a scraped label that is called like one of the class's `globalTags`, so that the global tag counts.
        protect_global_tags: bool = true,

        @derived
        /// Tags that annotations cannot set: those of `tags`, those that an output chooses by, and, if they are protected,
        /// the classes' global tags.
        reserved_tags: BTreeSet<String>,
        /// Tags that an output chooses metrics or destinations by.
        choosing_tags: Vec<Key>,
    }

    /// What may be scraped.
    pub(crate) struct Endpoints {
        /// The most endpoints that a source may have.
        max: Count = 64,
        /// The shortest interval, as a Telegraf duration.
        min_interval: Duration = "10s",
        /// The longest interval, as a Telegraf duration.
        max_interval: Duration = "24h",
        /// The shortest timeout of a scrape, as a Telegraf duration.
        min_timeout: Duration = "100ms",
        /// The longest timeout of a scrape, as a Telegraf duration. A timeout is never longer than the interval either.
        max_timeout: Duration = "60s",
        /// The largest `content_length_limit` that an endpoint may ask for, such as `20MB`.
        max_content_length: Size = "20MB",
        /// The URL schemes that may be used.
        schemes: OneOrMore<Scheme> = ["http", "https"],
        /// The cluster's DNS domain.
        cluster_domain: Domain = "cluster.local",
        /// The hosts that may be scraped. `*` stands for one or more labels; texts may hold `{namespace}`, `{application}`
        /// and `{clusterDomain}`. `["*"]` opens it.
        hosts: OneOrMore<HostPattern> = ["*.{namespace}.svc", "*.{namespace}.svc.{clusterDomain}"],
    }

    /// Which objects are read.
    pub(crate) struct Sources {
        /// Argo CD Applications.
        applications: bool = true,
        /// Namespaces.
        namespaces: bool = true,
        /// Argo CD's own namespace, where its AppProjects are, and Applications that are served.
        argocd_namespace: NamespaceName = "argocd",
        /// The namespaces whose Applications are served besides those in Argo CD's own.
        application_namespaces: Vec<NamespaceName> = [],
        /// Let `{bucket}` be the same for sources of the same name: for an Application outside of Argo CD's own namespace,
        /// and for a Namespace. Otherwise theirs are `<namespace>:<name>` and `Namespace:<name>`.
        shared_buckets: bool = false,
    }

    /// The pods that run Telegraf.
    pub(crate) struct Pod {
        /// Telegraf's image, 1.38 or later, with a tag or a digest.
        image: Image = "docker.io/library/telegraf:1.40-alpine",
        /// What Telegraf may use.
        resources: Resources,
        /// Environment variables, as in a container. The outputs' `${VARIABLE}` are these.
        env: Vec<Variable> = [
            {"name": "INFLUX_TOKEN", "valueFrom": {"secretKeyRef": {"name": "telegraf", "key": "influx-token"}}}
        ],
        /// Labels of the pods. Texts may hold `{application}`, `{namespace}` and `{bucket}`.
        labels: PodLabels = {},
        /// Annotations of the pods. Texts may hold `{application}`, `{namespace}` and `{bucket}`.
        annotations: PodAnnotations = {},
        /// Labels of the nodes that may run it.
        node_selector: TextMap = {},
        /// Taints of nodes that it tolerates.
        tolerations: Vec<PodToleration> = [],
    }

    /// Requests and limits, as in a container.
    pub(crate) struct Resources {
        /// What is set aside for it.
        requests: ResourceList = {"cpu": "50m", "memory": "64Mi"},
        /// What it cannot go beyond.
        limits: ResourceList = {"cpu": "500m", "memory": "256Mi"},
    }

    /// CPU and memory, as Kubernetes quantities.
    #[derive(PartialEq)]
    pub(crate) struct ResourceList {
        /// CPU, such as `100m`.
        cpu: Quantity,
        /// Memory, such as `64Mi`.
        memory: Quantity,
    }

    /// What annotations may ask for.
    pub(crate) struct Allow {
        /// Images, as patterns in which `*` stands for any characters. Empty: none.
        image: Vec<NamePattern> = [],
        /// Environment variables, also from ConfigMaps and Secrets of the namespace.
        env: bool = false,
        /// What the names of the variables that `secret-env` brings start with. A Secret's keys are called as its author
        /// likes: without a prefix one could be called `HTTP_PROXY`.
        secret_env_prefix: VariablePrefix = "SECRET_",
        /// The most that requests and limits may be.
        max_resources: ResourceList = {"cpu": "1", "memory": "1Gi"},
    }
}

choices! {
    /// How many Telegrafs there are.
    #[derive(Deserialize, Serialize)]
    #[serde(rename_all = "camelCase")]
    pub enum Topology {
        /// One for each source, in its namespace.
        Application,
        /// One for each endpoint, in the source's namespace.
        Endpoint,
        /// One for all sources, in a namespace of its own.
        Standalone,
    }

    /// A URL scheme that Telegraf can scrape.
    pub enum Scheme {
        /// Plain HTTP.
        Http,
        /// HTTP over TLS.
        Https,
    }

    /// How a changed configuration reaches a running Telegraf.
    pub enum Reload {
        /// Telegraf watches its file and reloads it.
        Watch,
        /// The Deployment rolls out new pods.
        Rollout,
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
