//! The report: one structure with several output formats.

pub(crate) mod github;
pub(crate) mod human;
pub(crate) mod json;
pub(crate) mod sarif;

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::Serialize;
use telewarden::{Diagnostic, Outcome, Severity};
use telewarden_policy::diagnostic::rules;
use telewarden_policy::manifest::{Edit, Excerpt};

use super::Status;
use super::failure::Failure;
use super::skip::Skipped;

/// The report that `telewarden validate --format json` prints.
#[derive(Debug, Default, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Report of telewarden validate")]
pub(crate) struct Report {
    /// The version of this structure, 1. New fields can be added without a new version.
    pub(crate) version: Version,
    /// The totals.
    pub(crate) summary: Summary,
    /// Every Application, Namespace and ApplicationSet that was read, in the order of the files.
    pub(crate) sources: Vec<Source>,
    /// The findings: first those of the settings, then those of each source.
    pub(crate) findings: Vec<Finding>,
    /// Everything that could not be read or run.
    pub(crate) failures: Vec<Failure>,
    /// True if the settings are invalid, so that nothing was checked.
    #[serde(skip)]
    pub(crate) settings_refused: bool,
}

/// The version of the report.
#[derive(Debug, Default, JsonSchema, Serialize)]
#[schemars(inline, extend("const" = 1))]
pub(crate) struct Version(u32);

/// The totals of a report.
#[derive(Debug, Default, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Summary {
    /// The number of files that were read, including standard input.
    pub(crate) files: usize,
    /// The number of files in folders that were skipped.
    pub(crate) skipped: Skipped,
    /// The number of Applications, Namespaces and ApplicationSets.
    pub(crate) sources: usize,
    /// The number of them that were refused.
    pub(crate) refused: usize,
    /// The number of them that have no annotation of telewarden.
    pub(crate) unannotated: Unannotated,
    /// The kinds of them that the settings turn off: `applications` or `namespaces`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) not_read: Vec<&'static str>,
    /// The number of endpoints of the others.
    pub(crate) endpoints: usize,
    /// The number of errors.
    pub(crate) errors: usize,
    /// The number of warnings.
    pub(crate) warnings: usize,
    /// The number of findings that are not in the report, because there are too many.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) left_out: usize,
    /// The number of findings that `telewarden fix` can fix.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) fixable: usize,
    /// The number of warnings that comments silence.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) ignored: usize,
    /// The number of warnings in the baseline, which are not reported.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) baseline: usize,
}

/// Numbers of objects that have no annotation of telewarden.
#[derive(Clone, Debug, Default, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Unannotated {
    /// Applications.
    pub(crate) applications: usize,
    /// ApplicationSets without one in their template.
    pub(crate) application_sets: usize,
    /// Namespaces.
    pub(crate) namespaces: usize,
}

impl Unannotated {
    /// Counts a source without an annotation.
    pub(crate) fn count(&mut self, source: &str) {
        *match kind(source) {
            "Namespace" => &mut self.namespaces,
            "ApplicationSet" => &mut self.application_sets,
            _ => &mut self.applications,
        } += 1;
    }
}

/// The kind of a source.
fn kind(source: &str) -> &str {
    let parts = if source.starts_with("Namespace/") { 1 } else { 2 };
    source.split('/').rev().nth(parts).unwrap_or("Application")
}

/// The kind of a source, as the settings call it below `sources`.
pub(crate) fn setting_of(source: &str) -> &'static str {
    match kind(source) {
        "Namespace" => "namespaces",
        _ => "applications",
    }
}

/// One object that was checked.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Source {
    /// The object, as `argoproj.io/Application/<namespace>/<name>` or `Namespace/<name>`.
    pub(crate) source: String,
    /// Its file; `<stdin>` for standard input.
    pub(crate) file: String,
    /// The number of its document in the file, from 1.
    pub(crate) document: usize,
    /// Its position in that document, from 1, if the document is a List.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) item: Option<usize>,
    /// The result for this object.
    pub(crate) outcome: Outcome,
    /// The number of its endpoints.
    pub(crate) endpoints: usize,
}

/// One finding, at its place in a file.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Finding {
    /// The rule, such as `TW103`. `telewarden rule CODE` explains it.
    pub(crate) code: String,
    /// The severity.
    pub(crate) severity: Severity,
    /// The message.
    pub(crate) message: String,
    /// How to correct it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) help: Option<String>,
    /// The address of the rule's page.
    pub(crate) url: String,
    /// The object, if the finding concerns one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<String>,
    /// The annotation, if the finding concerns one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) annotation: Option<String>,
    /// The file; `<stdin>` for standard input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<String>,
    /// The template, if the finding is in rendered text. `file` is then the command that rendered it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) template: Option<String>,
    /// The line of the first character, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<u32>,
    /// The column of the first character, in characters from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) column: Option<u32>,
    /// The line of the character after the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) end_line: Option<u32>,
    /// The column of the character after the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) end_column: Option<u32>,
    /// The fix, as `telewarden fix` writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fix: Option<Fix>,
    /// The excerpt of the first line that is shown.
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
            url: rules::page(&diagnostic.code),
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
    /// Adds the report about other files. The totals must be updated then.
    pub(crate) fn add(&mut self, other: Self) {
        let Summary {
            files,
            skipped,
            refused,
            unannotated,
            not_read,
            left_out,
            ignored,
            ..
        } = other.summary;
        let summary = &mut self.summary;
        summary.files += files;
        summary.skipped.add(skipped);
        summary.refused += refused;
        summary.unannotated.applications += unannotated.applications;
        summary.unannotated.application_sets += unannotated.application_sets;
        summary.unannotated.namespaces += unannotated.namespaces;
        for kind in not_read {
            if !summary.not_read.contains(&kind) {
                summary.not_read.push(kind);
            }
        }
        summary.left_out += left_out;
        summary.ignored += ignored;
        self.settings_refused |= other.settings_refused;
        self.sources.extend(other.sources);
        self.findings.extend(other.findings);
        self.failures.extend(other.failures);
    }

    /// Sorts the findings of each file by line and column. Files stay in the order of their first findings.
    pub(crate) fn sort_findings(&mut self) {
        let mut files: HashMap<_, usize> = HashMap::new();
        let mut places = Vec::with_capacity(self.findings.len());
        for finding in &self.findings {
            let next = files.len();
            let file = *files.entry((&finding.file, &finding.template)).or_insert(next);
            places.push((file, finding.line, finding.column));
        }
        let mut findings: Vec<_> = places.into_iter().zip(std::mem::take(&mut self.findings)).collect();
        findings.sort_by_key(|(place, _)| *place);
        self.findings = findings.into_iter().map(|(_, finding)| finding).collect();
    }

    /// Leaves out findings beyond a number. The totals stay.
    pub(crate) fn leave_out_beyond(&mut self, max: usize) {
        self.summary.left_out += self.findings.len().saturating_sub(max);
        self.findings.truncate(max);
    }

    /// Updates the totals.
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

    /// The result of the run. With `strict`, warnings count as findings.
    pub(crate) fn status(&self, strict: bool) -> Status {
        if !self.failures.is_empty() || self.settings_refused {
            Status::CouldNotRun
        } else if self.summary.errors > 0 || self.summary.refused > 0 || (strict && self.summary.warnings > 0) {
            Status::Findings
        } else {
            Status::Fine
        }
    }

    /// True if everything could be read and there are no sources.
    pub(crate) fn is_empty(&self) -> bool {
        self.sources.is_empty() && self.findings.is_empty() && self.failures.is_empty()
    }
}

/// A number with its noun, such as `2 files`.
pub(crate) fn count(number: usize, one: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        number => format!("{number} {one}s"),
    }
}
