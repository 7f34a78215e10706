//! The module answers with the same bytes as the core that it is built from, on the table that the core's own tests run,
//! and in the pair of libraries that Kubewarden itself runs policies with.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../../policy/tests/render/table.rs"]
mod table;

use serde_json::json;
use table::cases;
use telewarden::{Options, embedded};
use telewarden_policy::{admission, render};
use wapc::WapcHost;
use wasmtime_provider::WasmtimeEngineProviderBuilder;

#[test]
fn render_answers_alike_natively_and_as_webassembly() {
    let module = embedded::module(&Options::default()).unwrap();
    for case in cases() {
        let request = case.request();
        let native = render::render(&serde_json::from_str(&request).unwrap());
        let native = serde_json::to_string(&native).unwrap();
        let in_module = String::from_utf8(module.call("render", request.as_bytes()).unwrap()).unwrap();
        assert_eq!(
            in_module, native,
            "{}, which the table expects to be {:?}",
            case.name, case.expect
        );
    }
}

#[test]
fn kubewardens_own_host_runs_the_module_unchanged() {
    let provider = WasmtimeEngineProviderBuilder::new()
        .module_bytes(embedded::WASM)
        .build()
        .unwrap();
    // No host capability: whatever the module asked for would be refused.
    let host = WapcHost::new(
        Box::new(provider),
        Some(Box::new(|_, _, _, _, _| Err("no host calls".into()))),
    )
    .unwrap();
    assert_eq!(host.call("protocol_version", b"").unwrap(), br#""v1""#);
    for case in cases() {
        let request: serde_json::Value = serde_json::from_str(&case.request()).unwrap();
        let admission = json!({"uid": "1", "operation": "CREATE", "object": request["sources"][0]});
        let raw = &request["sources"][0];
        for request in [&admission, raw] {
            let payload = json!({"request": request, "settings": case.settings()}).to_string();
            let native = serde_json::to_vec(&admission::validate(payload.as_bytes())).unwrap();
            let answer = host.call("validate", payload.as_bytes()).unwrap();
            assert_eq!(answer, native, "{}", case.name);
        }
    }
}
