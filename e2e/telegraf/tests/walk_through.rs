//! The commands of `docs/walk-through.md`, as a reader would run them.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use telewarden_e2e_telegraf::{Process, eventually, repository};

/// The commands, which are the indented lines, by section.
fn commands() -> Vec<String> {
    let text = fs::read_to_string(repository("docs/walk-through.md")).expect("the walk-through");
    let section = |section: &str| {
        let lines = section.lines().filter_map(|line| line.strip_prefix("    "));
        lines.map(|line| format!("{line}\n")).collect()
    };
    text.split("\n## ").map(section).collect()
}

#[test]
fn the_walk_through_ends_with_a_value() {
    let mut commands = commands();
    let query = commands.pop().expect("the last section");
    assert!(query.contains("node_load1"), "{query}");
    let provision = repository("e2e/provision").canonicalize().expect("e2e/provision");
    let script = commands
        .concat()
        .replace("e2e/provision", &provision.display().to_string());
    // Background processes end with the script.
    let script = format!("set -eu\ntrap 'kill $(jobs -p); exit' TERM\n{script}\nwait\n");
    let mut walk = Process::start(Path::new("/bin/bash"), |command, _| {
        command
            .args(["-c", &script])
            .envs(["PATH", "HOME", "TELEWARDEN_CACHE"].map(|name| (name, env::var(name).unwrap_or_default())));
        command.envs(env::vars().filter(|(name, _)| name.starts_with("TELEWARDEN_PART_")));
    });
    eventually("a value", || {
        walk.assert_runs();
        let output = Command::new("bash").args(["-c", &query]).output().expect("bash");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        // A line of CSV with the field, the measurement and the tag.
        text.contains(",node_load1,prometheus_machine,walk_through")
            .then_some(())
            .ok_or_else(|| format!("{text}\n{}", walk.log()))
    });
    let log = walk.log();
    for said in [
        "prometheus_machine",
        "influxdb_v2, http://127.0.0.1:8086, organization square, bucket walk_through",
        "Deployment telegraf-walk-through",
    ] {
        assert!(log.contains(said), "{said} is not in\n{log}");
    }
    walk.stop();
}
