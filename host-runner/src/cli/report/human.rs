//! Text for people, in the style of rustc.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet, Title};
use telewarden::Severity;
use telewarden_policy::diagnostic::rules;
use telewarden_policy::manifest::Excerpt;

use super::{Finding, Report, Unannotated, count};
use crate::cli::failure::Failure;
use crate::cli::output::plain;

/// All findings, and where to read more.
pub(crate) fn findings(report: &Report) -> String {
    let findings: String = report.findings.iter().map(finding).collect();
    findings + &pages(&report.findings)
}

/// One finding.
pub(crate) fn finding(finding: &Finding) -> String {
    render(&Renderer::styled(), group(finding), &Place::of(finding)) + "\n\n"
}

/// Where to read more about findings.
pub(crate) fn pages(findings: &[Finding]) -> String {
    let mut codes: Vec<_> = findings.iter().map(|finding| finding.code.as_str()).collect();
    codes.sort_unstable();
    codes.dedup();
    if codes.is_empty() {
        return String::new();
    }
    let pages = codes.iter().map(|code| format!("  {}\n", plain(&rules::page(code))));
    let intro = "For more about a finding, `telewarden rule CODE`, or:\n";
    std::iter::once(intro.to_owned()).chain(pages).collect()
}

/// A failure to read or run something.
pub(crate) fn failure(failure: &Failure) -> String {
    let place = Place {
        file: failure.file.as_deref(),
        line: failure.line,
        column: failure.column,
        excerpt: failure.excerpt.as_deref(),
    };
    let title = Level::ERROR.primary_title(plain(&failure.message));
    let title = match failure.code() {
        Some(code) => title.id(plain(code)),
        None => title,
    };
    let mut group = place.element_of(title);
    if let Some(help) = &failure.help {
        group = group.element(Level::HELP.message(plain(help)));
    }
    if let Some(url) = failure.url() {
        group = group.element(Level::NOTE.message(plain(url)));
    }
    render(&Renderer::styled(), group, &place)
}

fn group<'a>(finding: &Finding) -> Group<'a> {
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(plain(&finding.message)).id(plain(&finding.code));
    let mut group = Place::of(finding).element_of(title);
    if let Some(source) = &finding.source {
        let annotation = finding.annotation.as_ref().map(|name| format!(", annotation {name}"));
        let note = format!("in {source}{}", annotation.unwrap_or_default());
        group = group.element(Level::NOTE.message(plain(&note)));
    }
    if let Some(template) = &finding.template {
        group = group.element(Level::NOTE.message(plain(&format!("rendered from {template}"))));
    }
    match &finding.help {
        Some(help) => group.element(Level::HELP.message(plain(help))),
        None => group,
    }
}

/// The place of a finding or a failure.
struct Place<'a> {
    file: Option<&'a str>,
    line: Option<u32>,
    column: Option<u32>,
    excerpt: Option<&'a Excerpt>,
}

impl<'a> Place<'a> {
    fn of(finding: &'a Finding) -> Self {
        Self {
            file: finding.file.as_deref(),
            line: finding.line,
            column: finding.column,
            excerpt: finding.excerpt.as_ref(),
        }
    }

    fn element_of<'b>(&self, title: Title<'b>) -> Group<'b> {
        match *self {
            Self {
                file: Some(file),
                line: Some(line),
                excerpt: Some(excerpt),
                ..
            } => title.element(snippet(file, excerpt, line)),
            Self {
                file: Some(file),
                line: Some(line),
                column,
                ..
            } => title.element(
                Origin::path(plain(file))
                    .line(line as usize)
                    .char_column(column.unwrap_or(1) as usize),
            ),
            Self { file: Some(file), .. } => title.element(Origin::path(plain(file))),
            Self { file: None, .. } => Group::with_title(title),
        }
    }
}

/// An excerpt of one line, with the place marked.
fn snippet<'a>(file: &str, excerpt: &Excerpt, line: u32) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let text = plain(&excerpt.text);
    // `plain` can make the text longer, so both ends of the place are computed from the plain text before them.
    let moved = |byte: usize| plain(&excerpt.text[..byte]).len();
    let place = moved(excerpt.start)..moved(excerpt.end);
    Snippet::source(text)
        .path(plain(file))
        .line_start(line as usize)
        .annotation(AnnotationKind::Primary.span(place))
}

/// Renders a group. The renderer counts columns from the start of the excerpt, so the column in the second line, which
/// names the place, is replaced with the column in the file.
fn render(renderer: &Renderer, group: Group<'_>, place: &Place<'_>) -> String {
    let text = renderer.render(&[group]);
    let (Some(file), Some(line), Some(column), Some(excerpt)) = (place.file, place.line, place.column, place.excerpt)
    else {
        return text;
    };
    let shown = plain(&excerpt.text[..excerpt.start]).chars().count() + 1;
    match text.split_once('\n') {
        Some((title, rest)) if shown != column as usize => {
            let at = |column| format!("{}:{line}:{column}", plain(file));
            let rest = rest.replacen(&at(shown), &at(column as usize), 1);
            format!("{title}\n{rest}")
        }
        _ => text,
    }
}

/// The summary in the last line.
pub(crate) fn summary(report: &Report) -> String {
    let summary = &report.summary;
    if report.settings_refused || (report.sources.is_empty() && !report.failures.is_empty()) {
        return "nothing was checked".to_owned();
    }
    let (sources, files) = (count(summary.sources, "source"), count(summary.files, "file"));
    let endpoints = count(summary.endpoints, "endpoint");
    // Endpoints of what is refused are not counted.
    let mut parts = vec![match summary.refused {
        0 => format!("{sources} and {endpoints} in {files}"),
        1 if summary.sources == 1 => format!("{sources}, refused, in {files}"),
        all if summary.sources == all => format!("{sources}, all refused, in {files}"),
        refused => format!("{sources}, {refused} refused, and {endpoints} in {files}"),
    }];
    if summary.errors > 0 {
        parts.push(count(summary.errors, "error"));
    }
    if summary.warnings > 0 {
        parts.push(count(summary.warnings, "warning"));
    }
    if summary.left_out > 0 {
        parts.push(format!("{} left out", count(summary.left_out, "finding")));
    }
    if summary.errors + summary.warnings == 0 {
        parts.push("no findings".to_owned());
    }
    if summary.ignored > 0 {
        parts.push(format!("{} ignored", count(summary.ignored, "warning")));
    }
    if summary.baseline > 0 {
        parts.push(format!("{} in the baseline", count(summary.baseline, "warning")));
    }
    if summary.fixable > 0 {
        parts.push(format!("{} fixable with `telewarden fix`", summary.fixable));
    }
    parts.extend(unannotated(report));
    parts.extend(not_read(report));
    parts.extend(skipped(report));
    parts.join("; ")
}

/// How many objects have no annotation of telewarden, which may have been forgotten.
fn unannotated(report: &Report) -> Option<String> {
    let Unannotated {
        applications,
        application_sets,
        namespaces,
    } = report.summary.unannotated;
    let what = [
        (applications, "Application"),
        (application_sets, "ApplicationSet"),
        (namespaces, "Namespace"),
    ];
    let what = what.into_iter().filter(|(number, _)| *number > 0);
    let what: Vec<_> = what.map(|(number, one)| count(number, one)).collect();
    (!what.is_empty()).then(|| format!("without an annotation of telewarden: {}", what.join(", ")))
}

/// The kinds that the settings turn off.
fn not_read(report: &Report) -> impl Iterator<Item = String> {
    report.summary.not_read.iter().map(|kind| {
        let kinds = match *kind {
            "namespaces" => "Namespaces",
            _ => "Applications",
        };
        format!("{kinds} are not read: the settings say `sources.{kind}: false`")
    })
}

/// The files that were skipped in folders.
pub(crate) fn skipped(report: &Report) -> Option<String> {
    let skipped = &report.summary.skipped;
    let what: Vec<_> = [
        (skipped.templates, "template"),
        (skipped.not_yaml, "file"),
        (skipped.by_skip.len(), "path"),
    ]
    .into_iter()
    .filter(|(number, _)| *number > 0)
    .map(|(number, what)| match what {
        "file" => format!(
            "{} that {} not YAML",
            count(number, what),
            if number == 1 { "is" } else { "are" }
        ),
        "path" => format!("{} of `skip`", count(number, what)),
        what => count(number, what),
    })
    .collect();
    (!what.is_empty()).then(|| format!("skipped {}", what.join(" and ")))
}

/// The message for input without sources, with the likely reason.
pub(crate) fn no_source(report: &Report) -> String {
    let files = count(report.summary.files, "file");
    let skipped = skipped(report)
        .map(|skipped| format!("; {skipped}"))
        .unwrap_or_default();
    format!("no source found: no Application, ApplicationSet or Namespace in {files}{skipped}")
}
