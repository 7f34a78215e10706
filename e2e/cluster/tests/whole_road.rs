//! From a commit to a series in the database.

use serde_json::{Value, json};
use telewarden_e2e_cluster::{Application, Kind, Legs, Node, Road, Tracking, restricted_namespace, settings, text_at};

#[tokio::test]
async fn a_commit_ends_as_series_in_the_database() {
    let mut legs = Legs::of("the whole road");
    let mut road = Road::open("whole-road", Tracking::Annotation, settings()).await;
    legs.leg("database, Argo CD and the operator start");

    let shop = Application::named("shop").annotated("web: http://web.shop.svc:9100/metrics");
    road.deploy("shop", &shop).await;
    road.argocd().synced(&road.node, "shop").await;
    legs.leg("Argo CD syncs the Application of its app-of-apps");

    let pod = road.node.telegraf("shop").await;
    legs.leg("Telegraf's pod is ready");
    let image = text_at(&pod, "/spec/containers/0/image");
    assert!(image.starts_with("telewarden.test/telegraf:"), "{image}");

    // The only way from Telegraf to the exporter, and to the database, is by their Services.
    road.database.has("shop", "prometheus_web").await;
    legs.leg("its first series is in the database");
    road.argocd().synced(&road.node, "whole-road").await;
    legs.end();
    road.close().await;
}

#[tokio::test]
async fn its_namespace_refuses_pods_that_are_not_restricted() {
    let node = Node::connect().await;
    restricted_namespace(&node, "refuses").await;
    let pod: Value = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "ordinary", "namespace": "refuses"},
        "spec": {"containers": [{"name": "one", "image": "telewarden.test/pause:1"}]},
    });
    let refusal = node.try_put(&pod).await.expect_err("Pod Security");
    assert!(
        refusal.contains("violates PodSecurity \"restricted:latest\""),
        "{refusal}"
    );
    node.delete(Kind::NAMESPACE, "", "refuses").await;
}
