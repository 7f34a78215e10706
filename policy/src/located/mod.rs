//! Parses text to a tree in which every node has its place.
//!
//! Annotations are parsed with this, both YAML and TOML, and so are the settings that have the structure of
//! annotations. The meaning of a node is checked elsewhere. This module limits the cost of parsing: size and nesting
//! are limited before a tree is built, and aliases are refused, so a tree cannot be larger than its text.

mod toml;
mod yaml;
mod yaml_input;

use std::borrow::Cow;
use std::sync::Arc;

use crate::diagnostic::{ANNOTATIONS, Findings, Place, Problem, Range};

pub(crate) use toml::from_toml;
pub(crate) use yaml::from_yaml;

/// The longest text that is read, in bytes. All annotations of an object share 256 KiB.
pub(crate) const MAX_BYTES: usize = 128 * 1024;

/// The deepest nesting that is read. An endpoint's `tagpass` needs five levels.
pub(crate) const MAX_DEPTH: usize = 12;

/// The most values, keys included, that are read from a text. It is more than any annotation needs. The limit exists
/// because a tree takes many times the memory of its text.
pub(crate) const MAX_VALUES: usize = 8 * 1024;

/// The place of a value or a key. A tree has many of these; those of one text share its pointer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Spot {
    pointer: Arc<str>,
    is_key: bool,
    range: Option<Range>,
}

impl Spot {
    /// The place of a value, by its JSON pointer.
    pub(crate) fn of_value(pointer: Arc<str>) -> Self {
        let (is_key, range) = (false, None);
        Self { pointer, is_key, range }
    }

    /// The place of a key, by the JSON pointer of its value.
    pub(crate) fn of_key(pointer: Arc<str>) -> Self {
        let is_key = true;
        Self {
            is_key,
            ..Self::of_value(pointer)
        }
    }

    /// The place for a finding.
    pub(crate) fn place(&self) -> Place {
        Place {
            pointer: self.pointer.to_string(),
            key: self.is_key,
            range: self.range,
        }
    }

    /// True if it is in an annotation.
    pub(crate) fn is_in_annotation(&self) -> bool {
        self.pointer.starts_with(ANNOTATIONS)
    }

    /// The place of one character of a text that is the value here. If it is not known, the place of the value.
    pub(crate) fn place_of_character(&self, index: usize, text: &str) -> Place {
        let mut place = self.place();
        if let Some(range) = &mut place.range
            && range.start.line == range.end.line
        {
            let width = range.end.column.saturating_sub(range.start.column) as usize;
            // A text in quotes has two more characters, and one with escapes in it even more.
            let before = match width.checked_sub(text.chars().count()) {
                Some(0) => 0,
                Some(2) => 1,
                _ => return place,
            };
            let column = u32::try_from(index + before).unwrap_or(u32::MAX);
            range.start.column = range.start.column.saturating_add(column);
            range.end.column = range.start.column.saturating_add(1);
        }
        place
    }
}

impl From<&Place> for Spot {
    fn from(place: &Place) -> Self {
        Self {
            pointer: place.pointer.as_str().into(),
            is_key: place.key,
            range: place.range,
        }
    }
}

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) spot: Spot,
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

impl Data {
    /// A scalar's text as it was written: `1.10` stays `1.10`.
    fn into_text(self) -> Option<String> {
        match self {
            Self::Text(text) | Self::Integer(_, text) | Self::Float(_, text) => Some(text),
            Self::Boolean(value) => Some(value.to_string()),
            Self::Null | Self::Date(_) | Self::List(_) | Self::Map(_) => None,
        }
    }

    /// A decimal number: `+1.5`, `.5`, `1.`, `1e3`; infinite if it is too large.
    ///
    /// `str::parse` needs tables that would be a tenth of the module's data. `serde_json` has its own tables, which are
    /// in the module anyway, and is as exact for a number that somebody typed in the settings.
    fn decimal(text: &str) -> Option<f64> {
        let (sign, unsigned) = match text.strip_prefix('-') {
            Some(rest) => ("-", rest),
            None => ("", text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let power = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let is_decimal = whole.len() + fraction.len() > 0
            && !power.is_empty()
            && [whole, fraction, power].into_iter().all(all_digits);
        if !is_decimal {
            return None;
        }
        // JSON requires digits on both sides of the point, and no leading zeros.
        let whole = match whole.trim_start_matches('0') {
            "" => "0",
            whole => whole,
        };
        let json = format!("{sign}{whole}.{fraction}0e{exponent}");
        Some(serde_json::from_str(&json).unwrap_or(f64::INFINITY))
    }
}

/// A map's key and its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Key {
    pub(crate) spot: Spot,
    pub(crate) text: String,
}

impl Key {
    /// Where the key is.
    pub(crate) fn place(&self) -> Place {
        self.spot.place()
    }
}

impl Node {
    /// Where the value is.
    pub(crate) fn place(&self) -> Place {
        self.spot.place()
    }

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

/// Reports a text that is too large or must contain too many values, before it is parsed: the parsers keep all of a
/// list until it ends. Answers true if the text was reported.
fn report_too_large(annotation: &str, text: &str, findings: &mut Findings) -> bool {
    let size = text.len();
    let is_separator = |byte: &u8| matches!(byte, b',' | b'[' | b']' | b'{' | b'}' | b'\n');
    let separators = || text.bytes().filter(is_separator).count();
    let problem = if size > MAX_BYTES {
        Problem::TooLarge { size, limit: MAX_BYTES }
    } else if size > MAX_VALUES && separators() > MAX_VALUES {
        too_many_values()
    } else {
        return false;
    };
    findings.report(problem, Place::annotation(annotation, None));
    true
}

/// The finding for a text that holds more than [`MAX_VALUES`].
fn too_many_values() -> Problem {
    Problem::TooManyValues { limit: MAX_VALUES }
}

/// Reports the second of two equal keys of a map.
fn report_duplicates(entries: &[(Key, Node)], findings: &mut Findings) {
    // Most maps are so small that a set costs more.
    if entries.len() <= 8
        && (1..entries.len()).all(|at| !entries[..at].iter().any(|(key, _)| key.text == entries[at].0.text))
    {
        return;
    }
    let mut seen = std::collections::BTreeSet::new();
    for (key, _) in entries {
        if !seen.insert(key.text.clone()) {
            findings.report(Problem::DuplicateKey { key: key.text.clone() }, key.place());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("1.5", Some(1.5))]
    #[case("+1.5", Some(1.5))]
    #[case("-0.25", Some(-0.25))]
    #[case(".5", Some(0.5))]
    #[case("1.", Some(1.0))]
    #[case("007.5", Some(7.5))]
    #[case("1e3", Some(1000.0))]
    #[case("1E-3", Some(0.001))]
    #[case("9223372036854775808", Some(9_223_372_036_854_775_808.0))]
    #[case("1e999", Some(f64::INFINITY))]
    #[case("", None)]
    #[case(".", None)]
    #[case("-", None)]
    #[case("1e", None)]
    #[case("e3", None)]
    #[case("1.2.3", None)]
    #[case("+-1", None)]
    #[case("1e1e1", None)]
    #[case("nan", None)]
    #[case("1_000", None)]
    #[case("0x10", None)]
    #[case("1,5", None)]
    fn decimals_are_those_of_yaml_and_toml(#[case] text: &str, #[case] number: Option<f64>) {
        assert_eq!(Data::decimal(text), number);
    }

    proptest! {
        #[test]
        fn what_somebody_types_is_exact(text in "[+-]?[0-9]{0,8}\\.?[0-9]{0,6}([eE][+-]?[0-9])?") {
            prop_assert_eq!(Data::decimal(&text), text.parse().ok());
        }
    }
}
