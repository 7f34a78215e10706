//! The options of `inputs.prometheus` that an annotation may set: an allow-list.
//!
//! Names and meanings are Telegraf's
//! (<https://github.com/influxdata/telegraf/tree/master/plugins/inputs/prometheus> and, for the filters,
//! <https://docs.influxdata.com/telegraf/v1/configuration/#metric-filtering>). Not included are options that read files of
//! the pod (`tls_ca`, `bearer_token`, `password`), bypass the allowed hosts (`kubernetes_services`,
//! `monitor_kubernetes_pods`, `consul`, `http_service_discovery`), or send data (`http_headers`, `http_proxy_url`).

use super::Duration;
use super::glob::check_glob;
use super::size::parse_size;
use super::value::{Key, Literal, NotLiteral, Table, Value};
use crate::diagnostic::{Findings, Problem};
use crate::located::{self, Data, Node, Spot};
use crate::sorted_map::SmallMap;

/// An option that may be set.
pub(crate) struct OptionRule {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    /// The effect, in one sentence, for schema and documentation.
    #[cfg_attr(not(feature = "schema"), allow(dead_code))]
    pub(crate) doc: &'static str,
}

/// The type of an option's value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Shape {
    Boolean,
    Duration,
    /// 1 or 2.
    MetricVersion,
    /// Bytes.
    Size,
    /// One of [`CONTENT_TYPES`].
    ContentType,
    /// A tag's name.
    TagName,
    /// A host's name.
    HostName,
    /// A list of glob patterns.
    Patterns,
    /// Tags and their values.
    Tags,
    /// Tags and, for each, a list of glob patterns.
    TagPatterns,
}

impl Shape {
    fn expected(self) -> &'static str {
        match self {
            Self::Boolean => "`true` or `false`",
            Self::Duration => "a duration such as `30s`",
            Self::MetricVersion => "1 or 2",
            Self::Size => "a size such as `20MB`",
            Self::ContentType | Self::TagName | Self::HostName => "text",
            Self::Patterns => "a list of texts, such as `[\"redis_*\"]`",
            Self::Tags => "a map from tags to texts, such as `{tier: cache}`",
            Self::TagPatterns => "a map from tags to lists of texts, such as `{db: [\"a*\"]}`",
        }
    }
}

/// The formats that an endpoint's response can be read as, by Telegraf's names.
pub(crate) const CONTENT_TYPES: &[&str] = &[
    "text",
    "protobuf-delimiter",
    "protobuf-compact",
    "protobuf-text",
    "openmetrics-text",
    "openmetrics-protobuf",
];

const fn option(name: &'static str, shape: Shape, doc: &'static str) -> OptionRule {
    OptionRule { name, shape, doc }
}

/// The allow-list, sorted by name.
pub(crate) const OPTIONS: &[OptionRule] = &[
    option(
        "content_length_limit",
        Shape::Size,
        "The largest answer that is read; a larger one is an error of that scrape.",
    ),
    option(
        "content_type_override",
        Shape::ContentType,
        "The content type to assume, for an endpoint that sends a wrong one.",
    ),
    option(
        "enable_request_metrics",
        Shape::Boolean,
        "Also emit how long the request took and how large the answer was.",
    ),
    option(
        "fieldexclude",
        Shape::Patterns,
        "Fields to drop; with `metric_version: 2` a metric's name is a field.",
    ),
    option(
        "fieldinclude",
        Shape::Patterns,
        "Fields to keep; with `metric_version: 2` a metric's name is a field.",
    ),
    option(
        "ignore_timestamp",
        Shape::Boolean,
        "Use the time of the scrape, not the one that the endpoint sends.",
    ),
    option(
        "insecure_skip_verify",
        Shape::Boolean,
        "Do not check the endpoint's certificate.",
    ),
    option("interval", Shape::Duration, "How often to scrape."),
    option(
        "metric_version",
        Shape::MetricVersion,
        "How metrics become measurements: 1 (one measurement for each metric) or 2 (one field for each).",
    ),
    option(
        "namedrop",
        Shape::Patterns,
        "Metrics to drop, by name; only with `metric_version: 1`.",
    ),
    option(
        "namepass",
        Shape::Patterns,
        "Metrics to keep, by name; only with `metric_version: 1`.",
    ),
    option(
        "tagdrop",
        Shape::TagPatterns,
        "Drop metrics that have one of these tags with a value that matches.",
    ),
    option("tagexclude", Shape::Patterns, "Tags to remove."),
    option("taginclude", Shape::Patterns, "Tags to keep."),
    option(
        "tagpass",
        Shape::TagPatterns,
        "Keep only metrics that have one of these tags with a value that matches.",
    ),
    option("tags", Shape::Tags, "Tags to add to every metric."),
    option("timeout", Shape::Duration, "How long a scrape may take."),
    option(
        "tls_server_name",
        Shape::HostName,
        "The name that the endpoint's certificate is checked for.",
    ),
    option("url_tag", Shape::TagName, "The tag that holds the endpoint's URL."),
];

/// True for an option that may be set.
pub(crate) fn is_option(name: &str) -> bool {
    rule(name).is_some()
}

fn rule(name: &str) -> Option<&'static OptionRule> {
    OPTIONS.iter().find(|rule| rule.name == name)
}

const NOT_AN_OPTION: &str = "is not an option of an endpoint";

/// A name as Telegraf and Prometheus write it: ServiceMonitors write `scrapeTimeout`.
fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for c in name.chars().take(64) {
        if c.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

/// The advice for options of Prometheus, and for refused options of Telegraf: what is wrong, and what to do.
pub(crate) fn foreign(name: &str) -> Option<(&'static str, Option<&'static str>)> {
    const CREDENTIALS: &str = "is refused: whoever reads the annotation could use the credentials";
    const CREDENTIALS_INSTEAD: &str = "in `telewarden.io/endpoints`, name entries of a Secret that the settings allow, with \
                                       `bearerTokenSecret`, `basicAuthSecret` or `tls`";
    let advice = match &*snake_case(name) {
        "scrape_interval" | "frequency" => "write `interval`",
        "scrape_timeout" | "response_timeout" => "write `timeout`",
        "labels" => "write `tags`",
        "honor_timestamps" => "write `ignore_timestamp`, with the opposite value",
        "fieldpass" | "pass" => "write `fieldinclude`",
        "fielddrop" | "drop" => "write `fieldexclude`",
        "tagkeep" => "write `tagpass` for metrics, or `taginclude` for tags",
        "namekeep" => "write `namepass`",
        "sample_limit" => "write `content_length_limit`, which limits the size of an answer",
        "tls_skip_verify" | "skip_tls_verify" | "insecure" => "write `insecure_skip_verify`",
        "ssl_verify" => "write `insecure_skip_verify`, with the opposite value",
        "enabled" => "remove it, or remove the endpoint",
        "alias" | "description" | "honor_labels" => "remove it",
        "namespace" => "write it in the URL: `url: \"http://service.namespace.svc:8080/metrics\"`",
        "static_configs" | "targets" => "write `url`, or a list `urls`",
        "name_override" | "name_prefix" | "name_suffix" => {
            "remove it: the settings name measurements after the endpoint"
        }
        "job_name" | "name" => "remove it: the endpoint's name is the key above its options",
        "port" | "target_port" | "scheme" | "path" | "metrics_path" | "params" => {
            "write it in the URL: `url: \"http://service.namespace.svc:8080/metrics\"`"
        }
        "relabel_configs" | "metric_relabel_configs" | "relabelings" | "metric_relabelings" => {
            "use `fieldinclude`, `fieldexclude`, `tagpass`, `tagdrop` and `tags`"
        }
        "tls_config" => "write `insecure_skip_verify` or `tls_server_name`",
        "bearer_token_file" | "tls_ca" | "tls_cert" | "tls_key" => {
            return Some((
                "is refused: it reads a file of Telegraf's pod",
                Some(CREDENTIALS_INSTEAD),
            ));
        }
        "bearer_token"
        | "bearer_token_string"
        | "bearer_token_secret"
        | "headers"
        | "username"
        | "password"
        | "basic_auth"
        | "authorization"
        | "oauth2"
        | "http_headers"
        | "tls_key_pwd" => {
            return Some((CREDENTIALS, Some(CREDENTIALS_INSTEAD)));
        }
        "kubernetes_services"
        | "monitor_kubernetes_pods"
        | "kubernetes_sd_configs"
        | "consul"
        | "http_service_discovery"
        | "http_proxy_url"
        | "proxy_url" => {
            return Some((
                "is refused: it reaches hosts that nobody checked",
                Some("write each URL in `urls`"),
            ));
        }
        _ => return None,
    };
    Some((NOT_AN_OPTION, Some(advice)))
}

/// What a name means among an endpoint's options: the option, or the advice for a name that is none. `None` for a name that is
/// like none of them.
pub(crate) fn meant_option(name: &str) -> Option<Result<&'static str, &'static str>> {
    if let Some(rule) = rule(name) {
        return Some(Ok(rule.name));
    }
    let Some((_, advice)) = foreign(name) else {
        return nearest(name, OPTIONS.iter().map(|rule| rule.name)).map(Ok);
    };
    let advice = advice?;
    let written = advice.strip_prefix("write `").and_then(|rest| rest.strip_suffix('`'));
    Some(written.and_then(rule).map(|rule| rule.name).ok_or(advice))
}

/// The most patterns in one option. Telegraf matches each with every metric, field or tag of a scrape.
const MAX_PATTERNS: usize = 128;

/// The most tags that an annotation may add to the metrics of an endpoint, and the most global tags of a source. Every metric
/// contains them, and what Telegraf needs for a metric grows with the square of their number: with 300, a scrape of 30,000
/// metrics took a gigabyte.
pub(crate) const MAX_TAGS: usize = 32;

/// The longest value of a tag that an annotation may set, in bytes. Every metric contains it.
pub(crate) const MAX_TAG_VALUE: usize = 1024;

/// The description of a valid tag value, for messages.
pub(crate) const TAG_VALUE: &str = "text of at most 1024 bytes";

/// The most patterns in a source, in all its endpoints together.
pub(crate) const MAX_PATTERNS_OF_SOURCE: usize = 1024;

/// Those of [`OPTIONS`] that Telegraf offers for every input plugin
/// (<https://docs.influxdata.com/telegraf/v1/configuration/#input-plugins>).
const OF_EVERY_INPUT: &[&str] = &[
    "fieldexclude",
    "fieldinclude",
    "interval",
    "namedrop",
    "namepass",
    "tagdrop",
    "tagexclude",
    "taginclude",
    "tagpass",
    "tags",
];

/// True for an option that has the same meaning for every input plugin.
pub(crate) fn is_of_every_input(name: &str) -> bool {
    OF_EVERY_INPUT.contains(&name)
}

/// The author of a text, which determines whether Telegraf may replace variables in it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Origin {
    Annotation,
    Settings,
}

/// A valid value and its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Setting {
    pub(crate) value: Value,
    pub(crate) spot: Spot,
}

/// Valid options, by name.
pub(crate) type Options = SmallMap<&'static str, Setting>;

/// Reads a map's entries as options. Problems are added to the findings, and the invalid options are left out.
///
/// `elsewhere` are names that the caller reads.
pub(crate) fn read_options(
    entries: &[(located::Key, Node)],
    elsewhere: &[&'static str],
    origin: Origin,
    findings: &mut Findings,
) -> Options {
    let mut options = Options::default();
    for (key, node) in entries {
        if elsewhere.contains(&key.text.as_str()) {
            continue;
        }
        let Some(rule) = rule(&key.text) else {
            if !refuse_unsafe_text(&key.text, origin, &key.spot, findings) {
                let known = OPTIONS.iter().map(|rule| rule.name).chain(elsewhere.iter().copied());
                let foreign = foreign(&key.text);
                let is_open = foreign.is_none() && !findings.is_full();
                let (what, advice) = foreign.unwrap_or((NOT_AN_OPTION, None));
                let problem = Problem::UnknownOption {
                    nearest: is_open.then(|| nearest(&key.text, known)).flatten(),
                    name: key.text.clone(),
                    what,
                    advice,
                };
                findings.report(problem, key.place());
            }
            continue;
        };
        if let Some(value) = read_option(rule, node, origin, findings) {
            let spot = node.spot.clone();
            options.insert(rule.name, Setting { value, spot });
        }
    }
    options
}

/// Checks one option's value.
fn read_option(rule: &OptionRule, node: &Node, origin: Origin, findings: &mut Findings) -> Option<Value> {
    let before = findings.count();
    let value = match (rule.shape, &node.data) {
        (Shape::Boolean, Data::Boolean(value)) => Some(Value::Boolean(*value)),
        (Shape::Duration, Data::Integer(seconds, text)) => match Duration::from_seconds(*seconds) {
            Some(duration) => literal_text(duration.as_str(), Origin::Annotation, &node.spot, findings),
            None => not_a_duration(rule, text, node, findings),
        },
        (Shape::Duration, Data::Text(text) | Data::Float(_, text)) => {
            literal_text(text, Origin::Annotation, &node.spot, findings)?;
            match Duration::parse(text) {
                Some(duration) => literal_text(duration.as_str(), Origin::Annotation, &node.spot, findings),
                None => not_a_duration(rule, text, node, findings),
            }
        }
        (Shape::MetricVersion, Data::Integer(version @ (1 | 2), _)) => Some(Value::Integer(*version)),
        (Shape::MetricVersion, Data::Integer(_, text)) => out_of_range(rule, text, "1 or 2", node, findings),
        (Shape::Size, Data::Integer(bytes @ 1.., _)) => Some(Value::Integer(*bytes)),
        (Shape::Size, Data::Integer(_, text) | Data::Text(text)) => {
            if refuse_unsafe_text(text, Origin::Annotation, &node.spot, findings) {
                return None;
            }
            match parse_size(text).filter(|bytes| *bytes > 0) {
                Some(bytes) => Some(Value::Integer(bytes)),
                None => out_of_range(rule, text, "a size such as `20MB` or `1048576`", node, findings),
            }
        }
        (Shape::ContentType, Data::Text(text)) => {
            let value = literal_text(text, origin, &node.spot, findings)?;
            let expected = "`text`, `protobuf-delimiter`, `protobuf-compact`, `protobuf-text`, `openmetrics-text` or \
                            `openmetrics-protobuf`";
            match CONTENT_TYPES.contains(&text.as_str()) {
                true => Some(value),
                false => out_of_range(rule, text, expected, node, findings),
            }
        }
        (Shape::HostName, Data::Text(text)) => {
            let value = literal_text(text, origin, &node.spot, findings)?;
            let host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
            match text.chars().all(host) && !text.is_empty() || origin == Origin::Settings {
                true => Some(value),
                false => out_of_range(rule, text, "a host's name", node, findings),
            }
        }
        (Shape::TagName, Data::Text(text)) => {
            let name = read_key(text, "a tag's name", origin, &node.spot, findings)?;
            literal_text(name.as_str(), origin, &node.spot, findings)
        }
        (Shape::Patterns, Data::List(nodes)) => {
            if too_many_patterns(rule, nodes.len(), node, findings) {
                return None;
            }
            read_texts(rule, nodes, origin, findings)
        }
        (Shape::Tags, Data::Map(entries)) => {
            if origin == Origin::Annotation && entries.len() > MAX_TAGS {
                let (what, count) = (format!("`{}`", rule.name), entries.len());
                let max = MAX_TAGS;
                findings.report(Problem::TooManyTags { what, count, max }, node.place());
                return None;
            }
            let mut table = Table::default();
            for (key, node) in entries {
                let name = read_key(&key.text, "a tag's name", origin, &key.spot, findings);
                let value = match node.text() {
                    Some(text) if text.len() > MAX_TAG_VALUE && origin == Origin::Annotation => {
                        out_of_range(rule, &text, TAG_VALUE, node, findings)
                    }
                    Some(text) => literal_text(&text, origin, &node.spot, findings),
                    None => wrong_shape(&format!("{}.{}", rule.name, key.text), "text", node, findings),
                };
                if let (Some(name), Some(value)) = (name, value) {
                    table.insert(name, value);
                }
            }
            Some(Value::Table(table))
        }
        (Shape::TagPatterns, Data::Map(entries)) => {
            let count = entries.iter().map(|(_, node)| match &node.data {
                Data::List(nodes) => nodes.len(),
                _ => 1,
            });
            if too_many_patterns(rule, count.sum(), node, findings) {
                return None;
            }
            let mut table = Table::default();
            for (key, node) in entries {
                let name = read_key(&key.text, "a tag's name", origin, &key.spot, findings);
                let value = match &node.data {
                    Data::List(nodes) => read_texts(rule, nodes, origin, findings),
                    _ => wrong_shape(
                        &format!("{}.{}", rule.name, key.text),
                        "a list of texts",
                        node,
                        findings,
                    ),
                };
                if let (Some(name), Some(value)) = (name, value) {
                    table.insert(name, value);
                }
            }
            Some(Value::Table(table))
        }
        (shape, _) => wrong_shape(rule.name, shape.expected(), node, findings),
    };
    value.filter(|_| findings.count() == before)
}

fn not_a_duration(rule: &OptionRule, text: &str, node: &Node, findings: &mut Findings) -> Option<Value> {
    let problem = Problem::InvalidDuration {
        name: rule.name.to_owned(),
        text: text.to_owned(),
    };
    findings.report(problem, node.place());
    None
}

fn out_of_range(
    rule: &OptionRule,
    text: &str,
    expected: &'static str,
    node: &Node,
    findings: &mut Findings,
) -> Option<Value> {
    let problem = Problem::InvalidOptionValue {
        name: rule.name.to_owned(),
        text: text.to_owned(),
        expected,
    };
    findings.report(problem, node.place());
    None
}

fn wrong_shape(name: &str, expected: &'static str, node: &Node, findings: &mut Findings) -> Option<Value> {
    let problem = Problem::WrongOptionType {
        name: name.to_owned(),
        expected,
        found: node.kind(),
        instead: instead_of_text(expected, node),
    };
    findings.report(problem, node.place());
    None
}

/// The same value in the right type, where a text has only one meaning.
fn instead_of_text(expected: &str, node: &Node) -> Option<String> {
    let Data::Text(text) = &node.data else { return None };
    let instead = match &**text {
        "yes" | "on" | "true" if expected.starts_with("`true`") => "true",
        "no" | "off" | "false" if expected.starts_with("`true`") => "false",
        "1" | "2" if expected.starts_with('1') => text,
        // It may be several texts.
        text if expected.starts_with("a list") && !text.is_empty() && !text.contains([',', ' ', '|', '"', '\\']) => {
            return Some(format!("[\"{text}\"]"));
        }
        _ => return None,
    };
    Some(instead.to_owned())
}

/// The effective version of the metric format. If the settings have none, it is Telegraf's default, 1.
pub(crate) fn metric_version(options: &Options) -> i64 {
    match options.get("metric_version") {
        Some(Setting {
            value: Value::Integer(version),
            ..
        }) => *version,
        _ => 1,
    }
}

/// The filters by metric name, and the filters to use instead with `metric_version: 2`.
const NAME_FILTERS: [(&str, &str); 2] = [("namepass", "fieldinclude"), ("namedrop", "fieldexclude")];

/// The problem with a filter by metric name in a set of options, if there is one.
pub(crate) fn name_filter(options: &Options) -> impl Iterator<Item = (&'static str, Problem)> {
    let drops_all = metric_version(options) == 2;
    let given = NAME_FILTERS.map(|(name, instead)| (options.get(name).is_some(), name, instead));
    given
        .into_iter()
        .filter(move |(is_given, ..)| drops_all && *is_given)
        .map(|(_, name, instead)| {
            let problem = Problem::NameFilter {
                name: name.to_owned(),
                instead,
            };
            (name, problem)
        })
}

/// Reports filters by metric name if all metrics have the same name.
pub(crate) fn check_name_filters(options: &Options, findings: &mut Findings) {
    for (name, problem) in name_filter(options) {
        if let Some(setting) = options.get(name) {
            findings.report(problem, setting.spot.place());
        }
    }
}

/// Reports an option with too many patterns. Answers true if it did.
fn too_many_patterns(rule: &OptionRule, count: usize, node: &Node, findings: &mut Findings) -> bool {
    if count > MAX_PATTERNS {
        let problem = Problem::TooManyPatterns {
            what: format!("`{}`", rule.name),
            count,
            max: MAX_PATTERNS,
        };
        findings.report(problem, node.place());
    }
    count > MAX_PATTERNS
}

/// The number of patterns in all filters of the options.
pub(crate) fn count_patterns(options: &Options) -> usize {
    let count = |value: &Value| match value {
        Value::List(patterns) => patterns.len(),
        Value::Table(tags) => {
            let lists = tags.values().map(|patterns| match patterns {
                Value::List(patterns) => patterns.len(),
                _ => 0,
            });
            lists.sum()
        }
        _ => 0,
    };
    options.values().map(|setting| count(&setting.value)).sum()
}

/// Checks a pattern for the names of metrics, which have no character of a regular expression
/// (<https://prometheus.io/docs/concepts/data_model/#metric-names-and-labels>).
fn check_name_pattern(rule: &OptionRule, text: &str) -> Result<(), &'static str> {
    let drops = matches!(rule.name, "fieldexclude" | "namedrop");
    match drops || matches!(rule.name, "fieldinclude" | "namepass") {
        true if drops && text == "*" => Err("a pattern that does not drop everything"),
        true if text.starts_with('^') || text.contains(['|', '(']) => {
            Err("a glob pattern such as `http_*`, not a regular expression; write alternatives as several patterns")
        }
        _ => Ok(()),
    }
}

fn read_texts(rule: &OptionRule, nodes: &[Node], origin: Origin, findings: &mut Findings) -> Option<Value> {
    let texts = nodes.iter().filter_map(|node| match node.text() {
        Some(text) => {
            let value = literal_text(&text, origin, &node.spot, findings)?;
            match check_glob(&text).and_then(|()| check_name_pattern(rule, &text)) {
                Ok(()) => Some(value),
                Err(expected) => out_of_range(rule, &text, expected, node, findings),
            }
        }
        None => wrong_shape(rule.name, "a list of texts", node, findings),
    });
    Some(Value::List(texts.collect()))
}

/// A text as a value. It is literal if an annotation contains it.
fn literal_text(text: &str, origin: Origin, spot: &Spot, findings: &mut Findings) -> Option<Value> {
    if origin == Origin::Settings {
        return Some(Value::Replaceable(text.to_owned()));
    }
    match Literal::new(text) {
        Ok(text) => Some(Value::Literal(text)),
        Err(reason) => {
            findings.report(not_literal(reason), spot.place());
            None
        }
    }
}

/// A text as a bare key.
fn read_key(text: &str, what: &'static str, origin: Origin, spot: &Spot, findings: &mut Findings) -> Option<Key> {
    if refuse_unsafe_text(text, origin, spot, findings) {
        return None;
    }
    let key = Key::new(text);
    if key.is_none() {
        let name = text.to_owned();
        findings.report(Problem::Key { name, what }, spot.place());
    }
    key
}

/// Reports text of an annotation in which Telegraf would replace something, or that contains a control character.
/// Answers true if it did.
pub(crate) fn refuse_unsafe_text(text: &str, origin: Origin, spot: &Spot, findings: &mut Findings) -> bool {
    match Literal::new(text) {
        Err(reason) if origin == Origin::Annotation => {
            findings.report(not_literal(reason), spot.place());
            true
        }
        _ => false,
    }
}

fn not_literal(reason: NotLiteral) -> Problem {
    match reason {
        NotLiteral::Replaced(what) => Problem::Variable { what },
        NotLiteral::Control(c) => Problem::ControlCharacter { codepoint: c as u32 },
    }
}

/// The one known name that a mistyped one certainly means: a few letters differ, and no other name is as similar.
#[cfg(feature = "host")]
pub(crate) fn near<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let plain = |name: &str| name.to_ascii_lowercase().replace('-', "_");
    let name = plain(name);
    (name.len() <= 64).then_some(())?;
    // The smallest distance, and the names at that distance.
    let mut nearest = (usize::MAX, Vec::new());
    for known in known {
        let distance = strsim::osa_distance(&name, &plain(known));
        if distance > (known.len() / 4).max(1) || distance > nearest.0 {
            continue;
        }
        if distance < nearest.0 {
            nearest = (distance, Vec::new());
        }
        nearest.1.push(known);
    }
    match nearest.1.as_slice() {
        [only] => Some(only),
        _ => None,
    }
}

/// The known name that is most similar to a mistyped one, if one is similar enough.
pub(crate) fn nearest<'k>(name: &str, mut known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    nearest_of(name, &mut || known.next())
}

/// The module contains it once, and not once for each kind of iterator.
fn nearest_of<'k>(name: &str, next: &mut dyn FnMut() -> Option<&'k str>) -> Option<&'k str> {
    if name.len() > 64 {
        return None;
    }
    let name = name.to_ascii_lowercase().replace('-', "_");
    let mut nearest: Option<(usize, &str)> = None;
    while let Some(known) = next() {
        // The distance is at least the difference of the lengths, and far cheaper.
        if name.len().abs_diff(known.len()) > known.len().div_ceil(3) {
            continue;
        }
        let found = (strsim::osa_distance(&name, &known.replace('-', "_")), known);
        if found.0 <= known.len().div_ceil(3) && nearest.is_none_or(|nearest| found < nearest) {
            nearest = Some(found);
        }
    }
    nearest.map(|(_, known)| known)
}
