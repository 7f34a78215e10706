//! A value of the settings as a tree with places, for what has the structure of an annotation.

use std::sync::Arc;

use super::written::{Number, Written};
use crate::diagnostic::escape_pointer;
use crate::located::{Data, Key, Node, Spot};

/// The tree of a value. `pointer` is its place in the document. The depth is limited by the reader of the document
/// (`serde_json`: 128).
pub(super) fn node(written: Written<'_>, pointer: Arc<str>) -> Node {
    let data = if let Some(text) = written.text() {
        Data::Text(text.to_string())
    } else if let Some(flag) = written.flag() {
        Data::Boolean(flag)
    } else if let Some(items) = written.items() {
        let items = items.enumerate();
        Data::List(
            items
                .map(|(index, item)| node(item, format!("{pointer}/{index}").into()))
                .collect(),
        )
    } else if let Some(entries) = written.entries() {
        let entries = entries.map(|(name, value)| {
            let pointer: Arc<str> = [&pointer, "/", &escape_pointer(&name)].concat().into();
            let key = Key {
                text: name.to_string(),
                spot: Spot::of_key(pointer.clone()),
            };
            (key, node(value, pointer))
        });
        Data::Map(entries.collect())
    } else {
        match written.number() {
            Some(Number::Integer(number)) => Data::Integer(number, number.to_string()),
            Some(Number::Float(number)) => Data::Float(number, written.to_string()),
            None => Data::Null,
        }
    };
    Node {
        spot: Spot::of_value(pointer),
        data,
    }
}
