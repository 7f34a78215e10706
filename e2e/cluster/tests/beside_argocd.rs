//! Argo CD leaves our objects alone, and we leave its alone.

use serde_json::{Value, json};
use telewarden_e2e_cluster::{Application, Kind, Node, Road, Tracking, eventually, for_a_while, settings, text_at};

const ANNOTATION: &str = "web: http://web.alone.svc:9100/metrics";

/// The objects that Argo CD counts as an Application's own.
fn resources(application: &Value) -> Vec<String> {
    let resources = application["status"]["resources"].as_array();
    let spell = |resource: &Value| format!("{}/{}", text_at(resource, "/kind"), text_at(resource, "/name"));
    let mut all: Vec<_> = resources.into_iter().flatten().map(spell).collect();
    all.sort();
    all
}

/// The condition that an Application has orphaned resources; empty if it has none.
fn orphaned(application: &Value) -> String {
    let conditions = application["status"]["conditions"].as_array().into_iter().flatten();
    let mut warnings = conditions.filter(|condition| condition["type"] == "OrphanedResourceWarning");
    warnings
        .next()
        .map(|condition| text_at(condition, "/message"))
        .unwrap_or_default()
}

async fn argocd_leaves_our_objects_alone(tracking: Tracking) {
    let mut road = Road::open("beside-argocd", tracking, settings()).await;
    let node = road.node.clone();
    road.argocd()
        .project(&node, "watchful", json!({"orphanedResources": {"warn": false}}))
        .await;
    let alone = Application::named("alone").annotated(ANNOTATION).of_project("watchful");
    road.deploy("alone", &alone).await;
    road.argocd().synced(&node, "alone").await;
    node.telegraf("alone").await;
    let ours = node.ours("alone").await;
    assert!(ours.len() >= 3, "a ConfigMap, a Deployment and a Secret: {ours:?}");
    let seen = node.audit().len();

    road.argocd().hard_refresh(&node, "alone").await;
    let synced = road.argocd().sync_with_prune(&node, "alone").await;
    let touched = synced["status"]["operationState"]["syncResult"]["resources"].to_string();
    assert!(!touched.contains("telegraf"), "{touched}");

    // Self-heal is on: what somebody deletes of the workload comes back.
    node.delete(Kind::SERVICE, "alone", "web").await;
    eventually("Argo CD heals the workload", || async {
        match node.has(Kind::SERVICE, "alone", "web").await {
            true => Ok(()),
            false => Err("the Service is gone".to_owned()),
        }
    })
    .await;
    road.argocd().synced(&node, "alone").await;

    for_a_while("our objects are the same", || async {
        match node.ours("alone").await {
            now if now == ours => Ok(()),
            now => Err(format!("{now:?} instead of {ours:?}")),
        }
    })
    .await;
    let application = road.argocd().synced(&node, "alone").await;
    assert_eq!(resources(&application), ["Deployment/web", "Service/web"]);
    nobody_writes_to_the_others_objects(&node, seen);
    road.close().await;
}

/// Argo CD writes none of our objects, and the operator none of Argo CD's.
fn nobody_writes_to_the_others_objects(node: &Node, since: usize) {
    let writes: Vec<_> = node
        .audit()
        .into_iter()
        .skip(since)
        .filter(|event| event.is_write())
        .collect();
    let of_argocd = writes.iter().filter(|event| event.user.username == "argocd");
    let wrong: Vec<_> = of_argocd
        .filter(|event| event.object_ref.name.starts_with("telegraf"))
        .collect();
    assert!(wrong.is_empty(), "Argo CD writes: {wrong:#?}");
    let of_operator = writes
        .iter()
        .filter(|event| event.user.username.contains("telewarden-operator"));
    let ours = |name: &str| name.starts_with("telegraf") || name.starts_with("telewarden");
    let wrong: Vec<_> = of_operator
        .filter(|event| !event.is_housekeeping() && !ours(&event.object_ref.name))
        .collect();
    assert!(wrong.is_empty(), "the operator writes: {wrong:#?}");
}

#[tokio::test]
async fn with_tracking_by_label() {
    argocd_leaves_our_objects_alone(Tracking::Label).await;
}

#[tokio::test]
async fn with_tracking_by_annotation() {
    argocd_leaves_our_objects_alone(Tracking::Annotation).await;
}

#[tokio::test]
async fn with_tracking_by_annotation_and_label() {
    argocd_leaves_our_objects_alone(Tracking::Both).await;
}

#[tokio::test]
async fn a_project_that_watches_for_orphans_warns_of_our_objects_unless_it_ignores_them() {
    let mut road = Road::open("orphans", Tracking::Annotation, settings()).await;
    let node = road.node.clone();
    road.argocd()
        .project(&node, "watchful", json!({"orphanedResources": {"warn": true}}))
        .await;
    let alone = Application::named("alone").annotated(ANNOTATION).of_project("watchful");
    road.deploy("alone", &alone).await;
    road.argocd().synced(&node, "alone").await;
    node.telegraf("alone").await;
    road.argocd().hard_refresh(&node, "alone").await;
    eventually("Argo CD warns of orphaned resources", || async {
        match orphaned(&node.get(Kind::APPLICATION, "argocd", "alone").await?) {
            warning if warning.contains("orphaned resources") => Ok(()),
            other => Err(other),
        }
    })
    .await;

    let ignore = json!([
        {"group": "", "kind": "ConfigMap", "name": "telegraf-*"},
        {"group": "apps", "kind": "Deployment", "name": "telegraf-*"},
        {"group": "", "kind": "Secret", "name": "telegraf-*"},
    ]);
    let watchful = json!({"orphanedResources": {"warn": true, "ignore": ignore}});
    road.argocd().project(&node, "watchful", watchful).await;
    road.argocd().hard_refresh(&node, "alone").await;
    eventually("Argo CD warns no more", || async {
        match orphaned(&node.get(Kind::APPLICATION, "argocd", "alone").await?) {
            warning if warning.is_empty() => Ok(()),
            warning => Err(warning),
        }
    })
    .await;
    road.close().await;
}
