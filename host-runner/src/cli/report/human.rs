//! For people: each finding as rustc shows one.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use telewarden::Severity;

use super::{Finding, Report, count};
use crate::cli::input::Failure;
use crate::cli::output::plain;

/// Every finding, with what explains them at the end.
pub(crate) fn findings(report: &Report) -> String {
    let renderer = Renderer::styled();
    let mut text = String::new();
    for finding in &report.findings {
        text += &renderer.render(&[group(finding)]);
        text += "\n\n";
    }
    let mut codes: Vec<_> = report.findings.iter().map(|finding| finding.code.as_str()).collect();
    codes.sort_unstable();
    codes.dedup();
    if !codes.is_empty() {
        let commands: Vec<_> = codes
            .iter()
            .map(|code| format!("`telewarden rule {}`", plain(code)))
            .collect();
        text += &format!("For more about a finding: {}\n", commands.join(", "));
    }
    text
}

/// What could not be read or run, one by one.
pub(crate) fn failure(failure: &Failure) -> String {
    let title = Level::ERROR.primary_title(plain(&failure.message));
    let group = match (&failure.file, failure.line, &failure.source) {
        (Some(file), Some(line), Some(source)) => {
            let column = failure.column.unwrap_or(1);
            title.element(snippet(file, source, line, column, None))
        }
        (Some(file), Some(line), None) => {
            let origin = Origin::path(plain(file)).line(line as usize);
            title.element(origin.char_column(failure.column.unwrap_or(1) as usize))
        }
        (Some(file), None, _) => title.element(Origin::path(plain(file))),
        (None, ..) => Group::with_title(title),
    };
    Renderer::styled().render(&[group])
}

fn group(finding: &Finding) -> Group<'_> {
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(plain(&finding.message)).id(plain(&finding.code));
    let mut group = match finding {
        Finding {
            file: Some(file),
            line: Some(line),
            column: Some(column),
            line_text: Some(source),
            ..
        } => {
            // The rest of what spans lines is left to the reader: its beginning is where to look.
            let end = finding.end_column.filter(|_| finding.end_line == Some(*line));
            title.element(snippet(file, source, *line, *column, end))
        }
        Finding { file: Some(file), .. } => title.element(Origin::path(plain(file))),
        _ => Group::with_title(title),
    };
    if let Some(source) = &finding.source {
        let annotation = finding.annotation.as_ref().map(|name| format!(", annotation {name}"));
        let note = format!("in {source}{}", annotation.unwrap_or_default());
        group = group.element(Level::NOTE.message(plain(&note)));
    }
    match &finding.help {
        Some(help) => group.element(Level::HELP.message(plain(help))),
        None => group,
    }
}

/// One line of a file, with what is meant in it.
fn snippet<'a>(
    file: &'a str,
    source: &'a str,
    line: u32,
    column: u32,
    end: Option<u32>,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let byte = |column: u32| {
        let index = (column as usize).saturating_sub(1);
        source.char_indices().nth(index).map_or(source.len(), |(byte, _)| byte)
    };
    let start = byte(column);
    let end = end.map_or(source.len(), byte).max(start);
    Snippet::source(source)
        .path(plain(file))
        .line_start(line as usize)
        .annotation(AnnotationKind::Primary.span(start..end))
}

/// The last line: what was read, and what was found.
pub(crate) fn summary(report: &Report) -> String {
    let summary = &report.summary;
    if report.settings_refused || (report.sources.is_empty() && !report.failures.is_empty()) {
        return "nothing was checked".to_owned();
    }
    let mut parts = vec![format!(
        "{} and {} in {}",
        count(summary.sources, "source"),
        count(summary.endpoints, "endpoint"),
        count(summary.files, "file")
    )];
    if summary.errors > 0 {
        parts.push(count(summary.errors, "error"));
    }
    if summary.warnings > 0 {
        parts.push(count(summary.warnings, "warning"));
    }
    if summary.errors + summary.warnings == 0 {
        parts.push("no findings".to_owned());
    }
    parts.extend(skipped(report));
    parts.join("; ")
}

/// What was passed over in folders.
pub(crate) fn skipped(report: &Report) -> Option<String> {
    let skipped = report.summary.skipped;
    let what: Vec<_> = [(skipped.templates, "template"), (skipped.not_yaml, "file")]
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, what)| match what {
            "file" => format!(
                "{} that {} not YAML",
                count(number, what),
                if number == 1 { "is" } else { "are" }
            ),
            what => count(number, what),
        })
        .collect();
    (!what.is_empty()).then(|| format!("skipped {}", what.join(" and ")))
}
