//! VictoriaMetrics, which accepts Prometheus remote write.

use std::collections::BTreeMap;

use serde::Deserialize;
use telewarden_e2e_operator::Series;

use crate::http::{get, send};
use crate::process::{Process, eventually, free_port};

/// A database on loopback that accepts Prometheus remote write.
#[derive(Debug)]
pub struct RemoteWrite {
    _process: Process,
    address: String,
}

impl RemoteWrite {
    /// Starts an empty one, and waits until it answers.
    ///
    /// # Panics
    /// If it does not.
    pub fn start() -> Self {
        let address = format!("127.0.0.1:{}", free_port());
        let process = Process::start(&crate::part("victoria-metrics"), |command, folder| {
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

        // Makes all writes visible.
        get(&self.address, "/internal/force_flush").expect("the database answers");
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
}
