//! Endpoints that do not answer.

use serde_json::json;
use telewarden_e2e_operator::{Application, eventually};
use telewarden_e2e_telegraf::{Recorder, Reply, Telegraf, free_port, merged, on_loopback, outputs_to};

use crate::parts::{
    cluster, deployed, failures, install_reports, node_exporter, operator, operator_with, pod, reports_say, runs, says,
    status, watching, writes_of_reports,
};

/// Rows: `Service … does not exist`, `Service … has no port …`, `no pod behind Service … is ready`, `it has no pod`, `it runs an
/// older configuration`, `the scrape fails`, Event `EndpointDown`.
#[tokio::test(flavor = "multi_thread")]
async fn an_exporter_that_stops_and_a_service_that_is_renamed_are_told() {
    let cluster = cluster().await;
    let recorder = Recorder::answering(|_| Reply::new(204, "text/plain", ""));
    let settings = merged(on_loopback(), outputs_to(&recorder.url()));
    install_reports(&cluster).await;
    let operator = operator_with(&cluster, &settings, &["--reports"]).await;
    let address = format!("127.0.0.1:{}", free_port());
    let exporter = node_exporter(&address);
    let annotation = format!(
        "load: http://{address}/metrics\nqueue: http://queue.shop.svc:9121/metrics\n\
         port: http://queue-metrics.shop.svc:9122/metrics\nidle: http://queue-metrics.shop.svc:9121/metrics\n"
    );
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "queue-metrics", "namespace": "shop"},
        "spec": {"ports": [{"port": 9121}]},
    });
    cluster.put(&service).await;
    cluster
        .application(&Application::named("shop").annotated(&annotation))
        .await;
    let deployed = deployed(&cluster, "shop/telegraf-shop").await;
    assert_eq!(says(&cluster, &operator, "argocd/shop", &["it has no pod"]).await, 1);
    let mut telegraf = Telegraf::start(&deployed);
    pod(&cluster, &deployed, "telegraf-shop", runs()).await;

    // One works, and the others' Service has another name, another port, and nobody behind it.
    let texts = [
        "endpoint load up",
        "endpoint queue failing",
        "Service `queue` in namespace `shop` does not exist",
        "`queue-metrics`",
        "has no port 9122",
        "no pod behind Service `queue-metrics`",
    ];
    assert_eq!(says(&cluster, &operator, "argocd/shop", &texts).await, 1);
    let note = cluster.event("shop", "ServiceNotFound").await;
    assert!(
        note.contains("endpoint queue (http://queue.shop.svc:9121/metrics)") && note.contains("`queue-metrics`"),
        "{note}"
    );
    let note = cluster.event("shop", "EndpointDown").await;
    assert!(note.contains("it has never answered"), "{note}");

    // Those are taken out of the annotation: all is well when Telegraf has taken that up.
    cluster
        .application(&Application::named("shop").annotated(&format!("load: http://{address}/metrics\n")))
        .await;
    cluster.is_as_rendered(&settings).await;
    let says_old = ["it runs an older configuration"];
    assert_eq!(says(&cluster, &operator, "argocd/shop", &says_old).await, 1);
    telegraf.reconfigure(&self::deployed(&cluster, "shop/telegraf-shop").await);
    let output = status(&cluster, &operator, &["shop", "--wait", "5m"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let state = "telewarden_endpoint_states{state=\"up\"}";
    eventually(|| async {
        let up = operator.metric(state).await;
        (up == Some(1.0)).then_some(()).ok_or_else(|| format!("{up:?}"))
    })
    .await;

    let report = reports_say(&cluster, "shop", &["load: pass"]).await;
    assert_eq!(report["summary"]["pass"], 1, "{report:#}");
    assert_eq!(report["scope"]["kind"], "Application", "{report:#}");

    // The exporter stops,
    let watching = watching(&cluster, &operator, &["shop"]);
    drop(exporter);
    assert_eq!(
        says(&cluster, &operator, "argocd/shop", &["endpoint load failing"]).await,
        1
    );
    eventually(|| async {
        let note = cluster.event("shop", "EndpointDown").await;
        note.contains("endpoint load").then_some(()).ok_or(note)
    })
    .await;
    let series = format!(
        "telewarden_endpoint_failing{{source=\"argoproj.io/Application/argocd/shop\",endpoint=\"load\",url=\"http://{address}/metrics\"}}"
    );
    assert_eq!(operator.metric(&series).await, Some(1.0));
    eventually(|| async {
        let shown = watching.log();
        (shown.contains("failing") && shown.contains("the scrape fails"))
            .then_some(())
            .ok_or(shown)
    })
    .await;
    drop(watching);
    let report = reports_say(&cluster, "shop", &["load: fail"]).await;
    let message = report["results"][0]["message"].as_str().unwrap_or_default();
    assert!(message.contains("the scrape fails"), "{report:#}");
    // an operator that starts again knows it and tells nobody again,
    let told = cluster.events("shop").await.len();
    let written = writes_of_reports(&cluster);
    assert!(operator.stop().success());
    let operator = operator_with(&cluster, &settings, &["--reports"]).await;
    says(&cluster, &operator, "argocd/shop", &["endpoint load failing"]).await;
    assert_eq!(
        cluster.events("shop").await.len(),
        told,
        "{:#?}",
        cluster.events("shop").await
    );
    let failed = failures(&cluster, &operator, "argocd/shop", 1).await;
    failures(&cluster, &operator, "argocd/shop", failed + 5).await;
    assert_eq!(writes_of_reports(&cluster), written, "a Report was written again");
    // and the exporter starts again.
    let _exporter = node_exporter(&address);
    says(&cluster, &operator, "argocd/shop", &["endpoint load up"]).await;
    let note = cluster.event("shop", "EndpointUp").await;
    assert!(
        note.contains("endpoint load") && note.contains("answers again"),
        "{note}"
    );
    reports_say(&cluster, "shop", &["load: pass"]).await;
    drop(telegraf);
}

/// Row: `Service … does not exist`, Event `ServiceNotFound`: somebody renames the Service of an endpoint that was up. There is no
/// cluster DNS here that would forget the name, so the exporter goes away with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_renamed_is_told_with_its_new_name() {
    let cluster = cluster().await;
    let recorder = Recorder::answering(|_| Reply::new(204, "text/plain", ""));
    let settings = merged(on_loopback(), outputs_to(&recorder.url()));
    let operator = operator(&cluster, &settings).await;
    let port = free_port();
    let service = |name: &str| {
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "shop"},
            "spec": {"ports": [{"port": port}]},
        })
    };
    cluster.put(&service("web")).await;
    let exporter = node_exporter(&format!("127.0.0.1:{port}"));
    // `run` lets this name lead to loopback.
    let annotation = format!("web: http://web.shop.svc:{port}/metrics\n");
    cluster
        .application(&Application::named("shop").annotated(&annotation))
        .await;
    let deployed = deployed(&cluster, "shop/telegraf-shop").await;
    let _telegraf = Telegraf::start(&deployed);
    pod(&cluster, &deployed, "telegraf-shop", runs()).await;
    let output = status(&cluster, &operator, &["shop", "--wait", "5m"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));

    cluster.put(&service("web-server")).await;
    cluster.delete("shop", "", "Service", "web").await;
    drop(exporter);
    let texts = [
        "endpoint web failing",
        "Service `web` in namespace `shop` does not exist",
        "`web-server`",
    ];
    assert_eq!(says(&cluster, &operator, "shop", &texts).await, 1);
    let note = cluster.event("shop", "ServiceNotFound").await;
    assert!(note.contains("There are `web-server`"), "{note}");
}
