//! The command and the library with the module that is built in, on the repository's examples.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::LazyLock;

use rstest::rstest;
use serde_json::{Value, json};
use telewarden::{Cache, Module, Options, Outcome, RenderRequest};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The built-in module. Its code is compiled once, for all tests and for the next run of them.
static MODULE: LazyLock<Module> = LazyLock::new(|| {
    let options = Options {
        cache: Cache::Folder(env!("CARGO_TARGET_TMPDIR").into()),
        ..Options::default()
    };
    telewarden::embedded::module(&options).expect("it loads")
});

/// Runs the command in the repository's root.
fn run(args: &[&str]) -> Output {
    LazyLock::force(&MODULE);
    Command::new(env!("CARGO_BIN_EXE_telewarden"))
        .args(args)
        .current_dir(root())
        .env("TELEWARDEN_CACHE", env!("CARGO_TARGET_TMPDIR"))
        .output()
        .expect("it runs")
}

fn out(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).expect("it is UTF-8")
}

fn err(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).expect("it is UTF-8")
}

const RUBIN: &str = "examples/rubin/settings.yaml";

#[test]
fn every_example_is_valid() {
    let output = run(&["validate", "--format", "json", "--settings", RUBIN, "examples"]);
    let report: Value = serde_json::from_str(out(&output)).expect("it is JSON");
    let sources = report["sources"].as_array().expect("a list");
    assert!(sources.len() >= 6, "{sources:?}");
    for source in sources {
        assert_eq!(source["outcome"], "rendered", "{report:#}");
    }
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
}

/// However the value is written, the place is the URL that is meant.
#[rstest]
#[case::literal("|\n      - good: http://good.shop.svc/metrics\n      - bad: ftp://bad.shop.svc/metrics\n")]
#[case::literal_with_indicator(
    "|4-\n\n        - good: http://good.shop.svc/metrics\n        - bad: ftp://bad.shop.svc/metrics\n"
)]
#[case::folded(">\n      - good: http://good.shop.svc/metrics\n\n      - bad: ftp://bad.shop.svc/metrics\n")]
#[case::single("'- good: http://good.shop.svc/metrics\n\n      - bad: ftp://bad.shop.svc/metrics'\n")]
#[case::double("\"- good: http://good.shop.svc/metrics\\n- bad: ftp://bad.shop.svc/metrics\"\n")]
#[case::double_continued(
    "\"- good: \\\n      http://good.shop.svc/metrics\\n\\\n      - bad: ftp://bad.shop.svc/metrics\"\n"
)]
#[case::plain("{good: http://good.shop.svc/metrics, bad: ftp://bad.shop.svc/metrics}")]
fn a_finding_is_at_what_is_wrong(#[case] value: &str) {
    // A flow mapping would be a mapping, not text, in a block one: quoted it is one line of text.
    let value = if value.starts_with('{') {
        format!("'{value}'\n")
    } else {
        value.to_owned()
    };
    let file = format!(
        "# some comment\napiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata:\n  name: shop\n  namespace: argocd\n  \
         annotations:\n    other: x\n    telegraf.influxdata.com/rubin-telegraf-operator: {value}spec:\n  project: default\n  \
         destination: {{server: https://kubernetes.default.svc, namespace: shop}}\n"
    );
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("shop.yaml");
    fs::write(&path, &file).expect("it is written");

    let output = run(&["validate", "--format", "json", path.to_str().expect("it is UTF-8")]);
    let report: Value = serde_json::from_str(out(&output)).expect("it is JSON");
    let [finding] = report["findings"].as_array().expect("a list").as_slice() else {
        panic!("one finding, not {report:#}");
    };
    let number = |name: &str| finding[name].as_u64().expect("a number") as usize - 1;
    let line = file.lines().nth(number("line")).expect("the line is there");
    let meant = line.get(number("column")..).expect("the column is there");
    assert!(
        meant.starts_with("ftp://bad.shop.svc/metrics") || meant.starts_with("ftp"),
        "{meant} in {file}"
    );
    assert_eq!(finding["line"], finding["endLine"]);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn settings_that_are_wrong_are_pointed_at() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("settings.yaml");
    fs::write(&path, "instance: x\nendpoints:\n  max: 3\n  minInterval: soon\n").expect("it is written");
    let path = path.to_str().expect("it is UTF-8");
    for command in ["validate", "render"] {
        let output = run(&[command, "--settings", path, "examples/argocd.yaml"]);
        let printed = format!("{}{}", out(&output), err(&output));
        assert!(printed.contains(&format!("--> {path}:4:16")), "{printed}");
        assert_eq!(output.status.code(), Some(2), "{printed}");
    }
}

#[test]
fn the_configuration_is_a_block_that_people_can_read() {
    let output = run(&["render", "--settings", RUBIN, "examples/argocd.yaml"]);
    assert!(
        out(&output).contains("\n  telegraf.conf: |\n    [agent]\n"),
        "{}",
        out(&output)
    );
    assert!(err(&output).contains("1 source, 5 endpoints, "), "{}", err(&output));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn the_configuration_alone_is_what_the_objects_carry() {
    let toml = run(&["render", "-o", "toml", "examples/argocd.yaml"]);
    let list = run(&["render", "-o", "json", "examples/argocd.yaml"]);
    let list: Value = serde_json::from_str(out(&list)).expect("it is JSON");
    let items = list["items"].as_array().expect("a list");
    let config_map = items
        .iter()
        .find(|item| item["kind"] == "ConfigMap")
        .expect("there is one");
    assert_eq!(config_map["data"]["telegraf.conf"], out(&toml));
}

#[test]
fn one_telegraf_for_all_is_a_folder_of_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = folder.path().join("settings.yaml");
    fs::write(&settings, "topology: standalone\nendpoints: {hosts: ['*']}\n").expect("it is written");
    let settings = settings.to_str().expect("it is UTF-8");
    let sources = ["examples/argocd.yaml", "examples/nublado.yaml"];
    let alone = run(&[&["render", "-o", "toml", "--settings", settings], &sources[..]].concat());
    assert!(err(&alone).contains("--out-dir DIR"), "{}", err(&alone));
    assert_eq!(alone.status.code(), Some(2));

    let target = folder.path().join("out");
    let target = target.to_str().expect("it is UTF-8");
    let written = run(&[
        &["render", "-o", "toml", "--settings", settings, "--out-dir", target],
        &sources[..],
    ]
    .concat());
    assert_eq!(written.status.code(), Some(0), "{}", err(&written));
    let folders: Vec<_> = fs::read_dir(target).expect("it is there").flatten().collect();
    assert_eq!(folders.len(), 1);
    // A base, and one for each source.
    assert_eq!(fs::read_dir(folders[0].path()).expect("it is a folder").count(), 3);
}

#[test]
fn the_library_speaks_kubewardens_operations() {
    let module = &*MODULE;
    assert_eq!(module.call("protocol_version", b"").expect("it answers"), b"\"v1\"");
    assert!(module.validate_settings(&json!({})).expect("it answers").valid);
    assert!(
        !module
            .validate_settings(&json!({"no": "such"}))
            .expect("it answers")
            .valid
    );

    let application = json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": "a", "namespace": "argocd"},
        "spec": {"destination": {"namespace": "a"}},
    });
    let answer = module.validate(&application, &json!({})).expect("it answers");
    assert!(answer.accepted, "{answer:?}");
}

#[test]
fn answers_are_the_same_whichever_thread_asks() {
    let module = &*MODULE;
    let text = fs::read_to_string(root().join("examples/argocd.yaml")).expect("it is there");
    let source: Value = serde_yaml::from_str(&text).expect("it is YAML");
    let source = serde_json::value::to_raw_value(&source).expect("it is JSON");
    let ask = || {
        module.render(&RenderRequest {
            protocol: telewarden::PROTOCOL,
            settings: None,
            sources: vec![&source],
            ..Default::default()
        })
    };
    let expected = ask().expect("it answers");
    assert_eq!(expected.sources[0].outcome, Outcome::Rendered);
    std::thread::scope(|threads| {
        let calls: Vec<_> = (0..4)
            .map(|_| threads.spawn(|| (0..5).map(|_| ask()).collect::<Vec<_>>()))
            .collect();
        for answer in calls.into_iter().flat_map(|call| call.join().expect("it ends")) {
            assert_eq!(answer.expect("it answers"), expected);
        }
    });
}
