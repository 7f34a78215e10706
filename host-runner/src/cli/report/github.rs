//! Workflow commands of GitHub Actions, which GitHub shows as annotations on the lines of a pull request.
//!
//! <https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands>

use telewarden::Severity;

use super::Finding;
use crate::cli::failure::Failure;
use crate::cli::output::plain;

/// The command for a finding.
pub(crate) fn finding(finding: &Finding) -> String {
    let name = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    // GitHub accepts columns only for a single line.
    let one_line = finding.end_line == finding.line;
    let message = message(&finding.message, finding.help.as_deref(), Some(&finding.url));
    if let Some(template) = &finding.template {
        // The lines are those of the rendered text.
        let properties = [("file", Some(template.clone())), ("title", Some(finding.code.clone()))];
        return command(name, &properties, &message);
    }
    command(
        name,
        &[
            ("file", finding.file.clone()),
            ("line", finding.line.map(|line| line.to_string())),
            ("endLine", finding.end_line.map(|line| line.to_string())),
            (
                "col",
                finding.column.filter(|_| one_line).map(|column| column.to_string()),
            ),
            (
                "endColumn",
                finding.end_column.filter(|_| one_line).map(|column| column.to_string()),
            ),
            ("title", Some(finding.code.clone())),
        ],
        &message,
    )
}

/// The command for a failure.
pub(crate) fn failure(failure: &Failure) -> String {
    command(
        "error",
        &[
            ("file", failure.file.clone()),
            ("line", failure.line.map(|line| line.to_string())),
            ("col", failure.column.map(|column| column.to_string())),
            ("title", failure.code().map(str::to_owned)),
        ],
        &message(&failure.message, failure.help.as_deref(), failure.url()),
    )
}

/// What is wrong, what to do, and where to read more, a line each.
fn message(message: &str, help: Option<&str>, url: Option<&str>) -> String {
    let help = help.map(|help| format!("help: {}", plain(help)));
    let url = url.map(plain);
    let lines = std::iter::once(plain(message)).chain(help).chain(url);
    lines.collect::<Vec<_>>().join("\n")
}

fn command(name: &str, properties: &[(&str, Option<String>)], message: &str) -> String {
    let properties: Vec<_> = properties
        .iter()
        .filter_map(|(key, value)| Some(format!("{key}={}", escape_property(&plain(value.as_ref()?)))))
        .collect();
    let space = if properties.is_empty() { "" } else { " " };
    format!("::{name}{space}{}::{}\n", properties.join(","), escape(message))
}

/// Escapes like `escapeData` of `@actions/core`. Unescaped text could start another command.
fn escape(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes like `escapeProperty` of `@actions/core`.
fn escape_property(text: &str) -> String {
    escape(text).replace(':', "%3A").replace(',', "%2C")
}
