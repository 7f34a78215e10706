//! The core of telewarden for JavaScript. It reads YAML or JSON and answers objects.
//!
//! Nothing is decided here: texts are parsed, the core is called, and the places in its answers are converted to places in
//! the texts.
#![deny(unsafe_code)]

pub mod javascript;
#[cfg(test)]
mod types;

use std::fmt;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use telewarden_policy::admission::{self, review::Review};
use telewarden_policy::annotation_name::names_of_endpoints;
use telewarden_policy::data_flow::DataFlow;
use telewarden_policy::diagnostic::{Diagnostic, Position, Severity};
use telewarden_policy::fixes;
use telewarden_policy::kubectl;
use telewarden_policy::manifest::{self, Manifest, Region, SyntaxError};
use telewarden_policy::protocol::{Outcome, RenderAnswer, RenderRequest, SourceAnswer, VERSION};
use telewarden_policy::settings::{self, Settings};

/// Everything about a text and its settings, for live display while a user types.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Evaluation {
    /// The answer of `check`.
    pub checked: Checked,
    /// The answer of `render`. If a text could not be parsed, this is absent and everything below is empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<RenderAnswer>,
    /// The objects as YAML, in the order in which they should be applied.
    pub manifests: String,
    /// The admission response to the creation of each source.
    pub admissions: Vec<Admission>,
    /// The endpoints, the Telegrafs that scrape them, and their outputs.
    pub flow: DataFlow,
    /// For each annotated source, the `kubectl` command that sets its annotations.
    pub commands: Vec<String>,
    /// The names of the annotation with the endpoints.
    pub annotations: Vec<String>,
}

/// The answer of `check`.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Checked {
    /// The findings: first those of the settings, then those of each source.
    pub findings: Vec<Finding>,
    /// All Applications, Namespaces and ApplicationSets.
    pub sources: Vec<CheckedSource>,
}

/// A finding at its place in one of the texts.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Finding {
    /// The text with the finding.
    pub text: Text,
    /// The rule, such as `TW103`; absent for syntax errors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The severity.
    pub severity: Severity,
    /// The message.
    pub message: String,
    /// How to correct it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The object, if the finding concerns one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The first character; absent if the finding concerns the whole text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<Position>,
    /// The character after the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<Position>,
    /// The fix, if only one is plausible. It was tested: the finding is gone, and there is no new error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<Fix>,
}

/// A change of a text.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Fix {
    /// The first character to remove.
    pub start: Position,
    /// The character after the last one.
    pub end: Position,
    /// The text to insert.
    pub text: String,
}

/// One of the two texts.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Text {
    /// The objects.
    Source,
    /// The settings.
    Settings,
}

/// One source that was checked.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CheckedSource {
    /// The object, as `argoproj.io/Application/<namespace>/<name>` or `Namespace/<name>`.
    pub source: String,
    /// The outcome.
    pub outcome: Outcome,
    /// The number of its endpoints.
    pub endpoints: usize,
}

/// The admission response to the creation of a source.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Admission {
    /// The object.
    pub source: String,
    /// The `AdmissionResponse`.
    pub response: Value,
}

/// The error for input that cannot be answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

/// Checks a text. Syntax errors are findings too.
pub fn check(source: &str, settings: &str) -> Checked {
    Texts::read(source, settings).map_or_else(|findings| findings, |texts| texts.checked(&texts.render()))
}

/// Renders all objects of a text. An empty settings text means the defaults.
pub fn render(source: &str, settings: &str) -> Result<RenderAnswer, Error> {
    let unreadable = |checked: Checked| {
        let messages: Vec<_> = checked.findings.into_iter().map(|finding| finding.message).collect();
        Error(messages.join("; "))
    };
    Ok(Texts::read(source, settings).map_err(unreadable)?.render())
}

/// Answers an AdmissionReview or an AdmissionRequest as Kubewarden would.
pub fn review(request: &str, settings: &str) -> Result<Value, Error> {
    let parse = |what: &str, text: &str| {
        let parsed = Manifest::parse(text.to_owned());
        parsed.map_err(|(_, error)| Error(format!("the {what} is not YAML: {}", error.message)))
    };
    let settings = parse("settings document", settings)?
        .settings()
        .ok_or_else(|| Error(SEVERAL_SETTINGS.to_owned()))?;
    let request = parse("request", request)?;
    let review = match request.documents() {
        [document] => Review::read(document.clone()),
        _ => None,
    };
    let neither = "this is neither an AdmissionReview nor an AdmissionRequest: it has no `uid` and `operation`";
    let review = review.ok_or_else(|| Error(neither.to_owned()))?;
    Ok(answer(&review, &settings))
}

/// Everything about a text and its settings.
pub fn evaluate(source: &str, settings: &str) -> Evaluation {
    let (defaults, _) = settings::read(None);
    let texts = match Texts::read(source, settings) {
        Ok(texts) => texts,
        Err(checked) => {
            return Evaluation {
                checked,
                annotations: annotations(defaults.as_ref()),
                ..Evaluation::default()
            };
        }
    };
    let answer = texts.render();
    let (chosen, _) = settings::read(Some(&texts.chosen));
    let objects = || {
        let sources = answer.sources.iter();
        sources.filter_map(|source| Some((source.source.clone(), texts.object(source)?)))
    };
    let admissions = objects().map(|(source, object)| Admission {
        source,
        response: self::answer(&Review::of_creation(object), &texts.chosen),
    });
    let commands = objects().filter_map(|(_, object)| kubectl::annotate(object, chosen.as_ref()?));
    Evaluation {
        checked: texts.checked(&answer),
        manifests: manifests(&answer),
        admissions: admissions.collect(),
        flow: DataFlow::of(&answer),
        commands: commands.collect(),
        annotations: annotations(chosen.as_ref().or(defaults.as_ref())),
        answer: Some(answer),
    }
}

fn annotations(settings: Option<&Settings>) -> Vec<String> {
    let names = settings.map(|settings| names_of_endpoints(settings.annotation()).map(str::to_owned));
    names.into_iter().flatten().collect()
}

const SEVERAL_SETTINGS: &str = "the settings must be one document, but there are several";

/// The parsed texts.
struct Texts {
    source: Manifest,
    settings: Manifest,
    chosen: Value,
}

impl Texts {
    /// Parses both texts. Answers the syntax errors of both.
    fn read(source: &str, settings: &str) -> Result<Self, Checked> {
        let mut findings = Vec::new();
        let settings = read(Text::Settings, settings, &mut findings).and_then(|settings| {
            let chosen = settings.settings();
            if chosen.is_none() {
                findings.push(unreadable(Text::Settings, SEVERAL_SETTINGS.to_owned(), None));
            }
            Some((settings, chosen?))
        });
        let source = read(Text::Source, source, &mut findings);
        match (source, settings) {
            (Some(source), Some((settings, chosen))) => Ok(Self {
                source,
                settings,
                chosen,
            }),
            _ => Err(Checked {
                findings,
                sources: Vec::new(),
            }),
        }
    }

    fn render(&self) -> RenderAnswer {
        self.render_objects(self.source.objects().map(|(_, object)| object))
    }

    fn render_objects<'a>(&self, objects: impl Iterator<Item = &'a Value>) -> RenderAnswer {
        // Serializing JSON cannot fail.
        let raw = |value: &Value| to_raw_value(value).ok();
        let objects: Vec<Box<RawValue>> = objects.filter_map(raw).collect();
        telewarden_policy::render::render(&RenderRequest {
            protocol: VERSION,
            settings: raw(&self.chosen).as_deref(),
            sources: objects.iter().map(AsRef::as_ref).collect(),
            cluster: None,
            accepted: Default::default(),
        })
    }

    fn checked(&self, answer: &RenderAnswer) -> Checked {
        let of_settings = answer.diagnostics.iter().map(|diagnostic| {
            let region = self.settings.locate_setting(diagnostic);
            finding(Text::Settings, diagnostic, None, region)
        });
        let mut findings: Vec<_> = of_settings.collect();
        let asked: Vec<_> = self.source.objects().map(|(at, _)| Some((&self.source, at))).collect();
        let ask = &mut |object: &Value| Some(self.render_objects(std::iter::once(object)));
        let fixes = fixes::find(&asked, answer, Some(&self.chosen), ask);
        for (number, source) in answer.sources.iter().enumerate() {
            let document = self.source.objects().nth(source.index).map(|(document, _)| document);
            findings.extend(source.diagnostics.iter().enumerate().map(|(index, diagnostic)| {
                let region = document.and_then(|document| self.source.locate(document, source.item, diagnostic));
                let finding = finding(Text::Source, diagnostic, Some(&source.source), region);
                let fix = fixes.of(number, index).map(|edit| Fix {
                    start: edit.region.start,
                    end: edit.region.end,
                    text: edit.text.clone(),
                });
                Finding { fix, ..finding }
            }));
        }
        let sources = answer.sources.iter().map(|source| CheckedSource {
            source: source.source.clone(),
            outcome: source.outcome,
            endpoints: source.endpoints.len(),
        });
        Checked {
            findings,
            sources: sources.collect(),
        }
    }

    /// The object of an answer.
    fn object(&self, answer: &SourceAnswer) -> Option<&Value> {
        let (_, object) = self.source.objects().nth(answer.index)?;
        match answer.item {
            Some(item) => object["items"].get(item),
            None => Some(object),
        }
    }
}

fn read(which: Text, text: &str, findings: &mut Vec<Finding>) -> Option<Manifest> {
    match Manifest::parse(text.to_owned()) {
        Ok(manifest) => Some(manifest),
        Err((_, SyntaxError { message, position })) => {
            let position = position.map(|(line, column)| Position { line, column });
            findings.push(unreadable(which, format!("not YAML: {message}"), position));
            None
        }
    }
}

fn unreadable(text: Text, message: String, start: Option<Position>) -> Finding {
    Finding {
        text,
        code: None,
        severity: Severity::Error,
        message,
        help: None,
        source: None,
        start,
        end: None,
        fix: None,
    }
}

fn finding(text: Text, diagnostic: &Diagnostic, source: Option<&str>, region: Option<Region>) -> Finding {
    Finding {
        text,
        code: Some(diagnostic.code.to_string()),
        severity: diagnostic.severity,
        message: diagnostic.message.clone(),
        help: diagnostic.help.clone(),
        source: source.map(str::to_owned),
        start: region.map(|region| region.start),
        end: region.map(|region| region.end),
        fix: None,
    }
}

fn answer(review: &Review, settings: &Value) -> Value {
    let payload = serde_json::json!({"request": review.request(), "settings": settings}).to_string();
    // Serializing text and numbers cannot fail.
    let answer = serde_json::to_value(admission::validate(payload.as_bytes())).unwrap_or_default();
    review.answer(&answer)
}

fn manifests(answer: &RenderAnswer) -> String {
    let of_sources = answer.sources.iter().map(|source| &source.rendered);
    manifest::write(of_sources.chain(&answer.shared).flat_map(|rendered| &rendered.objects))
}
