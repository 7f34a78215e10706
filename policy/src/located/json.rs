//! JSON, for settings that have the structure of an annotation.

use serde_json::Value;

use super::{Data, Key, Node, Spot};
use crate::diagnostic::{Place, escape_pointer};

/// The tree of a JSON value. `pointer` is the place of the value. The depth is limited by the reader of the text
/// (`serde_json`: 128).
pub(crate) fn from_json(pointer: &str, value: &Value) -> Node {
    let data = match value {
        Value::Null => Data::Null,
        Value::Bool(value) => Data::Boolean(*value),
        Value::Number(number) => match number.as_i64() {
            Some(value) => Data::Integer(value, number.to_string()),
            None => Data::Float(number.as_f64().unwrap_or(f64::NAN), number.to_string()),
        },
        Value::String(text) => Data::Text(text.clone()),
        Value::Array(values) => {
            let nodes = values.iter().enumerate();
            Data::List(
                nodes
                    .map(|(index, value)| from_json(&format!("{pointer}/{index}"), value))
                    .collect(),
            )
        }
        Value::Object(entries) => {
            let entries = entries.iter().map(|(name, value)| {
                let pointer = format!("{pointer}/{}", escape_pointer(name));
                let key = Key {
                    text: name.clone(),
                    spot: Spot::from(&Place {
                        key: true,
                        ..Place::pointer(&pointer)
                    }),
                };
                (key, from_json(&pointer, value))
            });
            Data::Map(entries.collect())
        }
    };
    Node {
        spot: Spot::from(&Place::pointer(pointer)),
        data,
    }
}
