//! The parts that the tests have in common.

use std::process::Output;

use serde_json::{Value, json};
use telewarden_e2e_operator::{ADMIN, Cluster, Operator, eventually};
use telewarden_e2e_telegraf::{Process, part};
use telewarden_policy::protocol::{Configuration, Rendered};

pub(crate) async fn cluster() -> Cluster {
    let cluster = Cluster::start().await;
    cluster
        .create_all(include_str!("../../../../deploy/operator/rbac-status.yaml"))
        .await;
    for namespace in ["shop", "mail"] {
        cluster.namespace(namespace).await;
    }
    cluster
}

pub(crate) async fn operator(cluster: &Cluster, settings: &Value) -> Operator {
    operator_with(cluster, settings, &[]).await
}

pub(crate) async fn operator_with(cluster: &Cluster, settings: &Value, arguments: &[&str]) -> Operator {
    let path = cluster.settings(settings);
    let path = path.to_str().expect("a path");
    let always = ["--settings", path, "--status-interval", "1"];
    cluster.operator(&[&always, arguments].concat()).await
}

/// Gives the cluster the kind of Reports, and the operator the rights to write them.
pub(crate) async fn install_reports(cluster: &Cluster) {
    cluster
        .create_all(include_str!("../../../operator/crds/openreports.yaml"))
        .await;
    cluster
        .create_all(include_str!("../../../../deploy/operator/rbac-reports.yaml"))
        .await;
    let api = cluster.all("openreports.io", "v1alpha1", "Report");
    eventually(|| async {
        let listed = api.list(&Default::default()).await;
        listed.map(drop).map_err(|error| error.to_string())
    })
    .await;
}

/// The Reports of a namespace.
pub(crate) async fn reports(cluster: &Cluster, namespace: &str) -> Vec<Value> {
    let api = cluster.of(namespace, "openreports.io", "v1alpha1", "Report");
    let list = api.list(&Default::default()).await.expect("list Reports");
    list.items
        .into_iter()
        .map(|report| serde_json::to_value(report).expect("JSON"))
        .collect()
}

/// Waits until the only Report of a namespace has these results, as `endpoint: result`, and answers it.
pub(crate) async fn reports_say(cluster: &Cluster, namespace: &str, expected: &[&str]) -> Value {
    let report = std::sync::Mutex::new(Value::Null);
    eventually(|| async {
        let reports = reports(cluster, namespace).await;
        let [only] = reports.as_slice() else {
            return Err(format!("{reports:#?}"));
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let results = only["results"].as_array().into_iter().flatten();
        let results: Vec<_> = results
            .map(|result| format!("{}: {}", text(&result["rule"]), text(&result["result"])))
            .collect();
        *report.lock().expect("a lock") = only.clone();
        (results == expected).then_some(()).ok_or(format!("{only:#}"))
    })
    .await;
    report.into_inner().expect("a lock")
}

/// How often a Report was written.
pub(crate) fn writes_of_reports(cluster: &Cluster) -> usize {
    let audit = cluster.audit();
    let of_reports = audit.iter().filter(|event| event.object_ref.resource == "reports");
    of_reports.filter(|event| event.is_write()).count()
}

/// The command `status`, as it runs.
pub(crate) fn watching(cluster: &Cluster, operator: &Operator, arguments: &[&str]) -> Process {
    let program = std::env::var_os("TELEWARDEN_E2E_OPERATOR").expect("TELEWARDEN_E2E_OPERATOR");
    Process::start(program.as_ref(), |command, _| {
        command.env("KUBECONFIG", cluster.kubeconfig(ADMIN));
        command.args(["status", "--watch", "--operator", &operator.url("")]);
        command.args(arguments);
    })
}

/// Waits until the scrapes of a source's first endpoint have failed this often.
pub(crate) async fn failures(cluster: &Cluster, operator: &Operator, source: &str, times: u64) -> u64 {
    let count = std::sync::atomic::AtomicU64::new(0);
    eventually(|| async {
        let output = status(cluster, operator, &[source, "--output", "json"]);
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let failures = answer["sources"][0]["endpoints"][0]["failures"].as_u64().unwrap_or(0);
        count.store(failures, std::sync::atomic::Ordering::Relaxed);
        (failures >= times).then_some(()).ok_or(format!("{answer:#}"))
    })
    .await;
    count.into_inner()
}

/// What is deployed, when it is.
pub(crate) async fn deployed(cluster: &Cluster, name: &str) -> Rendered {
    eventually(|| async {
        let owned = cluster.owned().await;
        owned
            .contains(&format!("Deployment {name}"))
            .then_some(())
            .ok_or(format!("{owned:?}"))
    })
    .await;
    let (_, name) = name.split_once('/').expect("a namespace and a name");
    Rendered {
        objects: cluster.owned_by("telewarden").await,
        configurations: vec![Configuration {
            name: name.to_owned(),
            files: Default::default(),
            status: None,
        }],
        ..Rendered::default()
    }
}

/// A pod of a Deployment, and what a kubelet says of it.
pub(crate) async fn pod(cluster: &Cluster, deployed: &Rendered, name: &str, container: Value) {
    let mut objects = deployed.objects.iter();
    let deployment = objects.find(|object| object["kind"] == "Deployment" && object["metadata"]["name"] == name);
    let deployment = deployment.expect("a Deployment");
    let template = &deployment["spec"]["template"];
    let namespace = deployment["metadata"]["namespace"].as_str().expect("a namespace");
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": template["metadata"]["labels"]},
        "spec": template["spec"],
    });
    cluster.put(&pod).await;
    let mut status = json!({"name": "telegraf", "image": "telegraf", "imageID": "", "ready": false, "restartCount": 0});
    status
        .as_object_mut()
        .expect("a map")
        .extend(container.as_object().expect("a map").clone());
    let status = json!({
        "phase": "Running", "podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}], "containerStatuses": [status],
    });
    write_status(cluster, namespace, name, &status).await;
}

/// The same with all of the status.
pub(crate) async fn pod_with(cluster: &Cluster, deployed: &Rendered, name: &str, status: &Value) {
    pod(cluster, deployed, name, json!({})).await;
    let namespace = deployed.objects[0]["metadata"]["namespace"].as_str();
    let mut status = status.clone();
    status["containerStatuses"] = Value::Null;
    write_status(cluster, namespace.expect("a namespace"), name, &status).await;
}

async fn write_status(cluster: &Cluster, namespace: &str, name: &str, status: &Value) {
    cluster
        .write_status(namespace, "Pod", name, &json!({"status": status}))
        .await;
}

pub(crate) fn runs() -> Value {
    json!({"ready": true, "started": true, "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}})
}

/// The command `status`.
pub(crate) fn status(cluster: &Cluster, operator: &Operator, arguments: &[&str]) -> Output {
    let url = operator.url("");
    cluster.command_of(ADMIN, &[&["status", "--operator", &url], arguments].concat())
}

/// Waits until the command says this of a source, and answers its exit code.
pub(crate) async fn says(cluster: &Cluster, operator: &Operator, source: &str, texts: &[&str]) -> i32 {
    let code = std::sync::atomic::AtomicI32::new(-1);
    eventually(|| async {
        let output = status(cluster, operator, &[source]);
        let text = String::from_utf8_lossy(&output.stdout);
        let text = text
            .split(' ')
            .filter(|word| !word.is_empty())
            .collect::<Vec<_>>()
            .join(" ");
        code.store(output.status.code().unwrap_or(-1), std::sync::atomic::Ordering::Relaxed);
        let is_there = texts.iter().all(|expected| text.contains(expected));
        is_there
            .then_some(())
            .ok_or_else(|| format!("{text}{}", String::from_utf8_lossy(&output.stderr)))
    })
    .await;
    code.into_inner()
}

pub(crate) fn node_exporter(address: &str) -> Process {
    Process::start(&part("prometheus-node-exporter"), |command, _| {
        command.arg(format!("--web.listen-address={address}"));
        command.args(["--collector.disable-defaults", "--collector.loadavg"]);
    })
}
