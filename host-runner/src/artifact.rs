//! Modules as artifacts: their Kubewarden metadata, OCI registries, and signatures.
//!
//! The formats are those of `kwctl`, so each tool can read the other's modules: metadata is a custom section of the
//! module, and in a registry a module is an OCI image manifest with one layer.

#[cfg(feature = "arguments")]
mod arguments;
mod metadata;
mod registry;
mod signature;
mod store;

use std::fmt;
use std::io;
use std::path::PathBuf;

#[cfg(feature = "arguments")]
pub use arguments::SignerArgs;
pub use metadata::{Metadata, PolicyType, Rule, annotate, metadata};
pub use registry::{Location, Pulled, Registry};
#[cfg(feature = "keyless")]
pub use signature::{Identity, Subject, TrustedRoot};
pub use signature::{Key, Signer};
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
    /// The text is not a regular expression.
    #[error("`{pattern}` is not a regular expression: {why}")]
    Pattern {
        /// The text.
        pattern: String,
        /// The reason.
        why: String,
    },
    /// The document is not a trusted root.
    #[error("this is not a trusted root, as `cosign trusted-root create` writes one: {0}")]
    TrustedRoot(String),
    /// The file of a key or a trusted root cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file does not contain a key or a trusted root.
    #[error("cannot use `{}`", path.display())]
    Use {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<Error>,
    },
    /// A signature is required, but the module is not from a registry.
    #[error("`{argument}` is for modules from a registry, and `{policy}` is none")]
    NotOfRegistry {
        /// The argument that requires a signature.
        argument: &'static str,
        /// The module to run.
        policy: String,
    },
    /// The program was built without support for signatures by identity.
    #[error(
        "signatures by identity cannot be verified: this program was built without the feature `keyless`; leave out          `--certificate-identity`, or use a released program"
    )]
    NoKeyless,
    /// The module has no signature.
    #[error(
        "`{at}` is not signed: there is nothing at the tag `{tag}`, and no Sigstore bundle refers to it; sign it with \
         `cosign sign {}`",
        at.trim_start_matches("registry://")
    )]
    NotSigned {
        /// The module's address.
        at: String,
        /// The tag that signatures have in cosign's first form.
        tag: String,
    },
    /// No signature was made by the required signer.
    #[error("`{at}` is not signed {signer}: {found}; this module is not used")]
    OtherSigner {
        /// The module's address.
        at: String,
        /// Who should have signed it: `with …` or `by …`.
        signer: String,
        /// Why each signature was refused.
        found: Refused,
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

/// The reasons why signatures were refused.
#[derive(Debug)]
pub struct Refused(pub(crate) Vec<String>);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// The maximum number of printed reasons.
        const TOLD: usize = 5;
        let Self(reasons) = self;
        if let [reason] = reasons.as_slice() {
            return write!(f, "its signature {reason}");
        }
        for (number, reason) in (1..).zip(reasons).take(TOLD) {
            let separator = if number == 1 { "" } else { ", " };
            write!(f, "{separator}signature {number} of {} {reason}", reasons.len())?;
        }
        match reasons.len().saturating_sub(TOLD) {
            0 => Ok(()),
            more => write!(f, ", and so on: {more} more"),
        }
    }
}
