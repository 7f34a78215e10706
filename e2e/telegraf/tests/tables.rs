//! The tables of Telegraf's plugins are those of its source.

use std::fs;
use std::process::Command;

use telewarden_e2e_telegraf::repository;

const TABLES: &str = "policy/src/telegraf/tables/telegraf.txt";

/// Where a `go.mod` names the version that a part is built from.
const PINS: [&str; 2] = ["e2e/parts/telegraf/1.38/go.mod", "e2e/parts/telegraf/go.mod"];

fn read(path: &str) -> String {
    let path = repository(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_tables_are_those_of_telegraf_s_source() {
    let made = Command::new(repository("e2e/parts/telegraf-tables/run")).output();
    let made = made.expect("the program that makes them");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let made = String::from_utf8(made.stdout).expect("text");
    let kept = read(TABLES);
    let differs = made.lines().zip(kept.lines()).find(|(made, kept)| made != kept);
    assert_eq!(differs, None, "make {TABLES} anew: see CONTRIBUTING.md");
    assert_eq!(made.len(), kept.len(), "make {TABLES} anew: see CONTRIBUTING.md");
}

/// The tested versions are the oldest and the newest of the tables.
#[test]
fn the_tables_know_the_versions_that_are_built() {
    let tables = read(TABLES);
    let versions = tables.lines().find_map(|line| line.strip_prefix("versions "));
    let versions: Vec<_> = versions.expect("a line with the versions").split(' ').collect();
    let built = PINS.map(|pin| {
        let pin = read(pin);
        let module = pin
            .lines()
            .find_map(|line| line.trim().strip_prefix("github.com/influxdata/telegraf v"));
        let version = module.expect("a pinned version").split(' ').next();
        version.unwrap_or_default().to_owned()
    });
    assert_eq!(
        [versions[0], versions[versions.len() - 1]],
        [built[0].as_str(), built[1].as_str()]
    );
}
