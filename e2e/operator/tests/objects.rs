//! The operator repairs the objects that it owns, and does not touch others.

use serde_json::json;
use telewarden_e2e_operator::{Cluster, annotation, eventually, for_a_while, redis};

const REDIS: [&str; 2] = ["ConfigMap redis/telegraf-redis", "Deployment redis/telegraf-redis"];

#[tokio::test(flavor = "multi_thread")]
async fn an_owned_object_that_is_edited_or_deleted_comes_back() {
    let cluster = Cluster::start().await;
    cluster.namespace("redis").await;
    let _operator = cluster.operator(&[]).await;
    cluster.application(&redis()).await;
    cluster.owns(&REDIS).await;

    cluster.delete("redis", "", "ConfigMap", "telegraf-redis").await;
    cluster.owns(&REDIS).await;
    cluster.is_as_rendered(&json!({})).await;

    let edit = json!({"data": {"telegraf.conf": "# mine now"}});
    cluster.edit("redis", "", "ConfigMap", "telegraf-redis", &edit).await;
    cluster.is_as_rendered(&json!({})).await;

    let edit = json!({"spec": {"replicas": 3}});
    cluster
        .edit("redis", "apps", "Deployment", "telegraf-redis", &edit)
        .await;
    cluster.is_as_rendered(&json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_is_no_longer_rendered_goes_away() {
    let cluster = Cluster::start().await;
    cluster.namespace("redis").await;
    // Each label is a field of its own in server-side apply.
    let settings = |labels| json!({"pod": {"labels": labels}});
    let _operator = cluster
        .operator_with(&settings(json!({"team": "one", "tier": "two"})))
        .await;
    cluster.application(&redis()).await;
    cluster.owns(&REDIS).await;
    let has = async |label: &str| {
        let api = cluster.of("redis", "apps", "v1", "Deployment");
        let deployment = api.get("telegraf-redis").await.expect("get it");
        !deployment.data["spec"]["template"]["metadata"]["labels"][label].is_null()
    };
    assert!(has("team").await && has("tier").await);
    cluster.settings(&settings(json!({"team": "one"})));
    eventually(|| async { (!has("tier").await).then_some(()).ok_or("it is still there".to_owned()) }).await;
    assert!(has("team").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_config_map_of_the_same_name_is_never_touched() {
    let cluster = Cluster::start().await;
    cluster.namespace("redis").await;
    cluster
        .create_config_map("redis", "telegraf-redis", &[("theirs", "1")])
        .await;
    let before = cluster.config_map("redis", "telegraf-redis").await;
    let operator = cluster.operator(&[]).await;
    cluster.application(&redis()).await;
    assert!(
        cluster
            .event("redis", "ForeignObject")
            .await
            .contains("ConfigMap redis/telegraf-redis")
    );
    cluster
        .application(&redis().annotated(&annotation("redis", &["server", "exporter"])))
        .await;
    for_a_while(|| async {
        let now = cluster.config_map("redis", "telegraf-redis").await;
        (now == before).then_some(()).ok_or(format!("it is now {now:?}"))
    })
    .await;
    assert!(
        operator
            .metric("telewarden_errors_total{reason=\"foreign\"}")
            .await
            .is_some_and(|errors| errors > 0.0)
    );
    cluster.delete("redis", "", "ConfigMap", "telegraf-redis").await;
    cluster.owns(&REDIS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_of_another_instance_is_never_touched() {
    let cluster = Cluster::start().await;
    cluster.namespace("redis").await;
    let operator = cluster.operator_with(&json!({"instance": "other"})).await;
    cluster.application(&redis()).await;
    eventually(|| async {
        let owned = cluster.owned_by("other").await.len();
        (owned == 2).then_some(()).ok_or(format!("{owned} are owned"))
    })
    .await;
    operator.kill();
    let _operator = cluster.operator(&[]).await;
    assert!(
        cluster
            .event("redis", "ForeignObject")
            .await
            .contains("instance `other`")
    );
    cluster.delete_application("redis").await;
    for_a_while(|| async {
        (cluster.owned_by("other").await.len() == 2)
            .then_some(())
            .ok_or("pruned".to_owned())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_with_everything_in_place_writes_nothing() {
    let cluster = Cluster::start().await;
    for namespace in ["redis", "nublado", "gafaelfawr"] {
        cluster.namespace(namespace).await;
        let of = telewarden_e2e_operator::Application::named(namespace);
        cluster
            .application(&of.annotated(&annotation(namespace, &["server", "exporter"])))
            .await;
    }
    let operator = cluster.operator(&[]).await;
    cluster.is_as_rendered(&json!({})).await;
    assert!(operator.stop().success());
    let writes = cluster.writes();
    let operator = cluster.operator(&[]).await;
    eventually(|| async {
        let unchanged = operator
            .metric("telewarden_reconciles_total{result=\"unchanged\"}")
            .await;
        unchanged
            .is_some_and(|unchanged| unchanged >= 3.0)
            .then_some(())
            .ok_or("not all were looked at".to_owned())
    })
    .await;
    for_a_while(|| async {
        let now = cluster.writes();
        (now == writes).then_some(()).ok_or(format!("{} writes", now - writes))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn switching_topologies_leaves_nothing_behind() {
    let cluster = Cluster::start().await;
    for namespace in ["redis", "nublado", "telegraf"] {
        cluster.namespace(namespace).await;
    }
    let nublado = telewarden_e2e_operator::Application::named("nublado");
    cluster
        .application(&nublado.annotated(&annotation("nublado", &["hub", "proxy"])))
        .await;
    cluster.application(&redis()).await;
    let settings = |topology: &str| json!({"topology": topology});
    let _operator = cluster.operator_with(&settings("application")).await;
    cluster.is_as_rendered(&settings("application")).await;
    for topology in ["endpoint", "standalone", "application", "standalone", "endpoint"] {
        cluster.settings(&settings(topology));
        cluster.is_as_rendered(&settings(topology)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_standalone_a_broken_annotation_keeps_its_file() {
    let cluster = Cluster::start().await;
    cluster.namespace("telegraf").await;
    cluster.namespace("redis").await;
    let settings = json!({"topology": "standalone"});
    let _operator = cluster.operator_with(&settings).await;
    cluster.application(&redis()).await;
    cluster.is_as_rendered(&settings).await;
    let file = || async {
        let map = cluster
            .config_map("telegraf", "telegraf")
            .await
            .expect("the one ConfigMap");
        map.data
            .unwrap_or_default()
            .get("application.argocd.redis.conf")
            .cloned()
    };
    let before = file().await;
    assert!(before.is_some());
    cluster.application(&redis().annotated("- server: [")).await;
    cluster.event("redis", "Refused").await;
    for_a_while(|| async {
        (file().await == before)
            .then_some(())
            .ok_or("its file has changed".to_owned())
    })
    .await;
    cluster.delete_application("redis").await;
    eventually(|| async {
        file()
            .await
            .is_none()
            .then_some(())
            .ok_or("its file is still there".to_owned())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_the_settings_forget_is_pruned_also_after_a_restart() {
    let cluster = Cluster::start().await;
    cluster.namespace("redis").await;
    cluster
        .create_all(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: extra}\nrules:\n\
             - {apiGroups: [ricoberger.de], resources: [vaultsecrets], verbs: [get, list, watch, create, patch, delete]}\n\
             - {apiGroups: [networking.k8s.io], resources: [networkpolicies], verbs: [get, list, watch, create, patch, delete]}\n\
             ---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: extra}\n\
             roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: extra}\n\
             subjects: [{kind: ServiceAccount, name: telewarden-operator, namespace: telewarden}]\n",
        )
        .await;
    let settings = json!({"networkPolicy": true, "extraResources": [{
        "apiVersion": "ricoberger.de/v1alpha1",
        "kind": "VaultSecret",
        "metadata": {"name": "telegraf-{application}"},
        "spec": {"path": "secret/telegraf", "type": "Opaque"},
    }]});
    let operator = cluster.operator_with(&settings).await;
    cluster.application(&redis()).await;
    cluster
        .owns(&[
            REDIS[0],
            REDIS[1],
            "NetworkPolicy redis/telegraf-redis",
            "VaultSecret redis/telegraf-redis",
        ])
        .await;
    cluster.is_as_rendered(&settings).await;
    operator.kill();
    let _operator = cluster.operator_with(&json!({})).await;
    cluster.owns(&REDIS).await;
}
