//! Modules as artifacts: the metadata that Kubewarden reads from one, and OCI registries that keep them.
//!
//! The formats are those of `kwctl`, so that either tool reads what the other wrote: metadata is a custom section of the
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
    /// It is no regular expression.
    #[error("`{pattern}` is not a regular expression: {why}")]
    Pattern {
        /// What was written.
        pattern: String,
        /// Why not.
        why: String,
    },
    /// It does not say whose certificates and whose logs are believed.
    #[error("this is not a trusted root, as `cosign trusted-root create` writes one: {0}")]
    TrustedRoot(String),
    /// A file that says whose signature is needed cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file that says whose signature is needed says something else.
    #[error("cannot use `{}`", path.display())]
    Use {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<Error>,
    },
    /// Signatures are beside modules in registries, and the one to run is none of those.
    #[error("`{argument}` is for modules from a registry, and `{policy}` is none")]
    NotOfRegistry {
        /// What asked for a signature.
        argument: &'static str,
        /// The module to run.
        policy: String,
    },
    /// The program cannot verify signatures by identity.
    #[error(
        "signatures by identity cannot be verified: this program was built without the feature `keyless`; leave out          `--certificate-identity`, or use a released program"
    )]
    NoKeyless,
    /// There is no signature beside the module.
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
    /// Somebody else signed it.
    #[error("`{at}` is not signed {signer}: {found}; nothing of this module is used")]
    OtherSigner {
        /// The module's address.
        at: String,
        /// Who should have signed it: `with …` or `by …`.
        signer: String,
        /// Why its signatures do not count.
        found: Refused,
    },
    /// A signature belongs to something else.
    #[error("the signature of `{at}` is of {found}: it was copied from another module; nothing of this one is used")]
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

/// Signatures that do not count, and why.
#[derive(Debug)]
pub struct Refused(pub(crate) Vec<String>);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// How many are told.
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
