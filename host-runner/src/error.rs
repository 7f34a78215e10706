//! What can go wrong between a host and the module.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use telewarden_policy::protocol;

/// A failure to load or to call the module. What the module finds wrong with a source is none: that is in its answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The module's file cannot be read.
    #[error("cannot read the module `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is not WebAssembly, or uses a feature of it that this host does not have.
    #[error("cannot compile the module")]
    Compile {
        /// What the compiler says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It wants something from the host that this host does not give, or it is not a waPC guest.
    #[error("the module does not fit this host, which gives waPC and nothing else")]
    Link {
        /// What is missing.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The request cannot be written as JSON.
    #[error("cannot encode the request of `{operation}`")]
    Encode {
        /// The waPC operation.
        operation: String,
        /// Why not.
        source: serde_json::Error,
    },
    /// It ran too long and was stopped.
    #[error("`{operation}` was stopped: it ran for more than {limit:?}")]
    Deadline {
        /// The waPC operation.
        operation: String,
        /// How long it may run.
        limit: Duration,
    },
    /// It was refused more memory, and gave up.
    #[error("`{operation}` needs more memory than the {} MiB that the module may use", limit / (1024 * 1024))]
    OutOfMemory {
        /// The waPC operation.
        operation: String,
        /// How many bytes it may use.
        limit: usize,
    },
    /// It trapped: a defect of the module.
    #[error("`{operation}` trapped")]
    Trap {
        /// The waPC operation.
        operation: String,
        /// The trap.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It answered with an error of its own.
    #[error("the module cannot answer `{operation}`: {message}")]
    Guest {
        /// The waPC operation.
        operation: String,
        /// What it says.
        message: String,
    },
    /// Its answer is not what the operation's contract says.
    #[error("cannot decode the module's answer to `{operation}`")]
    Decode {
        /// The waPC operation.
        operation: String,
        /// Where it differs.
        source: serde_json::Error,
    },
    /// It speaks another version of the `render` operation.
    #[error(
        "the module speaks version {found} of the render protocol, this host version {}; use a module and a host of the \
         same release",
        protocol::VERSION
    )]
    Protocol {
        /// The module's version.
        found: u64,
    },
}

/// An error and its causes in one line: `cannot read the module: permission denied`. A cause whose text the line already
/// has is left out, because some libraries repeat it in their own message.
#[derive(Clone, Copy, Debug)]
pub struct Causes<'a>(pub &'a dyn std::error::Error);

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.0.to_string();
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let said = error.to_string();
            if !text.contains(&said) {
                text = format!("{text}: {said}");
            }
            cause = error.source();
        }
        f.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("{text}")]
        struct Layer {
            text: &'static str,
            source: Option<Box<Layer>>,
        }
        let layer = |text, source: Option<Layer>| Layer {
            text,
            source: source.map(Box::new),
        };
        let root = layer("no such file", None);
        let error = layer("cannot start", Some(layer("open: no such file", Some(root))));
        assert_eq!(Causes(&error).to_string(), "cannot start: open: no such file");
    }
}
