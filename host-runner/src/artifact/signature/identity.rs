//! Signatures by identity: who signs shows an identity to a certificate authority (Fulcio), which certifies a key for ten
//! minutes, and a transparency log (Rekor) says that the signature was made in that time.
//!
//! `sigstore-verify` does the verification: <https://docs.sigstore.dev/about/security/>. Here is what it is asked, and whom
//! we expect.

use std::fmt;
use std::sync::Arc;

use regex::Regex;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde::Deserialize;
use serde_json::{Value, json};
use sigstore_verify::trust_root::SIGSTORE_PRODUCTION_TRUSTED_ROOT;
use sigstore_verify::types::{Artifact, Bundle, Sha256Hash, SignatureContent};
use sigstore_verify::{VerificationPolicy, Verifier, trust_root};

use super::document::Document;
use super::{Refusal, statement};
use crate::artifact::{Digest, Error};

/// More certificates than there are between a signer and an authority.
const MAX_CERTIFICATES: usize = 10;

/// Whom to expect: a certificate's subject, and who vouched for it.
#[derive(Clone, Debug)]
pub struct Identity {
    subject: Subject,
    issuer: String,
    root: TrustedRoot,
}

/// The subject of a certificate: an e-mail address, or the URI of a workflow or a workload.
#[derive(Clone, Debug)]
pub struct Subject {
    text: String,
    /// What the text stands for, if it is not the subject itself.
    pattern: Option<Regex>,
}

/// Whose certificates and whose logs are believed.
#[derive(Clone)]
pub struct TrustedRoot {
    verifier: Arc<Verifier>,
    policy: VerificationPolicy,
}

impl fmt::Debug for TrustedRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustedRoot").finish_non_exhaustive()
    }
}

impl Subject {
    /// This one.
    pub fn exactly(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            pattern: None,
        }
    }

    /// Any that a regular expression matches from its beginning to its end.
    ///
    /// # Errors
    /// [`Error::Pattern`] for text that is no regular expression.
    pub fn matching(text: impl Into<String>) -> Result<Self, Error> {
        let text = text.into();
        // Alone first: `a)|(?:b` would be one only between the parentheses.
        let whole = Regex::new(&text).and_then(|_| Regex::new(&format!("^(?:{text})$")));
        match whole {
            Ok(pattern) => Ok(Self {
                text,
                pattern: Some(pattern),
            }),
            Err(why) => Err(Error::Pattern {
                pattern: text,
                why: why.to_string(),
            }),
        }
    }

    fn is(&self, subject: &str) -> bool {
        match &self.pattern {
            None => self.text == subject,
            Some(pattern) => pattern.is_match(subject),
        }
    }
}

impl TrustedRoot {
    /// That of Sigstore's public instance, as it was when `sigstore-verify` was released.
    ///
    /// # Errors
    /// [`Error::TrustedRoot`]: never, unless that release is broken.
    pub fn public_good() -> Result<Self, Error> {
        Self::from_json(SIGSTORE_PRODUCTION_TRUSTED_ROOT.as_bytes())
    }

    /// Reads a `trusted_root.json`, as `cosign trusted-root create` writes one. If it names logs of certificates, each
    /// certificate has to be in one of them.
    ///
    /// # Errors
    /// [`Error::TrustedRoot`] for what is none, or is without a certificate authority or a transparency log.
    pub fn from_json(text: &[u8]) -> Result<Self, Error> {
        let root: trust_root::TrustedRoot =
            serde_json::from_slice(text).map_err(|error| Error::TrustedRoot(error.to_string()))?;
        if root.certificate_authorities.is_empty() {
            return Err(Error::TrustedRoot("it names no certificate authority".to_owned()));
        }
        if root.tlogs.is_empty() {
            return Err(Error::TrustedRoot("it names no transparency log".to_owned()));
        }
        let policy = VerificationPolicy::any_identity();
        Ok(Self {
            policy: match root.ctlogs.is_empty() {
                true => policy.skip_sct(),
                false => policy,
            },
            verifier: Arc::new(Verifier::new(&root).map_err(|error| Error::TrustedRoot(error.to_string()))?),
        })
    }
}

impl Identity {
    /// The subject, and the OpenID Connect issuer that vouched for it, such as
    /// `https://token.actions.githubusercontent.com`.
    pub fn new(subject: Subject, issuer: impl Into<String>, root: TrustedRoot) -> Self {
        Self {
            subject,
            issuer: issuer.into(),
            root,
        }
    }

    /// The digest that a document names, if this identity signed it.
    pub(super) fn digest_of_document(&self, document: &Document) -> Result<Vec<String>, Refusal> {
        let bundle = bundle_of(document)?;
        self.has_signed(document.text.as_slice().into(), &bundle)?;
        Ok(document.digest())
    }

    /// The digests that a bundle's statement names, if they have the expected one among them and this identity signed it.
    pub(super) fn digests_of_bundle(&self, expected: &Digest, bundle: &[u8]) -> Result<Vec<String>, Refusal> {
        let bundle: Bundle = serde_json::from_slice(bundle).map_err(unreadable)?;
        let SignatureContent::DsseEnvelope(envelope) = &bundle.content else {
            return Err(Refusal::other_signer("is of a file, not of a module"));
        };
        let digests = statement::digests(&envelope.payload_type, envelope.payload.as_bytes());
        let hash = Sha256Hash::from_hex(expected.hex()).map_err(unreadable)?;
        // One about another module is told so by our caller, whoever signed it.
        if digests.contains(&expected.to_string()) {
            self.has_signed(Artifact::from_digest(hash), &bundle)?;
        }
        Ok(digests)
    }

    fn has_signed(&self, artifact: Artifact<'_>, bundle: &Bundle) -> Result<(), Refusal> {
        if bundle.signing_certificate().is_none() {
            return Err(Refusal::other_signer("was made with a key, and names no identity"));
        }
        let verified = self.root.verifier.verify(artifact, bundle, &self.root.policy);
        let verified = verified.map_err(|error| Refusal::other_signer(format_args!("is not valid: {error}")))?;
        match (verified.identity(), verified.issuer()) {
            (Some(subject), Some(issuer)) if self.subject.is(subject.as_str()) && self.issuer == issuer => Ok(()),
            (subject, issuer) => Err(Refusal::other_signer(format_args!(
                "was made by `{}` (issuer `{}`)",
                subject.map_or("nobody", |subject| subject.as_str()),
                issuer.unwrap_or("none")
            ))),
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Subject { text, pattern } = &self.subject;
        let matching = if pattern.is_some() {
            "an identity that matches "
        } else {
            ""
        };
        write!(f, "by {matching}`{text}` (issuer `{}`)", self.issuer)
    }
}

fn unreadable(why: impl fmt::Display) -> Refusal {
    Refusal::other_signer(format_args!("cannot be read: {why}"))
}

/// What cosign keeps of a log's answer in an annotation.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct LogEntry {
    signed_entry_timestamp: String,
    payload: LogPayload,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogPayload {
    body: String,
    integrated_time: i64,
    log_index: i64,
    #[serde(rename = "logID")]
    log_id: String,
}

/// A document's signature as the bundle that it would be now.
fn bundle_of(document: &Document) -> Result<Bundle, Refusal> {
    let Some(certificate) = &document.certificate else {
        return Err(Refusal::other_signer("was made with a key, and names no identity"));
    };
    let Some(entry) = &document.log_entry else {
        return Err(Refusal::other_signer("is in no transparency log"));
    };
    let LogEntry {
        signed_entry_timestamp,
        payload,
    } = serde_json::from_str(entry).map_err(unreadable)?;
    let log = Sha256Hash::from_hex(&payload.log_id).map_err(unreadable)?;
    let chain = document.chain.as_deref().unwrap_or_default();
    let certificates = CertificateDer::pem_slice_iter(certificate.as_bytes())
        .take(1)
        .chain(CertificateDer::pem_slice_iter(chain.as_bytes()))
        .take(MAX_CERTIFICATES)
        .map(|certificate| Ok(json!({"rawBytes": super::base64(&certificate.map_err(unreadable)?)})))
        .collect::<Result<Vec<Value>, Refusal>>()?;
    let bundle = json!({
        "mediaType": "application/vnd.dev.sigstore.bundle+json;version=0.1",
        "verificationMaterial": {
            "x509CertificateChain": {"certificates": certificates},
            "tlogEntries": [{
                "logIndex": payload.log_index.to_string(),
                "logId": {"keyId": log.to_base64()},
                "kindVersion": {"kind": "hashedrekord", "version": "0.0.1"},
                "integratedTime": payload.integrated_time.to_string(),
                "inclusionPromise": {"signedEntryTimestamp": signed_entry_timestamp},
                "canonicalizedBody": payload.body,
            }],
        },
        "messageSignature": {"signature": document.signature.trim()},
    });
    serde_json::from_value(bundle).map_err(unreadable)
}
