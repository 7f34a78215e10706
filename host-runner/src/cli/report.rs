//! What is reported: one structure, which `--format` shows in different ways.

pub(crate) mod github;
pub(crate) mod human;
pub(crate) mod json;
pub(crate) mod sarif;

use schemars::JsonSchema;
use serde::Serialize;
use telewarden::{Diagnostic, Outcome, Severity};
use telewarden_policy::manifest::{Edit, Excerpt};

use super::Status;
use super::input::{Failure, Skipped};

/// What `telewarden validate --format json` prints.
#[derive(Debug, Default, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Report of telewarden validate")]
pub(crate) struct Report {
    /// The version of this structure, 1. Fields may be added within a version.
    pub(crate) version: Version,
    /// Numbers.
    pub(crate) summary: Summary,
    /// Every Application, Namespace and ApplicationSet that was read, file by file.
    pub(crate) sources: Vec<Source>,
    /// What is wrong or doubtful: first about the settings, then source by source.
    pub(crate) findings: Vec<Finding>,
    /// What could not be read or run.
    pub(crate) failures: Vec<Failure>,
    /// The settings were refused: nothing was checked.
    #[serde(skip)]
    pub(crate) settings_refused: bool,
}

/// The version of the report.
#[derive(Debug, Default, JsonSchema, Serialize)]
#[schemars(inline, extend("const" = 1))]
pub(crate) struct Version(u32);

/// Numbers of a report.
#[derive(Debug, Default, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Summary {
    /// Files that were read, standard input among them.
    pub(crate) files: usize,
    /// Files of folders that were passed over.
    pub(crate) skipped: Skipped,
    /// Applications, Namespaces and ApplicationSets.
    pub(crate) sources: usize,
    /// Those of them that were refused.
    pub(crate) refused: usize,
    /// Endpoints of those that were not.
    pub(crate) endpoints: usize,
    /// Findings that are errors.
    pub(crate) errors: usize,
    /// Findings that are warnings.
    pub(crate) warnings: usize,
    /// Findings that were left out: a module answers at most 101 for one source.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) left_out: usize,
    /// Findings that `telewarden fix` can mend.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) fixable: usize,
    /// Warnings that a comment in a file silences.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) ignored: usize,
    /// Warnings that the baseline holds.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) baseline: usize,
}

/// One object that was checked.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Source {
    /// Which object it is, as `argoproj.io/Application/<namespace>/<name>` or `Namespace/<name>`.
    pub(crate) source: String,
    /// The file that it is in; `<stdin>` for standard input.
    pub(crate) file: String,
    /// The file's document that it is in, from 1.
    pub(crate) document: usize,
    /// Its position in that document, from 1, where that is a List.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) item: Option<usize>,
    /// What became of it.
    pub(crate) outcome: Outcome,
    /// How many endpoints it asks for.
    pub(crate) endpoints: usize,
}

/// One finding, at its place in a file.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Finding {
    /// The rule, such as `TW103`. `telewarden rule CODE` explains it.
    pub(crate) code: String,
    /// How bad it is.
    pub(crate) severity: Severity,
    /// What is wrong.
    pub(crate) message: String,
    /// What to write instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) help: Option<String>,
    /// The object that it is about, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<String>,
    /// The annotation that it is in, if it is in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) annotation: Option<String>,
    /// The file; `<stdin>` for standard input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<String>,
    /// The template that it was rendered from, if it was: the file is then what was rendered, and not one on the disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) template: Option<String>,
    /// The first character's line in the file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<u32>,
    /// The first character's column, in characters from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) column: Option<u32>,
    /// The line of the character after the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) end_line: Option<u32>,
    /// The column of the character after the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) end_column: Option<u32>,
    /// The one certain way to mend it: what `telewarden fix` writes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fix: Option<Fix>,
    /// What is shown of the first line.
    #[serde(skip)]
    pub(crate) excerpt: Option<Excerpt>,
}

/// A change of the finding's file. Other findings may need the same.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Fix {
    /// The first character's line in the file, from 1.
    pub(crate) line: u32,
    /// The first character's column, in characters from 1.
    pub(crate) column: u32,
    /// The line of the character after the last.
    pub(crate) end_line: u32,
    /// The column of the character after the last.
    pub(crate) end_column: u32,
    /// What to write there.
    pub(crate) replacement: String,
    #[serde(skip)]
    pub(crate) edit: Edit,
}

impl From<Edit> for Fix {
    fn from(edit: Edit) -> Self {
        Self {
            line: edit.region.start.line,
            column: edit.region.start.column,
            end_line: edit.region.end.line,
            end_column: edit.region.end.column,
            replacement: edit.text.clone(),
            edit,
        }
    }
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl Finding {
    /// A finding without a place.
    pub(crate) fn new(diagnostic: &Diagnostic) -> Self {
        Self {
            code: diagnostic.code.to_string(),
            severity: diagnostic.severity,
            message: diagnostic.message.clone(),
            help: diagnostic.help.clone(),
            source: None,
            annotation: None,
            file: None,
            template: None,
            line: None,
            column: None,
            end_line: None,
            end_column: None,
            fix: None,
            excerpt: None,
        }
    }
}

impl Report {
    /// Counts what was added.
    pub(crate) fn count(&mut self) {
        let of = |severity| {
            self.findings
                .iter()
                .filter(|finding| finding.severity == severity)
                .count()
        };
        self.version = Version(1);
        self.summary.errors = of(Severity::Error);
        self.summary.warnings = of(Severity::Warning);
        self.summary.fixable = self.findings.iter().filter(|finding| finding.fix.is_some()).count();
        self.summary.sources = self.sources.len();
        self.summary.endpoints = self
            .sources
            .iter()
            .filter(|source| source.outcome != Outcome::Refused)
            .map(|source| source.endpoints)
            .sum();
    }

    /// How the run ended. With `strict` a warning is a finding too.
    pub(crate) fn status(&self, strict: bool) -> Status {
        if !self.failures.is_empty() || self.settings_refused {
            Status::CouldNotRun
        } else if self.summary.errors > 0 || self.summary.refused > 0 || (strict && self.summary.warnings > 0) {
            Status::Findings
        } else {
            Status::Fine
        }
    }

    /// True when everything could be read, and none of it is ours.
    pub(crate) fn is_empty(&self) -> bool {
        self.sources.is_empty() && self.findings.is_empty() && self.failures.is_empty()
    }
}

/// A number of things, in words.
pub(crate) fn count(number: usize, one: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        number => format!("{number} {one}s"),
    }
}
