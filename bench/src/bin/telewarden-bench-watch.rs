//! Compares Telegraf's ways to watch its configuration while the kubelet changes it ten times in a row. Started by
//! `bench/watch`; the results are in `docs/faults.md`.
#![forbid(unsafe_code)]

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::json;
use telewarden_e2e_telegraf::{
    Exporter, Recorder, Reply, Telegraf, application, merged, on_loopback, outputs_to, render, whole,
};

fn main() {
    let database = Recorder::answering(|_| Reply::empty(204));
    let exporter = Exporter::of("x 1\n");
    let ways: [&[&str]; 5] = [
        &["--watch-config", "notify"],
        &["--watch-config", "notify", "--watch-debounce-interval", "1s"],
        &["--watch-config", "poll"],
        &["--watch-config", "poll", "--watch-interval", "1s"],
        &[
            "--watch-config",
            "poll",
            "--watch-interval",
            "1s",
            "--watch-debounce-interval",
            "1s",
        ],
    ];
    for topology in ["application", "standalone"] {
        let settings = merged(on_loopback(), outputs_to(&database.url()));
        let settings = merged(settings, json!({"topology": topology}));
        let version = |n: u32| {
            let answer = render(
                &settings,
                &[application("argocd", &format!("x{n}: {}", exporter.url()))],
            );
            answer.shared.clone().unwrap_or_else(|| whole(answer))
        };
        for way in ways {
            let mut telegraf = Telegraf::start_watching(&version(0), way);
            let mut arrived = 0;
            for n in 1..=10 {
                let before = telegraf.loads();
                telegraf.reconfigure(&version(n));
                let deadline = Instant::now() + Duration::from_secs(6);
                while Instant::now() < deadline && telegraf.loads() == before {
                    sleep(Duration::from_millis(50));
                }
                sleep(Duration::from_millis(1500));
                let name = format!("prometheus_x{n}");
                let points = database.points();
                arrived += usize::from(points.values().flatten().any(|point| point.measurement == name));
            }
            let loads = telegraf.loads() - 1;
            let lives = telegraf.process().ended().is_none();
            println!(
                "{topology}, {}: {arrived} of 10 changes arrived, {loads} reloads, lives: {lives}",
                way.join(" ")
            );
        }
    }
}
