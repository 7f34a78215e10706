//! Settings with which the operator provides, and what it has provided.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use telewarden_e2e_operator::{Cluster, InfluxDb, Operator, eventually};

/// Settings with `influxdb.provide`.
pub(crate) fn settings(database: &InfluxDb, provide: &str) -> Value {
    json!({
        "influxdb": {"provide": provide},
        "classes": {"default": {"outputs": {"influxdb_v2": [output(database, "square")]}}},
    })
}

pub(crate) fn output(database: &InfluxDb, organization: &str) -> Value {
    json!({
        "urls": [database.url()], "organization": organization, "bucket": "{bucket}", "token": "${INFLUX_TOKEN}",
    })
}

/// A cluster in which the operator may write Secrets.
pub(crate) async fn cluster() -> Cluster {
    let cluster = Cluster::start().await;
    cluster
        .create_all(include_str!("../../../../deploy/operator/rbac-influxdb.yaml"))
        .await;
    cluster
}

/// An operator's arguments.
pub(crate) fn arguments(cluster: &Cluster, database: &InfluxDb, settings: &Value) -> Vec<String> {
    let path = |path: std::path::PathBuf| path.to_str().expect("a path").to_owned();
    vec![
        "--settings".to_owned(),
        path(cluster.settings(settings)),
        "--influxdb-token-file".to_owned(),
        path(database.token_file()),
    ]
}

pub(crate) fn as_texts(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

pub(crate) async fn operator(cluster: &Cluster, database: &InfluxDb, settings: &Value) -> Operator {
    let mut arguments = arguments(cluster, database, settings);
    // On a busy machine a short lease is lost within a minute.
    arguments.push("--no-leader-election".to_owned());
    cluster.operator(&as_texts(&arguments)).await
}

/// The tokens in the operator's Secrets, by source. In `standalone`, by key.
pub(crate) async fn tokens(cluster: &Cluster) -> BTreeMap<String, String> {
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
pub(crate) async fn has_tokens(cluster: &Cluster, database: &InfluxDb, sources: &[&str]) -> BTreeMap<String, String> {
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

pub(crate) async fn has_buckets(database: &InfluxDb, expected: &[&str]) {
    eventually(|| async {
        let found = database.buckets("square").await;
        (found.iter().eq(expected.iter().copied()))
            .then_some(())
            .ok_or_else(|| format!("the buckets are {found:?}"))
    })
    .await;
}

/// The annotations of the pods of the only Deployment in a namespace.
pub(crate) async fn mark(cluster: &Cluster, namespace: &str, name: &str) -> String {
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

pub(crate) const REDIS: &str = "argoproj.io/Application/argocd/redis";
pub(crate) const DEPLOYED: [&str; 2] = ["ConfigMap redis/telegraf-redis", "Deployment redis/telegraf-redis"];
