//! waPC entry points: decoding and encoding, nothing else.

use wapc_guest::{CallResult, register_function};

use crate::admission::{ValidatePayload, validate as answer};
use crate::protocol::RenderRequest;
use crate::settings;

/// Registers the operations; a waPC host calls it once per instance.
#[allow(unsafe_code)]
#[unsafe(no_mangle)]
pub extern "C" fn wapc_init() {
    register_function("protocol_version", kubewarden_policy_sdk::protocol_version_guest);
    register_function("validate_settings", validate_settings);
    register_function("validate", validate);
    register_function("render", render);
}

fn validate(payload: &[u8]) -> CallResult {
    let payload: ValidatePayload<'_> = serde_json::from_slice(payload)?;
    Ok(serde_json::to_vec(&answer(&payload))?)
}

fn validate_settings(payload: &[u8]) -> CallResult {
    let document = serde_json::from_slice(payload)?;
    let (_, findings) = settings::read(Some(&document));
    Ok(serde_json::to_vec(&crate::admission::settings_answer(&findings))?)
}

fn render(payload: &[u8]) -> CallResult {
    let request: RenderRequest<'_> = serde_json::from_slice(payload)?;
    Ok(serde_json::to_vec(&crate::render::render(&request))?)
}
