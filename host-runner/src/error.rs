//! Failures to load or call a module.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use telewarden_policy::protocol;

/// A failure to load or to call a module. Findings about sources and settings are not errors; they are in the answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The module's file cannot be read.
    #[error("cannot read the module `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The module is not WebAssembly, or uses a feature that this host does not support.
    #[error("cannot compile the module")]
    Compile {
        /// The compiler's error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The module is not a waPC guest, or imports functions that are not part of waPC.
    #[error("cannot link the module: this host provides only waPC")]
    Link {
        /// The linker's error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The request cannot be written as JSON.
    #[error("cannot encode the request of `{operation}`")]
    Encode {
        /// The waPC operation.
        operation: String,
        /// The reason.
        source: serde_json::Error,
    },
    /// The call exceeded its deadline and was stopped.
    #[error("`{operation}` was stopped: it ran for more than {limit:?}")]
    Deadline {
        /// The waPC operation.
        operation: String,
        /// The deadline.
        limit: Duration,
    },
    /// The call needs more memory than it may use.
    #[error("`{operation}` needs more memory than the {} MiB that the module may use", limit / (1024 * 1024))]
    OutOfMemory {
        /// The waPC operation.
        operation: String,
        /// The memory limit in bytes.
        limit: usize,
    },
    /// The module trapped. This is a defect of the module.
    #[error("`{operation}` trapped")]
    Trap {
        /// The waPC operation.
        operation: String,
        /// The trap.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The module answered with an error.
    #[error("the module cannot answer `{operation}`: {message}")]
    Guest {
        /// The waPC operation.
        operation: String,
        /// The module's error message.
        message: String,
    },
    /// The answer does not have the operation's format.
    #[error("cannot decode the module's answer to `{operation}`")]
    Decode {
        /// The waPC operation.
        operation: String,
        /// The decoder's error.
        source: serde_json::Error,
    },
    /// The module supports another version of the `render` operation.
    #[error(
        "the module supports version {found} of the render protocol, and this host version {}; use a module and a host of the \
         same release",
        protocol::VERSION
    )]
    Protocol {
        /// The module's version of the protocol.
        found: u64,
    },
}

/// Displays an error and its causes in one line: `cannot read the module: permission denied`. A cause is left out if the
/// line already contains its text, because some libraries repeat the cause in their message.
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
    fn a_repeated_cause_is_shown_once() {
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
