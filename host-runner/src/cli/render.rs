//! `telewarden render`

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde_json::{Value, json};
use telewarden::{Configuration, Outcome, RenderAnswer, Rendered};

use super::Status;
use super::check::{self, Keep, Look};
use super::output;
use super::report::human::no_source;
use super::report::{Report, count, human};

/// Print the rendered Kubernetes objects, or the Telegraf configuration
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    selection: check::Selection,
    /// The output format
    #[arg(short, long, value_enum, default_value_t = Format::Yaml)]
    output: Format,
    /// Write one file for each object or configuration to this folder
    #[arg(long, value_name = "DIR")]
    out_dir: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Format {
    /// Objects, one YAML document each
    Yaml,
    /// Objects in a `v1` List
    Json,
    /// Only the Telegraf configuration
    Toml,
}

/// How many refused sources the summary names.
const NAMED: usize = 10;

/// Why rendered output could not be written.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("cannot write `{}`", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot write an object as YAML")]
    Yaml { source: serde_yaml::Error },
    #[error(
        "{} in {} cannot be printed as one: name a folder with `--out-dir DIR`, which gets one file for each",
        count(*configurations, "configuration"), count(*files, "file")
    )]
    Several { configurations: usize, files: usize },
}

pub(crate) fn run(args: &Args) -> Status {
    let mut checked = check::check(&args.selection, Look::ForFindings, Keep::Answers);
    let report = std::mem::take(&mut checked.report);
    let answer = checked.into_answer();
    let written = match (&args.out_dir, args.output) {
        (Some(folder), Format::Toml) => write_files(folder, configuration_files(&answer)),
        (Some(folder), format) => object_files(&answer, format).and_then(|files| write_files(folder, files)),
        (None, Format::Toml) => only_configuration(&answer).map(output::print_document),
        (None, Format::Yaml) => documents(&answer).map(|text| output::print_document(&text)),
        (None, Format::Json) => Ok(output::print_json(&list(&answer))),
    };

    let findings = human::findings(&report);
    if !findings.is_empty() {
        output::say_styled(findings.trim_end());
        output::say("");
    }
    report
        .failures
        .iter()
        .for_each(|failure| output::say_styled(human::failure(failure)));
    let status = report.status(false);
    let written = written.unwrap_or_else(|error| {
        output::say_error(&error);
        Status::CouldNotRun
    });
    output::say(if report.is_empty() {
        no_source(&report)
    } else {
        summary(&report, &answer)
    });
    status.max(written)
}

/// All rendered objects, in the order of the sources.
fn rendered(answer: &RenderAnswer) -> impl Iterator<Item = &Rendered> {
    answer
        .sources
        .iter()
        .map(|source| &source.rendered)
        .chain(&answer.shared)
}

fn objects(answer: &RenderAnswer) -> impl Iterator<Item = &Value> {
    rendered(answer).flat_map(|rendered| &rendered.objects)
}

fn summary(report: &Report, answer: &RenderAnswer) -> String {
    let mut text = format!(
        "{}, {}, {}",
        count(report.summary.sources, "source"),
        count(report.summary.endpoints, "endpoint"),
        count(objects(answer).count(), "object")
    );
    let refused: Vec<_> = answer
        .sources
        .iter()
        .filter(|source| source.outcome == Outcome::Refused)
        .map(|source| source.source.as_str())
        .collect();
    if !refused.is_empty() {
        let (named, others) = refused.split_at(refused.len().min(NAMED));
        text += &format!("; refused: {}", named.join(", "));
        if !others.is_empty() {
            text += &format!(" and {} more", others.len());
        }
    }
    if let Some(skipped) = human::skipped(report) {
        text += &format!("; {skipped}");
    }
    text
}

fn document(object: &Value) -> Result<String, Error> {
    serde_yaml::to_string(object).map_err(|source| Error::Yaml { source })
}

fn documents(answer: &RenderAnswer) -> Result<String, Error> {
    objects(answer)
        .map(|object| Ok(format!("---\n{}", document(object)?)))
        .collect()
}

fn list(answer: &RenderAnswer) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "List",
        "items": objects(answer).collect::<Vec<_>>(),
    })
}

fn only_configuration(answer: &RenderAnswer) -> Result<&str, Error> {
    let configurations: Vec<_> = rendered(answer).flat_map(|rendered| &rendered.configurations).collect();
    let mut files = configurations
        .iter()
        .flat_map(|configuration| configuration.files.values());
    match (files.next(), files.count()) {
        (None, _) => Ok(""),
        (Some(file), 0) => Ok(file),
        (Some(_), more) => Err(Error::Several {
            configurations: configurations.len(),
            files: more + 1,
        }),
    }
}

/// A file to write: the parts of its path in the folder, and its text.
type OutFile = (Vec<String>, String);

fn object_files(answer: &RenderAnswer, format: Format) -> Result<Vec<OutFile>, Error> {
    objects(answer)
        .map(|object| {
            let part = |pointer| object.pointer(pointer).and_then(Value::as_str);
            let parts = [part("/metadata/namespace"), part("/kind"), part("/metadata/name")];
            let name = parts.into_iter().flatten().collect::<Vec<_>>().join("_").to_lowercase();
            let (extension, text) = match format {
                Format::Json => ("json", format!("{object:#}\n")),
                Format::Yaml | Format::Toml => ("yaml", document(object)?),
            };
            Ok((vec![format!("{name}.{extension}")], text))
        })
        .collect()
}

/// A configuration with one file becomes that file. One with several becomes a folder, for Telegraf's
/// `--config-directory`.
fn configuration_files(answer: &RenderAnswer) -> Vec<OutFile> {
    let mut out = Vec::new();
    for rendered in rendered(answer) {
        for Configuration { name, files, .. } in &rendered.configurations {
            // Names in Kubernetes contain no `_`, so no two configurations have the same file name.
            let stem = match &rendered.namespace {
                Some(namespace) => format!("{namespace}_{name}"),
                None => name.clone(),
            };
            let alone = files.len() == 1;
            out.extend(files.iter().map(|(file, text)| {
                let path = if alone {
                    vec![format!("{stem}.conf")]
                } else {
                    vec![stem.clone(), file.clone()]
                };
                (path, text.clone())
            }));
        }
    }
    out
}

fn write_files(folder: &Path, files: Vec<OutFile>) -> Result<Status, Error> {
    let mut taken = HashSet::new();
    for (parts, text) in files {
        let path = free_path(folder, &parts, &mut taken);
        telewarden::file::replace(&path, text.as_bytes()).map_err(|source| Error::Write { path, source })?;
    }
    Ok(Status::Fine)
}

/// A path in the folder that no other file of this run has. Names come from the module, which is not trusted.
fn free_path(folder: &Path, parts: &[String], taken: &mut HashSet<PathBuf>) -> PathBuf {
    let mut path = folder.to_owned();
    path.extend(parts.iter().map(|part| safe_name(part)));
    let original = path.clone();
    let mut number = 1;
    while !taken.insert(path.clone()) {
        number += 1;
        let stem = original.file_stem().unwrap_or_default().to_string_lossy();
        let extension = original.extension().unwrap_or_default().to_string_lossy();
        path = original.with_file_name(format!("{stem}-{number}.{extension}"));
    }
    path
}

/// A safe file name: letters, digits, `-`, `_` and `.`, not hidden, and not too long for a file system.
fn safe_name(name: &str) -> String {
    let safe: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') {
                c
            } else {
                '-'
            }
        })
        .collect();
    let safe = safe.trim_start_matches('.');
    match safe.len() {
        0 => "unnamed".to_owned(),
        1..=240 => safe.to_owned(),
        // Keeps the end, which has the extension and distinguishes long names.
        length => format!("{}{}", &safe[..100], &safe[length - 140..]),
    }
}
