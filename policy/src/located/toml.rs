//! TOML, from the spanned values of the `toml` crate.

use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Data, Key, MAX_DEPTH, MAX_VALUES, Node, Spot, report_too_large, too_many_values};
use crate::diagnostic::{Findings, Place, Position, Problem, Range};
use crate::text_order::text_order;

/// Parses an annotation's value. Problems are added to the findings. Answers `None` if no tree could be built.
pub(crate) fn from_toml(annotation: &str, text: &str, findings: &mut Findings) -> Option<Node> {
    if report_too_large(annotation, text, findings) {
        return None;
    }
    let lines = Lines::new(annotation, text);
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let count = errors.len();
        for (index, error) in errors.into_iter().enumerate() {
            if findings.is_full() {
                findings.skip(count - index, true);
                break;
            }
            let spot = lines.spot(error.span().unwrap_or(0..0));
            let error = error.message().trim().replace('\n', "; ");
            findings.report(Problem::InvalidToml { error }, spot.place());
        }
        return None;
    }
    let spot = lines.spot(0..0);
    let mut builder = Builder { lines, values: 0 };
    match builder.table(table.into_inner(), spot, 0) {
        Ok(node) => Some(node),
        Err(beyond) => {
            let (problem, spot) = *beyond;
            findings.report(problem, spot.place());
            None
        }
    }
}

/// Converts byte offsets to places in a few steps, independent of the length of lines.
struct Lines<'a> {
    pointer: Arc<str>,
    text: &'a str,
    /// The offset of each line.
    starts: Vec<usize>,
    /// The number of characters before each block of [`BLOCK`] bytes.
    characters: Vec<usize>,
}

const BLOCK: usize = 64;

impl<'a> Lines<'a> {
    fn new(annotation: &str, text: &'a str) -> Self {
        let after_newlines = text.match_indices('\n').map(|(at, _)| at + 1);
        let mut characters = Vec::with_capacity(text.len() / BLOCK + 1);
        let mut before = 0;
        for block in text.as_bytes().chunks(BLOCK) {
            characters.push(before);
            before += count_characters(block);
        }
        characters.push(before);
        Self {
            pointer: Place::annotation(annotation, None).pointer.as_str().into(),
            text,
            starts: std::iter::once(0).chain(after_newlines).collect(),
            characters,
        }
    }

    /// The number of characters before an offset, which must be at a character's boundary.
    fn characters_before(&self, offset: usize) -> usize {
        let block = offset / BLOCK;
        self.characters[block] + count_characters(&self.text.as_bytes()[block * BLOCK..offset])
    }

    fn position(&self, offset: usize) -> Position {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let line = self.starts.partition_point(|start| *start <= offset);
        let column = self.characters_before(offset) - self.characters_before(self.starts[line - 1]) + 1;
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Position {
            line: number(line),
            column: number(column),
        }
    }

    fn spot(&self, span: std::ops::Range<usize>) -> Spot {
        let start = self.position(span.start);
        let end = self.position(span.end);
        let end = if end.line == start.line { end } else { start };
        Spot {
            pointer: Arc::clone(&self.pointer),
            is_key: false,
            range: Some(Range { start, end }),
        }
    }
}

/// The number of characters that start in a run of UTF-8.
fn count_characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0xC0 != 0x80).count()
}

/// Builds the tree, up to the limits for depth and number.
struct Builder<'a> {
    lines: Lines<'a>,
    values: usize,
}

/// The limit that was exceeded, and the place.
type Beyond = Box<(Problem, Spot)>;

impl Builder<'_> {
    fn count(&mut self, spot: &Spot, depth: usize) -> Result<(), Beyond> {
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(Box::new((too_many_values(), spot.clone())));
        }
        if depth == MAX_DEPTH {
            return Err(Box::new((Problem::TooDeep { limit: MAX_DEPTH }, spot.clone())));
        }
        Ok(())
    }

    fn table(&mut self, table: DeTable<'_>, spot: Spot, depth: usize) -> Result<Node, Beyond> {
        self.count(&spot, depth)?;
        // The table is sorted by name, but findings are reported in the order of the text.
        let offset = |offset| u32::try_from(offset).unwrap_or(u32::MAX);
        let order = text_order(
            table
                .iter()
                .map(|(key, value)| [offset(key.span().start), offset(value.span().start), 0, 0, 0]),
        );
        let mut entries: Vec<_> = table.into_iter().map(Some).collect();
        let mut nodes = Vec::with_capacity(entries.len().min(MAX_VALUES));
        for (key, value) in order.into_iter().filter_map(|index| entries[index].take()) {
            let spot = self.lines.spot(key.span());
            self.count(&spot, depth)?;
            let text = key.into_inner().into_owned();
            nodes.push((Key { spot, text }, self.value(value, depth + 1)?));
        }
        let data = Data::Map(nodes);
        Ok(Node { spot, data })
    }

    fn value(&mut self, value: Spanned<DeValue<'_>>, depth: usize) -> Result<Node, Beyond> {
        let spot = self.lines.spot(value.span());
        let data = match value.into_inner() {
            DeValue::Table(table) => return self.table(table, spot, depth),
            other => {
                self.count(&spot, depth)?;
                match other {
                    DeValue::String(text) => Data::Text(text.into_owned()),
                    DeValue::Boolean(value) => Data::Boolean(value),
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
                        let mut nodes = Vec::with_capacity(values.len().min(MAX_VALUES));
                        for value in values {
                            nodes.push(self.value(value, depth + 1)?);
                        }
                        Data::List(nodes)
                    }
                    DeValue::Table(_) => Data::Null,
                }
            }
        };
        Ok(Node { spot, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_lines_and_characters() {
        let text = format!("a = \"{}é\"\nö = 1\n", "x".repeat(200));
        let lines = Lines::new("example.com/a", &text);
        for (offset, _) in text.char_indices() {
            let before = &text[..offset];
            let start = before.rfind('\n').map_or(0, |newline| newline + 1);
            let expected = (
                before.matches('\n').count() + 1,
                text[start..offset].chars().count() + 1,
            );
            let found = lines.position(offset);
            assert_eq!((found.line as usize, found.column as usize), expected, "{offset}");
        }
        let end = lines.position(text.len() + 10);
        assert_eq!((end.line, end.column), (3, 1));
    }
}
