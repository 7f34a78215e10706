//! Bad endpoints and a database in trouble: what Telegraf does, and that one endpoint does not cost another its metrics.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};
use telewarden_e2e_telegraf::{
    Body, Database, Exporter, Recorder, Reply, Request, Server, Telegraf, application, eventually, free_port, merged,
    on_loopback, outputs_to, render, whole,
};

/// Runs a bad endpoint beside a good one, until the good one has been scraped often after the bad one was asked.
fn beside_a_good_one(bad: &Value, asked: impl Fn() -> bool) -> (Telegraf, Recorder) {
    let database = Recorder::answering(|_| Reply::empty(204));
    let good = Exporter::of("x 1\n");
    let settings = merged(on_loopback(), outputs_to(&database.url()));
    let annotation = json!({"bad": bad, "good": good.url()}).to_string();
    let mut telegraf = Telegraf::start(&whole(render(&settings, &[application("argocd", &annotation)])));
    eventually("the bad endpoint is asked", || {
        asked().then_some(()).ok_or_else(|| telegraf.log())
    });
    (0..4).for_each(|_| good.await_scrape());
    let before = points(&database, "prometheus_good");
    eventually("points of the good endpoint", || {
        (points(&database, "prometheus_good") >= before + 2)
            .then_some(())
            .ok_or_else(|| telegraf.log())
    });
    telegraf.process().assert_runs();
    assert_eq!(telegraf.health(), Ok(()));
    (telegraf, database)
}

fn points(database: &Recorder, measurement: &str) -> usize {
    database.lines(&format!("{measurement},"))
}

/// A server that always answers the same, beside a good endpoint.
fn answering(reply: impl Fn() -> Reply + Send + Sync + 'static) -> (Telegraf, Recorder) {
    let server = Server::start(move |_| reply());
    beside_a_good_one(&server.url("/metrics").into(), || server.count() > 0)
}

fn assert_said(telegraf: &Telegraf, what: &str) {
    eventually(what, || {
        telegraf
            .log()
            .contains(what)
            .then_some(())
            .ok_or_else(|| telegraf.log())
    });
}

#[test]
fn an_endpoint_that_is_down() {
    let url = format!("http://127.0.0.1:{}/metrics", free_port());
    let (telegraf, _) = beside_a_good_one(&url.into(), || true);
    assert_said(&telegraf, "connection refused");
}

#[test]
fn an_endpoint_that_is_slow() {
    let reply = || Reply {
        status: 200,
        headers: Vec::new(),
        body: Body::Never,
    };
    let server = Server::start(move |_| reply());
    let bad = json!({"url": server.url("/metrics"), "timeout": "500ms"});
    let (telegraf, database) = beside_a_good_one(&bad, || server.count() > 0);
    assert_said(&telegraf, "Client.Timeout");
    assert_eq!(points(&database, "prometheus_bad"), 0);
}

/// Telegraf's own timeout is five seconds.
#[test]
fn an_endpoint_that_is_slow_and_has_no_timeout_of_its_own() {
    let (telegraf, _) = answering(|| Reply {
        status: 200,
        headers: Vec::new(),
        body: Body::Never,
    });
    assert_said(&telegraf, "Client.Timeout");
}

#[test]
fn an_endpoint_that_answers_500() {
    let (telegraf, database) = answering(|| Reply::new(500, "text/plain", "x 1\n"));
    assert_said(&telegraf, "returned HTTP status");
    assert_eq!(points(&database, "prometheus_bad"), 0);
}

#[test]
fn an_endpoint_that_answers_html() {
    let (telegraf, database) = answering(|| Reply::new(200, "text/html", "<html><body>Please log in</body></html>"));
    assert_said(&telegraf, "error reading metrics");
    assert_eq!(points(&database, "prometheus_bad"), 0);
}

/// The default memory limit of the pod is 256 MiB.
#[test]
fn an_endpoint_that_answers_a_gigabyte() {
    let (mut telegraf, database) = answering(|| Reply {
        status: 200,
        headers: vec![("Content-Type", "text/plain".to_owned())],
        body: Body::Repeated("some_metric_with_a_name{and=\"a label\"} 1\n", 1 << 30),
    });
    assert_said(&telegraf, "content length exceeded maximum body size");
    assert_eq!(points(&database, "prometheus_bad"), 0);
    let peak = telegraf.process().peak_memory().expect("its memory");
    println!("a gigabyte: peak {peak} MiB");
    assert!(peak < 256, "{peak} MiB");
}

/// A response of the maximum size fits into the pod's memory while it is parsed, and into the buffer with other
/// metrics.
#[test]
fn an_endpoint_that_answers_as_much_as_is_taken() {
    let mut text = String::new();
    for n in 0.. {
        let line = format!("some_metric_with_a_longer_name{{and=\"a label\",number=\"{n}\"}} {n}\n");
        if text.len() + line.len() > 5_000_000 {
            break;
        }
        text += &line;
    }
    let server = Server::start(move |_| Reply::new(200, "text/plain", text.clone()));
    // The default minimum interval.
    let bad = json!({"url": server.url("/metrics"), "interval": "10s"});
    let (mut telegraf, database) = beside_a_good_one(&bad, || server.count() > 0);
    eventually("points of the large endpoint", || {
        telegraf.process().assert_runs();
        (points(&database, "prometheus_bad") > 0)
            .then_some(())
            .ok_or_else(|| telegraf.log())
    });
    assert!(!telegraf.log().contains("overflow"), "{}", telegraf.log());
    let peak = telegraf.process().peak_memory().expect("its memory");
    println!("as much as is taken: peak {peak} MiB");
    assert!(peak < 256, "{peak} MiB");
}

/// Telegraf follows redirects, and no option prevents that. Only a NetworkPolicy limits the targets.
#[test]
fn an_endpoint_that_redirects_is_followed() {
    let other = Exporter::of("y 1\n");
    let to = other.url();
    let (_telegraf, database) = answering(move || Reply::empty(302).with("Location", to.clone()));
    assert!(other.scrapes() > 0);
    eventually("what is there", || {
        (points(&database, "prometheus_bad") > 0)
            .then_some(())
            .ok_or_else(String::new)
    });
}

/// An exporter of one metric, `n`: how often it was scraped before.
fn counting_exporter() -> Server {
    let count = AtomicU32::new(0);
    Server::start(move |_| {
        let n = count.fetch_add(1, Ordering::Relaxed);
        Reply::new(200, "text/plain", format!("n {n}\n"))
    })
}

/// An exporter that counts its scrapes, and a database that answers with an error status for a while. Everything
/// that was scraped in the meantime arrives.
fn nothing_is_lost(trouble: &'static (impl Fn() -> Reply + Sync)) -> Telegraf {
    let exporter = counting_exporter();
    let status = Arc::new(AtomicU16::new(0));
    let told = Arc::clone(&status);
    let database = Recorder::answering(move |_: &Request| match told.load(Ordering::Relaxed) {
        0 => trouble(),
        status => Reply::empty(status),
    });
    let settings = merged(on_loopback(), outputs_to(&database.url()));
    let annotation = format!("x: {}", exporter.url("/metrics"));
    let mut telegraf = Telegraf::start(&whole(render(&settings, &[application("argocd", &annotation)])));
    eventually("scrapes and refused writes", || {
        telegraf.process().assert_runs();
        let counts = (exporter.count(), database.count());
        (counts.0 >= 6 && counts.1 >= 2)
            .then_some(())
            .ok_or_else(|| format!("{counts:?}\n{}", telegraf.log()))
    });
    assert_eq!(telegraf.health(), Ok(()), "it lives, whatever the database does");
    let refused = database.count();
    let scraped = exporter.count();
    status.store(204, Ordering::Relaxed);
    eventually("everything that was scraped", || {
        telegraf.process().assert_runs();
        let taken = database.writes().split_off(refused);
        let values: BTreeSet<String> = taken
            .iter()
            .flat_map(|write| &write.points)
            .filter_map(|point| point.fields.get("n").cloned())
            .collect();
        let missing: Vec<_> = (0..scraped).filter(|n| !values.contains(&n.to_string())).collect();
        missing
            .is_empty()
            .then_some(())
            .ok_or_else(|| format!("missing {missing:?}\n{}", telegraf.log()))
    });
    telegraf
}

#[test]
fn a_database_that_refuses_the_token() {
    let telegraf =
        nothing_is_lost(&|| Reply::new(401, "application/json", r#"{"code":"unauthorized","message":"no"}"#));
    assert_said(&telegraf, "401");
}

#[test]
fn a_database_that_is_down() {
    let telegraf = nothing_is_lost(&|| Reply::empty(503));
    assert_said(&telegraf, "503");
}

#[test]
fn a_database_that_asks_for_patience() {
    let telegraf = nothing_is_lost(&|| Reply::empty(429).with("Retry-After", "2"));
    assert_said(&telegraf, "429");
}

/// The real database is stopped, so connections are refused. A restart takes a minute, and most of an hour's metrics
/// fit into
/// the buffer.
#[test]
fn a_database_that_is_gone_for_a_minute() {
    let mut database = Database::start(&["argocd"]);
    let exporter = counting_exporter();
    let settings = merged(on_loopback(), outputs_to(&database.url()));
    let annotation = format!("x: {}", exporter.url("/metrics"));
    let rendered = whole(render(&settings, &[application("argocd", &annotation)]));
    let mut telegraf = Telegraf::start(&database.given(rendered));
    let kept = |database: &Database| -> BTreeSet<usize> {
        let series = database.series("argocd");
        let of_exporter = series.iter().filter(|series| series.name == "prometheus_x_n");
        of_exporter
            .flat_map(|series| &series.values)
            .map(|&n| n as usize)
            .collect()
    };
    eventually("the first metrics", || {
        (kept(&database).len() >= 2).then_some(()).ok_or_else(|| telegraf.log())
    });
    database.stop();
    let stopped = exporter.count();
    sleep(Duration::from_secs(60));
    telegraf.process().assert_runs();
    assert_eq!(telegraf.health(), Ok(()), "it lives, whatever the database does");
    assert_said(&telegraf, "connection refused");
    let scraped = exporter.count();
    assert!(scraped > stopped + 10, "{stopped} scrapes, then {scraped}");
    database.start_again();
    eventually("everything that was scraped", || {
        telegraf.process().assert_runs();
        let kept = kept(&database);
        let missing: Vec<_> = (0..scraped).filter(|n| !kept.contains(n)).collect();
        missing
            .is_empty()
            .then_some(())
            .ok_or_else(|| format!("missing {missing:?}\n{}", telegraf.log()))
    });
}

/// Metrics that do not fit into the buffer are lost, the oldest first.
#[test]
fn a_buffer_that_is_full() {
    let text: String = (0..50).map(|n| format!("x{{n=\"{n}\"}} 1\n")).collect();
    let exporter = Exporter::of(&text);
    let database = Recorder::answering(|_| Reply::empty(503));
    let settings = merged(on_loopback(), outputs_to(&database.url()));
    let agent = json!({"metric_buffer_limit": 60, "metric_batch_size": 20});
    let settings = merged(settings, json!({"classes": {"default": {"agent": agent}}}));
    let annotation = format!("x: {}", exporter.url());
    let telegraf = Telegraf::start(&whole(render(&settings, &[application("argocd", &annotation)])));
    assert_said(&telegraf, "Metric buffer overflow");
}
