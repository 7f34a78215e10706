//! TOML, from the spanned values of the `toml` crate.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Data, Key, MAX_DEPTH, Node, report_too_large};
use crate::diagnostic::{Findings, Place, Position, Problem, Range};

/// Reads an annotation's value. Whatever is wrong is added to the findings; `None` when no tree could be read.
pub(crate) fn from_toml(annotation: &str, text: &str, findings: &mut Findings) -> Option<Node> {
    if report_too_large(annotation, text, findings) {
        return None;
    }
    let lines = Lines::new(annotation, text);
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        for error in errors {
            let place = lines.place(error.span().unwrap_or(0..0));
            let error = error.message().trim().replace('\n', "; ");
            findings.push(Problem::NotToml { error }.at(place));
        }
        return None;
    }
    let place = lines.place(0..0);
    match lines.table(table.get_ref(), place, 0) {
        Ok(node) => Some(node),
        Err(place) => {
            findings.push(Problem::TooDeep { limit: MAX_DEPTH }.at(place));
            None
        }
    }
}

/// Where each line of the text begins, to turn byte offsets into places.
struct Lines<'a> {
    annotation: &'a str,
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(annotation: &'a str, text: &'a str) -> Self {
        let after_newlines = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            annotation,
            text,
            starts: std::iter::once(0).chain(after_newlines).collect(),
        }
    }

    fn position(&self, offset: usize) -> Position {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let line = self.starts.partition_point(|start| *start <= offset);
        let column = self.text[self.starts[line - 1]..offset].chars().count() + 1;
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Position {
            line: number(line),
            column: number(column),
        }
    }

    fn place(&self, span: std::ops::Range<usize>) -> Place {
        let start = self.position(span.start);
        let end = self.position(span.end);
        let end = if end.line == start.line { end } else { start };
        Place::annotation(self.annotation, Some(Range { start, end }))
    }

    /// A table's node, or the place where it is nested too deep.
    fn table(&self, table: &DeTable<'_>, place: Place, depth: usize) -> Result<Node, Place> {
        if depth == MAX_DEPTH {
            return Err(place);
        }
        let mut entries: Vec<_> = table.iter().collect();
        // The table is sorted by name; findings come in the order of the text.
        entries.sort_by_key(|(key, value)| (key.span().start, value.span().start));
        let entries = entries.into_iter().map(|(key, value)| {
            let key = Key {
                text: key.get_ref().to_string(),
                place: self.place(key.span()),
            };
            Ok((key, self.value(value, depth + 1)?))
        });
        let data = Data::Map(entries.collect::<Result<_, Place>>()?);
        Ok(Node { place, data })
    }

    fn value(&self, value: &Spanned<DeValue<'_>>, depth: usize) -> Result<Node, Place> {
        let place = self.place(value.span());
        if depth == MAX_DEPTH {
            return Err(place);
        }
        let data = match value.get_ref() {
            DeValue::String(text) => Data::Text(text.to_string()),
            DeValue::Boolean(value) => Data::Boolean(*value),
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(value) => Data::Integer(value, value.to_string()),
                Err(_) => Data::Float(f64::NAN, number.as_str().to_owned()),
            },
            DeValue::Float(number) => {
                let text = number.as_str();
                Data::Float(Data::decimal(text).unwrap_or(f64::NAN), text.to_owned())
            }
            DeValue::Datetime(date) => Data::Date(date.to_string()),
            DeValue::Array(values) => {
                let nodes = values.iter().map(|value| self.value(value, depth + 1));
                Data::List(nodes.collect::<Result<_, Place>>()?)
            }
            DeValue::Table(table) => return self.table(table, place, depth),
        };
        Ok(Node { place, data })
    }
}
