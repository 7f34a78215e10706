//! Files as people write them, each with the messages that it must give: see `e2e/mistakes`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::folder::command;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../e2e/mistakes")
}

/// What the command says of files or folders: the report, and the exit status.
fn run(group: &Path, arguments: &[&str]) -> (Value, i32) {
    let output = command(group)
        .args(["validate", "--format", "json"])
        .args(arguments)
        .output()
        .unwrap();
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        let said = String::from_utf8_lossy(&output.stderr);
        panic!("{} {arguments:?}: {error}: {said}", group.display())
    });
    (report, output.status.code().unwrap())
}

/// What a report says of one file or folder, in the form of the corpus.
fn said(report: &Value, name: &str) -> String {
    let mut lines = Vec::new();
    for (list, severity) in [("findings", None), ("failures", Some("failure"))] {
        for finding in report[list].as_array().unwrap() {
            let text = |field: &str| finding[field].as_str().unwrap_or_default();
            let number = |field: &str| finding[field].as_u64().unwrap_or_default();
            let Some(rest) = text("file").strip_prefix(name) else {
                continue;
            };
            let mut line = match rest.strip_prefix('/') {
                Some(file) => format!("{file}:"),
                None if rest.is_empty() => String::new(),
                None => continue,
            };
            let severity = severity.unwrap_or_else(|| text("severity"));
            let (code, message) = (text("code"), text("message"));
            let (at_line, at_column) = (number("line"), number("column"));
            _ = write!(line, "{at_line}:{at_column} {severity}[{code}] {message}");
            if let Some(help) = finding["help"].as_str() {
                _ = write!(line, "\n  help: {help}");
            }
            lines.push(((at_line, at_column), line));
        }
    }
    lines.sort_by_key(|(place, _)| *place);
    let lines: Vec<_> = lines.into_iter().map(|(_, line)| line).collect();
    lines.join("\n")
}

/// The exit status of a run that says this.
fn status(said: &str) -> i32 {
    match said {
        said if said.contains(" failure[") || said.contains(" error[TW5") => 2,
        said if said.contains(" error[") => 1,
        _ => 0,
    }
}

/// What the command says of each file of a group. They are checked in one run, or one by one if the group has arguments or if
/// two of its files make the same Application.
fn said_of_group(
    group: &Path,
    arguments: Option<String>,
    expected: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let names: Vec<_> = expected.keys().map(String::as_str).collect();
    if arguments.is_none() {
        let (report, code) = run(group, &names);
        let findings = report["findings"].as_array().unwrap();
        if findings.iter().all(|finding| finding["code"] != "TW410") {
            let all: BTreeMap<_, _> = names
                .iter()
                .map(|name| ((*name).to_owned(), said(&report, name)))
                .collect();
            let worst = all.values().map(|said| status(said)).max();
            assert_eq!(Some(code), worst, "{}", group.display());
            return all;
        }
    }
    let arguments = arguments.unwrap_or_else(|| "{}".to_owned());
    let alone = names.iter().map(|name| {
        let arguments = arguments.replace("{}", name);
        let (report, code) = run(group, &arguments.split_whitespace().collect::<Vec<_>>());
        let said = said(&report, name);
        assert_eq!(code, status(&said), "{}/{name}: {said}", group.display());
        ((*name).to_owned(), said)
    });
    alone.collect()
}

#[test]
fn each_mistake_gives_its_messages() {
    let mut files = 0;
    let mut differences = String::new();
    let mut groups: Vec<_> = std::fs::read_dir(corpus())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    groups.sort();
    for group in groups.into_iter().filter(|path| path.is_dir()) {
        let expected = std::fs::read_to_string(group.join("expected.yaml")).unwrap();
        let mut expected: BTreeMap<String, String> = serde_yaml::from_str(&expected).unwrap();
        let arguments = expected.remove("*");
        for entry in std::fs::read_dir(&group).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(
                name == "expected.yaml" || expected.contains_key(&name),
                "{}/{name} is not in expected.yaml",
                group.display()
            );
        }
        files += expected.len();
        let said = said_of_group(&group, arguments, &expected);
        for (name, expected) in &expected {
            if said[name] != expected.trim_end() {
                _ = writeln!(
                    differences,
                    "\n{}/{name}\nexpected:\n{expected}said:\n{}",
                    group.file_name().unwrap().display(),
                    said[name]
                );
            }
        }
    }
    assert!(differences.is_empty(), "{differences}");
    assert!(files >= 120, "{files} files");
}
