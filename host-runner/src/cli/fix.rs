//! `telewarden fix`

use std::fs;
use std::path::Path;

use similar::TextDiff;
use telewarden_policy::fixes;

use super::Status;
use super::check::{self, Checked, Keep, Look};
use super::input::Text;
use super::output;
use super::report::human::no_source;
use super::report::{count, human};

/// Fix findings in files: misspelled options, missing quotes, incomplete URLs
///
/// Findings with only one plausible fix are fixed. Each fix is validated first. Comments, quotes and layout are kept. The other
/// findings are reported as by `validate`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    selection: check::Selection,
    /// Print the changes as a unified diff and write nothing; exit with 1 if there are changes, or errors
    #[arg(long)]
    diff: bool,
}

/// A file that changes.
struct Change<'a> {
    text: &'a Text,
    new: String,
    /// The number of places that change.
    places: usize,
}

pub(crate) fn run(args: &Args) -> Status {
    let checked = check::check(&args.selection, Look::ForFixes, Keep::Texts);
    if args.diff {
        return diff(&checked);
    }
    let written = write(&checked);
    if written == Status::CouldNotRun {
        return written;
    }
    let Checked { report, project, .. } = check::check(&args.selection, Look::ForFindings, Keep::Nothing);
    let printed = output::print_styled(&human::findings(&report));
    report
        .failures
        .iter()
        .for_each(|failure| output::say_styled(human::failure(failure)));
    output::say(match report.is_empty() {
        true => no_source(&report),
        false => human::summary(&report),
    });
    printed.max(written).max(report.status(project.strict))
}

/// Writes the fixes of everything that was checked.
pub(crate) fn write(checked: &Checked) -> Status {
    let mut status = Status::Fine;
    for Change { text, new, places } in changes(checked) {
        let written = match &text.path {
            Some(path) => write_file(path, text.manifest.text(), &new),
            None => Err("standard input cannot be written: name a file, or use `fix --diff`".to_owned()),
        };
        match written {
            Ok(()) => output::say(format_args!("fixed {} in {}", count(places, "place"), text.name)),
            Err(error) => {
                output::say(format_args!("error: cannot fix {}: {error}", text.name));
                status = Status::CouldNotRun;
            }
        }
    }
    status
}

fn write_file(path: &Path, old: &str, new: &str) -> Result<(), String> {
    let now = fs::read(path).map_err(|error| error.to_string())?;
    if now != old.as_bytes() {
        return Err("it changed while it was checked".to_owned());
    }
    telewarden::file::rewrite(path, new.as_bytes()).map_err(|error| error.to_string())
}

fn changes(checked: &Checked) -> impl Iterator<Item = Change<'_>> {
    checked.texts().filter_map(|text| {
        let of_text = checked.report.findings.iter();
        let of_text = of_text.filter(|finding| finding.file.as_ref() == Some(&text.name));
        let edits = fixes::different(of_text.filter_map(|finding| finding.fix.as_ref().map(|fix| &fix.edit)));
        let new = text.manifest.edited(&edits)?;
        (!edits.is_empty()).then_some(Change {
            text,
            new,
            places: edits.len(),
        })
    })
}

fn diff(checked: &Checked) -> Status {
    let mut diff = String::new();
    for Change { text, new, .. } in changes(checked) {
        // `git apply` and `patch -p1` take these names.
        let name = text.name.strip_prefix("./").unwrap_or(&text.name);
        let lines = TextDiff::from_lines(text.manifest.text(), &new);
        let (old, new) = (format!("a/{name}"), format!("b/{name}"));
        diff += &lines.unified_diff().header(&old, &new).to_string();
    }
    let report = &checked.report;
    report
        .failures
        .iter()
        .for_each(|failure| output::say_styled(human::failure(failure)));
    if !report.findings.is_empty() {
        output::say(human::summary(report));
    }
    let of_changes = match diff.is_empty() {
        true => Status::Fine,
        false => Status::Findings,
    };
    let status = report.status(checked.project.strict).max(of_changes);
    output::print_document(&diff).max(status)
}
