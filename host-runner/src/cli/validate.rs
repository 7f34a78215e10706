//! `telewarden validate`

use clap::ValueEnum;

use super::Status;
use super::baseline::BaselineArgs;
use super::check::{self, Checked, Keep, Look};
use super::fix;
use super::output;
use super::report::{Report, github, human, sarif};

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

/// Prints findings as they are found, where the format is a list of them.
struct Shown {
    format: Format,
    /// The most findings.
    max: usize,
    /// The number of those that were printed.
    findings: usize,
    status: Status,
}

impl Shown {
    fn of(args: &Args) -> Self {
        let for_people = matches!(args.format, Format::Human).then_some(FINDINGS_FOR_PEOPLE);
        Self {
            format: args.format,
            max: args.max_findings.or(for_people).unwrap_or(usize::MAX),
            findings: 0,
            status: Status::Fine,
        }
    }

    /// Prints the findings that are new in a report.
    fn show(&mut self, report: &Report) {
        let new = report.findings.iter().take(self.max).skip(self.findings);
        let (count, text) = match self.format {
            Format::Human => (new.len(), new.map(human::finding).collect::<String>()),
            Format::Github => (new.len(), new.map(github::finding).collect()),
            Format::Json | Format::Sarif => return,
        };
        // What cannot be written was reported once.
        if count == 0 || self.status != Status::Fine {
            return;
        }
        self.findings += count;
        let printed = match self.format {
            Format::Human => output::print_styled(&text),
            _ => output::print(&text),
        };
        self.status = self.status.max(printed);
    }
}

pub(crate) fn run(args: &Args) -> Status {
    let fixed = match args.fix {
        true => fix::write(&check::check(&args.selection, Look::ForFixes, Keep::Texts)),
        false => Status::Fine,
    };
    let mut shown = Shown::of(args);
    let Checked {
        mut report, project, ..
    } = check::check_showing(
        &args.selection,
        Look::ForFixes,
        Keep::Nothing,
        &mut |report, project| {
            // A baseline knows warnings only when all are there.
            if !args.baseline.applies(project) {
                shown.show(report);
            }
        },
    );
    args.baseline.apply(&mut report, &project);
    report.leave_out_beyond(shown.max);
    shown.show(&report);
    let printed = match args.format {
        Format::Human => output::print_styled(&human::pages(&report.findings)),
        Format::Json => output::print_json(&report),
        Format::Github => output::print(&report.failures.iter().map(github::failure).collect::<String>()),
        Format::Sarif => output::print_json(&sarif::log(&report)),
    };
    let printed = printed.max(shown.status);
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
