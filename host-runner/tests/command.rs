//! The command, run as a process on files. The module behind it is a few lines of WebAssembly text that give one answer,
//! so that what is tested is what the command makes of an answer. What the built-in module answers is tested beside it,
//! in `policy.rs`.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rstest::rstest;
use serde_json::{Value, json};
use tempfile::TempDir;

const ANNOTATION: &str = "/metadata/annotations/telegraf.influxdata.com~1rubin-telegraf-operator";

const APPLICATION: &str = "\
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata:
  name: argocd
  annotations:
    telegraf.influxdata.com/rubin-telegraf-operator: |
      - controller: http://argocd:8082/metrics
      - redis: ftp://argocd:9121/metrics
";

/// A folder with files and a module, in which the command runs.
struct Place {
    folder: TempDir,
    module: Vec<u8>,
}

impl Place {
    /// One where the module always gives this answer.
    fn answering(answer: &Value) -> Self {
        Self::with_call(&escape(&answer.to_string()), answer.to_string().len(), "$response", 1)
    }

    /// One where the module says what it was asked, as an error.
    fn echoing() -> Self {
        let module = r#"(module
            (import "wapc" "__guest_request" (func $request (param i32 i32)))
            (import "wapc" "__guest_error" (func $error (param i32 i32)))
            (memory (export "memory") 16)
            (func (export "__guest_call") (param i32) (param $payload i32) (result i32)
              (call $request (i32.const 0) (i32.const 1024))
              (call $error (i32.const 1024) (local.get $payload))
              (i32.const 0)))"#;
        Self::with_module(module)
    }

    fn with_call(data: &str, length: usize, function: &str, result: u32) -> Self {
        Self::with_module(&format!(
            r#"(module
                (import "wapc" "__guest_response" (func $response (param i32 i32)))
                (memory (export "memory") 16)
                (data (i32.const 1024) "{data}")
                (func (export "__guest_call") (param i32 i32) (result i32)
                  (call {function} (i32.const 1024) (i32.const {length}))
                  (i32.const {result})))"#
        ))
    }

    fn with_module(text: &str) -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            module: wat::parse_str(text).expect("the text is WebAssembly"),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("work").join(name)
    }

    fn file(self, name: &str, text: impl AsRef<[u8]>) -> Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("it has one")).expect("a folder");
        fs::write(path, text).expect("it is written");
        self
    }

    fn command(&self, args: &[&str]) -> Command {
        let module = self.folder.path().join("policy.wasm");
        fs::write(&module, &self.module).expect("it is written");
        fs::create_dir_all(self.path("")).expect("a folder");
        let mut command = Command::new(env!("CARGO_BIN_EXE_telewarden"));
        command.args(args).current_dir(self.path("")).stdin(Stdio::null());
        if matches!(args[0], "validate" | "render" | "explain") {
            command.arg("--policy").arg(module);
        }
        for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
            command.env_remove(variable);
        }
        command.env("TELEWARDEN_CACHE", self.folder.path().join("cache"));
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        self.command(args).output().expect("it runs").into()
    }

    fn run_with_stdin(&self, args: &[&str], stdin: &str) -> Ran {
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        let mut pipe = child.stdin.take().expect("it is piped");
        pipe.write_all(stdin.as_bytes()).expect("it reads");
        drop(pipe);
        child.wait_with_output().expect("it ends").into()
    }
}

/// How a run ended.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("it is UTF-8");
        let ran = Self {
            code: output.status.code(),
            out: text(output.stdout),
            err: text(output.stderr),
        };
        assert!(!ran.err.contains("panicked"), "{}", ran.err);
        ran
    }
}

impl Ran {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).expect("it is JSON")
    }

    fn all(&self) -> String {
        let code = self.code.map_or_else(|| "none".to_owned(), |code| code.to_string());
        format!("{}--- standard error\n{}--- exit {code}\n", self.out, self.err)
    }
}

/// Text as a string of WebAssembly's text format.
fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'"' | b'\\' | 0..0x20 | 0x7f.. => format!("\\{byte:02x}"),
            byte => char::from(byte).to_string(),
        })
        .collect()
}

fn answer(sources: Value) -> Value {
    json!({"protocol": 1, "diagnostics": [], "sources": sources})
}

fn source(index: usize, name: &str, outcome: &str, more: Value) -> Value {
    let mut source = json!({
        "index": index,
        "source": format!("argoproj.io/Application/argocd/{name}"),
        "outcome": outcome,
    });
    let (Some(source_map), Value::Object(more)) = (source.as_object_mut(), more) else {
        panic!("both are objects");
    };
    source_map.extend(more);
    source
}

fn diagnostic(code: &str, severity: &str, message: &str, start: (u32, u32), end: (u32, u32)) -> Value {
    json!({
        "code": code,
        "severity": severity,
        "message": message,
        "place": {
            "pointer": ANNOTATION,
            "range": {
                "start": {"line": start.0, "column": start.1},
                "end": {"line": end.0, "column": end.1},
            },
        },
    })
}

/// One error with help and one warning, in the file that [`APPLICATION`] is.
fn refused() -> Value {
    let mut error = diagnostic("TW103", "error", "the scheme `ftp` is not allowed", (2, 10), (2, 13));
    error["help"] = "write `http` or `https`".into();
    let warning = diagnostic("TW104", "warning", "a name that is doubtful", (1, 3), (1, 13));
    answer(json!([source(
        0,
        "argocd",
        "refused",
        json!({"diagnostics": [warning, error]})
    )]))
}

/// A warning alone.
fn doubtful() -> Value {
    let warning = diagnostic("TW104", "warning", "a name that is doubtful", (1, 3), (1, 13));
    answer(json!([source(
        0,
        "argocd",
        "rendered",
        json!({"diagnostics": [warning]})
    )]))
}

fn rendered() -> Value {
    answer(json!([source(
        0,
        "argocd",
        "rendered",
        json!({
            "endpoints": [{"name": "controller", "plugin": "prometheus", "urls": ["http://argocd:8082/metrics"]}],
            "namespace": "argocd",
            "configurations": [{"name": "telegraf-argocd", "files": {"telegraf.conf": "[agent]\n  interval = \"120s\"\n"}}],
            "objects": [
                {
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "metadata": {"name": "telegraf-argocd", "namespace": "argocd"},
                    "data": {"telegraf.conf": "[agent]\n  interval = \"120s\"\n\n[[outputs.health]]\n  # text: with \"quotes\"\n"},
                },
                {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "telegraf-argocd", "namespace": "argocd"}},
            ],
        })
    )]))
}

#[test]
fn findings_are_shown_in_the_file() {
    let place = Place::answering(&refused()).file("apps/argocd.yaml", APPLICATION);
    insta::assert_snapshot!(place.run(&["validate", "apps/argocd.yaml"]).all());
}

#[test]
fn findings_as_json() {
    let place = Place::answering(&refused()).file("apps/argocd.yaml", APPLICATION);
    insta::assert_snapshot!(place.run(&["validate", "--format", "json", "apps"]).all());
}

#[test]
fn findings_for_github() {
    let mut answer = refused();
    answer["sources"][0]["diagnostics"][1]["message"] = "100%\r\n::error::mine".into();
    let place = Place::answering(&answer).file("a,b:c.yaml", APPLICATION);
    insta::assert_snapshot!(place.run(&["validate", "--format", "github", "a,b:c.yaml"]).out);
}

#[test]
fn findings_as_sarif() {
    let place = Place::answering(&refused()).file("apps/my argocd.yaml", APPLICATION);
    let mut log = place.run(&["validate", "--format", "sarif", "./apps"]).json();
    let run = &mut log["runs"][0];
    run["tool"]["driver"]["semanticVersion"] = "[version]".into();
    // The words are the policy's. That they are there, and found by their index, is the command's.
    let rules = run["tool"]["driver"]["rules"].take();
    for result in run["results"].as_array().expect("a list") {
        let rule = &rules[result["ruleIndex"].as_u64().expect("a number") as usize];
        assert_eq!(rule["id"], result["ruleId"]);
        assert!(
            rule["help"]["markdown"]
                .as_str()
                .is_some_and(|text| text.contains("## Why")),
            "{rule}"
        );
    }
    insta::assert_snapshot!(format!("{log:#}"));
}

#[rstest]
#[case::nothing_found(rendered(), &[], 0)]
#[case::warnings(doubtful(), &[], 0)]
#[case::strict_warnings(doubtful(), &["--strict"], 1)]
#[case::strict_nothing_found(rendered(), &["--strict"], 0)]
#[case::errors(refused(), &[], 1)]
fn exit_status(#[case] answer: Value, #[case] args: &[&str], #[case] code: i32) {
    let place = Place::answering(&answer).file("a.yaml", APPLICATION);
    for format in ["human", "json", "github", "sarif"] {
        let args = [&["validate", "a.yaml", "--format", format], args].concat();
        assert_eq!(place.run(&args).code, Some(code), "{format}");
    }
}

#[test]
fn a_report_is_as_its_schema_says() {
    let schema = Place::echoing().run(&["schema", "validate-report"]).json();
    let validator = jsonschema::validator_for(&schema).expect("it is a schema");
    for answer in [refused(), doubtful(), rendered()] {
        let place = Place::answering(&answer)
            .file("a.yaml", APPLICATION)
            .file("b.yaml", "a: [");
        let report = place
            .run(&["validate", "--format", "json", "a.yaml", "b.yaml", "c.yaml"])
            .json();
        let errors: Vec<_> = validator.iter_errors(&report).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:#?}");
        assert_eq!(report["failures"].as_array().map(Vec::len), Some(2));
    }
    assert!(!validator.is_valid(&json!({"version": 2})), "it can say no");
}

#[test]
fn the_published_schema_is_what_the_command_prints() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/validate-report.schema.json");
    let printed = Place::echoing().run(&["schema", "validate-report"]).out;
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        fs::create_dir_all(path.parent().expect("it has one")).expect("a folder");
        fs::write(&path, &printed).expect("it is written");
    }
    let published = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        published == printed,
        "schemas/validate-report.schema.json is out of date: run the tests with UPDATE_SCHEMAS=1"
    );
}

#[test]
fn places_are_those_of_the_document_and_the_item() {
    let item = |indentation: &str, text: &str| -> String {
        text.lines().map(|line| format!("{indentation}{line}\n")).collect()
    };
    let list = format!(
        "apiVersion: v1\nkind: List\nitems:\n  -\n{}  -\n{}",
        item("    ", APPLICATION),
        item("    ", APPLICATION)
    );
    let file = format!("# first\n{APPLICATION}---\napiVersion: v1\nkind: Secret\n---\n# nothing\n---\n{list}");
    let found = |index| {
        let diagnostic = diagnostic("TW103", "error", "no", (2, 10), (2, 13));
        source(index, "argocd", "refused", json!({"diagnostics": [diagnostic]}))
    };
    // The objects of a List are asked about one by one.
    let answer = answer(json!([found(0), found(2), found(3), found(4)]));
    let place = Place::answering(&answer)
        .file("a.yaml", &file)
        .file("b.yaml", APPLICATION);

    let report = place.run(&["validate", "--format", "json", "a.yaml", "b.yaml"]).json();
    let findings = report["findings"].as_array().expect("a list");
    let texts = [file.as_str(), &file, &file, APPLICATION];
    let mut lines = BTreeSet::new();
    for (finding, text) in findings.iter().zip(texts) {
        let line = finding["line"].as_u64().expect("a number") as usize;
        let column = finding["column"].as_u64().expect("a number") as usize;
        let written = text.lines().nth(line - 1).expect("the line is there");
        assert_eq!(written.get(column - 1..column + 2), Some("ftp"), "{finding}");
        lines.insert((finding["file"].to_string(), line));
    }
    assert_eq!(lines.len(), 4, "each is another place: {lines:?}");
    let items: Vec<_> = report["sources"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|source| &source["item"])
        .collect();
    assert_eq!(items, [&Value::Null, &json!(1), &json!(2), &Value::Null]);
    assert_eq!(report["sources"][1]["document"], 4);
}

#[test]
fn everything_is_asked_in_one_call_and_as_it_is_written() {
    let place = Place::echoing()
        .file(
            "a.yaml",
            "apiVersion: v1\nkind: Namespace\nmetadata: {annotations: {x: 30, y: '30', z: nope}}\n---\n- no object\n",
        )
        .file(
            "b/c.json",
            r#"{"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "Item"}]}"#,
        )
        .file("b/d.yml", "kind: Other\napiVersion: v1\n")
        .file("settings.yaml", "topology: endpoint\n");
    let ran = place.run(&["validate", "b", "a.yaml", "--settings", "settings.yaml"]);
    let (_, request) = ran.err.split_once("`render`: ").expect("it says what it was asked");
    let request = request.lines().next().expect("a line");
    assert_eq!(
        serde_json::from_str::<Value>(request).expect("it is JSON"),
        json!({
            "protocol": 1,
            "settings": {"topology": "endpoint"},
            "findingsOnly": true,
            "sources": [
                {"apiVersion": "v1", "kind": "Item"},
                {"kind": "Other", "apiVersion": "v1"},
                {"apiVersion": "v1", "kind": "Namespace", "metadata": {"annotations": {"x": 30, "y": "30", "z": "nope"}}},
            ],
        })
    );
    assert_eq!(ran.code, Some(2));
}

#[rstest]
#[case::dash(&["validate", "-"])]
#[case::no_path(&["validate"])]
fn standard_input(#[case] args: &[&str]) {
    let ran = Place::answering(&refused()).run_with_stdin(args, APPLICATION);
    assert!(ran.out.contains(" --> <stdin>:8:16"), "{}", ran.out);
    assert_eq!(ran.code, Some(1));
}

#[test]
fn one_bad_file_does_not_keep_the_others_from_being_checked() {
    let place = Place::answering(&refused())
        .file("a.yaml", APPLICATION)
        .file("bad.yaml", "metadata:\n  name: [unclosed\n  other: x\n");
    let ran = place.run(&["validate", "bad.yaml", "missing.yaml", "a.yaml"]);
    insta::assert_snapshot!(ran.all());
}

#[test]
fn a_folder_is_searched() {
    let place = Place::answering(&refused())
        .file(
            "chart/templates/deployment.yaml",
            "kind: {{ .Values.kind }}\n{{- end }}\n",
        )
        .file("chart/templates/notes.yaml", "{{ include \"notes\" . }}\n")
        .file("chart/values.yaml", "a: 1\n")
        .file("chart/broken.yml", "a: [\n")
        .file("chart/binary.yaml", b"\xff\xfe\x00")
        .file("chart/README.md", "a: [\n")
        .file(".git/config.yaml", "a: [\n")
        .file("chart/.hidden.yaml", "a: [\n")
        .file("apps/deeper/argocd.yaml", APPLICATION);
    let ran = place.run(&["validate", "--format", "json", "--allow-unparsable", "--verbose", "."]);
    let skipped = [
        "./chart/binary.yaml",
        "./chart/broken.yml",
        "./chart/templates/deployment.yaml",
        "./chart/templates/notes.yaml",
    ];
    let summary = &ran.json()["summary"];
    assert_eq!(
        summary["skipped"],
        json!({"templates": 2, "notYaml": 2, "files": skipped})
    );
    assert_eq!(summary["files"], 6);
    assert_eq!(ran.json()["failures"], json!([]));
    for name in skipped {
        assert!(
            ran.err.contains(&format!("note: passed over `{name}`\n")),
            "{}",
            ran.err
        );
    }
    assert_eq!(ran.json()["findings"][0]["file"], "./apps/deeper/argocd.yaml");
    assert!(
        ran.err
            .ends_with("; skipped 2 templates and 2 files that are not YAML\n"),
        "{}",
        ran.err
    );
    assert_eq!(ran.code, Some(1));
}

#[test]
fn a_broken_file_of_a_folder_is_named_in_every_format() {
    let place = Place::answering(&rendered())
        .file("apps/argocd.yaml", APPLICATION)
        .file("apps/broken.yaml", "a:\n\tb: c\n")
        .file("apps/comma.json", "{\"a\": 1,}\n")
        .file("apps/template.yaml", "a: {{ .b }}\n");
    for format in ["human", "json", "github", "sarif"] {
        let ran = place.run(&["validate", "--format", format, "apps"]);
        assert_eq!(ran.code, Some(2), "{format}");
        let said = if format == "human" { &ran.err } else { &ran.out };
        for expected in [
            "apps/broken.yaml",
            "invalid YAML",
            "apps/comma.json",
            "invalid JSON",
            "TW601",
            "--allow-unparsable",
        ] {
            assert!(said.contains(expected), "{format}: {expected} in {said}");
        }
        // It is counted, and not wrong.
        assert!(format == "json" || !said.contains("template.yaml"), "{said}");
    }
    let sarif = place.run(&["validate", "--format", "sarif", "apps"]).json();
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    let place_of = |result: &Value| {
        let location = &result["locations"][0]["physicalLocation"];
        (
            location["artifactLocation"]["uri"].clone(),
            location["region"]["startLine"].clone(),
        )
    };
    let broken: Vec<_> = results
        .iter()
        .filter(|result| result["ruleId"] == "TW601")
        .map(place_of)
        .collect();
    assert_eq!(
        broken,
        [
            (json!("apps/broken.yaml"), json!(2)),
            (json!("apps/comma.json"), json!(1))
        ]
    );
    assert_eq!(place.run(&["validate", "--allow-unparsable", "apps"]).code, Some(0));
}

#[test]
fn standard_input_has_a_name_in_sarif() {
    let place = Place::answering(&refused());
    let ran = place.run_with_stdin(&["validate", "--format", "sarif", "-"], APPLICATION);
    let location = &ran.json()["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"];
    assert_eq!(location["uri"], "stdin");
}

#[test]
fn a_rule_is_explained_by_explain() {
    let place = Place::answering(&rendered());
    let (explained, rule) = (place.run(&["explain", "TW111"]), place.run(&["rule", "TW111"]));
    assert_eq!((explained.code, &explained.out), (Some(0), &rule.out));
    assert!(rule.out.ends_with("/docs/rules/TW111.md\n"), "{}", rule.out);
    assert_eq!(place.run(&["explain", "TW999"]).code, Some(2));
}

#[test]
fn policies_show_wrong_settings_as_validate_does() {
    let place = Place::answering(&rendered()).file("settings.yaml", "endpoints:\n  maxx: 3\n");
    let ran = place.run(&["policies", "--settings", "settings.yaml"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""));
    for expected in [
        "error[TW501]: `endpoints.maxx` is not a setting",
        "settings.yaml:2:3",
        "did you mean `max`?",
    ] {
        assert!(ran.err.contains(expected), "{expected} in {}", ran.err);
    }
}

#[test]
fn a_template_that_is_named_is_an_error() {
    let place = Place::answering(&rendered()).file("a.yaml", "kind: {{ .Values.kind }}\n");
    let ran = place.run(&["validate", "a.yaml"]);
    assert!(ran.err.contains("if it is a template, render it first"), "{}", ran.err);
    assert!(ran.err.contains(" --> a.yaml:1:"), "{}", ran.err);
    assert_eq!(ran.code, Some(2));
}

#[test]
fn a_file_is_read_once_however_often_it_is_named() {
    let place = Place::answering(&refused()).file("apps/a.yaml", APPLICATION);
    let ran = place.run(&[
        "validate",
        "--format",
        "json",
        "apps/a.yaml",
        "apps",
        "./apps/../apps/a.yaml",
    ]);
    assert_eq!(ran.json()["summary"]["files"], 1);
}

#[test]
fn no_source_is_said_and_fine() {
    let place = Place::answering(&answer(json!([]))).file("values.yaml", "a: 1\n");
    for command in ["validate", "render"] {
        let ran = place.run(&[command, "values.yaml"]);
        assert_eq!(
            (ran.code, ran.out.as_str(), ran.err.as_str()),
            (
                Some(0),
                "",
                "no source found: no Application, ApplicationSet or Namespace in 1 file\n"
            )
        );
    }
}

#[test]
fn settings_that_are_refused_are_shown_with_their_line() {
    let answer = json!({
        "protocol": 1,
        "diagnostics": [{
            "code": "TW501",
            "severity": "error",
            "message": "unknown topology `circle`",
            "help": "write `application`, `endpoint` or `standalone`",
            "place": {"pointer": "/topology"},
        }],
        "sources": [],
    });
    let place = Place::answering(&answer)
        .file("a.yaml", APPLICATION)
        .file("settings.yaml", "# ours\ninstance: x\ntopology: circle\n");
    for command in ["validate", "render"] {
        let ran = place.run(&[command, "a.yaml", "--settings", "settings.yaml"]);
        insta::assert_snapshot!(format!("settings_refused_{command}"), ran.all());
    }
}

/// The module knows no types, so it renders. Under such settings Telegraf would end at once.
#[rstest]
#[case::validate("validate", 2)]
#[case::render("render", 2)]
#[case::policies("policies", 2)]
fn settings_that_only_the_tables_refuse(#[case] command: &str, #[case] code: i32) {
    let place = Place::answering(&rendered()).file("a.yaml", APPLICATION).file(
        "settings.yaml",
        "classes: {default: {agent: {metric_batch_size: many}}}\n",
    );
    let mut arguments = vec![command, "--settings", "settings.yaml"];
    arguments.extend((command != "policies").then_some("a.yaml"));
    let ran = place.run(&arguments);
    assert_eq!(ran.code, Some(code), "{}", ran.all());
    assert!(ran.all().contains("error[TW523]"), "{}", ran.all());
    assert!(!ran.out.contains("kind:"), "it wrote something: {}", ran.out);
}

#[rstest]
#[case::missing(None, "cannot read the settings: ")]
#[case::not_yaml(Some("a: [\n"), "--> settings.yaml:2:1")]
#[case::several(Some("a: 1\n---\nb: 2\n"), "several")]
fn settings_that_cannot_be_read(#[case] text: Option<&str>, #[case] said: &str) {
    let mut place = Place::answering(&rendered()).file("a.yaml", APPLICATION);
    if let Some(text) = text {
        place = place.file("settings.yaml", text);
    }
    let ran = place.run(&["validate", "a.yaml", "--settings", "settings.yaml"]);
    assert!(ran.err.contains(said), "{}", ran.err);
    assert_eq!(ran.code, Some(2));
}

#[rstest]
#[case::trap(
    "(module (func (export \"__guest_call\") (param i32 i32) (result i32) unreachable))",
    "`render` trapped: "
)]
#[case::no_guest("(module)", "it is not a waPC guest")]
fn a_module_that_fails(#[case] module: &str, #[case] said: &str) {
    let place = Place::with_module(module).file("a.yaml", APPLICATION);
    for command in ["validate", "render"] {
        let ran = place.run(&[command, "a.yaml"]);
        assert!(ran.err.contains(said), "{}", ran.err);
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""));
    }
}

#[test]
fn a_module_of_another_protocol() {
    let place = Place::answering(&json!({"protocol": 9})).file("a.yaml", APPLICATION);
    let ran = place.run(&["validate", "a.yaml"]);
    assert!(
        ran.err.contains("supports version 9 of the render protocol"),
        "{}",
        ran.err
    );
    assert_eq!(ran.code, Some(2));
}

#[test]
fn what_is_rendered_goes_to_standard_output_and_the_rest_beside_it() {
    let place = Place::answering(&rendered()).file("a.yaml", APPLICATION);
    insta::assert_snapshot!(place.run(&["render", "a.yaml"]).all());
}

#[test]
fn what_is_rendered_as_json_is_a_list() {
    let place = Place::answering(&rendered()).file("a.yaml", APPLICATION);
    let ran = place.run(&["render", "-o", "json", "a.yaml"]);
    let list = ran.json();
    assert_eq!((&list["apiVersion"], &list["kind"]), (&json!("v1"), &json!("List")));
    assert_eq!(list["items"], rendered()["sources"][0]["objects"]);
}

#[test]
fn what_is_rendered_as_toml_is_the_configuration_alone() {
    let place = Place::answering(&rendered()).file("a.yaml", APPLICATION);
    let ran = place.run(&["render", "-o", "toml", "a.yaml"]);
    assert_eq!(ran.out, "[agent]\n  interval = \"120s\"\n");
    assert_eq!(ran.code, Some(0));
}

#[test]
fn a_source_that_was_refused_does_not_keep_another_from_being_printed() {
    let mut answer = rendered();
    let refused = refused()["sources"][0].take();
    answer["sources"].as_array_mut().expect("a list").push(refused);
    answer["sources"][1]["index"] = 1.into();
    let place = Place::answering(&answer)
        .file("a.yaml", APPLICATION)
        .file("b.yaml", APPLICATION);
    let ran = place.run(&["render", "a.yaml", "b.yaml"]);
    assert!(ran.out.contains("kind: Deployment"), "{}", ran.out);
    assert!(
        ran.err.contains("error[TW103]: the scheme `ftp` is not allowed"),
        "{}",
        ran.err
    );
    assert!(
        ran.err
            .ends_with("2 sources, 1 endpoint, 2 objects; refused: argoproj.io/Application/argocd/argocd\n"),
        "{}",
        ran.err
    );
    assert_eq!(ran.code, Some(1));
}

fn two_configurations() -> Value {
    let mut answer = rendered();
    let mut second = answer["sources"][0].clone();
    second["index"] = 1.into();
    second["namespace"] = "redis".into();
    second["configurations"][0]["files"] = json!({"base.conf": "base\n", "a.conf": "a\n"});
    second["objects"] = json!([{"kind": "ConfigMap", "metadata": {"name": "telegraf-argocd", "namespace": "redis"}}]);
    answer["sources"].as_array_mut().expect("a list").push(second);
    answer
}

#[test]
fn several_configurations_need_a_folder() {
    let place = Place::answering(&two_configurations())
        .file("a.yaml", APPLICATION)
        .file("b.yaml", APPLICATION);
    let ran = place.run(&["render", "-o", "toml", "."]);
    assert!(
        ran.err.contains(
            "error: 2 configurations in 3 files cannot be printed as one: name a folder with `--out-dir DIR`"
        ),
        "{}",
        ran.err
    );
    assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""));
}

#[rstest]
#[case::toml("toml", &["argocd_telegraf-argocd.conf", "redis_telegraf-argocd/a.conf", "redis_telegraf-argocd/base.conf"])]
#[case::yaml(
    "yaml",
    &["argocd_configmap_telegraf-argocd.yaml", "argocd_deployment_telegraf-argocd.yaml", "redis_configmap_telegraf-argocd.yaml"]
)]
#[case::json(
    "json",
    &["argocd_configmap_telegraf-argocd.json", "argocd_deployment_telegraf-argocd.json", "redis_configmap_telegraf-argocd.json"]
)]
fn a_folder_gets_one_file_each(#[case] format: &str, #[case] files: &[&str]) {
    let place = Place::answering(&two_configurations())
        .file("in/a.yaml", APPLICATION)
        .file("in/b.yaml", APPLICATION);
    for _ in 0..2 {
        let ran = place.run(&["render", "-o", format, "--out-dir", "out/deep", "in"]);
        assert_eq!((ran.code, ran.out.as_str()), (Some(0), ""), "{}", ran.err);
        let found = below(&place.path("out/deep"));
        assert_eq!(found, files.iter().map(|file| (*file).to_owned()).collect());
    }
}

#[test]
fn a_name_leads_nowhere_else() {
    let mut answer = rendered();
    answer["sources"][0]["namespace"] = "../../../up".into();
    answer["sources"][0]["configurations"] = json!([
        {"name": "/absolute", "files": {"../../x": "1"}},
        {"name": "two", "files": {"../x": "2", "..": "3", "": "4", ".hidden": "5", "..x": "6"}},
        {"name": "two", "files": {"../x": "7", "y": "8"}},
        {"name": "z".repeat(400), "files": {"telegraf.conf": "9"}},
    ]);
    let place = Place::answering(&answer).file("in/a.yaml", APPLICATION);
    let before = below(place.folder.path());
    let ran = place.run(&["render", "-o", "toml", "--out-dir", "out", "in"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let written: BTreeSet<_> = below(place.folder.path())
        .into_iter()
        .filter(|path| !before.contains(path) && !path.starts_with("cache/") && path != "policy.wasm")
        .collect();
    assert!(written.iter().all(|path| path.starts_with("work/out/")), "{written:#?}");
    assert_eq!(written.len(), 9, "no file took the place of another: {written:#?}");
}

#[test]
fn a_folder_that_cannot_be_written_is_an_error() {
    let place = Place::answering(&rendered())
        .file("a.yaml", APPLICATION)
        .file("out", "a file");
    let ran = place.run(&["render", "--out-dir", "out", "a.yaml"]);
    assert!(
        ran.err
            .contains("error: cannot write `out/argocd_configmap_telegraf-argocd.yaml`: "),
        "{}",
        ran.err
    );
    assert_eq!(ran.code, Some(2));
}

#[test]
fn who_stops_reading_is_not_an_error() {
    let mut answer = rendered();
    // More than a pipe holds.
    answer["sources"][0]["objects"][0]["data"]["telegraf.conf"] = "x = 1\n".repeat(50_000).into();
    let place = Place::answering(&answer).file("a.yaml", APPLICATION);
    let mut child = place
        .command(&["render", "a.yaml"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut first = String::new();
    BufReader::new(child.stdout.take().expect("it is piped"))
        .read_line(&mut first)
        .expect("it prints");
    let ran = Ran::from(child.wait_with_output().expect("it ends"));
    assert_eq!((first.as_str(), ran.code), ("---\n", Some(0)), "{}", ran.err);
}

#[rstest]
#[case::pipe(&[], &[], false)]
#[case::asked(&["--color", "always"], &[], true)]
#[case::asked_beats_the_environment(&["--color", "always"], &[("NO_COLOR", "1")], true)]
#[case::forced(&[], &[("CLICOLOR_FORCE", "1")], true)]
#[case::not_wanted(&[], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false)]
#[case::never(&["--color", "never"], &[("CLICOLOR_FORCE", "1")], false)]
fn colour(#[case] args: &[&str], #[case] variables: &[(&str, &str)], #[case] coloured: bool) {
    let place = Place::answering(&refused()).file("a.yaml", APPLICATION);
    let mut command = place.command(&[&["validate", "a.yaml"], args].concat());
    command.envs(variables.iter().copied());
    let ran = Ran::from(command.output().expect("it runs"));
    assert_eq!(ran.out.contains('\u{1b}'), coloured, "{}", ran.out);
}

/// Text that clears a terminal, in three ways, hides its end, and gives commands to GitHub's runner.
const HOSTILE: &str = "\u{1b}[2Jgone\u{7}\u{9b}2J\u{202e}\u{200b}\n::stop-commands::x\r\n##[add-mask]x";

#[rstest]
#[case::human(&["validate", "--color", "never"])]
#[case::json(&["validate", "--format", "json"])]
#[case::github(&["validate", "--format", "github"])]
#[case::sarif(&["validate", "--format", "sarif"])]
#[case::render(&["render"])]
#[case::render_json(&["render", "-o", "json"])]
#[case::explain(&["explain"])]
#[case::mermaid(&["explain", "--format", "mermaid"])]
fn text_of_others_is_text_in_every_output(#[case] args: &[&str]) {
    let mut answer = refused();
    let refused = &mut answer["sources"][0];
    refused["diagnostics"][1]["message"] = HOSTILE.into();
    refused["diagnostics"][1]["help"] = HOSTILE.into();
    refused["diagnostics"][1]["code"] = HOSTILE.into();
    refused["source"] = HOSTILE.into();
    refused["endpoints"] = json!([{"name": HOSTILE, "plugin": HOSTILE, "urls": [HOSTILE]}]);
    refused["objects"] = json!([{"kind": HOSTILE, "metadata": {"name": HOSTILE}}]);
    // In the file's own line as well, which has to be shown.
    let file = APPLICATION.replace("ftp", "ftp\u{202e}\u{9b}2J##[add-mask]");
    let place = Place::answering(&answer).file("a.yaml", file);

    let mut ran = place.run(&[args, &["a.yaml"]].concat());
    if args == ["render"] {
        // In a pipe, YAML is exact.
        ran.out.clear();
    }
    let printed = ran.all();
    assert!(printed.contains("gone"), "{printed}");
    let hidden = printed
        .chars()
        .find(|c| c.is_control() && *c != '\n' || matches!(c, '\u{202e}' | '\u{200b}'));
    assert_eq!(hidden, None, "{printed:?}");
    assert!(!printed.contains("##["), "{printed}");
    let commands: Vec<_> = printed
        .lines()
        .filter(|line| line.trim_start().starts_with("::"))
        .filter(|line| !line.starts_with("::error ") && !line.starts_with("::warning "))
        .collect();
    assert!(commands.is_empty(), "{commands:?}");
}

#[test]
fn what_is_rendered_is_exact_in_a_pipe() {
    let mut answer = rendered();
    let text = "[agent]\n  hostname = \"a\u{202e}b\"\n";
    answer["sources"][0]["configurations"][0]["files"]["telegraf.conf"] = text.into();
    let place = Place::answering(&answer).file("a.yaml", APPLICATION);
    assert_eq!(place.run(&["render", "-o", "toml", "a.yaml"]).out, text);
}

#[test]
fn a_part_of_a_long_line_is_shown() {
    const FINDINGS: u32 = 100;
    let urls = "\"http://a/metrics\", ".repeat(2000);
    let file = APPLICATION.replace("ftp://argocd:9121/metrics", &format!("{{urls: [{urls}]}}"));
    let finding = |number: u32| {
        let column = 20 + 20 * number;
        diagnostic("TW103", "error", "doubtful", (2, column), (2, column + 18))
    };
    let diagnostics: Vec<_> = (0..FINDINGS).map(finding).collect();
    let answer = answer(json!([source(
        0,
        "argocd",
        "refused",
        json!({"diagnostics": diagnostics})
    )]));
    let place = Place::answering(&answer).file("a.yaml", file);
    let ran = place.run(&["validate", "a.yaml"]);
    assert_eq!(ran.out.matches("error[TW103]").count(), FINDINGS as usize);
    let source: Vec<_> = ran.out.lines().filter(|line| line.starts_with("8 | ")).collect();
    assert_eq!(source.len(), FINDINGS as usize);
    assert!(source.iter().all(|line| line.chars().count() < 220), "{source:?}");
    assert!(source.iter().any(|line| line.contains('…')), "{source:?}");
    // The place is that of the line, not of the part that is shown.
    assert!(ran.out.contains("a.yaml:8:2006"), "{}", ran.out);
}

#[test]
fn findings_of_one_source_are_bounded() {
    let finding = diagnostic("TW103", "error", "doubtful", (2, 10), (2, 13));
    let diagnostics = vec![finding; 500];
    let answer = answer(json!([source(
        0,
        "argocd",
        "refused",
        json!({"diagnostics": diagnostics})
    )]));
    let place = Place::answering(&answer).file("a.yaml", APPLICATION);
    let ran = place.run(&["validate", "a.yaml"]);
    assert_eq!(ran.out.matches("error[TW103]").count(), 100);
    assert!(ran.err.contains("400 findings left out"), "{}", ran.err);
    let ran = place.run(&["validate", "--max-findings", "1000", "a.yaml"]);
    assert_eq!(ran.out.matches("error[TW103]").count(), 101);
    assert!(ran.err.contains("399 findings left out"), "{}", ran.err);
}

#[test]
fn brackets_in_sarif_are_no_links() {
    let mut answer = refused();
    answer["sources"][0]["diagnostics"][1]["message"] = "see [this](1) \\ that".into();
    let place = Place::answering(&answer).file("a.yaml", APPLICATION);
    let log = place.run(&["validate", "--format", "sarif", "a.yaml"]).json();
    let text = log["runs"][0]["results"][1]["message"]["text"].as_str();
    assert!(
        text.is_some_and(|text| text.starts_with("see \\[this\\](1) \\\\ that\n")),
        "{text:?}"
    );
}

#[cfg(unix)]
mod compiled_code {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        let metadata = fs::metadata(path).expect("it is there");
        metadata.permissions().mode() & 0o777
    }

    #[test]
    fn is_kept_in_a_folder_for_the_user_alone() {
        let place = Place::answering(&rendered()).file("a.yaml", APPLICATION);
        let cache = place.folder.path().join("cache");
        let ran = place.run(&["validate", "a.yaml"]);
        assert_eq!((ran.code, ran.err.contains("warning")), (Some(0), false), "{}", ran.err);
        assert_eq!((mode(&cache), mode(&cache.join("compiled"))), (0o700, 0o700));
        assert!(!below(&cache.join("compiled")).is_empty());
    }

    #[rstest]
    #[case::of_the_cache("cache", 0o777)]
    #[case::of_the_group("cache", 0o770)]
    #[case::of_compiled_code("cache/compiled", 0o777)]
    fn is_not_kept_where_others_can_write(#[case] folder: &str, #[case] mode: u32) {
        let place = Place::answering(&rendered()).file("a.yaml", APPLICATION);
        let folder = place.folder.path().join(folder);
        fs::create_dir_all(&folder).expect("a folder");
        fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).expect("permissions");

        let ran = place.run(&["validate", "a.yaml"]);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        let warnings = ran.err.matches("warning: compiled code is not kept in").count();
        assert_eq!(warnings, 1, "{}", ran.err);
        assert!(ran.err.contains(&format!("(mode {mode:03o})")), "{}", ran.err);
        assert!(below(&place.folder.path().join("cache/compiled")).is_empty());
    }
}

#[test]
fn every_rule_is_listed_and_explained() {
    let place = Place::echoing();
    let list = place.run(&["rule"]);
    assert_eq!(list.code, Some(0));
    assert!(list.out.lines().count() > 10, "{}", list.out);
    for line in list.out.lines() {
        let code = line.split(' ').next().expect("a word");
        let explained = place.run(&["rule", &code.to_lowercase()]);
        assert!(explained.out.starts_with(&format!("# {code} ")), "{}", explained.out);
    }
    let unknown = place.run(&["rule", "TW999"]);
    assert_eq!((unknown.code, unknown.out.as_str()), (Some(2), ""));
    assert_eq!(
        unknown.err,
        "error: unknown rule `TW999`; run `telewarden rule` to list all rules\n"
    );
}

#[rstest]
fn schemas_are_schemas(
    #[values("settings", "annotation", "render-request", "render-answer", "validate-report")] what: &str,
) {
    let ran = Place::echoing().run(&["schema", what]);
    assert_eq!(ran.code, Some(0));
    jsonschema::meta::validate(&ran.json()).expect("it is a schema");
}

#[rstest]
fn completions(#[values("bash", "zsh", "fish", "elvish", "powershell")] shell: &str) {
    let ran = Place::echoing().run(&["completions", shell]);
    assert!(ran.out.contains("out-dir"), "{}", ran.out);
    assert_eq!(ran.code, Some(0));
}

#[test]
fn version() {
    let ran = Place::echoing().run(&["--version"]);
    assert_eq!(ran.out, concat!("telewarden ", env!("CARGO_PKG_VERSION"), "\n"));
}

/// The files below a folder, by their paths from it.
fn below(folder: &Path) -> BTreeSet<String> {
    fn visit(root: &Path, folder: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                visit(root, &path, found);
            } else {
                found.insert(path.strip_prefix(root).expect("it is below").display().to_string());
            }
        }
    }
    let mut found = BTreeSet::new();
    visit(folder, folder, &mut found);
    found
}
