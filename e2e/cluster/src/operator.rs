//! The operator, installed with the chart.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::Node;

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/chart/telewarden-operator");

/// Settings that scrape often, into the cluster's database.
///
/// # Panics
/// If `e2e/cluster/test` did not say which image Telegraf has.
pub fn settings() -> Value {
    let image = std::env::var("TELEWARDEN_CLUSTER_TELEGRAF").expect("run these tests with e2e/cluster/test");
    let output = json!({
        "urls": ["http://influxdb.influxdb.svc:8086"], "organization": "square", "bucket": "{bucket}", "token": "${INFLUX_TOKEN}",
    });
    json!({
        "classes": {"default": {
            "agent": {"interval": "2s", "flush_interval": "1s", "collection_jitter": "0s"},
            "outputs": {"influxdb_v2": [output]},
        }},
        "endpoints": {"minInterval": "1s"},
        "influxdb": {"provide": "bucketsAndTokens"},
        "pod": {"image": image},
    })
}

/// A document with another one merged into it.
pub fn merged(mut document: Value, over: Value) -> Value {
    merge(&mut document, over);
    document
}

fn merge(document: &mut Value, over: Value) {
    match (document, over) {
        (Value::Object(document), Value::Object(over)) => {
            for (name, value) in over {
                merge(document.entry(name).or_insert(Value::Null), value);
            }
        }
        (document, over) => *document = over,
    }
}

/// Installs the chart, or upgrades it, and waits for the operator's pods.
///
/// # Panics
/// If Helm refuses it.
pub async fn install_operator(node: &Node, settings: Value) {
    let values = json!({
        "image": {"repository": "telewarden.test/telewarden-operator", "tag": "1"},
        "replicas": 1,
        "settings": settings,
        "influxdbToken": {"secret": "influxdb-administrator"},
        "status": {"interval": 5},
    });
    let mut helm = Command::new(node.part("helm"))
        .env("KUBECONFIG", node.folder().join("kubeconfig"))
        .args(["upgrade", "--install", "telewarden-operator", CHART])
        .args(["--namespace", "telewarden", "--values", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("start Helm");
    let written = helm
        .stdin
        .take()
        .expect("a pipe")
        .write_all(values.to_string().as_bytes());
    written.expect("write the values");
    assert!(helm.wait().expect("wait for Helm").success(), "Helm refuses the chart");
    node.available("telewarden", "telewarden-operator").await;
}
