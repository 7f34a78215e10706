//! The keys, values and documentation that a JSON Schema has for a place.

use std::fmt::Write;

use serde_json::Value;

use super::outline::ITEM;

/// A key that a schema allows.
#[derive(Debug, PartialEq)]
pub(super) struct Known {
    pub(super) label: String,
    /// The types of its value.
    pub(super) types: String,
    /// In Markdown.
    pub(super) documentation: Option<String>,
    /// Its value is a map of its own.
    pub(super) is_nested: bool,
}

/// The keys that a map at a path can have.
pub(super) fn keys(root: &Value, path: &[String]) -> Vec<Known> {
    let schemas = resolve(root, path);
    let properties = schemas
        .iter()
        .filter_map(|schema| schema["properties"].as_object())
        .flatten();
    let options = properties.map(|(label, _)| {
        let mut inner = path.to_vec();
        inner.push(label.clone());
        let schemas = resolve(root, &inner);
        Known {
            label: label.clone(),
            types: types(&schemas),
            documentation: describe(label, &schemas),
            is_nested: schemas
                .iter()
                .any(|schema| schema["properties"].is_object() || schema["additionalProperties"].is_object()),
        }
    });
    options.collect()
}

/// The values that a key at a path can have, as far as there is a list of them, or examples.
pub(super) fn values(root: &Value, path: &[String]) -> Vec<String> {
    let schemas = resolve(root, path);
    let mut values = Vec::new();
    for schema in &schemas {
        for list in ["enum", "examples"] {
            values.extend(schema[list].as_array().into_iter().flatten().cloned());
        }
        values.extend(schema.get("const").cloned());
        if schema["type"] == "boolean" {
            values.extend([true.into(), false.into()]);
        }
    }
    let mut texts: Vec<String> = Vec::new();
    for value in values {
        let text = match value {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            Value::Bool(value) => value.to_string(),
            _ => continue,
        };
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    texts
}

/// What the key at the end of a path means, in Markdown. None where the schema does not say.
pub(super) fn documentation(root: &Value, path: &[String]) -> Option<String> {
    describe(path.last()?, &resolve(root, path))
}

fn describe(name: &str, schemas: &[&Value]) -> Option<String> {
    let first = |key: &str| schemas.iter().find_map(|schema| schema.get(key));
    let description = first("description")?.as_str()?;
    let mut text = format!("**{name}** {}\n\n{description}", types(schemas));
    // Text is written to a string, which takes it all.
    if let Some(default) = first("default") {
        _ = write!(text, "\n\nDefault: `{default}`");
    }
    let examples: Vec<_> = first("examples")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .collect();
    if !examples.is_empty() {
        let examples: Vec<_> = examples.iter().map(|example| format!("`{example}`")).collect();
        _ = write!(text, "\n\nFor example {}", examples.join(", "));
    }
    Some(text)
}

fn types(schemas: &[&Value]) -> String {
    let mut types: Vec<&str> = Vec::new();
    for schema in schemas {
        let of_schema = match &schema["type"] {
            Value::Array(types) => types.iter().collect(),
            one => vec![one],
        };
        for name in of_schema.into_iter().filter_map(Value::as_str) {
            if name != "null" && !types.contains(&name) {
                types.push(name);
            }
        }
    }
    types.join(" or ")
}

/// Every schema that may hold at a path.
fn resolve<'a>(root: &'a Value, path: &[String]) -> Vec<&'a Value> {
    let mut schemas = Vec::new();
    expand(root, root, &mut schemas);
    for name in path {
        let mut next = Vec::new();
        for schema in schemas {
            let inner = match name.as_str() {
                ITEM => schema.get("items"),
                name => schema["properties"]
                    .get(name)
                    .or_else(|| schema.get("additionalProperties")),
            };
            if let Some(inner) = inner {
                expand(root, inner, &mut next);
            }
        }
        schemas = next;
    }
    schemas
}

/// A schema, and those that it refers to.
fn expand<'a>(root: &'a Value, schema: &'a Value, into: &mut Vec<&'a Value>) {
    // A schema may refer to itself.
    if !schema.is_object() || into.iter().any(|known| std::ptr::eq(*known, schema)) {
        return;
    }
    into.push(schema);
    let target = schema["$ref"]
        .as_str()
        .and_then(|target| root.pointer(target.strip_prefix('#')?));
    if let Some(target) = target {
        expand(root, target, into);
    }
    for name in ["anyOf", "oneOf", "allOf"] {
        for part in schema[name].as_array().into_iter().flatten() {
            expand(root, part, into);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Vec<String> {
        text.split('/')
            .filter(|step| !step.is_empty())
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn the_annotation_s_schema_is_read() {
        let root = telewarden_policy::schema::annotation().to_value();
        let names = |at: &str| -> Vec<String> { keys(&root, &path(at)).into_iter().map(|key| key.label).collect() };
        for at in ["*/web", "web"] {
            let names = names(at);
            assert!(
                names.contains(&"interval".to_owned()) && names.contains(&"url".to_owned()),
                "{names:?}"
            );
        }
        assert!(names("").is_empty());
        assert_eq!(values(&root, &path("web/metric_version")), ["1", "2"]);
        assert_eq!(values(&root, &path("web/ignore_timestamp")), ["true", "false"]);
        let text = documentation(&root, &path("web/interval")).expect("it is documented");
        assert!(text.starts_with("**interval**") && text.contains("How often"), "{text}");
        assert_eq!(documentation(&root, &path("web/nothing")), None);
    }

    #[test]
    fn the_schema_of_settings_is_read() {
        let root = telewarden_policy::schema::settings().to_value();
        let found = keys(&root, &path("endpoints"));
        let hosts = found.iter().find(|key| key.label == "hosts").expect("it is there");
        assert!(!hosts.is_nested && hosts.documentation.is_some());
        assert!(
            keys(&root, &[])
                .iter()
                .any(|key| key.label == "classes" && key.is_nested)
        );
        assert!(values(&root, &path("topology")).contains(&"standalone".to_owned()));
    }
}
