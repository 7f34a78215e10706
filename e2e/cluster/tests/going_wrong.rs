//! What goes wrong on a node, what is said of it, and what comes back by itself.

use std::fs;

use serde_json::{Value, json};
use telewarden_e2e_cluster::{
    Application, Node, Road, eventually, exporter, for_a_while, install_operator, merged, operators, settings, text_at,
};

/// An Application with an endpoint `web` in its own namespace.
fn application(name: &str) -> Application {
    Application::named(name).annotated(&format!("web: http://web.{name}.svc:9100/metrics"))
}

/// Waits until an Event about an Application says something.
async fn says(node: &Node, application: &str, reason: &str, what: &str) {
    eventually(&format!("an Event {reason} says: {what}"), || async {
        let events = node.events("argocd", application).await;
        let is_said = events
            .iter()
            .any(|event| event.starts_with(reason) && event.contains(what));
        is_said.then_some(()).ok_or_else(|| format!("{events:?}"))
    })
    .await;
}

fn restarts(pod: &Value) -> Value {
    pod["status"]["containerStatuses"][0]["restartCount"].clone()
}

#[tokio::test]
async fn a_kubelet_that_is_killed_and_comes_back_takes_up_what_it_has_missed() {
    let mut road = Road::from_applications("kubelet", settings()).await;
    let node = road.node.clone();
    road.deploy("kubelet", &application("kubelet")).await;
    let pod = node.telegraf("kubelet").await;
    road.database.has("kubelet", "prometheus_web").await;

    let hold = node.folder().join("hold");
    fs::create_dir_all(&hold).expect("a folder");
    fs::write(hold.join("kubelet"), "").expect("a file");
    node.inside(&["sh", "-c", "kill -KILL $(cat /run/pids/kubelet)"]);
    let both = "- web: http://web.kubelet.svc:9100/metrics\n- also: http://web.kubelet.svc:9100/metrics\n";
    road.application("kubelet", &Application::named("kubelet").annotated(both))
        .await;
    node.applied("kubelet", "prometheus_also").await;
    fs::remove_file(hold.join("kubelet")).expect("remove a file");

    // The pod went on all the time.
    road.database.has("kubelet", "prometheus_also").await;
    let now = node.telegraf("kubelet").await;
    assert_eq!(text_at(&now, "/metadata/uid"), text_at(&pod, "/metadata/uid"));
    assert_eq!(restarts(&now), 0);
    road.close().await;
}

#[tokio::test]
async fn a_telegraf_that_is_killed_for_memory_says_so_and_runs_when_it_may_have_more() {
    let small = json!({"pod": {"resources": {"requests": {"memory": "8Mi"}, "limits": {"memory": "8Mi"}}}});
    let mut road = Road::from_applications("memory", merged(settings(), small)).await;
    let node = road.node.clone();
    road.deploy("memory", &application("memory")).await;
    says(
        &node,
        "memory",
        "TelegrafNotRunning",
        "it needs more memory than its limit",
    )
    .await;
    install_operator(&node, settings()).await;
    node.telegraf("memory").await;
    road.database.has("memory", "prometheus_web").await;
    road.close().await;
}

#[tokio::test]
async fn a_secret_that_is_missing_is_waited_for() {
    let variable = json!({"secretKeyRef": {"name": "token-of-somebody", "key": "token"}});
    let own = json!({"pod": {"env": [{"name": "TOKEN_OF_SOMEBODY", "valueFrom": variable}]}});
    let mut road = Road::from_applications("secret", merged(settings(), own)).await;
    let node = road.node.clone();
    road.deploy("secret", &application("secret")).await;
    says(
        &node,
        "secret",
        "TelegrafNotRunning",
        "Secret `token-of-somebody` does not exist",
    )
    .await;
    let metadata = json!({"name": "token-of-somebody", "namespace": "secret"});
    node.put(&json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"token": "any"}}))
        .await;
    node.telegraf("secret").await;
    road.close().await;
}

#[tokio::test]
async fn an_image_that_does_not_exist_leaves_the_old_pod_running() {
    let mut road = Road::from_applications("image", settings()).await;
    let node = road.node.clone();
    road.deploy("image", &application("image")).await;
    let pod = node.telegraf("image").await;
    let missing = json!({"pod": {"image": "telewarden.test/telegraf:1.39.99"}});
    install_operator(&node, merged(settings(), missing)).await;
    says(&node, "image", "TelegrafNotRunning", "cannot be had").await;
    let now = node.telegraf("image").await;
    assert_eq!(text_at(&now, "/metadata/uid"), text_at(&pod, "/metadata/uid"));
    install_operator(&node, settings()).await;
    road.close().await;
}

#[tokio::test]
async fn a_service_whose_pods_are_not_ready_is_named() {
    let mut road = Road::from_applications("unready", settings()).await;
    let node = road.node.clone();
    let unready = exporter("web", "unready").replace("path: /, port: 9100", "path: /, port: 9999");
    road.namespace("unready").await;
    road.workload("unready", &unready).await;
    road.application("unready", &application("unready")).await;
    says(&node, "unready", "EndpointDown", "no pod behind Service `web`").await;
    road.workload("unready", &exporter("web", "unready")).await;
    says(&node, "unready", "EndpointUp", "web").await;
    road.close().await;
}

#[tokio::test]
async fn an_operator_whose_pod_is_evicted_is_replaced_and_nothing_of_ours_changes() {
    let mut road = Road::from_applications("evicted", settings()).await;
    let node = road.node.clone();
    road.deploy("evicted", &application("evicted")).await;
    let telegraf = node.telegraf("evicted").await;
    let ours = node.ours("evicted").await;
    let before = operators(&node).await;
    assert_eq!(before.len(), 1, "{before:?}");
    let seen = node.audit().len();
    node.evict("telewarden", &text_at(&before[0], "/metadata/name")).await;
    eventually("another pod of the operator is there", || async {
        let now = operators(&node).await;
        let is_new = now.len() == 1 && text_at(&now[0], "/metadata/uid") != text_at(&before[0], "/metadata/uid");
        is_new.then_some(()).ok_or_else(|| format!("{} pods", now.len()))
    })
    .await;
    node.available("telewarden", "telewarden-operator").await;
    for_a_while("our objects are the same", || async {
        match node.ours("evicted").await {
            now if now == ours => Ok(()),
            now => Err(format!("{now:?} instead of {ours:?}")),
        }
    })
    .await;
    let writes: Vec<_> = node.audit().into_iter().skip(seen).collect();
    let of_operator = writes
        .iter()
        .filter(|event| event.user.username.contains("telewarden-operator"));
    let wrong: Vec<_> = of_operator
        .filter(|event| event.is_write() && !event.is_housekeeping())
        .collect();
    assert!(wrong.is_empty(), "the new operator writes: {wrong:#?}");

    // And it works.
    let both = "- web: http://web.evicted.svc:9100/metrics\n- also: http://web.evicted.svc:9100/metrics\n";
    road.application("evicted", &Application::named("evicted").annotated(both))
        .await;
    road.database.has("evicted", "prometheus_also").await;
    assert_eq!(
        text_at(&node.telegraf("evicted").await, "/metadata/uid"),
        text_at(&telegraf, "/metadata/uid")
    );
    road.close().await;
}
