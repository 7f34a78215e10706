//! Text to a tree in which every node knows its place.
//!
//! Annotations are read through this, YAML and TOML alike, and so are those settings that say the same things. What a
//! node means is decided elsewhere; here it is only made sure that reading costs no more than it should: size and nesting
//! are bounded before a tree is built, and nothing in a tree stands for more text than there was (no aliases).

mod json;
mod toml;
mod yaml;

use std::borrow::Cow;

use crate::diagnostic::{Diagnostic, Place, Problem};

pub(crate) use json::from_json;
pub(crate) use toml::from_toml;
pub(crate) use yaml::from_yaml;

/// The longest text that is read, in bytes. All annotations of an object share 256 KiB.
pub(crate) const MAX_BYTES: usize = 128 * 1024;

/// The deepest nesting that is read. An endpoint's `tagpass` needs five levels.
pub(crate) const MAX_DEPTH: usize = 12;

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) data: Data,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Data {
    Null,
    Boolean(bool),
    Integer(i64, String),
    /// A number that is not an integer, or too large for one, as it was written.
    Float(f64, String),
    Text(String),
    /// A TOML date or time.
    Date(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A map's key and its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Key {
    pub(crate) place: Place,
    pub(crate) text: String,
}

impl Node {
    /// The kind of value, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self.data {
            Data::Null => "empty",
            Data::Boolean(_) => "true or false",
            Data::Integer(..) | Data::Float(..) => "a number",
            Data::Text(_) => "text",
            Data::Date(_) => "a date",
            Data::List(_) => "a list",
            Data::Map(_) => "a map",
        }
    }

    /// A scalar's text as it was written: `1.10` stays `1.10`.
    pub(crate) fn text(&self) -> Option<Cow<'_, str>> {
        match &self.data {
            Data::Text(text) | Data::Integer(_, text) | Data::Float(_, text) => Some(Cow::Borrowed(text)),
            Data::Boolean(value) => Some(Cow::Borrowed(if *value { "true" } else { "false" })),
            Data::Null | Data::Date(_) | Data::List(_) | Data::Map(_) => None,
        }
    }
}

/// Reports a text that is too large to be read. True if it did.
fn report_too_large(annotation: &str, text: &str, findings: &mut Vec<Diagnostic>) -> bool {
    let size = text.len();
    if size > MAX_BYTES {
        let limit = MAX_BYTES;
        findings.push(Problem::TooLarge { size, limit }.at(Place::annotation(annotation, None)));
    }
    size > MAX_BYTES
}

/// Reports the second of two equal keys of a map.
fn report_duplicates(entries: &[(Key, Node)], findings: &mut Vec<Diagnostic>) {
    let mut seen = std::collections::BTreeSet::new();
    for (key, _) in entries {
        if !seen.insert(key.text.as_str()) {
            findings.push(Problem::DuplicateKey { key: key.text.clone() }.at(key.place.clone()));
        }
    }
}
