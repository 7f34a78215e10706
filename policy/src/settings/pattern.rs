//! Patterns of the settings: hosts, names and images.

use super::template::{Names, Scope, Template};
use crate::diagnostic::Problem;

/// A pattern for hosts, made of DNS labels. `*` stands for one or more whole labels.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct HostPattern(Vec<LabelPattern>);

#[derive(Clone, Debug, Eq, PartialEq)]
enum LabelPattern {
    Any,
    /// A label, or several: `{clusterDomain}` is `cluster.local`.
    Labels(Template),
}

impl HostPattern {
    /// Reads `*.{namespace}.svc` and the like.
    ///
    /// # Errors
    /// What is wrong with the pattern.
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        let refuse = |why| Problem::Pattern {
            pattern: text.to_owned(),
            why,
        };
        let labels = text.split('.').map(|label| {
            if label == "*" {
                return Ok(LabelPattern::Any);
            }
            if label.is_empty() {
                return Err(refuse("has an empty label"));
            }
            if label.contains('*') {
                return Err(refuse("uses `*` as a part of a label"));
            }
            let template = Template::parse(label, Scope::Host)?;
            let sample = template.fill(&Names {
                application: "a",
                namespace: "a",
                bucket: "a",
                endpoint: "a",
                cluster_domain: "a",
            });
            let spelled =
                |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | ':' | '[' | ']');
            if !sample.chars().all(spelled) {
                return Err(refuse(
                    "holds characters that no host has: it is compared in lower case",
                ));
            }
            Ok(LabelPattern::Labels(template))
        });
        Ok(Self(labels.collect::<Result<_, _>>()?))
    }

    /// True if the host matches. Both are compared letter by letter: an [`EndpointUrl`](crate::annotation::EndpointUrl)'s
    /// host has one spelling.
    pub(crate) fn matches(&self, host: &str, names: &Names<'_>) -> bool {
        let filled = self.fill(names);
        let pattern: Vec<&str> = filled.split('.').collect();
        let host: Vec<&str> = host.split('.').collect();
        matches_labels(&pattern, &host)
    }

    /// The pattern as it reads for a source.
    pub(crate) fn fill(&self, names: &Names<'_>) -> String {
        let labels = self.0.iter().map(|label| match label {
            LabelPattern::Any => "*".to_owned(),
            LabelPattern::Labels(template) => template.fill(names),
        });
        labels.collect::<Vec<_>>().join(".")
    }
}

fn matches_labels(pattern: &[&str], host: &[&str]) -> bool {
    match (pattern, host) {
        ([], []) => true,
        (["*", rest @ ..], [label, tail @ ..]) => {
            !label.is_empty() && (matches_labels(rest, tail) || matches_labels(pattern, tail))
        }
        ([label, rest @ ..], [first, tail @ ..]) => label == first && matches_labels(rest, tail),
        _ => false,
    }
}

/// A pattern for names and images: `*` stands for any characters, all others for themselves.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct NamePattern(String);

impl NamePattern {
    /// The pattern. Any text is one but the empty one.
    ///
    /// # Errors
    /// When it is empty.
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        if text.is_empty() {
            return Err(Problem::Pattern {
                pattern: String::new(),
                why: "is empty",
            });
        }
        Ok(Self(text.to_owned()))
    }

    /// The pattern's text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// True if the whole text matches.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = text.strip_prefix(first) else {
            return false;
        };
        let mut parts = parts.peekable();
        if parts.peek().is_none() {
            return rest.is_empty();
        }
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                return rest.ends_with(part);
            }
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
    fn matches_whole_labels(#[case] pattern: &str, #[case] host: &str, #[case] expected: bool) {
        assert_eq!(HostPattern::parse(pattern).unwrap().matches(host, &NAMES), expected);
    }

    #[rstest]
    #[case("")]
    #[case("a..b")]
    #[case("*.svc.")]
    #[case("*argocd.svc")]
    #[case("Argocd.svc")]
    #[case("{app}.svc")]
    #[case("a b")]
    fn refuses_what_never_matches(#[case] pattern: &str) {
        assert!(HostPattern::parse(pattern).is_err());
    }

    #[rstest]
    #[case("team-*", "team-a", true)]
    #[case("team-*", "ateam-a", false)]
    #[case("*-prod", "x-prod", true)]
    #[case("a*b*c", "abc", true)]
    #[case("a*b*c", "acb", false)]
    #[case("a*a", "a", false)]
    #[case("*", "", true)]
    #[case("exact", "exact", true)]
    #[case("exact", "exactly", false)]
    fn matches_any_characters(#[case] pattern: &str, #[case] text: &str, #[case] expected: bool) {
        assert_eq!(NamePattern::parse(pattern).unwrap().matches(text), expected);
    }
}
