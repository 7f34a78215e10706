//! Changes of parts of a text. The rest of the text is not changed.

use saphyr_parser::ScalarStyle;

use super::Region;
use crate::text_order::text_order;

/// A change of a text: the characters to remove, and the text to insert.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Edit {
    /// The index of the first character to remove. A byte order mark is not counted.
    pub(super) start: usize,
    /// The character after the last.
    pub(super) end: usize,
    /// The text to insert.
    pub text: String,
    /// The same place, in lines and columns.
    pub region: Region,
}

/// Writes a text as a scalar of a style, with escapes. With `plain`, a plain scalar stays plain; otherwise it is quoted. With
/// `is_part`, the text becomes a part of a scalar, so no quotes are added. `None` if the style cannot hold the text.
pub(super) fn written(text: &str, style: ScalarStyle, plain: bool, is_part: bool) -> Option<String> {
    (!text.contains(char::is_control)).then_some(())?;
    let quoted = |quote: char, escaped: String| match is_part {
        true => escaped,
        false => format!("{quote}{escaped}{quote}"),
    };
    match style {
        ScalarStyle::Literal | ScalarStyle::Folded => is_part.then(|| text.to_owned()),
        ScalarStyle::Plain if plain => {
            // These end a plain scalar or start a comment.
            let breaks = text.contains(": ") || text.contains(" #") || text.contains(['{', '}', '[', ']', ',']);
            (!breaks).then(|| text.to_owned())
        }
        ScalarStyle::SingleQuoted => Some(quoted('\'', text.replace('\'', "''"))),
        ScalarStyle::Plain | ScalarStyle::DoubleQuoted => {
            Some(quoted('"', text.replace('\\', "\\\\").replace('"', "\\\"")))
        }
    }
}

/// A text with changes. None if two of them overlap, or one is outside of the text.
pub(super) fn apply(text: &str, edits: &[Edit]) -> Option<String> {
    let number = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
    let order = text_order(edits.iter().map(|edit| [number(edit.start), number(edit.end), 0, 0, 0]));
    let (mark, body) = match text.strip_prefix('\u{feff}') {
        Some(body) => ("\u{feff}", body),
        None => ("", text),
    };
    let mut out = mark.to_owned();
    let mut rest = body;
    let mut at = 0;
    for edit in order.into_iter().map(|index| &edits[index]) {
        let skipped = edit.start.checked_sub(at)?;
        let (before, after) = split_at_char(rest, skipped)?;
        let (_, after) = split_at_char(after, edit.end.checked_sub(edit.start)?)?;
        out.push_str(before);
        out.push_str(&edit.text);
        (rest, at) = (after, edit.end);
    }
    out.push_str(rest);
    Some(out)
}

fn split_at_char(text: &str, number: usize) -> Option<(&str, &str)> {
    let mut starts = text.char_indices().map(|(byte, _)| byte).chain([text.len()]);
    text.split_at_checked(starts.nth(number)?)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::Manifest;
    use crate::diagnostic::{Place, Position, Range, Suggestion};

    fn replaced(text: &str, place: Place, replacement: &str) -> Option<String> {
        let manifest = Manifest::parse(text.to_owned()).expect("it is YAML");
        let replacement = replacement.to_owned();
        let edit = manifest.edit(0, None, &Suggestion { place, replacement })?;
        manifest.edited(&[edit])
    }

    #[rstest]
    #[case::plain("a: 30 # why\nb: 1\n", "30s", "a: \"30s\" # why\nb: 1\n")]
    #[case::single("a: '3'\n", "it's", "a: 'it''s'\n")]
    #[case::double("{\"a\": \"x\"}", "a\"b\\", "{\"a\": \"a\\\"b\\\\\"}")]
    #[case::byte_order_mark("\u{feff}ä: 1\na: 30\n", "30s", "\u{feff}ä: 1\na: \"30s\"\n")]
    #[case::carriage_returns("b: 1\r\na: 30\r\n", "30s", "b: 1\r\na: \"30s\"\r\n")]
    fn a_value_becomes_text(#[case] text: &str, #[case] replacement: &str, #[case] expected: &str) {
        assert_eq!(
            replaced(text, Place::pointer("/a"), replacement).as_deref(),
            Some(expected)
        );
    }

    #[rstest]
    #[case::plain("intervall: 1\n", "interval: 1\n")]
    #[case::single("'intervall': 1\n", "'interval': 1\n")]
    #[case::double("{\"intervall\": 1}", "{\"interval\": 1}")]
    fn a_key_keeps_its_quotes(#[case] text: &str, #[case] expected: &str) {
        let place = Place {
            key: true,
            ..Place::pointer("/intervall")
        };
        assert_eq!(replaced(text, place, "interval").as_deref(), Some(expected));
    }

    #[rstest]
    #[case::literal("a: |\n  x: ü\n  yy: 1 # c\n", "a: |\n  x: ü\n  z'\"\\: 1 # c\n")]
    #[case::single("a: 'x: ü\n\n  yy: 1'\n", "a: 'x: ü\n\n  z''\"\\: 1'\n")]
    #[case::double("a: \"x: ü\\nyy: 1\"\n", "a: \"x: ü\\nz'\\\"\\\\: 1\"\n")]
    fn a_part_of_a_text_is_escaped_as_the_text_is(#[case] text: &str, #[case] expected: &str) {
        let at = |column| Position { line: 2, column };
        let place = Place {
            range: Some(Range {
                start: at(1),
                end: at(3),
            }),
            ..Place::pointer("/a")
        };
        assert_eq!(replaced(text, place, "z'\"\\").as_deref(), Some(expected));
    }

    #[test]
    fn what_a_style_cannot_hold_is_not_written() {
        assert_eq!(replaced("a: 30\n", Place::pointer("/a"), "3\n0"), None);
        assert_eq!(replaced("a: |\n  30\n", Place::pointer("/a"), "30s"), None);
        assert_eq!(replaced("a: {b: 1}\n", Place::pointer("/a"), "30s"), None);
        assert_eq!(replaced("a: 30\n", Place::pointer("/b"), "30s"), None);
    }

    #[test]
    fn edits_that_overlap_are_refused() {
        let manifest = Manifest::parse("a: 30\nb: 1\n".to_owned()).expect("it is YAML");
        let edit = |pointer: &str| {
            let suggestion = Suggestion {
                place: Place::pointer(pointer),
                replacement: "x".to_owned(),
            };
            manifest.edit(0, None, &suggestion).expect("an edit")
        };
        assert_eq!(
            manifest.edited(&[edit("/b"), edit("/a")]).as_deref(),
            Some("a: \"x\"\nb: \"x\"\n")
        );
        assert_eq!(manifest.edited(&[edit("/a"), edit("/a")]), None);
    }
}
