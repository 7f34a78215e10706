//! What cosign signs in its first form: a small JSON document that names a manifest's digest.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::{Key, Refusal};

/// The type of the layers that are such documents.
pub(in super::super) const MEDIA_TYPE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

/// What a document says that it is.
const KIND: &str = "cosign container image signature";

/// A document, and what the layer's annotations say about its signature.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Document {
    pub(super) text: Vec<u8>,
    /// In base64.
    pub(super) signature: String,
    /// Of who signed by identity, in PEM.
    #[cfg(feature = "keyless")]
    pub(super) certificate: Option<String>,
    /// The certificates of the authorities above it, in PEM.
    #[cfg(feature = "keyless")]
    pub(super) chain: Option<String>,
    /// What the transparency log says about it, in JSON.
    #[cfg(feature = "keyless")]
    pub(super) log_entry: Option<String>,
}

impl Document {
    /// The document of a layer with these annotations. None if there is no signature among them.
    pub(in super::super) fn new(text: Vec<u8>, annotation: impl Fn(&str) -> Option<String>) -> Option<Self> {
        Some(Self {
            text,
            signature: annotation("dev.cosignproject.cosign/signature")?,
            #[cfg(feature = "keyless")]
            certificate: annotation("dev.sigstore.cosign/certificate"),
            #[cfg(feature = "keyless")]
            chain: annotation("dev.sigstore.cosign/chain"),
            #[cfg(feature = "keyless")]
            log_entry: annotation("dev.sigstore.cosign/bundle"),
        })
    }

    /// The digest that the document names, if it was signed with the key.
    pub(super) fn digest_signed_with(&self, key: &Key) -> Result<Vec<String>, Refusal> {
        let is_signed = STANDARD
            .decode(self.signature.trim())
            .is_ok_and(|signature| key.has_signed(&self.text, &signature));
        match is_signed {
            true => Ok(self.digest()),
            false => Err(Refusal::other_signer("was not made with this key")),
        }
    }

    /// The digest that the document names, whoever signed it.
    pub(super) fn digest(&self) -> Vec<String> {
        match serde_json::from_slice::<Content>(&self.text) {
            Ok(Content { critical }) if critical.kind == KIND => vec![critical.image.digest],
            _ => Vec::new(),
        }
    }
}

#[derive(Deserialize)]
struct Content {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: String,
}
