//! Managed fields of an object
//! (<https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management>).

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use serde_json::Value;
use telewarden_policy::well_known::FIELD_MANAGER;

/// True for the fields that this operator has written with the operation `Apply` or `Update`. A create counts as `Update`.
pub(crate) fn are_ours(entry: &ManagedFieldsEntry, operation: &str) -> bool {
    entry.manager.as_deref() == Some(FIELD_MANAGER)
        && entry.operation.as_deref() == Some(operation)
        && entry.subresource.is_none()
}

/// Adds the fields in `more` to `fields`.
pub(crate) fn merge(fields: &mut Value, more: &Value) {
    let (Value::Object(fields), Value::Object(more)) = (fields, more) else {
        return;
    };
    for (element, below) in more {
        match fields.get_mut(element) {
            Some(known) => merge(known, below),
            None => drop(fields.insert(element.clone(), below.clone())),
        }
    }
}

/// Removes the fields in `fields` from an object, except those that others manage.
pub(crate) fn remove(object: &mut Value, fields: &Value, others: &[&Value]) {
    for (element, below) in fields.as_object().into_iter().flatten() {
        let others: Vec<&Value> = others.iter().filter_map(|other| other.get(element)).collect();
        if others.is_empty() {
            take(object, element);
        } else if let Some(value) = find(object, element) {
            remove(value, below, &others);
        }
    }
}

fn take(within: &mut Value, element: &str) {
    match within {
        Value::Object(fields) => {
            if let Some(name) = element.strip_prefix("f:") {
                fields.remove(name);
            }
        }
        Value::Array(items) => {
            if let Some(at) = position(items, element) {
                items.remove(at);
            }
        }
        _ => {}
    }
}

fn find<'a>(within: &'a mut Value, element: &str) -> Option<&'a mut Value> {
    match within {
        Value::Object(fields) => fields.get_mut(element.strip_prefix("f:")?),
        Value::Array(items) => {
            let at = position(items, element)?;
            items.get_mut(at)
        }
        _ => None,
    }
}

/// The index of a list's item with these fields (`k:`) or this value (`v:`).
fn position(items: &[Value], element: &str) -> Option<usize> {
    let (what, text) = element.split_once(':')?;
    let wanted: Value = serde_json::from_str(text).ok()?;
    match (what, &wanted) {
        ("k", Value::Object(key)) => items
            .iter()
            .position(|item| key.iter().all(|(field, value)| item[field] == *value)),
        ("v", _) => items.iter().position(|item| *item == wanted),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_are_merged() {
        let mut applied = json!({"f:data": {"f:a": {}, "f:b": {}}, "f:metadata": {"f:labels": {"f:x": {}}}});
        let updated = json!({"f:data": {"f:c": {}, "f:a": {}}, "f:metadata": {"f:annotations": {".": {}, "f:y": {}}}});
        merge(&mut applied, &updated);
        let merged = json!({
            "f:data": {"f:a": {}, "f:b": {}, "f:c": {}},
            "f:metadata": {"f:labels": {"f:x": {}}, "f:annotations": {".": {}, "f:y": {}}},
        });
        assert_eq!(applied, merged);
    }

    #[test]
    fn fields_that_nobody_else_manages_are_removed() {
        let mut object = json!({
            "metadata": {"labels": {"a": "1", "b": "2", "c": "3"}, "finalizers": ["x", "y"]},
            "spec": {"containers": [{"name": "one", "image": "i", "args": ["z"]}, {"name": "two"}], "replicas": 1},
        });
        let created = json!({
            "f:metadata": {"f:labels": {".": {}, "f:a": {}, "f:b": {}, "f:c": {}}, "f:finalizers": {"v:\"x\"": {}, "v:\"y\"": {}}},
            "f:spec": {
                "f:containers": {
                    "k:{\"name\":\"one\"}": {".": {}, "f:name": {}, "f:image": {}, "f:args": {}},
                    "k:{\"name\":\"two\"}": {".": {}, "f:name": {}},
                },
                "f:replicas": {},
            },
        });
        let applied = json!({
            "f:metadata": {"f:labels": {"f:a": {}}, "f:finalizers": {"v:\"y\"": {}}},
            "f:spec": {"f:containers": {"k:{\"name\":\"one\"}": {".": {}, "f:name": {}, "f:image": {}}}},
        });
        let somebody = json!({"f:metadata": {"f:labels": {"f:c": {}}}});
        remove(&mut object, &created, &[&applied, &somebody]);
        let left = json!({
            "metadata": {"labels": {"a": "1", "c": "3"}, "finalizers": ["y"]},
            "spec": {"containers": [{"name": "one", "image": "i"}]},
        });
        assert_eq!(object, left);
    }
}
