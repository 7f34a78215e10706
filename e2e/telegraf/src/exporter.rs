//! Exporters to scrape.

use std::sync::{Arc, Mutex, PoisonError};

use crate::http::{Reply, Server, get};
use crate::process::{Process, eventually, free_port};

/// The exposition format of the known values.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exposition {
    /// <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>
    Classic,
    /// <https://prometheus.io/docs/specs/om/open_metrics_spec/>
    OpenMetrics,
}

/// Metrics of each type with known values.
pub fn known_values(exposition: Exposition) -> (&'static str, &'static str) {
    match exposition {
        Exposition::Classic => (
            "text/plain; version=0.0.4; charset=utf-8",
            "# HELP queue_length How many wait.\n\
             # TYPE queue_length gauge\n\
             queue_length{queue=\"in\"} 3\n\
             queue_length{queue=\"out\"} 5\n\
             # TYPE jobs_total counter\n\
             jobs_total{code=\"200\",queue=\"in\"} 42\n\
             # TYPE job_seconds histogram\n\
             job_seconds_bucket{le=\"0.5\"} 2\n\
             job_seconds_bucket{le=\"+Inf\"} 4\n\
             job_seconds_sum 2.5\n\
             job_seconds_count 4\n",
        ),
        Exposition::OpenMetrics => (
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            "# TYPE queue_length gauge\n\
             # HELP queue_length How many wait.\n\
             queue_length{queue=\"in\"} 3\n\
             queue_length{queue=\"out\"} 5\n\
             # TYPE jobs counter\n\
             jobs_total{code=\"200\",queue=\"in\"} 42\n\
             # EOF\n",
        ),
    }
}

/// An exporter whose text a test sets and can change.
#[derive(Debug)]
pub struct Exporter {
    server: Server,
    text: Arc<Mutex<(String, String)>>,
}

impl Exporter {
    /// Serves the known values.
    pub fn known(exposition: Exposition) -> Self {
        let (content_type, text) = known_values(exposition);
        Self::serving(content_type, text)
    }

    /// Serves a text in the classic format.
    pub fn of(text: &str) -> Self {
        Self::serving("text/plain; version=0.0.4", text)
    }

    fn serving(content_type: &str, text: &str) -> Self {
        let text = Arc::new(Mutex::new((content_type.to_owned(), text.to_owned())));
        let served = Arc::clone(&text);
        let server = Server::start(move |_| {
            let (content_type, text) = &*served.lock().unwrap_or_else(PoisonError::into_inner);
            Reply::new(200, content_type, text.as_str())
        });
        Self { server, text }
    }

    /// Serves another text from now on.
    pub fn set(&self, text: &str) {
        self.text.lock().unwrap_or_else(PoisonError::into_inner).1 = text.to_owned();
    }

    /// The URL for an annotation.
    pub fn url(&self) -> String {
        self.server.url("/metrics")
    }

    /// The number of scrapes so far.
    pub fn scrapes(&self) -> usize {
        self.server.count()
    }

    /// Waits for a scrape that starts after this call.
    pub fn await_scrape(&self) {
        let before = self.scrapes();
        eventually("a scrape", || match self.scrapes() {
            now if now > before => Ok(()),
            _ => Err(format!("{before} scrapes, and no more of {}", self.url())),
        });
    }
}

/// Prometheus' node exporter with only the load collector, and its URL.
pub fn node_exporter() -> (Process, String) {
    let address = format!("127.0.0.1:{}", free_port());
    let process = Process::start(&crate::part("prometheus-node-exporter"), |command, _| {
        command.arg(format!("--web.listen-address={address}"));
        command.args(["--collector.disable-defaults", "--collector.loadavg"]);
    });
    eventually("the node exporter", || match get(&address, "/metrics") {
        Ok((200, _)) => Ok(()),
        other => Err(format!("{other:?}\n{}", process.log())),
    });
    (process, format!("http://{address}/metrics"))
}
