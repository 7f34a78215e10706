//! The Report of a source: what is known of its endpoints, as an object that others show.
//!
//! The kind is `Report` of `openreports.io/v1alpha1` (<https://github.com/openreports/reports-api>), which policy engines write and
//! Policy Reporter, Headlamp and others read. A host knows the results, and the time of each.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::digest::sha256;
use crate::well_known::{FIELD_MANAGER, INSTANCE, MANAGED_BY, SOURCE};

/// The API group of the kind.
pub const GROUP: &str = "openreports.io";
/// Its version.
pub const VERSION: &str = "v1alpha1";
/// Its name.
pub const KIND: &str = "Report";

/// What every result names as its policy.
const POLICY: &str = "endpoint-is-scraped";

/// Whether an endpoint is scraped, in the words of the kind.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The endpoint is scraped.
    Pass,
    /// The endpoint is not scraped.
    Fail,
    /// It is not known, because the endpoint's Telegraf does not run, or does not answer.
    Error,
}

/// The result for one URL of an endpoint.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EndpointResult {
    /// The endpoint's name.
    pub name: String,
    /// The URL; empty if it is not known.
    pub url: String,
    /// The result.
    pub verdict: Verdict,
    /// The reason, and what to do about it.
    pub message: String,
    /// Since when the result is the same, in seconds since 1970.
    pub since: i64,
}

/// Whose Report it is.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The source's identity, such as `argoproj.io/Application/<namespace>/<name>`.
    pub source: &'a str,
    /// A reference to the source: `kind`, `name` and so on.
    pub reference: &'a Value,
    /// The value of the label [`INSTANCE`].
    pub instance: &'a str,
    /// The namespace of the Report.
    pub namespace: &'a str,
}

/// The name of a source's Report. Several sources may have theirs in one namespace, and so may several operators.
pub fn name(source: &str, instance: &str) -> String {
    let digest = sha256(&format!("{instance} {source}"));
    format!("telewarden-{}", &digest[..20])
}

impl Subject<'_> {
    /// The Report.
    pub fn report(&self, results: &[EndpointResult]) -> Value {
        let count = |verdict| results.iter().filter(|result| result.verdict == verdict).count();
        let result = |result: &EndpointResult| {
            let mut object = json!({
                "source": FIELD_MANAGER,
                "policy": POLICY,
                "rule": result.name,
                "category": "Metrics",
                "scored": true,
                "result": result.verdict,
                "message": result.message,
                "timestamp": {"seconds": result.since, "nanos": 0},
            });
            if result.verdict != Verdict::Pass {
                object["severity"] = json!("medium");
            }
            if !result.url.is_empty() {
                object["properties"] = json!({"url": result.url});
            }
            object
        };
        json!({
            "apiVersion": format!("{GROUP}/{VERSION}"),
            "kind": KIND,
            "metadata": {
                "name": name(self.source, self.instance),
                "namespace": self.namespace,
                "labels": {
                    "app.kubernetes.io/name": "telegraf",
                    "app.kubernetes.io/component": "status",
                    MANAGED_BY: FIELD_MANAGER,
                    INSTANCE: self.instance,
                },
                "annotations": {
                    "argocd.argoproj.io/compare-options": "IgnoreExtraneous",
                    "argocd.argoproj.io/sync-options": "Prune=false",
                    SOURCE: self.source,
                },
            },
            "source": FIELD_MANAGER,
            "scope": self.reference,
            "summary": {
                "pass": count(Verdict::Pass),
                "fail": count(Verdict::Fail),
                "error": count(Verdict::Error),
                "warn": 0,
                "skip": 0,
            },
            "results": results.iter().map(result).collect::<Vec<_>>(),
        })
    }
}

/// The results in a Report, as [`Subject::report`] writes them. What is not like that is left out.
pub fn results(report: &Value) -> Vec<EndpointResult> {
    let result = |result: &Value| {
        let text = |name: &str| result[name].as_str().map(str::to_owned);
        Some(EndpointResult {
            name: text("rule")?,
            url: result["properties"]["url"].as_str().unwrap_or_default().to_owned(),
            verdict: Verdict::deserialize(&result["result"]).ok()?,
            message: text("message")?,
            since: result["timestamp"]["seconds"].as_i64()?,
        })
    };
    let all = report["results"].as_array().into_iter().flatten();
    all.filter_map(result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(name: &str, verdict: Verdict) -> EndpointResult {
        EndpointResult {
            name: name.to_owned(),
            url: format!("http://{name}.shop.svc/metrics"),
            verdict,
            message: "it is so".to_owned(),
            since: 1_700_000_000,
        }
    }

    fn subject<'a>(source: &'a str, instance: &'a str, reference: &'a Value) -> Subject<'a> {
        Subject {
            source,
            reference,
            instance,
            namespace: "shop",
        }
    }

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let mut all = [Verdict::Pass, Verdict::Fail, Verdict::Error, Verdict::Fail].map(|verdict| result("a", verdict));
        all[3].url.clear();
        let reference = json!({"kind": "Namespace", "name": "shop"});
        let report = subject("Namespace/shop", "one", &reference).report(&all);
        assert_eq!(results(&report), all);
        assert_eq!(
            report["summary"],
            json!({"pass": 1, "fail": 2, "error": 1, "warn": 0, "skip": 0})
        );
        assert_eq!(report["scope"], reference);
        assert_eq!(report["metadata"]["annotations"][SOURCE], "Namespace/shop");
        assert_eq!(report["results"][3].get("properties"), None);
        assert_eq!(report["results"][0].get("severity"), None);
    }

    #[test]
    fn sources_and_operators_have_reports_of_their_own() {
        let one = name("Namespace/shop", "one");
        assert_eq!(one.len(), "telewarden-".len() + 20);
        assert_ne!(one, name("Namespace/shop", "two"));
        assert_ne!(one, name("argoproj.io/Application/argocd/shop", "one"));
    }

    #[test]
    fn what_is_no_result_is_left_out() {
        let whole = json!({"rule": "a", "result": "pass", "message": "m", "timestamp": {"seconds": 1, "nanos": 0}});
        assert_eq!(results(&json!({"results": [whole]})).len(), 1);
        for (field, value) in [
            ("rule", json!(1)),
            ("result", json!("warn")),
            ("message", json!(null)),
            ("timestamp", json!("2026")),
        ] {
            let mut broken = whole.clone();
            broken[field] = value;
            assert_eq!(results(&json!({"results": [broken]})), [], "{field}");
        }
        assert_eq!(results(&json!({"results": "x"})), []);
    }
}
