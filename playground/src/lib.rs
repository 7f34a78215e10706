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
use telewarden_policy::annotation;
use telewarden_policy::annotation_name::names_of_endpoints;
use telewarden_policy::data_flow::DataFlow;
use telewarden_policy::diagnostic::{Diagnostic, Place, Position, Rule, Severity};
use telewarden_policy::fixes;
use telewarden_policy::kubectl;
use telewarden_policy::manifest::{self, Expansion, Generated, Manifest, Region, SyntaxError};
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
    /// The Applications that the ApplicationSets make, as YAML, without the parts that are not read.
    pub applications: String,
    /// The settings with all defaults, as YAML. Empty if they have an error.
    pub settings: String,
    /// The endpoints, the Telegrafs that scrape them, and their outputs.
    pub flow: DataFlow,
    /// The place of each endpoint of `flow` in the source text: a list for each source, in the same order.
    pub places: Vec<Vec<Option<Position>>>,
    /// For each annotated source, the `kubectl` command that sets its annotations.
    pub commands: Vec<String>,
    /// The names of the annotation with the endpoints.
    pub annotations: Vec<String>,
    /// The names of all annotations that are read, as documents show them.
    pub names: Vec<String>,
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
    Texts::read(source, settings).map_or_else(
        |findings| findings,
        |texts| {
            let sources = texts.sources();
            texts.checked(&texts.render(&sources), &sources)
        },
    )
}

/// Renders all objects of a text. An empty settings text means the defaults.
pub fn render(source: &str, settings: &str) -> Result<RenderAnswer, Error> {
    let unreadable = |checked: Checked| {
        let messages: Vec<_> = checked.findings.into_iter().map(|finding| finding.message).collect();
        Error(messages.join("; "))
    };
    let texts = Texts::read(source, settings).map_err(unreadable)?;
    Ok(texts.render_objects(texts.source.objects().map(|(_, object)| object)))
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
                names: names(defaults.as_ref()),
                ..Evaluation::default()
            };
        }
    };
    let sources = texts.sources();
    let answer = texts.render(&sources);
    let (chosen, _) = settings::read(Some(&texts.chosen));
    let mut evaluation = Evaluation::default();
    let mut applications = Vec::new();
    for of_source in &answer.sources {
        let Some(source) = sources.get(of_source.index) else {
            continue;
        };
        let Some(object) = source.object_of(of_source) else {
            continue;
        };
        evaluation.admissions.push(Admission {
            source: of_source.source.clone(),
            response: self::answer(&Review::of_creation(object), &texts.chosen),
        });
        match (source.generated, &chosen) {
            (Some(_), _) => applications.push(object),
            // Nobody annotates what an ApplicationSet makes: its controller would remove the annotation.
            (None, Some(chosen)) => evaluation.commands.extend(kubectl::annotate(object, chosen)),
            (None, None) => {}
        }
        if !of_source.endpoints.is_empty() {
            let known = annotation::places(object, &texts.annotation);
            let mut places = Vec::new();
            for endpoint in &of_source.endpoints {
                let place = known.iter().find(|(name, _)| *name == endpoint.name);
                let region = place.and_then(|(_, place)| texts.region(source, of_source.item, place.clone()));
                places.push(region.map(|region| region.start));
            }
            evaluation.places.push(places);
        }
    }
    if chosen.is_some() {
        evaluation.settings = manifest::write([&settings::effective(&texts.chosen)]);
    }
    let read = chosen.as_ref().or(defaults.as_ref());
    Evaluation {
        checked: texts.checked(&answer, &sources),
        manifests: manifests(&answer),
        applications: manifest::write(applications),
        flow: DataFlow::of(&answer),
        annotations: annotations(read),
        names: names(read),
        answer: Some(answer),
        ..evaluation
    }
}

fn annotations(settings: Option<&Settings>) -> Vec<String> {
    let names = settings.map(|settings| names_of_endpoints(settings.annotation()).map(str::to_owned));
    names.into_iter().flatten().collect()
}

fn names(settings: Option<&Settings>) -> Vec<String> {
    let names = settings.map(|settings| annotation::names(settings.annotation().to_owned()));
    names.into_iter().flatten().collect()
}

const SEVERAL_SETTINGS: &str = "the settings must be one document, but there are several";

/// The parsed texts.
struct Texts {
    source: Manifest,
    settings: Manifest,
    chosen: Value,
    /// The name of the annotation with the endpoints.
    annotation: String,
    sets: Vec<Set>,
}

/// An ApplicationSet, and what it makes.
struct Set {
    document: usize,
    /// Its number in the document, if that is a List.
    item: Option<usize>,
    expansion: Expansion,
}

/// An object that the core is asked about: a document of the text, or an Application that an ApplicationSet makes.
struct Source<'a> {
    document: usize,
    object: &'a Value,
    generated: Option<(&'a Set, &'a Generated)>,
}

impl<'a> Source<'a> {
    /// The object of an answer. A document can be a List.
    fn object_of(&self, answer: &SourceAnswer) -> Option<&'a Value> {
        match answer.item {
            Some(item) => self.object["items"].get(item),
            None => Some(self.object),
        }
    }
}

impl Texts {
    /// Parses both texts. Answers the syntax errors of both, and what is wrong with settings that can be read.
    fn read(source: &str, settings: &str) -> Result<Self, Checked> {
        let mut findings = Vec::new();
        let settings = read(Text::Settings, settings, &mut findings).and_then(|settings| {
            let chosen = settings.settings();
            if chosen.is_none() {
                findings.push(unreadable(Text::Settings, SEVERAL_SETTINGS.to_owned(), None));
            }
            Some((settings, chosen?))
        });
        let mut annotation = String::new();
        if let Some((settings, chosen)) = &settings {
            let (read, of_settings) = settings::read(Some(chosen));
            findings.extend(findings_of_settings(settings, &of_settings));
            if let Some(read) = read.or_else(|| settings::read(None).0) {
                annotation = read.annotation().to_owned();
            }
        }
        let source = self::read(Text::Source, source, &mut findings);
        let (Some(source), Some((settings, chosen))) = (source, settings) else {
            let sources = Vec::new();
            return Err(Checked { findings, sources });
        };
        let sets = sets(&source, &annotation);
        Ok(Self {
            source,
            settings,
            chosen,
            annotation,
            sets,
        })
    }

    /// All objects of the text, each followed by the Applications that it makes.
    fn sources(&self) -> Vec<Source<'_>> {
        let mut sources = Vec::new();
        for (document, object) in self.source.objects() {
            sources.push(Source {
                document,
                object,
                generated: None,
            });
            for set in &self.sets {
                if set.document != document {
                    continue;
                }
                for generated in &set.expansion.applications {
                    sources.push(Source {
                        document,
                        object: &generated.application,
                        generated: Some((set, generated)),
                    });
                }
            }
        }
        sources
    }

    fn render(&self, sources: &[Source<'_>]) -> RenderAnswer {
        self.render_objects(sources.iter().map(|source| source.object))
    }

    fn render_objects<'a>(&self, objects: impl Iterator<Item = &'a Value>) -> RenderAnswer {
        // Serializing JSON cannot fail.
        let raw = |value: &Value| to_raw_value(value).ok();
        let objects: Vec<Box<RawValue>> = objects.filter_map(raw).collect();
        telewarden_policy::render::render(&RenderRequest {
            protocol: VERSION,
            settings: raw(&self.chosen).as_deref(),
            sources: objects.iter().map(AsRef::as_ref).collect(),
            ..Default::default()
        })
    }

    /// Where a place of a source is in the text. `item` is its number in the document, if that is a List.
    fn region(&self, source: &Source<'_>, item: Option<usize>, place: Place) -> Option<Region> {
        match source.generated {
            Some((set, generated)) => {
                let place = generated.place_in_set(place);
                self.source.locate_place(set.document, set.item, place)
            }
            None => self.source.locate_place(source.document, item, place),
        }
    }

    fn checked(&self, answer: &RenderAnswer, sources: &[Source<'_>]) -> Checked {
        let mut findings = findings_of_settings(&self.settings, &answer.diagnostics);
        // What an ApplicationSet makes is not in the text, so it has no fixes.
        let is_in_text = |source: &Source<'_>| source.generated.is_none().then_some((&self.source, source.document));
        let asked: Vec<_> = sources.iter().map(is_in_text).collect();
        let ask = &mut |object: &Value| Some(self.render_objects(std::iter::once(object)));
        let fixes = fixes::find(&asked, answer, Some(&self.chosen), ask);
        for (number, of_source) in answer.sources.iter().enumerate() {
            let Some(source) = sources.get(of_source.index) else {
                continue;
            };
            let is_here = |set: &&Set| set.document == source.document && set.item == of_source.item;
            let set = self.sets.iter().find(is_here).filter(|_| source.generated.is_none());
            let locate = |diagnostic: &Diagnostic| {
                let place = diagnostic.place.clone().unwrap_or_else(|| Place::pointer(""));
                let region = self.region(source, of_source.item, place);
                finding(Text::Source, diagnostic, Some(&of_source.source), region)
            };
            // Placeholders are open only where the Applications are not known.
            let is_open = |diagnostic: &Diagnostic| diagnostic.is(Rule::UncheckedPlaceholder) && set.is_some();
            for (index, diagnostic) in of_source.diagnostics.iter().enumerate() {
                if is_open(diagnostic) {
                    continue;
                }
                let fix = fixes.of(number, index).map(|edit| Fix {
                    start: edit.region.start,
                    end: edit.region.end,
                    text: edit.text.clone(),
                });
                let finding = Finding {
                    fix,
                    ..locate(diagnostic)
                };
                // All Applications of an ApplicationSet have the same template.
                if source.generated.is_none() || !findings.iter().any(|known| is_repeated(known, &finding)) {
                    findings.push(finding);
                }
            }
            let has_open = of_source.diagnostics.iter().any(is_open);
            let of_set = set.into_iter().flat_map(|set| &set.expansion.findings);
            let counts =
                |diagnostic: &&Diagnostic| has_open || diagnostic.is_error() || diagnostic.is(Rule::NoApplication);
            findings.extend(of_set.filter(counts).map(locate));
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
}

/// Every ApplicationSet in a text, with what it makes.
fn sets(source: &Manifest, annotation: &str) -> Vec<Set> {
    let mut sets = Vec::new();
    for (document, object) in source.objects() {
        let mut add = |item| {
            if let Some(expansion) = source.expand(document, item, annotation) {
                sets.push(Set {
                    document,
                    item,
                    expansion,
                });
            }
        };
        match object["items"].as_array() {
            Some(items) => (0..items.len()).for_each(|item| add(Some(item))),
            None => add(None),
        }
    }
    sets
}

fn is_repeated(known: &Finding, finding: &Finding) -> bool {
    (known.start, &known.code, &known.message) == (finding.start, &finding.code, &finding.message)
}

fn findings_of_settings(settings: &Manifest, diagnostics: &[Diagnostic]) -> Vec<Finding> {
    let located = diagnostics.iter().map(|diagnostic| {
        let region = settings.locate_setting(diagnostic);
        finding(Text::Settings, diagnostic, None, region)
    });
    located.collect()
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
