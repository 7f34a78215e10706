//! Formats findings for `kubectl`: a rejection is one paragraph, a warning is one short line.

use std::collections::BTreeSet;

use crate::diagnostic::Diagnostic;
use crate::diagnostic::rules::{page, pages};

/// The longest warning, without help and without the address of its rule's page. Kubernetes asks for 120 characters, and may
/// truncate beyond 256: <https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#response>
const MAX_WARNING: usize = 120;

/// The longest warning with help, without the address.
const MAX_HELPED: usize = 180;

/// The most pages of rules that a rejection names.
const MAX_PAGES: usize = 3;

/// The most warnings. Kubernetes truncates long lists of warnings.
const MAX_WARNINGS: usize = 10;

/// All errors, or all warnings if there is no error, in one paragraph. Help that several findings have in common is
/// printed once. The addresses of the rules' pages are at the end.
pub(super) fn paragraph(findings: &[Diagnostic]) -> String {
    let any_error = findings.iter().any(Diagnostic::is_error);
    let shown: Vec<_> = findings
        .iter()
        .filter(|finding| finding.is_error() == any_error)
        .collect();
    let numbered = shown.len() > 1;
    let mut helped = BTreeSet::new();
    let sentences = shown.iter().enumerate().map(|(index, finding)| {
        let number = if numbered {
            format!("({}) ", index + 1)
        } else {
            String::new()
        };
        let place = finding
            .place
            .as_ref()
            .map(|place| format!(" at {place}"))
            .unwrap_or_default();
        let help = finding.help.as_ref().filter(|help| helped.insert(help.to_string()));
        let help = help.map(|help| format!("; {help}")).unwrap_or_default();
        one_line(&format!("{number}{}{place}: {}{help}", finding.code, finding.message))
    });
    let mut codes = BTreeSet::new();
    codes.extend(shown.iter().map(|finding| finding.code.to_string()));
    let see = match codes.len() {
        0..=MAX_PAGES => codes.iter().map(|code| page(code)).collect::<Vec<_>>().join(" "),
        _ => pages(),
    };
    let text = join_sentences(sentences.chain([format!("See {see}")]));
    match numbered {
        true => format!("{} problems: {text}", shown.len()),
        false => text,
    }
}

/// Joins sentences. A question already has its question mark.
fn join_sentences(sentences: impl Iterator<Item = String>) -> String {
    let mut text = String::new();
    for sentence in sentences {
        match text.chars().last() {
            None => {}
            Some('?') => text.push(' '),
            Some(_) => text.push_str(". "),
        }
        text.push_str(&sentence);
    }
    text
}

/// The warnings.
pub(super) fn warnings(findings: &[Diagnostic]) -> Vec<String> {
    let warnings = findings.iter().filter(|finding| !finding.is_error());
    let mut warnings: Vec<_> = warnings.map(warning).collect();
    if warnings.len() > MAX_WARNINGS {
        let more = warnings.len() - (MAX_WARNINGS - 1);
        warnings.truncate(MAX_WARNINGS - 1);
        warnings.push(format!("{more} more; `telewarden validate` shows all"));
    }
    warnings
}

fn warning(finding: &Diagnostic) -> String {
    let mut text = shorten(&format!("{}: {}", finding.code, finding.message));
    if let Some(help) = &finding.help {
        let helped = one_line(&format!("{text}; {help}"));
        if helped.chars().count() <= MAX_HELPED {
            text = helped;
        }
    }
    format!("{text}; see {}", page(&finding.code))
}

fn shorten(text: &str) -> String {
    let text = one_line(text);
    match text.char_indices().nth(MAX_WARNING) {
        Some(_) => text.chars().take(MAX_WARNING - 1).chain(['…']).collect(),
        None => text,
    }
}

/// Text without control characters. Part of it is written by users and printed on the terminals of others.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
