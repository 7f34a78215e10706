//! Writes to standard output and standard error.
//!
//! A closed pipe (`telewarden render . | head`) is not a failure, and is not reported.
//!
//! Names, messages and excerpts can contain any text. Text for people goes through [`plain`], JSON through [`json`], and
//! a document on a terminal through [`visible`], so that none of it can contain control sequences of a terminal, or
//! workflow commands for GitHub Actions, which reads the log of a job.

use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal, Write};

use anstream::AutoStream;
use serde::Serialize;
use telewarden_policy::printable::{is_hidden, printable};

use super::Status;

/// Prints a result without changes.
pub(crate) fn print(text: &str) -> Status {
    let mut stdout = io::stdout().lock();
    written(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()))
}

/// Prints a YAML or TOML document: unchanged to a pipe or a file. On a terminal, invisible characters are escaped, and a
/// note says so.
pub(crate) fn print_document(text: &str) -> Status {
    match visible(text).filter(|_| io::stdout().is_terminal()) {
        Some(visible) => {
            let status = print(&visible);
            say(
                "note: invisible characters are shown as escapes here; a file or a pipe gets the characters themselves",
            );
            status
        }
        None => print(text),
    }
}

/// Prints a result as JSON.
pub(crate) fn print_json(value: &impl Serialize) -> Status {
    match json(value) {
        Ok(text) => print(&text),
        Err(error) => {
            say_error(&error);
            Status::CouldNotRun
        }
    }
}

/// JSON with the same values, in which all invisible characters are escaped.
pub(crate) fn json(value: &impl Serialize) -> serde_json::Result<String> {
    let text = serde_json::to_string_pretty(value)?;
    let mut out = String::with_capacity(text.len() + 1);
    for c in text.chars() {
        if c != '\n' && is_hidden(c) {
            // Outside of strings, the only such characters are the line breaks of the layout.
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(c);
        }
    }
    out.push('\n');
    // As in `plain`. `##[` occurs only in strings.
    Ok(out.replace("##[", "##\\u005b"))
}

/// Prints a result for people, with colours if enabled.
pub(crate) fn print_styled(text: &str) -> Status {
    let mut stdout = AutoStream::auto(io::stdout().lock());
    written(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()))
}

/// Prints one line to standard error.
pub(crate) fn say(text: impl Display) {
    say_styled(plain(&text.to_string()));
}

/// Untrusted text as one printable line.
///
/// GitHub's runner recognizes commands by `##[` anywhere in a line, and by `::` at its start:
/// <https://github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs>. No line of our output starts with
/// untrusted text.
pub(crate) fn plain(text: &str) -> String {
    printable(text).replace("##[", "##\\u{5b}")
}

/// A document with its invisible characters escaped, if it has any. Line breaks and tabs stay.
fn visible(text: &str) -> Option<String> {
    let is_layout = |c| matches!(c, '\n' | '\t');
    text.contains(|c| is_hidden(c) && !is_layout(c)).then(|| {
        let parts = text.split_inclusive(is_layout).map(|part| {
            let content = part.trim_end_matches(is_layout);
            format!("{}{}", printable(content), &part[content.len()..])
        });
        parts.collect()
    })
}

/// Prints rendered text to standard error.
pub(crate) fn say_styled(text: impl Display) {
    let mut stderr = AutoStream::auto(io::stderr().lock());
    // If standard error is closed, there is no other place to report it.
    _ = writeln!(stderr, "{text}");
}

/// Prints an error with its causes.
pub(crate) fn say_error(error: &dyn std::error::Error) {
    say(format_args!("error: {}", telewarden::Causes(error)));
}

fn written(result: io::Result<()>) -> Status {
    match result {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            say(format_args!("error: cannot write to standard output: {error}"));
            Status::CouldNotRun
        }
        _ => Status::Fine,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_keeps_its_values() {
        let value = serde_json::json!({"a\u{202e}": ["\u{9b}2J ##[add-mask]", "\u{e0041}\u{7f}\n", "ä 漢"]});
        let text = json(&value).expect("JSON");
        assert!(
            !text.contains(|c| c != '\n' && is_hidden(c)) && !text.contains("##["),
            "{text}"
        );
        assert!(
            text.contains("\\u202e") && text.contains("\\udb40\\udc41") && text.contains("ä 漢"),
            "{text}"
        );
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).expect("JSON"), value);
    }

    #[test]
    fn a_document_s_hidden_characters_are_shown() {
        assert_eq!(visible("a:\n\t- ä\n\n"), None);
        let shown = visible("a:\n\tb\u{202e}c\n\u{9b}\n\n");
        assert_eq!(shown.as_deref(), Some("a:\n\tb\\u{202e}c\n\\u{9b}\n\n"));
    }

    #[test]
    fn foreign_text_is_one_line_without_commands() {
        assert_eq!(
            plain("a\n::stop-commands::x ##[group]"),
            "a\\n::stop-commands::x ##\\u{5b}group]"
        );
    }
}
