//! The Service that an endpoint's URL names: whether it exists, and has the port and somebody behind it.

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use telewarden_policy::needs::ServicePort;
use telewarden_policy::printable::printable;

use super::words::{Explanation, named};
use crate::error::Error;
use crate::writer::bounded;

/// The page size of a list, and the most pages that are read. Whoever owns the namespace can make each object large.
const PAGE: u32 = 10;
const PAGES: usize = 20;

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

impl Fault {
    /// What is wrong and what to do, in words.
    pub(super) fn explain(&self, wanted: &ServicePort) -> Explanation {
        let name = printable(&wanted.service).into_owned();
        let service = format!("Service `{name}` in namespace `{}`", printable(&wanted.namespace));
        match self {
            Self::Missing { nearest } if nearest.is_empty() => Explanation::new(
                format!("{service} does not exist"),
                "Create it, or name another one in the annotation.",
            ),
            Self::Missing { nearest } => Explanation::new(
                format!("{service} does not exist"),
                format!(
                    "Create it, or name another one in the annotation. There are {}.",
                    named(nearest.iter().map(String::as_str))
                ),
            ),
            Self::NoPort { ports } => {
                let ports: Vec<_> = ports.iter().map(ToString::to_string).collect();
                let there = match ports.is_empty() {
                    true => String::new(),
                    false => format!(" It has {}.", named(ports.iter().map(String::as_str))),
                };
                Explanation::new(
                    format!("{service} has no port {}", wanted.port),
                    format!("Name a port of the Service in the annotation, or add this one.{there}"),
                )
            }
            Self::NobodyReady => Explanation::new(
                format!("no pod behind {service} is ready"),
                "Look at the pods that the Service selects: `kubectl get endpointslices` shows them.",
            ),
        }
    }
}

/// What is wrong with a Service, if anything. Names and ports that exist are only told about `own_namespace`.
///
/// # Errors
/// If the API server does not answer, or does not allow it.
pub(super) async fn fault_of(
    wanted: &ServicePort,
    client: &Client,
    own_namespace: &str,
) -> Result<Option<Fault>, Error> {
    let ServicePort {
        namespace,
        service: name,
        port,
        ..
    } = wanted;
    let services = Api::<Service>::namespaced(client.clone(), namespace);
    let doing = || format!("look Service {namespace}/{name} up");
    let tells = namespace == own_namespace;
    let Some(service) = bounded(services.get_opt(name), doing).await? else {
        let nearest = if tells {
            nearest(wanted, &services).await
        } else {
            Vec::new()
        };
        // A host without `svc` may be outside the cluster.
        return Ok(wanted.is_certain.then_some(Fault::Missing { nearest }));
    };
    let spec = service.spec.unwrap_or_default();
    if spec.type_.as_deref() == Some("ExternalName") {
        return Ok(None);
    }
    let is_headless = spec.cluster_ip.as_deref() == Some("None");
    let ports: Vec<_> = spec.ports.into_iter().flatten().map(|port| port.port).collect();
    // A name without a cluster IP stands for the pods themselves, at whatever port they have.
    if !is_headless && !ports.contains(&i32::from(*port)) {
        let ports = if tells { ports } else { Vec::new() };
        return Ok(Some(Fault::NoPort { ports }));
    }
    let slices = Api::<EndpointSlice>::namespaced(client.clone(), namespace);
    let mut of_service = ListParams::default()
        .labels(&format!("kubernetes.io/service-name={name}"))
        .limit(PAGE);
    for _ in 0..PAGES {
        let slices = bounded(slices.list(&of_service), doing).await?;
        let mut endpoints = slices.items.into_iter().flat_map(|slice| slice.endpoints);
        if endpoints.any(|endpoint| endpoint.conditions.and_then(|conditions| conditions.ready) != Some(false)) {
            return Ok(None);
        }
        match slices.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => of_service.continue_token = Some(token),
            None => return Ok(Some(Fault::NobodyReady)),
        }
    }
    // There are more slices than are read, so nothing is said about them.
    Ok(None)
}

async fn nearest(wanted: &ServicePort, services: &Api<Service>) -> Vec<String> {
    let mut params = ListParams::default().limit(PAGE);
    let mut names = Vec::new();
    for _ in 0..PAGES {
        let list = bounded(services.list_metadata(&params), || {
            format!("list Services of {}", wanted.namespace)
        });
        let Ok(list) = list.await else { break };
        names.extend(list.items.iter().map(ResourceExt::name_any));
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params.continue_token = Some(token),
            None => break,
        }
    }
    wanted.nearest_first(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_explained() {
        let service = ServicePort::of_url("http://redis-metric.cache.svc:9121/metrics", "cluster.local").unwrap();
        let explain = |fault: Fault| {
            let Explanation { why, what_to_do } = fault.explain(&service);
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
