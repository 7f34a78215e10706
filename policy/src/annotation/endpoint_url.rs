//! The URL of an endpoint.

use fluent_uri::Uri;

use crate::diagnostic::Problem;
use crate::settings::{Names, Scheme, is_dns_label};
use crate::telegraf::{Literal, NotLiteral};

/// A URL that may be scraped: valid by RFC 3986, with an allowed scheme, without credentials and fragment, and with a
/// host in canonical form that matches a pattern of the settings.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EndpointUrl {
    text: Literal,
    scheme: &'static str,
    host: String,
    port: u16,
}

impl EndpointUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// All problems of the URL.
    pub(crate) fn parse(
        text: &str,
        settings: &crate::settings::Endpoints,
        names: &Names<'_>,
    ) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        if text.len() > MAX_URL {
            problems.push(Problem::InvalidUrl {
                text: shortened(text),
                why: format!("it is longer than {MAX_URL} characters"),
                instead: None,
                at: None,
            });
            return Err(problems);
        }
        // The text is checked before it is parsed as a URL, so that a variable is reported as a variable.
        let literal = match Literal::new(text) {
            Ok(literal) => Some(literal),
            Err(NotLiteral::Replaced(what)) => {
                problems.push(Problem::Variable { what });
                None
            }
            Err(NotLiteral::Control(c)) => {
                problems.push(Problem::ControlCharacter { codepoint: c as u32 });
                None
            }
        };
        if literal.is_some()
            && let Some((why, instead)) = around(text)
        {
            problems.push(Problem::InvalidUrl {
                text: shortened(text),
                why: why.to_owned(),
                instead: Some(instead.to_owned()),
                at: None,
            });
            return Err(problems);
        }
        if literal.is_some() && !text.contains("://") && !text.starts_with("unix:") {
            problems.push(Problem::InvalidUrl {
                text: shortened(text),
                why: "it does not start with `http://`".to_owned(),
                instead: with_scheme(text, settings, names).map(|url| format!("write `{url}`")),
                at: None,
            });
            return Err(problems);
        }
        if are_several(text) {
            problems.push(Problem::InvalidUrl {
                text: shortened(text),
                why: "one URL is allowed here; a list of them is `urls`".to_owned(),
                instead: None,
                at: None,
            });
            return Err(problems);
        }
        let uri = match Uri::parse(text) {
            Ok(uri) => uri,
            Err(error) => {
                if problems.is_empty() {
                    problems.push(match (port_of(text), not_in_urls(text)) {
                        (Some(port), _) => Problem::Port { port: shortened(port) },
                        (None, Some((at, c))) => Problem::InvalidUrl {
                            text: shortened(text),
                            why: match c {
                                ' ' => "a URL has no spaces".to_owned(),
                                c => format!("`{c}` is not allowed in a URL"),
                            },
                            instead: (c == ' ').then(|| "remove the space, or write `%20`".to_owned()),
                            at: Some(at),
                        },
                        (None, None) => Problem::InvalidUrl {
                            text: shortened(text),
                            why: error.to_string(),
                            instead: None,
                            at: None,
                        },
                    });
                }
                return Err(problems);
            }
        };
        // Schemes are case-insensitive in RFC 3986 and in Telegraf.
        let written = uri.scheme().as_str();
        let scheme = settings
            .schemes
            .iter()
            .map(|scheme| name(*scheme))
            .find(|scheme| scheme.eq_ignore_ascii_case(written));
        if scheme.is_none() {
            problems.push(Problem::Scheme {
                scheme: shortened(&written.to_ascii_lowercase()),
                allowed: settings.schemes.iter().map(|scheme| name(*scheme).to_owned()).collect(),
            });
        }
        if uri.has_fragment() {
            problems.push(Problem::Fragment {});
        }
        let authority = uri.authority();
        if authority.is_some_and(|authority| authority.has_userinfo()) {
            problems.push(Problem::Credentials {});
        }
        let host = authority.map(|authority| authority.host()).unwrap_or_default();
        if host.is_empty() {
            problems.push(Problem::NoHost {});
        } else if literal.is_some() {
            // With a variable in the URL, the host is not known yet.
            problems.extend(problem_of_host(host, settings, names));
        }
        let port = match authority
            .and_then(|authority| authority.port())
            .map(|port| port.as_str())
        {
            None if scheme == Some("https") => 443,
            None => 80,
            Some(text) => text.parse().unwrap_or(0),
        };
        if port == 0 {
            let port = authority
                .and_then(|authority| authority.port())
                .map(|port| port.as_str());
            problems.push(Problem::Port {
                port: shortened(port.unwrap_or_default()),
            });
        }
        match (literal, scheme) {
            (Some(text), Some(scheme)) if problems.is_empty() => Ok(Self {
                text,
                scheme,
                host: host.to_owned(),
                port,
            }),
            _ => Err(problems),
        }
    }

    /// The URL as it was written.
    pub fn as_str(&self) -> &str {
        self.text.as_str()
    }

    /// The URL as text in which Telegraf replaces nothing.
    pub(crate) fn literal(&self) -> &Literal {
        &self.text
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        self.scheme
    }

    /// The host: a name in lower case, or an IP literal.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port. If the URL has none, the scheme's default port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// True if the host is a service of the namespace, in one of the forms that the cluster's DNS resolves
    /// (<https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/>).
    pub(crate) fn is_within(&self, namespace: &str, cluster_domain: &str) -> bool {
        service_namespace(&self.host, cluster_domain) == Some(namespace)
    }
}

/// True if there is a second URL before the query. Two of them have four slashes; most URLs have three, and are not searched.
fn are_several(text: &str) -> bool {
    let slashes = text.bytes().filter(|byte| *byte == b'/').count();
    let before_query = || text.split('?').next().unwrap_or_default();
    slashes > 3
        && before_query()
            .split_once("://")
            .is_some_and(|(_, rest)| rest.contains("://"))
}

/// What is wrong with what surrounds a URL or stands for it, and what to do.
fn around(text: &str) -> Option<(&'static str, &'static str)> {
    match (text.as_bytes().first()?, text.as_bytes().last()?) {
        _ if text.contains("{{") => Some((
            "it has a placeholder",
            "check a Helm template with `telewarden validate --helm CHART`",
        )),
        (b'"', b'"') | (b'\'', b'\'') => Some(("the quotes are part of it", "remove one pair of quotes")),
        (b'<', b'>') => Some(("`<` and `>` are part of it", "remove them")),
        (b' ', _) | (_, b' ') => Some(("it begins or ends with a space", "remove the space")),
        _ => None,
    }
}

/// The first character that no URL has, and its index (<https://www.rfc-editor.org/rfc/rfc3986#section-2>).
fn not_in_urls(text: &str) -> Option<(usize, char)> {
    let known = |c: char| c.is_ascii_alphanumeric() || "-._~:/?#[]@!$&'()*+,;=%".contains(c);
    text.chars().enumerate().find(|(_, c)| !known(*c))
}

/// The URL with `http://` in front and, where only that makes it allowed, the namespace in its host.
fn with_scheme(text: &str, settings: &crate::settings::Endpoints, names: &Names<'_>) -> Option<String> {
    let mistyped = ["https", "http"].into_iter().find_map(|scheme| {
        let rest = text.strip_prefix(scheme)?;
        let end = rest.find(|c| !matches!(c, ':' | '/' | '.'))?;
        (end > 0).then(|| (scheme, &rest[end..]))
    });
    let (scheme, rest) = mistyped.unwrap_or(("http", text.strip_prefix("//").unwrap_or(text)));
    let allowed = |url: String| EndpointUrl::parse(&url, settings, names).is_ok().then_some(url);
    let end = rest.find([':', '/', '?', ' ']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    (may_be_host(host) && !path.contains(' ')).then_some(())?;
    allowed(format!("{scheme}://{rest}"))
        .or_else(|| allowed(format!("{scheme}://{}{path}", nearest_host(host, settings, names)?)))
}

/// False for a word that is certainly no host: a mistyped scheme, the name of a kind, a value of YAML, or a number.
pub(crate) fn may_be_host(host: &str) -> bool {
    let host = host.trim_matches('.');
    let is_word = [
        "http", "https", "svc", "service", "services", "pod", "true", "false", "null", "none", "tbd", "todo",
    ]
    .contains(&host);
    // Services begin with a letter; `10s` is a duration.
    let is_number = host.starts_with(|c: char| c.is_ascii_digit()) && !host.contains('.');
    !is_word && !is_number
}

/// What stands in the place of a URL's port, if that is a name.
fn port_of(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("://")?;
    let (_, port) = rest.split(['/', '?', '#']).next()?.rsplit_once(':')?;
    let is_name = port.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (is_name && !port.bytes().all(|byte| byte.is_ascii_digit())).then_some(port)
}

/// The allowed host that was probably meant by one without its namespace, or without `.svc`.
fn nearest_host(host: &str, settings: &crate::settings::Endpoints, names: &Names<'_>) -> Option<String> {
    let (service, rest) = host.split_once('.').unwrap_or((host, ""));
    let written = rest.split('.').next().unwrap_or_default();
    if service == "localhost" || !["", names.namespace].contains(&written) {
        return None;
    }
    let host = format!("{service}.{}.svc", names.namespace);
    let matches = settings.hosts.iter().any(|pattern| pattern.matches(&host, names));
    (matches && is_dns_label(service) && check_spelling(&host).is_ok()).then_some(host)
}

/// The namespace in the host of a service, see [`service_of_host`].
pub(crate) fn service_namespace<'a>(host: &'a str, cluster_domain: &str) -> Option<&'a str> {
    service_of_host(host, cluster_domain).map(|(_, namespace)| namespace)
}

/// The service and the namespace in a host, if the host has the form `name.namespace`, `name.namespace.svc` or
/// `name.namespace.svc.<cluster domain>`. `pod.name.namespace.svc` is one pod of a headless service.
pub(crate) fn service_of_host<'a>(host: &'a str, cluster_domain: &str) -> Option<(&'a str, &'a str)> {
    let in_cluster = host
        .strip_suffix(cluster_domain)
        .and_then(|host| host.strip_suffix(".svc."));
    let (names, namespace) = match in_cluster.or_else(|| host.strip_suffix(".svc")) {
        Some(names) => names.rsplit_once('.')?,
        None => host.split_once('.').filter(|(_, namespace)| !namespace.contains('.'))?,
    };
    let service = names.rsplit('.').next().unwrap_or(names);
    Some((service, namespace))
}

fn name(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Http => "http",
        Scheme::Https => "https",
    }
}

/// The longest URL, in bytes. A URL is repeated in the configuration and in the answer.
const MAX_URL: usize = 2048;

/// The longest host name and the longest label, in bytes: <https://www.rfc-editor.org/rfc/rfc1035#section-2.3.4>.
const MAX_HOST: usize = 253;
const MAX_LABEL: usize = 63;

/// Checks that a host is in canonical form, so that each host has one spelling for patterns to match.
fn check_spelling(host: &str) -> Result<(), Problem> {
    if host.starts_with('[') {
        return Ok(());
    }
    let refuse = |why, instead: Option<String>| {
        Err(Problem::NonCanonicalHost {
            host: shortened(host),
            why,
            instead: instead.filter(|host| check_spelling(host).is_ok()),
        })
    };
    // A service's host, as most are.
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.');
    if !host.ends_with('.') && host.bytes().all(is_plain) {
        // Kubernetes: a Service, a pod's hostname and a Namespace are labels of RFC 1123.
        if host.contains('_') && (host.ends_with(".svc") || host.contains(".svc.")) {
            return refuse(
                "contains `_`, which no Service can have in its name",
                Some(host.replace('_', "-")),
            );
        }
        return check_labels(host, &refuse);
    }
    if host.contains('%') {
        return refuse("is percent-encoded", None);
    }
    if host.ends_with('.') {
        let instead = host.trim_end_matches('.').to_ascii_lowercase();
        return refuse("ends with a dot", Some(instead));
    }
    if host.contains(|c: char| c.is_ascii_uppercase()) {
        return refuse("is not in lower case", Some(host.to_ascii_lowercase()));
    }
    refuse("contains characters that are not allowed", None)
}

/// What is wrong with a host.
fn problem_of_host(host: &str, settings: &crate::settings::Endpoints, names: &Names<'_>) -> Option<Problem> {
    if let Err(problem) = check_spelling(host) {
        return Some(problem);
    }
    let is_allowed = settings.hosts.iter().any(|pattern| pattern.matches(host, names));
    let allowed = || settings.hosts.iter().map(|pattern| pattern.fill(names)).collect();
    (!is_allowed).then(|| Problem::HostNotAllowed {
        host: shortened(host),
        allowed: allowed(),
        nearest: nearest_host(host, settings, names),
    })
}

fn check_labels(
    host: &str,
    refuse: &dyn Fn(&'static str, Option<String>) -> Result<(), Problem>,
) -> Result<(), Problem> {
    if host.len() > MAX_HOST {
        return refuse("is longer than 253 characters", None);
    }
    for label in host.as_bytes().split(|byte| *byte == b'.') {
        if label.is_empty() {
            return refuse("has an empty label", None);
        }
        if label.len() > MAX_LABEL {
            return refuse("has a label of more than 63 characters", None);
        }
        if label.starts_with(b"-") || label.ends_with(b"-") {
            return refuse("has a label that begins or ends with `-`", None);
        }
    }
    Ok(())
}

/// A text for a message, cut to a readable length.
fn shortened(text: &str) -> String {
    const AT_MOST: usize = 100;
    match text.char_indices().nth(AT_MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
