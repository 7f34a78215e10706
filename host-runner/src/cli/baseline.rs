//! Baselines: files that list known warnings, so that only new ones are reported.
//!
//! A warning is identified by its file, rule, source and message, not by its line.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use telewarden::Severity;

use super::failure::Failure;
use super::output;
use super::project_file::Project;
use super::report::{Finding, Report, count};

/// The baseline.
#[derive(Debug, clap::Args)]
pub(crate) struct BaselineArgs {
    /// Do not report the warnings in this file
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Write all warnings to the file of `--baseline`, so that later runs report only new ones
    #[arg(long)]
    write_baseline: bool,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Baseline {
    version: u32,
    warnings: Vec<Entry>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    #[serde(flatten)]
    warning: Warning,
    /// How often it occurs.
    count: usize,
}

/// The identity of a warning.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
struct Warning {
    /// Relative to the folder of the baseline.
    file: String,
    code: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    message: String,
}

const VERSION: u32 = 1;

impl BaselineArgs {
    /// True if there is a baseline, so that a warning may be known.
    pub(crate) fn applies(&self, project: &Project) -> bool {
        self.baseline.is_some() || project.baseline.is_some()
    }

    /// Removes the warnings in the baseline from a report. With `--write-baseline`, writes the baseline first.
    pub(crate) fn apply(&self, report: &mut Report, project: &Project) {
        let file = self.baseline.as_ref().or(project.baseline.as_ref());
        let applied = match file {
            None if self.write_baseline => Err(Failure::new("`--write-baseline` needs a file: add `--baseline FILE`")),
            None => return,
            Some(file) if self.write_baseline => write(report, file).and_then(|()| leave_out(report, file)),
            Some(file) => leave_out(report, file),
        };
        report.failures.extend(applied.err());
        report.count();
    }
}

fn leave_out(report: &mut Report, file: &Path) -> Result<(), Failure> {
    let name = file.display().to_string();
    let failure = |message: String| Failure::of_file(&name, message);
    let text = fs::read_to_string(file).map_err(|error| failure(format!("cannot read the baseline: {error}")))?;
    let other = |what: &str| Failure {
        help: Some("`--write-baseline` writes one".to_owned()),
        ..failure(format!("not a baseline: {what}"))
    };
    let value: Value = serde_json::from_str(&text).map_err(|_| other("it is not JSON"))?;
    if let Some(version) = value["version"]
        .as_u64()
        .filter(|version| *version != u64::from(VERSION))
    {
        return Err(failure(format!(
            "the baseline has version {version}; this program reads {VERSION}"
        )));
    }
    let baseline: Baseline =
        serde_json::from_value(value).map_err(|_| other("it does not hold `version` and `warnings` of telewarden"))?;
    let entries = baseline.warnings.into_iter().map(|entry| (entry.warning, entry.count));
    let mut left: BTreeMap<Warning, usize> = entries.collect();
    let before = report.findings.len();
    report.findings.retain(|finding| {
        let known = of(finding, file)
            .and_then(|warning| left.get_mut(&warning))
            .filter(|left| **left > 0);
        known.map(|left| *left -= 1).is_none()
    });
    report.summary.baseline = before - report.findings.len();
    let gone: usize = left.values().sum();
    if gone > 0 {
        output::say(format_args!(
            "note: {} of {name} no longer occur; `--write-baseline` writes it anew",
            count(gone, "warning")
        ));
    }
    Ok(())
}

fn write(report: &Report, file: &Path) -> Result<(), Failure> {
    let mut counts: BTreeMap<Warning, usize> = BTreeMap::new();
    for warning in report.findings.iter().filter_map(|finding| of(finding, file)) {
        *counts.entry(warning).or_default() += 1;
    }
    let warnings = counts.into_iter().map(|(warning, count)| Entry { warning, count });
    let baseline = Baseline {
        version: VERSION,
        warnings: warnings.collect(),
    };
    let failure = |error: &dyn std::fmt::Display| {
        Failure::of_file(
            &file.display().to_string(),
            format!("cannot write the baseline: {error}"),
        )
    };
    let text = output::json(&baseline).map_err(|error| failure(&error))?;
    telewarden::file::replace(file, text.as_bytes()).map_err(|error| failure(&error))
}

/// The identity of a warning. `None` for an error, which is always reported.
fn of(finding: &Finding, baseline: &Path) -> Option<Warning> {
    (finding.severity == Severity::Warning).then(|| Warning {
        file: relative(finding.file.as_deref().unwrap_or_default(), baseline),
        code: finding.code.clone(),
        source: finding.source.clone(),
        message: finding.message.clone(),
    })
}

/// A path relative to the folder of the baseline, so that it does not depend on the folder that the command runs in.
fn relative(file: &str, baseline: &Path) -> String {
    // Standard input and the like have no real path.
    let real = |path: &Path| {
        fs::canonicalize(path)
            .or_else(|_| std::path::absolute(path))
            .unwrap_or_else(|_| path.to_owned())
    };
    let folder = baseline.parent().filter(|folder| !folder.as_os_str().is_empty());
    let (file, folder) = (real(Path::new(file)), real(folder.unwrap_or(Path::new("."))));
    let relative = file.strip_prefix(&folder).ok();
    let parts = relative
        .unwrap_or(&file)
        .components()
        .filter(|part| *part != Component::CurDir);
    let parts: Vec<_> = parts.map(|part| part.as_os_str().to_string_lossy()).collect();
    parts.join("/")
}
