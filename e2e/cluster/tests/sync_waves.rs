//! Sync waves: of an Application's own resources, and of the Applications of an app-of-apps.

use serde_json::json;
use telewarden_e2e_cluster::{Application, Kind, Road, Tracking, eventually, exporter, for_a_while, merged, settings};

/// Waits for a Secret, and so is not healthy before there is one.
fn gate() -> String {
    let image = "image: telewarden.test/exporter:1";
    let variable = "env: [{name: OPENS, valueFrom: {secretKeyRef: {name: opens, key: gate}}}]";
    let waits = format!("{image}\n          {variable}");
    in_wave(1, &exporter("gate", "waves")).replace(image, &waits)
}

/// Manifests of the namespace `waves` in a sync wave.
fn in_wave(wave: i32, manifests: &str) -> String {
    let annotated = format!("namespace: waves, annotations: {{argocd.argoproj.io/sync-wave: \"{wave}\"}}}}");
    manifests.replace("namespace: waves}", &annotated)
}

const NAMESPACE: &str = "apiVersion: v1
kind: Namespace
metadata:
  name: waves
  labels: {pod-security.kubernetes.io/enforce: restricted}
  annotations: {argocd.argoproj.io/sync-wave: '-1'}
";

/// An Application with an endpoint in its own namespace.
fn scrapes_web(name: &str) -> Application {
    Application::named(name).annotated(&format!("web: http://web.{name}.svc:9100/metrics"))
}

#[tokio::test]
async fn no_wave_waits_for_a_telegraf_that_does_not_start() {
    let missing = json!({"pod": {"image": "telewarden.test/telegraf:1.39.99"}});
    let mut road = Road::open("waves-go-on", Tracking::Annotation, merged(settings(), missing)).await;
    let node = road.node.clone();
    road.argocd().judges_applications(&node).await;
    road.deploy("former", &scrapes_web("former").in_wave(0)).await;
    road.deploy("later", &scrapes_web("later").in_wave(1)).await;
    for name in ["former", "later"] {
        node.applied(name, "prometheus_web").await;
        road.argocd().synced(&node, name).await;
    }
    road.close().await;
}

#[tokio::test]
async fn telegraf_waits_for_no_wave_but_the_namespaces() {
    let mut road = Road::open("sync-waves", Tracking::Annotation, settings()).await;
    let node = road.node.clone();
    road.argocd().judges_applications(&node).await;
    let workload = [NAMESPACE.to_owned(), gate(), in_wave(2, &exporter("web", "waves"))].join("---\n");
    road.namespace("later").await;
    road.workload("later", &exporter("web", "later")).await;
    road.workload("waves", &workload).await;
    // With the next commit, so that both are in one sync.
    let later = scrapes_web("later").in_wave(1).manifest(&road.git().url());
    road.git().write("apps/later.yaml", &later.to_string());
    road.application("waves", &scrapes_web("waves").in_wave(0)).await;

    // Telegraf is there before what it scrapes.
    node.telegraf("waves").await;
    eventually("the second wave is applied", || async {
        let gate = node.get(Kind::DEPLOYMENT, "waves", "gate").await;
        gate.map(drop)
    })
    .await;
    for_a_while("the next waves wait", || async {
        let web = node.has(Kind::SERVICE, "waves", "web").await;
        let later = node.has(Kind::APPLICATION, "argocd", "later").await;
        match web || later {
            true => Err(format!("Service web: {web}, Application later: {later}")),
            false => Ok(()),
        }
    })
    .await;

    let metadata = json!({"name": "opens", "namespace": "waves"});
    node.put(&json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"gate": "open"}}))
        .await;
    for name in ["waves", "later"] {
        road.argocd().synced(&node, name).await;
        road.database.has(name, "prometheus_web").await;
    }
    road.close().await;
}
