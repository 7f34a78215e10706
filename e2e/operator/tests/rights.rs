//! The operator does with its ServiceAccount's rights what it has to, and has none that it does not use.

use std::collections::BTreeSet;

use serde_json::json;
use telewarden_e2e_operator::{Cluster, annotation, redis};

/// The verbs that `deploy/operator/rbac.yaml` gives, by kind.
fn given() -> BTreeSet<(String, String)> {
    let text = include_str!("../../../deploy/operator/rbac.yaml");
    let mut given = BTreeSet::new();
    for document in serde_yaml::Deserializer::from_str(text) {
        let role: serde_json::Value = serde::Deserialize::deserialize(document).expect("YAML");
        let list = |value: &serde_json::Value| -> Vec<String> {
            value
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|value| value.as_str().map(str::to_owned))
                .collect()
        };
        for rule in role["rules"].as_array().into_iter().flatten() {
            for resource in list(&rule["resources"]) {
                given.extend(list(&rule["verbs"]).into_iter().map(|verb| (resource.clone(), verb)));
            }
        }
    }
    given
}

#[tokio::test(flavor = "multi_thread")]
async fn every_verb_is_used_and_none_is_missing() {
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

    let ours = cluster
        .audit()
        .into_iter()
        .filter(|event| event.user.username.contains("operator"));
    let ours: Vec<_> = ours.filter(|event| !event.object_ref.resource.is_empty()).collect();
    let refused: Vec<_> = ours
        .iter()
        .filter(|event| event.response_status.as_ref().is_some_and(|status| status.code == 403))
        .collect();
    assert!(refused.is_empty(), "verbs are missing: {refused:#?}");
    let used: BTreeSet<_> = ours
        .iter()
        .map(|event| (event.object_ref.resource.clone(), event.verb.clone()))
        .collect();
    assert_eq!(
        given(),
        used,
        "left: what the ServiceAccount is given, right: what it used"
    );
}
