//! What to change in a text that is not YAML, for the mistakes that people make most.
//!
//! A parser says what it did not find at a place. The lines around the place usually show what was meant.

use super::yaml::SyntaxError;

/// The most lines before an error that are looked at.
const LINES_BEFORE: usize = 200;

/// What to change, if the cause of an error is a common one.
pub fn syntax_help(text: &str, error: &SyntaxError) -> Option<String> {
    // The message about a tab says what to change.
    if error.message.starts_with("a tab") {
        return None;
    }
    if let Some(line) = merge_conflict(text) {
        return Some(format!(
            "a merge conflict was left in line {line}: keep one of its sides, and remove the lines with `<<<<<<<`, `=======` \
             and `>>>>>>>`"
        ));
    }
    let (line, column) = error.position?;
    if let Some(key) = error.message.strip_prefix("duplicate key ") {
        let begins_object = column == 1 && ["`apiVersion`", "`kind`", "`metadata`", "`spec`"].contains(&key);
        return begins_object.then(|| "write `---` between two objects".to_owned());
    }
    let at = (line as usize).checked_sub(1)?;
    let lines: Vec<Line<'_>> = text.lines().take(at + 1).map(Line::read).collect();
    let (here, before) = lines.split_last().filter(|_| lines.len() == at + 1)?;
    let before = &before[before.len().saturating_sub(LINES_BEFORE)..];
    of_value(here, &error.message)
        .or_else(|| of_quotes(here, before, &error.message))
        .or_else(|| of_indentation(here, before, &error.message))
        .map(str::to_owned)
}

/// The first line of a conflict that Git left, from 1.
fn merge_conflict(text: &str) -> Option<usize> {
    let starts = |mark: &str| text.lines().position(|line| line.starts_with(mark));
    let first = starts("<<<<<<< ")?;
    starts(">>>>>>> ").filter(|last| *last > first).map(|_| first + 1)
}

/// A line, taken apart.
struct Line<'a> {
    indentation: usize,
    /// The text without indentation.
    text: &'a str,
    /// The key and the value behind it, where it has a key. Dashes before the key are left out.
    entry: Option<(&'a str, &'a str)>,
}

impl<'a> Line<'a> {
    fn read(line: &'a str) -> Self {
        let text = line.trim();
        let mut rest = text;
        while let Some(item) = rest.strip_prefix("- ") {
            rest = item.trim_start();
        }
        let is_comment = rest.starts_with('#');
        let entry = match rest.split_once(": ") {
            Some((key, value)) => Some((key, value.trim())),
            None => rest.strip_suffix(':').map(|key| (key, "")),
        };
        Self {
            indentation: line.len() - line.trim_start().len(),
            text,
            entry: entry.filter(|_| !is_comment),
        }
    }

    fn is_item(&self) -> bool {
        self.text == "-" || self.text.starts_with("- ")
    }

    fn is_blank(&self) -> bool {
        self.text.is_empty() || self.text.starts_with('#')
    }

    /// True if the lines below are a text: the value is `|` or `>`.
    fn begins_block(&self) -> bool {
        self.entry.and_then(|(_, value)| behind_block_sign(value)) == Some("")
    }

    /// True if the key is the name of an annotation with a domain, such as ours.
    fn is_annotation(&self) -> bool {
        self.entry.is_some_and(|(key, _)| key.contains('/'))
    }
}

/// What is behind `|`, `|-`, `>` and the like, without a comment.
fn behind_block_sign(value: &str) -> Option<&str> {
    let rest = value.strip_prefix(['|', '>'])?;
    let rest = rest
        .trim_start_matches(|c: char| matches!(c, '-' | '+') || c.is_ascii_digit())
        .trim_start();
    Some(if rest.starts_with('#') { "" } else { rest })
}

/// A value that begins on the line of its key.
fn of_value(here: &Line<'_>, message: &str) -> Option<&'static str> {
    let (_, value) = here.entry?;
    match behind_block_sign(value) {
        Some("") => return None,
        // The dash of `|- a` belongs to the sign, but was meant as that of a list.
        Some(rest) if rest.starts_with("- ") || value[1..].starts_with("- ") => {
            return Some("begin the list on the line below `|`");
        }
        Some(_) => return Some("begin the text on the line below `|`"),
        None => {}
    }
    if value.starts_with("- ") {
        return Some(match here.is_annotation() {
            true => "write `|`, and the list on the lines below",
            false => "write the list on the lines below",
        });
    }
    let is_plain = !value.starts_with(['\'', '"', '[', '{']);
    if is_plain && message.contains("mapping values are not allowed") && value.contains(": ") {
        return Some(match here.is_annotation() {
            true => "write `|`, and the list on the lines below",
            false => "quote a value that contains `: `",
        });
    }
    None
}

/// A quote within quotes, or one that is not closed.
fn of_quotes(here: &Line<'_>, before: &[Line<'_>], message: &str) -> Option<&'static str> {
    let lines: Vec<&Line<'_>> = before.iter().chain([here]).collect();
    let quoted = |line: &&Line<'_>| line.entry.is_some_and(|(_, value)| value.starts_with(['\'', '"']));
    if message.contains("trailing content") {
        let first = lines.iter().rposition(quoted)?;
        let opening = lines[first];
        let (_, value) = opening.entry?;
        return Some(match (opening.is_annotation(), value.starts_with('\'')) {
            (true, _) => "use `|`, and write the text on the lines below, where a quote stands for itself",
            (false, true) => "write `''` for a `'` within `'…'`",
            (false, false) => "write `\\\"` for a `\"` within `\"…\"`",
        });
    }
    (message.contains("quoted scalar") || message.contains("unclosed quote")).then_some("close the quote")
}

/// A line that is not as deep as it must be.
fn of_indentation(here: &Line<'_>, before: &[Line<'_>], message: &str) -> Option<&'static str> {
    let of_structure = ["expected key", "simple key", "mapping values", "block sequence"];
    of_structure.iter().any(|said| message.contains(said)).then_some(())?;
    let mut above = before.iter().rev().filter(|line| !line.is_blank());
    let last = above.clone().next()?;
    let is_below_key = here.indentation <= last.indentation;
    if last.begins_block() && is_below_key && (here.is_item() || here.indentation < last.indentation) {
        return Some(match (last.is_annotation(), here.is_item()) {
            (true, true) => "indent the list deeper than the annotation's name",
            (true, false) => "indent the text deeper than the annotation's name",
            (false, _) => "indent it deeper than the key above",
        });
    }
    if here.is_item() {
        let mut is_deeper = false;
        for line in above {
            // An entry as deep as this one is the one before it in the list.
            if line.is_item() && line.indentation == here.indentation {
                return None;
            }
            if line.indentation <= here.indentation {
                break;
            }
            is_deeper |= line.is_item();
        }
        return is_deeper.then_some(AS_ABOVE);
    }
    // A line of a text after `|` that is less deep than the first, or deeper than a key that has a value.
    let first = above.clone().take_while(|line| !line.begins_block()).last();
    let block = above.find(|line| line.begins_block());
    if let (Some(first), Some(block)) = (first, block)
        && (block.indentation + 1..first.indentation).contains(&here.indentation)
    {
        return Some("indent it as deep as the first line below `|`");
    }
    let has_value = last
        .entry
        .is_some_and(|(_, value)| !value.is_empty() && !value.starts_with(['\'', '"', '[', '{', '&', '!']));
    (has_value && here.entry.is_some() && here.indentation > last.indentation && !last.is_item())
        .then_some("indent it as deep as the line above")
}

const AS_ABOVE: &str = "indent this entry as deep as the one above";

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::manifest::yaml::documents;

    #[rstest]
    #[case::as_deep_as_the_name("a.io/b: |\n- web: http://a\nc: d\n", Some("deeper than the annotation's name"))]
    #[case::less_deep_than_the_name("x:\n   a.io/b: |\n  web: http://a\n", Some("indent the text deeper"))]
    #[case::second_entry_less_deep("a.io/b: |\n   - a: b\n  - c: d\ne: f\n", Some("as deep as the one above"))]
    #[case::second_entry_as_deep_as_the_name(
        "x:\n  a.io/b: |\n   - a: b\n  - c: d\n",
        Some("as deep as the one above")
    )]
    #[case::second_entry_without_a_bar("x:\n   - a: b\n  - c: d\n", Some("as deep as the one above"))]
    #[case::line_of_a_text("x:\n  a: |\n     b\n    c\n", Some("as deep as the first line below `|`"))]
    #[case::behind_the_bar("a.io/b: | - web: http://a\n", Some("begin the list on the line below `|`"))]
    #[case::behind_the_bar_and_a_dash("a.io/b: |- web: http://a\n", Some("begin the list on the line below `|`"))]
    #[case::text_behind_the_bar("a.io/b: | web\n", Some("begin the text on the line below `|`"))]
    #[case::list_behind_the_name("a.io/b: - web: http://a\n", Some("write `|`, and the list on the lines below"))]
    #[case::list_behind_a_key("args: - a\n", Some("write the list on the lines below"))]
    #[case::map_behind_the_name("a.io/b: web: http://a\n", Some("write `|`, and the list on the lines below"))]
    #[case::colon_in_a_value("a: b: c\n", Some("quote a value"))]
    #[case::quote_within_quotes("a.io/b: 'web: 'http://a''\n", Some("use `|`"))]
    #[case::quote_on_a_later_line("a.io/b: '\n  - web: {url: 'http://a'}\n  '\n", Some("use `|`"))]
    #[case::double_quotes("a: \"b \"c\"\"\n", Some("write `\\\""))]
    #[case::open_quote("a: 'b\nc: d\n", Some("close the quote"))]
    #[case::conflict(
        "<<<<<<< HEAD\na: b\n=======\na: c\n>>>>>>> other\n",
        Some("merge conflict was left in line 1")
    )]
    #[case::two_objects("kind: A\nx: y\nkind: B\n", Some("write `---` between two objects"))]
    #[case::key_twice("x:\n  kind: A\n  kind: B\n", None)]
    #[case::deeper_than_the_line_above("a: b\n  c: d\n", Some("as deep as the line above"))]
    #[case::tab("a:\n\tb: c\n", None)]
    #[case::another("a: [\n", None)]
    fn the_usual_causes_are_said(#[case] text: &str, #[case] expected: Option<&str>) {
        let error = documents(text).expect_err("it is not YAML");
        let said = syntax_help(text, &error);
        match (&said, expected) {
            (Some(said), Some(expected)) => assert!(said.contains(expected), "{said} for {error:?}"),
            _ => assert_eq!(said.as_deref(), expected, "{error:?}"),
        }
    }
}
