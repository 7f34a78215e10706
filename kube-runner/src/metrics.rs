//! The operator's metrics, in OpenMetrics format.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::status::{State, States};

/// The metrics and their registry.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    reconciles: Family<Result, Counter>,
    errors: Family<Reason, Counter>,
    writes: Family<Verb, Counter>,
    module_call: Histogram,
    influxdb_made: Family<What, Counter>,
    influxdb_failures: Family<Reason, Counter>,
    influxdb_requests: Counter,
    /// Annotated Applications and Namespaces.
    pub(crate) sources: Gauge,
    /// Endpoints that are scraped.
    endpoints: Gauge,
    /// Owned objects in the cluster.
    pub(crate) owned: Gauge,
    source_states: Family<StateLabel, Gauge>,
    endpoint_states: Family<StateLabel, Gauge>,
    failing: Family<FailingEndpoint, Gauge>,
    /// 1 while this operator leads.
    pub(crate) leader: Gauge,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct StateLabel {
    state: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct FailingEndpoint {
    source: String,
    endpoint: String,
    url: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Result {
    result: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Reason {
    reason: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Verb {
    verb: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct What {
    what: &'static str,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("telewarden");
        let reconciles = Family::default();
        registry.register("reconciles", "Attempts to reconcile a source", reconciles.clone());
        let errors = Family::default();
        registry.register("errors", "Failed attempts, by reason", errors.clone());
        let writes = Family::default();
        registry.register("writes", "Writes of owned objects", writes.clone());
        let module_call = Histogram::new(exponential_buckets(0.0005, 2.0, 14));
        registry.register(
            "module_call_duration_seconds",
            "How long the module took to render",
            module_call.clone(),
        );
        let influxdb_made = Family::default();
        registry.register(
            "influxdb_made",
            "Buckets and tokens that were made in InfluxDB, and tokens that were revoked",
            influxdb_made.clone(),
        );
        let influxdb_failures = Family::default();
        registry.register(
            "influxdb_failures",
            "Failed requests to InfluxDB, by reason",
            influxdb_failures.clone(),
        );
        let influxdb_requests = Counter::default();
        registry.register("influxdb_requests", "Requests to InfluxDB", influxdb_requests.clone());
        let sources = Gauge::default();
        registry.register("sources", "Annotated Applications and Namespaces", sources.clone());
        let endpoints = Gauge::default();
        registry.register("endpoints", "Endpoints that are scraped", endpoints.clone());
        let owned = Gauge::default();
        registry.register("owned_objects", "Objects that this operator owns", owned.clone());
        let source_states = Family::default();
        registry.register(
            "source_states",
            "Sources by the state of what was applied for them",
            source_states.clone(),
        );
        let endpoint_states = Family::default();
        registry.register("endpoint_states", "Endpoints by state", endpoint_states.clone());
        let failing = Family::default();
        registry.register(
            "endpoint_failing",
            "Endpoints that fail, up to --failing-series",
            failing.clone(),
        );
        let leader = Gauge::default();
        registry.register("leader", "1 while this operator leads", leader.clone());
        Self {
            registry,
            reconciles,
            errors,
            writes,
            module_call,
            influxdb_made,
            influxdb_failures,
            influxdb_requests,
            sources,
            endpoints,
            owned,
            source_states,
            endpoint_states,
            failing,
            leader,
        }
    }

    pub(crate) fn reconciled(&self, result: &'static str) {
        self.reconciles.get_or_create(&Result { result }).inc();
    }

    pub(crate) fn failed(&self, reason: &'static str) {
        self.errors.get_or_create(&Reason { reason }).inc();
    }

    pub(crate) fn wrote(&self, verb: &'static str) {
        self.writes.get_or_create(&Verb { verb }).inc();
    }

    pub(crate) fn called_module(&self, took: Duration) {
        self.module_call.observe(took.as_secs_f64());
    }

    pub(crate) fn influxdb_made(&self, what: &'static str) {
        self.influxdb_made.get_or_create(&What { what }).inc();
    }

    pub(crate) fn influxdb_failed(&self, reason: &'static str) {
        self.influxdb_failures.get_or_create(&Reason { reason }).inc();
    }

    /// The counter of requests to InfluxDB.
    pub(crate) fn influxdb_requests(&self) -> Counter {
        self.influxdb_requests.clone()
    }

    pub(crate) fn endpoints(&self, endpoints: usize) {
        self.endpoints.set(i64::try_from(endpoints).unwrap_or(i64::MAX));
    }

    /// Takes in the states of all sources. Endpoints that fail and are named have a metric of their own.
    pub(crate) fn states(&self, states: &States) {
        for (family, counts) in [
            (&self.source_states, &states.sources),
            (&self.endpoint_states, &states.endpoints),
        ] {
            for state in State::ALL {
                let count = counts.get(&state).copied().unwrap_or(0);
                family.get_or_create(&StateLabel { state: state.name() }).set(count);
            }
        }
        self.failing.clear();
        for failing in &states.failing {
            let labels = FailingEndpoint {
                source: failing.source.clone(),
                endpoint: failing.endpoint.clone(),
                url: failing.url.clone(),
            };
            self.failing.get_or_create(&labels).set(1);
        }
    }

    /// The OpenMetrics text.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}
