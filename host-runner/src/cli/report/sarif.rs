//! SARIF 2.1.0, for code scanning.
//!
//! <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>

use std::path::{Component, Path};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use telewarden::Severity;
use telewarden_policy::diagnostic::rules::{self, RuleDoc};

use super::{Finding, Fix, Report};
use crate::cli::failure::Failure;
use crate::cli::input::STDIN;
use crate::cli::output::plain;

/// The characters that are escaped in the path of a URI: all except `pchar` and `/` (RFC 3986).
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'@')
    .remove(b'+');

/// One log with one run.
pub(crate) fn log(report: &Report) -> Value {
    let of_findings = report.findings.iter().map(|finding| finding.code.as_str());
    let of_failures = report.failures.iter().filter_map(Failure::code);
    let mut codes: Vec<_> = of_findings.chain(of_failures).collect();
    codes.sort_unstable();
    codes.dedup();
    let rules: Vec<_> = codes
        .iter()
        .map(|code| rules::find(code).map_or_else(|| json!({"id": code}), rule))
        .collect();
    let index = |code: &str| codes.iter().position(|known| *known == code);
    let of_findings = report
        .findings
        .iter()
        .map(|finding| result(finding, index(&finding.code)));
    let of_failures = report.failures.iter().filter_map(|failure| {
        let code = failure.code()?;
        Some(result_of_failure(failure, code, index(code)))
    });
    let results: Vec<_> = of_findings.chain(of_failures).collect();
    json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {
                "driver": {
                    "name": "telewarden",
                    "semanticVersion": env!("CARGO_PKG_VERSION"),
                    "informationUri": env!("CARGO_PKG_REPOSITORY"),
                    "rules": rules,
                }
            },
            "columnKind": "unicodeCodePoints",
            "invocations": [{
                "executionSuccessful": report.failures.is_empty() && !report.settings_refused,
                "toolExecutionNotifications": report.failures.iter().map(notification).collect::<Vec<_>>(),
            }],
            "results": results,
        }]
    })
}

/// A message. Brackets are escaped, because `[text](target)` is a link (section 3.11.6).
fn message(text: &str) -> String {
    text.replace('\\', "\\\\").replace('[', "\\[").replace(']', "\\]")
}

fn rule(rule: &RuleDoc) -> Value {
    json!({
        "id": rule.code,
        "name": rule.name,
        "helpUri": rules::page(rule.code),
        "shortDescription": {"text": message(rule.summary)},
        "fullDescription": {"text": message(rule.why)},
        "help": {
            "text": format!("telewarden rule {}, or {}", rule.code, rules::page(rule.code)),
            "markdown": crate::cli::rule::document(rule),
        },
        "defaultConfiguration": {"level": level(rule.severity)},
    })
}

fn result(finding: &Finding, rule: Option<usize>) -> Value {
    let text = text(&finding.message, finding.help.as_deref(), Some(&finding.url));
    let mut result = json!({
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": level(finding.severity),
        "message": {"text": message(&text)},
    });
    // The lines of rendered text are not those of its template.
    let is_rendered = finding.template.is_some();
    if let Some(file) = finding.template.as_ref().or(finding.file.as_ref()) {
        let mut location = json!({"physicalLocation": {"artifactLocation": artifact(file)}});
        if !is_rendered
            && let (Some(line), Some(column), Some(end_line), Some(end_column)) =
                (finding.line, finding.column, finding.end_line, finding.end_column)
        {
            location["physicalLocation"]["region"] = json!({
                "startLine": line,
                "startColumn": column,
                "endLine": end_line,
                "endColumn": end_column,
            });
        }
        if let Some(source) = &finding.source {
            location["logicalLocations"] = json!([{"fullyQualifiedName": source, "kind": "resource"}]);
        }
        result["locations"] = json!([location]);
        if let Some(fix) = &finding.fix {
            result["fixes"] = json!([sarif_fix(fix, file)]);
        }
    }
    result
}

/// Section 3.55.
fn sarif_fix(fix: &Fix, file: &str) -> Value {
    let description = format!("write {}", plain(&fix.replacement));
    json!({
        "description": {"text": message(&description)},
        "artifactChanges": [{
            "artifactLocation": artifact(file),
            "replacements": [{
                "deletedRegion": {
                    "startLine": fix.line,
                    "startColumn": fix.column,
                    "endLine": fix.end_line,
                    "endColumn": fix.end_column,
                },
                "insertedContent": {"text": fix.replacement},
            }],
        }],
    })
}

/// What is wrong, what to do, and where to read more, a line each.
fn text(message: &str, help: Option<&str>, url: Option<&str>) -> String {
    let help = help.map(|help| format!("help: {}", plain(help)));
    let lines = std::iter::once(plain(message)).chain(help).chain(url.map(plain));
    lines.collect::<Vec<_>>().join("\n")
}

/// A file that cannot be read: a result, so that code scanning shows it.
fn result_of_failure(failure: &Failure, code: &str, rule: Option<usize>) -> Value {
    let mut result = notification(failure);
    result["ruleId"] = json!(code);
    result["ruleIndex"] = json!(rule);
    result
}

fn notification(failure: &Failure) -> Value {
    let text = text(&failure.message, failure.help.as_deref(), failure.url());
    let mut notification = json!({
        "level": "error",
        "message": {"text": message(&text)},
    });
    if let Some(file) = &failure.file {
        let mut location = json!({"physicalLocation": {"artifactLocation": artifact(file)}});
        if let Some(line) = failure.line {
            location["physicalLocation"]["region"] = json!({
                "startLine": line,
                "startColumn": failure.column.unwrap_or(1),
            });
        }
        notification["locations"] = json!([location]);
    }
    notification
}

/// A file as a URI: absolute, or relative to the working directory, which should be the repository's root.
fn artifact(file: &str) -> Value {
    if file == STDIN {
        return json!({"uri": "stdin", "description": {"text": "standard input"}});
    }
    let encode = |path: &str| utf8_percent_encode(path, PATH).to_string();
    let path = Path::new(file);
    if path.is_absolute() {
        return json!({"uri": format!("file://{}", encode(file))});
    }
    // `./a` and `a` are the same file, and must give the same alert.
    let parts: Vec<_> = path
        .components()
        .filter(|component| *component != Component::CurDir)
        .map(|component| encode(&component.as_os_str().to_string_lossy()))
        .collect();
    json!({"uri": parts.join("/"), "uriBaseId": "%SRCROOT%"})
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}
