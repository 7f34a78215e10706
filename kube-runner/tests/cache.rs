//! Where compiled code is kept, and what is said when it cannot be.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// A module that answers nothing, which compiles quickly.
fn guest() -> Vec<u8> {
    let text = r#"(module
        (memory (export "memory") 1)
        (func (export "__guest_call") (param i32 i32) (result i32) (i32.const 0)))"#;
    wat::parse_str(text).unwrap()
}

/// The files in a folder and in those below.
fn files(folder: &Path) -> usize {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries
        .map(|entry| match entry.unwrap().path() {
            path if path.is_dir() => files(&path),
            _ => 1,
        })
        .sum()
}

#[test]
fn the_process_that_compiles_keeps_the_code_for_the_one_that_runs() {
    let folder = tempfile::tempdir().unwrap();
    let module = folder.path().join("module");
    for (wasm, code, is_kept) in [(b"no module".to_vec(), 2, false), (guest(), 0, true)] {
        fs::write(&module, wasm).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_telewarden-operator"))
            .arg("compile")
            .stdin(Stdio::from(fs::File::open(&module).unwrap()))
            .env("TELEWARDEN_CACHE", folder.path().join("cache"))
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert_eq!(files(&folder.path().join("cache")) > 0, is_kept);
    }
}

#[test]
fn a_cache_that_others_can_write_into_is_not_used_and_that_is_logged() {
    let (folder, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (sources, module) = (files.path().join("sources.yaml"), files.path().join("guest.wasm"));
    fs::write(&sources, "").unwrap();
    fs::write(&module, guest()).unwrap();
    for (mode, is_logged) in [(0o777, true), (0o700, false)] {
        fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_telewarden-operator"))
            .args(["apply", "--log-format", "json"])
            .arg("--policy")
            .args([&module, &sources])
            .env("TELEWARDEN_CACHE", folder.path())
            .env("KUBECONFIG", "/nonexistent")
            .output()
            .unwrap();
        let log = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{log}");
        let is_told = log
            .lines()
            .any(|line| line.contains("compiled code is not kept in") && line.contains("WARN"));
        assert_eq!(is_told, is_logged, "{log}");
    }
}
