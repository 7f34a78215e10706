//! The project file, `telewarden.yaml`: the configuration of the command for a repository.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use telewarden::{Diagnostic, Place, Severity};
use telewarden_policy::diagnostic::rules;

use super::failure::Failure;
use super::input::{self, Settings, Text};
use super::output;
use super::report::Report;
use super::skip::Skip;

/// The name of the file.
pub(crate) const NAME: &str = "telewarden.yaml";

/// Names that the file is given by mistake.
const OTHER_NAMES: [&str; 3] = ["telewarden.yml", ".telewarden.yaml", ".telewarden.yml"];

/// The source of the settings.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct SettingsArgs {
    /// The administrator's settings, in YAML [default: those of telewarden.yaml, else built-in settings]
    ///
    /// A settings document, a ClusterAdmissionPolicy, or values of the operator's chart.
    #[arg(long, value_name = "FILE")]
    pub(crate) settings: Option<PathBuf>,
    /// Do not read telewarden.yaml from this folder or its parents
    #[arg(long)]
    pub(crate) no_config: bool,
}

/// The configuration of a run: the project file, and the options that override it.
#[derive(Debug, Default)]
pub(crate) struct Project {
    pub(crate) settings: Option<Settings>,
    pub(crate) skip: Skip,
    /// Warnings make the exit status 1.
    pub(crate) strict: bool,
    /// The file with known warnings.
    pub(crate) baseline: Option<PathBuf>,
    /// The levels of rules, by code.
    levels: BTreeMap<&'static str, Level>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Level {
    Off,
    Warning,
    Error,
}

impl SettingsArgs {
    /// Reads the project file and the settings.
    pub(crate) fn load(&self) -> Result<Project, Vec<Failure>> {
        let mut failures = Vec::new();
        let file = match self.no_config {
            true => None,
            false => std::env::current_dir().ok().and_then(|folder| find(&folder)),
        };
        let mut project = match file {
            Some(file) => read(&file, self.settings.is_none()).unwrap_or_else(|of_file| {
                failures = of_file;
                Project::default()
            }),
            None => Project::default(),
        };
        match self.settings.as_deref().map(input::read_settings).transpose() {
            Ok(Some(settings)) => project.settings = Some(settings),
            Ok(None) => {}
            Err(failure) => failures.push(failure),
        }
        match failures.is_empty() {
            true => Ok(project),
            false => Err(failures),
        }
    }
}

impl Project {
    /// The annotation with the endpoints.
    pub(crate) fn annotation(&self) -> String {
        let read = |settings| telewarden_policy::settings::read(settings).0;
        let settings = read(self.settings.as_ref().map(|settings| &settings.value)).or_else(|| read(None));
        settings
            .map(|settings| settings.annotation().to_owned())
            .unwrap_or_default()
    }

    /// True if the settings turn off the objects of a kind: `applications`, which are those of ApplicationSets too, or
    /// `namespaces`.
    pub(crate) fn turns_off(&self, kind: &str) -> bool {
        let settings = self.settings.as_ref().map(|settings| &settings.value);
        settings.is_some_and(|settings| settings["sources"][kind] == false)
    }

    /// Applies the levels of rules to a report.
    pub(crate) fn judge(&self, report: &mut Report) {
        let level = |code: &str| self.levels.get(code).copied();
        report
            .findings
            .retain(|finding| level(&finding.code) != Some(Level::Off));
        for finding in &mut report.findings {
            if level(&finding.code) == Some(Level::Error) {
                finding.severity = Severity::Error;
            }
        }
    }
}

/// Finds the project file in a folder or its parents, up to the root of the repository.
fn find(folder: &Path) -> Option<PathBuf> {
    for folder in folder.ancestors() {
        let file = folder.join(NAME);
        if file.is_file() {
            return Some(file);
        }
        for name in OTHER_NAMES {
            let other = folder.join(name);
            if std::fs::metadata(&other).is_ok_and(|other| other.is_file() && other.len() > 0) {
                let other = display(&other);
                output::say(format_args!("warning: `{other}` is not read: rename it to `{NAME}`"));
            }
        }
        if folder.join(".git").exists() {
            return None;
        }
    }
    None
}

/// Reads a project file. `with_settings` is false if an option names other settings.
fn read(file: &Path, with_settings: bool) -> Result<Project, Vec<Failure>> {
    let folder = file.parent().unwrap_or(Path::new("")).to_owned();
    let name = display(file);
    if file.parent() != std::env::current_dir().ok().as_deref() {
        output::say(format_args!("note: using {name}"));
    }
    let text = input::read_document(file, &name).map_err(|failure| vec![failure])?;
    let mut reader = Reader {
        text: &text,
        failures: Vec::new(),
    };
    let mut project = Project::default();
    let mut settings = None;
    match text.manifest.documents() {
        [] | [Value::Null] => {}
        [Value::Object(entries)] => {
            for (key, value) in entries {
                let pointer = format!("/{}", key.replace('~', "~0").replace('/', "~1"));
                match key.as_str() {
                    "settings" => settings = Some(value),
                    "skip" => project.skip.patterns = reader.patterns(value),
                    "rules" => project.levels = reader.levels(value),
                    "strict" => match value {
                        Value::Bool(strict) => project.strict = *strict,
                        _ => reader.fail(&pointer, "`strict` must be `true` or `false`"),
                    },
                    "baseline" => match value {
                        Value::String(baseline) => project.baseline = Some(relative(&folder.join(baseline))),
                        _ => reader.fail(&pointer, "`baseline` must be a path"),
                    },
                    unknown => reader.fail_at_key(
                        &pointer,
                        &format!(
                            "`{unknown}` is not known: write `settings`, `skip`, `rules`, `strict` or `baseline` \
                             (the administrator's settings go below `settings`)"
                        ),
                    ),
                }
            }
        }
        _ => reader.fail("", "this must be one map: `telewarden init` writes one"),
    }
    let mut failures = reader.failures;
    project.skip.folder = std::fs::canonicalize(&folder).unwrap_or_else(|_| folder.clone());
    match settings.filter(|_| with_settings) {
        None | Some(Value::Null) => {}
        Some(Value::String(path)) => match input::read_settings(&relative(&folder.join(path))) {
            Ok(settings) => project.settings = Some(settings),
            Err(failure) => failures.push(failure),
        },
        Some(value) => {
            project.settings = Some(Settings {
                value: value.clone(),
                text,
                document: 0,
                within: "/settings",
            });
        }
    }
    match failures.is_empty() {
        true => Ok(project),
        false => Err(failures),
    }
}

/// A path relative to the working folder, if it is below that.
fn relative(path: &Path) -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here).unwrap_or(path).to_owned()
}

fn display(path: &Path) -> String {
    relative(path).display().to_string()
}

struct Reader<'a> {
    text: &'a Text,
    failures: Vec<Failure>,
}

impl Reader<'_> {
    fn fail(&mut self, pointer: &str, message: &str) {
        self.fail_at(Place::pointer(pointer), message);
    }

    fn fail_at_key(&mut self, pointer: &str, message: &str) {
        let place = Place {
            key: true,
            ..Place::pointer(pointer)
        };
        self.fail_at(place, message);
    }

    fn fail_at(&mut self, place: Place, message: &str) {
        let diagnostic = Diagnostic {
            code: "".into(),
            severity: Severity::Error,
            message: message.to_owned(),
            help: None,
            place: Some(place),
        };
        let region = self.text.manifest.locate(0, None, &diagnostic);
        let finding = self.text.finding(region, &diagnostic, None);
        self.failures.push(Failure {
            line: finding.line,
            column: finding.column,
            excerpt: finding.excerpt.map(Box::new),
            ..Failure::of_file(&self.text.name, message)
        });
    }

    fn patterns(&mut self, value: &Value) -> Vec<glob::Pattern> {
        let Value::Array(items) = value else {
            self.fail(
                "/skip",
                "`skip` must be a list of paths, such as `[\"charts/*/templates\"]`",
            );
            return Vec::new();
        };
        let mut patterns = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let pattern = item
                .as_str()
                .map(|text| text.trim_start_matches("./").trim_end_matches('/'));
            match pattern.map(glob::Pattern::new) {
                Some(Ok(pattern)) => patterns.push(pattern),
                Some(Err(error)) => self.fail(&format!("/skip/{index}"), &format!("invalid pattern: {error}")),
                None => self.fail(&format!("/skip/{index}"), "a path to skip must be text"),
            }
        }
        patterns
    }

    fn levels(&mut self, value: &Value) -> BTreeMap<&'static str, Level> {
        let mut levels = BTreeMap::new();
        let Value::Object(entries) = value else {
            self.fail(
                "/rules",
                "`rules` must be a map from rules to levels, such as `{TW405: error}`",
            );
            return levels;
        };
        for (code, level) in entries {
            let pointer = format!("/rules/{code}");
            let Some(rule) = rules::find(code) else {
                self.fail_at_key(
                    &pointer,
                    &format!("there is no rule `{code}`: `telewarden rule` lists them"),
                );
                continue;
            };
            let level = match level {
                Value::String(level) if level == "warning" => Level::Warning,
                Value::String(level) if level == "error" => Level::Error,
                // YAML 1.1 reads `off` as false.
                Value::String(level) if level == "off" => Level::Off,
                Value::Bool(false) => Level::Off,
                _ => {
                    self.fail(&pointer, "a level is `off`, `warning` or `error`");
                    continue;
                }
            };
            if rule.severity == Severity::Error && level != Level::Error {
                self.fail(
                    &pointer,
                    &format!("{} is an error: only warnings can be turned off", rule.code),
                );
                continue;
            }
            levels.insert(rule.code, level);
        }
        levels
    }
}
