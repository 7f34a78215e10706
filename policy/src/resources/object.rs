//! Kubernetes objects, as they are rendered.
//!
//! Environment variables, tolerations and a NetworkPolicy's rules are types of `k8s-openapi`. The types around them are defined
//! here: those of `k8s-openapi` contain timestamps (`creationTimestamp`, conditions, volume claim templates), whose calendar code
//! would add 130 KB to the module, and everything else that a container can have. A test decodes every object with the full types of
//! `k8s-openapi` and checks that nothing is lost.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{EnvVar, Toleration};
use k8s_openapi::api::networking::v1::NetworkPolicySpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde::Serialize;
use serde_json::{Map, Value as Json};

use crate::annotation::Credential;
use crate::settings::CREDENTIALS_VOLUME;

/// The fields of an object's metadata that are rendered.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Metadata {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) namespace: Option<String>,
    pub(super) labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) annotations: BTreeMap<String, String>,
}

/// An object of a kind: its `spec`, or, for a ConfigMap, its `data`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Object<Spec> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    spec: Option<Spec>,
}

/// `v1` ConfigMap.
pub(crate) type ConfigMap = Object<()>;

impl ConfigMap {
    pub(super) fn config_map(metadata: Metadata, data: BTreeMap<String, String>) -> Self {
        Self {
            api_version: "v1",
            kind: "ConfigMap",
            metadata,
            data: Some(data),
            spec: None,
        }
    }
}

/// `v1` Secret without data, which a host adds.
pub(crate) type Secret = Object<()>;

impl Secret {
    pub(super) fn secret(metadata: Metadata) -> Self {
        Self {
            api_version: "v1",
            kind: "Secret",
            metadata,
            data: None,
            spec: None,
        }
    }
}

/// `apps/v1` Deployment.
pub(crate) type Deployment = Object<DeploymentSpec>;

impl Deployment {
    pub(super) fn deployment(metadata: Metadata, spec: DeploymentSpec) -> Self {
        Self {
            api_version: "apps/v1",
            kind: "Deployment",
            metadata,
            data: None,
            spec: Some(spec),
        }
    }
}

/// `networking.k8s.io/v1` NetworkPolicy.
pub(crate) type NetworkPolicy = Object<NetworkPolicySpec>;

impl NetworkPolicy {
    pub(super) fn network_policy(metadata: Metadata, spec: NetworkPolicySpec) -> Self {
        Self {
            api_version: "networking.k8s.io/v1",
            kind: "NetworkPolicy",
            metadata,
            data: None,
            spec: Some(spec),
        }
    }
}

/// The fields of a Deployment's `spec` that are rendered.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeploymentSpec {
    pub(super) replicas: i32,
    pub(super) revision_history_limit: i32,
    pub(super) selector: LabelSelector,
    pub(super) strategy: Json,
    pub(super) template: PodTemplate,
}

/// A Deployment's pod template.
#[derive(Debug, Serialize)]
pub(crate) struct PodTemplate {
    pub(super) metadata: Metadata,
    pub(super) spec: PodSpec,
}

/// The fields of a pod's `spec` that are rendered. Those that are maps are as the settings have them.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PodSpec {
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(super) affinity: Map<String, Json>,
    pub(super) automount_service_account_token: bool,
    pub(super) containers: [Container; 1],
    pub(super) enable_service_links: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) image_pull_secrets: Vec<Map<String, Json>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) node_selector: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) priority_class_name: String,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(super) security_context: Map<String, Json>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) service_account_name: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) tolerations: Vec<Toleration>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) topology_spread_constraints: Vec<Map<String, Json>>,
    pub(super) volumes: Vec<Map<String, Json>>,
}

/// The fields of a container that are rendered.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Container {
    pub(super) args: Vec<String>,
    pub(super) command: [&'static str; 1],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) env: Vec<EnvVar>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) env_from: Vec<Json>,
    pub(super) image: String,
    pub(super) liveness_probe: Json,
    pub(super) name: &'static str,
    pub(super) ports: Vec<Map<String, Json>>,
    pub(super) readiness_probe: Json,
    pub(super) resources: Map<String, Json>,
    pub(super) security_context: Json,
    pub(super) volume_mounts: Vec<Map<String, Json>>,
}

/// A map with two entries.
pub(super) fn pair(first: (&str, Json), second: (&str, Json)) -> Map<String, Json> {
    let mut map = Map::new();
    for (name, value) in [first, second] {
        map.insert(name.to_owned(), value);
    }
    map
}

/// A map with one entry.
pub(super) fn single(name: &str, value: Json) -> Json {
    let mut map = Map::new();
    map.insert(name.to_owned(), value);
    map.into()
}

/// A volume with the entries of a ConfigMap as files.
pub(super) fn config_map_volume(name: &str, config_map: &str) -> Map<String, Json> {
    pair(("name", name.into()), ("configMap", single("name", config_map.into())))
}

/// A volume with single entries of Secrets as files, and with nothing else of these Secrets.
pub(super) fn credentials_volume(credentials: &[Credential]) -> Map<String, Json> {
    let mut sources = Vec::with_capacity(credentials.len());
    for credential in credentials {
        let item = pair(
            ("key", credential.key.as_str().into()),
            ("path", credential.path().into()),
        );
        let secret = pair(
            ("name", credential.secret.as_str().into()),
            ("items", Json::Array(vec![item.into()])),
        );
        sources.push(single("secret", secret.into()));
    }
    pair(
        ("name", CREDENTIALS_VOLUME.into()),
        ("projected", single("sources", Json::Array(sources))),
    )
}
