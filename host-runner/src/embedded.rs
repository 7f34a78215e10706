//! The built-in module.

use crate::{Error, Module, Options};

/// The `policy.wasm` that this crate was built with.
pub static WASM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/policy.wasm"));

/// Loads the built-in module.
///
/// # Errors
/// As [`Module::new`].
pub fn module(options: &Options) -> Result<Module, Error> {
    Module::new(WASM, options)
}
