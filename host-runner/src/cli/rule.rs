//! `telewarden rule`

use std::fmt::Write;

use telewarden::Severity;
use telewarden_policy::diagnostic::rules::{self, RuleDoc};

use super::Status;
use super::output;

/// Explain a rule, or list all of them
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The rule's code, such as TW101
    code: Option<String>,
}

pub(crate) fn run(args: &Args) -> Status {
    let Some(code) = &args.code else {
        return output::print(&list());
    };
    if let Some(rule) = rules::find(code) {
        return output::print(&document(rule));
    }
    unknown(code)
}

/// Says that there is no such rule.
pub(crate) fn unknown(code: &str) -> Status {
    output::say(format_args!(
        "error: unknown rule `{code}`; run `telewarden rule` to list all rules"
    ));
    Status::CouldNotRun
}

fn list() -> String {
    let line = |rule: &RuleDoc| format!("{}  {:<7}  {}\n", rule.code, severity(rule), rule.summary);
    rules::all().iter().map(line).collect()
}

/// A rule's documentation, in Markdown.
pub(crate) fn document(rule: &RuleDoc) -> String {
    let mut text = format!(
        "# {} {} ({})\n\n{}\n",
        rule.code,
        rule.name,
        severity(rule),
        rule.summary
    );
    for (heading, body, is_yaml) in [
        ("Why", rule.why, false),
        ("Example", rule.example, true),
        ("Instead", rule.instead, true),
    ] {
        let body = body.trim_matches('\n');
        if body.is_empty() {
            continue;
        }
        // Writing to a string cannot fail.
        _ = match is_yaml {
            true => write!(text, "\n## {heading}\n\n```yaml\n{body}\n```\n"),
            false => write!(text, "\n## {heading}\n\n{body}\n"),
        };
    }
    _ = write!(text, "\n{}\n", rules::page(rule.code));
    text
}

fn severity(rule: &RuleDoc) -> &'static str {
    match rule.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}
