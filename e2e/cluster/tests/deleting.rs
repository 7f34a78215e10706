//! What goes when something goes.

use serde_json::json;
use telewarden_e2e_cluster::{Application, Kind, Road, Tracking, eventually, settings};

#[tokio::test]
async fn an_application_goes_with_what_is_its_and_ours_and_with_nothing_else() {
    let mut road = Road::open("deleting", Tracking::Annotation, settings()).await;
    let node = road.node.clone();
    for name in ["goes", "stays"] {
        let application = Application::named(name).annotated(&format!("web: http://web.{name}.svc:9100/metrics"));
        road.deploy(name, &application).await;
    }
    for name in ["goes", "stays"] {
        road.argocd().synced(&node, name).await;
        node.telegraf(name).await;
    }
    let bystander = json!({"name": "bystander", "namespace": "goes"});
    node.put(&json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": bystander}))
        .await;
    let stays = node.ours("stays").await;

    road.git().remove("apps/goes.yaml");
    road.git().commit("Remove goes");
    node.gone(Kind::APPLICATION, "argocd", "goes").await;
    node.gone(Kind::DEPLOYMENT, "goes", "web").await;
    eventually("ours is gone", || async {
        match node.ours("goes").await {
            ours if ours.is_empty() => Ok(()),
            ours => Err(format!("{ours:?}")),
        }
    })
    .await;
    eventually("all pods are gone", || async {
        match node.list(Kind::POD, "goes", "").await.len() {
            0 => Ok(()),
            pods => Err(format!("{pods} pods")),
        }
    })
    .await;
    assert!(node.has(Kind::CONFIG_MAP, "goes", "bystander").await);
    assert_eq!(node.ours("stays").await, stays);
    road.close().await;
}

#[tokio::test]
async fn a_namespace_goes_with_everything_and_comes_back_with_it() {
    let mut road = Road::open("namespace-goes", Tracking::Annotation, settings()).await;
    let node = road.node.clone();
    let application = Application::named("vanishing").annotated("web: http://web.vanishing.svc:9100/metrics");
    road.deploy("vanishing", &application).await;
    road.argocd().synced(&node, "vanishing").await;
    node.telegraf("vanishing").await;
    let before = node.ours("vanishing").await;

    // Nothing of ours holds it up: the operator creates nothing in a namespace that is going.
    node.delete(Kind::NAMESPACE, "", "vanishing").await;
    node.gone(Kind::NAMESPACE, "", "vanishing").await;

    road.deploy("vanishing", &application).await;
    road.argocd().synced(&node, "vanishing").await;
    node.telegraf("vanishing").await;
    let after = node.ours("vanishing").await;
    let names = |of: &[(String, String)]| of.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&after), names(&before));
    assert!(
        after.iter().all(|object| !before.contains(object)),
        "{before:?} {after:?}"
    );
    road.close().await;
}
