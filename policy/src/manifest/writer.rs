//! Writes JSON as readable YAML: blocks, text without quotes if that is safe, and long text as block scalars.
//!
//! All other values are written as JSON, which is valid YAML.

use std::fmt::Write;

use serde_json::Value;

/// Writes several documents.
pub fn write<'a>(documents: impl IntoIterator<Item = &'a Value>) -> String {
    let mut text = String::new();
    for document in documents {
        if !text.is_empty() {
            text += "---\n";
        }
        node(&mut text, document, 0, Place::Line);
    }
    text
}

/// What precedes a node in its line.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// Only indentation, or `- `.
    Line,
    /// A key and its colon.
    Key,
}

fn node(text: &mut String, value: &Value, depth: usize, place: Place) {
    match value {
        Value::Object(entries) if !entries.is_empty() => {
            for (index, (key, value)) in entries.iter().enumerate() {
                if index > 0 || place == Place::Key {
                    line(text, depth);
                }
                scalar(text, key, None);
                text.push(':');
                // A list starts on the line after its key.
                let deeper = depth + usize::from(!value.is_array());
                node(text, value, deeper, Place::Key);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                if index > 0 || place == Place::Key {
                    line(text, depth);
                }
                text.push_str("- ");
                node(text, item, depth + 1, Place::Line);
            }
        }
        leaf => {
            if place == Place::Key {
                text.push(' ');
            }
            match leaf {
                Value::String(content) => scalar(text, content, Some(depth)),
                // Numbers, `true`, `null` and empty collections are written as JSON. Writing to a string cannot fail.
                other => _ = write!(text, "{other}"),
            }
            if !text.ends_with('\n') {
                text.push('\n');
            }
        }
    }
}

fn line(text: &mut String, depth: usize) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.extend(std::iter::repeat_n("  ", depth));
}

/// Writes a key, or a text, which can be a block scalar if a depth is given.
fn scalar(text: &mut String, content: &str, depth: Option<usize>) {
    match depth {
        _ if is_plain(content) => text.push_str(content),
        Some(depth) if is_block(content) => {
            text.push_str(if content.ends_with('\n') { "|" } else { "|-" });
            for written in content.lines() {
                text.push('\n');
                if !written.is_empty() {
                    text.extend(std::iter::repeat_n("  ", depth.max(1)));
                    text.push_str(written);
                }
            }
            text.push('\n');
        }
        _ => quoted(text, content),
    }
}

/// True if a text needs no quotes in any version of YAML.
fn is_plain(content: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "_./-@%+()=,".contains(c);
    let letters_first = content.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '_');
    // Older versions of YAML and some readers give these another type.
    let words = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    letters_first
        && content.len() < 200
        && content
            .split(' ')
            .all(|part| !part.is_empty() && part.trim_end_matches(':').chars().all(|c| is_word(c) || c == ':'))
        && !content.ends_with(':')
        && !content.contains(": ")
        && !words.contains(&content.to_ascii_lowercase().as_str())
}

/// True if a text can be written as a block scalar.
fn is_block(content: &str) -> bool {
    let trimmed = content.strip_suffix('\n').unwrap_or(content);
    trimmed.contains('\n')
        && !trimmed.starts_with([' ', '\n'])
        && !trimmed.ends_with('\n')
        && content.chars().all(|c| c == '\n' || is_printable(c))
}

/// True if every reader reads the character in a line as itself.
fn is_printable(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}' | '\u{10000}'..)
        && !matches!(c, '\u{2028}' | '\u{2029}')
}

fn quoted(text: &mut String, content: &str) {
    text.push('"');
    for c in content.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            '\n' => text.push_str("\\n"),
            c if is_printable(c) => text.push(c),
            // All characters that are not printable fit into four digits.
            c => _ = write!(text, "\\u{:04x}", c as u32),
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::documents;
    use super::*;

    #[test]
    fn it_is_what_people_write() {
        let object = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "telegraf", "labels": {}, "annotations": {"a/b": "true", "c": "12", "d": ""}},
            "data": {"telegraf.conf": "[agent]\n  interval = \"60s\"\n\n[x]\n", "none": "a\nb"},
            "list": [{"name": "a", "image": "docker.io/telegraf:1.40", "args": ["--config", "/etc/x"]}, [1, [true]], null],
        });
        let expected = "\
apiVersion: v1
kind: ConfigMap
metadata:
  name: telegraf
  labels: {}
  annotations:
    a/b: \"true\"
    c: \"12\"
    d: \"\"
data:
  telegraf.conf: |
    [agent]
      interval = \"60s\"

    [x]
  none: |-
    a
    b
list:
- name: a
  image: docker.io/telegraf:1.40
  args:
  - \"--config\"
  - /etc/x
- - 1
  - - true
- null
";
        assert_eq!(write([&object]), expected);
        assert_eq!(write([&json!(1), &json!("a")]), "1\n---\na\n");
    }

    fn value() -> impl Strategy<Value = Value> {
        let words = prop::sample::select(vec![
            "true", "null", "yes", "~", "a: b", "- a", "#", "a #b", "|", "1e3", "a:", "\u{feff}", "\u{85}",
        ]);
        let text = prop_oneof![
            any::<String>(),
            "[ a:#\n\r\t'\"\\-]{0,12}",
            words.prop_map(str::to_owned)
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            text.prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            let keys = prop_oneof!["[ -~]{0,6}", any::<String>()].prop_filter("a merge", |key| key != "<<");
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(keys, inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(value in value()) {
            let text = write([&value]);
            prop_assert_eq!(documents(&text), Ok(vec![value]), "{}", text);
        }
    }
}
