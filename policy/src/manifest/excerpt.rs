//! Excerpts of one line of a file, which show the place of a finding.

use crate::printable::printable;

/// The maximum number of characters before the place.
const BEFORE: usize = 80;

/// The maximum number of characters from the start of the place on.
const FROM: usize = 120;

/// An excerpt of one line around a place. Its size does not depend on the length of the line. The text is
/// [printable](crate::printable), with `…` where it was cut.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Excerpt {
    /// The text of the excerpt.
    pub text: String,
    /// The first byte of the place in the text.
    pub start: usize,
    /// The byte after the place. Equal to `start` for a place between two characters.
    pub end: usize,
}

impl Excerpt {
    /// The excerpt of a text around a character, by line and column from 1. `None` if there is no such line.
    pub fn of_text(text: &str, line: u32, column: u32) -> Option<Self> {
        let line = text.lines().nth((line as usize).checked_sub(1)?)?;
        let line: Vec<char> = line.chars().take(column as usize + FROM + 1).collect();
        let start = (column as usize).saturating_sub(1);
        Some(Self::of_line(&line, start, usize::MAX))
    }

    /// The excerpt of a line around the characters from `start` to `end`. Only the first [`needed`](Self::needed) characters
    /// of the line are read.
    pub(super) fn of_line(line: &[char], start: usize, end: usize) -> Self {
        let start = start.min(line.len());
        let end = end.clamp(start, line.len());
        let (first, last) = (start.saturating_sub(BEFORE), line.len().min(start + FROM));

        let mut text = String::new();
        let mut push = |from: usize, to: usize| {
            let part: String = line[from..to.max(from)].iter().collect();
            text.push_str(&printable(&part));
            text.len()
        };
        let place_start = push(first, start);
        let place_end = push(start, end.min(last));
        push(end.min(last), last);
        if last < line.len() {
            text.push('…');
        }
        let cut = if first > 0 { "…" } else { "" };
        Self {
            text: format!("{cut}{text}"),
            start: place_start + cut.len(),
            end: place_end + cut.len(),
        }
    }

    /// The number of characters of a line that are read for a place at this character.
    pub(super) fn needed(start: usize) -> usize {
        start + FROM + 1
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn marked(line: &str, start: usize, end: usize) -> (Excerpt, String) {
        let line: Vec<char> = line.chars().collect();
        let excerpt = Excerpt::of_line(&line, start, end);
        let marked = excerpt.text[excerpt.start..excerpt.end].to_owned();
        (excerpt, marked)
    }

    #[rstest]
    #[case::whole("key: välue", 5, 10, "key: välue", "välue")]
    #[case::hidden("a\u{202e}b\tc", 1, 3, "a\\u{202e}b\\tc", "\\u{202e}b")]
    #[case::empty_place("ab", 1, 1, "ab", "")]
    #[case::at_the_end("ab", 2, 9, "ab", "")]
    #[case::empty_line("", 3, 4, "", "")]
    fn a_short_line_is_shown_whole(
        #[case] line: &str,
        #[case] start: usize,
        #[case] end: usize,
        #[case] text: &str,
        #[case] place: &str,
    ) {
        let (excerpt, marked) = marked(line, start, end);
        assert_eq!((excerpt.text.as_str(), marked.as_str()), (text, place));
    }

    #[rstest]
    #[case::in_the_middle(5000, 5004)]
    #[case::to_the_end(5000, usize::MAX)]
    #[case::at_the_beginning(0, 1)]
    #[case::at_the_end(9999, 10_000)]
    fn a_long_line_is_cut(#[case] start: usize, #[case] end: usize) {
        let line: String = (0..10_000).map(|n| char::from(b'a' + (n % 26) as u8)).collect();
        let (excerpt, marked) = marked(&line, start, end);
        assert!(excerpt.text.chars().count() <= BEFORE + FROM + 2, "{}", excerpt.text);
        assert!(line[start..].starts_with(&marked) && !marked.is_empty());
        assert_eq!(excerpt.text.starts_with('…'), start > BEFORE);
        assert_eq!(excerpt.text.ends_with('…'), start + FROM < line.len());
    }

    #[test]
    fn a_place_in_a_text() {
        let excerpt = Excerpt::of_text("a\nbcd\n", 2, 2).expect("there is such a line");
        assert_eq!((excerpt.text.as_str(), excerpt.start, excerpt.end), ("bcd", 1, 3));
        assert_eq!(Excerpt::of_text("a\n", 3, 1), None);
    }
}
