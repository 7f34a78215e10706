//! JavaScript gets the same bytes as a native host and as a host of the module, on the table that the core's own tests run.
//!
//! `make playground` builds the npm package that is tested here.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../../policy/tests/render/table.rs"]
mod table;

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use table::cases;
use telewarden::{Options, embedded};

/// What the package makes of a list of calls, each its name and its two arguments.
fn in_javascript(calls: &[Value]) -> Vec<String> {
    let mut node = Command::new("node")
        .args(["--input-type=module", "--eval", include_str!("same_bytes.mjs")])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/dist/npm"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Node is on the PATH, and `make playground` has built the package");
    let mut stdin = node.stdin.take().unwrap();
    let calls = json!(calls).to_string();
    let writer = std::thread::spawn(move || stdin.write_all(calls.as_bytes()));
    let output = node.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "Node says why above");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn render_answers_alike_natively_as_webassembly_and_in_javascript() {
    let module = embedded::module(&Options::default()).unwrap();
    let calls = cases().into_iter().map(|case| {
        let request: Value = serde_json::from_str(&case.request()).unwrap();
        json!(["render", request["sources"][0].to_string(), case.settings().to_string()])
    });
    let calls: Vec<_> = calls.collect();
    let answers = in_javascript(&calls);
    assert!(answers.len() > 50, "the table is there");
    for (case, answer) in cases().iter().zip(&answers) {
        let told = format!("{}, which the table expects to be {:?}", case.name, case.expect);
        let request = case.request();
        let native = telewarden_policy::render::render(&serde_json::from_str(&request).unwrap());
        let native = serde_json::to_string(&native).unwrap();
        let in_module = String::from_utf8(module.call("render", request.as_bytes()).unwrap()).unwrap();
        assert_eq!(*answer, native, "{told}");
        assert_eq!(*answer, in_module, "{told}");
    }
}

#[test]
fn the_other_functions_answer_javascript_as_they_answer_rust() {
    let finding = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n  annotations:\n    \
                   telegraf.influxdata.com/rubin-telegraf-operator: \"é: {url: 1}\"\n";
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}});
    let request = json!({"uid": "1", "operation": "CREATE", "object": object}).to_string();
    let calls = [
        json!(["check", finding, "nonsense: 1"]),
        json!(["check", "a: [", "{"]),
        json!(["evaluate", finding, "mutation: digest"]),
        json!(["review", request, ""]),
        json!(["render", "a: [", ""]),
        json!(["review", "a: 1", ""]),
    ];
    let answers = in_javascript(&calls);
    let expected = [
        json!(telewarden_playground::check(finding, "nonsense: 1")),
        json!(telewarden_playground::check("a: [", "{")),
        json!(telewarden_playground::evaluate(finding, "mutation: digest")),
        telewarden_playground::review(&request, "").unwrap(),
    ];
    for (answer, expected) in answers.iter().zip(&expected) {
        assert_eq!(*answer, expected.to_string());
    }
    let thrown = |error: telewarden_playground::Error| format!("Error: {error}");
    assert_eq!(
        answers[4],
        thrown(telewarden_playground::render("a: [", "").unwrap_err())
    );
    assert_eq!(
        answers[5],
        thrown(telewarden_playground::review("a: 1", "").unwrap_err())
    );
}

#[test]
fn the_package_has_the_documentation() {
    let read = |name: &str| -> Value {
        let text = std::fs::read_to_string(format!("{}/dist/npm/{name}", env!("CARGO_MANIFEST_DIR")));
        serde_json::from_str(&text.unwrap()).unwrap()
    };
    let rules = read("rules.json");
    let rules = rules.as_object().unwrap();
    assert!(rules.contains_key("TW101"));
    for (code, rule) in rules {
        assert_eq!(*rule, json!(telewarden_policy::diagnostic::rules::find(code)));
    }
    assert!(read("annotation.schema.json")["$schema"].is_string());
    assert!(read("settings.schema.json")["properties"]["topology"].is_object());
}
