//! Asking the module about everything that was read, in one call, and finding each answer's place in the files.

use std::cell::OnceCell;
use std::path::PathBuf;

use serde_json::Value;
use serde_json::value::RawValue;
use telewarden::{Diagnostic, Error, Outcome, RenderAnswer, RenderRequest, SourceAnswer};

use super::input::{self, Failure, Input, Text};
use super::locate::Tree;
use super::module::{self, PolicyArgs};
use super::output;
use super::report::{self, Finding, Report};

/// What both `validate` and `render` take.
#[derive(Debug, clap::Args)]
pub(crate) struct Selection {
    /// Files or folders; `-`, or no path at all, for standard input
    ///
    /// A folder is searched for *.yaml, *.yml and *.json, hidden ones aside. Objects of other kinds are passed over.
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// The administrator's settings, in YAML; the defaults without
    #[arg(long, value_name = "FILE")]
    pub(crate) settings: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
}

/// What came of it.
pub(crate) struct Checked {
    pub(crate) report: Report,
    pub(crate) answer: RenderAnswer,
}

/// Where an object of the request is from.
struct Origin<'a> {
    text: &'a Located<'a>,
    document: usize,
}

/// A text whose nodes are located when the first is asked for: most files have no findings.
struct Located<'a> {
    text: &'a Text,
    tree: OnceCell<Option<Tree>>,
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
            let texts: Vec<_> = texts.iter().map(Located::new).collect();
            let (origins, sources) = sources(&texts);
            match ask(selection, settings.as_ref(), &sources) {
                Ok(answered) => {
                    let settings = settings.as_ref().map(Located::new);
                    report.add_answer(&answered, settings.as_ref(), &origins);
                    answer = answered;
                }
                Err(error) => report.failures.push(Failure::new(output::with_causes(&error))),
            }
        }
        Err(failure) => report.failures.push(failure),
    }
    report.count();
    Checked { report, answer }
}

fn sources<'a>(texts: &'a [Located<'a>]) -> (Vec<Origin<'a>>, Vec<&'a Value>) {
    texts
        .iter()
        .flat_map(|text| {
            let documents = text.text.documents.iter().enumerate();
            documents
                .filter(|(_, value)| input::is_object(value))
                .map(move |(document, value)| (Origin { text, document }, value))
        })
        .unzip()
}

fn ask(selection: &Selection, settings: Option<&Text>, sources: &[&Value]) -> Result<RenderAnswer, module::Error> {
    // A request cannot fail to be written, but its contract takes JSON that is written already.
    let raw = |value: &Value| {
        serde_json::value::to_raw_value(value).map_err(|source| Error::Encode {
            operation: "render".to_owned(),
            source,
        })
    };
    let settings = settings.map(|text| raw(&text.documents[0])).transpose()?;
    let sources = sources
        .iter()
        .map(|source| raw(source))
        .collect::<Result<Vec<Box<RawValue>>, _>>()?;

    let answer = selection.policy.load()?.render(&RenderRequest {
        protocol: telewarden::PROTOCOL,
        settings: settings.as_deref(),
        sources: sources.iter().map(AsRef::as_ref).collect(),
        cluster: None,
        previous: Default::default(),
    })?;
    Ok(answer)
}

impl<'a> Located<'a> {
    fn new(text: &'a Text) -> Self {
        Self {
            text,
            tree: OnceCell::new(),
        }
    }

    fn tree(&self) -> Option<&Tree> {
        let tree = self.tree.get_or_init(|| {
            // Two libraries read the file. Where they do not agree what a document is, no place can be trusted.
            Tree::parse(&self.text.text).filter(|tree| tree.documents() == self.text.documents.len())
        });
        tree.as_ref()
    }

    /// A finding at its place in this file. `within` is where its object is in the document.
    fn finding(&self, document: usize, within: &str, diagnostic: &Diagnostic, source: Option<&str>) -> Finding {
        let place = diagnostic.place.clone().map(|mut place| {
            place.pointer.insert_str(0, within);
            place
        });
        let annotation = diagnostic.place.as_ref().and_then(telewarden::Place::annotation_key);
        // Without a place it is about the whole object, which begins somewhere.
        let place = place.unwrap_or_else(|| telewarden::Place::pointer(within));
        let seen = self.text.documents[document]
            .pointer(&place.pointer)
            .and_then(Value::as_str);
        let tree = self.tree();
        let region = tree.and_then(|tree| tree.locate(document, &place, seen));
        Finding {
            file: Some(self.text.name.clone()),
            line_text: region
                .as_ref()
                .zip(tree)
                .map(|(region, tree)| tree.line(region.start.line)),
            line: region.as_ref().map(|region| region.start.line),
            column: region.as_ref().map(|region| region.start.column),
            end_line: region.as_ref().map(|region| region.end.line),
            end_column: region.as_ref().map(|region| region.end.column),
            source: source.map(str::to_owned),
            annotation,
            ..Finding::new(diagnostic)
        }
    }
}

impl Report {
    fn add_answer(&mut self, answer: &RenderAnswer, settings: Option<&Located<'_>>, origins: &[Origin<'_>]) {
        for diagnostic in &answer.diagnostics {
            self.settings_refused |= diagnostic.is_error();
            self.findings.push(match settings {
                Some(settings) if diagnostic.place.is_some() => settings.finding(0, "", diagnostic, None),
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
            // Another module may answer about a source that it was not asked about.
            let Some(Origin { text, document }) = origins.get(*index) else {
                continue;
            };
            let within = item.map_or_else(String::new, |item| format!("/items/{item}"));
            let findings = diagnostics
                .iter()
                .map(|diagnostic| text.finding(*document, &within, diagnostic, Some(identity)));
            self.findings.extend(findings);
            self.sources.push(report::Source {
                source: identity.clone(),
                file: text.text.name.clone(),
                document: document + 1,
                item: item.map(|item| item + 1),
                outcome: *outcome,
                endpoints: endpoints.len(),
            });
            self.summary.refused += usize::from(*outcome == Outcome::Refused);
        }
    }
}
