//! Objects in the cluster, as far as it has to be known whether they are as rendered.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta, Time};
use kube::Resource;
use kube::api::{ApiResource, DynamicObject};
use kube::core::DynamicResourceScope;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use telewarden_policy::well_known::{APPLIED, SOURCE};

use crate::compressed::Compressed;
use crate::managed_fields;
use crate::object_id::{GroupKind, ObjectId};

/// An object as it is watched. What it holds stays text, which is much quicker to read than a tree, and who manages which
/// field, half of many an object, is passed over.
#[derive(Clone, Debug)]
pub(crate) struct Unread {
    pub(crate) metadata: ObjectMeta,
    /// All but metadata and status.
    fields: BTreeMap<String, Box<RawValue>>,
}

impl<'de> Deserialize<'de> for Unread {
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
            type Value = Unread;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unread, A::Error> {
                let (mut metadata, mut fields) = (Metadata::default(), BTreeMap::new());
                while let Some(field) = map.next_key::<String>()? {
                    match field.as_str() {
                        "metadata" => metadata = map.next_value()?,
                        "apiVersion" | "kind" | "status" => drop(map.next_value::<IgnoredAny>()?),
                        _ => drop(fields.insert(field, map.next_value()?)),
                    }
                }
                let managed = metadata.managed_fields.into_iter().map(|entry| ManagedFieldsEntry {
                    manager: entry.manager,
                    operation: entry.operation,
                    subresource: entry.subresource,
                    ..ManagedFieldsEntry::default()
                });
                let metadata = ObjectMeta {
                    name: metadata.name,
                    namespace: metadata.namespace,
                    uid: metadata.uid,
                    resource_version: metadata.resource_version,
                    labels: metadata.labels,
                    annotations: metadata.annotations,
                    deletion_timestamp: metadata.deletion_timestamp,
                    managed_fields: Some(managed.collect()),
                    ..ObjectMeta::default()
                };
                Ok(Unread { metadata, fields })
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

impl Resource for Unread {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(resource: &ApiResource) -> Cow<'_, str> {
        resource.kind.as_str().into()
    }
    fn group(resource: &ApiResource) -> Cow<'_, str> {
        resource.group.as_str().into()
    }
    fn version(resource: &ApiResource) -> Cow<'_, str> {
        resource.version.as_str().into()
    }
    fn plural(resource: &ApiResource) -> Cow<'_, str> {
        resource.plural.as_str().into()
    }
    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }
    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// An object of ours, as the API server has it.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) id: ObjectId,
    pub(crate) uid: String,
    pub(crate) resource_version: String,
    /// Whom it was rendered for.
    pub(crate) source: String,
    /// It was created and not yet applied: what it holds has to be taken over by server-side apply first, or a field that
    /// is no longer rendered would stay.
    pub(crate) created: bool,
    /// It goes away as soon as its finalizers let it.
    pub(crate) deleting: bool,
    /// Applying what is rendered changed nothing, although it is not what was read back: the API server spells a value in
    /// another way, or someone else added to a list.
    pub(crate) settled: bool,
    /// Labels, annotations and everything but metadata and status, as JSON, packed: there may be ten thousands of objects,
    /// and they are much alike.
    content: Compressed,
}

impl Live {
    /// What is kept of an object. `None` if it does not say whom it was rendered for.
    pub(crate) fn of(kind: &Arc<GroupKind>, object: DynamicObject) -> Option<Self> {
        let mut fields: BTreeMap<String, Value> = match object.data {
            Value::Object(fields) => fields.into_iter().collect(),
            _ => BTreeMap::new(),
        };
        fields.remove("status");
        Self::new(kind, object.metadata, fields)
    }

    /// The same, of an object that is watched.
    pub(crate) fn of_unread(kind: &Arc<GroupKind>, object: Unread) -> Option<Self> {
        Self::new(kind, object.metadata, object.fields)
    }

    /// From an object's metadata, and the fields that are neither metadata nor status.
    fn new<T: Serialize>(kind: &Arc<GroupKind>, mut metadata: ObjectMeta, fields: BTreeMap<String, T>) -> Option<Self> {
        #[derive(Serialize)]
        struct Content<T> {
            #[serde(flatten)]
            fields: BTreeMap<String, T>,
            metadata: Value,
        }
        let annotations = metadata.annotations.take().unwrap_or_default();
        let source = annotations.get(SOURCE)?.clone();
        let managed = metadata.managed_fields.take().unwrap_or_default();
        let created = managed.iter().any(|entry| managed_fields::are_ours(entry, "Update"));
        let content = Content {
            fields,
            metadata: json!({"labels": metadata.labels.take().unwrap_or_default(), "annotations": annotations}),
        };
        let text = serde_json::to_vec(&content).expect("JSON is JSON");
        Some(Self {
            id: ObjectId {
                kind: kind.clone(),
                namespace: metadata.namespace.take().unwrap_or_default().into(),
                name: metadata.name.take()?.into(),
            },
            // What would be created has neither.
            uid: metadata.uid.take().unwrap_or_default(),
            resource_version: metadata.resource_version.take().unwrap_or_default(),
            source,
            created,
            deleting: metadata.deletion_timestamp.is_some(),
            settled: false,
            content: Compressed::new(&text),
        })
    }

    /// True if nothing but the version, or what is not ours, tells the two apart.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.uid == other.uid && self.content == other.content && self.deleting == other.deleting
    }

    /// True if this was read after the other. Versions are numbers that grow:
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

    /// Labels, annotations, and all that is neither metadata nor status.
    pub(crate) fn content(&self) -> Value {
        serde_json::from_slice(&self.content.decompress()).unwrap_or_default()
    }

    /// True if applying the object would change nothing.
    pub(crate) fn is_as_rendered(&self, rendered: &Value, digest: &str) -> bool {
        let live = self.content();
        live["metadata"]["annotations"][APPLIED] == digest && (self.settled || covers(rendered, &live))
    }

    /// True if the object holds everything that is rendered.
    pub(crate) fn covers(&self, rendered: &Value) -> bool {
        covers(rendered, &self.content())
    }
}

/// A digest of what is rendered.
pub(crate) fn digest(rendered: &Value) -> String {
    let digest = Sha256::digest(rendered.to_string().as_bytes());
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// True if each field of a rendered object is in the live one, with the same value. What the API server or others added
/// does not count.
fn covers(rendered: &Value, live: &Value) -> bool {
    let Value::Object(rendered) = rendered else {
        return false;
    };
    rendered.iter().all(|(field, value)| match field.as_str() {
        // The API server leaves them out of a list's items.
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
        // What is empty is not stored.
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

/// A quantity's value, which the API server may spell in another way: `1000m` is `1`.
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
    use super::*;

    #[test]
    fn what_others_added_does_not_count() {
        let rendered = json!({"metadata": {"labels": {"a": "1"}}, "spec": {"replicas": 1, "empty": {}}});
        let live = json!({"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"replicas": 1, "paused": false}});
        assert!(covers(&rendered, &live));
    }

    #[test]
    fn what_others_changed_or_removed_counts() {
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

    #[test]
    fn a_list_with_more_items_is_another() {
        let rendered = json!({"spec": {"args": ["a"]}});
        assert!(!covers(&rendered, &json!({"spec": {"args": ["a", "b"]}})));
    }

    #[test]
    fn quantities_are_compared_by_value_where_they_are_quantities() {
        let resources = |cpu: &str, memory: &str| json!({"spec": {"limits": {"cpu": cpu, "memory": memory}}});
        assert!(covers(&resources("1000m", "1024Mi"), &resources("1", "1Gi")));
        assert!(!covers(&resources("1000m", "1024Mi"), &resources("1", "1G")));
        assert!(!covers(
            &json!({"spec": {"value": "1000m"}}),
            &json!({"spec": {"value": "1"}})
        ));
    }
}
