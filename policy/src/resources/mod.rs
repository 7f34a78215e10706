//! The Kubernetes objects that carry a configuration and run it.
//!
//! They are safe to have beside Argo CD: nothing that it tracks by is ever set, and it is told to leave alone what it
//! does not know (<https://argo-cd.readthedocs.io/en/stable/user-guide/compare-options/>).

mod config_map;
mod deployment;
mod extra;
mod metadata;
mod name;
mod network_policy;
mod object;

pub(crate) use config_map::config_map;
pub(crate) use deployment::{ConfigFiles, deployment};
pub(crate) use extra::extra_resources;
pub(crate) use metadata::Owner;
pub(crate) use name::{file_name, object_name, shared_name};
pub(crate) use network_policy::{is_open, network_policy};

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// A typed object as the JSON that is applied.
///
/// # Panics
/// Never: the types of `k8s-openapi` have text keys only.
pub(crate) fn to_json(object: impl Serialize) -> Value {
    serde_json::to_value(object).expect("a Kubernetes object is JSON")
}

/// The SHA-256 of a text, in hexadecimal digits.
pub(crate) fn digest(text: &str) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(64);
    for byte in Sha256::digest(text.as_bytes()) {
        let _ = write!(out, "{byte:02x}");
    }
    out
}
