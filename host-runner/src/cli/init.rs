//! `telewarden init`

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::Status;
use super::output;
use super::project_file::NAME;

/// Write a telewarden.yaml with comments
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
}

pub(crate) fn run(args: &Args) -> Status {
    let file = match args.folder.as_path() {
        folder if folder == Path::new(".") => PathBuf::from(NAME),
        folder => folder.join(NAME),
    };
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&file)
        .and_then(|mut opened| opened.write_all(include_str!("init.yaml").as_bytes()));
    match written {
        Ok(()) => {
            output::say(format_args!("wrote {}", file.display()));
            Status::Fine
        }
        Err(error) => {
            let why = match error.kind() {
                ErrorKind::AlreadyExists => "it is there already".to_owned(),
                _ => error.to_string(),
            };
            output::say(format_args!("error: cannot write {}: {why}", file.display()));
            Status::CouldNotRun
        }
    }
}
