//! Checks everything that was read with one call of the module, and finds each finding's place in the files.

use std::path::PathBuf;

use serde_json::Value;
use serde_json::value::RawValue;
use telewarden::{Causes, Diagnostic, Error, Module, Outcome, RenderAnswer, RenderRequest, SourceAnswer};
use telewarden_policy::manifest::Region;

use super::fixes::{Fixer, Fixes};
use super::ignore;
use super::input::{self, Failure, Input, Settings, Skip, Text};
use super::module::PolicyArgs;
use super::project_file::{Project, SettingsArgs};
use super::rendered::RenderedArgs;
use super::report::{self, Finding, Report};

/// The maximum number of findings for one source, as in the core. Other modules may answer more.
const MAX_FINDINGS: usize = 101;

/// The arguments of `validate` and `render`.
#[derive(Debug, clap::Args)]
pub(crate) struct Selection {
    /// Files or folders; `-` or no path for standard input
    ///
    /// In a folder, all *.yaml, *.yml and *.json files are read, except hidden ones. Objects of other kinds are ignored.
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) rendered: RenderedArgs,
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
}

/// The result of a check.
#[derive(Default)]
pub(crate) struct Checked {
    pub(crate) report: Report,
    pub(crate) answer: RenderAnswer,
    /// The texts that contain objects.
    pub(crate) texts: Vec<Text>,
    pub(crate) project: Project,
}

/// Whether fixes are searched for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Look {
    /// Only findings.
    ForFindings,
    /// Findings and their fixes.
    ForFixes,
}

impl Selection {
    /// Reads the selected input. Without any, standard input is read.
    fn read(&self, skip: &Skip) -> Input {
        let mut input = match self.paths.is_empty() && !self.rendered.is_empty() {
            true => Input::default(),
            false => input::read(&self.paths, skip),
        };
        self.rendered.read(&mut input);
        input
    }
}

/// The origin of an object in the request.
struct Origin<'a> {
    text: &'a Text,
    document: usize,
}

/// Checks the selected input.
pub(crate) fn check(selection: &Selection) -> Checked {
    look(selection, Look::ForFindings)
}

/// Checks the selected input, and searches for fixes if required.
pub(crate) fn look(selection: &Selection, look: Look) -> Checked {
    match selection.settings.load() {
        Ok(project) => {
            let input = selection.read(&project.skip);
            let module = selection.policy.load();
            let (report, answer, texts) = match module {
                Ok(module) => check_input(input, &project, &module, look),
                Err(error) => {
                    let mut report = Report::of(&input);
                    report.failures.push(Failure::new(Causes(&error).to_string()));
                    (report, RenderAnswer::default(), Vec::new())
                }
            };
            Checked {
                report,
                answer,
                texts,
                project,
            }
        }
        Err(of_settings) => {
            // Unreadable input is reported together with invalid settings.
            let mut report = Report::of(&selection.read(&Skip::default()));
            report.failures.extend(of_settings);
            Checked {
                report,
                ..Checked::default()
            }
        }
    }
}

/// Calls the module with the input, and reports its answer.
pub(crate) fn check_input(
    input: Input,
    project: &Project,
    module: &Module,
    look: Look,
) -> (Report, RenderAnswer, Vec<Text>) {
    let mut report = Report::of(&input);
    let texts = input.texts;
    let settings = project.settings.as_ref();
    let (origins, sources) = sources(&texts);
    let answer = ask(module, settings, &sources).unwrap_or_else(|error| {
        report.failures.push(Failure::new(Causes(&error).to_string()));
        RenderAnswer::default()
    });
    let fixes = match look {
        Look::ForFindings => Fixes::default(),
        Look::ForFixes => {
            let asked: Vec<_> = origins.iter().map(|origin| (origin.text, origin.document)).collect();
            Fixer::new(module, settings).find(&asked, &answer)
        }
    };
    report.add_answer(&answer, settings, &origins, &fixes);
    drop(origins);
    ignore::apply(&mut report, &texts);
    project.judge(&mut report);
    report.count();
    (report, answer, texts)
}

fn sources(texts: &[Text]) -> (Vec<Origin<'_>>, Vec<&Value>) {
    let objects = texts.iter().flat_map(|text| {
        let objects = text.manifest.objects();
        objects.map(move |(document, value)| (Origin { text, document }, value))
    });
    objects.unzip()
}

/// Calls the module's `render`.
pub(crate) fn ask(module: &Module, settings: Option<&Settings>, sources: &[&Value]) -> Result<RenderAnswer, Error> {
    // Serializing settings cannot fail. The request takes them as raw JSON.
    let raw = |value: &Value| {
        serde_json::value::to_raw_value(value).map_err(|source| Error::Encode {
            operation: "render".to_owned(),
            source,
        })
    };
    let settings = settings.map(|settings| raw(&settings.value)).transpose()?;
    let sources = sources
        .iter()
        .map(|source| raw(source))
        .collect::<Result<Vec<Box<RawValue>>, _>>()?;

    module.render(&RenderRequest {
        protocol: telewarden::PROTOCOL,
        settings: settings.as_deref(),
        sources: sources.iter().map(AsRef::as_ref).collect(),
        cluster: None,
        accepted: Default::default(),
    })
}

impl Text {
    /// A finding at its place in this file.
    pub(crate) fn finding(&self, region: Option<Region>, diagnostic: &Diagnostic, source: Option<&str>) -> Finding {
        Finding {
            file: Some(self.name.clone()),
            template: self.rendered.as_ref().map(|rendered| {
                let line = region.map_or(1, |region| region.start.line);
                rendered.template(self.manifest.text(), line)
            }),
            excerpt: region.and_then(|region| self.manifest.excerpt(region)),
            line: region.map(|region| region.start.line),
            column: region.map(|region| region.start.column),
            end_line: region.map(|region| region.end.line),
            end_column: region.map(|region| region.end.column),
            source: source.map(str::to_owned),
            annotation: diagnostic.place.as_ref().and_then(telewarden::Place::annotation_key),
            ..Finding::new(diagnostic)
        }
    }
}

impl Report {
    fn of(input: &Input) -> Self {
        let mut report = Self {
            failures: input.failures.clone(),
            ..Self::default()
        };
        report.summary.files = input.files;
        report.summary.skipped = input.skipped;
        report.count();
        report
    }

    fn add_answer(
        &mut self,
        answer: &RenderAnswer,
        settings: Option<&Settings>,
        origins: &[Origin<'_>],
        fixes: &Fixes,
    ) {
        for diagnostic in &answer.diagnostics {
            self.settings_refused |= diagnostic.is_error();
            self.findings.push(match settings {
                Some(settings) if diagnostic.place.is_some() => settings.finding(diagnostic),
                _ => Finding::new(diagnostic),
            });
        }
        for (number, source) in answer.sources.iter().enumerate() {
            let SourceAnswer {
                index,
                item,
                source: identity,
                outcome,
                diagnostics,
                endpoints,
                ..
            } = source;
            // Another module may answer about a source that is not in the request.
            let Some(Origin { text, document }) = origins.get(*index) else {
                continue;
            };
            let findings = diagnostics.iter().take(MAX_FINDINGS).enumerate();
            self.findings.extend(findings.map(|(index, diagnostic)| {
                let region = text.manifest.locate(*document, *item, diagnostic);
                Finding {
                    fix: fixes.of(number, index).cloned().map(Into::into),
                    ..text.finding(region, diagnostic, Some(identity))
                }
            }));
            self.summary.left_out += diagnostics.len().saturating_sub(MAX_FINDINGS);
            self.sources.push(report::Source {
                source: identity.clone(),
                file: text.name.clone(),
                document: document + 1,
                item: item.map(|item| item + 1),
                outcome: *outcome,
                endpoints: endpoints.len(),
            });
            self.summary.refused += usize::from(*outcome == Outcome::Refused);
        }
    }
}

#[cfg(test)]
mod tests {
    use telewarden::Severity;
    use telewarden_policy::manifest::Manifest;

    use super::*;

    #[test]
    fn the_size_of_a_finding_does_not_depend_on_its_line() {
        let manifest = Manifest::parse(format!("metadata: {{a: b, annotations: [{}]}}\n", "x, ".repeat(20_000)));
        let text = Text {
            name: "a.yaml".to_owned(),
            path: None,
            rendered: None,
            manifest: manifest.expect("it is YAML"),
        };
        let finding = |pointer: &str| {
            let diagnostic = Diagnostic {
                code: "TW000".into(),
                severity: Severity::Error,
                message: String::new(),
                help: None,
                place: Some(telewarden::Place::pointer(pointer)),
            };
            let excerpt = text
                .finding(text.manifest.locate(0, None, &diagnostic), &diagnostic, None)
                .excerpt
                .expect("it has a place");
            assert!(excerpt.text.len() < 500, "{}", excerpt.text.len());
            excerpt.text[excerpt.start..excerpt.end].to_owned()
        };
        assert_eq!(finding("/metadata/a"), "b");
        assert_eq!(finding("/metadata/annotations/15000"), "x");
        assert!(finding("/metadata").starts_with("{a: b"));
    }
}
