//! Determines the path of a place in a YAML text from its indentation. This also works for YAML in an annotation, and for
//! incomplete text.

/// A step of a path that is an item of a list.
pub(super) const ITEM: &str = "*";

/// The structure of one line.
#[derive(Debug, PartialEq)]
pub(super) struct Line {
    /// The columns of the dashes that begin it.
    dashes: Vec<usize>,
    /// The column of its content.
    pub(super) column: usize,
    pub(super) key: Option<String>,
    /// The column after the key's colon.
    pub(super) value: usize,
    is_blank: bool,
}

impl Line {
    pub(super) fn read(text: &str) -> Self {
        let chars: Vec<char> = text.chars().collect();
        let blanks = |from: usize| {
            let rest = chars.get(from..).unwrap_or_default();
            from + rest.iter().take_while(|c| c.is_whitespace()).count()
        };
        let mut column = blanks(0);
        let mut dashes = Vec::new();
        while chars.get(column) == Some(&'-') && chars.get(column + 1) == Some(&' ') {
            dashes.push(column);
            column = blanks(column + 1);
        }
        let is_blank = matches!(chars.get(column), None | Some('#'));
        let found = key(&chars[column..]);
        let value = found.as_ref().map_or(column, |(_, length)| column + length);
        Self {
            dashes,
            column,
            key: found.map(|(key, _)| key),
            value,
            is_blank,
        }
    }
}

/// The key at the start of a text, and its length in characters, including the colon.
fn key(chars: &[char]) -> Option<(String, usize)> {
    let (key, end): (String, usize) = match *chars.first()? {
        quote @ ('"' | '\'') => {
            let end = chars.iter().skip(1).position(|c| *c == quote)? + 1;
            (chars[1..end].iter().collect(), end + 1)
        }
        '#' | '[' | ']' | '{' | '}' | ',' | ':' => return None,
        _ => {
            let end = chars.iter().position(|c| matches!(c, ':' | '#'))?;
            let key: String = chars[..end].iter().collect();
            (key.trim_end().to_owned(), end)
        }
    };
    let colon = end + chars[end..].iter().take_while(|c| c.is_whitespace()).count();
    let ends = chars.get(colon + 1).is_none_or(|c| c.is_whitespace());
    (chars.get(colon) == Some(&':') && ends).then_some((key, colon + 1))
}

/// The keys above a column of a line, outermost first. Lines are counted from 0.
pub(super) fn above(lines: &[&str], number: usize, column: usize) -> Vec<String> {
    let mut path = Vec::new();
    // Doubled columns: a list can have the same indentation as its key, which is still its parent.
    let mut limit = 2 * column;
    let mut climb = |line: &Line, own: bool, limit: &mut usize| {
        if let Some(key) = line.key.as_ref().filter(|_| !own && 2 * line.column < *limit) {
            path.push(key.clone());
            *limit = 2 * line.column;
        }
        for dash in line.dashes.iter().rev() {
            // Another item of the same list is not a parent.
            if 2 * dash + 1 < *limit {
                path.push(ITEM.to_owned());
                *limit = 2 * dash + 1;
            }
        }
    };
    let text = |number: usize| lines.get(number).copied().unwrap_or_default();
    climb(&Line::read(text(number)), true, &mut limit);
    for number in (0..number).rev() {
        let line = text(number);
        if limit == 0 || line.starts_with("---") || line.starts_with("...") {
            break;
        }
        let line = Line::read(line);
        if !line.is_blank || !line.dashes.is_empty() {
            climb(&line, false, &mut limit);
        }
    }
    path.reverse();
    path
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const TEXT: &str = "kind: Other
---
# comment
metadata:
  annotations:
    \"a/b\": |
      - web:
          url: http://web
          # comment
          tags:
            x: 1
      -
        \n    other: y
items:
- name: z
- other:
    deep: 1
";

    #[rstest]
    #[case(4, 2, "metadata")]
    #[case(6, 8, "metadata/annotations/a/b/*")]
    #[case(7, 10, "metadata/annotations/a/b/*/web")]
    #[case(10, 12, "metadata/annotations/a/b/*/web/tags")]
    #[case(11, 8, "metadata/annotations/a/b/*")]
    #[case(12, 8, "metadata/annotations/a/b/*")]
    #[case(13, 4, "metadata/annotations")]
    #[case(15, 2, "items/*")]
    #[case(17, 4, "items/*/other")]
    #[case(3, 0, "")]
    #[case(99, 0, "")]
    fn a_place_has_a_path(#[case] line: usize, #[case] column: usize, #[case] path: &str) {
        let lines: Vec<_> = TEXT.lines().collect();
        assert_eq!(above(&lines, line, column).join("/"), path);
    }

    #[rstest]
    #[case("  - - a b : c", Some("a b"), 6, 11)]
    #[case("'it': 1", Some("it"), 0, 5)]
    #[case("http://x", None, 0, 0)]
    #[case("- # a: b", None, 2, 2)]
    #[case("a: b: c", Some("a"), 0, 2)]
    #[case("a:", Some("a"), 0, 2)]
    #[case("-a: 1", Some("-a"), 0, 3)]
    #[case("\"open", None, 0, 0)]
    #[case("", None, 0, 0)]
    fn a_line_has_a_key(#[case] text: &str, #[case] key: Option<&str>, #[case] column: usize, #[case] value: usize) {
        let line = Line::read(text);
        assert_eq!((line.key.as_deref(), line.column, line.value), (key, column, value));
    }
}
