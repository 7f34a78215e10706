//! YAML, from the events of `saphyr-parser`.

use std::borrow::Cow;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::yaml_input::YamlInput;
use super::{Data, Key, MAX_DEPTH, MAX_VALUES, Node, Spot, report_duplicates, report_too_large, too_many_values};
use crate::diagnostic::{Findings, Place, Position, Problem, Range};

/// Parses an annotation's value. Problems are added to the findings. Answers `None` if no tree could be built.
///
/// Scalars are read by YAML 1.2's core schema (<https://yaml.org/spec/1.2.2/#103-core-schema>), so `no` and `on` are text.
pub(crate) fn from_yaml(annotation: &str, text: &str, findings: &mut Findings) -> Option<Node> {
    if report_too_large(annotation, text, findings) {
        return None;
    }
    let mut reader = Reader {
        pointer: Place::annotation(annotation, None).pointer.as_str().into(),
        values: 0,
        open: Vec::new(),
        root: None,
        documents: 0,
        findings,
    };
    for event in Parser::new(YamlInput::new(text)) {
        match event {
            Ok((event, span)) => {
                if !reader.take(event, span) {
                    return None;
                }
            }
            Err(error) => {
                let at = position(error.marker());
                let place = Place::annotation(annotation, Some(Range { start: at, end: at }));
                let advice = advice(error.info(), text, at.line);
                let error = error.info().to_owned();
                reader.findings.report(Problem::InvalidYaml { error, advice }, place);
                return None;
            }
        }
    }
    reader.root
}

/// What helps against an error whose words say little to somebody who wrote one of the usual mistakes.
fn advice(error: &str, text: &str, line: u32) -> Option<&'static str> {
    let before = text.lines().nth((line as usize).saturating_sub(2)).unwrap_or_default();
    let line = text.lines().nth(line as usize - 1).unwrap_or_default();
    if line.contains('\t') || error.contains(" tab") {
        Some("indent with spaces, not with tabs")
    } else if error.contains("quoted scalar") && ["\"\"", "''"].iter().any(|pair| line.contains(pair)) {
        Some("write the text in one pair of quotes, or without")
    } else if error.contains("quoted scalar") {
        Some("close the quote")
    } else if error.contains("anchor") {
        Some("quote a text that begins with `*`")
    } else if error.contains("expected ','") {
        Some("close the bracket, and quote a value that contains `: `")
    } else if !error.contains("mapping values") {
        None
    } else if before.contains(":http") {
        Some("write a space after the colon")
    } else if line.matches(": ").count() > 1 {
        Some("write `|` after the annotation's name, not `>`, which puts all lines into one")
    } else {
        Some("write the URL as `url: ...`, and the options below it with the same indentation")
    }
}

/// A collection that has not ended yet.
enum Open {
    List(Spot, Vec<Node>),
    Map(Spot, Vec<(Key, Node)>, Option<Key>),
}

struct Reader<'a> {
    pointer: Arc<str>,
    /// The number of values and keys so far.
    values: usize,
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
    findings: &'a mut Findings,
}

impl Reader<'_> {
    /// Handles one event. Answers false if parsing should stop.
    fn take(&mut self, event: Event<'_>, span: Span) -> bool {
        let spot = self.spot(span);
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    self.findings.report(Problem::SeveralDocuments {}, spot.place());
                    return false;
                }
                true
            }
            Event::Alias(_) => {
                self.findings
                    .report(Problem::Alias { what: "an alias (`*`)" }, spot.place());
                self.count(&spot) && self.add(spot, Data::Null)
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_properties(anchor, tag.as_deref(), &spot);
                let data = match style {
                    ScalarStyle::Plain => plain(text),
                    _ => Data::Text(text.into_owned()),
                };
                self.count(&spot) && self.add(spot, data)
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_properties(anchor, tag.as_deref(), &spot);
                self.count(&spot) && self.begin(Open::List(spot, Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_properties(anchor, tag.as_deref(), &spot);
                self.count(&spot) && self.begin(Open::Map(spot, Vec::new(), None))
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List(spot, nodes)) => self.add(spot, Data::List(nodes)),
                Some(Open::Map(spot, entries, _)) => {
                    report_duplicates(&entries, self.findings);
                    self.add(spot, Data::Map(entries))
                }
                None => true,
            },
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => true,
        }
    }

    /// Counts a value or a key. Answers false if there are too many.
    fn count(&mut self, spot: &Spot) -> bool {
        self.values += 1;
        if self.values > MAX_VALUES {
            self.findings.report(too_many_values(), spot.place());
        }
        self.values <= MAX_VALUES
    }

    fn begin(&mut self, open: Open) -> bool {
        if self.open.len() == MAX_DEPTH {
            let (Open::List(spot, _) | Open::Map(spot, ..)) = open;
            self.findings
                .report(Problem::TooDeep { limit: MAX_DEPTH }, spot.place());
            return false;
        }
        self.open.push(open);
        true
    }

    fn add(&mut self, spot: Spot, data: Data) -> bool {
        let node = Node { spot, data };
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List(_, nodes)) => nodes.push(node),
            Some(Open::Map(_, _, key @ None)) => {
                let found = node.kind();
                let Node { spot, data } = node;
                let text = data.into_text();
                let problem = match text.as_deref() {
                    Some("<<") => Some(Problem::Alias {
                        what: "a merge key (`<<`)",
                    }),
                    Some(_) => None,
                    None => Some(Problem::WrongType {
                        what: "a key".to_owned(),
                        expected: "text",
                        found,
                        advice: None,
                    }),
                };
                if let Some(problem) = problem {
                    self.findings.report(problem, spot.place());
                }
                *key = Some(Key {
                    text: text.unwrap_or_default(),
                    spot,
                });
            }
            Some(Open::Map(_, entries, key)) => {
                if let Some(key) = key.take() {
                    entries.push((key, node));
                }
            }
        }
        true
    }

    /// Anchors and tags, which YAML calls a node's properties.
    fn refuse_properties(&mut self, anchor: usize, tag: Option<&saphyr_parser::Tag>, spot: &Spot) {
        if anchor > 0 {
            let what = "an anchor (`&`)";
            self.findings.report(Problem::Alias { what }, spot.place());
        }
        if let Some(tag) = tag {
            let tag = format!("{}{}", tag.handle.replace("tag:yaml.org,2002:", "!!"), tag.suffix);
            self.findings.report(Problem::YamlTag { tag }, spot.place());
        }
    }

    fn spot(&self, span: Span) -> Spot {
        let start = position(&span.start);
        let end = position(&span.end);
        let end = if end.line == start.line { end.max(start) } else { start };
        Spot {
            pointer: Arc::clone(&self.pointer),
            is_key: false,
            range: Some(Range { start, end }),
        }
    }
}

/// saphyr counts lines from 1 and columns from 0.
fn position(marker: &saphyr_parser::Marker) -> Position {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Position {
        line: number(marker.line().max(1)),
        column: number(marker.col()).saturating_add(1),
    }
}

/// A plain scalar by the core schema.
fn plain(text: Cow<'_, str>) -> Data {
    match &*text {
        "" | "~" | "null" | "Null" | "NULL" => return Data::Null,
        "true" | "True" | "TRUE" => return Data::Boolean(true),
        "false" | "False" | "FALSE" => return Data::Boolean(false),
        _ => {}
    }
    let number_like = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'));
    if number_like {
        if let Ok(number) = text.parse::<i64>() {
            return Data::Integer(number, text.into_owned());
        }
        if let Some(number) = Data::decimal(&text) {
            return Data::Float(number, text.into_owned());
        }
    }
    Data::Text(text.into_owned())
}
