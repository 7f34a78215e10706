//! Arguments that select the module to run, and its registry.

use std::fs;
use std::path::{Path, PathBuf};

use telewarden::artifact::{self, Registry, SignerArgs, Store};
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

/// Why the module could not be loaded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Artifact(#[from] artifact::Error),
    #[error(transparent)]
    Module(#[from] telewarden::Error),
}

impl PolicyArgs {
    /// Loads the module.
    pub(crate) fn load(&self) -> Result<Module, Error> {
        let signer = self.signer.signer_of(self.policy.as_deref())?;
        match self.policy.as_deref() {
            Some(address) if address.starts_with("registry://") => {
                let (registry, store) = (self.registry.registry(), Store::of_user());
                load(&registry.pull_by_digest(address, store.as_ref(), signer.as_ref())?)
            }
            Some(path) => load(&read(path.as_ref())?),
            None => load(telewarden::embedded::WASM),
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
