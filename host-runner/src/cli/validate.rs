//! `telewarden validate`

use clap::ValueEnum;

use super::Status;
use super::baseline::BaselineArgs;
use super::check::{self, Checked, Keep, Look};
use super::fix;
use super::output;
use super::report::{github, human, sarif};

/// The most findings that are shown as text, unless an option says otherwise.
const FINDINGS_FOR_PEOPLE: usize = 100;

/// Check annotations, and show each finding at its place in the files
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    selection: check::Selection,
    /// The output format
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// Exit with 1 if there are warnings
    #[arg(long)]
    strict: bool,
    /// Show at most this many findings; by default 100 as text, and all in the other formats
    #[arg(long, value_name = "NUMBER")]
    max_findings: Option<usize>,
    /// Fix findings in the files first, as `telewarden fix` does
    #[arg(long)]
    fix: bool,
    #[command(flatten)]
    baseline: BaselineArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// Text
    Human,
    /// One JSON object; see `telewarden schema validate-report`
    Json,
    /// Workflow commands for GitHub Actions
    Github,
    /// SARIF 2.1.0, for code scanning
    Sarif,
}

pub(crate) fn run(args: &Args) -> Status {
    let fixed = match args.fix {
        true => fix::write(&check::check(&args.selection, Look::ForFixes, Keep::Texts)),
        false => Status::Fine,
    };
    let Checked {
        mut report, project, ..
    } = check::check(&args.selection, Look::ForFixes, Keep::Nothing);
    args.baseline.apply(&mut report, &project);
    let for_people = matches!(args.format, Format::Human).then_some(FINDINGS_FOR_PEOPLE);
    if let Some(max) = args.max_findings.or(for_people) {
        report.leave_out_beyond(max);
    }
    let printed = match args.format {
        Format::Human => output::print_styled(&human::findings(&report)),
        Format::Json => output::print_json(&report),
        Format::Github => output::print(&github::commands(&report)),
        Format::Sarif => output::print_json(&sarif::log(&report)),
    };
    report
        .failures
        .iter()
        .for_each(|failure| output::say_styled(human::failure(failure)));
    if report.is_empty() {
        output::say(human::no_source(&report));
    } else {
        output::say(human::summary(&report));
    }
    printed.max(fixed).max(report.status(args.strict || project.strict))
}
