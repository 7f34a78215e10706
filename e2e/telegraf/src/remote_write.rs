//! VictoriaMetrics, which accepts InfluxDB v2's write requests.

use std::collections::BTreeMap;

use serde::Deserialize;
use tempfile::TempDir;

use crate::http::{get, send};
use crate::process::{Process, eventually, free_port};

/// A time series database on loopback.
#[derive(Debug)]
pub struct Database {
    process: Option<Process>,
    address: String,
    folder: TempDir,
}

/// A series with all its values.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// `<measurement>_<field>`
    pub name: String,
    /// The tags.
    pub tags: BTreeMap<String, String>,
    /// The values in order.
    pub values: Vec<f64>,
}

impl Database {
    /// Starts an empty database, and waits until it answers.
    ///
    /// # Panics
    /// If it does not.
    pub fn start() -> Self {
        let mut database = Self {
            process: None,
            address: format!("127.0.0.1:{}", free_port()),
            folder: tempfile::tempdir().expect("a temporary folder"),
        };
        database.start_again();
        database
    }

    /// Stops it, so that connections are refused.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.stop();
        }
    }

    /// Restarts it with the same address and data, and waits until it answers.
    ///
    /// # Panics
    /// If it does not.
    pub fn start_again(&mut self) {
        let process = Process::start(&crate::part("victoria-metrics"), |command, _| {
            command.arg(format!("-storageDataPath={}", self.folder.path().display()));
            command.arg(format!("-httpListenAddr={}", self.address));
            command.args(["-search.latencyOffset=0s", "-search.disableCache"]);
        });
        eventually("the database", || match get(&self.address, "/health") {
            Ok((200, _)) => Ok(()),
            other => Err(format!("{other:?}\n{}", process.log())),
        });
        self.process = Some(process);
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
        let answer: serde_json::Value = serde_json::from_str(&text).expect("the database writes JSON");
        let results = answer["data"]["result"].as_array().cloned().unwrap_or_default();
        let value = |result: serde_json::Value| result["value"][1].as_str()?.parse().ok();
        results.into_iter().filter_map(value).collect()
    }

    /// Makes all writes visible to queries.
    fn flush(&self) {
        get(&self.address, "/internal/force_flush").expect("the database answers");
    }
}
