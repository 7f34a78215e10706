//! The parts of an Application or a Namespace that are read, borrowed from the request.
//!
//! An Application's status can be megabytes long, so only the needed parts are decoded: unknown fields are skipped, and
//! an annotation is decoded only when it is used.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::annotation_name::{is_endpoints, is_ours, without_prefix};
use crate::decode::without_place;
use crate::diagnostic::{Findings, Place, Problem};
use crate::settings::{Names, Settings, Sources, is_dns_label};

/// The fields of an object that are read.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Object<'a> {
    #[serde(borrow)]
    pub(crate) api_version: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) kind: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) metadata: Metadata<'a>,
    #[serde(borrow)]
    pub(crate) spec: Option<&'a RawValue>,
    /// The objects of a `v1` List.
    #[serde(borrow)]
    pub(crate) items: Option<&'a RawValue>,
}

/// An object's `apiVersion` and `kind`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TypeMeta<'a> {
    #[serde(borrow)]
    pub(crate) api_version: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) kind: Cow<'a, str>,
}

/// The fields of an object's metadata that are read.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Metadata<'a> {
    #[serde(borrow)]
    pub(crate) name: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) namespace: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) annotations: Option<Annotations<'a>>,
    #[serde(borrow)]
    pub(crate) deletion_timestamp: Option<&'a RawValue>,
}

/// Annotations in the order of the text. A value is decoded when it is used.
#[derive(Clone, Debug, Default)]
pub(crate) struct Annotations<'a>(pub(crate) Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Annotations<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Annotations<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of annotations")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some((Name(name), value)) = map.next_entry()? {
                    entries.push((name, value));
                }
                Ok(Annotations(entries))
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Annotations::default())
            }
        }

        #[derive(Deserialize)]
        struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

        deserializer.deserialize_map(Entries)
    }
}

/// The fields of an Application's spec that are read.
#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub(crate) struct ApplicationSpec<'a> {
    #[serde(borrow)]
    pub(crate) project: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) destination: Destination<'a>,
}

/// Where an Application is deployed to.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub(crate) struct Destination<'a> {
    #[serde(borrow)]
    pub(crate) namespace: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) server: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) name: Cow<'a, str>,
}

/// The kinds of object that are read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// `argoproj.io/v1alpha1` Application.
    Application,
    /// `v1` Namespace.
    Namespace,
    /// `argoproj.io/v1alpha1` ApplicationSet, whose template is checked and never rendered.
    ApplicationSet,
    /// `v1` List of objects.
    List,
}

impl Kind {
    /// Argo CD may publish newer versions of its API group, whose structure is not known yet.
    pub(crate) fn of(api_version: &str, kind: &str) -> Option<Self> {
        match (api_version, kind) {
            ("argoproj.io/v1alpha1", "Application") => Some(Self::Application),
            ("argoproj.io/v1alpha1", "ApplicationSet") => Some(Self::ApplicationSet),
            ("v1", "Namespace") => Some(Self::Namespace),
            ("v1", "List") => Some(Self::List),
            _ => None,
        }
    }
}

impl Object<'_> {
    /// Which of the kinds that matter it is.
    pub(crate) fn kind(&self) -> Option<Kind> {
        Kind::of(&self.api_version, &self.kind)
    }
}

impl TypeMeta<'_> {
    /// Which of the kinds that matter it is.
    pub(crate) fn known(&self) -> Option<Kind> {
        Kind::of(&self.api_version, &self.kind)
    }
}

/// Which object it is.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Identity {
    Application { namespace: String, name: String },
    Namespace { name: String },
}

impl Identity {
    /// The object's own name.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Application { name, .. } | Self::Namespace { name } => name,
        }
    }

    /// The bucket of the source: its name, with `-` as `_`.
    ///
    /// Each source has its own bucket unless the settings let sources share one: an Application outside Argo CD's
    /// namespace, or a Namespace, may have the same name as another Application. The names do not collide, because no
    /// object's name contains `:` or a capital letter.
    pub(crate) fn bucket(&self, sources: &Sources) -> String {
        let plain = |text: &str| text.replace('-', "_");
        match self {
            Self::Application { namespace, name }
                if !sources.shared_buckets && *namespace != sources.argocd_namespace =>
            {
                format!("{}:{}", plain(namespace), plain(name))
            }
            Self::Namespace { name } if !sources.shared_buckets && sources.applications => {
                format!("Namespace:{}", plain(name))
            }
            Self::Application { name, .. } | Self::Namespace { name } => plain(name),
        }
    }

    /// The object's name, with its namespace if it is in one.
    pub(crate) fn qualified_name(&self) -> String {
        match self {
            Self::Application { namespace, name } => format!("{namespace}/{name}"),
            Self::Namespace { name } => name.clone(),
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Application { namespace, name } => write!(f, "argoproj.io/Application/{namespace}/{name}"),
            Self::Namespace { name } => write!(f, "Namespace/{name}"),
        }
    }
}

/// A source with valid names. It is what is rendered, and it provides the values of placeholders.
#[derive(Clone, Debug)]
pub(crate) struct Source<'a> {
    pub(crate) identity: Identity,
    /// The namespace that is scraped, and where Telegraf runs: a DNS label.
    pub(crate) namespace: String,
    /// The value of `{bucket}`.
    pub(crate) bucket: String,
    pub(crate) annotations: Annotations<'a>,
    /// An Application's project and destination.
    pub(crate) application: Option<(String, Destination<'a>)>,
}

/// A DNS subdomain, as Kubernetes names most objects:
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-subdomain-names>.
pub(crate) fn is_dns_subdomain(text: &str) -> bool {
    let label = |label: &str| {
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        !label.is_empty() && label.chars().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

impl Source<'_> {
    /// True if the source has an annotation that is read.
    pub(crate) fn is_annotated(&self, settings: &Settings) -> bool {
        self.annotations
            .0
            .iter()
            .any(|(name, _)| is_ours(name, &settings.annotation))
    }

    /// The annotation with a name, which is given without its prefix. Empty if there is none.
    pub(crate) fn annotation_named(&self, short: &str) -> &str {
        let mut names = self.annotations.0.iter().map(|(name, _)| name.as_ref());
        names
            .find(|name| without_prefix(name) == Some(short))
            .unwrap_or_default()
    }

    /// The annotation with the endpoints, or else its name in the settings.
    pub(crate) fn endpoints_annotation<'s>(&'s self, settings: &'s Settings) -> &'s str {
        let mut names = self.annotations.0.iter().map(|(name, _)| name.as_ref());
        names
            .find(|name| is_endpoints(name, &settings.annotation))
            .unwrap_or(&settings.annotation)
    }

    /// The place of the source's namespace, for findings.
    pub(crate) fn namespace_place(&self) -> crate::diagnostic::Place {
        crate::diagnostic::Place::pointer(match self.application {
            Some(_) => "/spec/destination/namespace",
            None => "/metadata/name",
        })
    }

    /// The values of placeholders.
    pub(crate) fn names<'s>(&'s self, settings: &'s Settings, endpoint: &'s str) -> Names<'s> {
        Names {
            application: self.identity.name(),
            namespace: &self.namespace,
            bucket: &self.bucket,
            endpoint,
            cluster_domain: &settings.endpoints.cluster_domain,
        }
    }
}

/// Reads an object as a source. Answers `None`, and reports findings, if its names are invalid.
pub(crate) fn read<'a>(object: &Object<'a>, settings: &Settings, findings: &mut Findings) -> Option<Source<'a>> {
    let before = findings.count();
    let name = object.metadata.name.to_string();
    if !is_dns_subdomain(&name) {
        let error = match name.contains("{{") {
            true => "it has a placeholder; check a Helm template with `--helm CHART`",
            false => "it is not a DNS subdomain: a-z, 0-9, `-` and `.`",
        };
        let error = error.to_owned();
        let what = "the object's name";
        findings.report(Problem::Unreadable { what, error }, Place::pointer("/metadata/name"));
    }
    let annotations = object.metadata.annotations.clone().unwrap_or_default();
    if object.kind() == Some(Kind::Namespace) {
        let identity = Identity::Namespace { name: name.clone() };
        return (findings.count() == before).then(|| Source {
            namespace: name,
            bucket: identity.bucket(&settings.sources),
            identity,
            annotations,
            application: None,
        });
    }
    let spec = object.spec.map_or("{}", RawValue::get);
    let spec: ApplicationSpec<'a> = match serde_json::from_str(spec) {
        Ok(spec) => spec,
        Err(error) => {
            let error = without_place(&error);
            let what = "the Application's `spec`";
            findings.report(Problem::Unreadable { what, error }, Place::pointer("/spec"));
            return None;
        }
    };
    let namespace = object
        .metadata
        .namespace
        .as_deref()
        .unwrap_or(&settings.sources.argocd_namespace);
    if !is_dns_label(namespace) {
        let name = namespace.to_owned();
        findings.report(
            Problem::InvalidNamespace { name },
            Place::pointer("/metadata/namespace"),
        );
    }
    let identity = Identity::Application {
        namespace: namespace.to_owned(),
        name,
    };
    (findings.count() == before).then(|| Source {
        namespace: spec.destination.namespace.to_string(),
        bucket: identity.bucket(&settings.sources),
        identity,
        annotations,
        application: Some((spec.project.into_owned(), spec.destination)),
    })
}

/// Checks that the namespace is a DNS label, because it becomes part of the allowed hosts. Answers true if it is.
pub(crate) fn check_namespace(source: &Source<'_>, findings: &mut Findings) -> bool {
    let pointer = match source.application {
        Some(_) => "/spec/destination/namespace",
        None => "/metadata/name",
    };
    if source.namespace.is_empty() {
        let missing = matches!(&source.application, Some((_, destination)) if *destination == Destination::default());
        let (what, pointer) = match missing {
            true => ("`spec.destination` is missing", "/spec/destination"),
            false => ("`spec.destination.namespace` is empty", pointer),
        };
        findings.report(Problem::NoNamespace { what }, Place::pointer(pointer));
        return false;
    }
    if !is_dns_label(&source.namespace) {
        let name = source.namespace.clone();
        findings.report(Problem::InvalidNamespace { name }, Place::pointer(pointer));
        return false;
    }
    true
}
