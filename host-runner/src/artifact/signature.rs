//! Signatures of modules, as `cosign sign --key` makes them.
//!
//! For a module with digest `sha256:HEX`, the tag `sha256-HEX.sig` names a manifest with one layer for
//! each signature. The layer is a small JSON document that contains the digest; the signature of these bytes is the layer's
//! annotation: <https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md>.

use std::fmt;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey, VerificationAlgorithm};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject;
use serde::Deserialize;

use super::{Digest, Error};

/// The media type of a signature's layer.
pub(super) const MEDIA_TYPE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

/// The layer's annotation with the signature, in base64.
pub(super) const ANNOTATION: &str = "dev.cosignproject.cosign/signature";

/// The type of a signed document.
const KIND: &str = "cosign container image signature";

/// The first bytes of a P-256 key as SubjectPublicKeyInfo in DER (RFC 5480). An uncompressed point of 65 bytes follows.
const P256: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// The first bytes of an Ed25519 key (RFC 8410). 32 bytes follow.
const ED25519_HEADER: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// A public key for signatures: ECDSA on P-256 with SHA-256, as from `cosign generate-key-pair`, or Ed25519.
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
    /// Parses a key in PEM, such as `cosign.pub`.
    ///
    /// # Errors
    /// [`Error::Key`] if the text is not a public key, or the key has another type.
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
            .ok_or_else(|| Error::Key("the key has another type".to_owned()))
    }

    fn has_signed(&self, document: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(self.algorithm, &self.bytes)
            .verify(document, signature)
            .is_ok()
    }
}

/// A document with its signature in base64.
pub(super) struct Signed {
    pub(super) document: Vec<u8>,
    pub(super) signature: String,
}

/// Why verification failed.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Refusal {
    /// No signature was made with the key.
    OtherKey,
    /// The key signed something else.
    OtherDigest(String),
}

#[derive(Deserialize)]
struct Document {
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

/// True if one of the documents was signed with the key and contains the digest.
pub(super) fn verify(key: &Key, digest: &Digest, signed: &[Signed]) -> Result<(), Refusal> {
    let mut refusal = Refusal::OtherKey;
    for Signed { document, signature } in signed {
        // The signature is verified before the document is decoded.
        let is_signed = STANDARD
            .decode(signature.trim())
            .is_ok_and(|signature| key.has_signed(document, &signature));
        if !is_signed {
            continue;
        }
        let found = match serde_json::from_slice::<Document>(document) {
            Ok(Document { critical }) if critical.kind == KIND => critical.image.digest,
            _ => "no module".to_owned(),
        };
        if found == digest.to_string() {
            return Ok(());
        }
        refusal = Refusal::OtherDigest(found);
    }
    Err(refusal)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    // Made with openssl: `dgst -sha256 -sign` and `pkeyutl -sign -rawin`.
    const P256_KEY: &str = "\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEASZauAlymNMRT8PL+L3COXJ39S7/
MlXFxkXpZTqUKlaEoRsTk447emKqOD1CLsT6UGk+ZjB2OgannHueQDSL1Q==
-----END PUBLIC KEY-----
";
    const OTHER_KEY: &str = "\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEsii19+nIhyfAnIKuXcyGxzqc3/Bz
nSkYpcONIci6alC36Jo+DweX/Tx8z9iRvJoJ9sri4FxFXnH8e+RjWEjeqg==
-----END PUBLIC KEY-----
";
    const ED25519_KEY: &str = "\
-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGEyrJx395XFXu1X0rRALLoX6bhxfnFTCDMmdMOkkqC8=
-----END PUBLIC KEY-----
";
    const RSA_KEY: &str = "\
-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQClWcMHWwLEvIWWzHAqO4m+DXWi
0a04MR0Ff1xB/sIYnuuza0Y5aCBh39M+KE8cIcMC2XEqNTmM/hskgwfVYPANL4Fi
ep5zWI/OmeQ3IHqAneS5XPkKaxOEUAlQ/rBdX+lgf2mfrBvI+4DRSMlaVeCQQoMJ
uyiUqHE+mXHU4oVOxwIDAQAB
-----END PUBLIC KEY-----
";
    const P256_SIGNATURE: &str =
        "MEQCIF9yHM0jpMNReCQ1gM/yDKIZVjF7kaHOQG5WYsNF/2JvAiBDXUSiUcLvfVjVYc9glcswhpe9ZqQ0ORHnMntedygk+A==";
    const ED25519_SIGNATURE: &str =
        "1oCpMwrN6PuG/0vaKXu3CMFa6LDSK0dTvs+padQpwmVpGuelaMof5WRKkQBP5A2qf9C5H83txnjatSaNpu22BA==";
    const OTHER_SIGNATURE: &str =
        "MEQCIBLr3tKDy04N/VtmC9MPMOXnDVSE3XcaTbbRMOuHsZn+AiA9LbE0ty9cwUeqEARtLSQLxuFbf6En+JuLAFxbTRZurA==";
    const DOCUMENT: &str = r#"{"critical":{"identity":{"docker-reference":"ghcr.io/telewarden"},"image":{"docker-manifest-digest":"sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"},"type":"cosign container image signature"},"optional":null}"#;
    const OTHER_DOCUMENT: &str = r#"{"critical":{"identity":{"docker-reference":"ghcr.io/telewarden"},"image":{"docker-manifest-digest":"sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"},"type":"another kind"},"optional":null}"#;
    const DIGEST: &str = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

    fn check(pem: &str, document: &str, signature: &str, digest: &str) -> Result<(), Refusal> {
        let signed = Signed {
            document: document.into(),
            signature: signature.to_owned(),
        };
        let key = Key::from_pem(pem.as_bytes()).expect("a key");
        verify(&key, &digest.parse().expect("a digest"), &[signed])
    }

    #[rstest]
    #[case::p256(P256_KEY, P256_SIGNATURE)]
    #[case::ed25519(ED25519_KEY, ED25519_SIGNATURE)]
    fn what_openssl_signed_is_verified(#[case] key: &str, #[case] signature: &str) {
        assert_eq!(check(key, DOCUMENT, signature, DIGEST), Ok(()));
        let changed = DOCUMENT.replace("telewarden", "telewurden");
        assert_eq!(check(key, &changed, signature, DIGEST), Err(Refusal::OtherKey));
        let other = DIGEST.replace("2cf2", "2cf3");
        let refusal = Refusal::OtherDigest(DIGEST.to_owned());
        assert_eq!(check(key, DOCUMENT, signature, &other), Err(refusal));
        for signature in ["", "AAAA", "no base64"] {
            assert_eq!(check(key, DOCUMENT, signature, DIGEST), Err(Refusal::OtherKey));
        }
    }

    #[test]
    fn another_key_s_signature_is_refused() {
        assert_eq!(
            check(OTHER_KEY, DOCUMENT, P256_SIGNATURE, DIGEST),
            Err(Refusal::OtherKey)
        );
    }

    #[test]
    fn a_document_of_another_kind_is_refused() {
        let refusal = Refusal::OtherDigest("no module".to_owned());
        assert_eq!(check(P256_KEY, OTHER_DOCUMENT, OTHER_SIGNATURE, DIGEST), Err(refusal));
    }

    #[rstest]
    #[case::nothing("")]
    #[case::text("hello")]
    #[case::private("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")]
    #[case::short("-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----\n")]
    #[case::rsa(RSA_KEY)]
    fn other_keys_are_refused(#[case] pem: &str) {
        assert!(matches!(Key::from_pem(pem.as_bytes()), Err(Error::Key(_))));
    }
}
