//! What a Telegraf tells about itself, also an older one, and one that several sources share.

use serde_json::json;
use telewarden_e2e_operator::Application;
use telewarden_e2e_telegraf::{
    Exporter, IMAGES, Recorder, Reply, Telegraf, application, free_port, get, merged, on_loopback, outputs_to, render,
    whole,
};

use crate::parts::{
    cluster, deployed, install_reports, node_exporter, operator, operator_with, pod, reports_say, runs, says, status,
};

const STATUS: &str = "127.0.0.1:8889";

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

/// Telegraf before 1.39 counts errors of an input, and not of each URL.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_telegraf_tells_what_it_knows() {
    let cluster = cluster().await;
    let recorder = Recorder::answering(|_| Reply::new(204, "text/plain", ""));
    let older = json!({"pod": {"image": IMAGES[0]}});
    let settings = merged(merged(on_loopback(), outputs_to(&recorder.url())), older);
    let operator = operator(&cluster, &settings).await;
    let address = format!("127.0.0.1:{}", free_port());
    let exporter = node_exporter(&address);
    let annotation = format!("load: http://{address}/metrics\ndead: http://127.0.0.1:1/metrics\n");
    cluster
        .application(&Application::named("shop").annotated(&annotation))
        .await;
    let of_shop = deployed(&cluster, "shop/telegraf-shop").await;
    let _telegraf = Telegraf::start(&of_shop);
    pod(&cluster, &of_shop, "telegraf-shop", runs()).await;
    let texts = ["endpoint load up", "endpoint dead failing", "the scrape fails"];
    assert_eq!(says(&cluster, &operator, "shop", &texts).await, 1);
    let note = cluster.event("shop", "EndpointDown").await;
    assert!(note.contains("endpoint dead"), "{note}");
    drop(exporter);
    says(&cluster, &operator, "shop", &["endpoint load failing"]).await;
    let _exporter = node_exporter(&address);
    says(&cluster, &operator, "shop", &["endpoint load up"]).await;
}

/// In `standalone` each source sees its own endpoints, and the Telegraf and the outputs that it shares.
#[tokio::test(flavor = "multi_thread")]
async fn sources_that_share_a_telegraf_see_their_own_endpoints() {
    let cluster = cluster().await;
    cluster.namespace("telegraf").await;
    let recorder = Recorder::answering(|_| Reply::new(204, "text/plain", ""));
    let settings = merged(on_loopback(), outputs_to(&recorder.url()));
    let settings = merged(settings, json!({"topology": "standalone"}));
    install_reports(&cluster).await;
    let operator = operator_with(&cluster, &settings, &["--reports"]).await;
    let address = format!("127.0.0.1:{}", free_port());
    let _exporter = node_exporter(&address);
    for (name, port) in [("shop", address.as_str()), ("mail", "127.0.0.1:1")] {
        let annotation = format!("load: http://{port}/metrics\n");
        cluster
            .application(&Application::named(name).annotated(&annotation))
            .await;
    }
    cluster.is_as_rendered(&settings).await;
    let shared = deployed(&cluster, "telegraf/telegraf").await;
    let _telegraf = Telegraf::start(&shared);
    pod(&cluster, &shared, "telegraf", runs()).await;
    assert_eq!(says(&cluster, &operator, "mail", &["endpoint load failing"]).await, 1);
    says(&cluster, &operator, "shop", &["endpoint load up"]).await;
    let output = status(&cluster, &operator, &["shop", "--wait", "5m"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let output = status(&cluster, &operator, &["shop", "--output", "wide"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("telegraf telegraf/telegraf"), "{text}");
    // Each one's Report is in its own namespace.
    reports_say(&cluster, "shop", &["load: pass"]).await;
    reports_say(&cluster, "mail", &["load: fail"]).await;
    let note = cluster.event("mail", "EndpointDown").await;
    assert!(note.contains("endpoint load"), "{note}");
    assert!(
        cluster
            .events("shop")
            .await
            .iter()
            .all(|event| event.reason.as_deref() != Some("EndpointDown"))
    );
}
