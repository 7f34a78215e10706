//! Signatures with a key.

use rstest::rstest;

use crate::artifact::signature::{Document, Refusal, Signature, Signer};
use crate::artifact::{Error, Key};

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
const OTHER: &str = "was not made with this key";
const DIGEST: &str = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

fn refusal(why: &str) -> Result<(), Refusal> {
    Err(Refusal::OtherSigner(why.to_owned()))
}

fn check(pem: &str, document: &str, signature: &str, digest: &str) -> Result<(), Refusal> {
    let annotation = |name: &str| (name == "dev.cosignproject.cosign/signature").then(|| signature.to_owned());
    let document = Document::new(document.into(), annotation).expect("a signature");
    let key = Key::from_pem(pem.as_bytes()).expect("a key");
    Signer::Key(key).has_signed(&digest.parse().expect("a digest"), &Signature::Document(document))
}

#[rstest]
#[case::p256(P256_KEY, P256_SIGNATURE)]
#[case::ed25519(ED25519_KEY, ED25519_SIGNATURE)]
fn what_openssl_signed_is_verified(#[case] key: &str, #[case] signature: &str) {
    assert_eq!(check(key, DOCUMENT, signature, DIGEST), Ok(()));
    let changed = DOCUMENT.replace("telewarden", "telewurden");
    assert_eq!(check(key, &changed, signature, DIGEST), refusal(OTHER));
    let other = DIGEST.replace("2cf2", "2cf3");
    let of_another = Err(Refusal::OtherDigest(DIGEST.to_owned()));
    assert_eq!(check(key, DOCUMENT, signature, &other), of_another);
    for signature in ["", "AAAA", "no base64"] {
        assert_eq!(check(key, DOCUMENT, signature, DIGEST), refusal(OTHER));
    }
}

#[test]
fn another_key_s_signature_is_refused() {
    assert_eq!(check(OTHER_KEY, DOCUMENT, P256_SIGNATURE, DIGEST), refusal(OTHER));
}

#[test]
fn a_document_of_another_kind_is_refused() {
    let checked = check(P256_KEY, OTHER_DOCUMENT, OTHER_SIGNATURE, DIGEST);
    assert_eq!(checked, refusal("is of something else than a module"));
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

#[cfg(feature = "keyless")]
mod bundle {
    use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SignatureAlgorithm};
    use serde_json::{Value, json};

    use super::super::sigstore::{envelope, of_bundle, statement};
    use super::*;

    fn check(key: &KeyPair, bundle: &Value) -> Result<(), Refusal> {
        let key = Key::from_pem(key.public_key_pem().as_bytes()).expect("a key");
        Signer::Key(key).has_signed(&DIGEST.parse().expect("a digest"), &of_bundle(bundle))
    }

    #[rstest]
    #[case::p256(&PKCS_ECDSA_P256_SHA256)]
    #[case::ed25519(&PKCS_ED25519)]
    fn what_was_signed_is_verified(#[case] algorithm: &'static SignatureAlgorithm) {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let statement = statement(&DIGEST.parse().unwrap());
        let bundle = envelope(&key, &statement);
        assert_eq!(check(&key, &bundle), Ok(()));
        let other = KeyPair::generate_for(algorithm).unwrap();
        assert_eq!(check(&other, &bundle), refusal(OTHER));

        let changed = statement.replace("2cf2", "2cf3");
        let of_another = Err(Refusal::OtherDigest(DIGEST.replace("2cf2", "2cf3")));
        assert_eq!(check(&key, &envelope(&key, &changed)), of_another);
        let mut exchanged = envelope(&key, &changed);
        exchanged["dsseEnvelope"]["payload"] = bundle["dsseEnvelope"]["payload"].clone();
        assert_eq!(check(&key, &exchanged), refusal(OTHER));
        for sig in ["", "AAAA", "no base64"] {
            let mut exchanged = bundle.clone();
            exchanged["dsseEnvelope"]["signatures"][0]["sig"] = json!(sig);
            assert_eq!(check(&key, &exchanged), refusal(OTHER));
        }
    }

    #[rstest]
    #[case::a_list_of_contents("https://sigstore.dev/cosign/sign/v1", "https://spdx.dev/Document")]
    #[case::no_digest("sha256", "sha1")]
    #[case::no_statement("{", "[")]
    fn another_statement_is_no_signature(#[case] from: &str, #[case] to: &str) {
        let key = KeyPair::generate().unwrap();
        let statement = statement(&DIGEST.parse().unwrap()).replace(from, to);
        assert_eq!(
            check(&key, &envelope(&key, &statement)),
            refusal("is of something else than a module")
        );
    }

    #[test]
    fn what_is_no_bundle_is_refused() {
        let key = KeyPair::generate().unwrap();
        for bundle in [
            json!(null),
            json!([]),
            json!({"dsseEnvelope": {}}),
            json!({"messageSignature": {}}),
        ] {
            let Err(Refusal::OtherSigner(why)) = check(&key, &bundle) else {
                panic!("{bundle}");
            };
            assert!(why.starts_with("cannot be read"), "{why}");
        }
    }
}
