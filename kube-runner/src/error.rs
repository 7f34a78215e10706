//! Errors of an attempt to reconcile a source.

use std::time::Duration;

use crate::influxdb::Failure;
use crate::object_id::{NotAnObject, ObjectId};

/// An error that ends one attempt. Findings of the module are not errors; they become Events on the source.
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
    #[error("{id} already exists and is not managed by this operator: {why}")]
    Foreign { id: ObjectId, why: String },
    #[error(
        "nothing is applied: these files of the shared Telegraf would be deleted, because their sources are neither given \
        nor stored: {files}; give their sources too, or delete the files with --prune"
    )]
    Lost { files: String },
    #[error("cannot delete {id}: {why}")]
    NotDeleted { id: ObjectId, why: String },
    #[error("the API server does not know the kind `{kind}`")]
    UnknownKind { kind: String },
    #[error("the module rendered an invalid object: {0}")]
    NotAnObject(#[from] NotAnObject),
    #[error("invalid settings: {why}")]
    Settings { why: String },
    #[error("cannot {doing}")]
    File {
        doing: String,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot read {what} as YAML: {why}")]
    Yaml { what: String, why: String },
    #[error("{}", .0.why)]
    Provide(Failure),
    #[error("{0}")]
    Leadership(&'static str),
    #[error(transparent)]
    Artifact(#[from] telewarden::artifact::Error),
}

impl Error {
    /// The value of the label `reason` in the metric `telewarden_errors_total`.
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
            Self::Foreign { .. } => "foreign",
            Self::Lost { .. } => "lost",
            Self::NotDeleted { .. } => "deletion",
            Self::UnknownKind { .. } => "kind",
            Self::NotAnObject(_) => "rendered",
            Self::Settings { .. } => "settings",
            Self::File { .. } | Self::Yaml { .. } => "file",
            Self::Provide(_) => "influxdb",
            Self::Leadership(_) => "leadership",
            Self::Artifact(_) => "artifact",
        }
    }

    /// True if it is the API server that cannot answer, whatever it is asked.
    pub(crate) fn is_of_server(&self) -> bool {
        matches!(
            self.reason(),
            "connection" | "throttled" | "server" | "timeout" | "leadership"
        )
    }

    /// True if a retry can succeed soon. All other errors are retried too, but later. 403 is included, because an API server
    /// that has just started forbids everything until it has loaded its roles.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Api {
                source: kube::Error::Api(status),
                ..
            } => matches!(status.code, 403 | 404 | 409 | 410 | 429 | 500..),
            Self::Api { .. } | Self::Timeout { .. } | Self::Foreign { .. } => true,
            // Somebody else is about to find out how it is.
            Self::Provide(failure) => failure.is_busy,
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

    /// True if a call of the module failed.
    pub(crate) fn is_of_module(&self) -> bool {
        matches!(self, Self::Module { .. })
    }

    /// True if the object does not exist.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Api { source: kube::Error::Api(status), .. } if status.is_not_found())
    }

    /// True if the API server accepted the request, and its answer could not be read.
    pub(crate) fn is_unreadable(&self) -> bool {
        matches!(
            self,
            Self::Api {
                source: kube::Error::SerdeError(_),
                ..
            }
        )
    }

    /// The error and its causes, in one line.
    pub(crate) fn chain(&self) -> String {
        telewarden::Causes(self).to_string()
    }
}
