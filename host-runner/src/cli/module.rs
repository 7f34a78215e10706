//! Arguments that select the module to run, and its registry.

use std::fs;
use std::path::{Path, PathBuf};

use telewarden::artifact::{self, Key, Location, Registry, Store};
use telewarden::{Cache, Module, Options};

use super::output;

/// Arguments for access to registries.
#[derive(Debug, clap::Args)]
pub(crate) struct RegistryArgs {
    /// Access this registry without TLS; can be given several times
    #[arg(
        long,
        value_name = "HOST[:PORT]",
        env = "TELEWARDEN_PLAIN_HTTP",
        value_delimiter = ','
    )]
    plain_http: Vec<String>,
}

impl RegistryArgs {
    pub(crate) fn registry(&self) -> Registry {
        Registry {
            plain_http: self.plain_http.clone(),
        }
    }
}

/// Arguments that select the module.
#[derive(Debug, clap::Args)]
pub(crate) struct PolicyArgs {
    /// Run this module instead of the built-in one
    ///
    /// A file, or registry://HOST/NAME@sha256:DIGEST. A pulled module is cached, and verified each time it is read.
    #[arg(long, value_name = "FILE|ADDRESS")]
    pub(crate) policy: Option<String>,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
    #[command(flatten)]
    pub(crate) signer: SignerArgs,
}

/// The key that must have signed a module from a registry.
#[derive(Debug, clap::Args)]
pub(crate) struct SignerArgs {
    /// Require a module from a registry that is signed with this key
    ///
    /// A public key in PEM, such as cosign.pub: ECDSA P-256 or Ed25519.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

impl SignerArgs {
    pub(crate) fn key(&self) -> Result<Option<Key>, Error> {
        let Some(path) = &self.key else { return Ok(None) };
        let key = Key::from_pem(&read(path)?).map_err(|source| Error::Key {
            path: path.clone(),
            source,
        })?;
        Ok(Some(key))
    }
}

/// Why the module could not be loaded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("cannot use the key `{}`", path.display())]
    Key { path: PathBuf, source: artifact::Error },
    #[error("`--key` is for modules from a registry, and `{0}` is none")]
    KeyForFile(String),
    #[error(transparent)]
    Artifact(#[from] artifact::Error),
    #[error(transparent)]
    Module(#[from] telewarden::Error),
}

impl PolicyArgs {
    /// Loads the module.
    pub(crate) fn load(&self) -> Result<Module, Error> {
        let key = self.signer.key()?;
        match (self.policy.as_deref(), key) {
            (Some(address), key) if address.starts_with("registry://") => {
                let store = Store::of_user();
                let (registry, at): (_, Location) = (self.registry.registry(), address.parse()?);
                let wasm = match key {
                    Some(_) if at.digest().is_none() => {
                        return Err(artifact::Error::NoDigest(address.to_owned()).into());
                    }
                    Some(key) => registry.pull_signed(&at, store.as_ref(), &key)?.wasm,
                    None => registry.pull_by_digest(address, store.as_ref())?,
                };
                load(&wasm)
            }
            (policy, Some(_)) => Err(Error::KeyForFile(policy.unwrap_or("the built-in module").to_owned())),
            (Some(path), None) => load(&read(path.as_ref())?),
            (None, None) => load(telewarden::embedded::WASM),
        }
    }
}

/// Compiles a module, using the user's cache of compiled code.
pub(crate) fn load(wasm: &[u8]) -> Result<Module, Error> {
    let options = Options {
        cache: Cache::of_user(),
        ..Options::default()
    };
    let module = Module::new(wasm, &options)?;
    if let Some(problem) = module.cache_problem() {
        output::say(format_args!("warning: {problem}"));
    }
    Ok(module)
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })
}
