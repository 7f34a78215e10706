//! Who has a token for which bucket, as the database and the cluster say.

use std::collections::BTreeMap;

use serde_json::Value;
use telewarden_e2e_operator::{Cluster, InfluxDb, Operator};

/// The token of a source.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The bucket that it can write.
    pub bucket: String,
    /// The token.
    pub token: String,
}

/// The tokens by source. Each can write one bucket and do nothing else, is in the Secret that its authorization names, and
/// nothing else is in the operator's Secrets.
///
/// # Errors
/// What is not so.
pub async fn grants(cluster: &Cluster, database: &InfluxDb) -> Result<BTreeMap<String, Grant>, String> {
    let mut in_secrets: BTreeMap<String, String> = BTreeMap::new();
    for secret in cluster.owned_secrets().await {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let metadata = &secret["metadata"];
        let (namespace, name) = (text(&metadata["namespace"]), text(&metadata["name"]));
        for (key, token) in secret["stringData"].as_object().into_iter().flatten() {
            in_secrets.insert(format!("{namespace} {name} {key}"), text(token));
        }
    }
    let mut grants = BTreeMap::new();
    for authorization in database.authorizations().await {
        let words: Vec<&str> = authorization.description.splitn(4, ' ').collect();
        let [_, _, source, place] = words.as_slice() else {
            return Err(format!("a description is {:?}", authorization.description));
        };
        if in_secrets.remove(*place).as_ref() != Some(&authorization.token) {
            return Err(format!("{source} has a token that is not in {place}"));
        }
        let [permission] = authorization.permissions.as_slice() else {
            return Err(format!("{source} has {:?}", authorization.permissions));
        };
        let Some(bucket) = permission.strip_prefix("write buckets ") else {
            return Err(format!("{source} can {permission}"));
        };
        let grant = Grant {
            bucket: bucket.to_owned(),
            token: authorization.token,
        };
        if grants.insert((*source).to_owned(), grant).is_some() {
            return Err(format!("{source} has two tokens"));
        }
    }
    match in_secrets.is_empty() {
        true => Ok(grants),
        false => Err(format!("unknown tokens are in {:?}", in_secrets.keys())),
    }
}

/// The bucket of a source, which no other source has: derived from its name without the core.
///
/// # Panics
/// If it is not a source's name.
pub fn bucket_of(source: &str) -> String {
    let words: Vec<&str> = source.split('/').collect();
    let plain = |text: &str| text.replace('-', "_");
    match words.as_slice() {
        ["Namespace", name] => format!("Namespace:{}", plain(name)),
        ["argoproj.io", "Application", "argocd", name] => plain(name),
        ["argoproj.io", "Application", namespace, name] => format!("{}:{}", plain(namespace), plain(name)),
        _ => panic!("{source} is not a source"),
    }
}

/// Starts an operator that provides in a database, and needs no Lease.
///
/// # Panics
/// If it does not start.
pub async fn providing(cluster: &Cluster, database: &InfluxDb, settings: &Value) -> Operator {
    let (settings, token) = (cluster.settings(settings), database.token_file());
    let arguments = [
        "--settings",
        settings.to_str().expect("a path"),
        "--influxdb-token-file",
        token.to_str().expect("a path"),
        "--no-leader-election",
    ];
    cluster.operator(&arguments).await
}
