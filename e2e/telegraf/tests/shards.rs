//! Sources of `standalone` that move to another Telegraf, in the order in which the operator writes: the new one runs before the old
//! one loses them.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use telewarden_e2e_telegraf::{
    Exporter, Recorder, Reply, Telegraf, application, eventually, merged, on_loopback, outputs_to, render,
};
use telewarden_policy::protocol::Rendered;

const INTERVAL: u64 = 10;

/// In which intervals a measurement was written, and how often in each.
fn intervals(database: &Recorder, measurement: &str) -> BTreeMap<u64, usize> {
    let mut intervals = BTreeMap::new();
    let beginning = format!("{measurement},");
    for request in database.requests() {
        let text = String::from_utf8_lossy(&request.body).into_owned();
        for line in text.lines().filter(|line| line.starts_with(&beginning)) {
            let time = line.rsplit_once(' ').and_then(|(_, time)| time.parse::<u64>().ok());
            let interval = time.expect("a time") / 1_000_000_000 / INTERVAL;
            *intervals.entry(interval).or_default() += 1;
        }
    }
    intervals
}

#[test]
fn what_moves_is_written_in_every_interval_and_twice_in_two_at_most() {
    let database = Recorder::answering(|_| Reply::empty(204));
    let shared = |shards: usize, sources: &[Value]| -> Rendered {
        let over = json!({
            "topology": "standalone",
            "standalone": {"shards": shards},
            "classes": {"default": {"agent": {"interval": format!("{INTERVAL}s")}}},
        });
        let settings = merged(merged(on_loopback(), outputs_to(&database.url())), over);
        render(&settings, sources).shared.expect("shared Telegrafs")
    };
    let exporters: Vec<_> = (0..8)
        .map(|number| Exporter::of(&format!("value {number}\n")))
        .collect();
    let sources: Vec<_> = exporters
        .iter()
        .enumerate()
        .map(|(number, exporter)| application(&format!("app-{number}"), &format!("x{number}: {}", exporter.url())))
        .collect();
    let (one, two) = (shared(1, &sources), shared(2, &sources));
    let moving = |number: &usize| {
        let new = two.configurations.iter().find(|telegraf| telegraf.name == "telegraf-1");
        let file = format!("application.argocd.app-{number}.conf");
        new.expect("a second Telegraf").files.contains_key(&file)
    };
    let moving: Vec<usize> = (0..8).filter(moving).collect();
    assert!(!moving.is_empty() && moving.len() < 8, "{moving:?}");

    let mut old = Telegraf::start_watching(&one, &["--watch-config", "poll", "--watch-interval", "1s"]);
    exporters[moving[0]].await_scrape();
    let mut new = old.start_beside(&two, "telegraf-1");
    let loads = old.loads();
    // The new one scrapes.
    exporters[moving[0]].await_scrape();
    old.reconfigure_named(&two, "telegraf");
    eventually("a reload", || {
        old.process().assert_runs();
        (old.loads() > loads).then_some(()).ok_or_else(|| old.log())
    });
    for _ in 0..3 {
        exporters[moving[0]].await_scrape();
    }
    new.process().assert_runs();
    new.process().stop();
    old.process().stop();
    for number in 0..8 {
        let written = intervals(&database, &format!("prometheus_x{number}"));
        let twice = written.values().filter(|count| **count > 1).count();
        println!(
            "app-{number}{}: {written:?}",
            if moving.contains(&number) { " (moves)" } else { "" }
        );
        assert!(written.values().all(|count| *count <= 2), "{written:?}");
        if moving.contains(&number) {
            let (first, last) = (written.keys().next().unwrap(), written.keys().last().unwrap());
            assert_eq!(
                written.len() as u64,
                last - first + 1,
                "an interval is missing: {written:?}"
            );
            assert!(written.len() > 3 && twice <= 2, "{written:?}");
        } else {
            assert_eq!(twice, 0, "{written:?}");
        }
    }
}
