//! Modules as artifacts: the metadata that Kubewarden reads from one, and OCI registries that keep them.
//!
//! The formats are those of `kwctl`, so that either tool reads what the other wrote: metadata is a custom section of the
//! module, and in a registry a module is an OCI image manifest with one layer.

mod metadata;
mod registry;
mod signature;
mod store;

use std::io;
use std::path::PathBuf;

pub use metadata::{Metadata, PolicyType, Rule, annotate, metadata};
pub use registry::{Location, Pulled, Registry};
pub use signature::Key;
pub use store::{Digest, Store};

/// Why a module could not be annotated, pushed, pulled or kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It is not WebAssembly.
    #[error("this is not a WebAssembly module")]
    NotWasm {
        /// Where it is not.
        source: wasmparser::BinaryReaderError,
    },
    /// It has metadata already.
    #[error("the module is annotated already; annotate the one that it was made from")]
    AlreadyAnnotated,
    /// It has none, and would be of no use to Kubewarden.
    #[error("the module is not annotated: `telewarden annotate` does that")]
    NotAnnotated,
    /// Its metadata cannot be read or written.
    #[error("the module's metadata is not what Kubewarden defines")]
    Metadata {
        /// Where it differs.
        source: serde_json::Error,
    },
    /// The metadata says something that Kubewarden refuses.
    #[error("the metadata cannot be used: {0}")]
    Invalid(String),
    /// Not `registry://HOST[:PORT]/NAME[:TAG][@sha256:DIGEST]`.
    #[error("`{text}` is not the address of a module: {why}")]
    Address {
        /// What was written.
        text: String,
        /// Why not.
        why: String,
    },
    /// A module that is run is named by its digest.
    #[error("`{0}` names no digest, and a tag can be moved; `telewarden pull` prints the address with the digest")]
    NoDigest(String),
    /// The registry cannot be asked, or says no.
    #[error("cannot {what} `{at}`{hint}")]
    Registry {
        /// What was being done.
        what: &'static str,
        /// The module's address.
        at: String,
        /// What may be the reason, beginning with a space, or nothing.
        hint: String,
        /// What the registry, or the way to it, says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What the registry sent is not what was asked for.
    #[error("`{at}`: the registry sent {what} whose digest is {found}, not {expected}; nothing of it is used")]
    Digest {
        /// The module's address.
        at: String,
        /// The manifest or the module.
        what: &'static str,
        /// The digest that was asked for.
        expected: String,
        /// The digest of what came.
        found: String,
    },
    /// There is something else than a module.
    #[error("`{at}` is not a module: {why}")]
    NotAModule {
        /// The module's address.
        at: String,
        /// What there is.
        why: String,
    },
    /// It is not a key that signatures can be verified with.
    #[error("this is not an ECDSA P-256 or Ed25519 public key in PEM, as `cosign public-key` prints one: {0}")]
    Key(String),
    /// There is no signature beside the module.
    #[error(
        "`{at}` is not signed: there is nothing at the tag `{tag}`; sign it with \
         `cosign sign --new-bundle-format=false --key cosign.key {}`",
        at.trim_start_matches("registry://")
    )]
    NotSigned {
        /// The module's address.
        at: String,
        /// The tag that signatures have.
        tag: String,
    },
    /// Nobody signed it with this key.
    #[error(
        "`{at}` is not signed with this key; it has signatures: {found}. Name the key of who signed it, or use another \
         module; nothing of this one is used"
    )]
    OtherKey {
        /// The module's address.
        at: String,
        /// How many signatures there are.
        found: usize,
    },
    /// A signature belongs to something else.
    #[error("the signature of `{at}` is about {found}: it was copied from another module; nothing of this one is used")]
    OtherDigest {
        /// The module's address.
        at: String,
        /// What was signed.
        found: String,
    },
    /// The store cannot be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}
