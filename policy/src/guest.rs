//! waPC entry points: decoding and encoding, nothing else.

/// Registers the operations; a waPC host calls it once per instance.
#[allow(unsafe_code)]
#[unsafe(no_mangle)]
pub extern "C" fn wapc_init() {
    wapc_guest::register_function(
        "protocol_version",
        kubewarden_policy_sdk::protocol_version_guest,
    );
}
