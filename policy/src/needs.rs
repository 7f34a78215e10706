//! The objects that a rendered Telegraf needs in a cluster: namespaces, services, and entries of Secrets and ConfigMaps.
//!
//! They are read from the answer of `render`. A host looks them up in the cluster and reports the missing ones.

use std::collections::BTreeSet;

use fluent_uri::Uri;
use serde_json::Value;

use crate::annotation::service_of_host;
use crate::protocol::{Rendered, SourceAnswer};
use crate::settings::Settings;

/// The objects that one source needs.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Needs {
    /// Namespaces of the rendered objects.
    pub namespaces: BTreeSet<String>,
    /// Services of the cluster that are scraped.
    pub services: BTreeSet<ServicePort>,
    /// URLs that name no service of the cluster.
    pub elsewhere: BTreeSet<String>,
    /// Objects that the pods refer to, apart from rendered ones.
    pub references: BTreeSet<Reference>,
    /// Buckets of InfluxDB that the outputs write.
    pub buckets: BTreeSet<Bucket>,
}

/// A bucket of InfluxDB 2.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Bucket {
    /// The database's URL.
    pub url: String,
    /// The organization's name.
    pub organization: String,
    /// The bucket's name.
    pub bucket: String,
}

/// A port of a service.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ServicePort {
    /// The service's namespace.
    pub namespace: String,
    /// The service's name.
    pub service: String,
    /// The port.
    pub port: u16,
    /// The host has `svc` in it, and so it can be nothing else. `name.namespace` may be a host outside the cluster.
    pub is_certain: bool,
    /// The URL that names it.
    pub url: String,
}

/// An object, or an entry of it, that a pod refers to.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Reference {
    /// What kind of object it is.
    pub kind: ReferenceKind,
    /// The object's namespace.
    pub namespace: String,
    /// The object's name.
    pub name: String,
    /// The entry; none where all of them are used.
    pub key: Option<String>,
}

/// The kinds of object that a pod refers to.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum ReferenceKind {
    /// `v1` Secret.
    Secret,
    /// `v1` ConfigMap.
    ConfigMap,
}

impl Needs {
    /// Reads the answer about a source. `shared` is the one Telegraf of `standalone`.
    pub fn of(source: &SourceAnswer, shared: Option<&Rendered>, settings: &Settings) -> Self {
        let mut needs = Self::default();
        for url in source.endpoints.iter().flat_map(|endpoint| &endpoint.urls) {
            match ServicePort::of_url(url, &settings.endpoints.cluster_domain) {
                Some(service) => drop(needs.services.insert(service)),
                None => drop(needs.elsewhere.insert(url.clone())),
            }
        }
        for rendered in std::iter::once(&source.rendered).chain(shared) {
            needs.namespaces.extend(rendered.namespace.clone());
            for object in &rendered.objects {
                needs.add_references(object, rendered);
            }
            let files = rendered
                .configurations
                .iter()
                .flat_map(|telegraf| telegraf.files.values());
            needs.buckets.extend(files.flat_map(|file| buckets(file)));
        }
        needs
    }

    fn add_references(&mut self, object: &Value, rendered: &Rendered) {
        let Some(namespace) = object["metadata"]["namespace"].as_str() else {
            return;
        };
        let pod = &object["spec"]["template"]["spec"];
        let mut found = Vec::new();
        for container in list(&pod["containers"]).chain(list(&pod["initContainers"])) {
            for variable in list(&container["env"]) {
                let from = &variable["valueFrom"];
                found.push((ReferenceKind::Secret, &from["secretKeyRef"], "name"));
                found.push((ReferenceKind::ConfigMap, &from["configMapKeyRef"], "name"));
            }
            for from in list(&container["envFrom"]) {
                found.push((ReferenceKind::Secret, &from["secretRef"], "name"));
                found.push((ReferenceKind::ConfigMap, &from["configMapRef"], "name"));
            }
        }
        for volume in list(&pod["volumes"]) {
            found.push((ReferenceKind::Secret, &volume["secret"], "secretName"));
            found.push((ReferenceKind::ConfigMap, &volume["configMap"], "name"));
            for source in list(&volume["projected"]["sources"]) {
                found.push((ReferenceKind::Secret, &source["secret"], "name"));
            }
        }
        for (kind, reference, name) in found {
            let Some(name) = reference[name].as_str().filter(|_| reference["optional"] != true) else {
                continue;
            };
            let kind_name = match kind {
                ReferenceKind::Secret => "Secret",
                ReferenceKind::ConfigMap => "ConfigMap",
            };
            let is_rendered = |object: &Value| object["kind"] == kind_name && object["metadata"]["name"] == name;
            if !rendered.objects.iter().any(is_rendered) {
                self.references.insert(Reference {
                    kind,
                    namespace: namespace.to_owned(),
                    name: name.to_owned(),
                    key: reference["key"].as_str().map(str::to_owned),
                });
            }
        }
    }
}

/// The buckets that a configuration of Telegraf names, without those that a variable or a tag names.
fn buckets(configuration: &str) -> Vec<Bucket> {
    let Ok(configuration) = configuration.parse::<toml::Table>() else {
        return Vec::new();
    };
    let outputs = configuration
        .get("outputs")
        .and_then(|outputs| outputs.get("influxdb_v2"));
    let mut buckets = Vec::new();
    for output in outputs.and_then(toml::Value::as_array).into_iter().flatten() {
        let text = |name: &str| output.get(name)?.as_str().filter(|text| !text.contains('$'));
        let urls = output.get("urls").and_then(toml::Value::as_array);
        let urls = urls.into_iter().flatten().filter_map(toml::Value::as_str);
        if let (Some(organization), Some(bucket)) = (text("organization"), text("bucket")) {
            buckets.extend(urls.filter(|url| !url.contains('$')).map(|url| Bucket {
                url: url.trim_end_matches('/').to_owned(),
                organization: organization.to_owned(),
                bucket: bucket.to_owned(),
            }));
        }
    }
    buckets
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

impl ServicePort {
    /// The service that a URL names, in one of the forms that the cluster's DNS resolves
    /// (<https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/>). `None` for other hosts.
    pub fn of_url(url: &str, cluster_domain: &str) -> Option<Self> {
        let uri = Uri::parse(url).ok()?;
        let authority = uri.authority()?;
        let host = authority.host().to_ascii_lowercase();
        let (service, namespace) = service_of_host(&host, cluster_domain)?;
        let is_certain = host.ends_with(".svc") || host.ends_with(&format!(".svc.{cluster_domain}"));
        let port = match authority.port().map(|port| port.as_str()) {
            Some(port) if !port.is_empty() => port.parse().ok()?,
            _ if uri.scheme().as_str().eq_ignore_ascii_case("https") => 443,
            _ => 80,
        };
        Some(Self {
            namespace: namespace.to_owned(),
            service: service.to_owned(),
            port,
            is_certain,
            url: url.to_owned(),
        })
    }

    /// The names of services, those that are most like this one first.
    pub fn nearest_first(&self, mut names: Vec<String>) -> Vec<String> {
        names.sort_by_cached_key(|name| (strsim::osa_distance(&self.service, name), name.clone()));
        names
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case("http://web.shop.svc:8080/m", Some(("shop", "web", 8080)))]
    #[case("http://web.shop", Some(("shop", "web", 80)))]
    #[case("https://web.shop.svc.cluster.local/m", Some(("shop", "web", 443)))]
    #[case("http://web-0.web.shop.svc:80", Some(("shop", "web", 80)))]
    #[case("http://shop.shop.svc", Some(("shop", "shop", 80)))]
    #[case("http://web.shop.shop.svc", Some(("shop", "shop", 80)))]
    #[case("http://a.shopper.shop.svc", Some(("shop", "shopper", 80)))]
    #[case("http://Web.Shop.SVC", Some(("shop", "web", 80)))]
    #[case("http://[fd00::1]:9121/", None)]
    #[case("http://web.shop.svc:99999/", None)]
    #[case("not a url", None)]
    #[case("http://web.example.org/m", None)]
    #[case("http://web/m", None)]
    #[case("http://10.0.0.1/m", None)]
    fn a_url_names_a_service(#[case] url: &str, #[case] expected: Option<(&str, &str, u16)>) {
        let found = ServicePort::of_url(url, "cluster.local");
        let found = found
            .as_ref()
            .map(|found| (found.namespace.as_str(), found.service.as_str(), found.port));
        assert_eq!(found, expected);
    }

    #[test]
    fn only_svc_makes_it_certain() {
        let is_certain = |url| ServicePort::of_url(url, "example.org").map(|found| found.is_certain);
        assert_eq!(is_certain("http://web.shop.svc/"), Some(true));
        assert_eq!(is_certain("http://web.shop.svc.example.org/"), Some(true));
        assert_eq!(is_certain("http://web.shop.svc.cluster.local/"), None);
        assert_eq!(is_certain("http://example.com/"), Some(false));
    }

    #[test]
    fn the_most_similar_name_comes_first() {
        let service = ServicePort::of_url("http://redis-metric.shop.svc/", "cluster.local").expect("a service");
        let names = ["web", "redis", "redis-metrics", "metrics-redis"].map(str::to_owned);
        let nearest = service.nearest_first(names.into());
        assert_eq!(nearest[..2], ["redis-metrics", "redis"]);
    }

    #[rstest]
    #[case("[[outputs.influxdb_v2]]\nurls = [\"http://a/\"]\norganization = \"o\"\nbucket = \"b\"\n", &["http://a o b"])]
    #[case("[[outputs.influxdb_v2]]\nurls = [\"http://a\", \"$B\"]\norganization = \"o\"\nbucket = \"b\"\n", &["http://a o b"])]
    #[case("[[outputs.influxdb_v2]]\nurls = [\"http://a\"]\norganization = \"${O}\"\nbucket = \"b\"\n", &[])]
    #[case("[[outputs.influxdb_v2]]\nurls = [\"http://a\"]\norganization = \"o\"\nbucket_tag = \"b\"\n", &[])]
    #[case("[[outputs.file]]\nfiles = [\"stdout\"]\n", &[])]
    fn a_configuration_names_buckets(#[case] configuration: &str, #[case] expected: &[&str]) {
        let found: Vec<_> = buckets(configuration)
            .iter()
            .map(|found| format!("{} {} {}", found.url, found.organization, found.bucket))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_pod_refers_to_objects() {
        let pod = json!({
            "containers": [{
                "env": [
                    {"name": "A", "valueFrom": {"secretKeyRef": {"name": "telegraf", "key": "token"}}},
                    {"name": "B", "valueFrom": {"secretKeyRef": {"name": "maybe", "key": "x", "optional": true}}},
                    {"name": "C", "value": "c"},
                ],
                "envFrom": [{"secretRef": {"name": "all"}}],
            }],
            "volumes": [{"configMap": {"name": "telegraf-shop"}}, {"secret": {"secretName": "tls"}}, {"emptyDir": {}}],
        });
        let answer = json!({
            "index": 0, "source": "Namespace/shop", "outcome": "rendered", "namespace": "shop",
            "endpoints": [{"name": "a", "plugin": "prometheus", "urls": ["http://web.shop.svc/m", "http://x.example.org/m"]}],
            "objects": [
                {"kind": "ConfigMap", "metadata": {"name": "telegraf-shop", "namespace": "shop"}},
                {"kind": "Deployment", "metadata": {"name": "t", "namespace": "shop"}, "spec": {"template": {"spec": pod}}},
            ],
        });
        let answer: SourceAnswer = serde_json::from_value(answer).expect("an answer");
        let (settings, _) = crate::settings::read(None);
        let needs = Needs::of(&answer, None, &settings.expect("the defaults"));
        let references: Vec<_> = needs
            .references
            .iter()
            .map(|one| (one.name.as_str(), one.key.as_deref()))
            .collect();
        assert_eq!(references, [("all", None), ("telegraf", Some("token")), ("tls", None)]);
        assert_eq!(needs.namespaces, ["shop".to_owned()].into());
        assert_eq!((needs.services.len(), needs.elsewhere.len()), (1, 1));
    }
}
