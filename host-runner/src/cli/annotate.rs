//! `telewarden annotate`

use std::path::PathBuf;

use telewarden::artifact::{self, Metadata};

use super::Status;
use super::module::{self, load, read};
use super::output;

/// Add Kubewarden metadata to a module
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The module
    #[arg(value_name = "WASM")]
    module: PathBuf,
    /// The metadata, in YAML
    #[arg(short, long, value_name = "FILE")]
    metadata_path: PathBuf,
    /// Usage instructions for catalogs, in Markdown
    #[arg(short, long, value_name = "FILE")]
    usage_path: Option<PathBuf>,
    /// The file to write the annotated module to
    #[arg(short, long, value_name = "FILE")]
    output_path: PathBuf,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Module(#[from] module::Error),
    #[error(transparent)]
    Run(#[from] telewarden::Error),
    #[error(transparent)]
    Artifact(#[from] artifact::Error),
    #[error("cannot read the metadata `{}`", path.display())]
    Metadata { path: PathBuf, source: serde_yaml::Error },
    #[error("`{}` is not text", path.display())]
    Usage { path: PathBuf },
    #[error("cannot write `{}`", path.display())]
    Write { path: PathBuf, source: std::io::Error },
}

pub(crate) fn run(args: &Args) -> Status {
    match annotate(args) {
        Ok(()) => Status::Fine,
        Err(error) => {
            output::say_error(&error);
            Status::CouldNotRun
        }
    }
}

fn annotate(args: &Args) -> Result<(), Error> {
    let path = || args.metadata_path.clone();
    let metadata: Metadata = serde_yaml::from_slice(&read(&args.metadata_path)?)
        .map_err(|source| Error::Metadata { path: path(), source })?;
    let usage = match &args.usage_path {
        Some(path) => {
            let usage = String::from_utf8(read(path)?);
            Some(usage.map_err(|_| Error::Usage { path: path.clone() })?)
        }
        None => None,
    };
    let wasm = read(&args.module)?;
    let protocol = load(&wasm)?.protocol_version()?;
    let annotated = artifact::annotate(&wasm, metadata, &protocol, usage.as_deref())?;
    telewarden::file::replace(&args.output_path, &annotated).map_err(|source| Error::Write {
        path: args.output_path.clone(),
        source,
    })
}
