//! Owned objects in the cluster, and how they differ from rendered ones.
//!
//! Anybody who can create objects in a namespace can create large numbers of large objects with the operator's labels. So
//! little is kept of an object: its id, its source, and digests. Its content is kept only until the first comparison, and
//! only while the `ClusterState` has room. Otherwise it is read again when it is needed.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta, Time};
use kube::Resource;
use kube::api::ApiResource;
use kube::core::DynamicResourceScope;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use sha2::Sha256;
use telewarden_policy::well_known::{APPLIED, ROTATE, ROTATED, SOURCE};
use tokio::time::Instant;

use crate::compressed::{Pattern, Text};
use crate::managed_fields;
use crate::object::{Object, dynamic_resource, readable};
use crate::object_id::{GroupKind, ObjectId};
use crate::retry::LATER;

/// The maximum length of a source's identity (kind, namespace and name), in bytes.
const MAX_SOURCE: usize = 512;
/// The maximum length of what asks for a rotation, in bytes.
const MAX_ROTATION: usize = 64;
/// The maximum compressed size of an object's content that is kept, in bytes. Rendered objects have a few KiB.
const MAX_TEXT: usize = 64 * 1024;
/// The maximum size of an object's content until it is known whether there is room for it, in bytes. Larger content is compressed
/// when it is read.
const MAX_PLAIN: usize = 64 * 1024;

/// The first 128 bits of a SHA-256 digest.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Digest([u8; 16]);

impl Digest {
    fn of(bytes: &[u8]) -> Self {
        let digest: [u8; 32] = <Sha256 as sha2::Digest>::digest(bytes).into();
        let mut half = [0; 16];
        half.copy_from_slice(&digest[..16]);
        Self(half)
    }

    /// The digest of a rendered object.
    pub(crate) fn of_rendered(rendered: &Value) -> Self {
        Self::of(rendered.to_string().as_bytes())
    }

    /// Parses the format of [`Display`](std::fmt::Display).
    fn parse(text: &str) -> Option<Self> {
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let number = u128::from_str_radix(text, 16).ok()?;
        Some(Self(number.to_be_bytes()))
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// An object's content: labels, annotations, and all fields except the other metadata and the status.
#[derive(Clone, Debug)]
struct Content {
    digest: Digest,
    /// The content itself, unless it is too large.
    text: Option<Text>,
}

impl Content {
    fn new(
        fields: BTreeMap<String, Value>,
        labels: BTreeMap<String, String>,
        annotations: &BTreeMap<String, String>,
    ) -> Self {
        let mut content: serde_json::Map<String, Value> = fields.into_iter().collect();
        content.insert(
            "metadata".to_owned(),
            json!({"labels": labels, "annotations": annotations}),
        );
        let text = Value::Object(content).to_string();
        Self {
            digest: Digest::of(text.as_bytes()),
            text: Some(Text::Plain(text.into())),
        }
    }

    /// Compresses content that is large, and drops it if it is still too large.
    fn bound(&mut self) {
        if let Some(text) = self.text.as_mut().filter(|text| text.len() > MAX_PLAIN) {
            text.compress(None);
        }
        self.text.take_if(|text| text.len() > MAX_TEXT);
    }
}

/// A watched object. It is reduced while it is decoded, so that only one object of a list is in memory as a tree at a
/// time. The managed fields, often half of an object, are skipped.
#[derive(Clone, Debug)]
pub(crate) struct WatchedObject {
    pub(crate) metadata: ObjectMeta,
    marks: Option<Marks>,
    content: Content,
}

/// The annotations that mark an owned object.
#[derive(Clone, Debug)]
struct Marks {
    source: Arc<str>,
    applied: Option<Digest>,
    rotation: Option<Box<str>>,
}

impl Marks {
    fn of(annotations: &BTreeMap<String, String>) -> Option<Self> {
        let source = annotations.get(SOURCE).filter(|source| source.len() <= MAX_SOURCE)?;
        Some(Self {
            source: source.as_str().into(),
            applied: annotations.get(APPLIED).and_then(|text| Digest::parse(text)),
            rotation: annotations
                .get(ROTATE)
                .filter(|asked| asked.len() <= MAX_ROTATION && annotations.get(ROTATED) != Some(asked))
                .map(|asked| asked.as_str().into()),
        })
    }
}

impl<'de> Deserialize<'de> for WatchedObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        struct Metadata {
            name: Option<String>,
            namespace: Option<String>,
            uid: Option<String>,
            resource_version: Option<String>,
            labels: Option<BTreeMap<String, String>>,
            annotations: Option<BTreeMap<String, String>>,
            deletion_timestamp: Option<Time>,
            managed_fields: Vec<Entry>,
        }
        #[derive(Deserialize)]
        struct Entry {
            manager: Option<String>,
            operation: Option<String>,
            subresource: Option<String>,
        }
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = WatchedObject;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<WatchedObject, A::Error> {
                let (mut metadata, mut fields) = (Metadata::default(), BTreeMap::new());
                while let Some(field) = map.next_key::<String>()? {
                    match field.as_str() {
                        "metadata" => metadata = map.next_value()?,
                        "apiVersion" | "kind" | "status" => drop(map.next_value::<IgnoredAny>()?),
                        _ => drop(fields.insert(field, readable(&map.next_value::<Box<RawValue>>()?))),
                    }
                }
                let annotations = metadata.annotations.unwrap_or_default();
                let managed = metadata.managed_fields.into_iter().map(|entry| ManagedFieldsEntry {
                    manager: entry.manager,
                    operation: entry.operation,
                    subresource: entry.subresource,
                    ..ManagedFieldsEntry::default()
                });
                let managed = managed.filter(|entry| managed_fields::are_ours(entry, "Update"));
                let mut content = Content::new(fields, metadata.labels.unwrap_or_default(), &annotations);
                content.bound();
                Ok(WatchedObject {
                    marks: Marks::of(&annotations),
                    content,
                    metadata: ObjectMeta {
                        name: metadata.name,
                        namespace: metadata.namespace,
                        uid: metadata.uid,
                        resource_version: metadata.resource_version,
                        deletion_timestamp: metadata.deletion_timestamp,
                        managed_fields: Some(managed.take(1).collect()),
                        ..ObjectMeta::default()
                    },
                })
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

dynamic_resource!(WatchedObject);

/// The result of comparing an object with the rendered one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Comparison {
    /// An apply would change nothing.
    Same,
    Differs,
    /// The content is not kept, so the object must be read.
    Unknown,
}

/// An owned object in the cluster.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) id: ObjectId,
    pub(crate) uid: Box<str>,
    pub(crate) resource_version: Box<str>,
    /// The source in its annotation.
    pub(crate) source: Arc<str>,
    /// True if it was created and not applied yet. Server-side apply must take over its fields first; otherwise fields that
    /// are no longer rendered would stay.
    pub(crate) created: bool,
    /// True if it is being deleted and waits for finalizers.
    pub(crate) deleting: bool,
    /// It is counted as one that will be deleted.
    pub(crate) is_surplus: bool,
    /// The rotation of the tokens in it that somebody has asked for, and that is not done yet.
    pub(crate) rotation: Option<Box<str>>,
    /// The digest in its annotation, of the last applied object.
    applied: Option<Digest>,
    /// The digest of the rendered object, if this object was found equal to it: it contains all rendered fields, or an
    /// apply changed nothing, because the API server normalizes a value, or another manager added to a list.
    as_rendered: Option<Digest>,
    /// The API server refuses to delete it.
    refusal: Option<Box<Refusal>>,
    content: Content,
}

/// That the API server has refused to delete an object, which it may do for good.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    /// What it said.
    pub(crate) why: Arc<str>,
    /// How often it did.
    pub(crate) times: u32,
    /// When to ask again.
    pub(crate) ask_again: Instant,
}

/// After a refusal it is asked again when this has passed, and then after twice as long each time.
const FIRST_DELAY: Duration = Duration::from_secs(1);
/// What it says is kept for as long as the object is there.
const MAX_WHY: usize = 512;

impl Live {
    /// A live object with all its content. `None` if it has no source annotation.
    pub(crate) fn of(kind: &Arc<GroupKind>, object: Object) -> Option<Self> {
        let mut fields: BTreeMap<String, Value> = match object.data {
            Value::Object(fields) => fields.into_iter().collect(),
            _ => BTreeMap::new(),
        };
        fields.remove("status");
        let mut metadata = object.metadata;
        let annotations = metadata.annotations.take().unwrap_or_default();
        let labels = metadata.labels.take().unwrap_or_default();
        let watched = WatchedObject {
            marks: Marks::of(&annotations),
            content: Content::new(fields, labels, &annotations),
            metadata,
        };
        Self::of_watched(kind, watched)
    }

    /// The same for a watched object.
    pub(crate) fn of_watched(kind: &Arc<GroupKind>, object: WatchedObject) -> Option<Self> {
        let WatchedObject {
            metadata,
            marks,
            content,
        } = object;
        let Marks {
            source,
            applied,
            rotation,
        } = marks?;
        let managed = metadata.managed_fields.unwrap_or_default();
        Some(Self {
            id: ObjectId {
                kind: kind.clone(),
                namespace: metadata.namespace.unwrap_or_default().into(),
                name: metadata.name?.into(),
            },
            // In a dry run, a created object has neither.
            uid: metadata.uid.unwrap_or_default().into(),
            resource_version: metadata.resource_version.unwrap_or_default().into(),
            source,
            created: managed.iter().any(|entry| managed_fields::are_ours(entry, "Update")),
            deleting: metadata.deletion_timestamp.is_some(),
            is_surplus: false,
            rotation,
            applied,
            as_rendered: None,
            refusal: None,
            content,
        })
    }

    /// True if the two differ only in their version or in fields that are not compared.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.uid == other.uid && self.content.digest == other.content.digest && self.deleting == other.deleting
    }

    /// True if this version is newer. Versions are increasing numbers:
    /// <https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions>.
    pub(crate) fn is_newer(&self, other: &Self) -> bool {
        match (
            self.resource_version.parse::<u64>(),
            other.resource_version.parse::<u64>(),
        ) {
            (Ok(mine), Ok(its)) => mine > its,
            _ => true,
        }
    }

    /// The content, if it is kept.
    pub(crate) fn content(&self) -> Option<Value> {
        serde_json::from_str(&self.content.text.as_ref()?.get()).ok()
    }

    /// True if both have the same content.
    pub(crate) fn has_content_of(&self, other: &Self) -> bool {
        self.content.digest == other.content.digest
    }

    /// The size of the kept content in bytes.
    pub(crate) fn content_size(&self) -> usize {
        self.content.text.as_ref().map_or(0, Text::len)
    }

    /// Compresses the content, with that of the first object of this kind as a pattern.
    pub(crate) fn compress(&mut self, pattern: &mut Option<Pattern>) {
        if let Some(text) = &mut self.content.text {
            text.compress_like_first(pattern);
        }
        self.content.bound();
    }

    /// Drops the content.
    pub(crate) fn drop_content(&mut self) {
        self.content.text = None;
    }

    /// Compares with a rendered object and its digest.
    pub(crate) fn compare(&self, rendered: &Value, digest: Digest) -> Comparison {
        if self.applied != Some(digest) {
            return Comparison::Differs;
        }
        if self.as_rendered == Some(digest) {
            return Comparison::Same;
        }
        match self.content() {
            None => Comparison::Unknown,
            Some(live) if covers(rendered, &live) => Comparison::Same,
            Some(_) => Comparison::Differs,
        }
    }

    /// Records that it equals the rendered object, and drops its content.
    pub(crate) fn set_as_rendered(&mut self, digest: Digest) {
        self.as_rendered = Some(digest);
        self.drop_content();
    }

    /// True if it is equal to the rendered object with a digest.
    pub(crate) fn is_as_rendered(&self, digest: Digest) -> bool {
        self.applied == Some(digest) && self.as_rendered == Some(digest)
    }

    /// The same object after a patch that has made it equal to another rendered object.
    pub(crate) fn patched(mut self, resource_version: &str, digest: Digest) -> Self {
        self.resource_version = resource_version.into();
        (self.applied, self.as_rendered) = (Some(digest), Some(digest));
        // A patch counts as an update.
        self.created = true;
        self
    }

    /// True if it was found equal to a rendered object. So it is not just any object with the operator's labels.
    pub(crate) fn was_as_rendered(&self) -> bool {
        self.as_rendered.is_some()
    }

    /// Why it was not deleted, if the API server has refused that.
    pub(crate) fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_deref()
    }

    /// Takes note of one more refusal to delete it.
    pub(crate) fn refused(&mut self, why: &str, now: Instant) {
        let times = self.refusal.as_ref().map_or(0, |refusal| refusal.times);
        let delay = FIRST_DELAY.saturating_mul(1 << times.min(16)).min(LATER);
        self.refusal = Some(Box::new(Refusal {
            why: why[..why.floor_char_boundary(MAX_WHY)].into(),
            times: times.saturating_add(1),
            ask_again: now + delay,
        }));
    }

    /// Takes over what another one says about refusals.
    pub(crate) fn copy_refusal(&mut self, other: &Self) {
        self.refusal.clone_from(&other.refusal);
    }

    /// Takes over that an object was rendered once, which is now being deleted.
    pub(crate) fn is_deleted_version_of(&mut self, earlier: &Self) {
        self.as_rendered = earlier.as_rendered;
    }

    /// Takes over the result of a comparison from an earlier version with the same content.
    pub(crate) fn inherit(&mut self, earlier: &Self) {
        if self.uid == earlier.uid && self.refusal.is_none() {
            self.copy_refusal(earlier);
        }
        if self.is_same(earlier) && self.as_rendered.is_none() {
            self.as_rendered = earlier.as_rendered;
            if self.as_rendered.is_some() {
                self.drop_content();
            }
        }
    }

    /// True if the object contains all rendered fields.
    pub(crate) fn covers(&self, rendered: &Value) -> bool {
        self.content().is_some_and(|live| covers(rendered, &live))
    }

    /// Its memory in bytes, including shared parts.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        let texts = [
            &*self.uid,
            &self.resource_version,
            &self.source,
            &self.id.namespace,
            &self.id.name,
        ];
        size_of::<Self>()
            + self.refusal.as_ref().map_or(0, |refusal| refusal.why.len())
            + texts.map(str::len).iter().sum::<usize>()
            + self.content_size()
    }
}

/// True if the live object has each field of the rendered one with the same value. Fields that the API server or others
/// added are ignored.
fn covers(rendered: &Value, live: &Value) -> bool {
    let Value::Object(rendered) = rendered else {
        return false;
    };
    rendered.iter().all(|(field, value)| match field.as_str() {
        // A list's items do not have them.
        "apiVersion" | "kind" => true,
        "metadata" => ["labels", "annotations"]
            .iter()
            .all(|field| is_within(&value[field], &live["metadata"][field], false)),
        field => is_within(value, &live[field], false),
    })
}

fn is_within(rendered: &Value, live: &Value, quantities: bool) -> bool {
    match (rendered, live) {
        (Value::Object(rendered), Value::Object(live)) => rendered.iter().all(|(field, value)| {
            let quantities = quantities || matches!(field.as_str(), "requests" | "limits");
            is_within(value, live.get(field).unwrap_or(&Value::Null), quantities)
        }),
        // The API server does not store empty values.
        (Value::Object(fields), Value::Null) => fields.is_empty(),
        (Value::Array(items), Value::Null) => items.is_empty(),
        (Value::Array(rendered), Value::Array(live)) => {
            rendered.len() == live.len()
                && rendered
                    .iter()
                    .zip(live)
                    .all(|(value, live)| is_within(value, live, false))
        }
        (Value::String(rendered), Value::String(live)) if quantities => quantity(rendered) == quantity(live),
        (rendered, live) => rendered == live,
    }
}

/// A quantity's value. The API server can store `1000m` as `1`.
fn quantity(text: &str) -> Option<f64> {
    let split = text
        .find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '+' | '-'))
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(split);
    let factor = match suffix {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1024f64.powi(2),
        "Gi" => 1024f64.powi(3),
        "Ti" => 1024f64.powi(4),
        "Pi" => 1024f64.powi(5),
        "Ei" => 1024f64.powi(6),
        exponent => 10f64.powi(exponent.strip_prefix(['e', 'E'])?.parse().ok()?),
    };
    Some(number.parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use kube::api::WatchEvent;

    use super::*;

    #[test]
    fn fields_that_others_added_are_ignored() {
        let rendered = json!({"metadata": {"labels": {"a": "1"}}, "spec": {"replicas": 1, "empty": {}}});
        let live = json!({"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"replicas": 1, "paused": false}});
        assert!(covers(&rendered, &live));
    }

    #[test]
    fn changed_and_removed_fields_differ() {
        let rendered = json!({"metadata": {"labels": {"a": "1"}}, "data": {"telegraf.conf": "x"}});
        assert!(!covers(
            &rendered,
            &json!({"metadata": {"labels": {"a": "1"}}, "data": {"telegraf.conf": "y"}})
        ));
        assert!(!covers(
            &rendered,
            &json!({"metadata": {"labels": {}}, "data": {"telegraf.conf": "x"}})
        ));
        assert!(!covers(&rendered, &json!({"metadata": {"labels": {"a": "1"}}})));
    }

    fn watched(object: Value) -> Live {
        let id = ObjectId::of(&object).unwrap();
        Live::of_watched(&id.kind, serde_json::from_value(object).unwrap()).unwrap()
    }

    fn config_map(data: &str) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "a", "namespace": "b", "uid": "1", "resourceVersion": "1",
                "labels": {"l": "1"}, "annotations": {SOURCE: "Namespace/b"}},
            "data": {"telegraf.conf": data},
        })
    }

    #[test]
    fn an_object_that_is_nested_too_deeply_is_another_than_the_rendered_one() {
        let deep = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
        let event = |depth| {
            let object = config_map("x").to_string();
            let object = object.replace(r#"{"telegraf.conf":"x"}"#, &deep(depth));
            format!(r#"{{"type":"MODIFIED","object":{object}}}"#)
        };
        let read = |text: &str| match serde_json::from_str(text).unwrap() {
            WatchEvent::<WatchedObject>::Modified(object) => object.content.digest,
            other => panic!("{other:?}"),
        };
        assert_ne!(read(&event(200)), read(&event(201)));
        let id = ObjectId::of(&config_map("x")).unwrap();
        let WatchEvent::Modified(object) = serde_json::from_str(&event(200)).unwrap() else {
            panic!("another event")
        };
        let mut live = Live::of_watched(&id.kind, object).unwrap();
        let digest = Digest::of_rendered(&config_map("x"));
        live.applied = Some(digest);
        assert_eq!(live.compare(&config_map("x"), digest), Comparison::Differs);
    }

    #[test]
    fn a_refused_deletion_is_asked_for_less_and_less_often() {
        let (mut live, start) = (watched(config_map("")), Instant::now());
        let mut delays = Vec::new();
        for _ in 0..40 {
            live.refused(&"é".repeat(10_000), start);
            delays.push((live.refusal().unwrap().ask_again - start).as_secs());
        }
        assert_eq!(delays[..10], [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
        assert!(delays[10..].iter().all(|delay| *delay == 300), "{delays:?}");
        assert!(live.bytes() < 2048, "{}", live.bytes());
        // What somebody changes about it does not make it another one.
        let mut changed = config_map("x");
        changed["metadata"]["resourceVersion"] = json!("2");
        let mut changed = watched(changed);
        changed.inherit(&live);
        assert_eq!(changed.refusal().map(|refusal| refusal.times), Some(40));
        let mut another = config_map("x");
        another["metadata"]["uid"] = json!("2");
        let mut another = watched(another);
        another.inherit(&live);
        assert!(another.refusal().is_none());
    }

    /// Text that cannot be compressed.
    fn noise(length: usize) -> String {
        let digests = (0_u64..).map(|number| Digest::of(&number.to_be_bytes()).to_string());
        digests.take(length / 32).collect()
    }

    #[test]
    fn a_large_object_takes_a_few_hundred_bytes() {
        let live = watched(config_map(&noise(900_000)));
        assert!(live.bytes() < 512, "{}", live.bytes());
        assert_eq!(live.content(), None);
        let mut small = watched(config_map(&noise(1_000)));
        assert!(small.content().is_some());
        small.set_as_rendered(Digest::of(b""));
        assert!(small.bytes() < 512, "{}", small.bytes());
    }

    #[test]
    fn an_object_with_an_oversized_source_is_ignored() {
        let mut object = config_map("");
        object["metadata"]["annotations"][SOURCE] = json!("x".repeat(100_000));
        let id = ObjectId::of(&object).unwrap();
        assert!(Live::of_watched(&id.kind, serde_json::from_value(object).unwrap()).is_none());
    }

    #[test]
    fn a_watched_object_and_one_that_is_read_have_the_same_content() {
        let object = config_map("a <b> & \u{e9} \"c\"");
        // Go's JSON encoder escapes these characters.
        let text = object
            .to_string()
            .replace('<', "\\u003c")
            .replace('>', "\\u003e")
            .replace('&', "\\u0026");
        let id = ObjectId::of(&object).unwrap();
        let watched = Live::of_watched(&id.kind, serde_json::from_str(&text).unwrap()).unwrap();
        let read = Live::of(&id.kind, serde_json::from_value(object).unwrap()).unwrap();
        assert!(watched.is_same(&read) && watched.has_content_of(&read));
    }

    #[test]
    fn an_object_is_compared_by_its_digest_and_its_content() {
        let rendered = config_map("x");
        let digest = Digest::of_rendered(&rendered);
        let live = |data: &str, applied: &str| {
            let mut object = config_map(data);
            object["metadata"]["annotations"][APPLIED] = json!(applied);
            watched(object)
        };
        let applied = digest.to_string();
        assert_eq!(live("x", &applied).compare(&rendered, digest), Comparison::Same);
        assert_eq!(
            live("y", &applied).compare(&rendered, digest),
            Comparison::Differs,
            "it was edited"
        );
        assert_eq!(
            live("x", "").compare(&rendered, digest),
            Comparison::Differs,
            "it was not applied"
        );
        let mut unread = live("x", &applied);
        unread.drop_content();
        assert_eq!(unread.compare(&rendered, digest), Comparison::Unknown);
        unread.set_as_rendered(digest);
        assert_eq!(unread.compare(&rendered, digest), Comparison::Same);
        let mut edited = live("y", &applied);
        edited.inherit(&unread);
        assert!(!edited.was_as_rendered(), "another content");
        let mut later = live("x", &applied);
        later.inherit(&unread);
        assert_eq!((later.was_as_rendered(), later.content()), (true, None));
    }

    #[test]
    fn a_digest_is_parsed_as_it_is_displayed() {
        let digest = Digest::of(b"text");
        assert_eq!(Digest::parse(&digest.to_string()), Some(digest));
        for text in ["", "0", &"+".repeat(32), &format!("+{}", "0".repeat(31))] {
            assert_eq!(Digest::parse(text), None);
        }
    }

    #[test]
    fn lists_of_different_lengths_differ() {
        let rendered = json!({"spec": {"args": ["a"]}});
        assert!(!covers(&rendered, &json!({"spec": {"args": ["a", "b"]}})));
    }

    #[test]
    fn quantities_are_compared_by_value() {
        let resources = |cpu: &str, memory: &str| json!({"spec": {"limits": {"cpu": cpu, "memory": memory}}});
        assert!(covers(&resources("1000m", "1024Mi"), &resources("1", "1Gi")));
        assert!(!covers(&resources("1000m", "1024Mi"), &resources("1", "1G")));
        assert!(!covers(
            &json!({"spec": {"value": "1000m"}}),
            &json!({"spec": {"value": "1"}})
        ));
    }
}
