//! `--helm` and `--kustomize`. The programs here are scripts that print what the real ones print; the real Helm runs in
//! `e2e`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;

use crate::folder::{KEY, command, err, out};

fn rendered() -> String {
    let namespace = |name: &str, url: &str| {
        format!(
            "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {name}\n  annotations:\n    {KEY}: |\n      web: {url}\n"
        )
    };
    format!(
        "---\n# Source: shop/templates/fine.yaml\n{}---\n# Source: shop/charts/sub/templates/wrong.yaml\n{}",
        namespace("fine", "http://web.fine.svc/metrics"),
        namespace("wrong", "ftp://web.wrong.svc/metrics"),
    )
}

/// A folder with programs, a chart `shop` and an overlay `overlay`.
fn place(programs: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["bin", "charts/shop", "overlay"] {
        fs::create_dir_all(folder.path().join(name)).expect("a folder");
    }
    fs::write(folder.path().join("rendered.yaml"), rendered()).expect("it is written");
    for (name, script) in programs {
        let path = folder.path().join("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("it is written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is mine");
    }
    folder
}

fn run(folder: &TempDir, args: &[&str]) -> Output {
    command(folder.path())
        .args(args)
        // The scripts need `cat`, and nothing of this machine's.
        .env("PATH", format!("{}:/usr/bin:/bin", folder.path().join("bin").display()))
        .output()
        .expect("it runs")
}

#[test]
fn a_chart_is_rendered_and_its_template_named() {
    let folder = place(&[("helm", "echo \"$@\" >called; cat rendered.yaml")]);
    let chart = ["--helm", "charts/shop", "--values", "a.yaml", "--values", "b.yaml"];
    let output = run(&folder, &[&["validate", "--format", "json"], &chart[..]].concat());
    let called = fs::read_to_string(folder.path().join("called")).expect("it was called");
    assert_eq!(called, "template charts/shop --values a.yaml --values b.yaml\n");
    let report: Value = serde_json::from_str(out(&output)).unwrap_or_else(|_| panic!("{}", err(&output)));
    let [finding] = report["findings"].as_array().expect("a list").as_slice() else {
        panic!("{report:#}")
    };
    assert_eq!(finding["file"], "helm template charts/shop");
    assert_eq!(finding["template"], "charts/shop/charts/sub/templates/wrong.yaml");
    let line = finding["line"].as_u64().expect("a number") as usize;
    assert!(
        rendered()
            .lines()
            .nth(line - 1)
            .expect("the line is there")
            .contains("ftp://")
    );
    assert_eq!(output.status.code(), Some(1));

    let human = run(&folder, &[&["validate"], &chart[..]].concat());
    assert!(
        out(&human).contains("rendered from charts/shop/charts/sub/templates/wrong.yaml"),
        "{}",
        out(&human)
    );
    let github = run(&folder, &[&["validate", "--format", "github"], &chart[..]].concat());
    assert!(
        out(&github).starts_with("::error file=charts/shop/charts/sub/templates/wrong.yaml,title="),
        "{}",
        out(&github)
    );
    let sarif = run(&folder, &[&["validate", "--format", "sarif"], &chart[..]].concat());
    let sarif: Value = serde_json::from_str(out(&sarif)).expect("JSON");
    let location = &sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
    assert_eq!(
        location["artifactLocation"]["uri"],
        "charts/shop/charts/sub/templates/wrong.yaml"
    );
    assert_eq!(location["region"], Value::Null);
    assert!(out(&run(&folder, &[&["explain"], &chart[..]].concat())).contains("http://web.fine.svc/metrics"));
}

#[test]
fn an_overlay_is_built_by_what_is_there() {
    let folder = place(&[("kustomize", "test \"$*\" = 'build overlay' && cat rendered.yaml")]);
    let output = run(&folder, &["validate", "--kustomize", "overlay"]);
    assert!(
        out(&output).contains("kustomize build overlay:") && out(&output).contains("rendered from overlay"),
        "{}",
        out(&output)
    );

    let folder = place(&[("kubectl", "test \"$*\" = 'kustomize overlay' && cat rendered.yaml")]);
    let output = run(&folder, &["validate", "--kustomize", "overlay"]);
    assert_eq!(output.status.code(), Some(1), "{}", err(&output));
}

#[test]
fn a_program_that_is_missing_or_fails_is_said() {
    let folder = place(&[("kustomize", "echo 'Error: no such folder' >&2; exit 1")]);
    let output = run(
        &folder,
        &["validate", "--helm", "charts/shop", "--kustomize", "overlay"],
    );
    assert_eq!(output.status.code(), Some(2));
    let said = err(&output);
    assert!(said.contains("cannot run `helm`: it is not on PATH"), "{said}");
    assert!(
        said.contains("helm template charts/shop | telewarden validate -"),
        "{said}"
    );
    assert!(
        said.contains("`kustomize build overlay` failed: Error: no such folder"),
        "{said}"
    );
}

#[test]
fn what_was_rendered_is_not_fixed() {
    let folder = place(&[("helm", "sed s/ftp:/http:/ rendered.yaml | sed s/wrong.svc/WRONG.svc/")]);
    let output = run(&folder, &["fix", "--helm", "charts/shop"]);
    assert_eq!(output.status.code(), Some(1), "{}", err(&output));
    assert!(!err(&output).contains("fixed"), "{}", err(&output));
}
