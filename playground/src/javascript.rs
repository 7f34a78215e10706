//! The functions for JavaScript. They only decode and encode.
//!
//! Objects are passed as JSON text, which JavaScript parses. That is less code, and faster, than building objects property
//! by property.
#![allow(unsafe_code, reason = "the macro's exports")]
#![allow(missing_docs, reason = "documented where they are decided")]

use serde::Serialize;
use wasm_bindgen::prelude::*;

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = include_str!("../npm/types.d.ts");

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = JSON, js_name = parse, catch)]
    fn parse(text: &str) -> Result<JsValue, JsValue>;
}

/// Checks a text. Syntax errors are findings too.
#[wasm_bindgen(unchecked_return_type = "Checked")]
pub fn check(source: &str, settings: &str) -> Result<JsValue, JsValue> {
    object(&crate::check(source, settings))
}

/// Renders all objects of a text. Throws if it is not YAML.
#[wasm_bindgen(unchecked_return_type = "RenderAnswer")]
pub fn render(source: &str, settings: &str) -> Result<JsValue, JsValue> {
    object(&crate::render(source, settings).map_err(thrown)?)
}

/// Answers an AdmissionReview or an AdmissionRequest as Kubewarden would. Throws for any other input.
#[wasm_bindgen(unchecked_return_type = "Record<string, unknown>")]
pub fn review(request: &str, settings: &str) -> Result<JsValue, JsValue> {
    object(&crate::review(request, settings).map_err(thrown)?)
}

/// Everything about a text and its settings in one call, for live display while a user types.
#[wasm_bindgen(unchecked_return_type = "Evaluation")]
pub fn evaluate(source: &str, settings: &str) -> Result<JsValue, JsValue> {
    object(&crate::evaluate(source, settings))
}

fn object(value: &impl Serialize) -> Result<JsValue, JsValue> {
    parse(&serde_json::to_string(value).map_err(thrown)?)
}

fn thrown(error: impl ToString) -> JsValue {
    JsError::new(&error.to_string()).into()
}
