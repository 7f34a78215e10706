//! A policy that accepts without reading, to measure the cost of the host and of calls.

use kubewarden_policy_sdk::{accept_request, protocol_version_guest};
use wapc_guest::register_function;

/// Registers the operations; a waPC host calls it once per instance.
#[unsafe(no_mangle)]
pub extern "C" fn wapc_init() {
    register_function("protocol_version", protocol_version_guest);
    register_function("validate_settings", |_| Ok(br#"{"valid":true}"#.to_vec()));
    register_function("validate", |_| accept_request());
}
