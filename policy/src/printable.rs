//! Makes text of unknown origin safe to print.
//!
//! Text of annotations and manifests is printed to terminals, logs, Events and workflow commands. Invisible characters,
//! and characters that move other text, are replaced with visible escapes.

use std::borrow::Cow;
use std::fmt::Write;

/// The text with every character that is not seen as itself written as an escape, such as `\u{202e}`: control characters
/// (line breaks and tabs among them), line and paragraph separators, and what Unicode calls [format characters] and
/// [default ignorable]: bidirectional controls, zero-width characters, variation selectors, tags.
///
/// The result is one line. The function makes one pass, borrows the text if there is nothing to escape, and is
/// idempotent.
///
/// [format characters]: https://www.unicode.org/reports/tr44/#General_Category_Values
/// [default ignorable]: https://www.unicode.org/reports/tr44/#Default_Ignorable_Code_Point
pub fn printable(text: &str) -> Cow<'_, str> {
    let Some(first) = text.find(is_hidden) else {
        return Cow::Borrowed(text);
    };
    let mut out = String::with_capacity(text.len() + 16);
    out.push_str(&text[..first]);
    for c in text[first..].chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_hidden(c) => {
                // Writing into a string cannot fail.
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// True for a character that is not displayed as itself.
pub fn is_hidden(c: char) -> bool {
    c.is_control() || (!c.is_ascii() && in_ranges(u32::from(c)))
}

fn in_ranges(c: u32) -> bool {
    let index = HIDDEN.partition_point(|(_, last)| *last < c);
    HIDDEN.get(index).is_some_and(|(first, _)| *first <= c)
}

/// General categories Cf, Zl and Zp, and the property Default_Ignorable_Code_Point, of Unicode 17.0, in order.
const HIDDEN: &[(u32, u32)] = &[
    (0x00ad, 0x00ad),
    (0x034f, 0x034f),
    (0x0600, 0x0605),
    (0x061c, 0x061c),
    (0x06dd, 0x06dd),
    (0x070f, 0x070f),
    (0x0890, 0x0891),
    (0x08e2, 0x08e2),
    (0x115f, 0x1160),
    (0x17b4, 0x17b5),
    (0x180b, 0x180f),
    (0x200b, 0x200f),
    (0x2028, 0x202e),
    (0x2060, 0x206f),
    (0x3164, 0x3164),
    (0xfe00, 0xfe0f),
    (0xfeff, 0xfeff),
    (0xffa0, 0xffa0),
    (0xfff0, 0xfffb),
    (0x110bd, 0x110bd),
    (0x110cd, 0x110cd),
    (0x13430, 0x1343f),
    (0x1bca0, 0x1bca3),
    (0x1d173, 0x1d17a),
    (0xe0000, 0xe0fff),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::line_feed("a\n::stop-commands::x", "a\\n::stop-commands::x")]
    #[case::carriage_return("a\rb", "a\\rb")]
    #[case::tab("a\tb", "a\\tb")]
    #[case::null("\0", "\\u{0}")]
    #[case::escape("\x1b[2J", "\\u{1b}[2J")]
    #[case::delete("\x7f", "\\u{7f}")]
    #[case::control_sequence_introducer("\u{9b}2J", "\\u{9b}2J")]
    #[case::operating_system_command("\u{9d}0;title\u{9c}", "\\u{9d}0;title\\u{9c}")]
    #[case::right_to_left_override("a\u{202e}b", "a\\u{202e}b")]
    #[case::isolate("\u{2066}\u{2069}", "\\u{2066}\\u{2069}")]
    #[case::arabic_letter_mark("\u{61c}", "\\u{61c}")]
    #[case::zero_width("a\u{200b}\u{200d}\u{feff}b", "a\\u{200b}\\u{200d}\\u{feff}b")]
    #[case::soft_hyphen("\u{ad}", "\\u{ad}")]
    #[case::line_separator("\u{2028}\u{2029}", "\\u{2028}\\u{2029}")]
    #[case::tag("\u{e0041}", "\\u{e0041}")]
    #[case::variation_selector("\u{fe0f}\u{e0101}", "\\u{fe0f}\\u{e0101}")]
    fn hidden_characters_are_escaped(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(printable(text), expected);
    }

    #[rstest]
    #[case::nothing("")]
    #[case::ascii(" !\"#$%&'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~")]
    #[case::letters("äöü ß Ω Я 漢字 עברית العربية हिन्दी")]
    #[case::symbols("… → ✓ 😀 \u{a0}")]
    #[case::what_is_escaped_already("\\u{202e}\\n")]
    fn visible_text_is_borrowed(#[case] text: &str) {
        assert!(matches!(printable(text), Cow::Borrowed(same) if same == text));
    }

    #[test]
    fn ranges_are_in_order() {
        let bounds: Vec<_> = HIDDEN.iter().flat_map(|(first, last)| [*first, *last]).collect();
        assert!(bounds.is_sorted());
    }

    proptest! {
        #[test]
        fn what_is_left_is_seen_and_stays(text in any::<String>()) {
            let once = printable(&text).into_owned();
            prop_assert!(!once.contains(is_hidden));
            prop_assert_eq!(printable(&once), once.as_str());
            prop_assert!(text.contains(is_hidden) || once == text);
        }
    }
}
