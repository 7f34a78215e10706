//! Parses annotations to a declaration: endpoints with their options, and the requirements of the Telegraf that scrapes
//! them.
//!
//! All problems are reported at once, each at its place in the text. A `Declaration` contains only what is valid.

mod credentials;
mod endpoint_url;
mod endpoints;
mod inputs;
mod other_annotations;
#[cfg(feature = "host")]
mod places;

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::EnvVar;

#[cfg(feature = "schema")]
pub(crate) use credentials::CREDENTIALS;
pub(crate) use credentials::Credential;
pub use endpoint_url::EndpointUrl;
#[cfg(feature = "host")]
pub(crate) use endpoint_url::may_be_host;
pub(crate) use endpoint_url::{service_namespace, service_of_host};
#[cfg(feature = "schema")]
pub(crate) use endpoints::{OF_PROMETHEUS, URL_KEYS};
#[cfg(feature = "host")]
pub(crate) use other_annotations::known_annotations;
#[cfg(feature = "host")]
pub use places::places;

use crate::annotation_name::{Content, PREFIXES, newer_name};
use crate::diagnostic::{Findings, Place, Problem, Range};
use crate::located::Spot;
use crate::settings::{Class, NamePattern, Names, Quantity, Settings, TemplateValue, is_dns_label};
use crate::source::Source;
use crate::telegraf::{
    Duration, Key, MAX_PATTERNS_OF_SOURCE, Options, Origin, Setting, Table, Value, count_patterns, fit_timeout, key,
    name_filter, refuse_unsafe_text,
};
use other_annotations::OtherAnnotations;

/// The names of all annotations that are read, as documents show them: the one with the endpoints, and those with a fixed
/// name. `endpoints` is the name in the settings.
#[cfg(feature = "host")]
pub fn names(endpoints: String) -> impl Iterator<Item = String> {
    let endpoints = match crate::annotation_name::ENDPOINTS {
        known if known.contains(&&*endpoints) => known[0].to_owned(),
        _ => endpoints,
    };
    std::iter::once(endpoints).chain(known_annotations().map(|name| format!("{}{name}", PREFIXES[0])))
}

/// What a source's annotations declare.
#[derive(Clone, Debug, Default)]
pub(crate) struct Declaration {
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) class: Option<String>,
    /// Also scrape Telegraf itself.
    pub(crate) internal: bool,
    pub(crate) image: Option<String>,
    pub(crate) requests: ResourceOverrides,
    pub(crate) limits: ResourceOverrides,
    pub(crate) global_tags: Table,
    pub(crate) env: Vec<EnvVar>,
    pub(crate) secret_env: Option<SecretEnv>,
}

/// A Secret whose entries all become environment variables.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct SecretEnv {
    /// The Secret's name.
    pub(crate) secret: String,
    /// The prefix of the variables' names. The authors of a Secret choose its keys, and without a prefix a key could
    /// become a variable such as `HTTP_PROXY`.
    pub(crate) prefix: String,
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
        /// The effective options, from the endpoint, the other annotations and the settings.
        options: Options,
        /// Options whose values are in Secrets.
        credentials: Vec<Credential>,
        /// True if the author wrote the name, so that the measurement can be named after it.
        named: bool,
    },
    /// A plugin that the administrator allows, with its table as the author wrote it.
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

/// What is needed to read annotations.
struct Context<'a> {
    settings: &'a Settings,
    names: Names<'a>,
    /// Options that count for every endpoint which does not set them itself: those of the `interval`, `metric-version`
    /// and `namepass` annotations over those of the settings.
    defaults: Options,
    /// The interval of endpoints that have none. `None` if it is known only in the pod.
    agent_interval: Option<Duration>,
}

/// Reads a source's annotations. Answers `None` if there are no endpoints, so there is nothing to do.
pub(crate) fn read(source: &Source<'_>, settings: &Settings, findings: &mut Findings) -> Option<Declaration> {
    let mut endpoint_annotations = Vec::new();
    let mut others = Vec::new();
    for (name, raw) in &source.annotations.0 {
        let name = name.as_ref();
        let Some(content) = Content::of(name, &settings.annotation) else {
            continue;
        };
        match serde_json::from_str::<std::borrow::Cow<'_, str>>(raw.get()) {
            Ok(text) => match content {
                Content::Other(short) => others.push((name, short, text)),
                content => endpoint_annotations.push((name, content, Some(text))),
            },
            Err(_) => {
                let raw = raw.get();
                let found = kind_of_json(raw);
                // A number alone is seconds where an interval is asked for.
                let unit = if found == "a number" && name.ends_with("interval") {
                    "s"
                } else {
                    ""
                };
                // `1.10` is 1.1 here, and `no` is false. Only what has one spelling can be shown.
                let instead = match found {
                    "a number" if raw.bytes().all(|byte| byte.is_ascii_digit()) => {
                        Some(format!("quote it: `\"{raw}{unit}\"`"))
                    }
                    "a number" | "true or false" => Some("put it in quotes".to_owned()),
                    _ => None,
                };
                findings.report(Problem::NotText { found, instead }, Place::annotation(name, None));
                if content.has_endpoints() {
                    endpoint_annotations.push((name, content, None));
                }
            }
        }
    }
    refuse_both_names(source, findings);
    // These annotations apply to all endpoints, whatever the order, so they are read first.
    let mut other_annotations = OtherAnnotations::new(settings, !endpoint_annotations.is_empty());
    for (name, short, text) in &others {
        other_annotations.read(name, short, text, findings);
    }
    let (mut declaration, options) = other_annotations.finish(source, findings);
    let mut context = Context {
        settings,
        names: source.names(settings, ""),
        defaults: settings.inputs.defaults.clone(),
        agent_interval: None,
    };
    context.defaults.extend(options);
    let class = declaration.class.as_deref().unwrap_or(&settings.default_class);
    context.agent_interval = settings
        .classes
        .get(class)
        .and_then(|class| agent_interval(class, &context.names));
    let mut endpoints = Endpoints::default();
    for (name, content, text) in &endpoint_annotations {
        let Some(text) = text else { continue };
        let before = (findings.count(), endpoints.count);
        if *content == Content::Endpoints {
            endpoints::read(name, text, &context, &mut endpoints, findings);
        } else {
            inputs::read(name, text, &context, &mut endpoints, findings);
        }
        if before == (findings.count(), endpoints.count) {
            findings.report(Problem::NoEndpoints {}, Place::annotation(name, None));
        }
    }
    endpoints.check_limits(settings, findings);
    if !endpoint_annotations.is_empty() {
        check_host_patterns(source, &context, findings);
    }
    sort_by_place(source, findings);
    if endpoint_annotations.is_empty() {
        return None;
    }
    declaration.endpoints = endpoints.good;
    Some(declaration)
}

/// Reports annotations that a source has under both of their names.
fn refuse_both_names(source: &Source<'_>, findings: &mut Findings) {
    let names = || source.annotations.0.iter().map(|(name, _)| name);
    let has = |prefix: &&str| names().any(|name| name.starts_with(*prefix));
    if !PREFIXES.iter().all(has) {
        return;
    }
    let mut newer = BTreeSet::new();
    newer.extend(
        names()
            .filter(|name| name.starts_with(PREFIXES[0]))
            .map(|name| name.to_string()),
    );
    for name in names() {
        if let Some(other) = newer_name(name).filter(|other| newer.contains(other)) {
            let name = name.to_string();
            let place = Place::annotation_name(&name);
            findings.report(Problem::BothNames { name, other }, place);
        }
    }
}

/// The interval of a class's agent. Telegraf's own default is ten seconds
/// (<https://docs.influxdata.com/telegraf/v1/configuration/#agent-configuration>).
fn agent_interval(class: &Class, names: &Names<'_>) -> Option<Duration> {
    match class.agent.get(&key("interval")) {
        None => Duration::parse("10s"),
        Some(TemplateValue::Text(text)) => Duration::parse(&text.fill(names)),
        Some(TemplateValue::Integer(seconds)) => Duration::from_seconds(*seconds),
        Some(_) => None,
    }
}

/// Reports host patterns that, with the source's names filled in, match services of other namespaces.
fn check_host_patterns(source: &Source<'_>, context: &Context<'_>, findings: &mut Findings) {
    // An invalid namespace name is reported elsewhere.
    if !is_dns_label(&source.namespace) {
        return;
    }
    for pattern in &context.settings.endpoints.hosts {
        if pattern.reaches_other_namespaces(&context.names) {
            let problem = Problem::NameInHostPattern {
                pattern: pattern.fill(&context.names),
            };
            findings.report(problem, source.namespace_place());
        }
    }
}

/// Sorts findings by their order in the text.
fn sort_by_place(source: &Source<'_>, findings: &mut Findings) {
    findings.sort_by_cached_key(|finding| {
        let place = finding.place.as_ref();
        let key = place.and_then(Place::annotation_key);
        let annotation = key.and_then(|key| source.annotations.0.iter().position(|(name, _)| *name == key));
        let annotation = annotation.map_or(0, |index| u32::try_from(index).unwrap_or(u32::MAX).saturating_add(1));
        // All lines and columns count from 1, so that what has no place comes first.
        let [start, end] = place
            .and_then(|place| place.range)
            .map_or([(0, 0); 2], |Range { start, end }| {
                [start, end].map(|position| (position.line, position.column))
            });
        [annotation, start.0, start.1, end.0, end.1]
    });
}

/// The endpoints of a source, from all annotations.
#[derive(Default)]
struct Endpoints {
    good: Vec<Endpoint>,
    /// The number of endpoints in the annotations. Those beyond the limit of the settings are counted, but not read.
    count: usize,
    /// The names that were read.
    names: BTreeSet<String>,
    /// Every URL that was read, and the endpoint that scrapes it.
    urls: BTreeMap<String, String>,
    /// The number of URLs in the annotations.
    url_count: usize,
    /// The number of patterns in the endpoints' own options.
    patterns: usize,
    /// An annotation that names endpoints.
    annotation: Option<Spot>,
    /// True if a filter for all endpoints was already reported.
    inherited_filter_is_reported: bool,
}

impl Endpoints {
    /// Counts an endpoint. Answers false if there are too many, and the endpoint must not be read.
    fn begin(&mut self, spot: &Spot, settings: &Settings) -> bool {
        self.count += 1;
        self.annotation = Some(spot.clone());
        self.count <= settings.endpoints.max
    }

    /// Reports limits that the source exceeds.
    fn check_limits(&self, settings: &Settings, findings: &mut Findings) {
        let max = settings.endpoints.max;
        let place = || {
            let place = self.annotation.as_ref().map(|spot| Place {
                range: None,
                ..spot.place()
            });
            place.unwrap_or_else(|| Place::annotation(&settings.annotation, None))
        };
        let count = self.count.max(self.url_count);
        if count > max {
            findings.report(Problem::TooManyEndpoints { count, max }, place());
        }
        if self.patterns > MAX_PATTERNS_OF_SOURCE {
            let problem = Problem::TooManyPatterns {
                what: "the endpoints".to_owned(),
                count: self.patterns,
                max: MAX_PATTERNS_OF_SOURCE,
            };
            findings.report(problem, place());
        }
    }

    /// Checks and records an endpoint's name. Answers `None` after reporting an invalid one.
    fn name(&mut self, text: &str, spot: &Spot, findings: &mut Findings) -> Option<EndpointName> {
        let unsafe_text = refuse_unsafe_text(text, Origin::Annotation, spot, findings);
        let name = EndpointName::new(text);
        if name.is_none() && !unsafe_text {
            let name = text.to_owned();
            findings.report(Problem::EndpointName { name }, spot.place());
        }
        if !self.names.insert(text.to_owned()) {
            let name = text.to_owned();
            findings.report(Problem::DuplicateEndpoint { name }, spot.place());
            return None;
        }
        name
    }

    /// Reads a URL and checks it against the settings.
    fn url(
        &mut self,
        text: &str,
        spot: &Spot,
        endpoint: &str,
        context: &Context<'_>,
        findings: &mut Findings,
    ) -> Option<EndpointUrl> {
        self.url_count += 1;
        if self.url_count > context.settings.endpoints.max {
            return None;
        }
        let url = match EndpointUrl::parse(text, &context.settings.endpoints, &context.names) {
            Ok(url) => url,
            Err(problems) => {
                for problem in problems {
                    let place = match problem {
                        Problem::InvalidUrl { at: Some(at), .. } => spot.place_of_character(at, text),
                        _ => spot.place(),
                    };
                    findings.push(problem.at(place));
                }
                return None;
            }
        };
        if !url.is_within(context.names.namespace, &context.settings.endpoints.cluster_domain) {
            let problem = Problem::OtherNamespace {
                host: url.host().to_owned(),
                namespace: context.names.namespace.to_owned(),
            };
            findings.report(problem, spot.place());
        }
        match self.urls.get(text) {
            Some(first) => {
                let problem = Problem::DuplicateUrl {
                    url: text.to_owned(),
                    first: first.clone(),
                };
                findings.report(problem, spot.place());
            }
            None => {
                self.urls.insert(text.to_owned(), endpoint.to_owned());
            }
        }
        Some(url)
    }

    /// Checks an endpoint's own options against the settings.
    fn check_options(&mut self, own: &Options, settings: &Settings, findings: &mut Findings) {
        self.patterns += count_patterns(own);
        check_reserved_tags(own, settings, findings);
        settings.endpoints.bounds().check(own, findings);
    }

    /// Merges an endpoint's options with the default ones, and checks them together.
    fn complete(
        &mut self,
        context: &Context<'_>,
        own: Options,
        urls: &[EndpointUrl],
        findings: &mut Findings,
    ) -> Options {
        let before = findings.errors();
        self.check_options(&own, context.settings, findings);
        let is_within_bounds = findings.errors() == before;
        if let Some(Setting {
            value: Value::Boolean(true),
            spot,
        }) = own.get("insecure_skip_verify")
            && !urls.is_empty()
            && urls.iter().all(|url| url.scheme() == "http")
        {
            findings.report(Problem::NoEffectWithoutTls {}, spot.place());
        }
        let own_names: Vec<_> = own.keys().copied().collect();
        let mut options = context.defaults.clone();
        options.extend(own);
        self.check_name_filters(&options, &own_names, findings);
        if is_within_bounds {
            let has_timeout = own_names.contains(&"timeout");
            fit_timeout(&mut options, has_timeout, context.agent_interval.as_ref(), findings);
        }
        options
    }

    /// Reports filters by metric name if all metrics have the same name. A filter for all endpoints is reported once.
    fn check_name_filters(&mut self, options: &Options, own: &[&'static str], findings: &mut Findings) {
        let is_inherited = !own.contains(&"metric_version");
        for (name, problem) in name_filter(options) {
            let culprit = if own.contains(&name) {
                name
            } else if is_inherited && self.inherited_filter_is_reported {
                continue;
            } else {
                self.inherited_filter_is_reported |= is_inherited;
                // A filter of the settings was checked there, so the endpoint's `metric_version` is the problem.
                let filter = options.get(name);
                match filter.is_some_and(|setting| setting.spot.is_in_annotation()) {
                    true => name,
                    false => "metric_version",
                }
            };
            if let Some(setting) = options.get(culprit) {
                findings.report(problem, setting.spot.place());
            }
        }
    }
}

/// Reports options that set a reserved tag.
fn check_reserved_tags(options: &Options, settings: &Settings, findings: &mut Findings) {
    let is_reserved = |tag: &str| settings.inputs.reserved_tags.contains(tag);
    if let Some(Setting {
        value: Value::Table(tags),
        spot,
    }) = options.get("tags")
    {
        for tag in tags.keys().filter(|tag| is_reserved(tag.as_str())) {
            let tag = tag.as_str().to_owned();
            findings.report(Problem::ReservedTag { tag }, spot.place());
        }
    }
    if let Some(Setting {
        value: Value::Literal(tag),
        spot,
    }) = options.get("url_tag")
        && is_reserved(tag.as_str())
    {
        let tag = tag.as_str().to_owned();
        findings.report(Problem::ReservedTag { tag }, spot.place());
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
