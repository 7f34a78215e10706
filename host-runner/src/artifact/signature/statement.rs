//! What cosign signs since version 3: an in-toto statement that names digests, in a DSSE envelope, in a Sigstore bundle.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::{Key, Refusal};

/// The type of the layers that are bundles.
pub(in super::super) const BUNDLE_MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// What a statement says about its subjects if it is a signature. A signed list of contents, or a report about the module,
/// is a statement too, and none that the module may be run.
pub(in super::super) const PREDICATE_TYPE: &str = "https://sigstore.dev/cosign/sign/v1";

/// What is in the envelope: <https://github.com/in-toto/attestation/blob/main/spec/v1/envelope.md>
const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// A Sigstore bundle, as far as a key needs it:
/// <https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_bundle.proto>
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    dsse_envelope: Envelope,
}

/// <https://github.com/secure-systems-lab/dsse/blob/master/envelope.md>
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: [EnvelopeSignature; 1],
}

#[derive(Deserialize)]
struct EnvelopeSignature {
    sig: String,
}

/// <https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md>
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    subject: Vec<Subject>,
    predicate_type: String,
}

#[derive(Deserialize)]
struct Subject {
    digest: SubjectDigest,
}

#[derive(Deserialize)]
struct SubjectDigest {
    sha256: Option<String>,
}

/// The digests that a bundle's statement names, if it was signed with the key.
pub(super) fn digests_signed_with(key: &Key, bundle: &[u8]) -> Result<Vec<String>, Refusal> {
    let bundle: Bundle = serde_json::from_slice(bundle)
        .map_err(|error| Refusal::other_signer(format_args!("cannot be read: {error}")))?;
    let Envelope {
        payload,
        payload_type,
        signatures: [EnvelopeSignature { sig }],
    } = bundle.dsse_envelope;
    let payload = STANDARD.decode(payload);
    let is_signed = |payload: &[u8]| {
        let signature = STANDARD.decode(sig);
        signature.is_ok_and(|signature| key.has_signed(&authenticated(&payload_type, payload), &signature))
    };
    match payload {
        Ok(payload) if is_signed(&payload) => Ok(digests(&payload_type, &payload)),
        _ => Err(Refusal::other_signer("was not made with this key")),
    }
}

/// The digests of what a statement says that it was signed. None if it says something else.
pub(super) fn digests(payload_type: &str, payload: &[u8]) -> Vec<String> {
    match serde_json::from_slice::<Statement>(payload) {
        Ok(statement) if payload_type == PAYLOAD_TYPE && statement.predicate_type == PREDICATE_TYPE => {
            let digests = statement
                .subject
                .into_iter()
                .filter_map(|subject| subject.digest.sha256);
            digests.map(|hex| format!("sha256:{hex}")).collect()
        }
        _ => Vec::new(),
    }
}

/// What is signed of an envelope: <https://github.com/secure-systems-lab/dsse/blob/master/protocol.md>
fn authenticated(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}
