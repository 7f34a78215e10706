//! The TypeScript types in `npm/types.d.ts`, which are generated from the Rust types; a test compares.
//!
//! `GENERATE=1 cargo test -p telewarden-playground --lib` writes the file.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;
use telewarden_policy::diagnostic::rules::RuleDoc;
use telewarden_policy::protocol::RenderAnswer;

use crate::{Checked, Evaluation};

#[test]
fn typescript_has_the_types_that_rust_has() {
    let mut types = BTreeMap::new();
    add::<RenderAnswer>(&mut types);
    add::<Checked>(&mut types);
    add::<Evaluation>(&mut types);
    add::<RuleDoc>(&mut types);
    // Only the module has the operation `parts`. With its features, which other crates turn on, the types have its answer too.
    types.remove("Part");
    let answer = types.get_mut("RenderAnswer").and_then(Value::as_object_mut);
    let properties = answer.and_then(|answer| answer["properties"].as_object_mut());
    properties
        .expect("an answer has properties")
        .retain(|name, _| name != "parts" && name != "kept");
    let mut expected = "// Made from the Rust types; a test compares.\n".to_owned();
    for (name, schema) in types {
        let _ = write!(expected, "\n{}", declaration(&name, &schema));
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("npm/types.d.ts");
    if std::env::var_os("GENERATE").is_some() {
        std::fs::write(&file, &expected).expect("the file can be written");
    }
    assert!(
        std::fs::read_to_string(file).expect("the file is there") == expected,
        "npm/types.d.ts is out of date. Write it anew: GENERATE=1 cargo test -p telewarden-playground --lib"
    );
}

/// A type and all types that it contains.
fn add<T: JsonSchema>(types: &mut BTreeMap<String, Value>) {
    let generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let mut schema = generator.into_root_schema_for::<T>().to_value();
    if let Some(Value::Object(definitions)) = schema.as_object_mut().and_then(|schema| schema.remove("$defs")) {
        types.extend(definitions);
    }
    types.insert(T::schema_name().into_owned(), schema);
}

fn declaration(name: &str, schema: &Value) -> String {
    let mut text = documentation(schema, "");
    match schema["properties"].as_object() {
        Some(properties) => {
            let required = schema["required"].as_array();
            let _ = writeln!(text, "export interface {name} {{");
            for (property, schema) in properties {
                let optional = !required.is_some_and(|names| names.contains(&property.as_str().into()));
                let mark = if optional { "?" } else { "" };
                text += &documentation(schema, "    ");
                let _ = writeln!(text, "    {property}{mark}: {};", type_of(schema));
            }
            text += "}\n";
        }
        None => {
            let _ = writeln!(text, "export type {name} = {};", type_of(schema));
        }
    }
    text
}

fn documentation(schema: &Value, indentation: &str) -> String {
    let Some(text) = schema["description"].as_str() else {
        return String::new();
    };
    format!("{indentation}/** {} */\n", text.replace('\n', " "))
}

fn type_of(schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        return reference.trim_start_matches("#/$defs/").to_owned();
    }
    if let Some(constant) = schema.get("const") {
        return constant.to_string();
    }
    for name in ["enum", "oneOf", "anyOf"] {
        if let Some(alternatives) = schema[name].as_array() {
            // Null values are left out, so the property is optional.
            let types = alternatives.iter().filter(|one| one["type"] != "null");
            let types: Vec<_> = types
                .map(|one| if name == "enum" { one.to_string() } else { type_of(one) })
                .collect();
            return types.join(" | ");
        }
    }
    let names = match &schema["type"] {
        Value::String(name) => vec![name.as_str()],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    match names.into_iter().find(|name| *name != "null") {
        Some("string") => "string".to_owned(),
        Some("boolean") => "boolean".to_owned(),
        Some("integer" | "number") => "number".to_owned(),
        Some("array") => match type_of(&schema["items"]) {
            // In a list null stays null.
            items if is_nullable(&schema["items"]) => format!("({items} | null)[]"),
            items if items.contains(' ') => format!("({items})[]"),
            items => format!("{items}[]"),
        },
        Some("object") => format!("Record<string, {}>", type_of(&schema["additionalProperties"])),
        _ => "unknown".to_owned(),
    }
}

fn is_nullable(schema: &Value) -> bool {
    let alternatives = schema["anyOf"].as_array();
    alternatives.is_some_and(|alternatives| alternatives.iter().any(|one| one["type"] == "null"))
}
