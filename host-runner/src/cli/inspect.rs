//! `telewarden inspect`

use clap::ValueEnum;
use telewarden::artifact::{self, Digest, Metadata, Store};

use super::Status;
use super::module::{self, RegistryArgs, read};
use super::output;

/// Print the metadata of a module
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A file, or registry://HOST/NAME[:TAG][@sha256:DIGEST]
    #[arg(value_name = "FILE|ADDRESS")]
    module: String,
    /// The output format
    #[arg(short, long, value_enum, default_value_t = Format::Yaml)]
    output: Format,
    #[command(flatten)]
    registry: RegistryArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// YAML, as in `metadata.yml`
    Yaml,
    /// JSON, as in the module
    Json,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Module(#[from] module::Error),
    #[error(transparent)]
    Artifact(#[from] artifact::Error),
    #[error("`{0}` has no metadata; `telewarden annotate` puts it there")]
    None(String),
}

pub(crate) fn run(args: &Args) -> Status {
    match inspect(args) {
        Ok(metadata) => print(&metadata, args.output),
        Err(error) => {
            output::say_error(&error);
            Status::CouldNotRun
        }
    }
}

fn inspect(args: &Args) -> Result<Metadata, Error> {
    let wasm = if args.module.starts_with("registry://") {
        let pulled = args
            .registry
            .registry()
            .pull(&args.module.parse()?, Store::of_user().as_ref())?;
        output::say(&pulled.at);
        pulled.wasm
    } else {
        read(args.module.as_ref())?
    };
    output::say(format_args!("{} bytes, {}", wasm.len(), Digest::of(&wasm)));
    artifact::metadata(&wasm)?.ok_or_else(|| Error::None(args.module.clone()))
}

fn print(metadata: &Metadata, format: Format) -> Status {
    match format {
        Format::Yaml => match serde_yaml::to_string(metadata) {
            Ok(text) => output::print_document(&text),
            Err(error) => {
                output::say_error(&error);
                Status::CouldNotRun
            }
        },
        Format::Json => output::print_json(metadata),
    }
}
