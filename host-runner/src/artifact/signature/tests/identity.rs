//! Signatures by identity.

use proptest::prelude::*;
use rcgen::{ExtendedKeyUsagePurpose, KeyPair, SanType};
use rstest::rstest;
use serde_json::{Value, json};

use super::sigstore::{self, GITHUB, Identity, Sigstore, WORKFLOW, envelope, of_bundle, statement};
use crate::artifact::signature::{Document, Refusal, Signature, Signer};
use crate::artifact::{Digest, Error, Identity as Expected, Subject, TrustedRoot};

fn digest() -> Digest {
    Digest::of(b"a module's manifest")
}

fn another() -> Digest {
    Digest::of(b"another module's manifest")
}

/// The workflow of our releases.
fn workflow(root: TrustedRoot) -> Signer {
    expected(Subject::exactly(WORKFLOW), GITHUB, root)
}

fn expected(subject: Subject, issuer: &str, root: TrustedRoot) -> Signer {
    Signer::Identity(Expected::new(subject, issuer, root))
}

/// Cosign's two forms.
#[derive(Clone, Copy, Debug)]
enum Form {
    Document,
    Bundle,
}
use Form::{Bundle, Document as Doc};

fn sign(form: Form, sigstore: &Sigstore, identity: &Identity) -> Signature {
    match form {
        Doc => Signature::Document(sigstore.document(identity, &digest())),
        Bundle => of_bundle(&sigstore.bundle(identity, &digest())),
    }
}

fn check(signer: &Signer, signature: &Signature) -> Result<(), String> {
    signer
        .has_signed(&digest(), signature)
        .map_err(|refusal| match refusal {
            Refusal::OtherSigner(why) => why,
            Refusal::OtherDigest(digest) => format!("is of {digest}"),
        })
}

#[track_caller]
fn refused(signer: &Signer, signature: &Signature, expected: &str) {
    let why = check(signer, signature).expect_err("it is refused");
    assert!(why.contains(expected), "{why}");
}

#[rstest]
fn what_was_signed_is_verified(#[values(Doc, Bundle)] form: Form) {
    let sigstore = Sigstore::new();
    let signature = sign(form, &sigstore, &Identity::default());
    assert_eq!(check(&workflow(sigstore.root()), &signature), Ok(()));
    for pattern in [
        "https://github.com/telewarden/telewarden/.*",
        r"https://github\.com/.*@refs/tags/v\d+",
        "nobody|https://.*",
    ] {
        let subject = Subject::matching(pattern).unwrap();
        assert_eq!(
            check(&expected(subject, GITHUB, sigstore.root()), &signature),
            Ok(()),
            "{pattern}"
        );
    }
}

#[rstest]
fn a_person_s_address_is_an_identity(#[values(Doc, Bundle)] form: Form) {
    let sigstore = Sigstore::new();
    let person = Identity {
        subject: SanType::Rfc822Name("jo@example.com".try_into().unwrap()),
        issuer: "https://accounts.example.com",
        ..Identity::default()
    };
    let signature = sign(form, &sigstore, &person);
    let subject = Subject::exactly("jo@example.com");
    let jo = expected(subject, "https://accounts.example.com", sigstore.root());
    assert_eq!(check(&jo, &signature), Ok(()));
    refused(
        &workflow(sigstore.root()),
        &signature,
        "was made by `jo@example.com` (issuer `https://accounts.example.com`)",
    );
}

#[rstest]
fn another_identity_is_refused(
    #[values(Doc, Bundle)] form: Form,
    #[values(
        "",
        "https://github.com/telewarden/telewarden",
        "https://example.com/fork.yml@refs/tags/v1"
    )]
    subject: &str,
) {
    let sigstore = Sigstore::new();
    let signature = sign(form, &sigstore, &Identity::default());
    let found = format!("was made by `{WORKFLOW}` (issuer `{GITHUB}`)");
    let exactly = expected(Subject::exactly(subject), GITHUB, sigstore.root());
    refused(&exactly, &signature, &found);
    // A part of it is no match.
    let matching = expected(Subject::matching(subject).unwrap(), GITHUB, sigstore.root());
    refused(&matching, &signature, &found);
}

#[rstest]
fn another_issuer_is_refused(
    #[values(Doc, Bundle)] form: Form,
    #[values("", "https://example.com", "https://token.actions.githubusercontent.com/")] issuer: &str,
) {
    let sigstore = Sigstore::new();
    let signature = sign(form, &sigstore, &Identity::default());
    let subject = Subject::exactly(WORKFLOW);
    refused(
        &expected(subject, issuer, sigstore.root()),
        &signature,
        "(issuer `https://token",
    );
}

#[rstest]
fn a_signature_outside_of_the_certificate_s_time_is_refused(#[values(Doc, Bundle)] form: Form) {
    let sigstore = Sigstore::new();
    let at = |at| {
        sign(
            form,
            &sigstore,
            &Identity {
                at,
                ..Identity::default()
            },
        )
    };
    let workflow = workflow(sigstore.root());
    assert_eq!(check(&workflow, &at(0)), Ok(()));
    assert_eq!(check(&workflow, &at(600)), Ok(()));
    refused(&workflow, &at(601), "xpired");
    let in_seven_thousand_years = 220_000_000_000;
    refused(&workflow, &at(in_seven_thousand_years), "in the future");
}

#[rstest]
fn another_authority_and_another_log_are_refused(#[values(Doc, Bundle)] form: Form) {
    let (sigstore, other) = (Sigstore::new(), Sigstore::new());
    let signature = sign(form, &sigstore, &Identity::default());
    let exchanged = |field: &str| {
        let mut root = sigstore.root_json();
        root[field] = other.root_json()[field].clone();
        workflow(TrustedRoot::from_json(root.to_string().as_bytes()).unwrap())
    };
    refused(&exchanged("certificateAuthorities"), &signature, "certificate chain");
    refused(&exchanged("tlogs"), &signature, "log key");
    refused(&workflow(other.root()), &signature, "is not valid");
}

#[rstest]
fn a_certificate_for_something_else_is_refused(#[values(Doc, Bundle)] form: Form) {
    let sigstore = Sigstore::new();
    let server = Identity {
        usage: ExtendedKeyUsagePurpose::ServerAuth,
        ..Identity::default()
    };
    refused(
        &workflow(sigstore.root()),
        &sign(form, &sigstore, &server),
        "certificate chain",
    );
}

#[rstest]
fn a_signature_of_another_module_is_refused(#[values(Doc, Bundle)] form: Form) {
    let sigstore = Sigstore::new();
    let signature = match form {
        Doc => Signature::Document(sigstore.document(&Identity::default(), &another())),
        Bundle => of_bundle(&sigstore.bundle(&Identity::default(), &another())),
    };
    refused(&workflow(sigstore.root()), &signature, &format!("is of {}", another()));
}

#[rstest]
fn a_certificate_has_to_be_in_the_log_of_certificates_where_there_is_one(#[values(Doc, Bundle)] form: Form) {
    let sigstore = Sigstore::with_log_of_certificates();
    let signature = sign(form, &sigstore, &Identity::default());
    assert_eq!(check(&workflow(sigstore.root()), &signature), Ok(()));
    let sigstore = sigstore.with_another_log_of_certificates();
    refused(&workflow(sigstore.root()), &signature, "certificate timestamp");

    let mut root = sigstore.root_json();
    root["ctlogs"] = json!([]);
    let without = workflow(TrustedRoot::from_json(root.to_string().as_bytes()).unwrap());
    assert_eq!(check(&without, &signature), Ok(()));

    let never_logged = Sigstore::new();
    let signature = sign(form, &never_logged, &Identity::default());
    let mut root = never_logged.root_json();
    root["ctlogs"] = sigstore.root_json()["ctlogs"].clone();
    let strict = workflow(TrustedRoot::from_json(root.to_string().as_bytes()).unwrap());
    refused(&strict, &signature, "certificate timestamp");
}

#[test]
fn an_authority_may_be_between() {
    let (sigstore, pem, root) = Sigstore::new().below();
    let mut document = sigstore.document(&Identity::default(), &digest());
    let workflow = workflow(root);
    document.chain = Some(pem);
    assert_eq!(check(&workflow, &Signature::Document(document.clone())), Ok(()));
    document.chain = None;
    refused(&workflow, &Signature::Document(document), "certificate chain");
}

/// One part of a signature is exchanged for that of another one, which is right by itself.
#[rstest]
#[case::document(|to: &mut Document, from: Document| to.text = from.text)]
#[case::signature(|to: &mut Document, from: Document| to.signature = from.signature)]
#[case::certificate(|to: &mut Document, from: Document| to.certificate = from.certificate)]
#[case::log_entry(|to: &mut Document, from: Document| to.log_entry = from.log_entry)]
#[case::no_certificate(|to: &mut Document, _: Document| to.certificate = None)]
#[case::no_log_entry(|to: &mut Document, _: Document| to.log_entry = None)]
#[case::time(|to: &mut Document, _: Document| replace(&mut to.log_entry, "1704067260", "1704067261"))]
#[case::log(|to: &mut Document, _: Document| replace(&mut to.log_entry, "\"logIndex\":0", "\"logIndex\":1"))]
#[case::promise(|to: &mut Document, _: Document| replace(&mut to.log_entry, "\"ME", "\"MF"))]
fn a_document_s_parts_belong_together(#[case] exchange: fn(&mut Document, Document)) {
    let sigstore = Sigstore::new();
    let workflow = workflow(sigstore.root());
    let mut document = sigstore.document(&Identity::default(), &digest());
    let other = sigstore.document(&Identity::default(), &another());
    assert_eq!(check(&workflow, &Signature::Document(document.clone())), Ok(()));
    exchange(&mut document, other);
    check(&workflow, &Signature::Document(document)).expect_err("it is refused");
}

fn replace(text: &mut Option<String>, from: &str, to: &str) {
    let text = text.as_mut().unwrap();
    assert!(text.contains(from), "{text}");
    *text = text.replace(from, to);
}

/// The same for a bundle: its part at a pointer is another's, or is gone.
#[rstest]
fn a_bundle_s_parts_belong_together(
    #[values(
        "/dsseEnvelope/payload",
        "/dsseEnvelope/payloadType",
        "/dsseEnvelope/signatures",
        "/verificationMaterial/certificate",
        "/verificationMaterial/tlogEntries",
        "/verificationMaterial/tlogEntries/0/logId",
        "/verificationMaterial/tlogEntries/0/integratedTime",
        "/verificationMaterial/tlogEntries/0/inclusionPromise",
        "/verificationMaterial/tlogEntries/0/inclusionProof",
        "/verificationMaterial/tlogEntries/0/inclusionProof/rootHash",
        "/verificationMaterial/tlogEntries/0/inclusionProof/checkpoint",
        "/verificationMaterial/tlogEntries/0/canonicalizedBody"
    )]
    part: &str,
    #[values(true, false)] is_exchanged: bool,
) {
    let sigstore = Sigstore::new();
    let workflow = workflow(sigstore.root());
    let mut bundle = sigstore.bundle(&Identity::default(), &digest());
    assert_eq!(check(&workflow, &of_bundle(&bundle)), Ok(()));
    let at = Identity {
        at: 61,
        ..Identity::default()
    };
    let other = Sigstore::new().bundle(&at, &another());
    let other = other.pointer(part).unwrap().clone();
    match (bundle.pointer_mut(part).unwrap(), other) {
        (part, _) if !is_exchanged => *part = Value::Null,
        (part, other) if *part == other => *part = json!("else"),
        (part, other) => *part = other,
    }
    check(&workflow, &of_bundle(&bundle)).expect_err("it is refused");
}

#[rstest]
#[case::a_key(|_: &Sigstore| envelope(&KeyPair::generate().unwrap(), &statement(&digest())), "was made with a key")]
#[case::nothing(|_: &Sigstore| json!(null), "cannot be read")]
#[case::a_file(
    |sigstore: &Sigstore| {
        let mut bundle = sigstore.bundle(&Identity::default(), &digest());
        let parts = bundle.as_object_mut().unwrap();
        parts.remove("dsseEnvelope");
        parts.insert("messageSignature".to_owned(), json!({"signature": "AAAA"}));
        bundle
    },
    "is of a file"
)]
fn other_bundles_are_refused(#[case] bundle: fn(&Sigstore) -> Value, #[case] why: &str) {
    let sigstore = Sigstore::new();
    refused(&workflow(sigstore.root()), &of_bundle(&bundle(&sigstore)), why);
}

#[test]
fn a_document_that_was_signed_with_a_key_is_refused() {
    let document = Document {
        text: sigstore::document(&digest()),
        ..Document::default()
    };
    refused(
        &workflow(Sigstore::new().root()),
        &Signature::Document(document),
        "was made with a key",
    );
}

proptest! {
    /// What anybody puts beside a module is refused, and no more.
    #[test]
    fn no_text_is_a_signature(text in any::<Vec<u8>>(), more in any::<String>()) {
        let workflow = workflow(Sigstore::new().root());
        prop_assert!(workflow.has_signed(&digest(), &Signature::Bundle(text.clone())).is_err());
        let document = Document {
            text,
            signature: more.clone(),
            certificate: Some(more.clone()),
            chain: Some(more.clone()),
            log_entry: Some(more),
        };
        prop_assert!(workflow.has_signed(&digest(), &Signature::Document(document)).is_err());
    }

    /// One byte of a good one is another.
    #[test]
    fn no_byte_can_be_changed_for_a_panic(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let sigstore = Sigstore::new();
        let workflow = workflow(sigstore.root());
        let mut bundle = sigstore.bundle(&Identity::default(), &digest()).to_string().into_bytes();
        let at_byte = at.index(bundle.len());
        bundle[at_byte] = byte;
        _ = workflow.has_signed(&digest(), &Signature::Bundle(bundle));
        let mut document = sigstore.document(&Identity::default(), &digest());
        let mut entry = document.log_entry.take().unwrap().into_bytes();
        let at_byte = at.index(entry.len());
        entry[at_byte] = byte;
        document.log_entry = String::from_utf8(entry).ok();
        _ = workflow.has_signed(&digest(), &Signature::Document(document));
    }
}

#[rstest]
#[case::nothing("", "EOF")]
#[case::something_else("{}", "mediaType")]
#[case::no_authority(r#"{"mediaType": "", "tlogs": []}"#, "no certificate authority")]
fn what_is_no_trusted_root_is_refused(#[case] text: &str, #[case] why: &str) {
    let error = TrustedRoot::from_json(text.as_bytes()).unwrap_err().to_string();
    assert!(error.contains(why), "{error}");
}

#[test]
fn a_trusted_root_needs_a_log_and_keys_that_are_keys() {
    for (pointer, value, why) in [
        ("/tlogs", json!([]), "no transparency log"),
        ("/tlogs/0/publicKey/rawBytes", json!("AAAA"), "key"),
        (
            "/certificateAuthorities/0/certChain/certificates/0/rawBytes",
            json!("AAAA"),
            "certificate",
        ),
    ] {
        let mut root = Sigstore::new().root_json();
        *root.pointer_mut(pointer).unwrap() = value;
        let error = TrustedRoot::from_json(root.to_string().as_bytes())
            .unwrap_err()
            .to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn the_public_instance_s_is_there() {
    TrustedRoot::public_good().expect("a trusted root");
}

#[rstest]
#[case::open("(")]
#[case::only_between_parentheses("a)|(?:b")]
fn what_is_no_pattern_is_refused(#[case] pattern: &str) {
    assert!(matches!(Subject::matching(pattern), Err(Error::Pattern { .. })));
}
