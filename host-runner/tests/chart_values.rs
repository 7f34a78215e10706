//! What the chart has from the code and from its values: the policies, and its README.
//!
//! `GENERATE=1 cargo test --test chart_values` writes them anew.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../deploy/chart/telewarden-operator")
        .join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_default()
}

/// Compares a committed file with what it should be, or writes it when asked to.
fn check(name: &str, expected: &str) {
    if std::env::var_os("GENERATE").is_some() {
        fs::write(path(name), expected).unwrap();
    }
    assert!(
        read(name) == expected,
        "{name} of the chart is out of date. Write it anew: GENERATE=1 cargo test --test chart_values"
    );
}

/// The chart replaces this annotation with the one of the settings.
const ANNOTATION: &str = "annotation: annotation.example/of-the-settings\n";

#[test]
fn the_policies_are_those_that_the_command_prints() {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("settings.yaml");
    fs::write(&settings, ANNOTATION).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_telewarden"))
        .args(["policies", "--settings"])
        .arg(&settings)
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && printed.contains("of-the-settings"));
    let comment = "# Written by a test from `telewarden policies`: GENERATE=1 cargo test --test chart_values\n";
    check("files/policies.yaml", &format!("{comment}{printed}"));
}

/// Helm reads no file outside of the chart.
#[test]
fn the_alerts_and_dashboards_are_those_of_the_folder_for_them() {
    for name in [
        "prometheus-rule.yaml",
        "operator-dashboard.json",
        "application-dashboard.json",
    ] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/monitoring");
        let text = fs::read_to_string(folder.join(name)).unwrap();
        check(&format!("files/{name}"), &text);
    }
}

/// A line of `values.yaml`.
enum Line {
    /// A heading: `## Text`.
    Heading(String),
    /// A value and its documentation.
    Value { path: String, documentation: String },
}

/// The headings and documented values. Keys below a documented value are its default, and have no documentation.
fn lines(values: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut comment = Vec::new();
    let mut parents: Vec<(usize, &str, bool)> = Vec::new();
    for line in values.lines() {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        if let Some(heading) = text.strip_prefix("## ") {
            lines.push(Line::Heading(heading.to_owned()));
        } else if let Some(more) = text.strip_prefix("# ") {
            comment.push(more);
        } else if let Some((key, _)) = text.split_once(':').filter(|_| !text.starts_with('-')) {
            parents.retain(|(above, ..)| *above < indent);
            let is_default = parents.iter().any(|(.., documented)| *documented);
            let documentation = std::mem::take(&mut comment).join(" ");
            parents.push((indent, key, !documentation.is_empty()));
            if !documentation.is_empty() {
                assert!(!is_default, "{key} is a part of the default of a documented value");
                let path: Vec<_> = parents.iter().map(|(_, key, _)| *key).collect();
                lines.push(Line::Value {
                    path: path.join("."),
                    documentation,
                });
            }
        }
    }
    lines
}

/// The paths of all values, down to those that are documented.
fn paths(of: &Value, documented: &BTreeSet<String>, parents: &str) -> Vec<String> {
    let Some(map) = of.as_object().filter(|_| !documented.contains(parents)) else {
        return vec![parents.to_owned()];
    };
    let path = |key: &String| match parents {
        "" => key.clone(),
        _ => format!("{parents}.{key}"),
    };
    map.iter()
        .flat_map(|(key, value)| paths(value, documented, &path(key)))
        .collect()
}

fn at<'a>(values: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(values, |at, key| &at[key])
}

const INTRODUCTION: &str = "<!-- Made from values.yaml by a test: GENERATE=1 cargo test --test chart_values. -->

# telewarden-operator

The operator of [telewarden](https://github.com/telewarden/telewarden): one Telegraf for each annotated Argo CD Application or
Namespace. [docs/install.md](../../../docs/install.md) says how to install it, what it needs, and how to upgrade and to remove it.

    helm install telewarden-operator oci://ghcr.io/telewarden/charts/telewarden-operator --namespace telewarden --create-namespace

From a checkout, `deploy/chart/telewarden-operator` is the chart. Wrong and unknown values are refused by
[values.schema.json](values.schema.json).
";

#[test]
fn the_readme_is_made_from_the_values() {
    let text = read("values.yaml");
    let values: Value = serde_yaml::from_str(&text).unwrap();
    let mut readme = INTRODUCTION.to_owned();
    for line in lines(&text) {
        match line {
            Line::Heading(heading) => {
                let _ = write!(
                    readme,
                    "\n## {heading}\n\n| value | default | meaning |\n| --- | --- | --- |\n"
                );
            }
            Line::Value { path, documentation } => {
                let default = at(&values, &path);
                let _ = writeln!(readme, "| `{path}` | `{default}` | {documentation} |");
            }
        }
    }
    check("README.md", &readme);
}

#[test]
fn every_value_is_documented_and_in_the_schema() {
    let text = read("values.yaml");
    let values: Value = serde_yaml::from_str(&text).unwrap();
    let documented: BTreeSet<_> = lines(&text)
        .into_iter()
        .filter_map(|line| match line {
            Line::Value { path, .. } => Some(path),
            Line::Heading(_) => None,
        })
        .collect();
    let schema: Value = serde_json::from_str(&read("values.schema.json")).unwrap();
    for path in paths(&values, &documented, "") {
        assert!(documented.contains(&path), "{path} has no comment in values.yaml");
        let of_value = path.split('.').fold(&schema, |at, key| {
            let at = match at["$ref"].as_str() {
                Some(reference) => schema.pointer(reference.trim_start_matches('#')).unwrap(),
                None => at,
            };
            &at["properties"][key]
        });
        assert!(of_value.is_object(), "{path} is not in values.schema.json");
    }
}
