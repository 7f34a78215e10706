//! `telewarden push`

use std::path::PathBuf;

use telewarden::artifact::{self, Location};

use super::Status;
use super::module::{self, RegistryArgs, read};
use super::output;

/// Push an annotated module to an OCI registry, and print its address with its digest
///
/// Credentials come from Docker's configuration: `docker login HOST`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The annotated module
    #[arg(value_name = "WASM")]
    module: PathBuf,
    /// registry://HOST[:PORT]/NAME:TAG
    #[arg(value_name = "ADDRESS")]
    to: String,
    #[command(flatten)]
    registry: RegistryArgs,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Module(#[from] module::Error),
    #[error(transparent)]
    Artifact(#[from] artifact::Error),
}

pub(crate) fn run(args: &Args) -> Status {
    match push(args) {
        Ok(at) => output::print(&format!("{at}\n")),
        Err(error) => {
            output::say_error(&error);
            Status::CouldNotRun
        }
    }
}

fn push(args: &Args) -> Result<Location, Error> {
    let to: Location = args.to.parse()?;
    let wasm = read(&args.module)?;
    Ok(args.registry.registry().push(&wasm, &to)?)
}
