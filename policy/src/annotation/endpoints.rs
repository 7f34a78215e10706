//! The annotation's own YAML: a list of maps from names to URLs or options, or one such map.

use std::collections::BTreeSet;

use super::{Context, Endpoint, EndpointUrl, Endpoints, Input, credentials};
use crate::diagnostic::{Findings, Problem};
use crate::located::{Data, Key, Node, from_yaml};
use crate::telegraf::{Duration, Origin, is_option, meant_option, read_options};

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
                    _ => wrong_type(
                        "an entry of the list".to_owned(),
                        "`my-service: URL`",
                        item,
                        entry_of(item),
                        findings,
                    ),
                }
            }
        }
        Data::Map(entries) => read_entries(entries, context, endpoints, findings),
        Data::Null => {}
        _ => wrong_type(
            "the annotation".to_owned(),
            "a list of `- my-service: URL`",
            &root,
            entry_of(&root),
            findings,
        ),
    }
}

fn wrong_type(what: String, expected: &'static str, node: &Node, advice: Option<String>, findings: &mut Findings) {
    let found = node.kind();
    let problem = Problem::WrongType {
        what,
        expected,
        found,
        advice,
    };
    findings.report(problem, node.place());
}

/// What to write instead of a text that has a URL.
fn entry_of(node: &Node) -> Option<String> {
    let Data::Text(text) = &node.data else { return None };
    let (before, url) = text.split_at(text.find("http")?);
    let name = before.trim_end();
    Some(match name.strip_suffix(':') {
        Some(_) => format!("write a space after `{name}`"),
        None if name.is_empty() => format!("give it a name: `- my-service: {url}`"),
        None => format!("write `- {name}: {url}`"),
    })
}

/// What to change where an endpoint is a list of maps.
fn list_as_endpoint(name: &str, node: &Node) -> Option<String> {
    let Data::List(items) = &node.data else { return None };
    let Data::Map(entries) = &items.first()?.data else {
        return None;
    };
    let first = &entries.first()?.0.text;
    Some(match is_key_of_endpoint(first) {
        true => format!("remove the `- ` before `{first}`"),
        false => format!("remove the line `{name}:`"),
    })
}

fn read_entries(entries: &[(Key, Node)], context: &Context<'_>, endpoints: &mut Endpoints, findings: &mut Findings) {
    // Entries beyond the limit of the settings are not looked at.
    let rest = context.settings.endpoints.max.saturating_sub(endpoints.count);
    let mut misplaced = Vec::with_capacity(entries.len());
    let mut options = Vec::new();
    let mut endpoint = None;
    for (index, entry) in entries.iter().enumerate() {
        let (key, node) = entry;
        let is = is_key_of_endpoint(&key.text) || (index < rest && !findings.is_full() && is_misplaced(key, node));
        misplaced.push(is);
        if is {
            options.push(entry);
        } else if endpoint.is_none() && key.text != "name" {
            endpoint = Some(entry);
        }
    }
    let broken = !options.is_empty();
    if let Some((first, _)) = options.first() {
        let instead = instead_of_options(entries, endpoint, &options);
        let name = first.text.clone();
        findings.push(Problem::OptionAsEndpoint { name, instead }.at(first.place()));
    }
    let mut seen = BTreeSet::new();
    for ((key, node), is_misplaced) in entries.iter().zip(&misplaced) {
        // A key that is given twice is reported as such.
        if key.text == "<<" || entries.len() > 1 && !seen.insert(key.text.clone()) {
            continue;
        }
        // All of it is one mistake.
        if broken && (*is_misplaced || key.text == "name" || node.data == Data::Null) {
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
                let advice = list_as_endpoint(&key.text, node);
                wrong_type(what, "a URL, or a map with `url` and options", node, advice, findings);
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

/// True for an option of an endpoint, or what another tool calls one, whose value is certainly no endpoint.
fn is_misplaced(key: &Key, node: &Node) -> bool {
    let may_be_endpoint = match &node.data {
        Data::Text(text) => may_be_url(text),
        Data::Map(entries) => entries.iter().any(|(key, _)| is_key_of_endpoint(&key.text)),
        Data::Null => true,
        _ => false,
    };
    !may_be_endpoint && key.text != "name" && meant_option(&key.text).is_some()
}

/// False for a word, a duration, a number or a path.
fn may_be_url(text: &str) -> bool {
    text.contains([':', '.']) && !text.starts_with('/') && Duration::parse(text).is_none()
}

/// What to write instead of entries that contain options. `endpoint` is the first of the others.
fn instead_of_options(entries: &[(Key, Node)], endpoint: Option<&(Key, Node)>, options: &[&(Key, Node)]) -> String {
    let value = |name: &str| {
        let found = entries.iter().find(|(key, _)| key.text == name);
        found.and_then(|(_, node)| node.text())
    };
    let name = value("name").or_else(|| value("job_name"));
    let is_of_prometheus = options
        .iter()
        .any(|(key, _)| OF_PROMETHEUS.contains(&key.text.as_str()));
    let url = value("url").or(is_of_prometheus.then_some("http://service.namespace.svc:8080/metrics".into()));
    match (endpoint, url) {
        (Some((name, url)), _) if let Data::Text(url) = &url.data => {
            let mut known = Vec::new();
            let mut advice = None;
            for (key, node) in options {
                let meant = match credentials::is_key(&key.text) {
                    true => Some(Ok(&*key.text)),
                    false => meant_option(&key.text),
                };
                match meant {
                    Some(Ok(option)) => known.push(format!(", {option}: {}", shown(node))),
                    Some(Err(instead)) => advice = advice.or(Some(instead)),
                    None => {}
                }
            }
            match advice {
                Some(advice) if known.is_empty() => advice.to_owned(),
                _ => format!("write `{}: {{url: \"{url}\"{}}}`", name.text, known.concat()),
            }
        }
        (Some((endpoint, _)), Some(_)) => format!("indent the options below `{}:`", endpoint.text),
        (Some((endpoint, _)), None) => format!("indent it below `{}:`, beside `url: ...`", endpoint.text),
        (None, Some(url)) if !entries.iter().any(|(key, _)| is_option(&key.text)) => {
            format!("write `{}: \"{url}\"`", name.as_deref().unwrap_or("my-service"))
        }
        _ => format!(
            "write the endpoint's name, such as `{}:`, and the options below it, indented",
            name.as_deref().unwrap_or("my-service")
        ),
    }
}

/// An option's value, if it is a word or a number.
fn shown(node: &Node) -> String {
    let is_plain = |text: &str| {
        text.chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
    };
    match node.text() {
        Some(text) if is_plain(&text) => text.into_owned(),
        _ => "…".to_owned(),
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
        instead: match &node.data {
            Data::Text(text) => Some(format!("[\"{text}\"]")).filter(|_| !text.contains([',', ' '])),
            _ => None,
        },
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
