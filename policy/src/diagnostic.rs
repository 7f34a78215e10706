//! Findings: what is wrong, and where.
//!
//! A [`Diagnostic`] is one finding, in the form that hosts print. Every finding is raised by one of the [`rules`]. A
//! rule has a code that never changes its meaning, and its message, help and documentation are in one place.

mod findings;
pub mod rules;

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

pub(crate) use findings::Findings;
pub use rules::{Problem, Rule};

use crate::printable::printable;

/// The severity.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Severity {
    /// It is valid, but probably a mistake.
    Warning,
    /// The source is refused, and nothing is rendered for it.
    Error,
}

/// One finding.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Diagnostic {
    /// The rule's code, such as `TW103`.
    pub code: Cow<'static, str>,
    /// The severity.
    pub severity: Severity,
    /// What is wrong, as a sentence without a full stop.
    pub message: String,
    /// What to write instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The place. Absent if the finding is about the whole document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
}

/// A place in a source or in the settings.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Place {
    /// JSON Pointer (RFC 6901) to the value, such as
    /// `/metadata/annotations/telegraf.influxdata.com~1rubin-telegraf-operator`.
    pub pointer: String,
    /// True if the place is the key at the pointer and not its value.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub key: bool,
    /// The characters, if the value is text that contains a document of its own (an annotation).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<Range>,
}

/// A change that fixes a finding, for hosts that read and write files.
///
/// A place with a range is a part of an annotation's text. A place without a range is a whole key, or a whole value that
/// becomes text.
#[cfg(feature = "host")]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Suggestion {
    /// What to replace.
    pub place: Place,
    /// The text to write there.
    pub replacement: String,
}

/// A run of characters in a text. The end is exclusive.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Range {
    /// The first character.
    pub start: Position,
    /// The character after the last.
    pub end: Position,
}

/// The position of a character in a text, counted as editors do: lines and columns from 1, columns in characters
/// (Unicode scalar values).
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Position {
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
}

impl Place {
    /// The value at a JSON pointer.
    pub fn pointer(pointer: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            key: false,
            range: None,
        }
    }

    /// An annotation's value, or a part of it.
    pub fn annotation(name: &str, range: Option<Range>) -> Self {
        Self {
            pointer: format!("{ANNOTATIONS}{}", escape_pointer(name)),
            key: false,
            range,
        }
    }

    /// An annotation's name.
    pub fn annotation_name(name: &str) -> Self {
        Self {
            key: true,
            ..Self::annotation(name, None)
        }
    }

    /// The annotation that the place is in, if it is in one.
    pub fn annotation_key(&self) -> Option<String> {
        let (_, token) = self.pointer.rsplit_once("/annotations/")?;
        Some(unescape_pointer(token))
    }
}

/// The beginning of the JSON pointers to annotations.
pub(crate) const ANNOTATIONS: &str = "/metadata/annotations/";

/// Escapes a reference token for a JSON pointer (RFC 6901, section 3).
pub(crate) fn escape_pointer(token: &str) -> Cow<'_, str> {
    match token.contains(['~', '/']) {
        true => Cow::Owned(token.replace('~', "~0").replace('/', "~1")),
        false => Cow::Borrowed(token),
    }
}

fn unescape_pointer(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.annotation_key(), self.range) {
            (Some(key), Some(Range { start, .. })) => {
                let key = printable(&key);
                write!(f, "line {}, column {} of annotation `{key}`", start.line, start.column)
            }
            (Some(key), None) => write!(f, "annotation `{}`", printable(&key)),
            (None, _) => {
                let path = self.pointer.trim_start_matches('/').replace('/', ".");
                write!(f, "`{}`", printable(&unescape_pointer(&path)))
            }
        }
    }
}

impl Diagnostic {
    /// True if it is a finding of the rule.
    pub fn is(&self, rule: Rule) -> bool {
        self.code == rule.code()
    }

    /// True for an error.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_is_printable() {
        let text = "a\n::stop-commands::\u{9b}2J\u{202e}";
        let clean = "a\\n::stop-commands::\\u{9b}2J\\u{202e}";
        let finding = Problem::Scheme {
            scheme: text.to_owned(),
            allowed: vec![text.to_owned()],
        };
        let finding = finding.at(Place::annotation(text, None));
        assert!(finding.message.contains(clean), "{}", finding.message);
        assert!(finding.help.is_some_and(|help| help.contains(clean)));
        let place = finding.place.map(|place| place.to_string()).unwrap_or_default();
        assert_eq!(place, format!("annotation `{clean}`"));
        assert!(Place::pointer(format!("/{text}")).to_string().contains(clean));
    }
}
