//! Writing to standard output and standard error.
//!
//! Whoever reads may stop reading (`telewarden render . | head`). That is no failure, and there is nobody left to tell.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

use anstream::AutoStream;

use super::Status;

/// Prints a result as it is.
pub(crate) fn print(text: &str) -> Status {
    let mut stdout = io::stdout().lock();
    written(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()))
}

/// Prints a result for people, in colour where that is wanted.
pub(crate) fn print_styled(text: &str) -> Status {
    let mut stdout = AutoStream::auto(io::stdout().lock());
    written(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()))
}

/// Prints what is said beside the result. Names in it may be anybody's: nothing in them reaches the terminal as a command.
pub(crate) fn say(text: impl Display) {
    say_styled(plain(&text.to_string()));
}

/// Text without control characters, line breaks aside.
pub(crate) fn plain(text: &str) -> String {
    let lines: Vec<_> = text
        .split('\n')
        .map(annotate_snippets::normalize_untrusted_str)
        .collect();
    lines.join("\n")
}

/// Prints what a renderer made, beside the result.
pub(crate) fn say_styled(text: impl Display) {
    let mut stderr = AutoStream::auto(io::stderr().lock());
    // There is no other place to say that this one is closed.
    _ = writeln!(stderr, "{text}");
}

/// Prints why something could not be done, with its causes.
pub(crate) fn say_error(error: &dyn std::error::Error) {
    say(format_args!("error: {}", with_causes(error)));
}

/// An error in one line.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.ends_with(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
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
