//! The waPC entry points. They only decode and encode.

use wapc_guest::{CallResult, register_function};

use crate::admission;
use crate::protocol::{RenderAnswer, RenderRequest};
use crate::render;

/// Faster than the standard library's allocator, and about as large (`docs/decisions/0012-the-hot-path.md`).
#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

/// Registers the operations; a waPC host calls it once per instance.
#[allow(unsafe_code)]
#[unsafe(no_mangle)]
pub(crate) extern "C" fn wapc_init() {
    register_function("protocol_version", protocol_version);
    register_function("validate_settings", validate_settings);
    register_function("validate", validate);
    register_function("render", render);
    register_function("parts", parts);
    register_function("shard", shard);
    register_function("settings", settings);
}

/// The version of Kubewarden's protocol, as JSON. Its SDK has the same function, and would add 67 crates to the build.
fn protocol_version(_: &[u8]) -> CallResult {
    Ok(br#""v1""#.to_vec())
}

fn validate(payload: &[u8]) -> CallResult {
    Ok(serde_json::to_vec(&admission::validate_with(payload, list_services))?)
}

fn list_services(request: &[u8]) -> Option<Vec<u8>> {
    let operation = "list_resources_by_namespace";
    wapc_guest::host_call("kubewarden", "kubernetes", operation, request).ok()
}

fn validate_settings(payload: &[u8]) -> CallResult {
    Ok(serde_json::to_vec(&admission::validate_settings(payload))?)
}

fn settings(payload: &[u8]) -> CallResult {
    Ok(serde_json::to_vec(&crate::settings::report(payload))?)
}

fn render(payload: &[u8]) -> CallResult {
    answer(payload, render::render)
}

fn parts(payload: &[u8]) -> CallResult {
    answer(payload, render::render_parts)
}

fn shard(payload: &[u8]) -> CallResult {
    answer(payload, render::render_shard)
}

fn answer(payload: &[u8], render: fn(&RenderRequest<'_>) -> RenderAnswer) -> CallResult {
    let request = crate::decode::decode(payload)?;
    Ok(serde_json::to_vec(&render(&request))?)
}
