//! An API server that is down.

use serde_json::Value;
use telewarden_e2e_operator::{Application, eventually};
use telewarden_e2e_telegraf::{Telegraf, free_port, on_loopback};

use crate::parts::{cluster, deployed, node_exporter, operator, pod, runs, says};

/// The Event of a fault that happens meanwhile is sent when it is there again, by the same operator or by one that has started
/// again because it could not renew its Lease.
#[tokio::test(flavor = "multi_thread")]
async fn what_happens_meanwhile_is_told_afterwards() {
    let mut cluster = cluster().await;
    let mut operator = operator(&cluster, &on_loopback()).await;
    let address = format!("127.0.0.1:{}", free_port());
    let exporter = node_exporter(&address);
    let annotation = format!("load: http://{address}/metrics\n");
    cluster
        .application(&Application::named("shop").annotated(&annotation))
        .await;
    let deployed = deployed(&cluster, "shop/telegraf-shop").await;
    let _telegraf = Telegraf::start(&deployed);
    pod(&cluster, &deployed, "telegraf-shop", runs()).await;
    says(&cluster, &operator, "shop", &["endpoint load up"]).await;

    cluster.kill_api_server();
    drop(exporter);
    eventually(|| async {
        let Some((_, answer)) = operator.get("/status").await else {
            return Ok(());
        };
        let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
        let failures = answer["sources"][0]["endpoints"][0]["failures"].as_u64();
        (failures >= Some(5)).then_some(()).ok_or(format!("{answer:#}"))
    })
    .await;
    cluster.restart_api_server(&[]).await;
    if !operator.runs() {
        operator = self::operator(&cluster, &on_loopback()).await;
    }
    let note = cluster.event("shop", "EndpointDown").await;
    assert!(note.contains("endpoint load"), "{note}");
    says(&cluster, &operator, "shop", &["endpoint load failing"]).await;
}
