//! The administrator's extra objects for each source.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::metadata::{owner_annotations, owner_labels};
use super::to_json;
use crate::plan::Owner;
use crate::settings::{Names, Scope, Settings, Template};

/// The settings' extra resources with their texts filled, in a namespace.
pub(crate) fn extra_resources(owner: Owner<'_>, namespace: &str, names: &Names<'_>, settings: &Settings) -> Vec<Value> {
    let objects = settings.extra_resources.iter().map(|resource| {
        let mut object = fill(&Value::Object(resource.clone()), names);
        let metadata = &mut object["metadata"];
        metadata["namespace"] = Value::String(namespace.to_owned());
        merge(metadata, "labels", owner_labels(owner, settings));
        merge(metadata, "annotations", owner_annotations(owner));
        object
    });
    objects.collect()
}

fn merge(metadata: &mut Value, field: &str, ours: BTreeMap<String, String>) {
    if !metadata[field].is_object() {
        metadata[field] = Value::Object(Map::new());
    }
    for (name, value) in ours {
        metadata[field][name] = to_json(value);
    }
}

fn fill(value: &Value, names: &Names<'_>) -> Value {
    match value {
        // All texts were parsed when the settings were checked.
        Value::String(text) => match Template::parse(text, Scope::Source) {
            Ok(template) => Value::String(template.fill(names)),
            Err(_) => value.clone(),
        },
        Value::Array(values) => values.iter().map(|value| fill(value, names)).collect(),
        Value::Object(map) => Value::Object(
            map.iter()
                .map(|(name, value)| (name.clone(), fill(value, names)))
                .collect(),
        ),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}
