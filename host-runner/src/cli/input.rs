//! Reads files and folders into Kubernetes objects, with the text that they come from.

use std::collections::{BTreeSet, HashSet};
use std::fs::{self, File};
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use telewarden::{Diagnostic, Place, Severity};
use telewarden_policy::manifest::{MAX_BYTES, Manifest, SyntaxError, is_template, nearest_name};
use telewarden_policy::settings::Settings as CoreSettings;
use walkdir::{DirEntry, WalkDir};

use super::failure::Failure;
use super::output;
use super::report::Finding;
use super::skip::{Skip, Skipped};

/// What standard input is called where a file's name is expected.
pub(crate) const STDIN: &str = "<stdin>";

const SAVE_AS_UTF8: &str = "save the file as UTF-8";

/// The minimum number of files for a progress bar.
const FILES_WORTH_A_PROGRESS_BAR: u64 = 200;

/// How it is read.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    /// Pass over files of folders that are neither YAML nor JSON.
    pub(crate) allow_unparsable: bool,
    /// The name of the annotation with the endpoints.
    pub(crate) annotation: String,
}

/// Everything that was read.
#[derive(Debug, Default)]
pub(crate) struct Input {
    /// Texts that contain objects, or something similar to our annotations.
    pub(crate) texts: Vec<Text>,
    /// The number of files that were read, including those without objects.
    pub(crate) files: usize,
    pub(crate) skipped: Skipped,
    pub(crate) failures: Vec<Failure>,
}

/// A file, or standard input.
#[derive(Debug)]
pub(crate) struct Text {
    pub(crate) name: String,
    /// The file, if it is one.
    pub(crate) path: Option<PathBuf>,
    /// The chart or overlay that it was rendered from, if any.
    pub(crate) rendered: Option<RenderedFrom>,
    pub(crate) manifest: Manifest,
}

/// The chart or overlay that a text was rendered from.
#[derive(Clone, Debug)]
pub(crate) struct RenderedFrom {
    /// The chart or the folder.
    pub(crate) path: PathBuf,
}

impl RenderedFrom {
    /// The template that a line, from 1, was rendered from. Helm writes it in a comment above each document.
    pub(crate) fn template(&self, text: &str, line: u32) -> String {
        let lines = text.lines().take(line as usize);
        let source = lines.filter_map(|line| line.strip_prefix("# Source: ")).last();
        // The first part is the chart's name.
        match source.and_then(|source| source.trim_end().split_once('/')) {
            Some((_, rest)) if self.path.is_dir() => self.path.join(rest).display().to_string(),
            Some((chart, rest)) => format!("{chart}/{rest}"),
            None => self.path.display().to_string(),
        }
    }
}

/// The settings, and the file that they are from.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) value: Value,
    pub(crate) text: Text,
    /// The index of their document in the file.
    pub(crate) document: usize,
    /// Their place in the document, as a JSON pointer.
    pub(crate) within: &'static str,
}

impl Settings {
    /// A finding about them, at its place in the file.
    pub(crate) fn finding(&self, diagnostic: &Diagnostic) -> Finding {
        let mut diagnostic = diagnostic.clone();
        if let Some(place) = &mut diagnostic.place {
            place.pointer.insert_str(0, self.within);
        }
        let region = self.text.manifest.locate(self.document, None, &diagnostic);
        self.text.finding(region, &diagnostic, None)
    }
}

/// Why a file cannot be read.
enum Unreadable {
    Io(io::Error),
    TooLarge,
    NotText,
    Syntax {
        language: &'static str,
        text: String,
        error: SyntaxError,
    },
}

/// How a file was selected: as an argument, or by a search of a folder.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Origin {
    Named,
    Found,
}

/// A file to read.
pub(crate) type Selected = (PathBuf, Origin);

/// Finds files and, for `-`, standard input. What cannot be searched, and what is passed over, is in the input.
pub(crate) fn select(paths: &[PathBuf], skip: &Skip) -> (Vec<Selected>, Input) {
    let mut input = Input::default();
    let stdin = [PathBuf::from("-")];
    let paths = match paths {
        [] if io::stdin().is_terminal() => {
            input.failures.push(Failure::new(
                "no PATH given: name files or folders, or `-` for standard input",
            ));
            return (Vec::new(), input);
        }
        [] => &stdin,
        paths => paths,
    };

    let mut seen = HashSet::new();
    let mut files = Vec::new();
    let mut searched = Searched::default();
    for path in paths {
        if path == Path::new("-") {
            files.push((path.clone(), Origin::Named));
        } else if path.is_dir() {
            for entry in find(path, skip, &mut searched) {
                match entry {
                    Ok(file) if leads_out(&file, path) => {
                        let message = "it is a link to a file outside of the folder; name it to have it read";
                        let name = file.display().to_string();
                        input.failures.push(Failure::of_file(&name, message).broken());
                    }
                    Ok(path) => files.push((path, Origin::Found)),
                    Err(error) => {
                        let name = error.path().unwrap_or(path).display().to_string();
                        let message = error.io_error().map_or_else(|| error.to_string(), ToString::to_string);
                        input
                            .failures
                            .push(Failure::of_file(&name, format!("cannot read: {message}")).broken());
                    }
                }
            }
        } else {
            files.push((path.clone(), Origin::Named));
        }
    }
    let unused = searched.unused(skip).map(|pattern| pattern.as_str().to_owned());
    input.skipped.unused_skip = unused.collect();
    input.skipped.by_skip = searched.skipped;
    // A file is read once, even if several paths lead to it. A path that cannot be resolved fails later, when it is opened.
    files.retain(|(path, _)| seen.insert(fs::canonicalize(path).unwrap_or_else(|_| path.clone())));

    (files, input)
}

/// Reads files. A failure of one does not stop the others.
pub(crate) fn read(files: &[Selected], reading: &Reading) -> Input {
    let mut input = Input::default();
    for (path, origin) in files {
        input.add(path, *origin, reading);
    }
    input
}

/// The progress of that many files.
pub(crate) fn progress(files: u64) -> ProgressBar {
    if files < FILES_WORTH_A_PROGRESS_BAR {
        return ProgressBar::hidden();
    }
    // Drawn on standard error, and only if that is a terminal.
    let style = ProgressStyle::with_template("checking {wide_bar} {pos}/{len} files");
    ProgressBar::new(files).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// What a search of folders met.
#[derive(Debug, Default)]
struct Searched {
    /// The folders, absolute and without links.
    roots: Vec<PathBuf>,
    /// What was passed over because of `skip`.
    skipped: Vec<String>,
    /// The numbers of the patterns that matched something.
    matched: BTreeSet<usize>,
}

impl Searched {
    /// The patterns that matched nothing, although the folder that could hold it was searched.
    fn unused<'a>(&self, skip: &'a Skip) -> impl Iterator<Item = &'a glob::Pattern> {
        let is_unused = |(number, pattern): &(usize, &glob::Pattern)| {
            let holder = skip.holder(pattern);
            !self.matched.contains(number) && self.roots.iter().any(|root| holder.starts_with(root))
        };
        let unused: Vec<_> = skip.patterns.iter().enumerate().filter(is_unused).collect();
        unused.into_iter().map(|(_, pattern)| pattern)
    }
}

/// The YAML and JSON files of a folder and its subfolders, by name. Links to files are followed. Links to folders are
/// not, because they can form a cycle.
fn find(folder: &Path, skip: &Skip, searched: &mut Searched) -> Vec<walkdir::Result<PathBuf>> {
    let is_hidden = |entry: &DirEntry| entry.depth() > 0 && entry.file_name().as_encoded_bytes().starts_with(b".");
    let root = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let mut is_skipped = |entry: &DirEntry| {
        if skip.patterns.is_empty() {
            return false;
        }
        let below = entry.path().strip_prefix(folder).unwrap_or(entry.path());
        let matching = skip.matching(&root.join(below));
        let is_skipped = !matching.is_empty();
        searched.matched.extend(matching);
        if is_skipped && (entry.file_type().is_dir() || has_type(entry.path())) {
            searched.skipped.push(entry.path().display().to_string());
        }
        is_skipped
    };
    let entries = WalkDir::new(folder)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| !is_hidden(entry) && !is_skipped(entry))
        .filter_map(|entry| match entry {
            Ok(entry) => {
                // A link that leads nowhere is a file that cannot be read.
                let leads_nowhere = entry.path_is_symlink() && !entry.path().exists();
                let path = entry.into_path();
                (has_type(&path) && (path.is_file() || leads_nowhere)).then_some(Ok(path))
            }
            Err(error) => Some(Err(error)),
        });
    let entries = entries.collect();
    searched.roots.push(root);
    entries
}

/// True for a link to a file that is neither in the folder nor in the working folder. Whoever proposes a change to a
/// repository can add such a link, and excerpts of the file would be in the report.
fn leads_out(file: &Path, folder: &Path) -> bool {
    let Some(target) = file.is_symlink().then(|| fs::canonicalize(file).ok()).flatten() else {
        return false;
    };
    let is_in = |folder: &Path| fs::canonicalize(folder).is_ok_and(|folder| target.starts_with(folder));
    !is_in(folder) && !is_in(Path::new("."))
}

/// True for the name of a YAML or JSON file.
fn has_type(path: &Path) -> bool {
    ["yaml", "yml", "json"].iter().any(|suffix| has_suffix(path, suffix))
}

fn has_suffix(path: &Path, suffix: &str) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case(suffix))
}

/// Why a file cannot be opened, in the words of the system or, for a link that leads nowhere, in ours.
fn why(path: &Path, error: &io::Error) -> String {
    match fs::read_link(path) {
        Ok(target) if error.kind() == io::ErrorKind::NotFound => format!(
            "cannot read `{}`: it links to `{}`, which does not exist",
            path.display(),
            target.display()
        ),
        _ => format!("cannot read: {error}"),
    }
}

impl Input {
    fn add(&mut self, path: &Path, origin: Origin, reading: &Reading) {
        let is_stdin = path == Path::new("-");
        let name = if is_stdin {
            STDIN.to_owned()
        } else {
            path.display().to_string()
        };
        self.files += 1;
        let read = if is_stdin {
            read_text(io::stdin().lock())
        } else {
            open(path).and_then(read_text)
        };
        let found = origin == Origin::Found;
        let is_json = has_suffix(path, "json");
        let failure = match read.and_then(|text| parse(text, is_json)) {
            Ok(manifest) => {
                if manifest.objects().next().is_some() || manifest.may_hold(&reading.annotation) {
                    let path = (!is_stdin).then(|| path.to_owned());
                    self.texts.push(Text {
                        name,
                        path,
                        rendered: None,
                        manifest,
                    });
                }
                return;
            }
            Err(Unreadable::Io(error)) => Failure::of_file(&name, why(path, &error)),
            Err(Unreadable::TooLarge) => {
                let limit = MAX_BYTES / (1024 * 1024);
                Failure::of_file(&name, format!("the file is larger than {limit} MiB"))
            }
            Err(Unreadable::Syntax { text, error, .. }) if found && is_template(&text, &error) => {
                self.skipped.templates += 1;
                self.skipped.files.push(name);
                return;
            }
            Err(Unreadable::NotText | Unreadable::Syntax { .. }) if found && reading.allow_unparsable => {
                self.skipped.not_yaml += 1;
                self.skipped.files.push(name);
                return;
            }
            Err(Unreadable::NotText) => Failure {
                help: Some(SAVE_AS_UTF8.to_owned()),
                ..Failure::of_file(&name, "not YAML: it is not UTF-8 text")
            },
            Err(Unreadable::Syntax { language, text, error }) => {
                let is_template = is_template(&text, &error);
                let mut failure = Failure::of_syntax(&name, &text, error);
                failure.message = format!("invalid {language}: {}", failure.message);
                failure.help = match failure.help {
                    _ if is_template => Some(
                        "if it is a template, render it first, as `telewarden validate --helm CHART` does".to_owned(),
                    ),
                    None if found => {
                        Some("correct it; `--allow-unparsable` passes over such files of a folder".to_owned())
                    }
                    help => help,
                };
                failure
            }
        };
        self.failures.push(failure.broken());
    }
}

impl Input {
    /// Adds the output of a program.
    pub(crate) fn add_text(&mut self, name: &str, text: String, rendered: RenderedFrom) {
        self.files += 1;
        match Manifest::parse(text) {
            Ok(manifest) if manifest.objects().next().is_some() => self.texts.push(Text {
                name: name.to_owned(),
                path: None,
                rendered: Some(rendered),
                manifest,
            }),
            Ok(_) => {}
            Err((text, error)) => {
                let mut failure = Failure::of_syntax(name, &text, error);
                failure.message = format!("not YAML: {}", failure.message);
                self.failures.push(failure);
            }
        }
    }
}

/// Reads the settings: a document of settings, or policies of Kubewarden's.
pub(crate) fn read_settings(path: &Path) -> Result<Settings, Failure> {
    read_named(path, &path.display().to_string(), "the settings").and_then(settings_of)
}

/// Reads a file for its documents.
pub(crate) fn read_document(path: &Path, name: &str) -> Result<Text, Failure> {
    read_named(path, name, "the file")
}

fn read_named(path: &Path, name: &str, what: &str) -> Result<Text, Failure> {
    let plural = if what.ends_with('s') { "are" } else { "is" };
    let manifest = open(path)
        .and_then(read_text)
        .and_then(|text| parse(text, false))
        .map_err(|error| match error {
            Unreadable::Io(error) => Failure::of_file(name, format!("cannot read {what}: {error}")),
            Unreadable::TooLarge => Failure::of_file(name, format!("{what} {plural} too large")),
            Unreadable::NotText => Failure {
                help: Some(SAVE_AS_UTF8.to_owned()),
                ..Failure::of_file(name, format!("{what} {plural} not YAML: no UTF-8 text"))
            },
            Unreadable::Syntax { text, error, .. } => {
                let mut failure = Failure::of_syntax(name, &text, error);
                failure.message = format!("{what} {plural} not YAML: {}", failure.message);
                failure
            }
        })?;
    Ok(Text {
        name: name.to_owned(),
        path: Some(path.to_owned()),
        rendered: None,
        manifest,
    })
}

/// The settings in a text: a settings document, Kubewarden policies with equal settings, or values of the operator's chart.
fn settings_of(text: Text) -> Result<Settings, Failure> {
    let is_policy = |document: &Value| {
        let starts = |name: &str, with: &str| document[name].as_str().is_some_and(|text| text.starts_with(with));
        starts("apiVersion", "policies.kubewarden.io/")
            && matches!(
                document["kind"].as_str(),
                Some("ClusterAdmissionPolicy" | "AdmissionPolicy")
            )
    };
    let documents = text.manifest.documents();
    if let Some(document) = documents.iter().position(is_policy) {
        const WITHIN: &str = "/spec/settings";
        let of = |policy: &Value| policy.pointer(WITHIN).cloned().unwrap_or_default();
        let value = of(&documents[document]);
        if documents[document].pointer(WITHIN).is_none() {
            has_no_settings(&text, document)?;
        }
        if let Some(other) = documents.iter().find(|other| is_policy(other) && of(other) != value) {
            let name = other["metadata"]["name"].as_str().unwrap_or_default();
            let message =
                format!("the policies in this file have different settings, see `{name}`: name a file with one");
            return Err(Failure::of_file(&text.name, message));
        }
        return Ok(Settings {
            value,
            text,
            document,
            within: WITHIN,
        });
    }
    let Some(document) = text.manifest.settings() else {
        return Err(Failure::of_file(
            &text.name,
            "the settings must be one document, but this file has several",
        ));
    };
    if let (Some(_), Some(kind)) = (document["apiVersion"].as_str(), document["kind"].as_str()) {
        let message = format!("this is a {kind}, not settings");
        let help = "name a file with settings, a ClusterAdmissionPolicy, or values of the operator's chart";
        return Err(at_key(&text, 0, "/kind", message, help));
    }
    let (value, within) = match of_chart(&text, &document)? {
        Some((settings, within)) => (settings.clone(), within),
        None => (document, ""),
    };
    Ok(Settings {
        value,
        text,
        document: 0,
        within,
    })
}

/// The settings in values of the operator's chart, or of a chart that has it as a dependency, and their place. `None` if the
/// document is no such values.
fn of_chart<'d>(text: &Text, document: &'d Value) -> Result<Option<(&'d Value, &'static str)>, Failure> {
    let is_map = |within: &&str| document.pointer(within).is_some_and(Value::is_object);
    let Some(within) = ["/settings", "/telewarden-operator/settings"].into_iter().find(is_map) else {
        return Ok(None);
    };
    let keys = document.as_object().into_iter().flat_map(serde_json::Map::keys);
    let mut beside = keys.filter(|key| CoreSettings::has(key));
    match beside.next() {
        Some(key) => {
            let message = format!("`{key}` stands beside `settings`, where the chart does not read it");
            Err(at_key(text, 0, &format!("/{key}"), message, "move it below `settings`"))
        }
        None => Ok(document.pointer(within).map(|settings| (settings, within))),
    }
}

/// Refuses a policy whose settings are written under another name, and says that the defaults count for one without any.
fn has_no_settings(text: &Text, document: usize) -> Result<(), Failure> {
    let policy = &text.manifest.documents()[document];
    let keys = policy["spec"].as_object().into_iter().flat_map(serde_json::Map::keys);
    let mut misspelt = keys.filter(|key| nearest_name(key, &["settings"]).is_some());
    if let Some(key) = misspelt.next() {
        let message = format!("`{key}` is not a field of `spec`");
        let pointer = format!("/spec/{key}");
        return Err(at_key(text, document, &pointer, message, "did you mean `settings`?"));
    }
    if policy.get("settings").is_some() {
        let message = "`settings` is not read here".to_owned();
        return Err(at_key(text, document, "/settings", message, "move it below `spec`"));
    }
    output::say(format_args!(
        "note: {} has no `spec.settings`: the defaults count",
        text.name
    ));
    Ok(())
}

/// A failure at a key of the text.
fn at_key(text: &Text, document: usize, pointer: &str, message: String, help: &str) -> Failure {
    let diagnostic = Diagnostic {
        code: "".into(),
        severity: Severity::Error,
        message: message.clone(),
        help: None,
        place: Some(Place {
            key: true,
            ..Place::pointer(pointer)
        }),
    };
    let region = text.manifest.locate(document, None, &diagnostic);
    let finding = text.finding(region, &diagnostic, None);
    Failure {
        line: finding.line,
        column: finding.column,
        excerpt: finding.excerpt.map(Box::new),
        help: Some(help.to_owned()),
        ..Failure::of_file(&text.name, message)
    }
}

fn open(path: &Path) -> Result<File, Unreadable> {
    File::open(path).map_err(Unreadable::Io)
}

fn read_text(reader: impl Read) -> Result<String, Unreadable> {
    let mut bytes = Vec::new();
    // Reads one byte more than the limit to see if there is more. The length from the file system is not reliable: it can
    // change, and a pipe has none.
    let limit = MAX_BYTES as u64 + 1;
    let read = reader.take(limit).read_to_end(&mut bytes).map_err(Unreadable::Io)?;
    if read as u64 == limit {
        return Err(Unreadable::TooLarge);
    }
    String::from_utf8(bytes).map_err(|_| Unreadable::NotText)
}

/// Reads YAML, or JSON alone.
fn parse(text: String, is_json: bool) -> Result<Manifest, Unreadable> {
    let (language, parsed) = match is_json {
        true => ("JSON", Manifest::parse_json(text)),
        false => ("YAML", Manifest::parse(text)),
    };
    parsed.map_err(|(text, error)| Unreadable::Syntax { language, text, error })
}
