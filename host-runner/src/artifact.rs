//! Modules as artifacts: their Kubewarden metadata, OCI registries, and signatures.
//!
//! The formats are those of `kwctl`, so each tool can read the other's modules: metadata is a custom section of the
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

/// Why a module could not be annotated, pushed, pulled or stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are not a WebAssembly module.
    #[error("this is not a WebAssembly module")]
    NotWasm {
        /// The parser's error.
        source: wasmparser::BinaryReaderError,
    },
    /// The module already has metadata.
    #[error("the module is already annotated; annotate the module that it was made from")]
    AlreadyAnnotated,
    /// The module has no metadata, so Kubewarden cannot use it.
    #[error("the module is not annotated; run `telewarden annotate` first")]
    NotAnnotated,
    /// The module's metadata does not have Kubewarden's format.
    #[error("invalid Kubewarden metadata in the module")]
    Metadata {
        /// The decoder's error.
        source: serde_json::Error,
    },
    /// Kubewarden would refuse the metadata.
    #[error("invalid metadata: {0}")]
    Invalid(String),
    /// The address is not `registry://HOST[:PORT]/NAME[:TAG][@sha256:DIGEST]`.
    #[error("`{text}` is not the address of a module: {why}")]
    Address {
        /// The address.
        text: String,
        /// The reason.
        why: String,
    },
    /// The address has no digest, which is required to run a module.
    #[error("`{0}` names no digest, and a tag can be moved; `telewarden pull` prints the address with the digest")]
    NoDigest(String),
    /// The registry cannot be reached, or refuses the request.
    #[error("cannot {what} `{at}`{hint}")]
    Registry {
        /// The action that failed, such as `pull`.
        what: &'static str,
        /// The module's address.
        at: String,
        /// A possible reason, starting with a space, or empty.
        hint: String,
        /// The error of the registry or the connection.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The registry sent content with another digest.
    #[error("`{at}`: the registry sent {what} whose digest is {found}, not {expected}; nothing of it is used")]
    Digest {
        /// The module's address.
        at: String,
        /// The manifest or the module.
        what: &'static str,
        /// The requested digest.
        expected: String,
        /// The digest of the content.
        found: String,
    },
    /// The artifact is not a module.
    #[error("`{at}` is not a module: {why}")]
    NotAModule {
        /// The module's address.
        at: String,
        /// A description of the artifact.
        why: String,
    },
    /// The key is not a public key of a supported type.
    #[error("this is not an ECDSA P-256 or Ed25519 public key in PEM, as `cosign public-key` prints one: {0}")]
    Key(String),
    /// The module has no signature.
    #[error(
        "`{at}` is not signed: there is nothing at the tag `{tag}`; sign it with \
         `cosign sign --new-bundle-format=false --key cosign.key {}`",
        at.trim_start_matches("registry://")
    )]
    NotSigned {
        /// The module's address.
        at: String,
        /// The tag where signatures are stored.
        tag: String,
    },
    /// No signature was made with this key.
    #[error(
        "`{at}` is not signed with this key; it has signatures: {found}. Name the key of who signed it, or use another \
         module; nothing of this one is used"
    )]
    OtherKey {
        /// The module's address.
        at: String,
        /// The number of signatures.
        found: usize,
    },
    /// The signature is for another digest.
    #[error("the signature of `{at}` is for {found}, another module; this module is not used")]
    OtherDigest {
        /// The module's address.
        at: String,
        /// The signed digest.
        found: String,
    },
    /// The store is not writable.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
}
