//! `telewarden lsp`, by speaking the protocol to the command.

use std::fs;
use std::io::{BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use lsp_server::{Message, Notification, Request, Response};
use rstest::rstest;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::folder::{command, place};

const FILE: &str = "apiVersion: argoproj.io/v1alpha1
kind: Application
metadata:
  name: shop
  namespace: argocd
  annotations:
    telegraf.influxdata.com/rubin-telegraf-operator: |
      # ü 🦀
      - web: http://web.shop.svc:8080/metrics
      - \"🦀\": http://x.shop.svc
      - cache:
          url: http://cache.shop.svc:9121/metrics
          intervall: 1m
spec:
  project: default
  destination: {server: 'https://kubernetes.default.svc', namespace: shop}
";

struct Editor {
    server: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    folder: TempDir,
    requests: i32,
}

impl Editor {
    fn start(files: &[(&str, &str)]) -> Self {
        let folder = place(files);
        let mut server = command(folder.path())
            .args(["lsp", "--stdio"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it runs");
        let to = server.stdin.take().expect("a pipe");
        let from = BufReader::new(server.stdout.take().expect("a pipe"));
        let mut editor = Self {
            server,
            to,
            from,
            folder,
            requests: 0,
        };
        let root = format!("file://{}", editor.folder.path().display());
        let answer = editor.ask(
            "initialize",
            json!({"processId": null, "rootUri": root, "capabilities": {}}),
        );
        assert_eq!(answer["serverInfo"]["name"], "telewarden");
        editor.tell("initialized", json!({}));
        editor
    }

    fn uri(&self, name: &str) -> String {
        format!("file://{}/{name}", self.folder.path().display())
    }

    fn tell(&mut self, method: &str, params: Value) {
        let message = Message::from(Notification::new(method.to_owned(), params));
        message.write(&mut self.to).expect("it is written");
    }

    fn next(&mut self) -> Message {
        Message::read(&mut self.from)
            .expect("a message")
            .expect("the server is there")
    }

    fn response(&mut self, method: &str, params: Value) -> Response {
        self.requests += 1;
        let request = Request::new(self.requests.into(), method.to_owned(), params);
        Message::from(request).write(&mut self.to).expect("it is written");
        loop {
            if let Message::Response(response) = self.next() {
                assert_eq!(response.id, self.requests.into());
                return response;
            }
        }
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.response(method, params).response_result.expect("no error")
    }

    /// The next notification of a method.
    fn told(&mut self, method: &str) -> Value {
        loop {
            if let Message::Notification(told) = self.next()
                && told.method == method
            {
                return told.params;
            }
        }
    }

    /// Opens a text, and answers what is found in it.
    fn open(&mut self, name: &str, text: &str) -> Vec<Value> {
        let uri = self.uri(name);
        let document = json!({"uri": uri, "languageId": "yaml", "version": 1, "text": text});
        self.tell("textDocument/didOpen", json!({"textDocument": document}));
        self.diagnostics()
    }

    fn change(&mut self, name: &str, text: &str) -> Vec<Value> {
        let document = json!({"uri": self.uri(name), "version": 2});
        self.tell(
            "textDocument/didChange",
            json!({"textDocument": document, "contentChanges": [{"text": text}]}),
        );
        self.diagnostics()
    }

    fn diagnostics(&mut self) -> Vec<Value> {
        let told = self.told("textDocument/publishDiagnostics");
        told["diagnostics"].as_array().expect("a list").clone()
    }

    fn at(&mut self, method: &str, name: &str, line: usize, character: usize) -> Value {
        let params =
            json!({"textDocument": {"uri": self.uri(name)}, "position": {"line": line, "character": character}});
        self.ask(method, params)
    }

    fn labels(&mut self, name: &str, line: usize, character: usize) -> Vec<String> {
        let found = self.at("textDocument/completion", name, line, character);
        let labels = found.as_array().expect("a list").iter();
        labels
            .map(|item| item["label"].as_str().expect("text").to_owned())
            .collect()
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        // A test that failed leaves it running.
        _ = self.server.kill();
        _ = self.server.wait();
    }
}

/// The text with an edit, whose columns are UTF-16 code units.
fn edited(text: &str, edit: &Value) -> String {
    let mut lines: Vec<Vec<u16>> = text.split('\n').map(|line| line.encode_utf16().collect()).collect();
    let number = |pointer: &str| edit.pointer(pointer).and_then(Value::as_u64).expect("a number") as usize;
    let line = number("/range/start/line");
    assert_eq!(line, number("/range/end/line"));
    let new = edit["newText"].as_str().expect("text").encode_utf16();
    lines[line].splice(number("/range/start/character")..number("/range/end/character"), new);
    let lines: Vec<_> = lines
        .iter()
        .map(|line| String::from_utf16(line).expect("UTF-16"))
        .collect();
    lines.join("\n")
}

#[test]
fn findings_come_as_one_types_and_go() {
    let mut editor = Editor::start(&[]);
    let found = editor.open("shop.yaml", FILE);
    let codes: Vec<_> = found
        .iter()
        .map(|found| found["code"].as_str().expect("a code"))
        .collect();
    assert_eq!(codes, ["TW101", "TW201"]);
    assert_eq!(
        (&found[0]["severity"], &found[0]["source"]),
        (&json!(1), &json!("telewarden"))
    );
    // A crab is two UTF-16 code units.
    assert_eq!(
        found[0]["range"],
        json!({"start": {"line": 9, "character": 8}, "end": {"line": 9, "character": 12}})
    );

    let fine = FILE.replace("intervall", "interval").replace('🦀', "crab");
    assert_eq!(editor.change("shop.yaml", &fine), Vec::<Value>::new());
    let broken = editor.change("shop.yaml", &FILE.replace("  name: shop", "\tname: shop"));
    assert_eq!(broken.len(), 1);
    assert!(
        broken[0]["message"].as_str().expect("text").starts_with("not YAML"),
        "{broken:?}"
    );
    editor.tell(
        "textDocument/didClose",
        json!({"textDocument": {"uri": editor.uri("shop.yaml")}}),
    );
    assert_eq!(editor.diagnostics(), Vec::<Value>::new());
}

#[rstest]
#[case::other_yaml("a: [\n")]
#[case::a_template("telegraf.influxdata.com/class: {{ .Values.class }}\n{{- end }}\n")]
#[case::nothing("")]
#[case::no_object("a: b\n")]
fn other_texts_are_left_to_others(#[case] text: &str) {
    assert_eq!(Editor::start(&[]).open("other.yaml", text), Vec::<Value>::new());
}

#[test]
fn a_quick_fix_is_what_fix_writes() {
    let mut editor = Editor::start(&[]);
    // The place is behind a crab in its line, which counts double.
    let file = FILE.replace(
        "- web: http://web.shop.svc:8080/metrics",
        "- \"web\": \"http://WEB.shop.svc:8080/🦀\"",
    );
    let file = file
        .replace("\"🦀\": http", "{other: http")
        .replace("x.shop.svc", "x.shop.svc, \"x🦀\": http://Y:80/m}");
    editor.open("shop.yaml", &file);
    let uri = editor.uri("shop.yaml");
    let all = json!({"start": {"line": 0, "character": 0}, "end": {"line": 99, "character": 0}});
    let params = json!({"textDocument": {"uri": uri}, "range": all, "context": {"diagnostics": []}});
    let actions = editor.ask("textDocument/codeAction", params);
    let actions = actions.as_array().expect("a list");
    let option = actions
        .iter()
        .find(|action| action["title"] == "Write interval")
        .expect("it is offered");
    assert_eq!(
        (&option["kind"], &option["isPreferred"]),
        (&json!("quickfix"), &json!(true))
    );
    assert_eq!(option["diagnostics"][0]["code"], "TW201");
    let fixed = edited(&file, &option["edit"]["changes"][&uri][0]);
    assert_eq!(fixed, file.replace("intervall", "interval"));

    let elsewhere = json!({"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 5}});
    let params = json!({"textDocument": {"uri": uri}, "range": elsewhere, "context": {"diagnostics": []}});
    assert_eq!(editor.ask("textDocument/codeAction", params), json!([]));
}

#[test]
fn options_and_findings_are_explained() {
    let mut editor = Editor::start(&[]);
    editor.open("shop.yaml", FILE);
    let option = editor.at("textDocument/hover", "shop.yaml", 11, 12);
    assert!(
        option["contents"]["value"]
            .as_str()
            .expect("text")
            .starts_with("**url**"),
        "{option}"
    );
    assert_eq!(option["range"]["start"], json!({"line": 11, "character": 10}));
    let finding = editor.at("textDocument/hover", "shop.yaml", 12, 12);
    assert!(
        finding["contents"]["value"]
            .as_str()
            .expect("text")
            .starts_with("# TW201"),
        "{finding}"
    );
    assert_eq!(editor.at("textDocument/hover", "shop.yaml", 3, 4), Value::Null);
}

#[test]
fn names_and_values_are_completed() {
    let mut editor = Editor::start(&[]);
    let file = FILE.replace("          intervall: 1m", "          metric_version: \n          ins");
    editor.open("shop.yaml", &file);
    let names = editor.labels("shop.yaml", 13, 13);
    assert!(
        names.contains(&"insecure_skip_verify".to_owned()) && names.contains(&"interval".to_owned()),
        "{names:?}"
    );
    assert_eq!(editor.labels("shop.yaml", 12, 26), ["1", "2"]);

    let found = editor.at("textDocument/completion", "shop.yaml", 13, 13);
    let item = found
        .as_array()
        .expect("a list")
        .iter()
        .find(|item| item["label"] == "interval")
        .expect("it is there");
    assert_eq!(
        edited(&file, &item["textEdit"]),
        file.replace("          ins\n", "          interval: \n")
    );
    assert_eq!(item["documentation"]["kind"], "markdown");

    // A line without anything is as deep as the cursor.
    let file = file.replace("          ins\n", "          \n");
    editor.change("shop.yaml", &file);
    assert!(editor.labels("shop.yaml", 13, 10).contains(&"timeout".to_owned()));
    assert_eq!(editor.labels("shop.yaml", 13, 6), Vec::<String>::new());

    let file = FILE.replace("spec:", "    tele\nspec:");
    editor.change("shop.yaml", &file);
    let names = editor.labels("shop.yaml", 13, 8);
    assert!(names.contains(&"telewarden.io/interval".to_owned()), "{names:?}");
    assert_eq!(editor.labels("shop.yaml", 3, 3), Vec::<String>::new());
}

#[test]
fn settings_are_completed_where_they_are() {
    let mut editor = Editor::start(&[]);
    editor.open("telewarden.yaml", "settings:\n  topo\n");
    assert!(editor.labels("telewarden.yaml", 1, 6).contains(&"topology".to_owned()));
    editor.open("other.yaml", "settings:\n  topo\n");
    assert_eq!(editor.labels("other.yaml", 1, 6), Vec::<String>::new());
    let policy =
        "apiVersion: policies.kubewarden.io/v1\nkind: ClusterAdmissionPolicy\nspec:\n  settings:\n    topology: \n";
    editor.open("policy.yaml", policy);
    assert!(editor.labels("policy.yaml", 4, 14).contains(&"standalone".to_owned()));
}

#[test]
fn the_project_file_counts_and_is_read_again_when_it_is_saved() {
    let mut editor = Editor::start(&[("telewarden.yaml", "rules: {TW113: off}\n")]);
    let twice = FILE.replace(
        "      - \"🦀\": http://x.shop.svc\n",
        "      - two: http://web.shop.svc:8080/metrics\n",
    );
    let twice = twice.replace("intervall", "interval");
    assert_eq!(editor.open("shop.yaml", &twice), Vec::<Value>::new());

    let project = editor.folder.path().join("telewarden.yaml");
    fs::write(&project, "rules: {TW113: error}\n").expect("it is written");
    let uri = editor.uri("telewarden.yaml");
    editor.tell("textDocument/didSave", json!({"textDocument": {"uri": uri}}));
    assert_eq!(editor.diagnostics()[0]["severity"], 1);

    fs::write(&project, "rulez: {}\n").expect("it is written");
    editor.tell("textDocument/didSave", json!({"textDocument": {"uri": uri}}));
    let said = editor.told("window/showMessage");
    assert!(
        said["message"].as_str().expect("text").contains("telewarden.yaml"),
        "{said}"
    );
    // It is said in the file too, and the last good one counts.
    let published = editor.told("textDocument/publishDiagnostics");
    assert_eq!(published["uri"], uri);
    assert_eq!(
        published["diagnostics"][0]["range"]["start"],
        json!({"line": 0, "character": 0})
    );
    assert!(
        published["diagnostics"][0]["message"]
            .as_str()
            .expect("text")
            .contains("`rulez` is not known")
    );
    let published = editor.told("textDocument/publishDiagnostics");
    assert_eq!(published["uri"], editor.uri("shop.yaml"));
    assert_eq!(published["diagnostics"][0]["severity"], 1);

    fs::write(&project, "").expect("it is written");
    editor.tell("textDocument/didSave", json!({"textDocument": {"uri": uri}}));
    let published = editor.told("textDocument/publishDiagnostics");
    assert_eq!(
        (&published["uri"], &published["diagnostics"]),
        (&json!(uri), &json!([]))
    );
}

#[test]
fn it_answers_what_it_does_not_know_and_ends_when_it_is_told() {
    let mut editor = Editor::start(&[]);
    let unknown = editor
        .response("textDocument/rename", json!({}))
        .response_result
        .expect_err("it is not served");
    assert_eq!(unknown.code, -32601);
    let wrong = editor
        .response("textDocument/hover", json!({"a": 1}))
        .response_result
        .expect_err("it is wrong");
    assert_eq!(wrong.code, -32602);
    assert_eq!(editor.at("textDocument/hover", "never-opened.yaml", 1, 1), Value::Null);
    assert_eq!(
        editor.at("textDocument/completion", "never-opened.yaml", 1, 1),
        json!([])
    );
    editor.ask("shutdown", Value::Null);
    editor.tell("exit", Value::Null);
    editor.to.flush().expect("it is written");
    assert!(editor.server.wait().expect("it ends").success());
}
