//! Whose signature a module has.
//!
//! Cosign puts signatures beside a module in two forms, and each may be made with a key, or with a certificate for an
//! identity:
//!
//! - a layer of the manifest at the tag `sha256-HEX.sig`: a document that names the module's digest ([`document`]), with its
//!   signature in an annotation (<https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md>),
//! - since cosign 3, a Sigstore bundle in a manifest that refers to the module's: a statement that names the digest
//!   ([`statement`]), and its signature
//!   (<https://github.com/sigstore/cosign/blob/main/specs/BUNDLE_SPEC.md>).

mod document;
#[cfg(feature = "keyless")]
mod identity;
mod key;
mod statement;

use std::fmt;

#[cfg(feature = "keyless")]
pub use identity::{Identity, Subject, TrustedRoot};
pub use key::Key;

use super::Digest;
pub(super) use document::{Document, MEDIA_TYPE as DOCUMENT_MEDIA_TYPE};
pub(super) use statement::{BUNDLE_MEDIA_TYPE, PREDICATE_TYPE};

/// Who has to have signed a module.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Signer {
    /// The owner of a key.
    Key(Key),
    /// Whoever a certificate authority knows by an identity.
    #[cfg(feature = "keyless")]
    Identity(Identity),
}

/// As the end of "the module is signed …".
impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(_) => f.write_str("with this key"),
            #[cfg(feature = "keyless")]
            Self::Identity(identity) => identity.fmt(f),
        }
    }
}

/// A signature, as it lies in a registry.
#[derive(Clone, Debug)]
pub(super) enum Signature {
    /// A layer of the manifest at `sha256-HEX.sig`.
    Document(Document),
    /// A Sigstore bundle, in JSON.
    Bundle(Vec<u8>),
}

/// Why a signature does not say that the signer signed the module.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Refusal {
    /// It was made by somebody else, or nobody can tell by whom: what was found, as the end of "the signature …".
    OtherSigner(String),
    /// The signer has signed something else: what that is.
    OtherDigest(String),
}

impl Refusal {
    fn other_signer(why: impl fmt::Display) -> Self {
        Self::OtherSigner(short(&why.to_string()))
    }
}

/// Text for a message. Anybody who may write beside the module may have written it.
fn short(text: &str) -> String {
    const MAX_CHARS: usize = 400;
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(feature = "keyless")]
fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

impl Signer {
    /// Whether a signature says that this signer signed the module with the digest. Nothing of what was signed is read
    /// before its signature was verified.
    pub(super) fn has_signed(&self, digest: &Digest, signature: &Signature) -> Result<(), Refusal> {
        let signed = match (self, signature) {
            (Self::Key(key), Signature::Document(document)) => document.digest_signed_with(key),
            (Self::Key(key), Signature::Bundle(bundle)) => statement::digests_signed_with(key, bundle),
            #[cfg(feature = "keyless")]
            (Self::Identity(identity), Signature::Document(document)) => identity.digest_of_document(document),
            #[cfg(feature = "keyless")]
            (Self::Identity(identity), Signature::Bundle(bundle)) => identity.digests_of_bundle(digest, bundle),
        }?;
        match signed.iter().any(|signed| *signed == digest.to_string()) {
            true => Ok(()),
            false if signed.is_empty() => Err(Refusal::other_signer("is of something else than a module")),
            false => Err(Refusal::OtherDigest(short(&signed.join(", ")))),
        }
    }
}

#[cfg(test)]
mod tests;
