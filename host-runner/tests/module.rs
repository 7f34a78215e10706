//! What the library makes of modules that misbehave, each a few lines of WebAssembly text.

use std::time::Duration;

use rstest::rstest;
use serde_json::{Value, json};
use telewarden::{Cache, Error, Module, Options, RenderRequest, Verdict};

/// A waPC guest with one page of memory.
fn guest(body: &str) -> Vec<u8> {
    wat::parse_str(format!(
        r#"(module
            (import "wapc" "__guest_request" (func $guest_request (param i32 i32)))
            (import "wapc" "__guest_response" (func $guest_response (param i32 i32)))
            (import "wapc" "__guest_error" (func $guest_error (param i32 i32)))
            (import "wapc" "__host_call" (func $host_call (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
            (import "wapc" "__host_error" (func $host_error (param i32)))
            (import "wapc" "__host_error_len" (func $host_error_len (result i32)))
            (memory (export "memory") 1)
            (global $calls (mut i32) (i32.const 48))
            {body})"#
    ))
    .expect("the text is WebAssembly")
}

/// One that does this when it is called.
fn on_call(body: &str) -> Vec<u8> {
    guest(&format!(
        r#"(func (export "__guest_call") (param $operation i32) (param $payload i32) (result i32) {body})"#
    ))
}

/// One that answers every call with this text.
fn answering(text: &str) -> Vec<u8> {
    let data = text.replace('\\', r"\5c").replace('"', r"\22");
    guest(&format!(
        r#"(data (i32.const 1024) "{data}")
           (func (export "__guest_call") (param i32 i32) (result i32)
             (call $guest_response (i32.const 1024) (i32.const {}))
             (i32.const 1))"#,
        text.len()
    ))
}

const ENDLESS: &str = "(loop $again (br $again)) (i32.const 1)";

/// Grows by a page until it is refused one, and gives up as Rust does.
const INSATIABLE: &str = "
    (loop $again
      (br_if $again (i32.ge_s (memory.grow (i32.const 1)) (i32.const 0))))
    unreachable";

fn options() -> Options {
    Options {
        deadline: Duration::from_millis(40),
        memory: 4 * 1024 * 1024,
        cache: Cache::Off,
    }
}

fn load(wasm: &[u8]) -> Module {
    Module::new(wasm, &options()).expect("the module loads")
}

fn call(wasm: &[u8]) -> Result<Vec<u8>, Error> {
    load(wasm).call("anything", b"{}")
}

fn render(wasm: &[u8]) -> Result<telewarden::RenderAnswer, Error> {
    load(wasm).render(&RenderRequest {
        protocol: telewarden::PROTOCOL,
        settings: None,
        sources: Vec::new(),
        ..Default::default()
    })
}

#[test]
fn a_call_without_end_is_stopped() {
    assert!(matches!(call(&on_call(ENDLESS)), Err(Error::Deadline { operation, .. }) if operation == "anything"));
}

#[test]
fn a_start_function_without_end_is_stopped() {
    let wasm = guest(
        r#"(func (export "wapc_init") (loop $again (br $again)))
           (func (export "__guest_call") (param i32 i32) (result i32) (i32.const 1))"#,
    );
    assert!(matches!(call(&wasm), Err(Error::Deadline { .. })));
}

#[test]
fn a_call_that_is_refused_memory_and_gives_up_is_out_of_memory() {
    let error = call(&on_call(INSATIABLE)).expect_err("there is no end of memory");
    assert!(
        matches!(error, Error::OutOfMemory { limit, .. } if limit == options().memory),
        "{error:?}"
    );
    insta::assert_snapshot!(error, @"`anything` needs more memory than the 4 MiB that the module may use");
}

#[test]
fn a_module_that_starts_above_the_limit_is_out_of_memory() {
    let wasm = wat::parse_str(
        r#"(module
            (memory (export "memory") 100)
            (func (export "__guest_call") (param i32 i32) (result i32) (i32.const 1)))"#,
    )
    .expect("the text is WebAssembly");
    assert!(matches!(call(&wasm), Err(Error::OutOfMemory { .. })));
}

#[test]
fn a_call_that_is_refused_memory_and_goes_on_has_its_answer() {
    let wasm = on_call(
        "(drop (memory.grow (i32.const 1000)))
         (call $guest_response (i32.const 0) (i32.const 3))
         (i32.const 1)",
    );
    assert_eq!(call(&wasm).expect("it answers"), [0; 3]);
}

#[rstest]
#[case::unreachable("unreachable", "wasm `unreachable` instruction executed")]
#[case::division("(i32.div_u (i32.const 1) (i32.const 0))", "integer divide by zero")]
#[case::response_outside_its_memory(
    "(call $guest_response (i32.const 65530) (i32.const 100)) (i32.const 1)",
    "the module passed 100 bytes at 65530, which is outside of its memory"
)]
#[case::response_at_the_end_of_addresses(
    "(call $guest_response (i32.const -1) (i32.const -1)) (i32.const 1)",
    "the module passed 4294967295 bytes at 4294967295, which is outside of its memory"
)]
#[case::request_outside_its_memory(
    "(call $guest_request (i32.const 0) (i32.const 65535)) (i32.const 1)",
    "the module requested 2 bytes at 65535, which is outside of its memory"
)]
fn a_trap_is_reported_with_its_reason(#[case] body: &str, #[case] reason: &str) {
    let error = call(&on_call(body)).expect_err("it traps");
    let Error::Trap { source, .. } = &error else {
        panic!("{error:?}");
    };
    assert!(source.to_string().contains(reason), "{source}");
}

#[test]
fn a_trap_of_one_call_does_not_reach_the_next() {
    // It writes a mark, traps on the first call of an instance, and would answer on the second.
    let module = load(&on_call(
        "(if (i32.eqz (i32.load (i32.const 0)))
           (then (i32.store (i32.const 0) (i32.const 1)) unreachable))
         (call $guest_response (i32.const 0) (i32.const 4))
         (i32.const 1)",
    ));
    for _ in 0..3 {
        assert!(matches!(module.call("anything", b""), Err(Error::Trap { .. })));
    }
}

#[test]
fn nothing_of_one_call_is_left_for_the_next() {
    let module = load(&on_call(
        "(global.set $calls (i32.add (global.get $calls) (i32.const 1)))
         (i32.store (i32.const 0) (global.get $calls))
         (call $guest_response (i32.const 0) (i32.const 1))
         (i32.const 1)",
    ));
    let answers: Vec<_> = (0..3)
        .map(|_| module.call("anything", b"").expect("it answers"))
        .collect();
    assert_eq!(answers, [b"1", b"1", b"1"]);
}

#[test]
fn calls_run_side_by_side_and_each_has_its_own_deadline() {
    let endless = load(&on_call(ENDLESS));
    let answering = load(&answering("{}"));
    std::thread::scope(|threads| {
        let slow: Vec<_> = (0..4)
            .map(|_| threads.spawn(|| endless.clone().call("slow", b"")))
            .collect();
        for _ in 0..50 {
            assert_eq!(answering.call("quick", b"").expect("it answers"), b"{}");
        }
        for call in slow {
            let result = call.join().expect("the thread ends");
            assert!(matches!(result, Err(Error::Deadline { .. })));
        }
    });
}

#[test]
fn an_error_of_the_guest_is_its_own_words() {
    let wasm = guest(
        r#"(data (i32.const 1024) "no such operation")
           (func (export "__guest_call") (param i32 i32) (result i32)
             (call $guest_error (i32.const 1024) (i32.const 17))
             (i32.const 0))"#,
    );
    assert!(matches!(call(&wasm), Err(Error::Guest { message, .. }) if message == "no such operation"));
}

#[test]
fn a_guest_may_say_that_it_trapped_and_is_not_believed() {
    let wasm = guest(
        r#"(data (i32.const 1024) "guest code interrupted, execution deadline exceeded")
           (func (export "__guest_call") (param i32 i32) (result i32)
             (call $guest_error (i32.const 1024) (i32.const 51))
             (i32.const 0))"#,
    );
    assert!(matches!(call(&wasm), Err(Error::Guest { .. })));
}

#[test]
fn a_host_call_is_refused_and_the_guest_is_told() {
    let wasm = guest(
        r#"(data (i32.const 1024) "kubernetes")
           (func (export "__guest_call") (param i32 i32) (result i32)
             (if (call $host_call
                   (i32.const 1024) (i32.const 10) (i32.const 1024) (i32.const 10)
                   (i32.const 1024) (i32.const 10) (i32.const 0) (i32.const 0))
               (then unreachable))
             (call $host_error (i32.const 2048))
             (call $guest_error (i32.const 2048) (call $host_error_len))
             (i32.const 0))"#,
    );
    let error = call(&wasm).expect_err("it says what it was told");
    insta::assert_snapshot!(
        error,
        @"the module cannot answer `anything`: host call `kubernetes/kubernetes/kubernetes` refused: this host has no capabilities"
    );
}

#[rstest]
#[case::not_json("no JSON")]
#[case::something_else("[]")]
#[case::no_version(r#"{"sources": []}"#)]
#[case::half_an_answer(r#"{"protocol": 1, "sources": []}"#)]
fn an_answer_that_is_none_is_not_decoded(#[case] answer: &str) {
    assert!(matches!(render(&answering(answer)), Err(Error::Decode { operation, .. }) if operation == "render"));
}

#[test]
fn an_answer_of_another_version_is_told_apart_whatever_it_holds() {
    let error = render(&answering(r#"{"protocol": 2, "everything": "different"}"#)).expect_err("it is version 2");
    assert!(matches!(error, Error::Protocol { found: 2 }), "{error:?}");
}

#[test]
fn an_answer_with_fields_of_a_later_release_is_read() {
    let answer = render(&answering(
        r#"{"protocol": 1, "diagnostics": [], "sources": [], "news": {}}"#,
    ));
    assert_eq!(answer.expect("it is version 1").sources, []);
}

#[test]
fn payloads_are_those_that_kubewarden_sends() {
    // It answers with the payload it was given, as an error's text. The length is its second argument.
    let wasm = on_call(
        "(call $guest_request (i32.const 0) (i32.const 1024))
         (call $guest_error (i32.const 1024) (local.get $payload))
         (i32.const 0)",
    );
    let module = load(&wasm);
    let said = |error: Error| match error {
        Error::Guest { message, .. } => serde_json::from_str::<Value>(&message).expect("it is JSON"),
        error => panic!("{error:?}"),
    };
    let (request, settings) = (json!({"uid": "1"}), json!({"topology": "endpoint"}));
    let validated = said(
        module
            .validate(&request, &settings)
            .expect_err("it says what it was asked"),
    );
    assert_eq!(validated, json!({"request": request, "settings": settings}));
    for settings in [settings, Value::Null] {
        let asked = module
            .validate_settings(&settings)
            .expect_err("it says what it was asked");
        assert_eq!(said(asked), settings);
        let asked = module.settings(&settings).expect_err("it says what it was asked");
        assert_eq!(said(asked), settings);
    }
}

#[test]
fn a_verdict_is_read() {
    let answer = r#"{"accepted": false, "message": "no", "code": 422, "warnings": ["a"], "later": 1}"#;
    let verdict = load(&answering(answer))
        .validate(&json!({}), &json!({}))
        .expect("it answers");
    let expected = Verdict {
        message: Some("no".to_owned()),
        code: Some(422),
        warnings: Some(vec!["a".to_owned()]),
        ..Verdict::default()
    };
    assert_eq!(verdict, expected);
    let none = load(&answering("{}")).validate(&json!({}), &json!({}));
    assert!(matches!(none, Err(Error::Decode { operation, .. }) if operation == "validate"));
    let verdict = load(&answering(r#"{"valid": true}"#)).validate_settings(&json!({}));
    assert!(verdict.is_ok_and(|verdict| verdict.valid && verdict.message.is_none()));
}

#[rstest]
#[case::not_wasm(b"not wasm".to_vec())]
#[case::empty(Vec::new())]
#[case::text(b"(module)".to_vec())]
fn what_is_no_module_does_not_compile(#[case] bytes: Vec<u8>) {
    assert!(matches!(Module::new(&bytes, &options()), Err(Error::Compile { .. })));
}

#[rstest]
#[case::no_guest_call("(module)")]
#[case::wasi(
    r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "__guest_call") (param i32 i32) (result i32) (i32.const 1)))"#
)]
fn what_does_not_fit_the_host_does_not_load(#[case] text: &str) {
    let wasm = wat::parse_str(text).expect("the text is WebAssembly");
    assert!(matches!(Module::new(&wasm, &options()), Err(Error::Link { .. })));
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Module::from_file("no/such/policy.wasm", &options()).expect_err("there is none");
    insta::assert_snapshot!(error, @"cannot read the module `no/such/policy.wasm`");
}

#[cfg(unix)]
#[test]
fn compiled_code_is_kept_and_found_again() {
    use std::os::unix::fs::MetadataExt;

    let folder = tempfile::tempdir().expect("a folder");
    let options = Options {
        cache: Cache::Folder(folder.path().to_owned()),
        ..options()
    };
    // What is written again is another file under the same name.
    let kept = || {
        walk(folder.path())
            .filter(|path| path.extension().is_none())
            .map(|path| (std::fs::metadata(&path).expect("it is there").ino(), path))
            .collect::<Vec<_>>()
    };
    let wasm = answering("{}");

    assert!(kept().is_empty());
    Module::new(&wasm, &options).expect("it loads");
    let first = kept();
    assert_eq!(first.len(), 1, "{first:?}");

    let module = Module::new(&wasm, &options).expect("it loads");
    assert_eq!(kept(), first, "nothing was compiled again");
    assert_eq!(module.call("anything", b"").expect("it answers"), b"{}");
}

/// Wasmtime deletes what it does not know in the folder that it has, and ours holds artifacts too.
#[test]
fn wasmtime_has_a_folder_of_its_own_in_the_cache() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options {
        cache: Cache::Folder(folder.path().to_owned()),
        ..options()
    };
    Module::new(&answering("{}"), &options).expect("it loads");
    let inside = std::fs::read_dir(folder.path()).expect("a folder");
    let inside: Vec<_> = inside.map(|entry| entry.expect("an entry").file_name()).collect();
    assert_eq!(inside, ["compiled"]);
}

#[test]
fn a_cache_that_cannot_be_written_is_done_without() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a-file");
    std::fs::write(&file, "").expect("it is written");
    let options = Options {
        cache: Cache::Folder(file.join("below")),
        ..options()
    };
    let module = Module::new(&answering("{}"), &options).expect("it compiles");
    assert_eq!(module.call("anything", b"").expect("it answers"), b"{}");
}

#[test]
fn damaged_code_in_the_cache_is_compiled_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options {
        cache: Cache::Folder(folder.path().to_owned()),
        ..options()
    };
    let wasm = answering("{}");
    Module::new(&wasm, &options).expect("it loads");
    for path in walk(folder.path()).filter(|path| path.extension().is_none()) {
        std::fs::write(path, b"damaged").expect("it is written");
    }
    let module = Module::new(&wasm, &options).expect("it loads");
    assert_eq!(module.call("anything", b"").expect("it answers"), b"{}");
}

/// The files below a folder.
fn walk(folder: &std::path::Path) -> Box<dyn Iterator<Item = std::path::PathBuf>> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    Box::new(entries.flat_map(|entry| {
        let path = entry.path();
        if path.is_dir() {
            walk(&path)
        } else {
            Box::new(std::iter::once(path))
        }
    }))
}
