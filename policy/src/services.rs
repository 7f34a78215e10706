//! The setting `services: warn`: whether the Services that an annotation scrapes exist.
//!
//! The policy engine looks the Services up; what it cannot look up is not a finding. A Service may be created a moment after
//! its annotation, so a missing one is only a warning. The audit scanner asks again, and reports it for as long as it is
//! missing.

use serde_json::{Value, json};

use crate::annotation::{Endpoint, Input, service_of_host};
use crate::diagnostic::{Diagnostic, Problem};
use crate::telegraf::nearest;

/// The most ports that are looked up for a source.
const MAX_PORTS: usize = 100;

/// The longest list of Services that is read, in bytes. Whoever owns a namespace can create any number of them.
const MAX_LIST: usize = 1024 * 1024;

/// The most findings that suggest a name, and the most names that are compared for one.
const MAX_SUGGESTIONS: usize = 3;
const MAX_NAMES: usize = 200;

/// The most ports of a Service that are shown.
const MAX_SHOWN: usize = 8;

/// A port of a Service that an endpoint scrapes.
#[derive(Debug)]
struct ScrapedPort {
    endpoint: String,
    service: String,
    port: u16,
}

/// The ports of Services that a source scrapes in its namespace, each once.
#[derive(Debug, Default)]
pub(crate) struct ScrapedPorts {
    pub(crate) namespace: String,
    ports: Vec<ScrapedPort>,
}

impl ScrapedPorts {
    pub(crate) fn of(endpoints: &[Endpoint], namespace: &str, cluster_domain: &str) -> Self {
        let mut ports: Vec<ScrapedPort> = Vec::new();
        for endpoint in endpoints {
            let Input::Prometheus { urls, .. } = &endpoint.input else {
                continue;
            };
            for url in urls {
                let Some((service, of)) = service_of_host(url.host(), cluster_domain) else {
                    continue;
                };
                let port = url.port();
                if ports.len() == MAX_PORTS {
                    break;
                }
                if of == namespace && !ports.iter().any(|known| known.service == service && known.port == port) {
                    ports.push(ScrapedPort {
                        endpoint: endpoint.name.as_str().to_owned(),
                        service: service.to_owned(),
                        port,
                    });
                }
            }
        }
        Self {
            namespace: namespace.to_owned(),
            ports,
        }
    }

    /// True if nothing has to be looked up.
    pub(crate) fn is_empty(&self) -> bool {
        self.ports.is_empty()
    }

    /// The request for the Services, in the form of the host capability `list_resources_by_namespace`:
    /// <https://docs.kubewarden.io/reference/spec/host-capabilities/kubernetes>.
    pub(crate) fn request(&self) -> Value {
        let fields = [
            "metadata.name",
            "spec.clusterIP",
            "spec.ports.port",
            "spec.ports.protocol",
            "spec.type",
        ];
        json!({
            "api_version": "v1",
            "kind": "Service",
            "namespace": self.namespace,
            "label_selector": null,
            "field_selector": null,
            "field_masks": fields,
        })
    }

    /// Warnings of what does not exist. `services` is the answer to the request: a List, as JSON.
    pub(crate) fn check(self, services: &str) -> Vec<Diagnostic> {
        let services = match services.len() {
            0..=MAX_LIST => serde_json::from_str::<Value>(services).unwrap_or_default(),
            _ => Value::Null,
        };
        let Some(items) = services["items"].as_array() else {
            return Vec::new();
        };
        let mut missing: Vec<String> = Vec::new();
        let mut findings = Vec::new();
        for ScrapedPort {
            endpoint,
            service: name,
            port,
        } in self.ports
        {
            let Some(service) = items.iter().find(|service| service["metadata"]["name"] == *name) else {
                // One finding for each missing Service, however many of its ports are scraped.
                if !missing.contains(&name) {
                    let names = items.iter().take(MAX_NAMES);
                    let names = names.filter_map(|service| service["metadata"]["name"].as_str());
                    let suggests = findings.len() < MAX_SUGGESTIONS;
                    let nearest = suggests.then(|| nearest(&name, names)).flatten();
                    let problem = Problem::ServiceNotFound {
                        endpoint,
                        service: name.clone(),
                        namespace: self.namespace.clone(),
                        nearest: nearest.map(str::to_owned),
                    };
                    findings.push(problem.diagnostic());
                    missing.push(name);
                }
                continue;
            };
            let Some(ports) = ports(service) else { continue };
            if !ports.contains(&u64::from(port)) {
                let problem = Problem::ServicePortNotFound {
                    endpoint,
                    service: name,
                    port,
                    ports: ports.iter().take(MAX_SHOWN).map(u64::to_string).collect(),
                };
                findings.push(problem.diagnostic());
            }
        }
        findings
    }
}

/// The ports at which a Service answers TCP. `None` if a connection does not depend on them: the name of a headless Service is
/// the address of its pods, and that of an `ExternalName` is another name
/// (<https://kubernetes.io/docs/concepts/services-networking/service/>).
fn ports(service: &Value) -> Option<Vec<u64>> {
    let spec = &service["spec"];
    if spec["clusterIP"] == "None" || spec["type"] == "ExternalName" {
        return None;
    }
    let ports = spec["ports"].as_array().into_iter().flatten();
    let tcp = ports.filter(|port| matches!(port["protocol"].as_str(), None | Some("TCP")));
    Some(tcp.filter_map(|port| port["port"].as_u64()).collect())
}
