//! `telewarden pull`

use std::path::PathBuf;

use telewarden::artifact::{self, Location, SignerArgs, Store};

use super::Status;
use super::module::RegistryArgs;
use super::output;

/// Pull a module from an OCI registry into the cache, and print its address with its digest
///
/// Credentials come from Docker's configuration: `docker login HOST`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// registry://HOST[:PORT]/NAME[:TAG][@sha256:DIGEST]
    #[arg(value_name = "ADDRESS")]
    from: String,
    /// Also write the module to this file
    #[arg(short, long, value_name = "FILE")]
    output_path: Option<PathBuf>,
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    signer: SignerArgs,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Artifact(#[from] artifact::Error),
    #[error("cannot write `{}`", path.display())]
    Write { path: PathBuf, source: std::io::Error },
}

pub(crate) fn run(args: &Args) -> Status {
    match pull(args) {
        Ok(at) => output::print(&format!("{at}\n")),
        Err(error) => {
            output::say_error(&error);
            Status::CouldNotRun
        }
    }
}

fn pull(args: &Args) -> Result<Location, Error> {
    let from: Location = args.from.parse()?;
    let (registry, store) = (args.registry.registry(), Store::of_user());
    let pulled = match args.signer.signer()? {
        Some(signer) => registry.pull_signed(&from, store.as_ref(), &signer)?,
        None => registry.pull(&from, store.as_ref())?,
    };
    if let Some(path) = &args.output_path {
        telewarden::file::replace(path, &pulled.wasm).map_err(|source| Error::Write {
            path: path.clone(),
            source,
        })?;
    }
    Ok(pulled.at)
}
