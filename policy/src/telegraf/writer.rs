//! Writes Telegraf's TOML.
//!
//! Telegraf's TOML parser (<https://github.com/influxdata/toml>) is older than TOML 1.0. The writer uses only what both
//! versions read in the same way: bare keys, one header for each table, basic strings, no inline tables, no dotted
//! keys. The tests in `e2e/` run the real Telegraf with the result.

use std::fmt::Write;

use super::value::{Table, Value};
use crate::printable::is_hidden;

/// The table as a TOML document. Equal tables result in equal bytes.
pub fn to_toml(table: &Table) -> String {
    let mut out = String::new();
    write_table(&mut out, "", table);
    out
}

/// Writes a table's values below its header, and then the tables in it.
fn write_table(out: &mut String, path: &str, table: &Table) {
    for (key, value) in table {
        if !is_table(value) {
            out.push_str(key.as_str());
            out.push_str(" = ");
            write_value(out, value);
            out.push('\n');
        }
    }
    for (key, value) in table {
        if !is_table(value) {
            continue;
        }
        let path = match path {
            "" => key.as_str().to_owned(),
            _ => [path, key.as_str()].join("."),
        };
        match value {
            Value::Table(table) => {
                // A table that contains only tables needs no header.
                if table.is_empty() || !table.values().all(is_table) {
                    write_header(out, "[", &path, "]");
                }
                write_table(out, &path, table);
            }
            Value::Tables(tables) => {
                for table in tables {
                    write_header(out, "[[", &path, "]]");
                    write_table(out, &path, table);
                }
            }
            _ => {}
        }
    }
}

fn is_table(value: &Value) -> bool {
    matches!(value, Value::Table(_) | Value::Tables(_))
}

fn write_header(out: &mut String, open: &str, path: &str, close: &str) {
    if !out.is_empty() {
        out.push('\n');
    }
    for part in [open, path, close, "\n"] {
        out.push_str(part);
    }
}

fn write_value(out: &mut String, value: &Value) {
    match value {
        Value::Literal(text) => write_text(out, text.as_str()),
        Value::Replaceable(text) => write_text(out, text),
        Value::Integer(number) => {
            let _ = write!(out, "{number}");
        }
        // JSON's numbers keep the decimal point, which makes the number a float. The standard library's formatting of numbers
        // would add 10 KB to the module.
        Value::Float(number) => {
            if let Some(number) = serde_json::Number::from_f64(*number) {
                let _ = write!(out, "{number}");
            }
        }
        Value::Boolean(true) => out.push_str("true"),
        Value::Boolean(false) => out.push_str("false"),
        Value::List(values) => {
            out.push('[');
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                write_value(out, value);
            }
            out.push(']');
        }
        Value::Table(_) | Value::Tables(_) => unreachable!("tables have headers of their own"),
    }
}

/// A basic string: <https://toml.io/en/v0.4.0#string>. A character that a reader would not see is written as an escape.
fn write_text(out: &mut String, text: &str) {
    out.push('"');
    // Most texts are written as they are.
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
    if text.bytes().all(is_plain) {
        out.push_str(text);
        out.push('"');
        return;
    }
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_hidden(c) => {
                let c = u32::from(c);
                let _ = match c {
                    0..=0xFFFF => write!(out, "\\u{c:04X}"),
                    _ => write!(out, "\\U{c:08X}"),
                };
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::value::key;
    use super::*;

    #[rstest]
    #[case::right_to_left_override("a\u{202e}b", r#""a\u202Eb""#)]
    #[case::zero_width("\u{200b}\u{feff}", r#""\u200B\uFEFF""#)]
    #[case::tag("\u{e0041}", r#""\U000E0041""#)]
    #[case::control("\u{1}\u{9b}", r#""\u0001\u009B""#)]
    #[case::letters("é 漢字 😀", r#""é 漢字 😀""#)]
    #[case::quoted("\"\\\n", r#""\"\\\n""#)]
    fn hidden_characters_are_written_as_escapes(#[case] text: &str, #[case] written: &str) {
        let table = Table::from_iter([(key("a"), Value::Replaceable(text.to_owned()))]);
        let toml = to_toml(&table);
        assert_eq!(toml, format!("a = {written}\n"));
        assert_eq!(toml.parse::<toml::Table>().unwrap()["a"].as_str(), Some(text));
    }
}
