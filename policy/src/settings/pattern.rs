//! Patterns of the settings: hosts, names and images.

use super::template::{Names, Scope, Template};
use super::written::Text;
use crate::diagnostic::Problem;
use crate::glob::Glob;

/// A pattern for hosts, made of DNS labels. `*` stands for one or more whole labels. A placeholder can be several labels:
/// `{clusterDomain}` is `cluster.local`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct HostPattern(Template);

impl HostPattern {
    /// Parses a pattern such as `*.{namespace}.svc`.
    ///
    /// # Errors
    /// If no host can match the pattern.
    pub(crate) fn parse(text: Text<'_>) -> Result<Self, Problem> {
        let refuse = |why| {
            let pattern = text.to_string();
            Err(Problem::Pattern { pattern, why })
        };
        if text.contains('/') || (text.contains(':') && !text.starts_with('[')) {
            return refuse("has more than a host: leave out the scheme, the port and the path");
        }
        let template = Template::of(text, Scope::Host)?;
        if text.is_default() {
            return Ok(Self(template));
        }
        let sample = template.fill(&Names {
            application: "a",
            namespace: "a",
            bucket: "a",
            endpoint: "a",
            cluster_domain: "a",
        });
        let spelled =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | ':' | '[' | ']');
        for label in sample.split('.').filter(|label| *label != "*") {
            if label.is_empty() {
                return refuse("has an empty label");
            }
            if label.contains('*') {
                return refuse("uses `*` as a part of a label");
            }
            let is_address = label.starts_with('[');
            if label.len() > 63 || !is_address && (label.starts_with('-') || label.ends_with('-')) {
                return refuse("has an invalid label: labels have at most 63 characters, and no `-` at either end");
            }
            if !label.chars().all(spelled) {
                return refuse("has invalid characters: hosts are in lower case");
            }
        }
        Ok(Self(template))
    }

    /// True if the host matches. The comparison is exact, because the host of an
    /// [`EndpointUrl`](crate::annotation::EndpointUrl) is in canonical form.
    pub(crate) fn matches(&self, host: &str, names: &Names<'_>) -> bool {
        matches_labels(&self.fill(names), host)
    }

    /// The pattern with a source's names in place of its placeholders.
    pub(crate) fn fill(&self, names: &Names<'_>) -> String {
        self.0.fill(names)
    }

    /// True if whoever names a source chooses a namespace whose services the pattern matches: `*.{application}.svc`.
    #[cfg(feature = "files")]
    pub(crate) fn takes_namespace_from_name(&self, cluster_domain: &str) -> bool {
        if !self.0.has_source_name() {
            return false;
        }
        let filled = self.fill(&Names {
            cluster_domain,
            ..NEUTRAL
        });
        reach(&filled, cluster_domain).iter().any(|reach| match reach {
            Reach::All => false,
            Reach::One(namespace) => namespace.contains(NEUTRAL.application) || namespace.contains(NEUTRAL.bucket),
        })
    }

    /// True if the source's names make the pattern match services of other namespaces, and most names do not. For a
    /// namespace called `svc`, `*.{namespace}` becomes `*.svc`, which matches every service.
    pub(crate) fn reaches_other_namespaces(&self, names: &Names<'_>) -> bool {
        if self.is_certainly_as_meant(names) {
            return false;
        }
        let neutral = Names {
            cluster_domain: names.cluster_domain,
            ..NEUTRAL
        };
        let meant = reach(&self.fill(&neutral), names.cluster_domain);
        if meant.contains(&Reach::All) {
            return false;
        }
        let with_names = |text: &str| {
            text.replace(NEUTRAL.bucket, names.bucket)
                .replace(NEUTRAL.application, names.application)
                .replace(NEUTRAL.namespace, names.namespace)
        };
        let is_meant = |reach: &Reach| match reach {
            Reach::All => false,
            Reach::One(namespace) => {
                namespace == names.namespace
                    || meant
                        .iter()
                        .any(|meant| matches!(meant, Reach::One(text) if with_names(text) == *namespace))
            }
        };
        !reach(&self.fill(names), names.cluster_domain).iter().all(is_meant)
    }
}

impl HostPattern {
    /// True if each placeholder is a label of its own, and stands for one that the cluster's DNS uses nowhere. Then the names
    /// cannot change what the pattern reaches.
    fn is_certainly_as_meant(&self, names: &Names<'_>) -> bool {
        let is_plain = |name: &str| {
            let mut of_dns = names.cluster_domain.split('.').chain(["svc", "*"]);
            !name.contains('.') && of_dns.all(|label| label != name)
        };
        [names.application, names.namespace, names.bucket]
            .into_iter()
            .all(is_plain)
            && self.0.has_whole_placeholders('.')
    }
}

/// Names that no source can have, because no name starts with `-`. No pattern contains them either.
const NEUTRAL: Names<'_> = Names {
    application: "-application-",
    namespace: "-namespace-",
    bucket: "-bucket-",
    ..Names::NONE
};

/// Namespaces whose services a pattern matches.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Reach {
    /// All namespaces.
    All,
    /// The namespace with this name.
    One(String),
}

/// The namespaces whose services a filled pattern matches by any of their DNS names:
/// `service.namespace`, `service.namespace.svc` and `service.namespace.svc.<cluster domain>`
/// (<https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/>).
fn reach(pattern: &str, cluster_domain: &str) -> Vec<Reach> {
    let pattern: Vec<&str> = pattern.split('.').collect();
    let long: Vec<&str> = std::iter::once("svc").chain(cluster_domain.split('.')).collect();
    let mut reached = Vec::new();
    for suffix in [&[], &long[..1], &long[..]] {
        let mut remaining = vec![false; pattern.len() + 1];
        remaining[pattern.len()] = true;
        for label in suffix.iter().rev() {
            remaining = read_label(&pattern, &remaining, |literal| literal == *label);
        }
        for (last, label) in pattern.iter().enumerate() {
            let mut only = vec![false; pattern.len() + 1];
            only[last + 1] = remaining[last + 1];
            // The service's name needs a label of the pattern too.
            let has_service = read_label(&pattern, &only, |_| true)
                .iter()
                .skip(1)
                .any(|possible| *possible);
            if has_service {
                reached.push(match *label {
                    "*" => Reach::All,
                    namespace => Reach::One(namespace.to_owned()),
                });
            }
        }
    }
    reached
}

/// Reads one more label of a host, from the right. `remaining[n]` is true if the first `n` labels of the pattern can remain
/// to be matched; the answer is the same after the label. `*` stands for one label or more.
fn read_label(pattern: &[&str], remaining: &[bool], is_label: impl Fn(&str) -> bool) -> Vec<bool> {
    let mut next = vec![false; remaining.len()];
    for (last, label) in pattern.iter().enumerate().filter(|(last, _)| remaining[last + 1]) {
        match *label {
            "*" => {
                next[last] = true;
                next[last + 1] = true;
            }
            literal => next[last] |= is_label(literal),
        }
    }
    next
}

/// True if the whole host matches, label by label. As every other label stands for itself, a `*` can take the fewest labels
/// that let the rest match.
fn matches_labels(pattern: &str, host: &str) -> bool {
    let labels = |text| <[u8]>::split(text, |byte: &u8| *byte == b'.');
    let (mut pattern, mut host) = (labels(pattern.as_bytes()), labels(host.as_bytes()));
    if host.clone().any(<[u8]>::is_empty) {
        return false;
    }
    // What follows the last `*`, and the host from its second label on.
    let mut retry = None;
    loop {
        match (pattern.next(), host.next()) {
            (None, None) => return true,
            (Some(b"*"), Some(_)) => retry = Some((pattern.clone(), host.clone())),
            (Some(label), Some(of_host)) if label == of_host => {}
            _ => {
                let Some((after, mut rest)) = retry.take() else {
                    return false;
                };
                if rest.next().is_none() {
                    return false;
                }
                retry = Some((after.clone(), rest.clone()));
                (pattern, host) = (after, rest);
            }
        }
    }
}

/// A pattern for names and images: `*` stands for any characters, all others for themselves.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct NamePattern {
    text: String,
    glob: Glob,
}

impl NamePattern {
    /// Parses a pattern. Every text but the empty one is valid.
    ///
    /// # Errors
    /// If the text is empty.
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        if text.is_empty() {
            return Err(Problem::Pattern {
                pattern: String::new(),
                why: "is empty",
            });
        }
        Ok(Self {
            text: text.to_owned(),
            glob: Glob::stars(text),
        })
    }

    /// The pattern's text.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// True if the whole text matches.
    pub(crate) fn matches(&self, text: &str) -> bool {
        self.glob.matches(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    const NAMES: Names<'_> = Names {
        application: "argocd",
        namespace: "argocd",
        bucket: "argocd",
        endpoint: "",
        cluster_domain: "cluster.local",
    };

    #[rstest]
    #[case("*.{namespace}.svc", "redis.argocd.svc", true)]
    #[case("*.{namespace}.svc", "0.redis.argocd.svc", true)]
    #[case("*.{namespace}.svc", "argocd.svc", false)]
    #[case("*.{namespace}.svc", "redis.argocd.svc.evil.org", false)]
    #[case("*.{namespace}.svc", "redisargocd.svc", false)]
    #[case("*.{namespace}.svc", ".argocd.svc", false)]
    #[case("*.{namespace}.svc", "redis.argocd.svc.", false)]
    #[case("*.{namespace}.svc.{clusterDomain}", "redis.argocd.svc.cluster.local", true)]
    #[case("*.{namespace}.svc.{clusterDomain}", "redis.argocd.svc.cluster", false)]
    #[case("*", "anything.example", true)]
    #[case("*", "localhost", true)]
    #[case("a.*.b", "a.x.y.b", true)]
    #[case("a.*.b", "a.b", false)]
    #[case("*.*", "a", false)]
    #[case("*.*", "a.b", true)]
    #[case("*.a.*.a", "x.a.a.a", true)]
    #[case("*.a.*.a", "x.a.a", false)]
    #[case("*.a.b.*", "a.a.b.a.b.c", true)]
    #[case("a.*", "a", false)]
    fn stars_match_whole_labels(#[case] pattern: &str, #[case] host: &str, #[case] expected: bool) {
        assert_eq!(
            HostPattern::parse(Text::Document(pattern))
                .unwrap()
                .matches(host, &NAMES),
            expected
        );
    }

    #[rstest]
    #[case("")]
    #[case("a..b")]
    #[case("*.svc.")]
    #[case("*argocd.svc")]
    #[case("Argocd.svc")]
    #[case("{app}.svc")]
    #[case("a b")]
    #[case("-a.svc")]
    #[case("*.{namespace}-.svc")]
    #[case("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.svc")]
    fn patterns_that_match_no_host_are_refused(#[case] pattern: &str) {
        assert!(HostPattern::parse(Text::Document(pattern)).is_err());
    }

    #[rstest]
    #[case("*.{namespace}", "shop", "shop", false)]
    #[case("*.{namespace}", "shop", "dev", false)]
    #[case("*.{namespace}", "shop", "svc", true)]
    #[case("*.{namespace}", "shop", "local", true)]
    #[case("*.{namespace}", "shop", "cluster", false)]
    #[case("*.{namespace}.local", "shop", "cluster", true)]
    #[case("*.{namespace}.{clusterDomain}", "shop", "svc", true)]
    #[case("*.{namespace}.svc", "shop", "svc", false)]
    #[case("*.{namespace}.svc.{clusterDomain}", "shop", "local", false)]
    #[case("*.{application}", "svc", "shop", true)]
    #[case("*.{application}", "team.svc", "shop", true)]
    #[case("*.{application}.svc", "team", "shop", false)]
    #[case("*.{application}.svc", "a.team", "shop", true)]
    #[case("*.{bucket}.svc", "team-a", "shop", false)]
    #[case("{application}.{namespace}", "redis", "svc", false)]
    #[case("{application}.{namespace}", "redis.victim", "svc", true)]
    #[case("*.svc", "shop", "svc", false)]
    #[case("*", "shop", "svc", false)]
    #[case("*.victim.svc", "shop", "svc", false)]
    #[case("*.prometheus-{namespace}.svc", "shop", "svc", false)]
    fn names_that_extend_a_pattern_to_other_namespaces_are_found(
        #[case] pattern: &str,
        #[case] application: &str,
        #[case] namespace: &str,
        #[case] reaches: bool,
    ) {
        let names = Names {
            application,
            namespace,
            bucket: &application.replace('-', "_"),
            ..NAMES
        };
        assert_eq!(
            HostPattern::parse(Text::Document(pattern))
                .unwrap()
                .reaches_other_namespaces(&names),
            reaches
        );
    }

    #[rstest]
    #[case("*.{application}.svc", true)]
    #[case("*.{application}.svc.{clusterDomain}", true)]
    #[case("web.team-{bucket}", true)]
    #[case("{application}.*.svc", false)]
    #[case("{application}.{namespace}.svc", false)]
    #[case("{application}.{namespace}.svc.{clusterDomain}", false)]
    #[case("{application}.example.org", false)]
    #[case("{application}", false)]
    #[case("*", false)]
    #[cfg(feature = "files")]
    fn a_source_name_can_stand_for_a_namespace(#[case] pattern: &str, #[case] expected: bool) {
        let pattern = HostPattern::parse(Text::Document(pattern)).unwrap();
        assert_eq!(pattern.takes_namespace_from_name("cluster.local"), expected);
    }

    /// The definition of a match, by trying every possibility.
    fn matches_slowly(pattern: &[&str], host: &[&str]) -> bool {
        match (pattern, host) {
            ([], []) => true,
            (["*", rest @ ..], [_, tail @ ..]) => matches_slowly(rest, tail) || matches_slowly(pattern, tail),
            ([label, rest @ ..], [first, tail @ ..]) => label == first && matches_slowly(rest, tail),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn stars_stand_for_one_or_more_labels(pattern in "[ab*](\\.[ab*]){0,5}", host in "[ab](\\.[ab]){0,8}") {
            let labels = (pattern.split('.').collect::<Vec<_>>(), host.split('.').collect::<Vec<_>>());
            prop_assert_eq!(matches_labels(&pattern, &host), matches_slowly(&labels.0, &labels.1));
        }
    }
}
