//! InfluxDB in a pod.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{Node, eventually};

/// The administrator's token.
const TOKEN: &str = "administrators-token-of-the-e2e-tests";
const SERVICE: &str = "influxdb/influxdb:8086";

/// The cluster's database, with the organization `square`.
pub struct Database {
    node: Node,
}

impl Database {
    /// Deploys it, or takes the one that is there. Its Service is `influxdb` in the namespace of that name, and the operator's
    /// namespace has the administrator's token.
    ///
    /// # Panics
    /// If it does not answer.
    pub async fn deploy(node: &Node) -> Self {
        for namespace in ["influxdb", "telewarden"] {
            node.namespace(namespace, json!({})).await;
        }
        node.apply(
            "apiVersion: apps/v1
kind: Deployment
metadata: {name: influxdb, namespace: influxdb}
spec:
  replicas: 1
  selector: {matchLabels: {app: influxdb}}
  template:
    metadata: {labels: {app: influxdb}}
    spec:
      automountServiceAccountToken: false
      containers:
        - name: influxdb
          image: telewarden.test/influxdb:1
          args: [--bolt-path=/data/bolt, --engine-path=/data/engine, --sqlite-path=/data/sqlite, --reporting-disabled, --log-level=error]
          env: [{name: HOME, value: /data}]
          readinessProbe: {httpGet: {path: /health, port: 8086}, periodSeconds: 1}
          volumeMounts: [{name: data, mountPath: /data}]
      volumes: [{name: data, emptyDir: {}}]
---
apiVersion: v1
kind: Service
metadata: {name: influxdb, namespace: influxdb}
spec:
  selector: {app: influxdb}
  ports: [{port: 8086}]
",
        )
        .await;
        node.put(&json!({
            "apiVersion": "v1", "kind": "Secret", "stringData": {"token": TOKEN},
            "metadata": {"name": "influxdb-administrator", "namespace": "telewarden"},
        }))
        .await;
        node.available("influxdb", "influxdb").await;
        let database = Self { node: node.clone() };
        eventually("the database is set up", || async {
            let setup = json!({
                "username": "administrator", "password": "a-long-password", "org": "square", "bucket": "first", "token": TOKEN,
            });
            match node.through_service("POST", SERVICE, "/api/v2/setup", setup).await {
                // It was set up by another test.
                Err(why) if why.contains("already been completed") => Ok(()),
                other => other.map(drop),
            }
        })
        .await;
        database
    }

    /// How many points each measurement of a bucket has, and the times of the first and the last one in seconds.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn measurements(&self, bucket: &str) -> Result<BTreeMap<String, Vec<f64>>, String> {
        // The API server keeps the header for itself. As a password the token passes.
        let query = "SELECT * FROM /.*/".replace(' ', "%20").replace('*', "%2A");
        let path = format!("/query?db={bucket}&u=e2e&p={TOKEN}&epoch=ms&q={query}");
        let answer = self.node.through_service("GET", SERVICE, &path, Value::Null).await?;
        let answer: Value = serde_json::from_str(&answer).map_err(|error| format!("{error}: {answer}"))?;
        let mut measurements = BTreeMap::new();
        for table in answer["results"][0]["series"].as_array().into_iter().flatten() {
            let rows = table["values"].as_array().into_iter().flatten();
            let mut times: Vec<f64> = rows
                .filter_map(|row| row[0].as_f64().map(|time| time / 1000.0))
                .collect();
            times.sort_by(f64::total_cmp);
            times.dedup();
            measurements.insert(table["name"].as_str().unwrap_or_default().to_owned(), times);
        }
        Ok(measurements)
    }

    /// Waits for a measurement in a bucket, and answers the times of its points.
    pub async fn has(&self, bucket: &str, measurement: &str) -> Vec<f64> {
        eventually(&format!("{measurement} is in bucket {bucket}"), || async {
            let mut found = self.measurements(bucket).await?;
            let times = found.remove(measurement);
            times.ok_or_else(|| format!("there are {:?}", found.keys()))
        })
        .await
    }
}
