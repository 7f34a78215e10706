//! Buckets and tokens in the real InfluxDB.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use telewarden_e2e_operator::{
    ADMINISTRATOR, Application, Cluster, InfluxDb, Operator, Random, annotation, eventually, for_a_while, redis,
};

/// Settings with `influxdb.provide`.
fn settings(database: &InfluxDb, provide: &str) -> Value {
    json!({
        "influxdb": {"provide": provide},
        "classes": {"default": {"outputs": {"influxdb_v2": [output(database, "square")]}}},
    })
}

fn output(database: &InfluxDb, organization: &str) -> Value {
    json!({
        "urls": [database.url()], "organization": organization, "bucket": "{bucket}", "token": "${INFLUX_TOKEN}",
    })
}

/// A cluster in which the operator may write Secrets.
async fn cluster() -> Cluster {
    let cluster = Cluster::start().await;
    cluster
        .create_all(include_str!("../../../deploy/operator/rbac-influxdb.yaml"))
        .await;
    cluster
}

/// An operator's arguments.
fn arguments(cluster: &Cluster, database: &InfluxDb, settings: &Value) -> Vec<String> {
    let path = |path: std::path::PathBuf| path.to_str().expect("a path").to_owned();
    vec![
        "--settings".to_owned(),
        path(cluster.settings(settings)),
        "--influxdb-token-file".to_owned(),
        path(database.token_file()),
    ]
}

fn as_texts(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

async fn operator(cluster: &Cluster, database: &InfluxDb, settings: &Value) -> Operator {
    let arguments = arguments(cluster, database, settings);
    cluster.operator(&as_texts(&arguments)).await
}

/// The tokens in the operator's Secrets, by source. In `standalone`, by key.
async fn tokens(cluster: &Cluster) -> BTreeMap<String, String> {
    let mut tokens = BTreeMap::new();
    for secret in cluster.owned_secrets().await {
        let source = &secret["metadata"]["annotations"]["telegraf.influxdata.com/source"];
        for (key, value) in secret["stringData"].as_object().into_iter().flatten() {
            let name = if source == "all" {
                key
            } else {
                source.as_str().expect("a source")
            };
            tokens.insert(name.to_owned(), value.as_str().expect("a token").to_owned());
        }
    }
    tokens
}

/// Waits until there are tokens for exactly these sources, each of which the database knows.
async fn has_tokens(cluster: &Cluster, database: &InfluxDb, sources: &[&str]) -> BTreeMap<String, String> {
    eventually(|| async {
        let found = tokens(cluster).await;
        let names: Vec<_> = found.keys().map(String::as_str).collect();
        let in_secrets: BTreeSet<_> = found.values().cloned().collect();
        let known: BTreeSet<_> = database.authorizations().await.into_iter().map(|of| of.token).collect();
        match names == sources && in_secrets == known && in_secrets.len() == sources.len() {
            true => Ok(()),
            false => Err(format!(
                "there are tokens for {names:?}, and {} authorizations",
                known.len()
            )),
        }
    })
    .await;
    tokens(cluster).await
}

async fn has_buckets(database: &InfluxDb, expected: &[&str]) {
    eventually(|| async {
        let found = database.buckets("square").await;
        (found.iter().eq(expected.iter().copied()))
            .then_some(())
            .ok_or_else(|| format!("the buckets are {found:?}"))
    })
    .await;
}

/// The annotations of the pods of the only Deployment in a namespace.
async fn mark(cluster: &Cluster, namespace: &str, name: &str) -> String {
    let deployment = cluster
        .of(namespace, "apps", "v1", "Deployment")
        .get(name)
        .await
        .expect("a Deployment");
    let annotations = &deployment.data["spec"]["template"]["metadata"]["annotations"];
    annotations["telegraf.influxdata.com/tokens"]
        .as_str()
        .expect("a mark")
        .to_owned()
}

const REDIS: &str = "argoproj.io/Application/argocd/redis";
const DEPLOYED: [&str; 2] = ["ConfigMap redis/telegraf-redis", "Deployment redis/telegraf-redis"];

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
    let operator = operator(&cluster, &database, &settings(&database, "bucketsAndTokens")).await;
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

    // No log, Event or metric contains a token.
    let events = format!("{:?}{:?}", cluster.events("redis").await, cluster.events("shop").await);
    let (_, metrics) = operator.get("/metrics").await.expect("metrics");
    for token in found
        .values()
        .chain(again.values())
        .map(String::as_str)
        .chain([ADMINISTRATOR])
    {
        assert!(!operator.log().contains(token), "a token is in the log");
        assert!(!events.contains(token) && !metrics.contains(token));
    }
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
async fn a_database_that_is_down_holds_up_only_who_needs_it() {
    let (cluster, mut database) = (cluster().await, InfluxDb::start().await);
    for name in ["redis", "shop", "files"] {
        cluster.namespace(name).await;
    }
    let mut settings = settings(&database, "bucketsAndTokens");
    settings["classes"]["files"] = json!({"outputs": {"file": [{"files": ["stdout"]}]}});
    let operator = operator(&cluster, &database, &settings).await;
    cluster.application(&redis()).await;
    let found = has_tokens(&cluster, &database, &[REDIS]).await;
    database.stop();

    // A new source waits, and an Event says why. Running sources, and those that need no database, are not affected.
    cluster
        .application(&Application::named("shop").annotated(&annotation("shop", &["server"])))
        .await;
    let note = cluster.event("shop", "NotProvided").await;
    assert!(note.contains("cannot be reached"), "{note}");
    let mut files = Application::named("files")
        .annotated(&annotation("files", &["server"]))
        .object();
    files["metadata"]["annotations"]["telegraf.influxdata.com/class"] = json!("files");
    cluster.put(&files).await;
    cluster
        .application(&redis().annotated(&annotation("redis", &["server", "other"])))
        .await;
    cluster
        .owns(&[
            "ConfigMap files/telegraf-files",
            "ConfigMap redis/telegraf-redis",
            "Deployment files/telegraf-files",
            "Deployment redis/telegraf-redis",
        ])
        .await;
    assert!(
        operator
            .metric("telewarden_influxdb_failures_total{reason=\"unreachable\"}")
            .await
            > Some(0.0)
    );

    database.start_again().await;
    let shop = "argoproj.io/Application/argocd/shop";
    let back = has_tokens(&cluster, &database, &[REDIS, shop]).await;
    assert_eq!(back[REDIS], found[REDIS]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_is_told_and_a_right_one_is_taken() {
    let (cluster, database) = (cluster().await, InfluxDb::start().await);
    cluster.namespace("redis").await;
    database.use_token("a-wrong-token");
    let operator = operator(&cluster, &database, &settings(&database, "bucketsAndTokens")).await;
    cluster.application(&redis()).await;
    let note = cluster.event("redis", "NotProvided").await;
    assert!(note.contains("401"), "{note}");
    assert!(
        cluster.owned().await.is_empty(),
        "nothing is deployed that cannot write"
    );
    assert!(!operator.log().contains("a-wrong-token"));
    database.use_token(ADMINISTRATOR);
    has_tokens(&cluster, &database, &[REDIS]).await;
    let told = cluster.events("redis").await;
    let told = told
        .iter()
        .filter(|event| event.reason.as_deref() == Some("NotProvided"));
    assert_eq!(told.count(), 1, "one Event");

    // An organization that does not exist.
    let mut settings = settings(&database, "bucketsAndTokens");
    settings["classes"]["default"]["outputs"]["influxdb_v2"][0]["organization"] = json!("nowhere");
    cluster.settings(&settings);
    eventually(|| async {
        let note = cluster.event("redis", "NotProvided").await;
        note.contains("no organization `nowhere`").then_some(()).ok_or(note)
    })
    .await;
}

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

/// The namespaces and the names of the Applications that are edited at random.
const RANDOM: [&str; 4] = ["a", "b", "c", "d"];

async fn edit_at_random(cluster: &Cluster, random: &mut Random) {
    let name = RANDOM[random.below(4) as usize];
    let to = RANDOM[random.below(4) as usize];
    let application = Application::named(name).to(to);
    match random.below(4) {
        0 => cluster.application(&application.annotated("")).await,
        1 => {
            let api = cluster.of("argocd", "argoproj.io", "v1alpha1", "Application");
            let _ = api.delete(name, &Default::default()).await;
        }
        _ => {
            cluster
                .application(&application.annotated(&annotation(to, &["one"])))
                .await
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_point_of_many_edits_the_authorizations_are_those_of_the_sources() {
    let (cluster, database) = (cluster().await, InfluxDb::start().await);
    for name in RANDOM {
        cluster.namespace(name).await;
    }
    let settings = settings(&database, "bucketsAndTokens");
    let mut arguments = arguments(&cluster, &database, &settings);
    // A killed operator holds the lease until it expires.
    arguments.push("--no-leader-election".to_owned());
    let arguments = as_texts(&arguments);
    let mut random = Random::new();
    let mut operator = cluster.unready_operator(&arguments);
    for edit in 0..100 {
        edit_at_random(&cluster, &mut random).await;
        if random.below(4) == 0 {
            tokio::time::sleep(Duration::from_millis(random.below(600))).await;
            operator.kill();
            operator = cluster.unready_operator(&arguments);
        }
        if edit % 25 == 24 {
            operator.is_ready().await;
            let api = cluster.of("argocd", "argoproj.io", "v1alpha1", "Application");
            let list = api.list(&ListParams::default()).await.expect("list").items;
            let annotated = list.iter().filter(|of| !of.annotations().is_empty());
            let names = annotated.map(|of| format!("argoproj.io/Application/argocd/{}", of.name_any()));
            let names: BTreeSet<String> = names.collect();
            has_tokens(
                &cluster,
                &database,
                &names.iter().map(String::as_str).collect::<Vec<_>>(),
            )
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_what_would_be_made_and_makes_nothing() {
    let (cluster, database) = (cluster().await, InfluxDb::start().await);
    cluster.namespace("redis").await;
    cluster.application(&redis()).await;
    let settings = settings(&database, "bucketsAndTokens");
    let arguments = arguments(&cluster, &database, &settings);
    let diff = || {
        let mut command = vec!["diff"];
        command.extend(as_texts(&arguments));
        let output = cluster.command(&command);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, said, log) = diff();
    assert_eq!(code, Some(1), "{said}{log}");
    assert!(
        said.contains("bucket `redis` in organization `square`") && said.contains("would be made"),
        "{said}"
    );
    assert!(
        said.contains("a token for argoproj.io/Application/argocd/redis would be made"),
        "{said}"
    );
    assert!(database.buckets("square").await.is_empty() && database.authorizations().await.is_empty());

    let operator = cluster.operator(&as_texts(&arguments)).await;
    let found = has_tokens(&cluster, &database, &[REDIS]).await;
    operator.stop();
    let (code, said, log) = diff();
    assert_eq!((code, said.as_str()), (Some(0), ""), "{log}");
    // `diff` does not show the values of a Secret that would be repaired.
    let secrets = Api::<Secret>::namespaced(cluster.client.clone(), "redis");
    let name = secrets.list(&ListParams::default()).await.expect("list").items[0].name_any();
    cluster
        .edit(
            "redis",
            "",
            "Secret",
            &name,
            &json!({"data": {"influx-token": "bWluZQ=="}}),
        )
        .await;
    cluster.delete_application("redis").await;
    let (code, said, log) = diff();
    assert_eq!(code, Some(1), "{said}{log}");
    assert!(
        said.contains("a token of argoproj.io/Application/argocd/redis would be revoked"),
        "{said}"
    );
    assert!(
        !said.contains("bWluZQ") && !log.contains("bWluZQ") && !said.contains(&found[REDIS]),
        "{said}"
    );
    assert_eq!(database.authorizations().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn apply_provides_too() {
    let (cluster, database) = (cluster().await, InfluxDb::start().await);
    cluster.namespace("redis").await;
    let file = cluster.folder().join("redis.yaml");
    std::fs::write(&file, redis().object().to_string()).expect("write a file");
    let settings = settings(&database, "bucketsAndTokens");
    let arguments = arguments(&cluster, &database, &settings);
    let mut command = vec!["apply", file.to_str().expect("a path"), "--instance", "telewarden"];
    command.extend(as_texts(&arguments));
    for expected in ["made", "unchanged"] {
        let output = cluster.command_of(telewarden_e2e_operator::ADMIN, &command);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && said.contains(expected), "{said}{log}");
        let found = has_tokens(&cluster, &database, &[REDIS]).await;
        assert_eq!(database.write(&found[REDIS], "square", "redis").await, 204);
        assert!(!said.contains(&found[REDIS]) && !log.contains(&found[REDIS]));
    }
}
