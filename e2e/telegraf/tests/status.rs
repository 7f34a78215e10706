//! Whether what was applied works, from the real Telegraf to the status, Events and metrics. There are no nodes: a test writes what
//! a kubelet would say of a pod, and the real Telegraf answers at the pod's address.

use std::process::Output;

use serde_json::{Value, json};
use telewarden_e2e_operator::{ADMIN, ADMINISTRATOR, Application, Cluster, InfluxDb, Operator, eventually};
use telewarden_e2e_telegraf::{
    Exporter, Process, Recorder, Reply, Telegraf, application, free_port, get, merged, on_loopback, outputs_to, part,
    render, whole,
};
use telewarden_policy::protocol::{Configuration, Rendered};

const STATUS: &str = "127.0.0.1:8889";

async fn cluster() -> Cluster {
    let cluster = Cluster::start().await;
    cluster
        .create_all(include_str!("../../../deploy/operator/rbac-status.yaml"))
        .await;
    for namespace in ["shop", "mail"] {
        cluster.namespace(namespace).await;
    }
    cluster
}

async fn operator(cluster: &Cluster, settings: &Value) -> Operator {
    let path = cluster.settings(settings);
    let path = path.to_str().expect("a path");
    cluster.operator(&["--settings", path, "--status-interval", "1"]).await
}

/// What is deployed, when it is.
async fn deployed(cluster: &Cluster, name: &str) -> Rendered {
    eventually(|| async {
        let owned = cluster.owned().await;
        owned
            .contains(&format!("Deployment {name}"))
            .then_some(())
            .ok_or(format!("{owned:?}"))
    })
    .await;
    let (_, name) = name.split_once('/').expect("a namespace and a name");
    Rendered {
        objects: cluster.owned_by("telewarden").await,
        configurations: vec![Configuration {
            name: name.to_owned(),
            files: Default::default(),
            status: None,
        }],
        ..Rendered::default()
    }
}

/// A pod of a Deployment, and what a kubelet says of it.
async fn pod(cluster: &Cluster, deployed: &Rendered, name: &str, container: Value) {
    let mut objects = deployed.objects.iter();
    let deployment = objects.find(|object| object["kind"] == "Deployment" && object["metadata"]["name"] == name);
    let deployment = deployment.expect("a Deployment");
    let template = &deployment["spec"]["template"];
    let namespace = deployment["metadata"]["namespace"].as_str().expect("a namespace");
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": template["metadata"]["labels"]},
        "spec": template["spec"],
    });
    cluster.put(&pod).await;
    let mut status = json!({"name": "telegraf", "image": "telegraf", "imageID": "", "ready": false, "restartCount": 0});
    status
        .as_object_mut()
        .expect("a map")
        .extend(container.as_object().expect("a map").clone());
    let status = json!({"status": {"phase": "Running", "podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}], "containerStatuses": [status]}});
    cluster.write_status(namespace, "Pod", name, &status).await;
}

fn runs() -> Value {
    json!({"ready": true, "started": true, "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}})
}

/// The command `status`.
fn status(cluster: &Cluster, operator: &Operator, arguments: &[&str]) -> Output {
    let url = operator.url("");
    cluster.command_of(ADMIN, &[&["status", "--operator", &url], arguments].concat())
}

/// Waits until the command says this of a source, and answers its exit code.
async fn says(cluster: &Cluster, operator: &Operator, source: &str, texts: &[&str]) -> i32 {
    let code = std::sync::atomic::AtomicI32::new(-1);
    eventually(|| async {
        let output = status(cluster, operator, &[source]);
        let text = String::from_utf8_lossy(&output.stdout);
        let text = text
            .split(' ')
            .filter(|word| !word.is_empty())
            .collect::<Vec<_>>()
            .join(" ");
        code.store(output.status.code().unwrap_or(-1), std::sync::atomic::Ordering::Relaxed);
        let is_there = texts.iter().all(|expected| text.contains(expected));
        is_there
            .then_some(())
            .ok_or_else(|| format!("{text}{}", String::from_utf8_lossy(&output.stderr)))
    })
    .await;
    code.into_inner()
}

fn node_exporter(address: &str) -> Process {
    Process::start(&part("prometheus-node-exporter"), |command, _| {
        command.arg(format!("--web.listen-address={address}"));
        command.args(["--collector.disable-defaults", "--collector.loadavg"]);
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exporter_that_stops_and_a_service_that_is_renamed_are_told() {
    let cluster = cluster().await;
    let recorder = Recorder::answering(|_| Reply::new(204, "text/plain", ""));
    let settings = merged(on_loopback(), outputs_to(&recorder.url()));
    let operator = operator(&cluster, &settings).await;
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

    // The exporter stops,
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
    // an operator that starts again knows it and tells nobody again,
    let told = cluster.events("shop").await.len();
    assert!(operator.stop().success());
    let operator = self::operator(&cluster, &settings).await;
    says(&cluster, &operator, "argocd/shop", &["endpoint load failing"]).await;
    assert_eq!(
        cluster.events("shop").await.len(),
        told,
        "{:#?}",
        cluster.events("shop").await
    );
    // and the exporter starts again.
    let _exporter = node_exporter(&address);
    says(&cluster, &operator, "argocd/shop", &["endpoint load up"]).await;
    drop(telegraf);
}

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

/// What Telegraf tells about itself reaches no output of the settings, and what it scrapes cannot pretend to be it.
#[test]
fn its_own_state_stays_at_its_port() {
    let recorder = Recorder::answering(|_| Reply::new(204, "text/plain", ""));
    let exporter = Exporter::of("# TYPE queue_length gauge\nqueue_length{telewarden_status=\"x\"} 7\n");
    let source = application("shop", &format!("queue: {}", exporter.url()));
    let rendered = whole(render(&merged(on_loopback(), outputs_to(&recorder.url())), &[source]));
    let telegraf = Telegraf::start(&rendered);
    let page =
        telewarden_e2e_telegraf::eventually("the scrape in Telegraf's own state", || match get(STATUS, "/metrics") {
            Ok((200, page)) if page.contains("status=\"success\"") => Ok(page),
            other => Err(format!("{other:?}\n{}", telegraf.log())),
        });
    let digest = rendered.configurations[0].status.as_ref().expect("a digest");
    assert!(
        page.lines()
            .filter(|line| !line.starts_with('#'))
            .all(|line| { line.starts_with("internal_") && line.contains(&format!("telewarden_status=\"{digest}\"")) }),
        "{page}"
    );
    let points = telewarden_e2e_telegraf::eventually("a point", || match recorder.points() {
        points if points.is_empty() => Err(telegraf.log()),
        points => Ok(points.into_values().flatten().collect::<Vec<_>>()),
    });
    assert!(
        points
            .iter()
            .all(|point| !point.measurement.starts_with("internal_") && !point.tags.contains_key("telewarden_status")),
        "{points:?}"
    );
    assert!(
        points.iter().any(|point| point.fields.contains_key("queue_length")),
        "{points:?}"
    );
}
