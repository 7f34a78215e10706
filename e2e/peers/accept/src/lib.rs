//! A policy that accepts without reading: what the host and the way to the module cost.

use wapc_guest::register_function;

/// Registers the operations; a waPC host calls it once per instance.
#[unsafe(no_mangle)]
pub extern "C" fn wapc_init() {
    register_function("validate", |_| Ok(br#"{"accepted":true}"#.to_vec()));
}
