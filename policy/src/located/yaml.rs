//! YAML, from the events of `saphyr-parser`.

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::{Data, Key, MAX_DEPTH, Node, report_duplicates, report_too_large};
use crate::diagnostic::{Findings, Place, Position, Problem, Range};

/// Reads an annotation's value. Whatever is wrong is added to the findings; `None` when no tree could be read.
///
/// Scalars are read by YAML 1.2's core schema (<https://yaml.org/spec/1.2.2/#103-core-schema>), so `no` and `on` are text.
pub(crate) fn from_yaml(annotation: &str, text: &str, findings: &mut Findings) -> Option<Node> {
    if report_too_large(annotation, text, findings) {
        return None;
    }
    let mut reader = Reader {
        annotation,
        open: Vec::new(),
        root: None,
        documents: 0,
        findings,
    };
    for event in Parser::new_from_str(text) {
        match event {
            Ok((event, span)) => {
                if !reader.take(event, span) {
                    return None;
                }
            }
            Err(error) => {
                let at = position(error.marker());
                let place = Place::annotation(annotation, Some(Range { start: at, end: at }));
                let error = error.info().to_owned();
                reader.findings.push(Problem::NotYaml { error }.at(place));
                return None;
            }
        }
    }
    reader.root
}

/// A collection that has begun and not ended.
enum Open {
    List(Place, Vec<Node>),
    Map(Place, Vec<(Key, Node)>, Option<Key>),
}

struct Reader<'a> {
    annotation: &'a str,
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
    findings: &'a mut Findings,
}

impl Reader<'_> {
    /// Takes one event; false when reading should stop.
    fn take(&mut self, event: Event<'_>, span: Span) -> bool {
        let place = self.place(span);
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    self.findings.push(Problem::SeveralDocuments {}.at(place));
                    return false;
                }
            }
            Event::Alias(_) => {
                self.findings
                    .push(Problem::Alias { what: "an alias (`*`)" }.at(place.clone()));
                self.add(place, Data::Null);
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_properties(anchor, tag.as_deref(), &place);
                let data = match style {
                    ScalarStyle::Plain => plain(&text),
                    _ => Data::Text(text.into_owned()),
                };
                self.add(place, data);
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_properties(anchor, tag.as_deref(), &place);
                return self.begin(Open::List(place, Vec::new()));
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_properties(anchor, tag.as_deref(), &place);
                return self.begin(Open::Map(place, Vec::new(), None));
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List(place, nodes)) => self.add(place, Data::List(nodes)),
                Some(Open::Map(place, entries, _)) => {
                    report_duplicates(&entries, self.findings);
                    self.add(place, Data::Map(entries));
                }
                None => {}
            },
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        true
    }

    fn begin(&mut self, open: Open) -> bool {
        if self.open.len() == MAX_DEPTH {
            let (Open::List(place, _) | Open::Map(place, ..)) = open;
            self.findings.push(Problem::TooDeep { limit: MAX_DEPTH }.at(place));
            return false;
        }
        self.open.push(open);
        true
    }

    fn add(&mut self, place: Place, data: Data) {
        let node = Node { place, data };
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List(_, nodes)) => nodes.push(node),
            Some(Open::Map(_, entries, key @ None)) => match node.text() {
                Some(text) => {
                    if text == "<<" {
                        self.findings.push(
                            Problem::Alias {
                                what: "a merge key (`<<`)",
                            }
                            .at(node.place.clone()),
                        );
                    }
                    *key = Some(Key {
                        text: text.into_owned(),
                        place: node.place,
                    });
                }
                None => {
                    let _ = entries;
                    let problem = Problem::WrongShape {
                        what: "a key".to_owned(),
                        expected: "text",
                        found: node.kind(),
                    };
                    self.findings.push(problem.at(node.place.clone()));
                    *key = Some(Key {
                        text: String::new(),
                        place: node.place,
                    });
                }
            },
            Some(Open::Map(_, entries, key)) => {
                if let Some(key) = key.take() {
                    entries.push((key, node));
                }
            }
        }
    }

    /// Anchors and tags, which YAML calls a node's properties.
    fn refuse_properties(&mut self, anchor: usize, tag: Option<&saphyr_parser::Tag>, place: &Place) {
        if anchor > 0 {
            self.findings.push(
                Problem::Alias {
                    what: "an anchor (`&`)",
                }
                .at(place.clone()),
            );
        }
        if let Some(tag) = tag {
            let tag = format!("{}{}", tag.handle.replace("tag:yaml.org,2002:", "!!"), tag.suffix);
            self.findings.push(Problem::YamlTag { tag }.at(place.clone()));
        }
    }

    fn place(&self, span: Span) -> Place {
        let start = position(&span.start);
        let end = position(&span.end);
        let end = if end.line == start.line { end.max(start) } else { start };
        Place::annotation(self.annotation, Some(Range { start, end }))
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
fn plain(text: &str) -> Data {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Data::Null,
        "true" | "True" | "TRUE" => return Data::Boolean(true),
        "false" | "False" | "FALSE" => return Data::Boolean(false),
        _ => {}
    }
    let number_like = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'));
    if number_like {
        if let Ok(number) = text.parse::<i64>() {
            return Data::Integer(number, text.to_owned());
        }
        if let Some(number) = Data::decimal(text) {
            return Data::Float(number, text.to_owned());
        }
    }
    Data::Text(text.to_owned())
}
