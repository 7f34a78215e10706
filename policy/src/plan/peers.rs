//! The peers of a Telegraf: the endpoints that it scrapes, and its outputs.

use std::net::IpAddr;

use fluent_uri::Uri;

use crate::annotation::{Endpoint, Input, service_namespace};
use crate::settings::{Class, Settings};
use crate::telegraf::{Table, Value, key};

use super::configuration;

/// A destination of Telegraf's connections.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Peer {
    /// Pods of a namespace.
    Namespace(String),
    /// A port of an address.
    Address(IpAddr, i32),
    /// A port of any address outside of the private networks.
    External(i32),
    /// An unknown destination.
    Anywhere,
}

impl Peer {
    /// As a text that [`Peers::insert_text`] reads.
    pub(super) fn to_text(&self) -> String {
        match self {
            Self::Namespace(name) => format!("namespace {name}"),
            Self::Address(address, port) => format!("address {port} {address}"),
            Self::External(port) => format!("external {port}"),
            Self::Anywhere => "anywhere".to_owned(),
        }
    }

    fn of_text(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let mut word = || words.next().unwrap_or_default();
        match word() {
            "namespace" => Some(Self::Namespace(word().to_owned())),
            "address" => {
                let port = word().parse().ok()?;
                Some(Self::Address(word().parse().ok()?, port))
            }
            "external" => Some(Self::External(word().parse().ok()?)),
            "anywhere" => Some(Self::Anywhere),
            _ => None,
        }
    }
}

/// A sorted set of peers. It is a list, because another type of set would add 4 KB to the module.
#[derive(Debug, Default)]
pub(crate) struct Peers(Vec<Peer>);

impl Peers {
    fn insert(&mut self, peer: Peer) {
        if let Err(at) = self.0.binary_search(&peer) {
            self.0.insert(at, peer);
        }
    }

    fn extend(&mut self, peers: impl IntoIterator<Item = Peer>) {
        peers.into_iter().for_each(|peer| self.insert(peer));
    }

    /// Adds a peer that [`Peer::to_text`] has made a text.
    pub(super) fn insert_text(&mut self, text: &str) {
        self.extend(Peer::of_text(text));
    }

    /// The peers, sorted.
    pub(crate) fn as_slice(&self) -> &[Peer] {
        &self.0
    }
}

/// The peers of a Telegraf, from its endpoints and its configuration's outputs.
pub(super) fn of_telegraf(endpoints: &[&Endpoint], configuration: &Table, settings: &Settings) -> Peers {
    let mut peers = of_outputs(configuration, settings);
    for endpoint in endpoints {
        let Input::Prometheus { urls, .. } = &endpoint.input else {
            continue;
        };
        for url in urls {
            peers.extend(peers_of(
                url.host(),
                i32::from(url.port()),
                &settings.endpoints.cluster_domain,
            ));
        }
    }
    peers
}

/// True if the address of one of a class's outputs is unknown, so that a NetworkPolicy must allow all destinations.
pub(crate) fn has_open_output(class: &Class, settings: &Settings) -> bool {
    of_outputs(&configuration::outputs_of(class), settings)
        .as_slice()
        .contains(&Peer::Anywhere)
}

/// The peers of a host. `monitoring.influx` can be a service or an external host, so both are added.
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

/// The peers of outputs, from the URLs in their options. An output without a URL has no connections (a file), or unknown
/// ones.
pub(super) fn of_outputs(configuration: &Table, settings: &Settings) -> Peers {
    let cluster_domain = &*settings.endpoints.cluster_domain;
    let mut peers = Peers::default();
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
                    value.collect_texts(&mut texts);
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
