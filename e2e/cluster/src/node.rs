//! The cluster that `e2e/cluster/up` runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::GroupVersionKind;
use kube::{Api, Client, Config};
use serde_json::{Value, json};
use telewarden_e2e_operator::{AuditEvent, objects};

use crate::eventually;

/// A kind of objects.
#[derive(Clone, Copy, Debug)]
pub struct Kind(&'static str, &'static str, &'static str);

impl Kind {
    /// Argo CD's Application.
    pub const APPLICATION: Self = Self("argoproj.io", "v1alpha1", "Application");
    /// Argo CD's AppProject.
    pub const APP_PROJECT: Self = Self("argoproj.io", "v1alpha1", "AppProject");
    /// Argo CD's ApplicationSet.
    pub const APPLICATION_SET: Self = Self("argoproj.io", "v1alpha1", "ApplicationSet");
    /// A ConfigMap.
    pub const CONFIG_MAP: Self = Self("", "v1", "ConfigMap");
    /// A Deployment.
    pub const DEPLOYMENT: Self = Self("apps", "v1", "Deployment");
    /// An Event.
    pub const EVENT: Self = Self("", "v1", "Event");
    /// A MutatingWebhookConfiguration.
    pub const MUTATING_WEBHOOK: Self = Self("admissionregistration.k8s.io", "v1", "MutatingWebhookConfiguration");
    /// A Namespace.
    pub const NAMESPACE: Self = Self("", "v1", "Namespace");
    /// A Node.
    pub const NODE: Self = Self("", "v1", "Node");
    /// A Pod.
    pub const POD: Self = Self("", "v1", "Pod");
    /// A ReplicaSet.
    pub const REPLICA_SET: Self = Self("apps", "v1", "ReplicaSet");
    /// A Secret.
    pub const SECRET: Self = Self("", "v1", "Secret");
    /// A Service.
    pub const SERVICE: Self = Self("", "v1", "Service");
    /// A ValidatingWebhookConfiguration.
    pub const VALIDATING_WEBHOOK: Self = Self("admissionregistration.k8s.io", "v1", "ValidatingWebhookConfiguration");

    fn resource(self) -> ApiResource {
        ApiResource::from_gvk(&GroupVersionKind::gvk(self.0, self.1, self.2))
    }
}

/// The name of an object.
pub fn name_of(object: &Value) -> String {
    text_at(object, "/metadata/name")
}

/// A text of an object; empty if there is none.
pub fn text_at(object: &Value, pointer: &str) -> String {
    let text = object.pointer(pointer).and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}

/// A cluster with one node.
#[derive(Clone)]
pub struct Node {
    folder: PathBuf,
    /// A client with an administrator's rights.
    pub client: Client,
}

impl Node {
    /// Connects to the cluster that `e2e/cluster/test` has started.
    ///
    /// # Panics
    /// If there is none.
    pub async fn connect() -> Self {
        let folder = std::env::var_os("TELEWARDEN_CLUSTER");
        let folder = PathBuf::from(folder.expect("TELEWARDEN_CLUSTER: run these tests with e2e/cluster/test"));
        let kubeconfig = Kubeconfig::read_from(folder.join("kubeconfig")).expect("a kubeconfig");
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
        let client = Client::try_from(config.expect("a configuration")).expect("a client");
        Self { folder, client }
    }

    /// The cluster's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The path of a part.
    pub fn part(&self, name: &str) -> PathBuf {
        self.folder.join("bin").join(name)
    }

    /// Runs a command in the cluster's network, among its processes, and answers its output.
    ///
    /// # Panics
    /// If it fails.
    pub fn inside(&self, command: &[&str]) -> String {
        let enter = concat!(env!("CARGO_MANIFEST_DIR"), "/enter");
        run(Command::new(enter).args(command))
    }

    /// Starts a command among the cluster's processes, so that it ends with them; in place of the one that it started by this
    /// name before. Its output is in `logs`.
    pub(crate) fn start(&self, name: &str, command: &[&str]) {
        self.stop(name);
        let log = self.folder.join("logs").join(format!("{name}.log"));
        let script = format!("\"$@\" >{} 2>&1 </dev/null & echo $! >/run/pids/{name}", log.display());
        self.inside(&[&["bash", "-c", &script, name], command].concat());
    }

    /// Ends what was started by a name, if it runs.
    pub(crate) fn stop(&self, name: &str) {
        let script = format!("kill -KILL $(cat /run/pids/{name}) 2>/dev/null; rm -f /run/pids/{name}");
        self.inside(&["bash", "-c", &script]);
    }

    /// The API of a kind in a namespace; in all of them, or for cluster-scoped objects, if it is empty.
    fn api(&self, kind: Kind, namespace: &str) -> Api<DynamicObject> {
        self.api_of(&kind.resource(), namespace)
    }

    fn api_of(&self, resource: &ApiResource, namespace: &str) -> Api<DynamicObject> {
        match namespace {
            "" => Api::all_with(self.client.clone(), resource),
            namespace => Api::namespaced_with(self.client.clone(), namespace, resource),
        }
    }

    /// Applies all objects of a text.
    ///
    /// # Panics
    /// If one is refused.
    pub async fn apply(&self, text: &str) {
        for object in objects(text) {
            self.put(&object).await;
        }
    }

    /// Applies an object.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn put(&self, object: &Value) {
        let put = self.try_put(object).await;
        put.unwrap_or_else(|why| panic!("cannot put {object}: {why}"));
    }

    /// Applies an object that may be refused.
    ///
    /// # Errors
    /// If it is.
    pub async fn try_put(&self, object: &Value) -> Result<(), String> {
        let api_version = text_at(object, "/apiVersion");
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", &api_version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &text_at(object, "/kind")));
        let api = self.api_of(&resource, &text_at(object, "/metadata/namespace"));
        let params = PatchParams::apply("e2e").force();
        let put = api.patch(&name_of(object), &params, &Patch::Apply(object)).await;
        put.map(drop).map_err(|error| error.to_string())
    }

    /// Merges something into an object.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn merge(&self, kind: Kind, namespace: &str, name: &str, patch: Value) {
        let api = self.api(kind, namespace);
        let merged = api.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await;
        merged.unwrap_or_else(|error| panic!("cannot merge {patch} into {kind:?} {namespace}/{name}: {error}"));
    }

    /// An object.
    ///
    /// # Errors
    /// If it does not exist.
    pub async fn get(&self, kind: Kind, namespace: &str, name: &str) -> Result<Value, String> {
        let found = self.api(kind, namespace).get(name).await;
        let found = found.map_err(|error| format!("{kind:?} {namespace}/{name}: {error}"))?;
        Ok(serde_json::to_value(found).expect("JSON"))
    }

    /// True if an object exists.
    ///
    /// # Panics
    /// If the API server does not answer.
    pub async fn has(&self, kind: Kind, namespace: &str, name: &str) -> bool {
        let found = self.api(kind, namespace).get_opt(name).await;
        found.expect("the API server answers").is_some()
    }

    /// The objects of a kind, by label.
    ///
    /// # Panics
    /// If the API server does not answer.
    pub async fn list(&self, kind: Kind, namespace: &str, labels: &str) -> Vec<Value> {
        let params = ListParams::default().labels(labels);
        let found = self.api(kind, namespace).list(&params).await.expect("a list");
        let found = found.items.into_iter();
        found
            .map(|object| serde_json::to_value(object).expect("JSON"))
            .collect()
    }

    /// Deletes an object, and everything that belongs to it, if it exists.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn delete(&self, kind: Kind, namespace: &str, name: &str) {
        match self.api(kind, namespace).delete(name, &DeleteParams::default()).await {
            Ok(_) => (),
            Err(kube::Error::Api(status)) if status.code == 404 => (),
            Err(error) => panic!("cannot delete {kind:?} {namespace}/{name}: {error}"),
        }
    }

    /// Evicts a pod, as draining its node does.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn evict(&self, namespace: &str, name: &str) {
        let uri = format!("/api/v1/namespaces/{namespace}/pods/{name}/eviction");
        let metadata = json!({"name": name, "namespace": namespace});
        let body = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}).to_string();
        let request = http::Request::post(uri).header("Content-Type", "application/json");
        let request = request.body(body.into_bytes()).expect("a request");
        self.client.request_text(request).await.expect("an eviction");
    }

    /// Waits until an object is gone.
    pub async fn gone(&self, kind: Kind, namespace: &str, name: &str) {
        eventually(&format!("{kind:?} {namespace}/{name} is gone"), || async {
            match self.has(kind, namespace, name).await {
                true => Err("it exists".to_owned()),
                false => Ok(()),
            }
        })
        .await;
    }

    /// Our objects in a namespace: `<kind>/<name>` and uid.
    pub async fn ours(&self, namespace: &str) -> Vec<(String, String)> {
        let mut ours = Vec::new();
        for kind in [Kind::CONFIG_MAP, Kind::DEPLOYMENT, Kind::SECRET] {
            let found = self
                .list(kind, namespace, "app.kubernetes.io/managed-by=telewarden")
                .await;
            ours.extend(found.iter().map(|object| {
                (
                    format!("{}/{}", kind.2, name_of(object)),
                    text_at(object, "/metadata/uid"),
                )
            }));
        }
        ours
    }

    /// Waits until the operator has applied a configuration with a text.
    pub async fn applied(&self, namespace: &str, text: &str) {
        eventually(&format!("a ConfigMap of ours in {namespace} has {text}"), || async {
            let found = self
                .list(Kind::CONFIG_MAP, namespace, "app.kubernetes.io/managed-by=telewarden")
                .await;
            let has = found.iter().any(|object| object["data"].to_string().contains(text));
            has.then_some(()).ok_or_else(|| format!("{found:?}"))
        })
        .await;
    }

    /// Waits for a Telegraf of ours in a namespace that is ready, and answers its pod.
    pub async fn telegraf(&self, namespace: &str) -> Value {
        eventually(&format!("a Telegraf is ready in {namespace}"), || async {
            let pods = self.list(Kind::POD, namespace, "app.kubernetes.io/name=telegraf").await;
            let ready = |pod: &&Value| {
                let conditions = pod.pointer("/status/conditions").and_then(Value::as_array);
                let mut conditions = conditions.into_iter().flatten();
                conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
            };
            let found = pods.iter().find(ready).cloned();
            found.ok_or_else(|| pods.iter().map(|pod| pod["status"].to_string()).collect())
        })
        .await
    }

    /// Waits until a Deployment has all of its pods.
    pub async fn available(&self, namespace: &str, name: &str) {
        eventually(&format!("Deployment {namespace}/{name} is available"), || async {
            let deployment = self.get(Kind::DEPLOYMENT, namespace, name).await?;
            let status = &deployment["status"];
            let is_whole = status["observedGeneration"] == deployment["metadata"]["generation"]
                && status["availableReplicas"] == deployment["spec"]["replicas"]
                && status["replicas"] == deployment["spec"]["replicas"];
            match is_whole {
                true => Ok(()),
                false => Err(status.to_string()),
            }
        })
        .await;
    }

    /// The Events about an object, as `<reason>: <message>`.
    pub async fn events(&self, namespace: &str, about: &str) -> Vec<String> {
        let all = self.list(Kind::EVENT, namespace, "").await;
        let about = all
            .iter()
            .filter(|event| text_at(event, "/involvedObject/name") == about);
        about
            .map(|event| format!("{}: {}", text_at(event, "/reason"), text_at(event, "/message")))
            .collect()
    }

    /// All requests that the API server has answered so far, without those of its own controllers.
    ///
    /// # Panics
    /// If they cannot be read.
    pub fn audit(&self) -> Vec<AuditEvent> {
        let text = fs::read_to_string(self.folder.join("logs/audit.log")).expect("the audit log");
        text.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// Sends a request through the API server to a Service, and answers status and body.
    ///
    /// # Errors
    /// If there is no answer, or it is an error.
    pub async fn through_service(
        &self,
        method: &str,
        service: &str,
        path: &str,
        body: Value,
    ) -> Result<String, String> {
        let (namespace, name) = service.split_once('/').expect("<namespace>/<service>:<port>");
        let uri = format!("/api/v1/namespaces/{namespace}/services/{name}/proxy{path}");
        let body = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        let request = http::Request::builder().method(method).uri(uri);
        let request = request
            .header("Content-Type", "application/json")
            .body(body)
            .expect("a request");
        self.client
            .request_text(request)
            .await
            .map_err(|error| error.to_string())
    }

    /// Sends a request through the API server to a pod, and answers the body.
    ///
    /// # Panics
    /// If there is no answer, or it is an error.
    pub async fn through_pod(&self, namespace: &str, name: &str, port: u16, path: &str) -> String {
        self.text(&format!(
            "/api/v1/namespaces/{namespace}/pods/{name}:{port}/proxy{path}"
        ))
        .await
    }

    /// The log of a pod; empty if it has none yet.
    pub async fn log(&self, namespace: &str, name: &str) -> String {
        let request = http::Request::get(format!("/api/v1/namespaces/{namespace}/pods/{name}/log"));
        let request = request.body(Vec::new()).expect("a request");
        self.client.request_text(request).await.unwrap_or_default()
    }

    /// What the API server tells of itself.
    pub async fn metrics(&self) -> String {
        self.text("/metrics").await
    }

    async fn text(&self, uri: &str) -> String {
        let request = http::Request::get(uri).body(Vec::new()).expect("a request");
        let answer = self.client.request_text(request).await;
        answer.unwrap_or_else(|error| panic!("{uri}: {error}"))
    }

    /// Deletes a cluster-scoped object of another kind.
    ///
    /// # Panics
    /// If it is refused.
    pub(crate) async fn delete_of(&self, group: &str, version: &str, kind: &str, name: &str) {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        let deleted = self.api_of(&resource, "").delete(name, &DeleteParams::default()).await;
        deleted.unwrap_or_else(|error| panic!("cannot delete {kind} {name}: {error}"));
    }

    /// Makes a namespace with labels.
    pub async fn namespace(&self, name: &str, labels: Value) {
        self.put(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}))
            .await;
    }
}

/// Runs a command, and answers its output.
///
/// # Panics
/// If it fails.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}
