//! Arguments that select the module to run, and its registry. Without the feature `registry`, the module is in a file.

use std::fs;
use std::path::{Path, PathBuf};

#[cfg(feature = "registry")]
use telewarden::artifact::{self, Registry, SignerArgs, Store};
use telewarden::{Cache, Module, Options};

use super::output;

/// What the address of a module in a registry begins with.
const REGISTRY: &str = "registry://";

/// Arguments for access to registries.
#[cfg(feature = "registry")]
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

#[cfg(feature = "registry")]
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
    #[cfg_attr(
        feature = "registry",
        doc = "",
        doc = " A file, or registry://HOST/NAME@sha256:DIGEST. A pulled module is cached, and verified each time it is read."
    )]
    #[arg(long, value_name = if cfg!(feature = "registry") { "FILE|ADDRESS" } else { "FILE" })]
    pub(crate) policy: Option<String>,
    #[cfg(feature = "registry")]
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
    #[cfg(feature = "registry")]
    #[command(flatten)]
    pub(crate) signer: SignerArgs,
}

/// Why the module could not be loaded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[cfg(feature = "registry")]
    #[error(transparent)]
    Artifact(#[from] artifact::Error),
    #[cfg(not(feature = "registry"))]
    #[error(
        "cannot pull `{0}`: this `telewarden` was built without registries. Name a file, or build it with them: \
         `cargo install --locked --path host-runner`"
    )]
    NoRegistry(String),
    #[error(transparent)]
    Module(#[from] telewarden::Error),
}

impl PolicyArgs {
    /// Loads the module.
    pub(crate) fn load(&self) -> Result<Module, Error> {
        #[cfg(feature = "registry")]
        let signer = self.signer.signer_of(self.policy.as_deref())?;
        match self.policy.as_deref() {
            #[cfg(not(feature = "registry"))]
            Some(address) if address.starts_with(REGISTRY) => Err(Error::NoRegistry(address.to_owned())),
            #[cfg(feature = "registry")]
            Some(address) if address.starts_with(REGISTRY) => {
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
