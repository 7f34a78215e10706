//! A database that cannot be had, for a while.

use std::time::Duration;

use serde_json::json;
use telewarden_e2e_operator::{
    ADMINISTRATOR, Application, Cluster, InfluxDb, Troubled, annotation, eventually, for_a_while, redis,
};

use crate::provided::{DEPLOYED, REDIS, cluster, has_tokens, operator, settings};

/// Puts an Application that is deployed to the namespace with its name, which must exist.
async fn put(cluster: &Cluster, name: &str) {
    let application = Application::named(name).annotated(&annotation(name, &["server"]));
    cluster.application(&application).await;
}

/// Puts one whose metrics go to no database.
async fn put_without_database(cluster: &Cluster, name: &str) {
    let application = Application::named(name).annotated(&annotation(name, &["server"]));
    let mut object = application.object();
    object["metadata"]["annotations"]["telegraf.influxdata.com/class"] = json!("files");
    cluster.put(&object).await;
}

/// The sources that are added within the minute.
const NEW: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_down_for_a_minute_holds_up_only_who_needs_it() {
    let (cluster, mut database) = (cluster().await, InfluxDb::start().await);
    for name in NEW.iter().chain(&["redis", "files"]) {
        cluster.namespace(name).await;
    }
    let mut settings = settings(&database, "bucketsAndTokens");
    settings["classes"]["files"] = json!({"outputs": {"file": [{"files": ["stdout"]}]}});
    let operator = operator(&cluster, &database, &settings).await;
    cluster.application(&redis()).await;
    let found = has_tokens(&cluster, &database, &[REDIS]).await;
    database.stop();

    // New sources wait, and an Event tells each why. Running sources, and those that need no database, are not affected.
    for name in NEW {
        put(&cluster, name).await;
        let note = cluster.event(name, "NotProvided").await;
        assert!(note.contains("cannot be reached"), "{note}");
        tokio::time::sleep(Duration::from_secs(60) / NEW.len() as u32).await;
    }
    put_without_database(&cluster, "files").await;
    cluster
        .application(&redis().annotated(&annotation("redis", &["server", "other"])))
        .await;
    let files = ["ConfigMap files/telegraf-files", "Deployment files/telegraf-files"];
    cluster.owns(&[DEPLOYED, files].concat()).await;
    let map = cluster
        .config_map("redis", "telegraf-redis")
        .await
        .and_then(|map| map.data);
    assert!(
        map.expect("data")["telegraf.conf"].contains("other.redis"),
        "a change is applied"
    );
    assert!(
        operator
            .metric("telewarden_influxdb_failures_total{reason=\"unreachable\"}")
            .await
            > Some(0.0)
    );

    database.start_again().await;
    let new = NEW.map(|name| format!("argoproj.io/Application/argocd/{name}"));
    let mut sources: Vec<&str> = new.iter().map(String::as_str).chain([REDIS]).collect();
    sources.sort_unstable();
    let back = has_tokens(&cluster, &database, &sources).await;
    assert_eq!(back[REDIS], found[REDIS]);
    for name in NEW {
        let told = cluster.events(name).await;
        let told = told
            .iter()
            .filter(|event| event.reason.as_deref() == Some("NotProvided"));
        assert_eq!(told.count(), 1, "one Event for {name}");
    }
}

/// It takes connections, and answers nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_hangs_holds_up_only_who_needs_it() {
    let (cluster, database) = (cluster().await, InfluxDb::start().await);
    for name in ["redis", "shop", "files"] {
        cluster.namespace(name).await;
    }
    let mut settings = settings(&database, "bucketsAndTokens");
    settings["classes"]["files"] = json!({"outputs": {"file": [{"files": ["stdout"]}]}});
    let operator = operator(&cluster, &database, &settings).await;
    cluster.application(&redis()).await;
    has_tokens(&cluster, &database, &[REDIS]).await;
    cluster.owns(&DEPLOYED).await;

    // Only a token is missing.
    database.create_bucket("shop", 30 * 86400).await;
    database.hangs();
    put(&cluster, "shop").await;
    put_without_database(&cluster, "files").await;
    let files = ["ConfigMap files/telegraf-files", "Deployment files/telegraf-files"];
    cluster.owns(&[DEPLOYED, files].concat()).await;
    let note = cluster.event("shop", "NotProvided").await;
    assert!(note.contains("does not answer within"), "{note}");
    assert!(
        operator
            .metric("telewarden_influxdb_failures_total{reason=\"timeout\"}")
            .await
            > Some(0.0)
    );

    database.goes_on();
    // It has done after all what it was told, or not. There is one token for each in both cases.
    has_tokens(&cluster, &database, &[REDIS, "argoproj.io/Application/argocd/shop"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_asks_to_be_left_alone_is_left_alone() {
    let (cluster, database) = (cluster().await, InfluxDb::start().await);
    for name in ["redis", "shop"] {
        cluster.namespace(name).await;
    }
    let proxy = Troubled::before(&database).await;
    let mut settings = settings(&database, "bucketsAndTokens");
    settings["classes"]["default"]["outputs"]["influxdb_v2"][0]["urls"] = json!([proxy.url()]);
    proxy.retry_after(3600);
    let first = operator(&cluster, &database, &settings).await;
    put(&cluster, "redis").await;
    let note = cluster.event("redis", "NotProvided").await;
    assert!(note.contains("429"), "{note}");
    let requests = proxy.requests();
    put(&cluster, "shop").await;
    let note = cluster.event("shop", "NotProvided").await;
    assert!(note.contains("429"), "{note}");
    // Without `Retry-After` it would be asked again after 2 s at most.
    for _ in 0..2 {
        for_a_while(|| async {
            let now = proxy.requests();
            (now == requests)
                .then_some(())
                .ok_or_else(|| format!("{requests} requests, then {now}"))
        })
        .await;
    }
    let failures = "telewarden_influxdb_failures_total{reason=\"throttled\"}";
    assert_eq!(first.metric(failures).await, Some(1.0));
    first.stop();

    // When the time is over, everything is made up for.
    proxy.retry_after(2);
    let second = operator(&cluster, &database, &settings).await;
    eventually(|| async {
        let failed = second.metric(failures).await;
        (failed > Some(0.0)).then_some(()).ok_or("not throttled".to_owned())
    })
    .await;
    proxy.retry_after(0);
    has_tokens(&cluster, &database, &[REDIS, "argoproj.io/Application/argocd/shop"]).await;
}

/// The database has made a token, and its answer is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_nobody_got_is_found_and_revoked() {
    let (cluster, database) = (cluster().await, InfluxDb::start().await);
    for name in ["redis", "shop"] {
        cluster.namespace(name).await;
    }
    let proxy = Troubled::before(&database).await;
    let mut settings = settings(&database, "bucketsAndTokens");
    settings["classes"]["default"]["outputs"]["influxdb_v2"][0]["urls"] = json!([proxy.url()]);
    let _operator = operator(&cluster, &database, &settings).await;
    put(&cluster, "redis").await;
    let before = has_tokens(&cluster, &database, &[REDIS]).await;
    proxy.lose_an_answer();
    put(&cluster, "shop").await;
    cluster.event("shop", "NotProvided").await;
    assert!(!proxy.is_about_to_lose(), "nothing was lost");
    let after = has_tokens(&cluster, &database, &[REDIS, "argoproj.io/Application/argocd/shop"]).await;
    assert_eq!(after[REDIS], before[REDIS], "others keep theirs");
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
