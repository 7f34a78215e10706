//! Annotation text to what was asked for: endpoints with their options, and what the Telegraf that scrapes them needs.
//!
//! Everything that is wrong is reported in one go, each finding at its place in the text; a `Declaration` holds only
//! what was found good.

mod endpoint_url;
mod endpoints;
mod inputs;
mod vocabulary;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::EnvVar;

pub use endpoint_url::EndpointUrl;
pub(crate) use endpoint_url::service_namespace;
pub use vocabulary::PREFIX;

use crate::diagnostic::{Findings, Place, Problem};
use crate::settings::{NamePattern, Names, Quantity, Settings};
use crate::source::Source;
use crate::telegraf::{Duration, Key, Literal, Options, Setting, Table, Value};

/// The annotation that holds Telegraf's own TOML.
pub(crate) const INPUTS: &str = "telegraf.influxdata.com/inputs";

/// What a source's annotations ask for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Declaration {
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) class: Option<String>,
    /// Also scrape Telegraf itself.
    pub(crate) internal: bool,
    pub(crate) image: Option<String>,
    pub(crate) requests: ResourceOverrides,
    pub(crate) limits: ResourceOverrides,
    pub(crate) global_tags: BTreeMap<Key, Literal>,
    pub(crate) env: Vec<EnvVar>,
    /// A Secret whose entries all become environment variables.
    pub(crate) secret_env: Option<String>,
}

/// Resources that an annotation sets instead of the settings.
#[derive(Clone, Debug, Default)]
pub(crate) struct ResourceOverrides {
    pub(crate) cpu: Option<Quantity>,
    pub(crate) memory: Option<Quantity>,
}

/// One input.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) name: EndpointName,
    pub(crate) input: Input,
}

/// How an endpoint is read.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    /// `inputs.prometheus`, with everything checked.
    Prometheus {
        urls: Vec<EndpointUrl>,
        /// The options that count, those of the annotation and of the settings included.
        options: Options,
        /// True when the name was written, so that the measurement can be called after it.
        named: bool,
    },
    /// A plugin that the administrator allowed, with what was written for it.
    Other { plugin: Key, table: Table },
}

/// An endpoint's name: 1 to 63 of `A-Z`, `a-z`, `0-9`, `_`, `-` and `.`.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct EndpointName(String);

impl EndpointName {
    pub(crate) fn new(text: &str) -> Option<Self> {
        let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        (!text.is_empty() && text.len() <= 63 && text.chars().all(known)).then(|| Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// What the annotations are read for.
struct Context<'a> {
    settings: &'a Settings,
    names: Names<'a>,
    /// Options that count for every endpoint which does not set them itself: those of the `interval`, `metric-version`
    /// and `namepass` annotations over those of the settings.
    defaults: Options,
}

/// Reads a source's annotations. `None` when they name no endpoint, so that there is nothing to do.
pub(crate) fn read(source: &Source<'_>, settings: &Settings, findings: &mut Findings) -> Option<Declaration> {
    let mut declaration = Declaration::default();
    let mut context = Context {
        settings,
        names: source.names(settings, ""),
        defaults: settings.inputs.defaults.clone(),
    };
    let mut endpoint_annotations = Vec::new();
    let mut others = Vec::new();
    for (name, raw) in &source.annotations.0 {
        let name = name.as_ref();
        let holds_endpoints = name == settings.annotation || name == INPUTS;
        if !holds_endpoints && !name.starts_with(PREFIX) {
            continue;
        }
        match serde_json::from_str::<std::borrow::Cow<'_, str>>(raw.get()) {
            Ok(text) if holds_endpoints => endpoint_annotations.push((name, Some(text))),
            Ok(text) => others.push((name, text)),
            Err(_) => {
                let found = kind_of_json(raw.get());
                findings.push(Problem::NotText { found }.at(Place::annotation(name, None)));
                if holds_endpoints {
                    endpoint_annotations.push((name, None));
                }
            }
        }
    }
    // What they say counts for all endpoints, wherever it stands.
    for (name, text) in &others {
        let (options, endpoints) = (&mut context.defaults, !endpoint_annotations.is_empty());
        vocabulary::read(name, text, settings, endpoints, options, &mut declaration, findings);
    }
    vocabulary::check_together(&declaration, settings, source, findings);
    let mut endpoints = Endpoints::default();
    for (name, text) in &endpoint_annotations {
        let Some(text) = text else { continue };
        let before = (findings.count(), endpoints.seen.len());
        if *name == settings.annotation {
            endpoints::read(name, text, &context, &mut endpoints, findings);
        } else {
            inputs::read(name, text, &context, &mut endpoints, findings);
        }
        if before == (findings.count(), endpoints.seen.len()) {
            findings.push(Problem::NoEndpoints {}.at(Place::annotation(name, None)));
        }
    }
    if endpoints.seen.len() > settings.endpoints.max {
        let problem = Problem::TooManyEndpoints {
            count: endpoints.seen.len(),
            max: settings.endpoints.max,
        };
        let place = endpoints.seen.values().next_back().cloned();
        let place = place.unwrap_or_else(|| Place::annotation(&settings.annotation, None));
        findings.push(problem.at(Place { range: None, ..place }));
    }
    sort_by_place(source, findings);
    if endpoint_annotations.is_empty() {
        return None;
    }
    declaration.endpoints = endpoints.good;
    Some(declaration)
}

/// Findings in the order of the text, so that one reads them from top to bottom.
fn sort_by_place(source: &Source<'_>, findings: &mut Findings) {
    findings.sort_by_cached_key(|finding| {
        let place = finding.place.as_ref();
        let key = place.and_then(Place::annotation_key);
        let position = key.and_then(|key| source.annotations.0.iter().position(|(name, _)| *name == key));
        (position, place.and_then(|place| place.range))
    });
}

/// The endpoints of a source, whichever annotation they come from.
#[derive(Default)]
struct Endpoints {
    good: Vec<Endpoint>,
    /// Every name that was written, and where.
    seen: BTreeMap<String, Place>,
    /// Every URL that was written, and by which endpoint.
    urls: BTreeMap<String, String>,
}

impl Endpoints {
    /// Takes note of an endpoint's name. `None`, and a finding, when it cannot be used.
    fn name(&mut self, text: &str, place: &Place, findings: &mut Findings) -> Option<EndpointName> {
        let unsafe_text =
            crate::telegraf::refuse_unsafe_text(text, crate::telegraf::Origin::Annotation, place, findings);
        let name = EndpointName::new(text);
        if name.is_none() && !unsafe_text {
            let name = text.to_owned();
            findings.push(Problem::EndpointName { name }.at(place.clone()));
        }
        if self.seen.contains_key(text) {
            let name = text.to_owned();
            findings.push(Problem::DuplicateEndpoint { name }.at(place.clone()));
            return None;
        }
        self.seen.insert(text.to_owned(), place.clone());
        name
    }

    /// Reads a URL and checks it against the settings.
    fn url(
        &mut self,
        text: &str,
        place: &Place,
        endpoint: &str,
        context: &Context<'_>,
        findings: &mut Findings,
    ) -> Option<EndpointUrl> {
        let url = match EndpointUrl::parse(text, &context.settings.endpoints, &context.names) {
            Ok(url) => url,
            Err(problems) => {
                findings.extend(problems.into_iter().map(|problem| problem.at(place.clone())));
                return None;
            }
        };
        if !url.is_within(context.names.namespace, &context.settings.endpoints.cluster_domain) {
            let problem = Problem::OtherNamespace {
                host: url.host().to_owned(),
                namespace: context.names.namespace.to_owned(),
            };
            findings.push(problem.at(place.clone()));
        }
        match self.urls.get(text) {
            Some(first) => {
                let problem = Problem::DuplicateUrl {
                    url: text.to_owned(),
                    first: first.clone(),
                };
                findings.push(problem.at(place.clone()));
            }
            None => {
                self.urls.insert(text.to_owned(), endpoint.to_owned());
            }
        }
        Some(url)
    }
}

impl Context<'_> {
    /// An endpoint's options over those that count for all, and what only holds for them together.
    fn complete(&self, own: Options, urls: &[EndpointUrl], findings: &mut Findings) -> Options {
        if let Some(Setting {
            value: Value::Table(tags),
            place,
        }) = own.get("tags")
        {
            for tag in tags
                .keys()
                .filter(|tag| self.settings.inputs.reserved_tags.contains(tag.as_str()))
            {
                let tag = tag.as_str().to_owned();
                findings.push(Problem::ReservedTag { tag }.at(place.clone()));
            }
        }
        if let Some(Setting {
            value: Value::Literal(tag),
            place,
        }) = own.get("url_tag")
            && self.settings.inputs.reserved_tags.contains(tag.as_str())
        {
            let tag = tag.as_str().to_owned();
            findings.push(Problem::ReservedTag { tag }.at(place.clone()));
        }
        if let Some(interval) = own.get("interval") {
            check_interval(interval, self.settings, findings);
        }
        if let Some(Setting {
            value: Value::Boolean(true),
            place,
        }) = own.get("insecure_skip_verify")
            && !urls.is_empty()
            && urls.iter().all(|url| url.scheme() == "http")
        {
            findings.push(Problem::NothingToVerify {}.at(place.clone()));
        }
        let mut options = self.defaults.clone();
        options.extend(own);
        if metric_version(&options) == 2 {
            for (name, instead) in [("namepass", "fieldinclude"), ("namedrop", "fieldexclude")] {
                if let Some(setting) = options.get(name) {
                    let name = name.to_owned();
                    findings.push(Problem::NameFilter { name, instead }.at(setting.place.clone()));
                }
            }
        }
        options
    }
}

/// The version of the metrics' form that counts. Telegraf's own default is 1, and is what is left when the settings say
/// nothing.
pub(crate) fn metric_version(options: &Options) -> i64 {
    match options.get("metric_version") {
        Some(Setting {
            value: Value::Integer(version),
            ..
        }) => *version,
        _ => 1,
    }
}

/// Reports an interval that is shorter than the settings allow.
fn check_interval(interval: &Setting, settings: &Settings, findings: &mut Findings) {
    let min = &settings.endpoints.min_interval;
    if let Value::Literal(text) = &interval.value
        && let Some(duration) = Duration::parse(text.as_str())
        && duration < *min
    {
        let problem = Problem::IntervalTooShort {
            interval: duration.to_string(),
            min: min.to_string(),
        };
        findings.push(problem.at(interval.place.clone()));
    }
}

/// True if one of the patterns matches.
fn any_matches(patterns: &[NamePattern], text: &str) -> bool {
    patterns.iter().any(|pattern| pattern.matches(text))
}

fn kind_of_json(text: &str) -> &'static str {
    match text.trim_start().as_bytes().first() {
        Some(b'{') => "a map",
        Some(b'[') => "a list",
        Some(b't' | b'f') => "true or false",
        Some(b'n') => "empty",
        _ => "a number",
    }
}
