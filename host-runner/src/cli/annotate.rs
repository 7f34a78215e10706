//! `telewarden annotate`

use std::io::Write;
use std::path::{Path, PathBuf};

use telewarden::artifact::{self, Metadata};
use telewarden::{Cache, Module, Options};

use super::Status;
use super::module::{self, read};
use super::output;

/// Put the metadata that Kubewarden reads into a module
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The module
    #[arg(value_name = "WASM")]
    module: PathBuf,
    /// Its metadata, in YAML
    #[arg(short, long, value_name = "FILE")]
    metadata_path: PathBuf,
    /// What a catalog shows of how it is used, in Markdown
    #[arg(short, long, value_name = "FILE")]
    usage_path: Option<PathBuf>,
    /// Where the annotated module goes
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
    let options = Options {
        cache: Cache::of_user(),
        ..Options::default()
    };
    let protocol = Module::new(&wasm, &options)?.protocol_version()?;
    let annotated = artifact::annotate(&wasm, metadata, &protocol, usage.as_deref())?;
    write(&args.output_path, &annotated).map_err(|source| Error::Write {
        path: args.output_path.clone(),
        source,
    })
}

/// Whoever reads the file sees the old one or the new one.
pub(super) fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder.unwrap_or(Path::new(".")))?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}
