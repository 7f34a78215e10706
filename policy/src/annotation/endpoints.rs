//! The annotation's own YAML: a list of maps from names to URLs or options, or one such map.

use super::{Context, Endpoint, EndpointUrl, Endpoints, Input};
use crate::diagnostic::{Diagnostic, Findings, Problem};
use crate::located::{Data, Key, Node, from_yaml};
use crate::telegraf::{Origin, read_options};

/// Keys of an endpoint's map that are not options.
const URL_KEYS: &[&str] = &["url", "urls"];

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
                    _ => findings.push(wrong_type("an entry of the list", "`name: URL`", item)),
                }
            }
        }
        Data::Map(entries) => read_entries(entries, context, endpoints, findings),
        Data::Null => {}
        _ => findings.push(wrong_type("the annotation", "a list of `- name: URL`", &root)),
    }
}

fn wrong_type(what: &str, expected: &'static str, node: &Node) -> Diagnostic {
    let problem = Problem::WrongType {
        what: what.to_owned(),
        expected,
        found: node.kind(),
    };
    problem.at(node.place())
}

fn read_entries(entries: &[(Key, Node)], context: &Context<'_>, endpoints: &mut Endpoints, findings: &mut Findings) {
    for (key, node) in entries {
        if key.text == "<<" {
            continue;
        }
        if !endpoints.begin(key.place(), context.settings) {
            continue;
        }
        let before = findings.errors();
        let name = endpoints.name(&key.text, &key.place(), findings);
        let no_url = || Problem::NoUrl { name: key.text.clone() }.at(key.place());
        let input = match &node.data {
            Data::Text(url) => {
                let urls: Vec<_> = endpoints
                    .url(url, &node.place(), &key.text, context, findings)
                    .into_iter()
                    .collect();
                let options = endpoints.complete(context, Default::default(), &urls, findings);
                Some((urls, options))
            }
            Data::Map(entries) => {
                let urls = read_urls(entries, &key.text, context, endpoints, findings);
                if urls.is_none() {
                    findings.push(no_url());
                }
                let urls = urls.unwrap_or_default();
                let own = read_options(entries, URL_KEYS, Origin::Annotation, findings);
                let options = endpoints.complete(context, own, &urls, findings);
                Some((urls, options))
            }
            Data::Null => {
                findings.push(no_url());
                None
            }
            _ => {
                let what = format!("endpoint `{}`", key.text);
                findings.push(wrong_type(&what, "a URL, or a map with `url` and options", node));
                None
            }
        };
        if let (Some(name), Some((urls, options)), true) = (name, input, findings.errors() == before) {
            let input = Input::Prometheus {
                urls,
                options,
                named: true,
            };
            endpoints.good.push(Endpoint { name, input });
        }
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
        findings.push(Problem::UrlAndUrls {}.at(again.place()));
    }
    let expected = match key.text.as_str() {
        "url" => "a URL",
        _ => "a list of URLs",
    };
    let wrong = |node: &Node| {
        let problem = Problem::WrongOptionType {
            name: key.text.clone(),
            expected,
            found: node.kind(),
        };
        problem.at(node.place())
    };
    let mut urls = Vec::new();
    match &node.data {
        Data::Null => return None,
        Data::List(nodes) if nodes.is_empty() => return None,
        Data::Text(text) if key.text == "url" => {
            urls.extend(endpoints.url(text, &node.place(), endpoint, context, findings));
        }
        Data::List(nodes) if key.text == "urls" => {
            for node in nodes {
                match &node.data {
                    Data::Text(text) => urls.extend(endpoints.url(text, &node.place(), endpoint, context, findings)),
                    _ => findings.push(wrong(node)),
                }
            }
        }
        _ => findings.push(wrong(node)),
    }
    Some(urls)
}
