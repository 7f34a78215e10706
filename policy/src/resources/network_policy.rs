//! The NetworkPolicy that restricts Telegraf's connections.
//!
//! `endpoints.hosts` restricts the configured hosts. `inputs.prometheus` also follows redirects, and only the network can
//! stop those. A NetworkPolicy applies to pods and their ports, not to services, so inside the cluster it has namespaces
//! (<https://kubernetes.io/docs/concepts/services-networking/network-policies/>).

use std::net::IpAddr;

use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::metadata::{metadata, pod_selector};
use super::object::NetworkPolicy;
use crate::plan::{Peer, Workload};
use crate::settings::{Dns, Settings};
use crate::sorted_map::sorted_map;
use crate::well_known::STATUS_PORT;

/// The networks that an external host is not in: <https://www.rfc-editor.org/rfc/rfc1918>, link-local and carrier-grade.
const PRIVATE: &[&str] = &[
    "10.0.0.0/8",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
];

/// A NetworkPolicy for the pods of a workload.
pub(super) fn network_policy(workload: &Workload<'_>, settings: &Settings) -> NetworkPolicy {
    let mut egress = dns(&settings.dns);
    egress.extend(workload.peers.as_slice().iter().cloned().map(rule));
    let spec = NetworkPolicySpec {
        pod_selector: Some(pod_selector(&workload.name)),
        policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
        ingress: Some(ingress(workload, settings)),
        egress: Some(egress),
    };
    NetworkPolicy::network_policy(metadata(workload, settings), spec)
}

/// The kubelet connects to Telegraf, and policies do not apply to it. Otherwise only the operator does, to read its status.
fn ingress(workload: &Workload<'_>, settings: &Settings) -> Vec<NetworkPolicyIngressRule> {
    let rule = workload.status.as_ref().map(|_| NetworkPolicyIngressRule {
        from: Some(vec![namespace_peer(settings.operator_namespace.to_string())]),
        ports: Some(vec![port("TCP", i32::from(STATUS_PORT))]),
    });
    rule.into_iter().collect()
}

fn namespace_peer(namespace: String) -> NetworkPolicyPeer {
    let name = sorted_map([("kubernetes.io/metadata.name".to_owned(), namespace)]);
    NetworkPolicyPeer {
        namespace_selector: Some(LabelSelector {
            match_labels: Some(name),
            ..LabelSelector::default()
        }),
        ..NetworkPolicyPeer::default()
    }
}

fn rule(peer: Peer) -> NetworkPolicyEgressRule {
    match peer {
        Peer::Namespace(namespace) => NetworkPolicyEgressRule {
            to: Some(vec![namespace_peer(namespace)]),
            ports: None,
        },
        Peer::Address(address, number) => to_block(host_network(address), None, number),
        Peer::External(number) => {
            let private = PRIVATE.iter().map(|network| (*network).to_owned()).collect();
            to_block("0.0.0.0/0".to_owned(), Some(private), number)
        }
        Peer::Anywhere => NetworkPolicyEgressRule::default(),
    }
}

fn to_block(cidr: String, except: Option<Vec<String>>, number: i32) -> NetworkPolicyEgressRule {
    NetworkPolicyEgressRule {
        to: Some(vec![block(cidr, except)]),
        ports: Some(vec![port("TCP", number)]),
    }
}

/// The rule for DNS.
fn dns(dns: &Dns) -> Vec<NetworkPolicyEgressRule> {
    let rule = |to, number| NetworkPolicyEgressRule {
        to: Some(to),
        ports: Some(vec![port("UDP", number), port("TCP", number)]),
    };
    // Both selectors are in one peer, so that both must match.
    let servers = NetworkPolicyPeer {
        pod_selector: Some(LabelSelector {
            match_labels: Some(sorted_map(dns.pods.clone())),
            ..LabelSelector::default()
        }),
        ..namespace_peer(dns.namespace.to_string())
    };
    let mut rules = vec![rule(vec![servers], i32::from(dns.port))];
    let addresses: Vec<_> = dns
        .addresses
        .iter()
        .map(|address| block(host_network(*address), None))
        .collect();
    if !addresses.is_empty() {
        rules.push(rule(addresses, 53));
    }
    rules
}

/// The network of a single address.
fn host_network(address: IpAddr) -> String {
    let bits = if address.is_ipv4() { 32 } else { 128 };
    format!("{address}/{bits}")
}

fn block(cidr: String, except: Option<Vec<String>>) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        ip_block: Some(IPBlock { cidr, except }),
        ..NetworkPolicyPeer::default()
    }
}

fn port(protocol: &str, number: i32) -> NetworkPolicyPort {
    NetworkPolicyPort {
        port: Some(IntOrString::Int(number)),
        protocol: Some(protocol.to_owned()),
        ..NetworkPolicyPort::default()
    }
}
