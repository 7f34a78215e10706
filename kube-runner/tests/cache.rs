//! What is said when compiled code cannot be kept.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

#[test]
fn a_cache_that_others_can_write_into_is_not_used_and_that_is_logged() {
    let (folder, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (sources, module) = (files.path().join("sources.yaml"), files.path().join("guest.wasm"));
    fs::write(&sources, "").unwrap();
    // One that answers nothing compiles quickly.
    let guest = r#"(module
        (memory (export "memory") 1)
        (func (export "__guest_call") (param i32 i32) (result i32) (i32.const 0)))"#;
    fs::write(&module, wat::parse_str(guest).unwrap()).unwrap();
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
