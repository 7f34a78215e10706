//! The NetworkPolicy that bounds what Telegraf can reach.
//!
//! `endpoints.hosts` bounds what is configured; `inputs.prometheus` follows redirects, and only the network can stop those.
//! A NetworkPolicy sees pods and their ports, not services and theirs, so inside the cluster it names namespaces
//! (<https://kubernetes.io/docs/concepts/services-networking/network-policies/>).

use std::collections::BTreeSet;
use std::net::IpAddr;

use fluent_uri::Uri;
use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicyEgressRule, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::Owner;
use super::metadata::pod_selector;
use super::object::NetworkPolicy;
use crate::annotation::{EndpointUrl, service_namespace};
use crate::ordered::ordered_map;
use crate::settings::Settings;
use crate::telegraf::{Table, Value, key};

/// Where Telegraf connects to.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Peer {
    /// Pods of a namespace.
    Namespace(String),
    /// A port of an address.
    Address(IpAddr, i32),
    /// A port anywhere outside of the private networks.
    External(i32),
    /// Nobody knows.
    Anywhere,
}

/// The networks that an external host is not in: <https://www.rfc-editor.org/rfc/rfc1918>, link-local and carrier-grade.
const PRIVATE: &[&str] = &[
    "10.0.0.0/8",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
];

/// A NetworkPolicy for the pods of the Deployment of the same name.
pub(crate) fn network_policy<'a>(
    name: &str,
    namespace: &str,
    owner: Owner<'_>,
    urls: impl Iterator<Item = &'a EndpointUrl>,
    configuration: &Table,
    settings: &Settings,
) -> NetworkPolicy {
    let domain = &settings.endpoints.cluster_domain;
    let mut peers = BTreeSet::new();
    for url in urls {
        peers.extend(peers_of(url.host(), i32::from(url.port()), domain));
    }
    peers.extend(output_peers(configuration, domain));
    let mut egress = vec![dns()];
    egress.extend(peers.into_iter().map(rule));
    let spec = NetworkPolicySpec {
        pod_selector: Some(pod_selector(name)),
        policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
        // Nobody connects to Telegraf but the kubelet, which no policy keeps out.
        ingress: Some(Vec::new()),
        egress: Some(egress),
    };
    NetworkPolicy::network_policy(owner.metadata(name, namespace, settings), spec)
}

/// True if an output's address is not known, so that the policy leaves everything open.
pub(crate) fn is_open(configuration: &Table, cluster_domain: &str) -> bool {
    output_peers(configuration, cluster_domain).contains(&Peer::Anywhere)
}

/// Where connections to a host go. `monitoring.influx` may be a service and a host outside, and so is both.
fn peers_of(host: &str, port: i32, cluster_domain: &str) -> Vec<Peer> {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    if let Ok(address) = address {
        return vec![Peer::Address(address, port)];
    }
    let is_service = host.ends_with(".svc") || host.ends_with(&format!(".svc.{cluster_domain}"));
    let namespace = service_namespace(host, cluster_domain).map(|name| Peer::Namespace(name.to_owned()));
    let external = (!is_service).then_some(Peer::External(port));
    namespace.into_iter().chain(external).collect()
}

/// Where the outputs connect to, by the URLs in their options. An output without a URL connects to nobody (a file), or to
/// somebody who is not known.
fn output_peers(configuration: &Table, cluster_domain: &str) -> BTreeSet<Peer> {
    let mut peers = BTreeSet::new();
    let Some(Value::Table(outputs)) = configuration.get(&key("outputs")) else {
        return peers;
    };
    for (plugin, instances) in outputs {
        let Value::Tables(instances) = instances else { continue };
        if matches!(plugin.as_str(), "health" | "file" | "discard") {
            continue;
        }
        for instance in instances {
            let mut texts = Vec::new();
            for (option, value) in instance {
                let is_address = [
                    "url", "urls", "server", "servers", "address", "brokers", "endpoint", "host",
                ];
                if is_address.contains(&option.as_str()) {
                    collect_texts(value, &mut texts);
                }
            }
            if texts.is_empty() {
                peers.insert(Peer::Anywhere);
            }
            peers.extend(texts.into_iter().flat_map(|text| peers_of_url(text, cluster_domain)));
        }
    }
    peers
}

fn collect_texts<'a>(value: &'a Value, texts: &mut Vec<&'a str>) {
    match value {
        Value::Literal(text) => texts.push(text.as_str()),
        Value::Replaceable(text) => texts.push(text),
        Value::List(values) => values.iter().for_each(|value| collect_texts(value, texts)),
        _ => {}
    }
}

fn peers_of_url(text: &str, cluster_domain: &str) -> Vec<Peer> {
    let unknown = vec![Peer::Anywhere];
    let Ok(uri) = Uri::parse(text) else {
        return unknown;
    };
    let Some(authority) = uri.authority().filter(|_| !text.contains('$')) else {
        return unknown;
    };
    let port = match (
        uri.scheme().as_str(),
        authority.port().map(|port| port.as_str().parse()),
    ) {
        (_, Some(Ok(port))) => port,
        ("http", None) => 80,
        ("https", None) => 443,
        _ => return unknown,
    };
    peers_of(&authority.host().to_ascii_lowercase(), port, cluster_domain)
}

fn rule(peer: Peer) -> NetworkPolicyEgressRule {
    match peer {
        Peer::Namespace(namespace) => {
            let name = ordered_map([("kubernetes.io/metadata.name".to_owned(), namespace)]);
            NetworkPolicyEgressRule {
                to: Some(vec![NetworkPolicyPeer {
                    namespace_selector: Some(LabelSelector {
                        match_labels: Some(name),
                        ..LabelSelector::default()
                    }),
                    ..NetworkPolicyPeer::default()
                }]),
                ports: None,
            }
        }
        Peer::Address(address, number) => {
            let bits = if address.is_ipv4() { 32 } else { 128 };
            to_block(format!("{address}/{bits}"), None, number)
        }
        Peer::External(number) => {
            let private = PRIVATE.iter().map(|network| (*network).to_owned()).collect();
            to_block("0.0.0.0/0".to_owned(), Some(private), number)
        }
        Peer::Anywhere => NetworkPolicyEgressRule::default(),
    }
}

fn to_block(cidr: String, except: Option<Vec<String>>, number: i32) -> NetworkPolicyEgressRule {
    NetworkPolicyEgressRule {
        to: Some(vec![NetworkPolicyPeer {
            ip_block: Some(IPBlock { cidr, except }),
            ..NetworkPolicyPeer::default()
        }]),
        ports: Some(vec![port("TCP", number)]),
    }
}

/// Names have to be looked up, wherever the cluster's DNS runs.
fn dns() -> NetworkPolicyEgressRule {
    NetworkPolicyEgressRule {
        to: None,
        ports: Some(vec![port("UDP", 53), port("TCP", 53)]),
    }
}

fn port(protocol: &str, number: i32) -> NetworkPolicyPort {
    NetworkPolicyPort {
        port: Some(IntOrString::Int(number)),
        protocol: Some(protocol.to_owned()),
        ..NetworkPolicyPort::default()
    }
}
