//! The Secret that a token is put into.

use serde_json::Value;

use super::metadata::{owner_annotations, owner_labels};
use super::object::{Metadata, Secret};
use super::to_json;
use crate::plan::Owner;
use crate::settings::Settings;

/// A Secret without data. The host that provides the tokens adds them.
pub(crate) fn secret(owner: Owner<'_>, namespace: &str, name: &str, settings: &Settings) -> Value {
    to_json(Secret::secret(Metadata {
        name: Some(name.to_owned()),
        namespace: Some(namespace.to_owned()),
        labels: owner_labels(owner, settings),
        annotations: owner_annotations(owner),
    }))
}
