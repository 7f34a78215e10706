//! The hostile annotations with `influxdb.provide: bucketsAndTokens`, on a real API server and a real InfluxDB: nobody gets a
//! token for a bucket that is not theirs, and who is refused gets none.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use telewarden_e2e_operator::{Cluster, InfluxDb, Operator, eventually};
use telewarden_e2e_telegraf::{
    Attempt, application, attempts, bucket_of, grants, merged, on_loopback, outputs_to, providing,
};

/// The source whose bucket the others may want.
const VICTIM: &str = "argoproj.io/Application/argocd/other";

async fn operator(cluster: &Cluster, database: &InfluxDb, topology: &str, own: &Value) -> Operator {
    let settings = json!({
        "topology": topology,
        "endpoints": {"hosts": ["127.0.0.1"]},
        "influxdb": {"provide": "bucketsAndTokens"},
    });
    let settings = merged(merged(on_loopback(), outputs_to(&database.url())), settings);
    let settings = match own {
        Value::Null => settings,
        own => merged(settings, own.clone()),
    };
    providing(cluster, database, &settings).await
}

/// Puts a source for each attempt that the API server accepts. Returns those that get a token, with their buckets.
async fn put_all(cluster: &Cluster, attempts: &[&Attempt]) -> BTreeMap<String, String> {
    let mut expected = BTreeMap::from([(VICTIM.to_owned(), "other".to_owned())]);
    cluster.namespace("other").await;
    cluster
        .put(&application("other", "web: http://127.0.0.1:80/metrics"))
        .await;
    for attempt in attempts {
        let name = attempt.name();
        cluster.namespace(&name).await;
        let mut source = application(&name, "");
        source["metadata"]["annotations"] = attempt.annotations("127.0.0.1:80").into();
        let is_put = cluster.try_put(&source).await.is_ok();
        if is_put && attempt.says == "harmless" {
            let identity = format!("argoproj.io/Application/argocd/{name}");
            let bucket = bucket_of(&identity);
            expected.insert(identity, bucket);
        }
    }
    expected
}

async fn nobody_gets_another_ones_bucket(topology: &str) {
    let attempts = attempts();
    let (cluster, database) = (Cluster::start().await, InfluxDb::start().await);
    cluster
        .create_all(include_str!("../../../deploy/operator/rbac-influxdb.yaml"))
        .await;
    cluster.namespace("telegraf").await;
    let all_settings: BTreeSet<String> = attempts.iter().map(|attempt| attempt.settings.to_string()).collect();
    let mut given = 0;
    for settings in all_settings {
        let settings: Value = serde_json::from_str(&settings).expect("JSON");
        let same: Vec<&Attempt> = attempts.iter().filter(|attempt| attempt.settings == settings).collect();
        let operator = operator(&cluster, &database, topology, &settings).await;
        let expected = put_all(&cluster, &same).await;
        has_exactly(&cluster, &database, &operator, &expected).await;
        // What is refused changes nothing either when everything is looked at again.
        operator.stop();
        let operator = self::operator(&cluster, &database, topology, &settings).await;
        has_exactly(&cluster, &database, &operator, &expected).await;

        let found = grants(&cluster, &database).await.expect("the tokens");
        for (source, grant) in &found {
            let own = database.write(&grant.token, "square", &grant.bucket).await;
            assert_eq!(own, 204, "{source} writes its own bucket");
            if source != VICTIM {
                let other = database.write(&grant.token, "square", "other").await;
                assert_eq!(other, 403, "{source} writes the bucket of {VICTIM}");
            }
        }
        given += found.len() - 1;
        // The next ones find nothing.
        for name in same.iter().map(|attempt| attempt.name()).chain(["other".to_owned()]) {
            let api = cluster.of("argocd", "argoproj.io", "v1alpha1", "Application");
            let _ = api.delete(&name, &Default::default()).await;
        }
        has_exactly(&cluster, &database, &operator, &BTreeMap::new()).await;
        operator.stop();
    }
    println!("{topology}: {} attempts, {given} of which got a token", attempts.len());
    assert!(given >= 30, "{given}");
}

/// Waits until the authorizations in the database are those of these sources.
async fn has_exactly(cluster: &Cluster, database: &InfluxDb, operator: &Operator, expected: &BTreeMap<String, String>) {
    operator.is_quiet().await;
    eventually(|| async {
        let found = grants(cluster, database).await?;
        let found: BTreeMap<_, _> = found
            .into_iter()
            .map(|(source, grant)| (source, grant.bucket))
            .collect();
        let differ: Vec<_> = expected
            .iter()
            .filter(|(source, bucket)| found.get(*source) != Some(bucket))
            .chain(found.iter().filter(|(source, _)| !expected.contains_key(*source)))
            .collect();
        differ.is_empty().then_some(()).ok_or_else(|| format!("{differ:?}"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_the_bucket_of_another_one() {
    nobody_gets_another_ones_bucket("application").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "slow: `make e2e-nightly` runs it"]
async fn nor_does_anybody_where_each_endpoint_has_a_telegraf() {
    nobody_gets_another_ones_bucket("endpoint").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_does_anybody_in_a_telegraf_for_all() {
    nobody_gets_another_ones_bucket("standalone").await;
}
