//! `diff`: prints the changes that `run` would make.

use std::process::ExitCode;

use similar::TextDiff;
use telewarden_policy::printable::printable;

use crate::cli::Diff;
use crate::error::Error;
use crate::http::Status;
use crate::operator::operate;
use crate::owned::Change;
use crate::queue::Until;
use crate::yaml;

/// Prints the changes that `run` would make.
pub(crate) async fn diff(arguments: Diff) -> Result<ExitCode, Error> {
    let status = Status::new();
    let Diff { policy, cluster } = arguments;
    let outcome = operate(&policy, cluster, status, Until::Idle, true, None, None).await?;
    let mut changes = outcome.changes;
    changes.sort_by(|a, b| a.id.cmp(&b.id));
    print_changes(&changes);
    for provision in &outcome.provisions {
        println!("# {}", printable(provision));
    }
    let is_same = changes.is_empty() && outcome.provisions.is_empty();
    Ok(match (outcome.undone, is_same) {
        (0, true) => ExitCode::SUCCESS,
        (0, false) => ExitCode::from(1),
        (undone, _) => {
            tracing::error!(undone, "some sources could not be compared");
            ExitCode::from(2)
        }
    })
}

/// Prints changes as a unified diff.
fn print_changes(changes: &[Change]) {
    for change in changes {
        let (before, after) = (yaml::write(&change.before), yaml::write(&change.after));
        let diff = TextDiff::from_lines(&before, &after);
        println!("# {} would be {}", change.id, change.verb.past());
        let diff = diff
            .unified_diff()
            .context_radius(3)
            .header("in the cluster", "rendered")
            .to_string();
        for line in diff.lines() {
            println!("{}", printable(line));
        }
    }
}
