//! The Service that an endpoint's URL names: whether it exists, and has the port and somebody behind it.

use std::collections::BTreeSet;

use futures::TryFutureExt;
use http::Uri;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use telewarden_policy::printable::printable;

use super::words::{Explanation, named};
use crate::error::Error;
use crate::writer::bounded;

/// So many Services of a namespace are read to find the nearest names.
const LISTED: u32 = 500;

/// A Service's port, as a URL names it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct ServicePort {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) port: u16,
}

/// What is wrong with a Service.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Fault {
    /// It does not exist.
    Missing { nearest: Vec<String> },
    /// It has no such port. With those that it has.
    NoPort { ports: Vec<i32> },
    /// No pod behind it is ready.
    NobodyReady,
}

impl ServicePort {
    /// The Service that a URL names by its DNS name `<service>.<namespace>.svc`
    /// (<https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/>). `None` for other hosts.
    pub(super) fn of_url(url: &str) -> Option<Self> {
        let uri: Uri = url.parse().ok()?;
        let is_tls = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let host = uri.host()?.trim_end_matches('.').to_ascii_lowercase();
        let labels: Vec<_> = host.split('.').collect();
        let svc = labels.iter().rposition(|label| *label == "svc").filter(|at| *at >= 2)?;
        Some(Self {
            namespace: labels[svc - 1].to_owned(),
            name: labels[svc - 2].to_owned(),
            port,
        })
    }

    /// What is wrong with it, if anything. Names and ports that exist are only told about `own_namespace`.
    ///
    /// # Errors
    /// If the API server does not answer, or does not allow it.
    pub(super) async fn fault(&self, client: &Client, own_namespace: &str) -> Result<Option<Fault>, Error> {
        let services = Api::<Service>::namespaced(client.clone(), &self.namespace);
        let doing = || format!("look Service {}/{} up", self.namespace, self.name);
        let tells = self.namespace == own_namespace;
        let Some(service) = bounded(services.get_opt(&self.name), doing).await? else {
            let nearest = if tells {
                self.nearest(&services).await
            } else {
                Vec::new()
            };
            return Ok(Some(Fault::Missing { nearest }));
        };
        let spec = service.spec.unwrap_or_default();
        if spec.type_.as_deref() == Some("ExternalName") {
            return Ok(None);
        }
        let is_headless = spec.cluster_ip.as_deref() == Some("None");
        let ports: Vec<_> = spec.ports.into_iter().flatten().map(|port| port.port).collect();
        // A name without a cluster IP stands for the pods themselves, at whatever port they have.
        if !is_headless && !ports.contains(&i32::from(self.port)) {
            let ports = if tells { ports } else { Vec::new() };
            return Ok(Some(Fault::NoPort { ports }));
        }
        let slices = Api::<EndpointSlice>::namespaced(client.clone(), &self.namespace);
        let of_service = ListParams::default()
            .labels(&format!("kubernetes.io/service-name={}", self.name))
            .limit(LISTED);
        let slices = bounded(slices.list(&of_service), doing).await?;
        let mut endpoints = slices.items.into_iter().flat_map(|slice| slice.endpoints);
        let is_ready =
            endpoints.any(|endpoint| endpoint.conditions.and_then(|conditions| conditions.ready) != Some(false));
        Ok((!is_ready).then_some(Fault::NobodyReady))
    }

    async fn nearest(&self, services: &Api<Service>) -> Vec<String> {
        let params = ListParams::default().limit(LISTED);
        let list = services.list_metadata(&params);
        let list = bounded(list.map_ok(|list| list.items), || {
            format!("list Services of {}", self.namespace)
        })
        .await;
        let names = list.unwrap_or_default();
        nearest_first(&self.name, names.iter().map(ResourceExt::name_any).collect())
    }

    /// What is wrong and what to do, in words.
    pub(super) fn explain(&self, fault: &Fault) -> Explanation {
        let name = printable(&self.name).into_owned();
        let service = format!("Service `{name}` in namespace `{}`", printable(&self.namespace));
        match fault {
            Fault::Missing { nearest } if nearest.is_empty() => Explanation::new(
                format!("{service} does not exist"),
                "Create it, or name another one in the annotation.",
            ),
            Fault::Missing { nearest } => Explanation::new(
                format!("{service} does not exist"),
                format!(
                    "Create it, or name another one in the annotation. There are {}.",
                    named(nearest.iter().map(String::as_str))
                ),
            ),
            Fault::NoPort { ports } => {
                let ports: Vec<_> = ports.iter().map(ToString::to_string).collect();
                let there = match ports.is_empty() {
                    true => String::new(),
                    false => format!(" It has {}.", named(ports.iter().map(String::as_str))),
                };
                Explanation::new(
                    format!("{service} has no port {}", self.port),
                    format!("Name a port of the Service in the annotation, or add this one.{there}"),
                )
            }
            Fault::NobodyReady => Explanation::new(
                format!("no pod behind {service} is ready"),
                "Look at the pods that the Service selects: `kubectl get endpointslices` shows them.",
            ),
        }
    }
}

/// Names, those that are most like the one that was written first.
fn nearest_first(written: &str, mut names: Vec<String>) -> Vec<String> {
    names.sort_by_cached_key(|name| (unlike(written, name), name.clone()));
    names
}

/// How unlike two names are: pairs of letters that one of them has and the other one has not.
fn unlike(a: &str, b: &str) -> usize {
    let pairs = |text: &str| -> BTreeSet<(char, char)> { text.chars().zip(text.chars().skip(1)).collect() };
    pairs(a).symmetric_difference(&pairs(b)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_service() {
        for (url, expected) in [
            ("http://redis.cache.svc:9121/metrics", Some(("cache", "redis", 9121))),
            ("https://redis.cache.svc.cluster.local/", Some(("cache", "redis", 443))),
            (
                "http://redis-0.redis.cache.svc.example.org.",
                Some(("cache", "redis", 80)),
            ),
            ("http://redis.cache.svc", Some(("cache", "redis", 80))),
            ("http://cache.svc/", None),
            ("http://svc/", None),
            ("http://redis.cache:9121/", None),
            ("http://192.0.2.1:9121/", None),
            ("http://[fd00::1]:9121/", None),
            ("not a url", None),
            ("", None),
        ] {
            let found = ServicePort::of_url(url);
            let found = found
                .as_ref()
                .map(|found| (&*found.namespace, &*found.name, found.port));
            assert_eq!(found, expected, "{url}");
        }
    }

    #[test]
    fn the_nearest_names_come_first() {
        let names = ["api", "redis-metrics", "redis", "postgres"]
            .map(str::to_owned)
            .to_vec();
        assert_eq!(
            nearest_first("redis-metric", names),
            ["redis-metrics", "redis", "api", "postgres"]
        );
    }

    #[test]
    fn a_fault_is_explained() {
        let service = ServicePort::of_url("http://redis-metric.cache.svc:9121/metrics").unwrap();
        let explain = |fault| {
            let Explanation { why, what_to_do } = service.explain(&fault);
            format!("{why}: {what_to_do}")
        };
        let missing = explain(Fault::Missing {
            nearest: vec!["redis-metrics".to_owned()],
        });
        assert!(
            missing.starts_with("Service `redis-metric` in namespace `cache` does not exist"),
            "{missing}"
        );
        assert!(missing.ends_with("There are `redis-metrics`."), "{missing}");
        let port = explain(Fault::NoPort { ports: vec![9121, 80] });
        assert!(
            port.contains("has no port 9121") && port.ends_with("It has `9121`, `80`."),
            "{port}"
        );
        let elsewhere = [
            Fault::Missing { nearest: Vec::new() },
            Fault::NoPort { ports: Vec::new() },
        ]
        .map(explain);
        assert!(
            elsewhere
                .iter()
                .all(|told| !told.contains("There are") && !told.contains("It has")),
            "{elsewhere:?}"
        );
        assert!(explain(Fault::NobodyReady).starts_with("no pod behind Service `redis-metric`"));
    }
}
