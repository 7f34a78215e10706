//! The key of who signs modules.

use std::fmt;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey, VerificationAlgorithm};
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject;

use super::super::Error;

/// What a SubjectPublicKeyInfo in DER (RFC 5480) begins with for a P-256 key; an uncompressed point of 65 bytes follows.
const P256: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// What it begins with for an Ed25519 key (RFC 8410); 32 bytes follow.
const ED25519_HEADER: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The public key of who signs modules: ECDSA on P-256 with SHA-256, which `cosign generate-key-pair` makes, or Ed25519.
#[derive(Clone)]
pub struct Key {
    algorithm: &'static dyn VerificationAlgorithm,
    bytes: Vec<u8>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

impl Key {
    /// Reads a key in PEM, such as `cosign.pub`.
    ///
    /// # Errors
    /// [`Error::Key`] for text that is no public key, and for a key of another kind.
    pub fn from_pem(text: &[u8]) -> Result<Self, Error> {
        let der = SubjectPublicKeyInfoDer::from_pem_slice(text)
            .map_err(|_| Error::Key("there is no `-----BEGIN PUBLIC KEY-----`".to_owned()))?;
        let kinds: [(&[u8], usize, &'static dyn VerificationAlgorithm); 2] =
            [(P256, 65, &ECDSA_P256_SHA256_ASN1), (ED25519_HEADER, 32, &ED25519)];
        kinds
            .into_iter()
            .find_map(|(header, length, algorithm)| {
                let bytes = der.strip_prefix(header).filter(|bytes| bytes.len() == length)?;
                let bytes = bytes.to_vec();
                Some(Self { algorithm, bytes })
            })
            .ok_or_else(|| Error::Key("it is of another kind".to_owned()))
    }

    /// Whether the signature of these bytes was made with the key.
    pub(super) fn has_signed(&self, document: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(self.algorithm, &self.bytes)
            .verify(document, signature)
            .is_ok()
    }
}
