//! The rights of the operator's ServiceAccount are sufficient, and all of them are used.

use serde_json::json;
use telewarden_e2e_operator::{Cluster, annotation, given, objects, redis};

#[tokio::test(flavor = "multi_thread")]
async fn every_right_is_used_and_none_is_missing() {
    let cluster = Cluster::start().await;
    cluster.namespace("redis").await;
    cluster
        .create_config_map("redis", "telegraf-redis", &[("theirs", "1")])
        .await;
    let deployment = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "telegraf-redis", "namespace": "redis"},
        "spec": {
            "selector": {"matchLabels": {"a": "b"}},
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "a", "image": "a"}]}},
        },
    });
    cluster.put(&deployment).await;
    let settings = |team: &str| json!({"pod": {"labels": {"team": team}}});
    let operator = cluster.operator_with(&settings("one")).await;
    // Somebody else's objects are read to say whose they are,
    cluster.application(&redis()).await;
    cluster.event("redis", "ForeignObject").await;
    cluster.delete("redis", "", "ConfigMap", "telegraf-redis").await;
    // the ConfigMap first and then the Deployment,
    let deadline_free = cluster.event("redis", "ForeignObject");
    deadline_free.await;
    telewarden_e2e_operator::eventually(|| async {
        let note = cluster.event("redis", "ForeignObject").await;
        note.contains("Deployment").then_some(()).ok_or(note)
    })
    .await;
    cluster.delete("redis", "apps", "Deployment", "telegraf-redis").await;
    // and ours are created, changed and deleted.
    cluster.is_as_rendered(&settings("one")).await;
    cluster.settings(&settings("two"));
    cluster
        .application(&redis().annotated(&annotation("redis", &["other"])))
        .await;
    cluster.is_as_rendered(&settings("two")).await;
    cluster.delete_application("redis").await;
    cluster.owns(&[]).await;
    assert!(operator.stop().success());

    let rights = include_str!("../../../deploy/operator/rbac.yaml");
    cluster.rights_were_enough_and_all_used(&given(&objects(rights)));
}
