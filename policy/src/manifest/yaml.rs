//! YAML and JSON text as the JSON that the Kubernetes API would be sent.

use std::cell::Cell;
use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, IgnoredAny, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde_json::{Map, Number, Value};

/// A file may be this large. What Kubernetes stores is at most 1.5 MiB an object; this is a List of many.
pub const MAX_BYTES: usize = 32 * 1024 * 1024;

/// What aliases may add to a document, in nodes and characters, beyond what its own text holds.
const ALIAS_BUDGET: usize = 1024 * 1024;

/// Why a text is not YAML, and where.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SyntaxError {
    /// What is wrong, without the place.
    pub message: String,
    /// Line and column, from 1.
    pub position: Option<(u32, u32)>,
}

/// The documents of a text.
pub(super) fn documents(text: &str) -> Result<Vec<Value>, SyntaxError> {
    // Most JSON is YAML, but not all: `"\ud83d\ude00"` is one character there and an error here.
    if text.trim_start().starts_with(['{', '['])
        && let Ok(value) = serde_json::from_str(text)
    {
        return Ok(vec![value]);
    }
    // An alias can refer to a node that holds aliases, or one large node can be referred to many times: a few KiB of text
    // that mean gigabytes. Text without aliases never holds more nodes and characters than three times its length.
    let budget = Cell::new(3 * text.len() + ALIAS_BUDGET);
    serde_yaml::Deserializer::from_str(text)
        .map(|document| Node(&budget).deserialize(document))
        .collect::<Result<_, _>>()
        .map_err(|error| SyntaxError {
            position: error
                .location()
                .map(|location| (saturate(location.line()), saturate(location.column()))),
            message: message(&error),
        })
}

/// The error without its position, which is reported beside it.
fn message(error: &serde_yaml::Error) -> String {
    let text = error.to_string();
    match error.location() {
        Some(at) => text.replace(&format!(" at line {} column {}", at.line(), at.column()), ""),
        None => text,
    }
}

fn saturate(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Any node, within a budget.
#[derive(Clone, Copy)]
struct Node<'a>(&'a Cell<usize>);

impl Node<'_> {
    fn spend<E: serde::de::Error>(self, cost: usize) -> Result<(), E> {
        let left = self.0.get().checked_sub(cost);
        self.0
            .set(left.ok_or_else(|| E::custom("its aliases stand for too much text"))?);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.spend(1)?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that JSON has")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    /// What is not there at all: a document of comments.
    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i128<E: serde::de::Error>(self, value: i128) -> Result<Value, E> {
        self.visit_f64(value as f64)
    }

    fn visit_u128<E: serde::de::Error>(self, value: u128) -> Result<Value, E> {
        self.visit_f64(value as f64)
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom(format_args!("the number {value} cannot be written in JSON")))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value, E> {
        self.spend(value.len())?;
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = items.next_element_seed(self)? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key_seed(self)? {
            let key = match key {
                Value::String(key) => key,
                Value::Array(_) | Value::Object(_) => {
                    return Err(A::Error::custom("a key that is not text"));
                }
                // `1: x` and `true: x`, as kubectl reads them.
                scalar => scalar.to_string(),
            };
            if map.contains_key(&key) {
                return Err(A::Error::custom(format_args!("duplicate key `{key}`")));
            }
            map.insert(key, entries.next_value_seed(self)?);
        }
        merge(&mut map);
        Ok(map.into())
    }

    /// A local tag, such as `!Ref`: Kubernetes knows none, so only what it stands before counts.
    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<Value, A::Error> {
        let (IgnoredAny, content) = tagged.variant()?;
        content.newtype_variant_seed(self)
    }
}

/// `<<: *defaults`. What a mapping says itself goes before what it merges, and the first merged goes before the next.
fn merge(map: &mut Map<String, Value>) {
    let merged = match map.get("<<") {
        Some(Value::Object(_)) => map.shift_remove("<<").into_iter().collect(),
        Some(Value::Array(items)) if items.iter().all(Value::is_object) => match map.shift_remove("<<") {
            Some(Value::Array(items)) => items,
            _ => return,
        },
        _ => return,
    };
    for (key, value) in merged
        .into_iter()
        .filter_map(|value| match value {
            Value::Object(map) => Some(map),
            _ => None,
        })
        .flatten()
    {
        map.entry(key).or_insert(value);
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::string("a: '30'", json!({"a": "30"}))]
    #[case::number("a: 30", json!({"a": 30}))]
    #[case::yes_is_text("a: yes", json!({"a": "yes"}))]
    #[case::leading_zero("a: 007", json!({"a": "007"}))]
    #[case::huge_number("a: 123456789012345678901234567890", json!({"a": 123456789012345678901234567890_f64}))]
    #[case::numeric_key("{1: a, true: b, null: c}", json!({"1": "a", "true": "b", "null": "c"}))]
    #[case::empty_value("a:", json!({"a": null}))]
    #[case::core_tag("a: !!str 30", json!({"a": "30"}))]
    #[case::local_tag("a: !Sub [x, !Ref y]", json!({"a": ["x", "y"]}))]
    #[case::alias("a: &a {b: 1}\nc: *a", json!({"a": {"b": 1}, "c": {"b": 1}}))]
    #[case::merge("a: &a {b: 1, c: 2}\nd: {<<: *a, c: 3}", json!({"a": {"b": 1, "c": 2}, "d": {"c": 3, "b": 1}}))]
    #[case::merges(
        "a: &a {x: 1}\nb: &b {x: 2, y: 2}\nd: {<<: [*a, *b]}",
        json!({"a": {"x": 1}, "b": {"x": 2, "y": 2}, "d": {"x": 1, "y": 2}})
    )]
    #[case::json_surrogates(r#"{"a": "\ud83d\ude00"}"#, json!({"a": "😀"}))]
    #[case::byte_order_mark("\u{feff}a: 1", json!({"a": 1}))]
    #[case::block("a: |-\n  x\n  y", json!({"a": "x\ny"}))]
    fn reads_what_the_api_would_be_sent(#[case] text: &str, #[case] value: Value) {
        assert_eq!(documents(text), Ok(vec![value]));
    }

    #[rstest]
    #[case::one("a: 1", 1)]
    #[case::two("a: 1\n---\nb: 2\n", 2)]
    #[case::markers("---\na: 1\n...\n---\nb: 2\n...\n", 2)]
    #[case::empty("", 1)]
    fn counts_documents(#[case] text: &str, #[case] count: usize) {
        assert_eq!(documents(text).map(|documents| documents.len()), Ok(count));
    }

    #[rstest]
    #[case::unclosed("a: [1", "line 2")]
    #[case::tab("a:\n\tb: 1", "line 2")]
    #[case::duplicate("a: 1\nb: 2\na: 3", "duplicate key `a`")]
    #[case::mapping_key("? {a: 1}\n: b", "a key that is not text")]
    #[case::not_a_number("a: .nan", "cannot be written in JSON")]
    #[case::unknown_alias("a: *b", "unknown anchor")]
    #[case::template("a: {{ .Values.a }}", "")]
    fn refuses_what_is_not_yaml(#[case] text: &str, #[case] contained: &str) {
        let error = documents(text).expect_err("it is not YAML");
        let said = format!("{}, line {}", error.message, error.position.map_or(0, |(line, _)| line));
        assert!(said.contains(contained), "{said}");
    }

    #[test]
    fn refuses_aliases_of_aliases() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let below = format!("*a{}, ", level - 1).repeat(10);
            text += &format!("a{level}: &a{level} [{below}]\n");
        }
        assert!(documents(&text).is_err());
    }

    #[test]
    fn refuses_many_aliases_of_one_large_node() {
        let text = format!("a: &a [{}]\nb: [{}]\n", "x, ".repeat(10_000), "*a, ".repeat(10_000));
        let error = documents(&text).expect_err("that is 100 million nodes");
        assert!(
            error.message.ends_with("its aliases stand for too much text"),
            "{error:?}"
        );
    }

    #[test]
    fn refuses_many_aliases_of_one_long_text() {
        let text = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), "*a, ".repeat(10_000));
        assert!(documents(&text).is_err());
    }

    #[test]
    fn reads_dense_text_without_aliases() {
        let text = format!("[{}]", "[],".repeat(100_000));
        assert!(documents(&text).is_ok());
    }

    #[rstest]
    #[case::sequences("[", "]")]
    #[case::mappings("{a: ", "}")]
    fn refuses_deep_nesting(#[case] open: &str, #[case] close: &str) {
        let text = format!("{}{}", open.repeat(5_000), close.repeat(5_000));
        assert!(documents(&text).is_err());
    }
}
