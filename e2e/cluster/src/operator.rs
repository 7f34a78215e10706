//! The operator, installed with the chart.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::{Kind, Node, eventually, name_of};

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

/// Installs the chart, or upgrades it, and waits until the operator's pod has these settings.
///
/// # Panics
/// If Helm refuses it.
pub async fn install_operator(node: &Node, settings: Value) {
    let values = json!({
        "image": {"repository": "telewarden.test/telewarden-operator", "tag": "1"},
        "replicas": 1,
        "settings": &settings,
        "influxdbToken": {"secret": "influxdb-administrator"},
        "status": {"interval": 5},
    });
    let (before, took_up) = (configured(node).await, changes(node).await);
    let old: Vec<_> = operators(node).await.iter().map(name_of).collect();
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
    let pods = operators(node).await;
    if configured(node).await == before || pods.iter().all(|pod| !old.contains(&name_of(pod))) {
        return;
    }
    // The kubelet would need up to a minute and a half to update the volume. It looks at once at a pod that changes.
    for pod in pods {
        let annotations = json!({"telewarden.test/settings": settings.to_string()});
        node.merge(
            Kind::POD,
            "telewarden",
            &name_of(&pod),
            json!({"metadata": {"annotations": annotations}}),
        )
        .await;
    }
    eventually("the operator takes up its settings", || async {
        match changes(node).await {
            now if now > took_up => Ok(()),
            now => Err(format!("it has done so {now} times")),
        }
    })
    .await;
}

/// The settings in the operator's ConfigMap.
async fn configured(node: &Node) -> Value {
    let found = node.get(Kind::CONFIG_MAP, "telewarden", "telewarden-operator").await;
    found.map(|object| object["data"].clone()).unwrap_or_default()
}

/// How often the operator says that its settings have changed.
async fn changes(node: &Node) -> usize {
    let mut changes = 0;
    for pod in operators(node).await {
        let log = node.log("telewarden", &name_of(&pod)).await;
        changes += log.matches("the settings have changed").count();
    }
    changes
}

/// The operator's pods.
pub async fn operators(node: &Node) -> Vec<Value> {
    node.list(Kind::POD, "telewarden", "app.kubernetes.io/name=telewarden-operator")
        .await
}
