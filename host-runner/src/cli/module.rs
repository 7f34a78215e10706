//! Which module is run, and where modules are found.

use std::fs;
use std::path::{Path, PathBuf};

use telewarden::artifact::{self, Location, Pulled, Registry, Store};
use telewarden::{Cache, Module, Options};

/// Which registries are spoken to how.
#[derive(Debug, clap::Args)]
pub(crate) struct RegistryArgs {
    /// Speak to this registry without TLS; can be given several times
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

/// The module to run.
#[derive(Debug, clap::Args)]
pub(crate) struct PolicyArgs {
    /// Run this module instead of the one built in
    ///
    /// A file, or registry://HOST/NAME@sha256:DIGEST. What was pulled once is kept in the cache and verified on every read.
    #[arg(long, value_name = "FILE|ADDRESS")]
    pub(crate) policy: Option<String>,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
}

/// Why there is no module.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("`{0}` names no digest, and a tag can be moved; `telewarden pull` prints the address with the digest")]
    NoDigest(String),
    #[error(transparent)]
    Artifact(#[from] artifact::Error),
    #[error(transparent)]
    Module(#[from] telewarden::Error),
}

impl PolicyArgs {
    /// Loads it.
    pub(crate) fn load(&self) -> Result<Module, Error> {
        let options = Options {
            cache: Cache::of_user(),
            ..Options::default()
        };
        let module = match self.policy.as_deref() {
            None => telewarden::embedded::module(&options)?,
            Some(address) if address.starts_with("registry://") => {
                let location: Location = address.parse()?;
                if location.digest().is_none() {
                    return Err(Error::NoDigest(address.to_owned()));
                }
                let Pulled { wasm, .. } = self.registry.registry().pull(&location, store().as_ref())?;
                Module::new(&wasm, &options)?
            }
            Some(path) => Module::from_file(path, &options)?,
        };
        Ok(module)
    }
}

/// Where pulled modules are kept, unless the user turned that off.
pub(crate) fn store() -> Option<Store> {
    match Cache::of_user() {
        Cache::Folder(folder) => Some(Store::new(folder.join("artifacts"))),
        Cache::Off => None,
    }
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })
}
