//! A policy that decodes a request with Kubewarden's SDK, reads the object's annotations, and accepts.

use kubewarden_policy_sdk::request::ValidationRequest;
use kubewarden_policy_sdk::settings::Validatable;
use serde::{Deserialize, Serialize};
use wapc_guest::{CallResult, register_function};

#[derive(Default, Deserialize, Serialize)]
struct Settings {}

impl Validatable for Settings {
    fn validate(&self) -> Result<(), String> {
        Ok(())
    }
}

/// Registers the operations; a waPC host calls it once per instance.
#[unsafe(no_mangle)]
pub extern "C" fn wapc_init() {
    register_function("validate_settings", kubewarden_policy_sdk::validate_settings::<Settings>);
    register_function("validate", validate);
}

fn validate(payload: &[u8]) -> CallResult {
    let request: ValidationRequest<Settings> = ValidationRequest::new(payload)?;
    let annotations = |object: &serde_json::Value| object["metadata"]["annotations"].clone();
    std::hint::black_box(annotations(&request.request.object) == annotations(&request.request.old_object));
    kubewarden_policy_sdk::accept_request()
}
