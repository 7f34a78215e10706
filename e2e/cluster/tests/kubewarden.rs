//! The policy in Kubewarden's own PolicyServer, as a webhook of the API server.
//!
//! No package registry has `policy-server`. Without it these tests do nothing, and say so.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use telewarden_e2e_cluster::{
    Application, ArgoCd, Kind, Node, PolicyServer, Webhook, eventually, policy_server, remove_webhooks, text_at,
};

const DIGEST: &str = "/metadata/annotations/telegraf.influxdata.com~1rendered-digest";
const GOOD: &str = "web: http://web.reviewed.svc:9100/metrics";
const BAD: &str = "web: http://web.elsewhere.svc:9100/metrics";

/// An Application that nothing deploys.
fn reviewed(annotation: &str) -> Value {
    let mut manifest = Application::named("reviewed")
        .annotated(annotation)
        .manifest("https://git.example/apps.git");
    manifest["metadata"]["finalizers"] = Value::Null;
    manifest
}

/// A cluster with Argo CD's kinds and without the Application, and the PolicyServer's program; none if it cannot be had.
async fn cluster() -> Option<(Node, PathBuf)> {
    let program = policy_server()?;
    let node = Node::connect().await;
    remove_webhooks(&node).await;
    ArgoCd::install(&node).await;
    node.delete(Kind::APPLICATION, "argocd", "reviewed").await;
    Some((node, program))
}

async fn close(node: &Node, server: PolicyServer) {
    server.remove(node).await;
    node.delete(Kind::APPLICATION, "argocd", "reviewed").await;
}

/// Applies an object as a person does, and answers the warnings that are shown.
fn warnings(node: &Node, object: &Value) -> Vec<String> {
    let mut kubectl = Command::new(node.part("kubectl"))
        .env("KUBECONFIG", node.folder().join("kubeconfig"))
        .args(["apply", "--server-side", "--force-conflicts", "--filename", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start kubectl");
    let written = kubectl
        .stdin
        .take()
        .expect("a pipe")
        .write_all(object.to_string().as_bytes());
    written.expect("write an object");
    let output = kubectl.wait_with_output().expect("wait for kubectl");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    said.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn what_is_wrong_is_refused_with_what_to_write_instead_and_what_is_right_is_accepted() {
    let Some((node, program)) = cluster().await else { return };
    let server = PolicyServer::start(&node, &program, json!({})).await;
    let refusal = node.try_put(&reviewed(BAD)).await.expect_err("a refusal");
    for expected in [
        "clusterwide-telewarden-applications.kubewarden.admission",
        "TW111",
        "elsewhere",
        "line 1",
    ] {
        assert!(refusal.contains(expected), "{expected} in {refusal}");
    }
    assert!(!node.has(Kind::APPLICATION, "argocd", "reviewed").await);

    node.put(&reviewed(GOOD)).await;
    let stored = node
        .get(Kind::APPLICATION, "argocd", "reviewed")
        .await
        .expect("an Application");
    assert_eq!(text_at(&stored, DIGEST), "", "it is not asked to write anything");
    node.try_put(&reviewed(BAD)).await.expect_err("a refusal");
    close(&node, server).await;
}

#[tokio::test]
async fn status_writes_do_not_reach_it() {
    let Some((node, program)) = cluster().await else { return };
    let server = PolicyServer::start(&node, &program, json!({})).await;
    node.put(&reviewed(GOOD)).await;
    let (reviews, excluded) = (server.reviews(), server.excluded(&node).await);
    assert!(reviews >= 1, "it was asked about the new Application");
    for second in 10..60 {
        let status = json!({"status": {"reconciledAt": format!("2026-01-01T00:00:{second}Z")}});
        node.merge(Kind::APPLICATION, "argocd", "reviewed", status).await;
    }
    assert!(server.excluded(&node).await >= excluded + 50.0);
    assert_eq!(server.reviews(), reviews, "its log has a request");
    // Its log is not just late.
    node.put(&reviewed("other: http://web.reviewed.svc:9100/metrics")).await;
    assert_eq!(server.reviews(), reviews + 1);
    close(&node, server).await;
}

#[tokio::test]
async fn a_digest_arrives_in_the_application() {
    let Some((node, program)) = cluster().await else { return };
    let digest = || async {
        node.put(&reviewed(GOOD)).await;
        let stored = node
            .get(Kind::APPLICATION, "argocd", "reviewed")
            .await
            .expect("an Application");
        text_at(&stored, DIGEST)
    };
    let server = PolicyServer::start(&node, &program, json!({"mutation": "digest"})).await;
    let of_server = digest().await;
    // Nobody else may write it.
    let mut forged = reviewed(GOOD);
    forged["metadata"]["annotations"]["telegraf.influxdata.com/rendered-digest"] = json!("forged");
    let refusal = node.try_put(&forged).await.expect_err("a refusal");
    assert!(refusal.contains("TW315"), "{refusal}");
    close(&node, server).await;

    let webhook = Webhook::mutating(&node).await;
    assert_eq!(of_server, digest().await);
    assert!(!of_server.is_empty());
    webhook.remove(&node).await;
    node.delete(Kind::APPLICATION, "argocd", "reviewed").await;
}

#[tokio::test]
async fn it_warns_of_a_service_that_does_not_exist() {
    let Some((node, program)) = cluster().await else { return };
    let server = PolicyServer::start(&node, &program, json!({"services": "warn"})).await;
    node.namespace("reviewed", json!({})).await;
    let said = warnings(&node, &reviewed(GOOD));
    assert!(said.iter().any(|line| line.starts_with("Warning: TW119")), "{said:?}");

    let metadata = json!({"name": "web", "namespace": "reviewed"});
    let service = json!({"ports": [{"port": 9100}]});
    node.put(&json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service}))
        .await;
    // It hears of the Service a moment later. What has not changed is not looked at.
    let number = std::cell::Cell::new(0);
    eventually("it warns no more", || async {
        number.set(number.get() + 1);
        let annotation = format!("web{}: http://web.reviewed.svc:9100/metrics", number.get());
        let said = warnings(&node, &reviewed(&annotation));
        said.is_empty().then_some(()).ok_or_else(|| format!("{said:?}"))
    })
    .await;
    let said = warnings(&node, &reviewed("web: http://web.reviewed.svc:9999/metrics"));
    assert!(said.iter().any(|line| line.starts_with("Warning: TW120")), "{said:?}");
    node.delete(Kind::NAMESPACE, "", "reviewed").await;
    close(&node, server).await;
}

/// Kubewarden's limit of a policy's time does not end what waits for the cluster: docs/kubewarden.md warns of it.
#[tokio::test]
async fn without_the_right_to_list_services_it_does_not_answer() {
    let Some((node, program)) = cluster().await else { return };
    let server = PolicyServer::start(&node, &program, json!({"services": "warn"})).await;
    server.forbid_services(&node).await;
    let refusal = node.try_put(&reviewed(GOOD)).await.expect_err("no answer");
    let is_late = refusal.contains("Client.Timeout exceeded") || refusal.contains("deadline exceeded");
    assert!(is_late, "{refusal}");
    close(&node, server).await;
}
