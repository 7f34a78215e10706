//! Databases that do not take what is written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use telewarden_e2e_operator::{ADMINISTRATOR, Application, InfluxDb};
use telewarden_e2e_telegraf::{Exporter, Recorder, Reply, Telegraf, merged, on_loopback, outputs_to};

use crate::parts::{cluster, deployed, operator, pod, runs, says, status};

/// Rows: `metrics are lost` with Event `MetricsDropped`, and `Secret … does not exist`.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_bucket_and_a_missing_secret_are_told() {
    let cluster = cluster().await;
    let database = InfluxDb::start().await;
    let output = json!({
        "urls": [database.url()], "organization": "square", "bucket": "{bucket}", "token": ADMINISTRATOR,
    });
    let settings = json!({"classes": {"default": {"outputs": {"influxdb_v2": [output]}}}});
    let operator = operator(&cluster, &merged(on_loopback(), settings)).await;
    // A sample that is not a number cannot be written, which is no fault.
    let exporter = Exporter::of("# TYPE queue_length gauge\nqueue_length 7\n# TYPE quantile gauge\nquantile NaN\n");
    let annotation = format!("queue: {}\n", exporter.url());
    for name in ["shop", "mail"] {
        cluster
            .application(&Application::named(name).annotated(&annotation))
            .await;
    }
    // The kubelet cannot start one of them,
    let of_mail = deployed(&cluster, "mail/telegraf-mail").await;
    let waiting = json!({"reason": "CreateContainerConfigError", "message": "secret \"telegraf\" not found"});
    pod(
        &cluster,
        &of_mail,
        "telegraf-mail",
        json!({"state": {"waiting": waiting}}),
    )
    .await;
    assert_eq!(
        says(
            &cluster,
            &operator,
            "mail",
            &["Secret `telegraf` does not exist in namespace `mail`"]
        )
        .await,
        1
    );
    let note = cluster.event("mail", "TelegrafNotRunning").await;
    assert!(note.contains("Secret `telegraf` does not exist"), "{note}");
    // and the other one's bucket does not exist.
    let of_shop = deployed(&cluster, "shop/telegraf-shop").await;
    let _telegraf = Telegraf::start(&of_shop);
    pod(&cluster, &of_shop, "telegraf-shop", runs()).await;
    assert_eq!(
        says(&cluster, &operator, "shop", &["endpoint queue up", "metrics are lost"]).await,
        1
    );
    let note = cluster.event("shop", "MetricsDropped").await;
    assert!(
        note.contains("influxdb_v2-1") && note.contains("metrics are lost"),
        "{note}"
    );
    // When somebody makes it, all is well.
    database.create_bucket("shop", 86400).await;
    let output = status(&cluster, &operator, &["shop", "--wait", "5m"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// Row: `metrics are lost`, Event `MetricsDropped`: the bucket was there, and somebody takes it away.
#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_taken_away_is_told() {
    let cluster = cluster().await;
    let database = InfluxDb::start().await;
    database.create_bucket("shop", 86400).await;
    let output = json!({
        "urls": [database.url()], "organization": "square", "bucket": "{bucket}", "token": ADMINISTRATOR,
    });
    let settings = json!({"classes": {"default": {"outputs": {"influxdb_v2": [output]}}}});
    let operator = operator(&cluster, &merged(on_loopback(), settings)).await;
    let exporter = Exporter::of("# TYPE queue_length gauge\nqueue_length 7\n");
    cluster
        .application(&Application::named("shop").annotated(&format!("queue: {}\n", exporter.url())))
        .await;
    let of_shop = deployed(&cluster, "shop/telegraf-shop").await;
    let _telegraf = Telegraf::start(&of_shop);
    pod(&cluster, &of_shop, "telegraf-shop", runs()).await;
    let output = status(&cluster, &operator, &["shop", "--wait", "5m"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));

    database.delete_bucket("shop").await;
    let texts = ["endpoint queue up", "output influxdb_v2-1 failing", "metrics are lost"];
    assert_eq!(says(&cluster, &operator, "shop", &texts).await, 1);
    let note = cluster.event("shop", "MetricsDropped").await;
    assert!(note.contains("influxdb_v2-1"), "{note}");
}

/// Row: `the database takes nothing`, and when the buffer is full, `metrics are lost`.
#[tokio::test(flavor = "multi_thread")]
async fn a_buffer_that_fills_is_told() {
    let cluster = cluster().await;
    // A database that is too busy, and one that is there again.
    let is_busy = Arc::new(AtomicBool::new(true));
    let busy = is_busy.clone();
    let recorder = Recorder::answering(move |_| match busy.load(Ordering::Relaxed) {
        true => Reply::new(503, "text/plain", ""),
        false => Reply::new(204, "text/plain", ""),
    });
    let small = json!({"classes": {"default": {"agent": {"metric_batch_size": 10, "metric_buffer_limit": 40}}}});
    let settings = merged(merged(on_loopback(), outputs_to(&recorder.url())), small);
    let operator = operator(&cluster, &settings).await;
    // One scrape nearly fills the buffer, and the next one, half a minute later, is too much.
    let queues: String = (0..37)
        .map(|queue| format!("queue_length{{queue=\"{queue}\"}} 7\n"))
        .collect();
    let exporter = Exporter::of(&format!("# TYPE queue_length gauge\n{queues}"));
    let annotation = format!("queue: {{url: \"{}\", interval: 30s}}\n", exporter.url());
    cluster
        .application(&Application::named("shop").annotated(&annotation))
        .await;
    let of_shop = deployed(&cluster, "shop/telegraf-shop").await;
    let _telegraf = Telegraf::start(&of_shop);
    pod(&cluster, &of_shop, "telegraf-shop", runs()).await;

    assert_eq!(
        says(
            &cluster,
            &operator,
            "shop",
            &["the database takes nothing", "37 of 40 metrics wait"]
        )
        .await,
        1
    );
    let note = cluster.event("shop", "MetricsDropped").await;
    assert!(note.contains("metrics are lost"), "{note}");
    is_busy.store(false, Ordering::Relaxed);
    let output = status(&cluster, &operator, &["shop", "--wait", "5m"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
