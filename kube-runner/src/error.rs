//! What can go wrong while the cluster is brought to what was rendered.

use std::time::Duration;

use crate::object_id::{NotAnObject, ObjectId};

/// A failure that ends one attempt. What the module finds wrong with a source is none: that is an Event on the source.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot {doing}")]
    Api {
        doing: String,
        #[source]
        source: kube::Error,
    },
    #[error("cannot {doing}: no answer within {} s", after.as_secs())]
    Timeout { doing: String, after: Duration },
    #[error("cannot {doing}")]
    Module {
        doing: String,
        #[source]
        source: telewarden::Error,
    },
    #[error(
        "each source alone is well, and all together are too much for the module; this is one of the largest of its namespace: {why}"
    )]
    TooMuchTogether { why: String },
    #[error("{id} is there already and is not ours: {why}")]
    Foreign { id: ObjectId, why: String },
    #[error(
        "nothing is applied: all sources share one Telegraf, and nothing that was given or accepted before renders to these \
         of its files, which would go: {files}; give their sources too, or drop them with --prune"
    )]
    Lost { files: String },
    #[error("cannot delete {id}: {why}")]
    NotDeleted { id: ObjectId, why: String },
    #[error("the API server knows no kind `{kind}`")]
    UnknownKind { kind: String },
    #[error("the module rendered something that is no object: {0}")]
    NotAnObject(#[from] NotAnObject),
    #[error("the settings are refused: {why}")]
    Settings { why: String },
    #[error("cannot {doing}")]
    File {
        doing: String,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot read {what} as YAML: {why}")]
    Yaml { what: String, why: String },
    #[error("{0}")]
    Leadership(&'static str),
    #[error(transparent)]
    Artifact(#[from] telewarden::artifact::Error),
}

impl Error {
    /// The label of the metric that counts errors.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Api {
                source: kube::Error::Api(status),
                ..
            } => match status.code {
                403 => "forbidden",
                409 => "conflict",
                422 => "invalid",
                429 => "throttled",
                500.. => "server",
                _ => "api",
            },
            Self::Api { .. } => "connection",
            Self::Timeout { .. } => "timeout",
            Self::Module { source, .. } => match source {
                telewarden::Error::Deadline { .. } => "deadline",
                telewarden::Error::OutOfMemory { .. } => "memory",
                telewarden::Error::Trap { .. } => "trap",
                _ => "module",
            },
            Self::TooMuchTogether { .. } => "together",
            Self::Foreign { .. } => "foreign",
            Self::Lost { .. } => "lost",
            Self::NotDeleted { .. } => "deletion",
            Self::UnknownKind { .. } => "kind",
            Self::NotAnObject(_) => "rendered",
            Self::Settings { .. } => "settings",
            Self::File { .. } | Self::Yaml { .. } => "file",
            Self::Leadership(_) => "leadership",
            Self::Artifact(_) => "artifact",
        }
    }

    /// True if the same attempt may well succeed in a moment. Everything else is tried again too, but not soon. An API
    /// server that has just started forbids everything until it has read its roles.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Api {
                source: kube::Error::Api(status),
                ..
            } => matches!(status.code, 403 | 404 | 409 | 410 | 429 | 500..),
            Self::Api { .. } | Self::Timeout { .. } | Self::Foreign { .. } => true,
            _ => false,
        }
    }

    /// True if the API server has refused this one request, and is not likely to take it in a moment. What a webhook cannot
    /// decide is one too.
    pub(crate) fn is_refusal(&self) -> bool {
        let Self::Api {
            source: kube::Error::Api(status),
            ..
        } = self
        else {
            return false;
        };
        !matches!(status.code, 401 | 409 | 429)
    }

    /// True if the module failed, and not what is around it.
    pub(crate) fn is_of_module(&self) -> bool {
        matches!(self, Self::Module { .. })
    }

    /// True if the API server knows no such object.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Api { source: kube::Error::Api(status), .. } if status.is_not_found())
    }

    /// The error and its causes, in one line.
    pub(crate) fn chain(&self) -> String {
        chain(self)
    }
}

/// An error and its causes, in one line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let error_text = error.to_string();
        // Some libraries repeat their cause in their own message.
        if !text.contains(&error_text) {
            text.push_str(": ");
            text.push_str(&error_text);
        }
        cause = error.source();
    }
    text
}
