//! Buckets and tokens in the real InfluxDB.

mod commands;
mod crashes;
mod faults;
mod owners;
mod provided;
mod requests;
mod rotation;
mod shown;

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Secret;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use serde_json::json;
use telewarden_e2e_operator::{
    ADMINISTRATOR, Application, Cluster, InfluxDb, annotation, eventually, for_a_while, redis,
};

use provided::{DEPLOYED, REDIS, cluster, has_buckets, has_tokens, mark, operator, output, settings, tokens};

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_is_made_once_and_never_deleted_or_changed() {
    let (cluster, database) = (Cluster::start().await, InfluxDb::start().await);
    for name in ["redis", "old"] {
        cluster.namespace(name).await;
    }
    database.create_bucket("old", 7200).await;
    let operator = operator(&cluster, &database, &settings(&database, "buckets")).await;
    let old = Application::named("old").annotated(&annotation("old", &["server"]));
    let refused = Application::named("refused").annotated(&annotation("other", &["server"]));
    for application in [&redis(), &old, &refused] {
        cluster.application(application).await;
    }
    has_buckets(&database, &["old", "redis"]).await;
    assert_eq!(database.retention("redis").await, 30 * 86400);
    assert_eq!(database.retention("old").await, 7200);
    assert!(
        cluster.event("old", "RetentionDiffers").await.contains("2 h"),
        "an Event says so"
    );
    assert!(cluster.event("redis", "Provided").await.contains("bucket `redis`"));
    cluster.event("refused", "Refused").await;

    // Without changes, no request is sent.
    let requests = operator
        .metric("telewarden_influxdb_requests_total")
        .await
        .expect("a metric");
    cluster
        .application(&redis().annotated(&annotation("redis", &["server", "other"])))
        .await;
    eventually(|| async {
        let map = cluster
            .config_map("redis", "telegraf-redis")
            .await
            .and_then(|map| map.data)
            .unwrap_or_default();
        map["telegraf.conf"]
            .contains("other")
            .then_some(())
            .ok_or("not changed".to_owned())
    })
    .await;
    assert_eq!(
        operator.metric("telewarden_influxdb_requests_total").await,
        Some(requests)
    );

    cluster.delete_application("redis").await;
    cluster
        .owns(&["ConfigMap old/telegraf-old", "Deployment old/telegraf-old"])
        .await;
    has_buckets(&database, &["old", "redis"]).await;
    assert!(database.authorizations().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_writes_its_own_bucket_and_does_nothing_else() {
    let (cluster, database) = (cluster().await, InfluxDb::start().await);
    for name in ["redis", "shop", "team-a"] {
        cluster.namespace(name).await;
    }
    let _operator = operator(&cluster, &database, &settings(&database, "bucketsAndTokens")).await;
    cluster.application(&redis()).await;
    // An Application and a Namespace with the same name, in one namespace.
    cluster
        .application(&Application::named("shop").annotated(&annotation("shop", &["server"])))
        .await;
    let annotations = json!({"telegraf.influxdata.com/rubin-telegraf-operator": annotation("shop", &["server"])});
    let metadata = json!({"name": "shop", "annotations": annotations});
    cluster
        .put(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}))
        .await;
    let shop = "argoproj.io/Application/argocd/shop";
    let found = has_tokens(&cluster, &database, &["Namespace/shop", REDIS, shop]).await;
    has_buckets(&database, &["Namespace:shop", "redis", "shop"]).await;

    for (source, own) in [(REDIS, "redis"), (shop, "shop"), ("Namespace/shop", "Namespace:shop")] {
        for bucket in ["redis", "shop", "Namespace:shop", "first"] {
            let status = database.write(&found[source], "square", bucket).await;
            let expected: &[u16] = if bucket == own { &[204] } else { &[403, 404] };
            assert!(expected.contains(&status), "{source} writes {bucket}: {status}");
        }
        let flux = format!("from(bucket: \"{own}\") |> range(start: -1h)");
        let (status, answer) = database.query(&found[source], "square", &flux).await;
        assert!(
            status != 200 || answer.contains("error"),
            "{source} reads: {status} {answer}"
        );
        let (status, _) = database
            .ask("GET", "/api/v2/authorizations", &found[source], String::new())
            .await;
        assert_ne!(status, 204);
    }

    // The token is dead, and the bucket and its data are there.
    cluster.delete_application("redis").await;
    let left = has_tokens(&cluster, &database, &["Namespace/shop", shop]).await;
    assert_eq!(left[shop], found[shop], "the others keep theirs");
    assert_eq!(database.write(&found[REDIS], "square", "redis").await, 401);
    let (status, answer) = database
        .query(ADMINISTRATOR, "square", "from(bucket: \"redis\") |> range(start: -1h)")
        .await;
    assert!(status == 200 && answer.contains("point"), "{answer}");

    // Annotated again, it goes on in the same bucket.
    cluster.application(&redis()).await;
    let again = has_tokens(&cluster, &database, &["Namespace/shop", REDIS, shop]).await;
    assert_eq!(database.write(&again[REDIS], "square", "redis").await, 204);
    has_buckets(&database, &["Namespace:shop", "redis", "shop"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_repaired_and_a_deleted_one_is_replaced() {
    let (cluster, database) = (cluster().await, InfluxDb::start().await);
    cluster.namespace("redis").await;
    let settings = settings(&database, "bucketsAndTokens");
    let first = operator(&cluster, &database, &settings).await;
    cluster.application(&redis()).await;
    cluster.owns(&DEPLOYED).await;
    let found = has_tokens(&cluster, &database, &[REDIS]).await;
    let secrets = Api::<Secret>::namespaced(cluster.client.clone(), "redis");
    let name = secrets.list(&ListParams::default()).await.expect("list").items[0].name_any();
    let edit = json!({"data": {"influx-token": "bWluZQ=="}});
    cluster.edit("redis", "", "Secret", &name, &edit).await;
    assert_eq!(has_tokens(&cluster, &database, &[REDIS]).await, found);
    let before = mark(&cluster, "redis", "telegraf-redis").await;

    // A second operator adopts the tokens.
    first.stop();
    let second = operator(&cluster, &database, &settings).await;
    eventually(|| async {
        let done = second.metric("telewarden_reconciles_total{result=\"unchanged\"}").await;
        done.map(drop).ok_or("nothing was compared".to_owned())
    })
    .await;
    assert_eq!(has_tokens(&cluster, &database, &[REDIS]).await, found);
    assert_eq!(mark(&cluster, "redis", "telegraf-redis").await, before);

    // A deleted Secret may have leaked, so its token is revoked.
    cluster.delete("redis", "", "Secret", &name).await;
    eventually(|| async {
        let alive = database.write(&found[REDIS], "square", "redis").await;
        (alive == 401)
            .then_some(())
            .ok_or_else(|| format!("the old token: {alive}"))
    })
    .await;
    let new = has_tokens(&cluster, &database, &[REDIS]).await;
    assert_ne!(new, found);
    // The pods restart with the new token.
    eventually(|| async {
        let now = mark(&cluster, "redis", "telegraf-redis").await;
        (now != before).then_some(()).ok_or("the same pods".to_owned())
    })
    .await;

    // The same while no operator runs.
    second.stop();
    cluster.delete("redis", "", "Secret", &name).await;
    let third = operator(&cluster, &database, &settings).await;
    eventually(|| async {
        let alive = database.write(&new[REDIS], "square", "redis").await;
        (alive == 401)
            .then_some(())
            .ok_or_else(|| format!("the old token: {alive}"))
    })
    .await;
    has_tokens(&cluster, &database, &[REDIS]).await;

    // A source and its Secret are deleted while no operator runs.
    third.stop();
    let name = secrets.list(&ListParams::default()).await.expect("list").items[0].name_any();
    cluster.delete_application("redis").await;
    cluster.delete("redis", "", "Secret", &name).await;
    cluster.delete("redis", "", "ConfigMap", "telegraf-redis").await;
    cluster.delete("redis", "apps", "Deployment", "telegraf-redis").await;
    let _fourth = operator(&cluster, &database, &settings).await;
    has_tokens(&cluster, &database, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_secret_revokes_nothing() {
    let (cluster, database) = (cluster().await, InfluxDb::start().await);
    for name in ["redis", "evil"] {
        cluster.namespace(name).await;
    }
    let settings = settings(&database, "bucketsAndTokens");
    let first = operator(&cluster, &database, &settings).await;
    cluster.application(&redis()).await;
    let found = has_tokens(&cluster, &database, &[REDIS]).await;
    let secrets = Api::<Secret>::namespaced(cluster.client.clone(), "redis");
    let real = secrets
        .list(&ListParams::default())
        .await
        .expect("list")
        .items
        .remove(0);
    // A tenant copies the labels and annotations of the real Secret.
    let forged = json!({
        "apiVersion": "v1", "kind": "Secret", "data": {"influx-token": "bWluZQ=="},
        "metadata": {
            "name": real.name_any(), "namespace": "evil", "labels": real.labels(), "annotations": real.annotations(),
        },
    });
    cluster.put(&forged).await;
    for_a_while(|| async {
        let alive = database.write(&found[REDIS], "square", "redis").await;
        (alive == 204).then_some(()).ok_or_else(|| format!("{alive}"))
    })
    .await;
    first.stop();
    cluster.put(&forged).await;
    let _second = operator(&cluster, &database, &settings).await;
    for_a_while(|| async {
        let alive = database.write(&found[REDIS], "square", "redis").await;
        (alive == 204).then_some(()).ok_or_else(|| format!("{alive}"))
    })
    .await;
    assert_eq!(has_tokens(&cluster, &database, &[REDIS]).await, found);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_bucket_or_organization_is_another_token() {
    let (cluster, database) = (cluster().await, InfluxDb::start().await);
    cluster.namespace("redis").await;
    database.create_organization("round").await;
    let mut settings = settings(&database, "bucketsAndTokens");
    let _operator = operator(&cluster, &database, &settings).await;
    cluster.application(&redis()).await;
    let first = has_tokens(&cluster, &database, &[REDIS]).await;
    settings["classes"]["default"]["outputs"]["influxdb_v2"][0]["bucket"] = json!("eu/{bucket}");
    cluster.settings(&settings);
    has_buckets(&database, &["eu/redis", "redis"]).await;
    eventually(|| async {
        let alive = database.write(&first[REDIS], "square", "redis").await;
        (alive == 401).then_some(()).ok_or_else(|| format!("{alive}"))
    })
    .await;
    let second = has_tokens(&cluster, &database, &[REDIS]).await;
    assert_eq!(database.write(&second[REDIS], "square", "eu/redis").await, 204);

    // Two organizations, one for each class.
    let gold = output(&database, "round");
    settings["classes"]["gold"] = json!({"outputs": {"influxdb_v2": [gold]}, "retention": "2d"});
    cluster.settings(&settings);
    cluster.namespace("gold").await;
    let mut application = Application::named("gold")
        .annotated(&annotation("gold", &["server"]))
        .object();
    application["metadata"]["annotations"]["telegraf.influxdata.com/class"] = json!("gold");
    cluster.put(&application).await;
    let gold = "argoproj.io/Application/argocd/gold";
    let found = has_tokens(&cluster, &database, &[gold, REDIS]).await;
    assert_eq!(database.buckets("round").await, BTreeSet::from(["gold".to_owned()]));
    assert_eq!(database.write(&found[gold], "round", "gold").await, 204);
    assert_eq!(database.write(&found[REDIS], "square", "eu/redis").await, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_standalone_each_source_has_a_token_of_its_own() {
    let (cluster, database) = (cluster().await, InfluxDb::start().await);
    for name in ["telegraf", "redis", "shop"] {
        cluster.namespace(name).await;
    }
    let mut settings = settings(&database, "bucketsAndTokens");
    settings["topology"] = json!("standalone");
    let _operator = operator(&cluster, &database, &settings).await;
    cluster.application(&redis()).await;
    cluster
        .application(&Application::named("shop").annotated(&annotation("shop", &["server"])))
        .await;
    has_buckets(&database, &["redis", "shop"]).await;
    eventually(|| async {
        let (found, known) = (tokens(&cluster).await.len(), database.authorizations().await.len());
        (found == 2 && known == 2)
            .then_some(())
            .ok_or_else(|| format!("{found} tokens, {known} authorizations"))
    })
    .await;
    let before = tokens(&cluster).await;
    cluster.delete_application("redis").await;
    eventually(|| async {
        let (found, known) = (tokens(&cluster).await, database.authorizations().await.len());
        (found.len() == 1 && known == 1)
            .then_some(())
            .ok_or_else(|| format!("{} tokens, {known}", found.len()))
    })
    .await;
    let left = tokens(&cluster).await;
    let (key, token) = left.iter().next().expect("one");
    assert_eq!(before.get(key), Some(token));
    assert_eq!(database.write(token, "square", "shop").await, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_standalone_sources_that_share_a_bucket_share_a_token() {
    let (cluster, database) = (cluster().await, InfluxDb::start().await);
    for name in ["telegraf", "redis", "shop"] {
        cluster.namespace(name).await;
    }
    let mut settings = settings(&database, "bucketsAndTokens");
    settings["topology"] = json!("standalone");
    settings["classes"]["default"]["outputs"]["influxdb_v2"][0]["bucket"] = json!("metrics");
    let _operator = operator(&cluster, &database, &settings).await;
    cluster.application(&redis()).await;
    cluster
        .application(&Application::named("shop").annotated(&annotation("shop", &["server"])))
        .await;
    has_buckets(&database, &["metrics"]).await;
    // Both are in the configuration, and there is one token.
    let has = async |names: &[&str]| {
        eventually(|| async {
            let map = cluster.config_map("telegraf", "telegraf").await;
            let files = map.and_then(|map| map.data).unwrap_or_default();
            let is_there = |name: &&str| files.contains_key(&format!("application.argocd.{name}.conf"));
            let (tokens, known) = (tokens(&cluster).await.len(), database.authorizations().await.len());
            let found = names.iter().filter(|name| is_there(name)).count();
            let is_so = found == names.len() && files.len() == names.len() + 1 && (tokens, known) == (1, 1);
            is_so
                .then_some(())
                .ok_or_else(|| format!("{:?}, {tokens} tokens, {known} authorizations", files.keys()))
        })
        .await;
    };
    has(&["redis", "shop"]).await;
    let before = tokens(&cluster).await;
    cluster.delete_application("redis").await;
    has(&["shop"]).await;
    assert_eq!(tokens(&cluster).await, before, "the other one keeps it");
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_of_two_clusters_share_an_organization() {
    let database = InfluxDb::start().await;
    let settings = settings(&database, "bucketsAndTokens");
    let (one, other) = (cluster().await, cluster().await);
    let mut operators = Vec::new();
    for cluster in [&one, &other] {
        cluster.namespace("redis").await;
        cluster.application(&redis()).await;
        operators.push(operator(cluster, &database, &settings).await);
        cluster.owns(&DEPLOYED).await;
    }
    for_a_while(|| async {
        let mut statuses = Vec::new();
        for cluster in [&one, &other] {
            let tokens = tokens(cluster).await;
            let token = tokens.get(REDIS).ok_or("no token")?;
            statuses.push(database.write(token, "square", "redis").await);
        }
        (statuses == [204, 204])
            .then_some(())
            .ok_or_else(|| format!("{statuses:?}"))
    })
    .await;
    // One of them goes, and leaves the other's.
    one.delete_application("redis").await;
    eventually(|| async {
        let left = database.authorizations().await.len();
        (left == 1)
            .then_some(())
            .ok_or_else(|| format!("{left} authorizations"))
    })
    .await;
    let token = tokens(&other).await[REDIS].clone();
    assert_eq!(database.write(&token, "square", "redis").await, 204);
}
