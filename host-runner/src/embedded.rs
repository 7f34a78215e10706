//! The module that was built in.

use crate::{Error, Module, Options};

/// `policy.wasm`, as it was when this crate was built.
pub static WASM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/policy.wasm"));

/// Loads it.
///
/// # Errors
/// As [`Module::new`].
pub fn module(options: &Options) -> Result<Module, Error> {
    Module::new(WASM, options)
}
