//! New tokens for old ones.

use k8s_openapi::api::core::v1::Secret;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use serde_json::json;
use telewarden_e2e_operator::{InfluxDb, eventually, for_a_while, redis};

use crate::provided::{DEPLOYED, REDIS, cluster, has_tokens, mark, operator, settings, tokens};

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_leaves_the_old_token_until_the_pods_are_replaced() {
    let (cluster, database) = (cluster().await, InfluxDb::start().await);
    cluster.namespace("redis").await;
    let _operator = operator(&cluster, &database, &settings(&database, "bucketsAndTokens")).await;
    cluster.application(&redis()).await;
    cluster.owns(&DEPLOYED).await;
    let old = has_tokens(&cluster, &database, &[REDIS]).await[REDIS].clone();
    let deployments = cluster.of("redis", "apps", "v1", "Deployment");
    // There are no nodes here, so the test writes the status as the Deployment controller would.
    let pods = async |updated: i64| {
        let generation = deployments
            .get("telegraf-redis")
            .await
            .expect("get")
            .metadata
            .generation;
        let status = json!({"status": {
            "observedGeneration": generation, "replicas": 1, "updatedReplicas": updated,
            "readyReplicas": 1, "availableReplicas": 1,
        }});
        let patch = kube::api::Patch::Merge(&status);
        let patched = deployments
            .patch_status("telegraf-redis", &Default::default(), &patch)
            .await;
        patched.expect("write the status");
    };
    pods(1).await;
    let before = mark(&cluster, "redis", "telegraf-redis").await;
    let rotate = |source: &str| cluster.command_of(telewarden_e2e_operator::ADMIN, &["rotate", source]);
    assert_eq!(rotate("Namespace/nothing").status.code(), Some(1));
    let output = rotate(REDIS);
    assert!(output.status.success(), "{output:?}");
    eventually(|| async {
        let now = mark(&cluster, "redis", "telegraf-redis").await;
        (now != before).then_some(()).ok_or("the same pods".to_owned())
    })
    .await;
    let new = tokens(&cluster).await[REDIS].clone();
    assert_ne!(new, old);
    for_a_while(|| async {
        let statuses = (
            database.write(&old, "square", "redis").await,
            database.write(&new, "square", "redis").await,
        );
        (statuses == (204, 204))
            .then_some(())
            .ok_or_else(|| format!("{statuses:?}"))
    })
    .await;
    pods(1).await;
    let left = has_tokens(&cluster, &database, &[REDIS]).await;
    assert_eq!(left[REDIS], new, "it is replaced once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_replaced_when_it_has_reached_its_lifetime() {
    let (cluster, database) = (cluster().await, InfluxDb::start().await);
    cluster.namespace("redis").await;
    let mut settings = settings(&database, "bucketsAndTokens");
    settings["influxdb"]["tokenLifetime"] = json!("90d");
    let first = operator(&cluster, &database, &settings).await;
    cluster.application(&redis()).await;
    cluster.owns(&DEPLOYED).await;
    let young = has_tokens(&cluster, &database, &[REDIS]).await;
    first.stop();

    // The last rotation was long ago, as the operator notes it in the Secret.
    let secrets = Api::<Secret>::namespaced(cluster.client.clone(), "redis");
    let name = secrets.list(&ListParams::default()).await.expect("list").items[0].name_any();
    let long_ago = format!("{:020}", 1_700_000_000_000_u64);
    let (asked, done) = ("telegraf.influxdata.com/rotate", "telegraf.influxdata.com/rotated");
    let annotations = json!({asked: long_ago, done: long_ago});
    let edit = json!({"metadata": {"annotations": annotations}});
    cluster.edit("redis", "", "Secret", &name, &edit).await;
    let _second = operator(&cluster, &database, &settings).await;
    eventually(|| async {
        let now = tokens(&cluster).await;
        (now != young).then_some(()).ok_or("the same token".to_owned())
    })
    .await;
    let secret = secrets.get(&name).await.expect("get");
    assert_ne!(secret.annotations()[asked], long_ago);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_who_holds_up_the_pods_gets_two_tokens_and_no_more() {
    let (cluster, database) = (cluster().await, InfluxDb::start().await);
    cluster.namespace("redis").await;
    let operator = operator(&cluster, &database, &settings(&database, "bucketsAndTokens")).await;
    cluster.application(&redis()).await;
    cluster.owns(&DEPLOYED).await;
    has_tokens(&cluster, &database, &[REDIS]).await;
    let secrets = Api::<Secret>::namespaced(cluster.client.clone(), "redis");
    let name = secrets.list(&ListParams::default()).await.expect("list").items[0].name_any();
    // Without its label the Deployment is somebody else's, so no pod is replaced.
    let label = json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": "tenant"}}});
    cluster
        .edit("redis", "apps", "Deployment", "telegraf-redis", &label)
        .await;
    let failed = || async {
        operator
            .metric("telewarden_reconciles_total{result=\"failed\"}")
            .await
            .unwrap_or_default()
    };
    for round in 0..5 {
        eventually(|| async {
            let secret = secrets.get(&name).await;
            secret.map(drop).map_err(|error| error.to_string())
        })
        .await;
        let before = failed().await;
        if round % 2 == 0 {
            let asked =
                json!({"metadata": {"annotations": {"telegraf.influxdata.com/rotate": format!("{round:020}")}}});
            cluster.edit("redis", "", "Secret", &name, &asked).await;
        } else {
            cluster.delete("redis", "", "Secret", &name).await;
        }
        eventually(|| async { (failed().await > before).then_some(()).ok_or_else(|| operator.log()) }).await;
        let authorizations = database.authorizations().await;
        assert!(authorizations.len() <= 2, "round {round}: {authorizations:#?}");
    }
}
