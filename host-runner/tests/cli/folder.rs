//! A folder with files, and the command that runs in it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

pub(crate) const KEY: &str = "telegraf.influxdata.com/rubin-telegraf-operator";

/// A new folder with files. Folders that a name contains are made.
pub(crate) fn place(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("it has one")).expect("a folder");
        fs::write(path, text).expect("it is written");
    }
    folder
}

pub(crate) fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_telewarden"));
    command
        .current_dir(folder)
        .env("TELEWARDEN_CACHE", env!("CARGO_TARGET_TMPDIR"));
    command
}

pub(crate) fn run(folder: &Path, args: &[&str]) -> Output {
    let output = command(folder).args(args).output().expect("it runs");
    assert!(!err(&output).contains("panicked"), "{}", err(&output));
    output
}

pub(crate) fn out(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).expect("it is UTF-8")
}

pub(crate) fn err(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).expect("it is UTF-8")
}
