//! The annotation's own YAML: a list of maps from names to URLs or options, or one such map.

use std::collections::BTreeSet;

use super::{Context, Endpoint, EndpointUrl, Endpoints, Input, credentials};
use crate::diagnostic::{Findings, Problem};
use crate::located::{Data, Key, Node, from_yaml};
use crate::telegraf::{Origin, is_option, read_options};

/// Keys of an endpoint's map that are not options.
pub(crate) const URL_KEYS: &[&str] = &["url", "urls"];

/// Keys of an endpoint's map that are read here.
const OWN_KEYS: &[&str] = &["url", "urls", "bearerTokenSecret", "basicAuthSecret", "tls"];

/// Keys of Prometheus' scrape configurations that are no endpoint's name either.
pub(crate) const OF_PROMETHEUS: &[&str] = &["job_name", "static_configs", "targets"];

/// Reads the annotation's endpoints.
pub(super) fn read(
    annotation: &str,
    text: &str,
    context: &Context<'_>,
    endpoints: &mut Endpoints,
    findings: &mut Findings,
) {
    let Some(root) = from_yaml(annotation, text, findings) else {
        return;
    };
    match &root.data {
        Data::List(items) => {
            for item in items {
                match &item.data {
                    Data::Map(entries) => read_entries(entries, context, endpoints, findings),
                    _ => wrong_type("an entry of the list".to_owned(), "`my-service: URL`", item, findings),
                }
            }
        }
        Data::Map(entries) => read_entries(entries, context, endpoints, findings),
        Data::Null => {}
        _ => wrong_type(
            "the annotation".to_owned(),
            "a list of `- my-service: URL`",
            &root,
            findings,
        ),
    }
}

fn wrong_type(what: String, expected: &'static str, node: &Node, findings: &mut Findings) {
    let found = node.kind();
    findings.report(Problem::WrongType { what, expected, found }, node.place());
}

fn read_entries(entries: &[(Key, Node)], context: &Context<'_>, endpoints: &mut Endpoints, findings: &mut Findings) {
    let mut broken = false;
    if let Some((option, _)) = entries.iter().find(|(key, _)| is_key_of_endpoint(&key.text)) {
        let name = option.text.clone();
        let instead = instead_of_options(entries);
        findings.push(Problem::OptionAsEndpoint { name, instead }.at(option.place()));
        broken = true;
    }
    let mut seen = BTreeSet::new();
    for (key, node) in entries {
        // A key that is given twice is reported as such.
        if key.text == "<<" || !seen.insert(key.text.clone()) {
            continue;
        }
        // All of it is one mistake.
        if broken && (is_key_of_endpoint(&key.text) || key.text == "name" || node.data == Data::Null) {
            endpoints.begin(&key.spot, context.settings);
            continue;
        }
        if !endpoints.begin(&key.spot, context.settings) {
            continue;
        }
        let before = findings.errors();
        let name = endpoints.name(&key.text, &key.spot, findings);
        let no_url = || Problem::NoUrl { name: key.text.clone() };
        let input = match &node.data {
            Data::Text(url) => {
                let urls: Vec<_> = endpoints
                    .url(url, &node.spot, &key.text, context, findings)
                    .into_iter()
                    .collect();
                let options = endpoints.complete(context, Default::default(), &urls, findings);
                Some((urls, options, Vec::new()))
            }
            Data::Map(entries) => {
                let urls = read_urls(entries, &key.text, context, endpoints, findings);
                if urls.is_none() {
                    findings.report(no_url(), key.place());
                }
                let urls = urls.unwrap_or_default();
                let credentials = credentials::read(entries, context, findings);
                let own = read_options(entries, OWN_KEYS, Origin::Annotation, findings);
                let options = endpoints.complete(context, own, &urls, findings);
                Some((urls, options, credentials))
            }
            Data::Null => {
                findings.report(no_url(), key.place());
                None
            }
            _ => {
                let what = format!("endpoint `{}`", key.text);
                wrong_type(what, "a URL, or a map with `url` and options", node, findings);
                None
            }
        };
        if let (Some(name), Some((urls, options, credentials)), true) = (name, input, findings.errors() == before) {
            let input = Input::Prometheus {
                urls,
                options,
                credentials,
                named: true,
            };
            endpoints.good.push(Endpoint { name, input });
        }
    }
}

/// True for a key that belongs into an endpoint's map, here or in Prometheus.
fn is_key_of_endpoint(name: &str) -> bool {
    URL_KEYS.contains(&name) || credentials::is_key(name) || is_option(name) || OF_PROMETHEUS.contains(&name)
}

/// What to write instead of entries that contain an option.
fn instead_of_options(entries: &[(Key, Node)]) -> String {
    let value = |name: &str| {
        let found = entries.iter().find(|(key, _)| key.text == name);
        found.and_then(|(_, node)| node.text())
    };
    let name = value("name").or_else(|| value("job_name"));
    let mut names = entries.iter().map(|(key, _)| key.text.as_str());
    let endpoint = names.find(|name| !is_key_of_endpoint(name) && *name != "name");
    let options = entries.iter().filter(|(key, _)| is_option(&key.text)).count();
    let is_of_prometheus = entries
        .iter()
        .any(|(key, _)| OF_PROMETHEUS.contains(&key.text.as_str()));
    let url = value("url").or(is_of_prometheus.then_some("http://service.namespace.svc:8080/metrics".into()));
    match (endpoint, url) {
        (Some(endpoint), _) => format!("indent it below `{endpoint}:`, beside `url: ...`"),
        (None, Some(url)) if options == 0 => {
            format!("write `{}: \"{url}\"`", name.as_deref().unwrap_or("my-service"))
        }
        _ => format!(
            "write the endpoint's name, such as `{}:`, and the options below it, indented",
            name.as_deref().unwrap_or("my-service")
        ),
    }
}

/// Reads `url` or `urls`. Answers `None` if both are missing or empty.
pub(super) fn read_urls(
    entries: &[(Key, Node)],
    endpoint: &str,
    context: &Context<'_>,
    endpoints: &mut Endpoints,
    findings: &mut Findings,
) -> Option<Vec<EndpointUrl>> {
    let mut given = entries.iter().filter(|(key, _)| URL_KEYS.contains(&key.text.as_str()));
    let (key, node) = given.next()?;
    if let Some((again, _)) = given.find(|(again, _)| again.text != key.text) {
        findings.report(Problem::UrlAndUrls {}, again.place());
    }
    let expected = match key.text.as_str() {
        "url" => "a URL",
        _ => "a list of URLs",
    };
    let wrong = |node: &Node| Problem::WrongOptionType {
        name: key.text.clone(),
        expected,
        found: node.kind(),
    };
    let mut urls = Vec::new();
    match &node.data {
        Data::Null => return None,
        Data::List(nodes) if nodes.is_empty() => return None,
        Data::Text(text) if key.text == "url" => {
            urls.extend(endpoints.url(text, &node.spot, endpoint, context, findings));
        }
        Data::List(nodes) if key.text == "urls" => {
            for node in nodes {
                match &node.data {
                    Data::Text(text) => urls.extend(endpoints.url(text, &node.spot, endpoint, context, findings)),
                    _ => findings.report(wrong(node), node.place()),
                }
            }
        }
        _ => findings.report(wrong(node), node.place()),
    }
    Some(urls)
}
