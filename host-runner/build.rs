//! Finds the module that is built in: `TELEWARDEN_POLICY_WASM`, or `policy.wasm` in the workspace.

use std::path::PathBuf;
use std::process::exit;
use std::{env, fs};

const VARIABLE: &str = "TELEWARDEN_POLICY_WASM";

fn main() {
    println!("cargo:rerun-if-env-changed={VARIABLE}");
    if env::var_os("CARGO_FEATURE_EMBEDDED").is_none() {
        return;
    }

    let workspace = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("..");
    let module = match env::var_os(VARIABLE) {
        // A relative path is meant from where the user stands, and cargo runs build scripts in the package's folder.
        Some(path) => env::var_os("PWD").map_or_else(PathBuf::new, PathBuf::from).join(path),
        None => workspace.join("policy.wasm"),
    };
    println!("cargo:rerun-if-changed={}", module.display());

    let bytes = fs::read(&module)
        .unwrap_or_else(|error| fail(&format!("cannot read the module {}: {error}", module.display())));
    // Its file may be replaced while the crate compiles: what is built in is this very read.
    let copy = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("policy.wasm");
    if let Err(error) = fs::write(&copy, bytes) {
        fail(&format!("cannot write {}: {error}", copy.display()));
    }
}

fn fail(what: &str) -> ! {
    println!("cargo::error={what}");
    println!(
        "cargo::error=build it with `make policy.wasm`, or name one in {VARIABLE}; \
         a host that brings its own module turns the feature `embedded` off"
    );
    exit(1);
}
