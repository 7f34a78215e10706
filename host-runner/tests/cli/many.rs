//! More files than are read and checked together.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::folder::{err, out, place, run};

const FILES: usize = 150;

fn application(name: &str, host: &str) -> String {
    format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata:\n  name: {name}\n  namespace: argocd\n  annotations:\n    \
         telewarden.io/endpoints: |\n      web: http://{host}/metrics\nspec:\n  project: default\n  destination: {{server: \
         'https://kubernetes.default.svc', namespace: shop}}\n"
    )
}

/// Files with one Application each. `host` says what the Application with a number scrapes.
fn files(host: impl Fn(usize) -> &'static str) -> TempDir {
    let text = |number| {
        (
            format!("{number:03}.yaml"),
            application(&format!("app-{number}"), host(number)),
        )
    };
    let files: Vec<_> = (0..FILES).map(text).collect();
    let files: Vec<_> = files
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    place(&files)
}

fn report(folder: &TempDir, arguments: &[&str]) -> Value {
    let arguments = [&["validate", "--format", "json"], arguments].concat();
    serde_json::from_str(out(&run(folder.path(), &arguments))).expect("it is JSON")
}

fn texts<'r>(report: &'r Value, list: &str, field: &str) -> Vec<&'r str> {
    let list = report[list].as_array().expect("a list").iter();
    list.map(|item| item[field].as_str().expect("text")).collect()
}

#[test]
fn sources_and_findings_have_the_order_of_the_files() {
    let folder = files(|number| match number % 7 {
        3 => "web.elsewhere.svc",
        _ => "web.shop.svc",
    });
    let report = report(&folder, &["."]);
    let names: Vec<_> = (0..FILES).map(|number| format!("./{number:03}.yaml")).collect();
    assert_eq!(texts(&report, "sources", "file"), names);
    let refused: Vec<_> = names.iter().skip(3).step_by(7).collect();
    assert_eq!(
        texts(&report, "findings", "file"),
        refused.iter().map(|name| name.as_str()).collect::<Vec<_>>()
    );
    let summary = &report["summary"];
    assert_eq!(
        (
            &summary["files"],
            &summary["sources"],
            &summary["refused"],
            &summary["endpoints"]
        ),
        (
            &json!(FILES),
            &json!(FILES),
            &json!(refused.len()),
            &json!(FILES - refused.len())
        )
    );
}

#[test]
fn what_settings_are_told_is_told_once() {
    let folder = files(|_| "web.shop.svc");
    std::fs::write(folder.path().join("settings.yml"), "topologie: endpoint\n").expect("it is written");
    let report = report(&folder, &["--settings", "settings.yml", "."]);
    assert_eq!(texts(&report, "findings", "code"), ["TW501"], "{report:#}");
    assert_eq!(report["summary"]["files"], json!(FILES + 1));
}

#[test]
fn a_source_that_an_earlier_file_has_is_skipped() {
    let folder = files(|_| "web.shop.svc");
    let again = application("app-0", "web.shop.svc");
    std::fs::write(folder.path().join("149.yaml"), again).expect("it is written");
    let report = report(&folder, &["."]);
    assert_eq!(texts(&report, "findings", "code"), ["TW410"], "{report:#}");
    assert_eq!(texts(&report, "findings", "file"), ["./149.yaml"]);
    let outcomes = texts(&report, "sources", "outcome");
    assert_eq!((outcomes[0], outcomes[149]), ("rendered", "skipped"));
    let rendered = run(folder.path(), &["render", "."]);
    assert_eq!(out(&rendered).matches("kind: Deployment").count(), FILES - 1);
}

#[test]
fn many_documents_in_one_file_are_in_their_order() {
    let documents = (0..FILES).map(|number| application(&format!("app-{number}"), "web.shop.svc"));
    let text = documents.collect::<Vec<_>>().join("---\n") + "---\n" + &application("app-1", "web.shop.svc");
    let folder = place(&[("all.yaml", &text)]);
    let report = report(&folder, &["all.yaml"]);
    let documents: Vec<_> = report["sources"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|source| &source["document"])
        .collect();
    assert_eq!(
        documents,
        (1..=FILES + 1)
            .map(|number| json!(number))
            .collect::<Vec<_>>()
            .iter()
            .collect::<Vec<_>>()
    );
    assert_eq!(texts(&report, "findings", "code"), ["TW410"], "{report:#}");
    assert_eq!(report["findings"][0]["line"], json!(12 * FILES + 1));
}

#[test]
fn standalone_sees_all_sources_at_once() {
    let folder = files(|_| "web.shop.svc");
    std::fs::write(folder.path().join("settings.yml"), "topology: standalone\n").expect("it is written");
    let rendered = run(folder.path(), &["render", "--settings", "settings.yml", "."]);
    assert_eq!(
        out(&rendered).matches("kind: ConfigMap").count(),
        1,
        "{}",
        err(&rendered)
    );
    assert_eq!(out(&rendered).matches("  application.argocd.app-").count(), FILES);
}

#[test]
fn people_see_a_hundred_findings_and_programs_all() {
    let folder = files(|_| "web.elsewhere.svc");
    let shown = |arguments: &[&str]| {
        let output = run(folder.path(), &[&["validate"], arguments].concat());
        assert_eq!(output.status.code(), Some(1));
        let left_out = err(&output)
            .split("; ")
            .find(|part| part.contains("left out"))
            .map(|part| part.trim_end().to_owned());
        (out(&output).matches("TW111]").count(), left_out)
    };
    assert_eq!(shown(&["."]), (100, Some("50 findings left out".to_owned())));
    assert_eq!(
        shown(&["--max-findings", "7", "."]),
        (7, Some("143 findings left out".to_owned()))
    );
    assert_eq!(shown(&["--max-findings", "150", "."]), (150, None));
    assert_eq!(texts(&report(&folder, &["."]), "findings", "code").len(), FILES);
    let few = report(&folder, &["--max-findings", "7", "."]);
    assert_eq!(
        (texts(&few, "findings", "code").len(), &few["summary"]["leftOut"]),
        (7, &json!(143))
    );
}
