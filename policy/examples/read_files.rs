//! Only reads YAML files, on all cores, with the reader of `telewarden validate`: `read_files FOLDER`. The benchmark compares.

use std::path::PathBuf;
use std::process::ExitCode;
use std::{fs, thread};

use telewarden_policy::manifest::Manifest;

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1) else {
        return ExitCode::from(2);
    };
    let entries = fs::read_dir(folder).expect("a folder");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let read = |files: &[PathBuf]| {
        let objects = files.iter().map(|file| {
            let text = fs::read_to_string(file).expect("a file");
            Manifest::parse(text).expect("YAML").objects().count()
        });
        objects.sum::<usize>()
    };
    let objects: usize = thread::scope(|scope| {
        let parts = files.chunks(files.len().div_ceil(cores).max(1));
        let parts: Vec<_> = parts.map(|files| scope.spawn(move || read(files))).collect();
        parts.into_iter().map(|part| part.join().expect("it reads")).sum()
    });
    println!("{objects} objects");
    ExitCode::SUCCESS
}
