//! Whether what was applied works, from the real Telegraf to the status, Events, Reports and metrics. There are no nodes: a test
//! writes what a kubelet would say of a pod, and the real Telegraf answers at the pod's address.
//!
//! docs/troubleshooting.md has a row for each fault here, and a test says which row it is.

mod database;
mod endpoints;
mod monitoring;
mod outage;
mod parts;
mod pods;
mod reports;
mod sources;
mod telegrafs;

use telewarden_e2e_telegraf::repository;

/// Every row of docs/troubleshooting.md is named by a test: here, or where Telegraf's log is read.
#[test]
fn each_row_of_the_page_is_a_test() {
    let page = std::fs::read_to_string(repository("docs/troubleshooting.md")).expect("the page");
    let folder = std::fs::read_dir(repository("e2e/telegraf/tests/status")).expect("the tests");
    let mut files: Vec<_> = folder.map(|entry| entry.expect("a file").path()).collect();
    files.push(repository("kube-runner/src/status/log.rs"));
    let tests: Vec<_> = files
        .iter()
        .map(|file| std::fs::read_to_string(file).expect("a file"))
        // Comments are broken into lines.
        .map(|text| text.replace("\n/// ", " ").replace('`', ""))
        .collect();
    let rows = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let mut count = 0;
    for row in rows {
        // Every second piece is between backquotes.
        for text in format!("`{row}").split('`').skip(1).step_by(2) {
            let has = |test: &String| text.split('…').all(|piece| test.contains(piece.trim()));
            assert!(tests.iter().any(has), "no test has the row `{text}`");
            count += 1;
        }
    }
    assert!(count > 20, "{count} rows");
}
