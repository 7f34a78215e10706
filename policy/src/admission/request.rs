//! The request that Kubewarden sends to `validate`, decoded in one pass.
//!
//! An Application can be a megabyte long, and an update contains it twice. Fields that may be needed are borrowed from
//! the payload, and all others are skipped.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::annotation_name::without_prefix;
use crate::application_set;
use crate::sorted_map::sorted_map;
use crate::source::{ApplicationSpec, Kind, Metadata, Object};

/// A request and the policy's settings.
#[derive(Debug, Deserialize)]
#[serde(bound(deserialize = "R: Deserialize<'de>"))]
pub(super) struct Payload<'a, R> {
    pub(super) request: R,
    #[serde(borrow, default)]
    pub(super) settings: Option<&'a RawValue>,
}

/// The fields of an AdmissionRequest that are read. A request without `uid` or `operation` is not an AdmissionRequest.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "O: Deserialize<'de>"))]
pub(super) struct Request<O> {
    #[serde(default)]
    pub(super) uid: Option<IgnoredAny>,
    #[serde(default)]
    pub(super) operation: Option<String>,
    #[serde(default = "Option::default")]
    pub(super) object: Option<O>,
    #[serde(default = "Option::default")]
    pub(super) old_object: Option<O>,
}

/// The fields of an object that matter for admission. An update that does not change them is accepted.
#[derive(Debug, PartialEq)]
pub(super) struct RelevantFields<'a> {
    /// The annotations of ours, with their values in JSON.
    annotations: BTreeMap<String, String>,
    target: Target<'a>,
}

/// An Application's project and destination.
#[derive(Debug, PartialEq)]
enum Target<'a> {
    /// A Namespace is its own.
    Itself,
    Read(ApplicationSpec<'a>),
    /// The value of an unexpected type.
    Unreadable(&'a str),
}

impl<'a> RelevantFields<'a> {
    /// The fields of an object, or of the template of an ApplicationSet. `None` when it has no annotation of ours. `key` is
    /// the annotation that the settings name, if they name one.
    pub(super) fn of(object: &Object<'a>, key: Option<&str>) -> Option<Self> {
        match object.kind()? {
            Kind::Application => Self::new(&object.metadata, key, || Target::of(object.spec)),
            Kind::Namespace => Self::new(&object.metadata, key, || Target::Itself),
            Kind::ApplicationSet => match application_set::template(object) {
                Ok(template) => Self::new(&template.metadata, key, || Target::of(template.spec)),
                // It may contain annotations of ours.
                Err(_) => Some(Self {
                    annotations: BTreeMap::new(),
                    target: Target::Unreadable(object.spec.map_or("", RawValue::get)),
                }),
            },
            Kind::List => None,
        }
    }

    fn new(metadata: &Metadata<'a>, key: Option<&str>, target: impl FnOnce() -> Target<'a>) -> Option<Self> {
        let annotations = metadata.annotations.iter().flat_map(|annotations| &annotations.0);
        let ours = annotations.filter(|(name, _)| without_prefix(name).is_some() || Some(name.as_ref()) == key);
        let annotations = sorted_map(ours.map(|(name, value)| (name.to_string(), value.get().to_owned())));
        (!annotations.is_empty()).then(|| Self {
            annotations,
            target: target(),
        })
    }

    /// True if there is an annotation of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.annotations.contains_key(name)
    }

    /// The value of one annotation, if it exists and is text.
    pub(super) fn annotation(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.annotations.get(name)?).ok()
    }
}

impl<'a> Target<'a> {
    fn of(spec: Option<&'a RawValue>) -> Self {
        let spec = spec.map_or("{}", RawValue::get);
        serde_json::from_str(spec).map_or(Self::Unreadable(spec), Self::Read)
    }
}

/// The annotation that the settings name. Only this setting is decoded, to keep requests without our annotations cheap.
pub(super) fn annotation_key(settings: Option<&RawValue>) -> Option<String> {
    #[derive(Deserialize)]
    struct Key {
        #[serde(default)]
        annotation: Option<String>,
    }
    let key: Key = serde_json::from_str(settings?.get()).ok()?;
    key.annotation
}
