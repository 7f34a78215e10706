//! A Sigstore of our own: an authority that certifies keys for identities, a log of certificates, and a log of signatures.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, PublicKeyData, SanType, SerialNumber, SigningKey,
};
use serde_json::{Value, json};

use crate::artifact::signature::{Document, Signature, base64, statement};
use crate::artifact::{Digest, TrustedRoot};

/// When certificates begin, in seconds since 1970: 2024-01-01. They hold for ten minutes.
pub(super) const BEGIN: u64 = 1_704_067_200;

pub(super) const WORKFLOW: &str = "https://github.com/telewarden/telewarden/.github/workflows/release.yml@refs/tags/v1";
pub(super) const GITHUB: &str = "https://token.actions.githubusercontent.com";

pub(super) struct Sigstore {
    authority: CertifiedIssuer<'static, KeyPair>,
    /// Of signatures.
    log: KeyPair,
    /// Of certificates, if there is one.
    certificates: Option<KeyPair>,
}

/// Who signs, and when.
pub(super) struct Identity {
    pub(super) subject: SanType,
    pub(super) issuer: &'static str,
    /// Seconds after the certificate's begin.
    pub(super) at: u64,
    pub(super) usage: ExtendedKeyUsagePurpose,
}

impl Default for Identity {
    fn default() -> Self {
        Self {
            subject: SanType::URI(WORKFLOW.try_into().unwrap()),
            issuer: GITHUB,
            at: 60,
            usage: ExtendedKeyUsagePurpose::CodeSigning,
        }
    }
}

/// A certificate that holds for ten minutes, and its key.
pub(super) struct Certified {
    key: KeyPair,
    der: Vec<u8>,
    pem: String,
}

pub(super) fn authority(name: &str) -> (CertificateParams, KeyPair) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
    (params, KeyPair::generate().unwrap())
}

impl Sigstore {
    pub(super) fn new() -> Self {
        let (params, key) = authority("authority");
        Self {
            authority: CertifiedIssuer::self_signed(params, key).unwrap(),
            log: KeyPair::generate().unwrap(),
            certificates: None,
        }
    }

    pub(super) fn with_log_of_certificates() -> Self {
        Self {
            certificates: Some(KeyPair::generate().unwrap()),
            ..Self::new()
        }
    }

    /// The same, but its log of certificates has another key.
    pub(super) fn with_another_log_of_certificates(self) -> Self {
        Self {
            certificates: Some(KeyPair::generate().unwrap()),
            ..self
        }
    }

    /// The same, with an authority between the one that is trusted and the signer, and that one's certificate.
    pub(super) fn below(self) -> (Self, String, TrustedRoot) {
        let root = self.root();
        let (params, key) = authority("intermediate");
        let authority = CertifiedIssuer::signed_by(params, key, &self.authority).unwrap();
        let pem = authority.pem();
        (Self { authority, ..self }, pem, root)
    }

    /// What cosign calls a trusted root.
    pub(super) fn root_json(&self) -> Value {
        let log = |key: &KeyPair| {
            json!({
                "baseUrl": "https://log.example.com",
                "hashAlgorithm": "SHA2_256",
                "publicKey": {
                    "rawBytes": base64(&key.subject_public_key_info()),
                    "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                    "validFor": {"start": "2020-01-01T00:00:00Z"},
                },
                "logId": {"keyId": base64(&log_id(key))},
            })
        };
        json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [log(&self.log)],
            "certificateAuthorities": [{
                "subject": {"commonName": "authority"},
                "uri": "https://authority.example.com",
                "certChain": {"certificates": [{"rawBytes": base64(self.authority.der())}]},
                "validFor": {"start": "2020-01-01T00:00:00Z"},
            }],
            "ctlogs": self.certificates.iter().map(log).collect::<Vec<_>>(),
        })
    }

    pub(super) fn root(&self) -> TrustedRoot {
        TrustedRoot::from_json(self.root_json().to_string().as_bytes()).expect("a trusted root")
    }

    fn certify(&self, identity: &Identity) -> Certified {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.serial_number = Some(SerialNumber::from(vec![1, 2, 3]));
        params.not_before = rcgen::date_time_ymd(2024, 1, 1);
        params.not_after = params.not_before + std::time::Duration::from_secs(600);
        params.subject_alt_names = vec![identity.subject.clone()];
        params.extended_key_usages = vec![identity.usage.clone()];
        let utf8 = [
            &[0x0c, u8::try_from(identity.issuer.len()).unwrap()],
            identity.issuer.as_bytes(),
        ]
        .concat();
        let issuer = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 57264, 1, 8], utf8);
        params.custom_extensions = vec![issuer];
        let mut certificate = params.signed_by(&key, &self.authority).unwrap();
        if let Some(log) = &self.certificates {
            let list = certificate_timestamps(log, certificate.der(), &self.authority.key().subject_public_key_info());
            let list = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 11129, 2, 4, 2], list);
            params.custom_extensions.push(list);
            certificate = params.signed_by(&key, &self.authority).unwrap();
        }
        Certified {
            key,
            der: certificate.der().to_vec(),
            pem: certificate.pem(),
        }
    }

    /// A signature in cosign's first form.
    pub(super) fn document(&self, identity: &Identity, digest: &Digest) -> Document {
        let certified = self.certify(identity);
        let text = document(digest);
        let signature = base64(&certified.key.sign(&text).unwrap());
        let body = json!({
            "apiVersion": "0.0.1",
            "kind": "hashedrekord",
            "spec": {
                "data": {"hash": {"algorithm": "sha256", "value": Digest::of(&text).hex()}},
                "signature": {"content": signature, "publicKey": {"content": base64(certified.pem.as_bytes())}},
            },
        });
        let body = body.to_string();
        let time = BEGIN + identity.at;
        let entry = json!({
            "SignedEntryTimestamp": self.promise(&body, time),
            "Payload": {
                "body": base64(body.as_bytes()),
                "integratedTime": time,
                "logIndex": 0,
                "logID": hex(&log_id(&self.log)),
            },
        });
        Document {
            text,
            signature,
            certificate: Some(certified.pem),
            chain: Some(self.authority.pem()),
            log_entry: Some(entry.to_string()),
        }
    }

    /// A signature as a bundle.
    pub(super) fn bundle(&self, identity: &Identity, digest: &Digest) -> Value {
        let certified = self.certify(identity);
        let mut bundle = envelope(&certified.key, &statement(digest));
        let sig = bundle["dsseEnvelope"]["signatures"][0]["sig"].clone();
        let payload = statement(digest);
        let body = json!({
            "apiVersion": "0.0.1",
            "kind": "dsse",
            "spec": {
                "envelopeHash": {"algorithm": "sha256", "value": Digest::of(b"whatever").hex()},
                "payloadHash": {"algorithm": "sha256", "value": Digest::of(payload.as_bytes()).hex()},
                "signatures": [{"signature": sig, "verifier": base64(certified.pem.as_bytes())}],
            },
        });
        let body = body.to_string();
        let time = BEGIN + identity.at;
        bundle["verificationMaterial"] = json!({
            "certificate": {"rawBytes": base64(&certified.der)},
            "tlogEntries": [{
                "logIndex": "0",
                "logId": {"keyId": base64(&log_id(&self.log))},
                "kindVersion": {"kind": "dsse", "version": "0.0.1"},
                "integratedTime": time.to_string(),
                "inclusionPromise": {"signedEntryTimestamp": self.promise(&body, time)},
                "inclusionProof": self.proof(&body),
                "canonicalizedBody": base64(body.as_bytes()),
            }],
        });
        bundle
    }

    /// That the log will take up an entry, and when it came.
    fn promise(&self, body: &str, time: u64) -> String {
        let (body, id) = (base64(body.as_bytes()), hex(&log_id(&self.log)));
        let entry = format!(r#"{{"body":"{body}","integratedTime":{time},"logID":"{id}","logIndex":0}}"#);
        base64(&self.log.sign(entry.as_bytes()).unwrap())
    }

    /// That the log has an entry: the only one that it has.
    fn proof(&self, body: &str) -> Value {
        let root = sha256(&[&[0], body.as_bytes()].concat());
        let root = base64(&root);
        let note = format!("log.example.com\n1\n{root}\n");
        let signature = self.log.sign(note.as_bytes()).unwrap();
        let signature = base64(&[&log_id(&self.log)[..4], &signature].concat());
        json!({
            "logIndex": "0",
            "rootHash": root,
            "treeSize": "1",
            "hashes": [],
            "checkpoint": {"envelope": format!("{note}\n— log.example.com {signature}\n")},
        })
    }
}

/// What is signed in cosign's first form.
pub(super) fn document(digest: &Digest) -> Vec<u8> {
    let document = json!({
        "critical": {
            "identity": {"docker-reference": "ghcr.io/telewarden"},
            "image": {"docker-manifest-digest": digest.to_string()},
            "type": "cosign container image signature",
        },
        "optional": null,
    });
    document.to_string().into_bytes()
}

/// What is signed in its second form.
pub(super) fn statement(digest: &Digest) -> String {
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"digest": {"sha256": digest.hex()}}],
        "predicateType": statement::PREDICATE_TYPE,
        "predicate": {},
    });
    statement.to_string()
}

/// A bundle with a statement that was signed with a key.
pub(super) fn envelope(key: &KeyPair, statement: &str) -> Value {
    const TYPE: &str = "application/vnd.in-toto+json";
    let signed = format!("DSSEv1 {} {TYPE} {} {statement}", TYPE.len(), statement.len());
    json!({
        "mediaType": statement::BUNDLE_MEDIA_TYPE,
        "verificationMaterial": {"publicKey": {"hint": ""}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": base64(statement.as_bytes()),
            "payloadType": TYPE,
            "signatures": [{"sig": base64(&key.sign(signed.as_bytes()).unwrap())}],
        },
    })
}

pub(super) fn of_bundle(bundle: &Value) -> Signature {
    Signature::Bundle(bundle.to_string().into_bytes())
}

/// RFC 6962, sections 3.2 and 3.3: that a log of certificates will take up this one, which is without the list itself.
fn certificate_timestamps(log: &KeyPair, certificate: &[u8], issuer_key: &[u8]) -> Vec<u8> {
    let certificate = to_be_signed(certificate);
    let time = (BEGIN * 1000).to_be_bytes();
    let length = u32::try_from(certificate.len()).unwrap().to_be_bytes();
    let signed = [
        &[0, 0][..],
        &time,
        &[0, 1],
        &sha256(issuer_key),
        &length[1..],
        certificate,
        &[0, 0],
    ]
    .concat();
    let signature = log.sign(&signed).unwrap();
    let timestamp = [&[0][..], &log_id(log), &time, &[0, 0, 4, 3], &counted(&signature)].concat();
    let list = counted(&counted(&timestamp));
    [&[0x04, u8::try_from(list.len()).unwrap()], list.as_slice()].concat()
}

/// Bytes after their number.
fn counted(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
    [&length, bytes].concat()
}

/// The part of a certificate that is signed: the first of a sequence's elements.
fn to_be_signed(certificate: &[u8]) -> &[u8] {
    let header = |der: &[u8]| match der[1] {
        0x82 => (4, usize::from(der[2]) << 8 | usize::from(der[3])),
        0x81 => (3, usize::from(der[2])),
        short => (2, usize::from(short)),
    };
    let inner = &certificate[header(certificate).0..];
    let (start, length) = header(inner);
    &inner[..start + length]
}

fn log_id(key: &KeyPair) -> Vec<u8> {
    sha256(&key.subject_public_key_info())
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes)
        .as_ref()
        .to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
