//! JSON Schemas, for editors and hosts. The files in `schemas/` are generated from them; a test compares.

use schemars::{Schema, schema_for};
use serde_json::{Map, Value, json};

use crate::annotation::{CREDENTIALS, OF_PROMETHEUS, URL_KEYS};
use crate::protocol::{RenderAnswer, RenderRequest};
use crate::settings::{self, Settings};
use crate::telegraf::{CONTENT_TYPES, OPTIONS, Shape};

/// The settings, with their defaults.
pub fn settings() -> Schema {
    let mut schema = schema_for!(Settings).to_value();
    schema["title"] = json!("telewarden settings");
    let definitions = schema["$defs"].clone();
    relax(&mut schema);
    let ours = |name: &str| !name.contains('.');
    if let Some(definitions) = schema["$defs"].as_object_mut() {
        definitions
            .iter_mut()
            .filter(|(name, _)| ours(name))
            .for_each(|(_, definition)| relax(definition));
    }
    let defaults = settings::defaults();
    for (name, default) in defaults.as_object().into_iter().flatten() {
        let property = &mut schema["properties"][name];
        // The defaults of a section are in the section's properties.
        match property["$ref"]
            .as_str()
            .and_then(|path| path.strip_prefix("#/$defs/"))
            .map(str::to_owned)
        {
            Some(definition) if definitions[&definition]["properties"].is_object() => {
                for (name, default) in default.as_object().into_iter().flatten() {
                    schema["$defs"][&definition]["properties"][name]["default"] = default.clone();
                }
            }
            _ => property["default"] = default.clone(),
        }
    }
    into_schema(schema)
}

/// The settings as Markdown: a table for each section, with every setting's path, default and documentation.
pub fn settings_reference() -> String {
    let (schema, defaults) = (settings().to_value(), settings::defaults());
    let properties = |schema: &Value| schema["properties"].as_object().cloned().unwrap_or_default();
    let mut sections = vec![("General".to_owned(), String::new(), Vec::new())];
    for (name, property) in properties(&schema) {
        let mut rows = Vec::new();
        reference_rows(&schema, &property, &name, "", &defaults[&name], &mut rows);
        match rows.as_mut_slice() {
            [(path, ..)] if *path == name => sections[0].2.append(&mut rows),
            _ => sections.push((format!("`{name}`"), one_line(&property), rows)),
        }
    }
    let mut page = String::new();
    for (title, description, rows) in sections {
        page += &format!("### {title}\n\n");
        if !description.is_empty() {
            page += &format!("{description}\n\n");
        }
        page += "| setting | default | meaning |\n| --- | --- | --- |\n";
        for (path, default, meaning) in rows {
            page += &format!("| `{path}` | {default} | {meaning} |\n");
        }
        page += "\n";
    }
    page
}

/// The path, default and documentation of a setting, or of those in a section. `section` is the documentation of a section
/// within a section.
fn reference_rows(
    schema: &Value,
    property: &Value,
    path: &str,
    section: &str,
    default: &Value,
    rows: &mut Vec<(String, String, String)>,
) {
    let resolve = |schema_of_it: &Value| {
        let reference = schema_of_it["$ref"].as_str()?;
        schema.pointer(reference.trim_start_matches('#')).cloned()
    };
    let definition = resolve(property).unwrap_or_default();
    if let Some(class) = resolve(&property["additionalProperties"]) {
        // A map of sections, each merged with the built-in one.
        for (name, property) in class["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.<name>.{name}");
            reference_rows(schema, property, &path, "", &default["default"][name], rows);
        }
    } else if let Some(properties) = definition["properties"].as_object() {
        let of_section = one_line(property);
        for (name, property) in properties {
            let path = format!("{path}.{name}");
            // The documentation of a nested section appears only here.
            let section = match path.matches('.').count() {
                1 => String::new(),
                _ => format!("{of_section} "),
            };
            reference_rows(schema, property, &path, &section, &default[name], rows);
        }
    } else {
        let mut meaning = section.to_owned() + &one_line(property);
        for choice in definition["oneOf"].as_array().into_iter().flatten() {
            let name = choice["const"].as_str().unwrap_or_default();
            meaning += &format!(" `{name}`: {}", one_line(choice));
        }
        rows.push((path.to_owned(), reference_default(default), meaning));
    }
}

/// A schema's description in one line.
fn one_line(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().replace('\n', " ")
}

/// A default as YAML in one line.
fn reference_default(default: &Value) -> String {
    fn flow(value: &Value) -> String {
        match value {
            Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
            Value::Object(map) => {
                let entries = map.iter().map(|(name, value)| format!("{name}: {}", flow(value)));
                format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
            }
            value => value.to_string(),
        }
    }
    match default {
        Value::String(text) if !text.is_empty() => format!("`{text}`"),
        default => format!("`{}`", flow(default)),
    }
}

/// Makes all settings optional, because all have defaults.
fn relax(schema: &mut Value) {
    if let Some(schema) = schema.as_object_mut()
        && schema.contains_key("properties")
    {
        schema.remove("required");
    }
}

/// The annotation's value, as parsed YAML.
pub fn annotation() -> Schema {
    let mut properties = Map::new();
    properties.insert("url".into(), json!({"$ref": "#/$defs/url"}));
    let urls =
        json!({"description": "What to scrape.", "type": "array", "minItems": 1, "items": {"$ref": "#/$defs/url"}});
    properties.insert("urls".into(), urls);
    for rule in OPTIONS {
        let mut property = shape(rule.shape);
        property["description"] = json!(rule.doc);
        properties.insert(rule.name.into(), property);
    }
    let entry = json!({"type": "string", "pattern": "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,252}$"});
    for (name, fields) in CREDENTIALS {
        let fields = fields.iter().map(|(field, _)| ((*field).to_owned(), entry.clone()));
        let mut fields: Map<_, _> = fields.collect();
        fields.insert(
            "name".into(),
            json!({"description": "The Secret.", "type": "string", "pattern": "^[a-z0-9-]{1,63}$"}),
        );
        let property = json!({
            "description": "Entries of a Secret that the settings allow (`allow.secrets`).",
            "type": "object", "properties": fields, "required": ["name"], "minProperties": 2, "additionalProperties": false,
        });
        properties.insert((*name).into(), property);
    }
    let keys = OPTIONS.iter().map(|rule| &rule.name);
    let of_secrets = CREDENTIALS.iter().map(|(name, _)| name);
    let keys: Vec<_> = URL_KEYS
        .iter()
        .chain(OF_PROMETHEUS)
        .chain(keys)
        .chain(of_secrets)
        .collect();
    let endpoints = json!({
        "type": "object",
        "propertyNames": {"pattern": "^[A-Za-z0-9_.-]{1,63}$", "not": {"enum": keys}},
        "additionalProperties": {"anyOf": [{"$ref": "#/$defs/url"}, {"$ref": "#/$defs/endpoint"}]},
    });
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "telewarden annotation",
        "description": "The endpoints of an Application or a Namespace: the value of its annotation, read as YAML.",
        "anyOf": [
            {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/endpoints"}},
            {"$ref": "#/$defs/endpoints", "minProperties": 1},
        ],
        "examples": [
            [{"redis": "http://argocd-redis-metrics.argocd.svc:9121/metrics"}],
            {"server": {"url": "http://argocd-server-metrics.argocd.svc:8083/metrics", "interval": "30s"}},
        ],
        "$defs": {
            "endpoints": endpoints,
            "endpoint": {
                "type": "object",
                "properties": properties,
                "additionalProperties": false,
                "oneOf": [{"required": ["url"]}, {"required": ["urls"]}],
            },
            "url": {
                "description": "What to scrape: `http` or `https`, a host within the settings' patterns, no credentials.",
                "type": "string",
                "format": "uri",
                "pattern": url_pattern(),
            },
            "text": {"type": "string", "pattern": NOT_REPLACED},
            "scalar": {"anyOf": [{"$ref": "#/$defs/text"}, {"type": ["number", "boolean"]}]},
        },
    });
    into_schema(schema)
}

/// A pattern for valid URLs: RFC 3986 without credentials, fragment and `$`, with a host in canonical form.
fn url_pattern() -> String {
    let name = "[a-z0-9_-]+(\\.[a-z0-9_-]+)*";
    let port = "0*([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])";
    let character = "[A-Za-z0-9._~!&'()*+,;=:@/-]|%[0-9A-Fa-f]{2}";
    format!(
        "^[Hh][Tt][Tt][Pp][Ss]?://({name}|\\[[0-9A-Fa-f:.]+\\])(:{port})?(/({character})*)?(\\?({character}|\\?)*)?$"
    )
}

/// A pattern for text without `$` and `@{`, which Telegraf would replace, and without control characters.
const NOT_REPLACED: &str = r"^([^$@\u0000-\u001f]|@(?!\{))*$";

/// The schema of an option's value.
fn shape(shape: Shape) -> Value {
    let tags = |values: Value| json!({"type": "object", "propertyNames": {"pattern": "^[A-Za-z0-9_-]{1,255}$"}, "additionalProperties": values});
    let list = json!({"type": "array", "items": {"$ref": "#/$defs/scalar"}});
    match shape {
        Shape::Boolean => json!({"type": "boolean"}),
        Shape::Duration => json!({
            "examples": ["30s", "1m30s"],
            "anyOf": [
                {"type": "string", "pattern": "^([0-9]*\\.?[0-9]*(ns|us|µs|ms|s|m|h|d))+$"},
                {"type": "integer", "minimum": 1},
            ],
        }),
        Shape::MetricVersion => json!({"enum": [1, 2]}),
        Shape::Size => json!({
            "examples": ["20MB"],
            "anyOf": [
                {"type": "string", "pattern": "^[0-9]+(B|KB|kB|MB|GB|KiB|MiB|GiB)?$"},
                {"type": "integer", "minimum": 1},
            ],
        }),
        Shape::ContentType => json!({"enum": CONTENT_TYPES}),
        Shape::TagName => json!({"type": "string", "pattern": "^[A-Za-z0-9_-]{1,255}$"}),
        Shape::HostName => json!({"type": "string", "pattern": "^[A-Za-z0-9._-]+$"}),
        Shape::Patterns => list,
        Shape::Tags => tags(json!({"$ref": "#/$defs/scalar"})),
        Shape::TagPatterns => tags(list),
    }
}

/// A host's request to `render`.
pub fn render_request() -> Schema {
    schema_for!(RenderRequest<'_>)
}

/// The answer of `render`.
pub fn render_answer() -> Schema {
    schema_for!(RenderAnswer)
}

fn into_schema(value: Value) -> Schema {
    Schema::try_from(value).expect("a map is a schema")
}
