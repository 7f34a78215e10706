//! More files than are read and checked together.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::folder::{command, err, out, place, run};

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

/// The most memory that a run of `validate` has had, in bytes.
///
/// The report is printed at the end and is longer than a pipe holds, so the process waits until it is read.
#[cfg(target_os = "linux")]
fn peak(folder: &TempDir, arguments: &[&str]) -> usize {
    let mut run = command(folder.path());
    run.args(["validate", "--format", "json"]).args(arguments);
    let mut child = run
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it runs");
    let mut printed = BufReader::new(child.stdout.take().expect("a pipe"));
    printed.read_line(&mut String::new()).expect("text");
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).expect("it waits");
    let report = std::io::read_to_string(printed).expect("text");
    assert!(report.len() > 80 * 1024, "{} bytes fit into a pipe", report.len());
    assert!(child.wait().expect("it ends").code() < Some(2));
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix("kB"));
    kib.and_then(|kib| kib.trim().parse::<usize>().ok()).expect("a number") * 1024
}

/// What each Application more may cost. A file or a document of it is read, checked and forgotten; what is left is its line in
/// the report. The objects that it is rendered to take ten times as much.
#[cfg(target_os = "linux")]
#[rstest::rstest]
#[case::files(false, "web.shop.svc", 4 * 1024)]
#[case::documents_of_a_file(true, "web.shop.svc", 12 * 1024)]
#[case::broken_documents_of_a_file(true, "web.elsewhere.svc", 24 * 1024)]
fn memory_is_that_of_the_report(#[case] in_one_file: bool, #[case] host: &str, #[case] limit: usize) {
    let of = |applications: usize| {
        let text = |number| application(&format!("app-{number}"), host);
        let folder = place(&[("settings.yml", "{}")]);
        match in_one_file {
            true => {
                let all = (0..applications).map(text).collect::<Vec<_>>().join("---\n");
                std::fs::write(folder.path().join("all.yaml"), all).expect("it is written");
            }
            false => (0..applications).for_each(|number| {
                let file = folder.path().join(format!("{number:04}.yaml"));
                std::fs::write(file, text(number)).expect("it is written");
            }),
        }
        peak(&folder, &["--settings", "settings.yml", "."])
    };
    // The first run of all compiles the module.
    let [_, few, many] = [600, 600, 1_800].map(of);
    let each = many.saturating_sub(few) / 1_200;
    println!("{few} bytes, and {each} for each Application more");
    assert!(each < limit, "{each} bytes for each Application more");
}

#[cfg(unix)]
#[test]
fn findings_are_printed_while_others_are_looked_for() {
    // Each core checks 32 files at a time. It may be two such parts ahead of what is printed.
    let of_all_cores = 32 * std::thread::available_parallelism().map_or(1, usize::from);
    let last = 4 * of_all_cores;
    let folder = place(&[]);
    let names: Vec<_> = (0..=last).map(|number| format!("{number}.yaml")).collect();
    for (number, name) in names.iter().enumerate().take(last) {
        let text = application(&format!("app-{number}"), "web.elsewhere.svc");
        std::fs::write(folder.path().join(name), text).expect("it is written");
    }
    let pipe = folder.path().join(&names[last]);
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("it runs").success());
    let mut run = command(folder.path());
    run.arg("validate").args(&names);
    let mut child = run
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it runs");
    // This waits until the command opens the last file. It is ended there.
    let writer = std::fs::OpenOptions::new().write(true).open(&pipe).expect("it reads");
    child.kill().expect("it runs");
    drop(writer);
    let printed = std::io::read_to_string(child.stdout.take().expect("a pipe")).expect("text");
    child.wait().expect("it ends");
    assert!(
        printed.matches("TW111]").count() >= 100.min(2 * of_all_cores),
        "{printed}"
    );
}
