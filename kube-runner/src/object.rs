//! Objects as the API server sends them.
//!
//! Whoever may write an object may nest its `managedFields`, and fields that a CRD does not know, more deeply than serde_json reads a
//! value. Nobody must keep the operator from reading the objects of others so: what is nested too deeply is not decoded.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, ObjectMeta, OwnerReference, Time};
use kube::Resource;
use kube::api::{ApiResource, DynamicObject, TypeMeta};
use kube::core::DynamicResourceScope;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// A field's value. One that is nested too deeply to be read is kept as its text, which no rendered value equals.
pub(crate) fn readable(value: &RawValue) -> Value {
    serde_json::from_str(value.get()).unwrap_or_else(|_| value.get().into())
}

/// Decodes a value that may be nested too deeply, for `deserialize_with`.
pub(crate) fn value<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    Box::<RawValue>::deserialize(deserializer).map(|value| readable(&value))
}

/// The same for a field that may be absent.
pub(crate) fn optional_value<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    let value = Option::<Box<RawValue>>::deserialize(deserializer)?;
    Ok(value.map(|value| readable(&value)))
}

/// Decodes metadata without the managed fields, which take longer than the rest, for `deserialize_with`.
pub(crate) fn metadata<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Read {
        name: Option<String>,
        namespace: Option<String>,
        uid: Option<String>,
        resource_version: Option<String>,
        generation: Option<i64>,
        labels: Option<BTreeMap<String, String>>,
        annotations: Option<BTreeMap<String, String>>,
        creation_timestamp: Option<Time>,
        deletion_timestamp: Option<Time>,
        owner_references: Option<Vec<OwnerReference>>,
    }
    let read = Read::deserialize(deserializer)?;
    Ok(ObjectMeta {
        name: read.name,
        namespace: read.namespace,
        uid: read.uid,
        resource_version: read.resource_version,
        generation: read.generation,
        labels: read.labels,
        annotations: read.annotations,
        creation_timestamp: read.creation_timestamp,
        deletion_timestamp: read.deletion_timestamp,
        owner_references: read.owner_references,
        ..ObjectMeta::default()
    })
}

/// The metadata of an object of a kind, without its managed fields.
#[derive(Clone, Debug, Deserialize)]
#[serde(bound = "")]
pub(crate) struct Metadata<K> {
    #[serde(deserialize_with = "metadata")]
    pub(crate) metadata: ObjectMeta,
    #[serde(skip)]
    kind: PhantomData<fn() -> K>,
}

impl<K: Resource<DynamicType = ()>> Resource for Metadata<K> {
    type DynamicType = ();
    type Scope = K::Scope;

    fn kind((): &()) -> Cow<'_, str> {
        K::kind(&())
    }
    fn group((): &()) -> Cow<'_, str> {
        K::group(&())
    }
    fn version((): &()) -> Cow<'_, str> {
        K::version(&())
    }
    fn plural((): &()) -> Cow<'_, str> {
        K::plural(&())
    }
    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }
    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// A whole object of any kind. Its managed fields are kept where they can be read.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Object {
    #[serde(flatten)]
    types: TypeMeta,
    pub(crate) metadata: ObjectMeta,
    /// All other fields.
    #[serde(flatten)]
    pub(crate) data: Value,
}

impl From<DynamicObject> for Object {
    fn from(object: DynamicObject) -> Self {
        Self {
            types: object.types.unwrap_or_default(),
            metadata: object.metadata,
            data: object.data,
        }
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let (mut types, mut metadata) = (TypeMeta::default(), ObjectMeta::default());
                let mut data = serde_json::Map::new();
                while let Some(field) = map.next_key::<String>()? {
                    match field.as_str() {
                        "apiVersion" => types.api_version = map.next_value()?,
                        "kind" => types.kind = map.next_value()?,
                        "metadata" => {
                            let read: Box<RawValue> = map.next_value()?;
                            metadata = whole_metadata(&read).map_err(serde::de::Error::custom)?;
                        }
                        _ => drop(data.insert(field, readable(&map.next_value::<Box<RawValue>>()?))),
                    }
                }
                Ok(Object {
                    types,
                    metadata,
                    data: Value::Object(data),
                })
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

fn whole_metadata(text: &RawValue) -> serde_json::Result<ObjectMeta> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    #[derive(Default)]
    struct Entry {
        api_version: Option<String>,
        fields_type: Option<String>,
        fields_v1: Option<Box<RawValue>>,
        manager: Option<String>,
        operation: Option<String>,
        subresource: Option<String>,
        time: Option<Time>,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Managed {
        managed_fields: Option<Vec<Entry>>,
    }
    let managed: Managed = serde_json::from_str(text.get())?;
    let managed_fields = managed.managed_fields.map(|entries| {
        let entries = entries.into_iter().map(|entry| ManagedFieldsEntry {
            api_version: entry.api_version,
            fields_type: entry.fields_type,
            fields_v1: entry
                .fields_v1
                .and_then(|fields| serde_json::from_str(fields.get()).ok())
                .map(FieldsV1),
            manager: entry.manager,
            operation: entry.operation,
            subresource: entry.subresource,
            time: entry.time,
        });
        entries.collect()
    });
    let metadata = metadata(&mut serde_json::Deserializer::from_str(text.get()))?;
    Ok(ObjectMeta {
        managed_fields,
        ..metadata
    })
}

/// Implements [`Resource`] for a type with a field `metadata`, whose kind is known when the operator runs.
macro_rules! dynamic_resource {
    ($type:ident) => {
        impl Resource for $type {
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
    };
}
pub(crate) use dynamic_resource;

dynamic_resource!(Object);

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Namespace;
    use kube::core::ObjectList;

    use super::*;

    /// A list of one object with managed fields, and a field, of so many levels.
    fn list(levels: usize) -> String {
        let deep = r#"{"f:a":"#.repeat(levels) + "{}" + &"}".repeat(levels);
        let managed = format!(
            r#"[{{"manager":"evil","operation":"Update","fieldsType":"FieldsV1","fieldsV1":{deep}}},
                {{"manager":"telewarden","operation":"Apply","fieldsType":"FieldsV1","fieldsV1":{{"f:data":{{}}}}}}]"#
        );
        format!(
            r#"{{"kind":"List","apiVersion":"v1","metadata":{{}},"items":[
                {{"metadata":{{"name":"a","labels":{{"l":"b"}},"managedFields":{managed}}},"data":{deep}}}]}}"#
        )
    }

    #[test]
    fn what_is_nested_too_deeply_keeps_nobody_from_reading_the_rest() {
        assert!(serde_json::from_str::<ObjectList<DynamicObject>>(&list(10)).is_ok());
        assert!(serde_json::from_str::<ObjectList<DynamicObject>>(&list(200)).is_err());
        for (levels, is_readable) in [(10, true), (200, false)] {
            let objects: ObjectList<Object> = serde_json::from_str(&list(levels)).unwrap();
            let object = &objects.items[0];
            assert_eq!(object.data["data"].is_object(), is_readable);
            let entries = object.metadata.managed_fields.as_deref().unwrap();
            assert_eq!(entries[0].fields_v1.is_some(), is_readable);
            assert!(entries[1].fields_v1.is_some(), "fields of others stay");
            assert_eq!(object.metadata.labels.as_ref().unwrap()["l"], "b");
            let metadata: ObjectList<Metadata<Namespace>> = serde_json::from_str(&list(levels)).unwrap();
            assert_eq!(metadata.items[0].metadata.name.as_deref(), Some("a"));
        }
    }

    #[test]
    fn an_object_is_written_as_it_was_read() {
        let text = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","uid":"1"},"data":{"a":"b"}}"#;
        let object: Object = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&object).unwrap(), text);
    }
}
