//! Suggestions: the fix of a finding, if only one fix is plausible.
//!
//! A host applies a suggestion, calls the module again, and writes it only if the finding is gone and there is no new error.
//! So this code does not repeat the rules. It only finds the text that the author probably meant.

use serde_json::Value;

use crate::annotation::{known_annotations, may_be_host};
use crate::annotation_name::{Content, names_of_endpoints, without_prefix};
use crate::application_set;
use crate::diagnostic::{Diagnostic, Findings, Place, Range, Rule, Suggestion};
use crate::manifest::index;
use crate::settings::{Names, Scheme, Settings, is_dns_label};
use crate::source::{self, Kind, Object};
use crate::telegraf::{OPTIONS, foreign, near};

/// The fix of a finding about an object, if only one fix is plausible.
///
/// `written` is what stands in the file at the finding's place.
pub fn suggest(object: &Value, settings: &Settings, finding: &Diagnostic, written: Option<&str>) -> Option<Suggestion> {
    let place = finding.place.as_ref()?;
    let rules = [
        (Rule::UnknownOption, option as Suggest),
        (Rule::UnknownAnnotation, annotation),
        (Rule::NotText, text),
        (Rule::WrongOptionType, shape),
        (Rule::InvalidDuration, duration),
        (Rule::InvalidUrl, url),
        (Rule::Scheme, url),
        (Rule::NoHost, url),
        (Rule::NonCanonicalHost, url),
        (Rule::HostNotAllowed, url),
    ];
    let (_, suggest) = rules.iter().find(|(rule, _)| finding.is(*rule))?;
    let context = Context {
        object,
        settings,
        place,
        written,
    };
    let replacement = said(&context, finding).or_else(|| suggest(&context))?;
    Some(Suggestion {
        place: place.clone(),
        replacement,
    })
}

impl Suggestion {
    /// The object with the suggestion applied. `None` if the object does not have the place.
    pub fn applied(&self, object: &Value) -> Option<Value> {
        let mut object = object.clone();
        let Place { pointer, key, range } = &self.place;
        if *key {
            let (parent, name) = pointer.rsplit_once('/')?;
            let name = name.replace("~1", "/").replace("~0", "~");
            let map = object.pointer_mut(parent)?.as_object_mut()?;
            let renamed = map.iter().map(|(old, value)| match *old == name {
                true => (self.replacement.clone(), value.clone()),
                false => (old.clone(), value.clone()),
            });
            *map = renamed.collect();
            return Some(object);
        }
        let value = object.pointer_mut(pointer)?;
        *value = match range {
            Some(range) => {
                let text = value.as_str()?;
                let (before, _, after) = parts(text, *range)?;
                format!("{before}{}{after}", self.replacement).into()
            }
            None => self.replacement.clone().into(),
        };
        Some(object)
    }
}

struct Context<'a> {
    object: &'a Value,
    settings: &'a Settings,
    place: &'a Place,
    /// What stands in the file.
    written: Option<&'a str>,
}

type Suggest = fn(&Context<'_>) -> Option<String>;

impl Context<'_> {
    /// The characters that the finding is about.
    fn in_text(&self) -> Option<&str> {
        let text = self.object.pointer(&self.place.pointer)?.as_str()?;
        parts(text, self.place.range?).map(|(_, written, _)| written)
    }

    /// The same without quotes, and the quotes.
    fn unquoted(&self) -> Option<(&str, &str)> {
        let written = self.in_text()?;
        let quote = ["\"", "'"].into_iter().find(|quote| {
            let inner = written.strip_prefix(quote);
            inner.is_some_and(|inner| inner.ends_with(quote))
        });
        let quote = quote.unwrap_or_default();
        let content = written.strip_prefix(quote)?.strip_suffix(quote)?;
        // Without escapes, the written text is the value.
        (!content.contains(['"', '\'', '\\', '\n'])).then_some((content, quote))
    }

    /// True if a comma without a space follows.
    fn is_before_a_comma_alone(&self) -> bool {
        let text = self.object.pointer(&self.place.pointer).and_then(Value::as_str);
        let parts = text.zip(self.place.range).and_then(|(text, range)| parts(text, range));
        let rest = parts.and_then(|(_, _, after)| after.strip_prefix(','));
        rest.is_some_and(|rest| !rest.starts_with(char::is_whitespace))
    }

    fn annotation(&self) -> Option<String> {
        self.place.annotation_key()
    }
}

/// A text before, in, and after a range.
fn parts(text: &str, range: Range) -> Option<(&str, &str, &str)> {
    let byte = |position| {
        let number = index(text, position)?;
        let mut starts = text.char_indices().map(|(byte, _)| byte).chain([text.len()]);
        starts.nth(number)
    };
    let (start, end) = (byte(range.start)?, byte(range.end)?);
    Some((text.get(..start)?, text.get(start..end)?, text.get(end..)?))
}

/// What the help says to write, if that is all it says: another tool's name of an option, a mistyped scheme, or `yes`.
fn said(context: &Context<'_>, finding: &Diagnostic) -> Option<String> {
    let (content, quote) = context.unquoted()?;
    let instead = finding.help.as_deref()?.strip_prefix("write `")?.strip_suffix('`')?;
    let is_meant = match () {
        () if instead.contains('`') => false,
        // A URL without any scheme may be one of TLS.
        () if finding.is(Rule::InvalidUrl) => content.starts_with("http"),
        () if finding.is(Rule::WrongOptionType) => matches!(content, "yes" | "no" | "on" | "off") && quote.is_empty(),
        () => finding.is(Rule::UnknownOption),
    };
    is_meant.then(|| format!("{quote}{instead}{quote}"))
}

/// A misspelt option.
fn option(context: &Context<'_>) -> Option<String> {
    let (name, quote) = context.unquoted()?;
    // What another tool means by the name may be the opposite.
    foreign(name).is_none().then_some(())?;
    let known = OPTIONS.iter().map(|rule| rule.name).chain(["url", "urls"]);
    let name = near(name, known)?;
    Some(format!("{quote}{name}{quote}"))
}

/// A misspelt annotation.
fn annotation(context: &Context<'_>) -> Option<String> {
    let name = context.annotation()?;
    let short = without_prefix(&name)?;
    let prefix = name.strip_suffix(short)?;
    let endpoints = names_of_endpoints(&context.settings.annotation).filter_map(|name| name.strip_prefix(prefix));
    let known = known_annotations().map(|name| -> &str { name }).chain(endpoints);
    Some(format!("{prefix}{}", near(short, known)?))
}

/// An annotation's value that YAML reads as a number or a boolean: the same characters, as text.
fn text(context: &Context<'_>) -> Option<String> {
    let name = context.annotation()?;
    let endpoints = Content::of(&name, &context.settings.annotation).is_some_and(Content::has_endpoints);
    let value = context.object.pointer(&context.place.pointer)?;
    let written = context.written?.trim();
    let is_scalar = (value.is_number() || value.is_boolean())
        && written
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+' | '_'));
    (is_scalar && !written.is_empty() && !endpoints).then_some(())?;
    let is_seconds = name.ends_with("/interval") && written.bytes().all(|byte| byte.is_ascii_digit());
    Some(format!("{written}{}", if is_seconds { "s" } else { "" }))
}

/// A number or a boolean in quotes; one text where a list of texts is meant.
fn shape(context: &Context<'_>) -> Option<String> {
    let (content, quote) = context.unquoted()?;
    match content {
        // In `{taginclude: a,b}` the next text may belong to the list.
        _ if context.is_before_a_comma_alone() => None,
        "true" | "false" | "1" | "2" if !quote.is_empty() => Some(content.to_owned()),
        "" | "true" | "false" => None,
        text if text.starts_with(['[', '{', '&', '*', '!', '|', '>']) && quote.is_empty() => None,
        // It may be several texts.
        text if text.contains([',', ' ', '|']) => None,
        text => Some(format!("[\"{text}\"]")),
    }
}

/// A duration with a space in it, with an upper-case unit or a unit's name, or without a unit: Telegraf reads a number as seconds.
fn duration(context: &Context<'_>) -> Option<String> {
    let (content, quote) = context.unquoted()?;
    let written = content.replace(' ', "").to_ascii_lowercase();
    let (number, unit) = written.split_at(written.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(written.len()));
    let written = match unit {
        "" | "sec" | "secs" | "second" | "seconds" => format!("{number}s"),
        "min" | "mins" | "minute" | "minutes" => format!("{number}m"),
        "hr" | "hrs" | "hour" | "hours" => format!("{number}h"),
        "day" | "days" => format!("{number}d"),
        _ => written,
    };
    crate::telegraf::Duration::parse(&written)?;
    Some(format!("{quote}{written}{quote}"))
}

/// A URL without a scheme, with a host that is not in lower case, or with a host without its namespace.
fn url(context: &Context<'_>) -> Option<String> {
    let (content, quote) = context.unquoted()?;
    let text = context.object.to_string();
    let mut object: Object<'_> = serde_json::from_str(&text).ok()?;
    if object.kind() == Some(Kind::ApplicationSet) {
        let template = application_set::template(&object).ok()?;
        (object.metadata, object.spec) = (template.metadata, template.spec);
        // A template has no name that can be read before it is filled.
        object.metadata.name = "template".into();
    }
    let source = source::read(&object, context.settings, &mut Findings::default())?;
    is_dns_label(&source.namespace).then_some(())?;
    let url = with_scheme_and_namespace(content, context.settings, &source.names(context.settings, ""))?;
    (url != content).then(|| format!("{quote}{url}{quote}"))
}

fn with_scheme_and_namespace(text: &str, settings: &Settings, names: &Names<'_>) -> Option<String> {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (Some(scheme.to_owned()), rest),
        None => (None, text),
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    let in_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    (!host.is_empty() && host.chars().all(in_host) && port.is_none_or(is_port)).then_some(())?;
    let scheme = match scheme {
        Some(scheme) => scheme,
        // A single word may be anything, also before a path: `svc/web` is what kubectl calls a Service.
        None if port.is_none() && !host.contains('.') || !may_be_host(host) => return None,
        // The port suggests TLS.
        None if port.is_some_and(|port| port.ends_with("443")) => return None,
        None if settings.endpoints.schemes.contains(&Scheme::Http) => "http".to_owned(),
        None => "https".to_owned(),
    };
    let host = allowed_host(&host.trim_end_matches('.').to_ascii_lowercase(), settings, names)?;
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    Some(format!("{scheme}://{host}{port}{path}"))
}

/// The host if the settings allow it, else the host with the source's namespace if the settings allow that.
fn allowed_host(host: &str, settings: &Settings, names: &Names<'_>) -> Option<String> {
    let is_allowed = |host: &String| {
        let patterns = settings.endpoints.hosts.iter();
        patterns.into_iter().any(|pattern| pattern.matches(host, names))
    };
    let host = host.to_owned();
    if is_allowed(&host) {
        return Some(host);
    }
    let namespace = names.namespace;
    let is_service = !host.contains('.') && host != "localhost";
    let candidates = [
        is_service.then(|| format!("{host}.{namespace}.svc")),
        is_service.then(|| format!("{host}.{namespace}.svc.{}", names.cluster_domain)),
        (host.split_once('.').is_some_and(|(_, rest)| rest == namespace)).then(|| format!("{host}.svc")),
    ];
    candidates.into_iter().flatten().find(is_allowed)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::annotation_name::PREFIXES;
    use crate::protocol::{RenderRequest, SourceAnswer, VERSION};
    use serde_json::value::to_raw_value;

    const KEY: &str = "telegraf.influxdata.com/rubin-telegraf-operator";

    fn application(annotations: Value) -> Value {
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
            "metadata": {"name": "shop", "namespace": "argocd", "annotations": annotations},
            "spec": {"project": "default", "destination": {"server": "https://kubernetes.default.svc", "namespace": "shop"}},
        })
    }

    fn findings(object: &Value) -> Vec<Diagnostic> {
        let raw = to_raw_value(object).expect("JSON");
        let answer = crate::render::render(&RenderRequest {
            protocol: VERSION,
            settings: None,
            sources: vec![&raw],
            ..Default::default()
        });
        let of = |source: SourceAnswer| source.diagnostics;
        answer.sources.into_iter().flat_map(of).collect()
    }

    /// The annotations with the suggestion for each finding, one after the other.
    fn mended(mut object: Value) -> Value {
        let (settings, _) = crate::settings::read(None);
        let settings = settings.expect("the defaults");
        for _ in 0..5 {
            let suggestions = findings(&object);
            let suggestion = suggestions.iter().find_map(|finding| {
                let place = finding.place.as_ref()?;
                let written = object.pointer(&place.pointer).map(Value::to_string);
                suggest(&object, &settings, finding, written.as_deref())
            });
            let Some(suggestion) = suggestion else { break };
            object = suggestion.applied(&object).expect("it has the place");
        }
        object["metadata"]["annotations"].clone()
    }

    #[rstest]
    #[case::option(
        "a: {url: 'http://a.shop.svc', intervall: 30s}",
        "a: {url: 'http://a.shop.svc', interval: 30s}"
    )]
    #[case::quoted_option(
        "a: {url: 'http://a.shop.svc', \"tmeout\": 5s}",
        "a: {url: 'http://a.shop.svc', \"timeout\": 5s}"
    )]
    #[case::hyphen(
        "a: {url: 'http://a.shop.svc', url-tag: x}",
        "a: {url: 'http://a.shop.svc', url_tag: x}"
    )]
    #[case::name_of_prometheus(
        "a: {url: 'http://a.shop.svc', scrape_interval: 30s}",
        "a: {url: 'http://a.shop.svc', interval: 30s}"
    )]
    #[case::name_of_a_service_monitor(
        "a: {url: 'http://a.shop.svc', scrapeTimeout: 5s}",
        "a: {url: 'http://a.shop.svc', timeout: 5s}"
    )]
    #[case::one_slash("a: http:/a.shop.svc/m", "a: http://a.shop.svc/m")]
    #[case::no_slash("a: http:a.shop.svc/m", "a: http://a.shop.svc/m")]
    #[case::no_colon("a: http//a.shop.svc/m", "a: http://a.shop.svc/m")]
    #[case::yes(
        "a: {url: 'https://a.shop.svc', insecure_skip_verify: yes}",
        "a: {url: 'https://a.shop.svc', insecure_skip_verify: true}"
    )]
    #[case::upper_case_host("a: 'http://A.shop.svc:80/M'", "a: 'http://a.shop.svc:80/M'")]
    #[case::dot("a: http://a.shop.svc./m", "a: http://a.shop.svc/m")]
    #[case::no_scheme("a: a.shop.svc:8080/metrics", "a: http://a.shop.svc:8080/metrics")]
    #[case::no_scheme_no_port("a: a.shop.svc/metrics", "a: http://a.shop.svc/metrics")]
    #[case::no_namespace("a: http://web:8080/metrics # why", "a: http://web.shop.svc:8080/metrics # why")]
    #[case::no_svc("a: http://web.shop:8080/metrics", "a: http://web.shop.svc:8080/metrics")]
    #[case::everything("a: Web:8080/metrics", "a: http://web.shop.svc:8080/metrics")]
    #[case::quoted_number(
        "a: {url: 'http://a.shop.svc', metric_version: '2'}",
        "a: {url: 'http://a.shop.svc', metric_version: 2}"
    )]
    #[case::one_pattern(
        "a: {url: 'http://a.shop.svc', fieldinclude: x_*}",
        "a: {url: 'http://a.shop.svc', fieldinclude: [\"x_*\"]}"
    )]
    #[case::one_url("a: {urls: http://a.shop.svc}", "a: {urls: [\"http://a.shop.svc\"]}")]
    #[case::duration(
        "a: {url: 'http://a.shop.svc', interval: 30 S}",
        "a: {url: 'http://a.shop.svc', interval: 30s}"
    )]
    #[case::name_of_a_unit(
        "a: {url: 'http://a.shop.svc', interval: '1 Minute', timeout: 30sec}",
        "a: {url: 'http://a.shop.svc', interval: '1m', timeout: 30s}"
    )]
    #[case::no_unit(
        "a: {url: 'http://a.shop.svc', interval: '30'}",
        "a: {url: 'http://a.shop.svc', interval: '30s'}"
    )]
    fn what_is_certainly_meant(#[case] written: &str, #[case] expected: &str) {
        let object = mended(application(json!({KEY: written})));
        assert_eq!(object[KEY], expected);
        assert_eq!(findings(&application(object)), []);
    }

    #[rstest]
    #[case::two_near_names("a: {urll: 'http://a.shop.svc'}")]
    #[case::no_near_name("a: {url: 'http://a.shop.svc', bearer_token: x}")]
    #[case::no_near_name("a: {url: 'http://a.shop.svc', honor_labels: true}")]
    #[case::several_patterns("a: {url: 'http://a.shop.svc', fieldinclude: 'x_*,y_*'}")]
    #[case::a_list_without_brackets("a: {url: 'http://a.shop.svc', taginclude: a,b}")]
    #[case::a_word("a: enabled")]
    #[case::localhost("a: http://localhost:8080/metrics")]
    #[case::another_namespace("a: http://web.other.svc:8080/metrics")]
    #[case::credentials("a: me:secret@web:8080/metrics")]
    #[case::probably_tls("a: web.shop.svc:8443/metrics")]
    #[case::ip("a: 10.0.0.1:8080/metrics")]
    #[case::escaped("a: \"http://\\x41.shop.svc\"")]
    fn what_may_mean_several_things(#[case] written: &str) {
        assert_eq!(mended(application(json!({KEY: written})))[KEY], written);
    }

    #[rstest]
    #[case("interval", json!(30), "interval", json!("30s"))]
    #[case("metric-version", json!(1), "metric-version", json!("1"))]
    #[case("internal", json!(true), "internal", json!("true"))]
    #[case("limits-memory", json!(1.5), "limits-memory", json!("1.5"))]
    #[case("intervall", json!("30s"), "interval", json!("30s"))]
    #[case("intrvl", json!("30s"), "interval", json!("30s"))]
    #[case("scrape", json!("true"), "scrape", json!("true"))]
    fn annotations(#[case] name: &str, #[case] value: Value, #[case] new: &str, #[case] expected: Value) {
        for prefix in PREFIXES {
            let (name, new) = (format!("{prefix}{name}"), format!("{prefix}{new}"));
            let mended = mended(application(json!({KEY: "a: http://a.shop.svc", name: value.clone()})));
            assert_eq!(mended[new], expected);
        }
    }

    #[test]
    fn toml_is_mended_too() {
        let inputs = "telewarden.io/inputs";
        let written = "[[inputs.prometheus]]\nurls = [\"http://Web:80/metrics\"] # why\nintervall = \"30s\"\n";
        let expected = "[[inputs.prometheus]]\nurls = [\"http://web.shop.svc:80/metrics\"] # why\ninterval = \"30s\"\n";
        assert_eq!(mended(application(json!({inputs: written})))[inputs], expected);
    }
}
