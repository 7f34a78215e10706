//! The NetworkPolicy that bounds what Telegraf can reach.
//!
//! `endpoints.hosts` bounds what is configured; `inputs.prometheus` follows redirects, and only the network can stop those.
//! A NetworkPolicy sees pods and their ports, not services and theirs, so inside the cluster it names namespaces
//! (<https://kubernetes.io/docs/concepts/services-networking/network-policies/>).

use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicyEgressRule, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::metadata::{metadata, pod_selector};
use super::object::NetworkPolicy;
use crate::ordered::ordered_map;
use crate::plan::{Peer, Workload};
use crate::settings::Settings;

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
    let mut egress = vec![dns()];
    egress.extend(workload.peers.iter().cloned().map(rule));
    let spec = NetworkPolicySpec {
        pod_selector: Some(pod_selector(&workload.name)),
        policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
        // Nobody connects to Telegraf but the kubelet, which no policy keeps out.
        ingress: Some(Vec::new()),
        egress: Some(egress),
    };
    NetworkPolicy::network_policy(metadata(workload, settings), spec)
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
