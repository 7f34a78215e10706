//! A real kube-apiserver with etcd.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use k8s_openapi::api::events::v1::Event;
use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::config::AuthInfo;
use kube::core::GroupVersionKind;
use kube::{Api, Client, Config};
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{Application, covers, eventually, objects};

/// The token of an administrator.
pub const ADMIN: &str = "admin-token";
/// The token of the operator's ServiceAccount.
pub const SERVICE_ACCOUNT: &str = "operator-token";
/// Another token of the same ServiceAccount with another uid, so that the audit log distinguishes two operators.
pub const SERVICE_ACCOUNT_TOO: &str = "operator-too-token";

/// A cluster without nodes: objects are stored and watched, but no pods run.
pub struct Cluster {
    folder: TempDir,
    etcd: Child,
    api_server: Child,
    port: u16,
    etcd_port: u16,
    /// A client with administrator rights.
    pub client: Client,
    /// The flags of the API server.
    flags: Vec<String>,
}

/// A request in the audit log.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEvent {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`.
    pub verb: String,
    /// The user who sent it.
    pub user: User,
    /// The object. Absent for other paths.
    #[serde(default)]
    pub object_ref: ObjectRef,
    /// The program that sent it, as it says.
    #[serde(default)]
    pub user_agent: String,
    /// The path with its query.
    #[serde(rename = "requestURI")]
    pub request_uri: String,
    /// The response.
    pub response_status: Option<ResponseStatus>,
    /// When the request was received, as text that sorts by time.
    pub request_received_timestamp: String,
    /// When it was answered.
    pub stage_timestamp: String,
}

/// A user.
#[derive(Clone, Debug, Deserialize)]
pub struct User {
    /// The name.
    pub username: String,
    /// Distinguishes users with the same name.
    #[serde(default)]
    pub uid: String,
}

/// The object of a request.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ObjectRef {
    /// The kind's plural.
    pub resource: String,
    /// The kind's group.
    pub api_group: String,
    /// The object's namespace.
    pub namespace: String,
    /// The object's name.
    pub name: String,
}

/// A response.
#[derive(Clone, Debug, Deserialize)]
pub struct ResponseStatus {
    /// The HTTP status.
    pub code: u16,
}

impl AuditEvent {
    /// True for a write, whether it succeeded or not.
    pub fn is_write(&self) -> bool {
        let writes = ["create", "update", "patch", "delete", "deletecollection"];
        writes.contains(&self.verb.as_str()) && !self.request_uri.contains("dryRun=All")
    }

    /// The verbs that the request needs a right for. A streamed list needs `list` too, as an API server that does not stream is asked
    /// for pages.
    pub fn needed_verbs(&self) -> Vec<String> {
        let mut verbs = vec![self.verb.clone()];
        if self.request_uri.contains("sendInitialEvents=true") {
            verbs.push("list".to_owned());
        }
        verbs
    }

    /// True for the operator's Lease and for Events.
    pub fn is_housekeeping(&self) -> bool {
        ["leases", "events"].contains(&self.object_ref.resource.as_str())
    }
}

/// The path of a part from `e2e/provision`, which `e2e/operator/run` sets.
pub(crate) fn part(variable: &str) -> PathBuf {
    match std::env::var_os(variable) {
        Some(path) => path.into(),
        None => panic!("{variable} is not set: run these tests with e2e/operator/run"),
    }
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}

fn spawn(command: &mut Command, log: &Path) -> Child {
    let log = File::create(log).expect("create a log");
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("one more handle"))
        .stderr(log);
    command.spawn().expect("start a part")
}

impl Cluster {
    /// Starts an empty cluster with Argo CD's kinds, the namespaces `argocd` and `telewarden`, and a project that permits
    /// everything.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with additional flags for the API server.
    pub async fn start_with(flags: &[&str]) -> Self {
        let cluster = Self::without_operator(flags).await;
        cluster
            .create_all(include_str!("../../../deploy/operator/rbac.yaml"))
            .await;
        cluster
    }

    /// The same without a ServiceAccount and rights for the operator.
    pub async fn without_operator(flags: &[&str]) -> Self {
        let folder = TempDir::new().expect("a folder");
        let key = rcgen::KeyPair::generate().expect("a key");
        fs::write(folder.path().join("accounts.key"), key.serialize_pem()).expect("write the accounts' key");
        fs::write(folder.path().join("accounts.pem"), key.public_key_pem()).expect("write the accounts' public key");
        let account = |token| {
            format!(
                "{token},system:serviceaccount:telewarden:telewarden-operator,{token},\
                 \"system:serviceaccounts,system:serviceaccounts:telewarden\"\n"
            )
        };
        let accounts = [SERVICE_ACCOUNT, SERVICE_ACCOUNT_TOO].map(account).concat();
        let tokens = format!("{ADMIN},admin,admin,system:masters\n{accounts}");
        fs::write(folder.path().join("tokens.csv"), tokens).expect("write the tokens");
        let policy = "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived, ResponseStarted]\n\
                      rules: [{level: None, users: ['system:apiserver']}, {level: Metadata}]\n";
        fs::write(folder.path().join("audit.yaml"), policy).expect("write the audit policy");
        let (port, etcd_port) = (free_port(), free_port());
        let client = client(port, ADMIN);
        let etcd = start_etcd(folder.path(), etcd_port, free_port());
        let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let api_server = start_api_server(folder.path(), port, etcd_port, &flags);
        let mut cluster = Self {
            folder,
            etcd,
            api_server,
            port,
            etcd_port,
            client,
            flags,
        };
        cluster.is_up().await;
        cluster.create_all(include_str!("../crds/argocd.yaml")).await;
        for (group, version, kind) in [
            ("argoproj.io", "v1alpha1", "Application"),
            ("argoproj.io", "v1alpha1", "AppProject"),
            ("ricoberger.de", "v1alpha1", "VaultSecret"),
        ] {
            let api = cluster.all(group, version, kind);
            eventually(|| async {
                api.list(&ListParams::default())
                    .await
                    .map(drop)
                    .map_err(|e| e.to_string())
            })
            .await;
        }
        for namespace in ["argocd", "telewarden"] {
            cluster.namespace(namespace).await;
        }
        cluster
            .project("default", json!({"destinations": [{"server": "*", "namespace": "*"}]}))
            .await;
        cluster
    }

    async fn is_up(&mut self) {
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        let over = self.api_server.try_wait().expect("look at the API server");
        assert!(
            over.is_none(),
            "the API server has ended: {}",
            self.log("kube-apiserver.log")
        );
        let path = "/readyz";
        eventually(|| async {
            let request = http::Request::get(path).body(Vec::new()).expect("a request");
            let answer = self.client.request_text(request).await;
            answer
                .map(drop)
                .map_err(|error| format!("{error}\n{}", self.log("kube-apiserver.log")))
        })
        .await;
    }

    /// The last lines of a log.
    pub fn log(&self, name: &str) -> String {
        let text = fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        let lines: Vec<_> = text.lines().rev().take(40).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// The folder for the test's files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Kills the API server without a shutdown.
    pub fn kill_api_server(&mut self) {
        self.api_server.kill().expect("kill the API server");
        self.api_server.wait().expect("wait for it");
    }

    /// Restarts it, with other flags if given.
    pub async fn restart_api_server(&mut self, flags: &[&str]) {
        self.flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
        self.api_server = start_api_server(self.folder.path(), self.port, self.etcd_port, &self.flags);
        self.is_up().await;
    }

    /// Compacts etcd to the newest revision, so that watches at older ones expire.
    pub async fn compact(&self) {
        let version = self
            .all("", "v1", "Namespace")
            .list(&ListParams::default())
            .await
            .expect("list");
        let revision: i64 = version
            .metadata
            .resource_version
            .expect("a version")
            .parse()
            .expect("a number");
        let body = json!({"revision": revision.to_string(), "physical": true}).to_string();
        let request = format!(
            "POST /v3/kv/compaction HTTP/1.1\r\nHost: etcd\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", self.etcd_port))
            .await
            .expect("connect to etcd");
        stream.write_all(request.as_bytes()).await.expect("ask etcd");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("etcd's answer");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    /// The API server's address.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// A kubeconfig for a token.
    pub fn kubeconfig(&self, token: &str) -> PathBuf {
        self.kubeconfig_by(self.port, token)
    }

    /// A kubeconfig for a token with another port.
    pub(crate) fn kubeconfig_by(&self, port: u16, token: &str) -> PathBuf {
        let path = self.folder.path().join(format!("{token}-{port}.kubeconfig"));
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "e2e", "cluster": {
                "server": format!("https://127.0.0.1:{port}"),
                "insecure-skip-tls-verify": true,
            }}],
            "users": [{"name": "e2e", "user": {"token": token}}],
            "contexts": [{"name": "e2e", "context": {"cluster": "e2e", "user": "e2e", "namespace": "telewarden"}}],
            "current-context": "e2e",
        });
        fs::write(&path, config.to_string()).expect("write a kubeconfig");
        path
    }

    /// The API server's address.
    pub fn address(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// The certificate of the API server, which signs itself.
    pub fn certificate(&self) -> String {
        fs::read_to_string(self.folder.path().join("certificates/apiserver.crt")).expect("a certificate")
    }

    /// A client with separate connections, for a token.
    pub fn client_of(&self, token: &str) -> Client {
        client(self.port, token)
    }

    /// All requests so far.
    pub fn audit(&self) -> Vec<AuditEvent> {
        let text = fs::read_to_string(self.folder.path().join("audit.log")).unwrap_or_default();
        text.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// The number of operators' writes to owned objects.
    pub fn writes(&self) -> usize {
        let from_operator = |event: &&AuditEvent| event.user.username.contains("operator");
        self.audit()
            .iter()
            .filter(from_operator)
            .filter(|event| event.is_write() && !event.is_housekeeping())
            .count()
    }

    /// The API of a kind in all namespaces.
    pub fn all(&self, group: &str, version: &str, kind: &str) -> Api<DynamicObject> {
        Api::all_with(self.client.clone(), &resource(group, version, kind))
    }

    /// The API of a kind in a namespace.
    pub fn of(&self, namespace: &str, group: &str, version: &str, kind: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, &resource(group, version, kind))
    }

    /// Creates all objects of a text.
    pub async fn create_all(&self, text: &str) {
        for object in objects(text) {
            self.put(&object).await;
        }
    }

    /// The API of an object.
    fn api_of(&self, object: &Value) -> Api<DynamicObject> {
        let text = |pointer| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let (group, version) = text("/apiVersion")
            .rsplit_once('/')
            .unwrap_or(("", text("/apiVersion")));
        match text("/metadata/namespace") {
            "" => self.all(group, version, text("/kind")),
            namespace => self.of(namespace, group, version, text("/kind")),
        }
    }

    /// Creates or replaces an object.
    pub async fn put(&self, object: &Value) {
        let put = self.try_put(object).await;
        put.unwrap_or_else(|error| panic!("cannot put {object}: {error}"));
    }

    /// The same with an object that the API server may refuse.
    ///
    /// # Errors
    /// If it refuses it.
    pub async fn try_put(&self, object: &Value) -> Result<(), kube::Error> {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let params = PatchParams::apply("e2e").force();
        self.api_of(object)
            .patch(name, &params, &Patch::Apply(object))
            .await
            .map(drop)
    }

    /// Creates a foreign object for each rendered one: the same kind, namespace and name, without the operator's labels.
    pub async fn put_foreign(&self, rendered: &[Value]) {
        for object in rendered {
            let mut foreign = object.clone();
            foreign["metadata"] = json!({
                "name": object["metadata"]["name"],
                "namespace": object["metadata"]["namespace"],
            });
            self.put(&foreign).await;
        }
    }

    /// Waits for an Event about each foreign object, and deletes the object.
    pub async fn delete_foreign(&self, about: &str, rendered: &[Value]) {
        for object in rendered {
            let text = |field: &Value| field.as_str().expect("text").to_owned();
            let (kind, name) = (text(&object["kind"]), text(&object["metadata"]["name"]));
            eventually(|| async {
                let note = self.event(about, "ForeignObject").await;
                note.contains(&kind).then_some(()).ok_or(note)
            })
            .await;
            let deleted = self.api_of(object).delete(&name, &DeleteParams::default()).await;
            deleted.expect("delete an object");
        }
    }

    /// Creates a namespace.
    pub async fn namespace(&self, name: &str) {
        self.put(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}))
            .await;
    }

    /// Creates a namespace in which there may be Applications, and lets the operator list them, as the chart does.
    pub async fn namespace_of_applications(&self, name: &str) {
        self.namespace(name).await;
        let metadata = json!({"name": "telewarden-operator", "namespace": name});
        let rbac =
            |kind: &str| json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": metadata});
        let mut role = rbac("Role");
        role["rules"] =
            json!([{"apiGroups": ["argoproj.io"], "resources": ["applications"], "verbs": ["list", "watch"]}]);
        let mut binding = rbac("RoleBinding");
        binding["roleRef"] =
            json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "telewarden-operator"});
        binding["subjects"] =
            json!([{"kind": "ServiceAccount", "name": "telewarden-operator", "namespace": "telewarden"}]);
        self.put(&role).await;
        self.put(&binding).await;
    }

    /// Creates an AppProject.
    pub async fn project(&self, name: &str, spec: Value) {
        let metadata = json!({"name": name, "namespace": "argocd"});
        self.put(
            &json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject", "metadata": metadata, "spec": spec}),
        )
        .await;
    }

    /// Edits an object, as `kubectl edit` does.
    pub async fn edit(&self, namespace: &str, group: &str, kind: &str, name: &str, change: &Value) {
        self.edit_version(namespace, (group, "v1", kind), name, change).await;
    }

    /// The same for a kind of another version.
    pub async fn edit_version(
        &self,
        namespace: &str,
        (group, version, kind): (&str, &str, &str),
        name: &str,
        change: &Value,
    ) {
        let api = self.of(namespace, group, version, kind);
        let edited = api.patch(name, &PatchParams::default(), &Patch::Merge(change)).await;
        edited.expect("edit an object");
    }

    /// Writes the status of an object of the core group, as a kubelet does.
    pub async fn write_status(&self, namespace: &str, kind: &str, name: &str, status: &Value) {
        let api = self.of(namespace, "", "v1", kind);
        let written = api
            .patch_status(name, &PatchParams::default(), &Patch::Merge(status))
            .await;
        written.unwrap_or_else(|error| panic!("cannot write the status of {kind} {namespace}/{name}: {error}"));
    }

    /// Deletes an Application.
    pub async fn delete_application(&self, name: &str) {
        let api = self.of("argocd", "argoproj.io", "v1alpha1", "Application");
        api.delete(name, &DeleteParams::default())
            .await
            .expect("delete an Application");
    }

    /// Deletes an object of any kind.
    pub async fn delete(&self, namespace: &str, group: &str, kind: &str, name: &str) {
        let api = self.of(namespace, group, "v1", kind);
        api.delete(name, &DeleteParams::default())
            .await
            .expect("delete an object");
    }

    /// Deletes all accepted declarations in a namespace.
    pub async fn forget_accepted(&self, namespace: &str) {
        let api = self.of(namespace, "", "v1", "ConfigMap");
        let accepted = ListParams::default().labels("telewarden.io/accepted");
        let deleted = api.delete_collection(&DeleteParams::default(), &accepted).await;
        deleted.expect("delete what is remembered");
    }

    /// Deletes a namespace completely. No controller runs here that would empty it.
    pub async fn config_map(&self, namespace: &str, name: &str) -> Option<ConfigMap> {
        Api::namespaced(self.client.clone(), namespace)
            .get_opt(name)
            .await
            .expect("get a ConfigMap")
    }

    /// Creates a ConfigMap without an owner.
    pub async fn create_config_map(&self, namespace: &str, name: &str, data: &[(&str, &str)]) {
        let map = json!({"metadata": {"name": name}, "data": data.iter().copied().collect::<std::collections::BTreeMap<_, _>>()});
        let map: ConfigMap = serde_json::from_value(map).expect("a ConfigMap");
        let api = Api::<ConfigMap>::namespaced(self.client.clone(), namespace);
        api.create(&PostParams::default(), &map)
            .await
            .expect("create a ConfigMap");
    }

    /// All objects with an instance's label, by kind, namespace and name.
    pub async fn owned_by(&self, instance: &str) -> Vec<Value> {
        let params = ListParams::default().labels(&format!("telegraf.influxdata.com/instance={instance}"));
        let mut owned = Vec::new();
        for (group, version, kind) in [
            ("", "v1", "ConfigMap"),
            ("apps", "v1", "Deployment"),
            ("networking.k8s.io", "v1", "NetworkPolicy"),
            ("ricoberger.de", "v1alpha1", "VaultSecret"),
        ] {
            let list = self
                .all(group, version, kind)
                .list(&params)
                .await
                .expect("list owned objects");
            for object in list.items {
                let mut object = serde_json::to_value(object).expect("JSON");
                object["apiVersion"] = json!(if group.is_empty() {
                    version.to_owned()
                } else {
                    format!("{group}/{version}")
                });
                object["kind"] = json!(kind);
                owned.push(object);
            }
        }
        owned
    }

    /// The owned Secrets, with their values as `stringData`.
    pub async fn owned_secrets(&self) -> Vec<Value> {
        let ours = ListParams::default().labels("telegraf.influxdata.com/instance=telewarden");
        let secrets = Api::<Secret>::all(self.client.clone())
            .list(&ours)
            .await
            .expect("list Secrets");
        let object = |secret: Secret| {
            let data = secret.data.unwrap_or_default().into_iter();
            let texts = data.map(|(key, value)| (key, json!(String::from_utf8_lossy(&value.0))));
            let texts: serde_json::Map<_, _> = texts.collect();
            json!({"kind": "Secret", "metadata": secret.metadata, "stringData": texts})
        };
        secrets.items.into_iter().map(object).collect()
    }

    /// The sorted names of all owned objects, such as `Deployment nublado/telegraf-nublado`.
    pub async fn owned(&self) -> Vec<String> {
        let mut names: Vec<_> = self.owned_by("telewarden").await.iter().map(name_of).collect();
        names.sort();
        names
    }

    /// Waits until the operator owns exactly these objects.
    pub async fn owns(&self, expected: &[&str]) {
        let mut expected: Vec<_> = expected.iter().map(|name| (*name).to_owned()).collect();
        expected.sort();
        eventually(|| async {
            let owned = self.owned().await;
            (owned == expected)
                .then_some(())
                .ok_or_else(|| format!("owned are {owned:#?}, expected {expected:#?}"))
        })
        .await;
    }

    /// Waits until the owned objects are exactly those that the module renders for the Applications and Namespaces.
    pub async fn is_as_rendered(&self, settings: &Value) {
        let settings = settings.to_string();
        eventually(|| async {
            let sources = self.sources().await;
            let expected = crate::objects::render(&settings, &sources);
            let owned = self.owned_by("telewarden").await;
            for object in &expected {
                let found = owned.iter().find(|owned| name_of(owned) == name_of(object));
                let Some(found) = found else {
                    return Err(format!("{} is missing", name_of(object)));
                };
                covers(object, found).map_err(|why| format!("{} is not as rendered: {why}", name_of(object)))?;
            }
            let extra = owned
                .iter()
                .find(|owned| !expected.iter().any(|object| name_of(object) == name_of(owned)));
            extra.map_or(Ok(()), |extra| Err(format!("{} is too much", name_of(extra))))
        })
        .await;
    }

    async fn sources(&self) -> Vec<Value> {
        let mut sources = Vec::new();
        for (group, version, kind) in [("argoproj.io", "v1alpha1", "Application"), ("", "v1", "Namespace")] {
            let list = self
                .all(group, version, kind)
                .list(&ListParams::default())
                .await
                .expect("list sources");
            sources.extend(list.items.into_iter().map(|object| {
                let mut object = serde_json::to_value(object).expect("JSON");
                object["apiVersion"] = json!(if group.is_empty() {
                    version.to_owned()
                } else {
                    format!("{group}/{version}")
                });
                object["kind"] = json!(kind);
                object
            }));
        }
        sources
    }

    /// Events about an object, oldest first.
    pub async fn events(&self, about: &str) -> Vec<Event> {
        let list = Api::<Event>::all(self.client.clone())
            .list(&ListParams::default())
            .await
            .expect("list Events");
        let mut events: Vec<_> = list.items;
        events.retain(|event| {
            event
                .regarding
                .as_ref()
                .is_some_and(|of| of.name.as_deref() == Some(about))
        });
        events.sort_by_key(|event| event.event_time.as_ref().map(|time| time.0));
        events
    }

    /// Waits for an Event, and answers its note.
    pub async fn event(&self, about: &str, reason: &str) -> String {
        let found = std::sync::Mutex::new(String::new());
        eventually(|| async {
            let events = self.events(about).await;
            let event = events.iter().rfind(|event| event.reason.as_deref() == Some(reason));
            let Some(event) = event else {
                return Err(format!("no Event {reason} about {about} in {events:#?}"));
            };
            *found.lock().expect("a lock") = event.note.clone().unwrap_or_default();
            Ok(())
        })
        .await;
        found.into_inner().expect("a lock")
    }

    /// Creates or replaces an Application.
    pub async fn application(&self, application: &Application) {
        self.put(&application.object()).await;
    }

    /// True if a namespace exists.
    pub async fn has_namespace(&self, name: &str) -> bool {
        Api::<Namespace>::all(self.client.clone())
            .get_opt(name)
            .await
            .expect("get a namespace")
            .is_some()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in [&mut self.api_server, &mut self.etcd] {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!(
                "--- the end of kube-apiserver's log\n{}",
                self.log("kube-apiserver.log")
            );
        }
    }
}

fn name_of(object: &Value) -> String {
    let text = |pointer| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    format!(
        "{} {}/{}",
        text("/kind"),
        text("/metadata/namespace"),
        text("/metadata/name")
    )
}

fn resource(group: &str, version: &str, kind: &str) -> ApiResource {
    let gvk = GroupVersionKind::gvk(group, version, kind);
    match kind {
        "NetworkPolicy" => ApiResource::from_gvk_with_plural(&gvk, "networkpolicies"),
        _ => ApiResource::from_gvk(&gvk),
    }
}

/// A client for a token.
fn client(port: u16, token: &str) -> Client {
    let url = format!("https://127.0.0.1:{port}").parse().expect("a URL");
    let mut config = Config::new(url);
    config.accept_invalid_certs = true;
    config.auth_info = AuthInfo {
        token: Some(token.to_owned().into()),
        ..AuthInfo::default()
    };
    Client::try_from(config).expect("a client")
}

fn start_etcd(folder: &Path, port: u16, peer_port: u16) -> Child {
    let url = format!("http://127.0.0.1:{port}");
    let peer = format!("http://127.0.0.1:{peer_port}");
    let mut command = Command::new(part("TELEWARDEN_E2E_ETCD"));
    command.arg("--data-dir").arg(folder.join("etcd"));
    command.args([
        "--unsafe-no-fsync",
        "--log-level=warn",
        "--quota-backend-bytes=8589934592",
    ]);
    for (flag, value) in [
        ("--listen-client-urls", &url),
        ("--advertise-client-urls", &url),
        ("--listen-peer-urls", &peer),
        ("--initial-advertise-peer-urls", &peer),
    ] {
        command.arg(format!("{flag}={value}"));
    }
    command.arg(format!("--initial-cluster=default={peer}"));
    spawn(&mut command, &folder.join("etcd.log"))
}

fn start_api_server(folder: &Path, port: u16, etcd_port: u16, flags: &[String]) -> Child {
    let mut command = Command::new(part("TELEWARDEN_E2E_KUBE_APISERVER"));
    let file = |flag: &str, name: &str| format!("{flag}={}", folder.join(name).display());
    command.args([
        format!("--etcd-servers=http://127.0.0.1:{etcd_port}"),
        format!("--secure-port={port}"),
        "--bind-address=127.0.0.1".to_owned(),
        file("--cert-dir", "certificates"),
        file("--token-auth-file", "tokens.csv"),
        file("--service-account-key-file", "accounts.pem"),
        file("--service-account-signing-key-file", "accounts.key"),
        "--service-account-issuer=https://e2e".to_owned(),
        "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
        "--authorization-mode=RBAC".to_owned(),
        "--disable-admission-plugins=ServiceAccount".to_owned(),
        file("--audit-policy-file", "audit.yaml"),
        file("--audit-log-path", "audit.log"),
        "--audit-log-mode=blocking".to_owned(),
        "--allow-privileged=false".to_owned(),
    ]);
    command.args(flags);
    spawn(&mut command, &folder.join("kube-apiserver.log"))
}
