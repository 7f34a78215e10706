//! The setting `services: warn`: whether the Services that an annotation scrapes exist.
//!
//! The policy engine looks the Services up; what it cannot look up is not a finding. A Service may be created a moment after
//! its annotation, so a missing one is only a warning. The audit scanner asks again, and reports it for as long as it is
//! missing.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::annotation::{Endpoint, Input, service_of_host};
use crate::diagnostic::{Diagnostic, Problem};
use crate::telegraf::nearest;

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

    /// Warnings of what does not exist. `services` is the answer to a [`ServicesRequest`], as JSON.
    pub(crate) fn check(self, services: &[u8]) -> Vec<Diagnostic> {
        let Ok(Services { items }) = serde_json::from_slice::<Services<'_>>(services) else {
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
            let Some(service) = items.iter().find(|service| service.metadata.name == name) else {
                // One finding for each Service, and not for each of its ports.
                if !missing.contains(&name) {
                    let names = items.iter().map(|service| &*service.metadata.name);
                    let problem = Problem::ServiceNotFound {
                        endpoint,
                        service: name.clone(),
                        namespace: self.namespace.clone(),
                        nearest: nearest(&name, names).map(str::to_owned),
                    };
                    findings.push(problem.diagnostic());
                    missing.push(name);
                }
                continue;
            };
            let Some(ports) = service.ports() else { continue };
            if !ports.contains(&port) {
                let problem = Problem::ServicePortNotFound {
                    endpoint,
                    service: name,
                    port,
                    ports: ports.iter().map(u16::to_string).collect(),
                };
                findings.push(problem.diagnostic());
            }
        }
        findings
    }
}

/// What asks the policy engine for the Services of a namespace, as the host capability `list_resources_by_namespace` reads it:
/// <https://docs.kubewarden.io/reference/spec/host-capabilities/kubernetes>.
#[derive(Debug, Serialize)]
pub(crate) struct ServicesRequest<'a> {
    api_version: &'static str,
    kind: &'static str,
    namespace: &'a str,
    label_selector: Option<&'static str>,
    field_selector: Option<&'static str>,
    field_masks: [&'static str; 5],
}

impl<'a> ServicesRequest<'a> {
    pub(crate) fn of(namespace: &'a str) -> Self {
        Self {
            api_version: "v1",
            kind: "Service",
            namespace,
            label_selector: None,
            field_selector: None,
            field_masks: [
                "metadata.name",
                "spec.clusterIP",
                "spec.ports.port",
                "spec.ports.protocol",
                "spec.type",
            ],
        }
    }
}

/// A List of Services.
#[derive(Deserialize)]
struct Services<'a> {
    #[serde(borrow)]
    items: Vec<Service<'a>>,
}

#[derive(Deserialize)]
struct Service<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
    #[serde(borrow, default)]
    spec: Spec<'a>,
}

#[derive(Deserialize)]
struct Metadata<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, rename = "clusterIP")]
    cluster_ip: Cow<'a, str>,
    ports: Vec<Port<'a>>,
}

#[derive(Deserialize)]
struct Port<'a> {
    port: u16,
    #[serde(borrow, default)]
    protocol: Cow<'a, str>,
}

impl Service<'_> {
    /// The ports at which the Service answers TCP. `None` if a connection does not depend on them: the name of a headless
    /// Service is the address of its pods, and that of an `ExternalName` is another name
    /// (<https://kubernetes.io/docs/concepts/services-networking/service/>).
    fn ports(&self) -> Option<Vec<u16>> {
        let is_direct = self.spec.cluster_ip == "None" || self.spec.kind == "ExternalName";
        let tcp = self.spec.ports.iter();
        let tcp = tcp.filter(|port| matches!(&*port.protocol, "" | "TCP"));
        (!is_direct).then(|| tcp.map(|port| port.port).collect())
    }
}
