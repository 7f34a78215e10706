//! VictoriaMetrics, which accepts Prometheus remote write, scrapes as Prometheus does, and answers PromQL.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};
use telewarden_e2e_operator::Series;

use crate::http::{get, send};
use crate::process::{Process, eventually, free_port};

/// A Prometheus on loopback.
#[derive(Debug)]
pub struct VictoriaMetrics {
    _process: Process,
    address: String,
}

impl VictoriaMetrics {
    /// Starts an empty one that scrapes `/metrics` at these addresses, and waits until it answers.
    ///
    /// # Panics
    /// If it does not.
    pub fn start(targets: &[&str]) -> Self {
        let scrapes = json!({
            "global": {"scrape_interval": "1s"},
            "scrape_configs": [{"job_name": "targets", "static_configs": [{"targets": targets}]}],
        });
        let address = format!("127.0.0.1:{}", free_port());
        let process = Process::start(&crate::part("victoria-metrics"), |command, folder| {
            if !targets.is_empty() {
                let file = folder.join("scrape.yaml");
                std::fs::write(&file, scrapes.to_string()).expect("a file in a temporary folder");
                command.arg(format!("-promscrape.config={}", file.display()));
            }
            command.arg(format!("-storageDataPath={}", folder.join("data").display()));
            command.arg(format!("-httpListenAddr={address}"));
            command.args(["-search.latencyOffset=0s", "-search.disableCache"]);
        });
        eventually("the database", || match get(&address, "/health") {
            Ok((200, _)) => Ok(()),
            other => Err(format!("{other:?}\n{}", process.log())),
        });
        Self {
            _process: process,
            address,
        }
    }

    /// The address.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// All series.
    ///
    /// # Panics
    /// If the database does not answer.
    pub fn series(&self) -> Vec<Series> {
        #[derive(Deserialize)]
        struct Line {
            metric: BTreeMap<String, String>,
            values: Vec<f64>,
        }

        self.flush();
        let form = b"match[]={__name__!=\"\"}";
        let (status, text) = send(&self.address, "POST", "/api/v1/export", form).expect("the database answers");
        assert_eq!(status, 200, "{text}");
        let line = |line| {
            let Line { mut metric, values } = serde_json::from_str(line).expect("the database writes JSON");
            let name = metric.remove("__name__").unwrap_or_default();
            Series {
                name,
                tags: metric,
                values,
            }
        };
        let mut series: Vec<_> = text.lines().map(line).collect();
        series.sort_by(|a, b| (&a.name, &a.tags).cmp(&(&b.name, &b.tags)));
        series
    }

    /// The latest value of each series that matches a query.
    ///
    /// # Panics
    /// If the database does not answer.
    pub fn query(&self, query: &str) -> Vec<f64> {
        self.flush();
        let form = format!("query={query}");
        let (status, text) =
            send(&self.address, "POST", "/api/v1/query", form.as_bytes()).expect("the database answers");
        assert_eq!(status, 200, "{text}");
        let answer: Value = serde_json::from_str(&text).expect("the database writes JSON");
        let results = answer["data"]["result"].as_array().cloned().unwrap_or_default();
        let value = |result: Value| result["value"][1].as_str()?.parse().ok();
        results.into_iter().filter_map(value).collect()
    }

    /// Makes all writes visible to queries.
    fn flush(&self) {
        get(&self.address, "/internal/force_flush").expect("the database answers");
    }
}
