//! Writing to standard output and standard error.
//!
//! Whoever reads may stop reading (`telewarden render . | head`). That is no failure, and there is nobody left to tell.
//!
//! Names, messages and parts of files may be anybody's text. What is for people goes through [`plain`], JSON through
//! [`json`], and a document on a terminal through [`visible`]: none of it can drive a terminal, or give commands to the
//! runner of GitHub Actions that reads a job's log.

use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal, Write};

use anstream::AutoStream;
use serde::Serialize;
use telewarden_policy::printable::{is_hidden, printable};

use super::Status;

/// Prints a result as it is.
pub(crate) fn print(text: &str) -> Status {
    let mut stdout = io::stdout().lock();
    written(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()))
}

/// Prints a YAML or TOML document. In a pipe or a file it is exact. On a terminal, characters that are not seen are shown
/// as escapes, and a note says so.
pub(crate) fn print_document(text: &str) -> Status {
    match visible(text).filter(|_| io::stdout().is_terminal()) {
        Some(visible) => {
            let status = print(&visible);
            say(
                "note: hidden characters are shown as escapes; what is written into a file or a pipe has the characters",
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

/// JSON, in which every character that is not seen is escaped: the same values, and safe to look at.
pub(crate) fn json(value: &impl Serialize) -> serde_json::Result<String> {
    let text = serde_json::to_string_pretty(value)?;
    let mut out = String::with_capacity(text.len() + 1);
    for c in text.chars() {
        if c != '\n' && is_hidden(c) {
            // Outside of strings there is no such character but the line breaks of the layout.
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(c);
        }
    }
    out.push('\n');
    // As in `plain`; two `#` and a bracket are together in strings alone.
    Ok(out.replace("##[", "##\\u005b"))
}

/// Prints a result for people, in colour where that is wanted.
pub(crate) fn print_styled(text: &str) -> Status {
    let mut stdout = AutoStream::auto(io::stdout().lock());
    written(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()))
}

/// Prints one line of what is said beside the result.
pub(crate) fn say(text: impl Display) {
    say_styled(plain(&text.to_string()));
}

/// Foreign text as one line for people.
///
/// GitHub's runner takes `##[` for the beginning of a command wherever it stands in a line, and `::` at a line's
/// beginning: <https://github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs>. No line of ours begins with
/// foreign text.
pub(crate) fn plain(text: &str) -> String {
    printable(text).replace("##[", "##\\u{5b}")
}

/// A document with its hidden characters as escapes, if it has any. Line breaks and tabs are its own.
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

/// Prints what a renderer made, beside the result.
pub(crate) fn say_styled(text: impl Display) {
    let mut stderr = AutoStream::auto(io::stderr().lock());
    // There is no other place to say that this one is closed.
    _ = writeln!(stderr, "{text}");
}

/// Prints why something could not be done, with its causes.
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
