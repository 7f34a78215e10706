//! Files as people write them, each with the messages that it must give: see `e2e/mistakes`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../e2e/mistakes")
}

/// What the command says of a file, or of a folder: its findings in the form of the corpus, and its exit status.
fn said(group: &Path, name: &str, arguments: &str) -> (String, i32) {
    let arguments = arguments.replace("{}", name);
    let output = Command::new(env!("CARGO_BIN_EXE_telewarden"))
        .current_dir(group)
        .args(["validate", "--format", "json"])
        .args(arguments.split_whitespace())
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        let said = String::from_utf8_lossy(&output.stderr);
        panic!("{}/{name}: {error}: {said}", group.display())
    });
    let mut lines = Vec::new();
    for (list, severity) in [("findings", None), ("failures", Some("failure"))] {
        for finding in report[list].as_array().unwrap() {
            let text = |field: &str| finding[field].as_str().unwrap_or_default();
            let number = |field: &str| finding[field].as_u64().unwrap_or_default();
            let file = text("file").strip_prefix(name).and_then(|rest| rest.strip_prefix('/'));
            let mut line = String::new();
            if let Some(file) = file {
                _ = write!(line, "{file}:");
            }
            let severity = severity.unwrap_or_else(|| text("severity"));
            let (code, message) = (text("code"), text("message"));
            _ = write!(
                line,
                "{}:{} {severity}[{code}] {message}",
                number("line"),
                number("column")
            );
            if let Some(help) = finding["help"].as_str() {
                _ = write!(line, "\n  help: {help}");
            }
            lines.push(((number("line"), number("column")), line));
        }
    }
    lines.sort_by_key(|(place, _)| *place);
    let lines: Vec<_> = lines.into_iter().map(|(_, line)| line).collect();
    (lines.join("\n"), output.status.code().unwrap())
}

/// The exit status of a run that says this.
fn status(said: &str) -> i32 {
    match said {
        said if said.contains(" failure[") || said.contains("[TW5") => 2,
        said if said.contains(" error[") => 1,
        _ => 0,
    }
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
        let arguments = expected.remove("*").unwrap_or_else(|| "{}".to_owned());
        for entry in std::fs::read_dir(&group).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(
                name == "expected.yaml" || expected.contains_key(&name),
                "{}/{name} is not expected to say anything, or nothing",
                group.display()
            );
        }
        for (name, expected) in expected {
            files += 1;
            let (said, code) = said(&group, &name, &arguments);
            let expected = expected.trim_end();
            if said != expected {
                _ = writeln!(
                    differences,
                    "\n{}/{name}\nexpected:\n{expected}\nsaid:\n{said}",
                    group.file_name().unwrap().display()
                );
            } else if code != status(expected) {
                _ = writeln!(differences, "\n{}/{name}: exit status {code}", group.display());
            }
        }
    }
    assert!(differences.is_empty(), "{differences}");
    assert!(files >= 120, "{files} files");
}
