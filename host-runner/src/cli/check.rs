//! Checks everything that was read with one call of the module, and finds each finding's place in the files.

use std::path::PathBuf;

use serde_json::Value;
use serde_json::value::RawValue;
use telewarden::{Causes, Diagnostic, Error, Outcome, RenderAnswer, RenderRequest, SourceAnswer};
use telewarden_policy::manifest::Region;

use super::input::{self, Failure, Input, Settings, Text};
use super::module::{self, PolicyArgs};
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
    /// The administrator's settings, in YAML [default: built-in settings]
    #[arg(long, value_name = "FILE")]
    pub(crate) settings: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
}

/// The result of a check.
pub(crate) struct Checked {
    pub(crate) report: Report,
    pub(crate) answer: RenderAnswer,
}

/// The origin of an object in the request.
struct Origin<'a> {
    text: &'a Text,
    document: usize,
}

/// Reads, asks, and reports.
pub(crate) fn check(selection: &Selection) -> Checked {
    let Input {
        texts,
        files,
        skipped,
        failures,
    } = input::read(&selection.paths);
    let mut report = Report {
        failures,
        ..Report::default()
    };
    report.summary.files = files;
    report.summary.skipped = skipped;

    let mut answer = RenderAnswer::default();
    match selection.settings.as_deref().map(input::read_settings).transpose() {
        Ok(settings) => {
            let (origins, sources) = sources(&texts);
            match ask(selection, settings.as_ref(), &sources) {
                Ok(answered) => {
                    report.add_answer(&answered, settings.as_ref(), &origins);
                    answer = answered;
                }
                Err(error) => report.failures.push(Failure::new(Causes(&error).to_string())),
            }
        }
        Err(failure) => report.failures.push(failure),
    }
    report.count();
    Checked { report, answer }
}

fn sources(texts: &[Text]) -> (Vec<Origin<'_>>, Vec<&Value>) {
    let objects = texts.iter().flat_map(|text| {
        let objects = text.manifest.objects();
        objects.map(move |(document, value)| (Origin { text, document }, value))
    });
    objects.unzip()
}

fn ask(selection: &Selection, settings: Option<&Settings>, sources: &[&Value]) -> Result<RenderAnswer, module::Error> {
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

    let answer = selection.policy.load()?.render(&RenderRequest {
        protocol: telewarden::PROTOCOL,
        settings: settings.as_deref(),
        sources: sources.iter().map(AsRef::as_ref).collect(),
        cluster: None,
        accepted: Default::default(),
    })?;
    Ok(answer)
}

impl Text {
    /// A finding at its place in this file.
    fn finding(&self, region: Option<Region>, diagnostic: &Diagnostic, source: Option<&str>) -> Finding {
        Finding {
            file: Some(self.name.clone()),
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
    fn add_answer(&mut self, answer: &RenderAnswer, settings: Option<&Settings>, origins: &[Origin<'_>]) {
        for diagnostic in &answer.diagnostics {
            self.settings_refused |= diagnostic.is_error();
            self.findings.push(match settings {
                Some(Settings { text, .. }) if diagnostic.place.is_some() => {
                    text.finding(text.manifest.locate_setting(diagnostic), diagnostic, None)
                }
                _ => Finding::new(diagnostic),
            });
        }
        for source in &answer.sources {
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
            let findings = diagnostics.iter().take(MAX_FINDINGS);
            self.findings.extend(findings.map(|diagnostic| {
                let region = text.manifest.locate(*document, *item, diagnostic);
                text.finding(region, diagnostic, Some(identity))
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
