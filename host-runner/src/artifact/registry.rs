//! Pushing modules to OCI registries, and pulling them.

mod session;
mod signatures;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use docker_credential::{CredentialRetrievalError, DockerCredential};
use oci_client::Reference;
use oci_client::client::{Client, ClientConfig, ClientProtocol, Config, ImageLayer};
use oci_client::errors::{OciDistributionError, OciErrorCode};
use oci_client::manifest::{OciDescriptor, OciImageManifest, WASM_CONFIG_MEDIA_TYPE, WASM_LAYER_MEDIA_TYPE};
use oci_client::secrets::RegistryAuth;

use self::session::Session;
use super::signature::Refusal;
use super::{Digest, Error, Refused, Signer, Store, metadata};

/// The maximum size of a module, in bytes. A layer is read up to this size or its manifest's, whichever is smaller.
const MAX_MODULE: usize = 64 * 1024 * 1024;

/// The timeout while a registry sends nothing.
const SILENCE: Duration = Duration::from_secs(30);

/// The value of the header `User-Agent`.
const USER_AGENT: &str = concat!("telewarden/", env!("CARGO_PKG_VERSION"));

/// A module's address: `registry://HOST[:PORT]/NAME[:TAG][@sha256:DIGEST]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Location {
    reference: Reference,
    digest: Option<Digest>,
}

impl Location {
    /// The manifest's digest, if the address has one.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The same address with a digest.
    fn at(&self, digest: Digest) -> Self {
        let (registry, repository) = (self.reference.registry(), self.reference.repository());
        Self {
            reference: Reference::with_digest(registry.to_owned(), repository.to_owned(), digest.to_string()),
            digest: Some(digest),
        }
    }
}

impl FromStr for Location {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let error = |why: String| Error::Address {
            text: text.to_owned(),
            why,
        };
        let address = text
            .strip_prefix("registry://")
            .ok_or_else(|| error("it does not begin with `registry://`".to_owned()))?;
        // Docker completes `name` to `docker.io/library/name`, which is not useful here.
        let host = address.split_once('/').map_or("", |(host, _)| host);
        if !host.contains(['.', ':']) && host != "localhost" {
            return Err(error("it has no registry; write `registry://HOST/NAME`".to_owned()));
        }
        let reference: Reference = address
            .parse()
            .map_err(|why: oci_client::ParseError| error(why.to_string()))?;
        let digest = reference.digest().map(str::parse).transpose();
        let digest = digest.map_err(|why: &str| error(why.to_owned()))?;
        Ok(Self { reference, digest })
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "registry://{}", self.reference)
    }
}

/// A pulled module.
#[derive(Clone, Debug)]
pub struct Pulled {
    /// The module.
    pub wasm: Vec<u8>,
    /// Its address with a digest.
    pub at: Location,
}

/// A client for OCI registries. It uses TLS, and the credentials of Docker's configuration.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    /// Registries that are accessed without TLS, as `HOST` or `HOST:PORT`.
    pub plain_http: Vec<String>,
}

impl Registry {
    /// Pushes an annotated module, and answers its address with a digest.
    ///
    /// # Errors
    /// [`Error::NotWasm`], [`Error::NotAnnotated`] or [`Error::Metadata`] for a module that Kubewarden could not use,
    /// [`Error::Registry`] where the registry cannot be reached or refuses it.
    pub fn push(&self, wasm: &[u8], to: &Location) -> Result<Location, Error> {
        let metadata = metadata(wasm)?.ok_or(Error::NotAnnotated)?;
        let layers = [ImageLayer::new(wasm.to_vec(), WASM_LAYER_MEDIA_TYPE.to_owned(), None)];
        let config = Config::new(&b"{}"[..], WASM_CONFIG_MEDIA_TYPE.to_owned(), None);
        let manifest = OciImageManifest::build(&layers, &config, Some(metadata.of_manifest()));
        let Login { auth, note } = Login::of(to);
        let pushed = run(async {
            let client = self.client(to)?;
            client.push(&to.reference, &layers, config, &auth, Some(manifest)).await
        });
        let pushed = pushed.map_err(|source| self.failed("push to", to, note, source))?;
        // The manifest's address ends with its digest.
        let digest = pushed
            .manifest_url
            .rsplit('/')
            .next()
            .and_then(|digest| digest.parse().ok());
        digest.map(|digest| to.at(digest)).ok_or_else(|| Error::NotAModule {
            at: to.to_string(),
            why: format!(
                "the registry did not send the manifest's digest: `{}`",
                pushed.manifest_url
            ),
        })
    }

    /// Pulls a module to run. The address must have a digest: `registry://HOST/NAME@sha256:DIGEST`. If a signer is given,
    /// the module must be signed by it.
    ///
    /// # Errors
    /// As [`Registry::pull`] or [`Registry::pull_signed`], and when the address is none or names no digest.
    pub fn pull_by_digest(
        &self,
        address: &str,
        store: Option<&Store>,
        signer: Option<&Signer>,
    ) -> Result<Vec<u8>, Error> {
        let location: Location = address.parse()?;
        if location.digest().is_none() {
            return Err(Error::NoDigest(address.to_owned()));
        }
        let pulled = match signer {
            Some(signer) => self.pull_signed(&location, store, signer)?,
            None => self.pull(&location, store)?,
        };
        Ok(pulled.wasm)
    }

    /// Pulls a module, from the store if it is there, else from the registry into the store.
    ///
    /// # Errors
    /// [`Error::Registry`] if the registry cannot be reached or refuses, [`Error::Digest`] if it sends other content,
    /// [`Error::NotAModule`] if the artifact is not a module, [`Error::Write`] if the store is not writable.
    pub fn pull(&self, from: &Location, store: Option<&Store>) -> Result<Pulled, Error> {
        let (wasm, digest) = self.fetch(from, store)?;
        let at = from.at(digest);
        Ok(Pulled { wasm, at })
    }

    /// The module, and the digest of its manifest.
    fn fetch(&self, from: &Location, store: Option<&Store>) -> Result<(Vec<u8>, Digest), Error> {
        let Login { auth, note } = Login::of(from);
        let kept = |digest: &Digest| store.and_then(|store| store.get(digest));
        let failed = |source| self.failed("pull", from, note.clone(), source);

        let manifest = match from.digest.as_ref().and_then(kept) {
            Some(manifest) => manifest,
            None => {
                let fetched = run(async {
                    let session = Session::open(self, from, &auth).await?;
                    session.manifest(&from.reference).await
                });
                fetched.map_err(failed)?
            }
        };
        let digest = Digest::of(&manifest);
        verify(from, "a manifest", from.digest.as_ref().unwrap_or(&digest), &digest)?;
        let (layer, layer_digest) = module_layer(from, &manifest)?;

        let wasm = match kept(&layer_digest) {
            Some(wasm) => wasm,
            None => {
                let fetched = run(async {
                    let session = Session::open(self, from, &auth).await?;
                    session.blob(&from.reference, &layer).await
                });
                fetched.map_err(failed)?
            }
        };
        verify(from, "a module", &layer_digest, &Digest::of(&wasm))?;
        if let Some(store) = store {
            store.put(&wasm)?;
            store.put(&manifest)?;
        }
        Ok((wasm, digest))
    }

    /// Pulls a module that somebody signed. The registry is asked for the signature each time.
    ///
    /// # Errors
    /// As [`Registry::pull`], and [`Error::NotSigned`], [`Error::OtherSigner`] or [`Error::OtherDigest`] where no signature
    /// says that the signer signed this very module.
    pub fn pull_signed(&self, from: &Location, store: Option<&Store>, signer: &Signer) -> Result<Pulled, Error> {
        let (wasm, digest) = self.fetch(from, store)?;
        let at = from.at(digest.clone());
        let signatures = self.signatures(&at, &digest)?;
        if signatures.is_empty() {
            return Err(Error::NotSigned {
                at: at.to_string(),
                tag: signatures::tag(&digest),
            });
        }
        let mut found = Vec::new();
        let mut other_digest = None;
        for signature in &signatures {
            match signer.has_signed(&digest, signature) {
                Ok(()) => return Ok(Pulled { wasm, at }),
                Err(Refusal::OtherSigner(why)) => found.push(why),
                Err(Refusal::OtherDigest(digest)) => other_digest = Some(digest),
            }
        }
        let at = at.to_string();
        Err(match other_digest {
            Some(found) => Error::OtherDigest { at, found },
            None => Error::OtherSigner {
                at,
                signer: signer.to_string(),
                found: Refused(found),
            },
        })
    }

    /// True if the registry is accessed without TLS.
    fn is_plain(&self, at: &Location) -> bool {
        self.plain_http.iter().any(|host| host == at.reference.registry())
    }

    fn client(&self, at: &Location) -> Result<Client, OciDistributionError> {
        let plain = self.is_plain(at);
        ClientConfig {
            protocol: if plain {
                ClientProtocol::Http
            } else {
                ClientProtocol::Https
            },
            connect_timeout: Some(SILENCE),
            read_timeout: Some(SILENCE),
            user_agent: USER_AGENT,
            ..ClientConfig::default()
        }
        .try_into()
    }

    /// An error of the registry, with a hint.
    fn failed(&self, what: &'static str, at: &Location, note: Option<String>, source: OciDistributionError) -> Error {
        use OciDistributionError::{
            AuthenticationFailure, RegistryError, RequestError, ServerError, UnauthorizedError,
        };
        let registry = at.reference.registry();
        let denied = match &source {
            UnauthorizedError { .. } | AuthenticationFailure(_) | ServerError { code: 401 | 403, .. } => true,
            RegistryError { envelope, .. } => envelope
                .errors
                .iter()
                .any(|error| matches!(error.code, OciErrorCode::Denied | OciErrorCode::Unauthorized)),
            _ => false,
        };
        let hint = match (&source, note) {
            (_, Some(note)) if denied => format!(" ({note})"),
            (_, None) if denied => format!(" (log in with `docker login {registry}`)"),
            (RequestError(error), _) if error.is_connect() && !self.is_plain(at) => {
                format!(" (a registry without TLS is named with `--plain-http {registry}`)")
            }
            _ => String::new(),
        };
        Error::Registry {
            what,
            at: at.to_string(),
            hint,
            source: source.into(),
        }
    }
}

/// Runs requests to a registry on a runtime with one thread. Nothing else runs at the same time.
fn run<T>(future: impl Future<Output = Result<T, OciDistributionError>>) -> Result<T, OciDistributionError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(future)
}

fn verify(at: &Location, what: &'static str, expected: &Digest, found: &Digest) -> Result<(), Error> {
    if expected == found {
        return Ok(());
    }
    Err(Error::Digest {
        at: at.to_string(),
        what,
        expected: expected.to_string(),
        found: found.to_string(),
    })
}

/// The layer that contains the module.
fn module_layer(at: &Location, manifest: &[u8]) -> Result<(OciDescriptor, Digest), Error> {
    let not_a_module = |why: String| Error::NotAModule {
        at: at.to_string(),
        why,
    };
    let manifest: OciImageManifest = serde_json::from_slice(manifest)
        .map_err(|error| not_a_module(format!("its manifest cannot be read: {error}")))?;
    let mut layers = manifest.layers.into_iter();
    let layer = layers
        .find(|layer| layer.media_type == WASM_LAYER_MEDIA_TYPE)
        .ok_or_else(|| not_a_module(format!("it has no layer of type `{WASM_LAYER_MEDIA_TYPE}`")))?;
    let digest = layer.digest.parse().map_err(|why: &str| not_a_module(why.to_owned()))?;
    match usize::try_from(layer.size) {
        Ok(size) if size <= MAX_MODULE => Ok((layer, digest)),
        _ => Err(not_a_module(format!("its size is {} bytes", layer.size))),
    }
}

/// The credentials of Docker's configuration for a registry.
struct Login {
    auth: RegistryAuth,
    /// Why there are no credentials, if that is unexpected.
    note: Option<String>,
}

impl Login {
    fn of(at: &Location) -> Self {
        use CredentialRetrievalError::{ConfigNotFound, ConfigReadError, NoCredentialConfigured};
        let anonymous = |note| Self {
            auth: RegistryAuth::Anonymous,
            note,
        };
        match docker_credential::get_credential(at.reference.registry()) {
            Ok(DockerCredential::UsernamePassword(user, password)) => Self {
                auth: RegistryAuth::Basic(user, password),
                note: None,
            },
            Ok(DockerCredential::IdentityToken(_)) => anonymous(Some(
                "Docker's configuration has an identity token, which is not supported".to_owned(),
            )),
            Err(ConfigNotFound | ConfigReadError | NoCredentialConfigured) => anonymous(None),
            Err(error) => anonymous(Some(format!("Docker's configuration could not be used: {error}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::tag("registry://ghcr.io/telewarden/telewarden:v1", None)]
    #[case::port("registry://localhost:5000/telewarden:v1", None)]
    #[case::digest(
        "registry://ghcr.io/a/b@sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
        Some("sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824")
    )]
    fn addresses_are_read(#[case] text: &str, #[case] digest: Option<&str>) {
        let location: Location = text.parse().unwrap();
        assert_eq!(location.to_string(), text);
        assert_eq!(location.digest().map(ToString::to_string).as_deref(), digest);
    }

    #[rstest]
    #[case::a_file("policy.wasm")]
    #[case::no_host("registry://telewarden:v1")]
    #[case::docker_hub_by_accident("registry://library/telewarden:v1")]
    #[case::short_digest("registry://ghcr.io/a/b@sha256:2cf2")]
    #[case::another_digest("registry://ghcr.io/a/b@md5:d41d8cd98f00b204e9800998ecf8427e")]
    #[case::nothing("registry://")]
    fn what_is_no_address_is_refused(#[case] text: &str) {
        assert!(text.parse::<Location>().is_err());
    }

    #[rstest]
    #[case::not_json("x", "cannot be read")]
    #[case::an_image(
        r#"{"schemaVersion":2,"config":{"mediaType":"a","digest":"b","size":1},"layers":[]}"#,
        "no layer of type"
    )]
    #[case::too_large(
        r#"{"schemaVersion":2,"config":{"mediaType":"a","digest":"b","size":1},"layers":[{"mediaType":
           "application/vnd.wasm.content.layer.v1+wasm","size":999999999999,
           "digest":"sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"}]}"#,
        "999999999999 bytes"
    )]
    fn manifests_of_other_things_are_refused(#[case] manifest: &str, #[case] why: &str) {
        let location = "registry://ghcr.io/a/b:v1".parse().unwrap();
        let error = module_layer(&location, manifest.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}
