//! Converts places of the module (a JSON pointer, and line and column in an annotation's text) to places in a file.
//!
//! For the module, an annotation is plain text. In a file, the text is a YAML scalar, which can be indented, quoted,
//! escaped and folded. The scalar and its decoded text are read side by side to find the place of each character. If they
//! do not match, the place is the scalar's first line: a place can be coarse, but never wrong.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use saphyr_parser::{Event, Parser, ScalarStyle};

use super::edit::{self, Edit};
use super::{Excerpt, Region};
use crate::diagnostic::{Place, Position, Range};

/// The nodes of a file, with their places.
#[derive(Debug)]
pub(super) struct Tree {
    chars: Vec<char>,
    /// The first character of each line.
    lines: Vec<usize>,
    /// True if a carriage return stands alone, which is a line break in YAML, but not in an editor.
    has_lone_return: bool,
    nodes: Vec<Node>,
    documents: Vec<usize>,
    alignments: Mutex<HashMap<usize, Option<Arc<[Run]>>>>,
}

#[derive(Debug)]
struct Node {
    start: usize,
    end: usize,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Scalar { text: String, style: ScalarStyle },
    Sequence(Vec<usize>),
    Mapping(Vec<(usize, usize)>),
    Alias(Option<usize>),
}

/// The characters of the file that represent one character of a scalar's text.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Run {
    at: usize,
    len: usize,
}

/// A node and its key.
#[derive(Clone, Copy)]
struct Found {
    node: usize,
    key: Option<usize>,
    /// False if only an ancestor was found.
    whole: bool,
}

impl Tree {
    /// Parses a text. The result is empty if the text is not YAML.
    pub(super) fn parse(text: &str) -> Option<Self> {
        // A byte order mark would count as a character of the first line.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut tree = Self {
            chars: text.chars().collect(),
            lines: vec![0],
            has_lone_return: false,
            nodes: Vec::new(),
            documents: Vec::new(),
            alignments: Mutex::default(),
        };
        let newlines = tree.chars.iter().enumerate().filter(|(_, c)| **c == '\n');
        tree.lines.extend(newlines.map(|(index, _)| index + 1));
        tree.has_lone_return = tree.chars.windows(2).any(|pair| pair[0] == '\r' && pair[1] != '\n');
        tree.read(text)?;
        Some(tree)
    }

    fn read(&mut self, text: &str) -> Option<()> {
        let mut anchors = BTreeMap::new();
        // The open collections, each with the key whose value is next.
        let mut open: Vec<(usize, Option<usize>)> = Vec::new();
        let mut parser = Parser::new_from_str(text);
        while let Some(event) = parser.next_event() {
            let (event, span) = event.ok()?;
            let (kind, anchor) = match event {
                Event::Scalar(text, style, anchor, _) => {
                    let text = text.into_owned();
                    (Kind::Scalar { text, style }, anchor)
                }
                Event::SequenceStart(anchor, _) => (Kind::Sequence(Vec::new()), anchor),
                Event::MappingStart(anchor, _) => (Kind::Mapping(Vec::new()), anchor),
                Event::Alias(anchor) => (Kind::Alias(anchors.get(&anchor).copied()), 0),
                Event::SequenceEnd | Event::MappingEnd => {
                    let (node, _) = open.pop()?;
                    self.nodes[node].end = span.end.index().min(self.chars.len());
                    continue;
                }
                _ => continue,
            };
            let is_collection = matches!(kind, Kind::Sequence(_) | Kind::Mapping(_));
            let node = self.nodes.len();
            self.nodes.push(Node {
                start: span.start.index().min(self.chars.len()),
                end: span.end.index().min(self.chars.len()),
                kind,
            });
            if anchor != 0 {
                anchors.insert(anchor, node);
            }
            match open.last_mut() {
                None => self.documents.push(node),
                Some((parent, key)) => match &mut self.nodes[*parent].kind {
                    Kind::Sequence(items) => items.push(node),
                    Kind::Mapping(entries) => match key.take() {
                        Some(key) => entries.push((key, node)),
                        None => *key = Some(node),
                    },
                    Kind::Scalar { .. } | Kind::Alias(_) => return None,
                },
            }
            if is_collection {
                open.push((node, None));
            }
        }
        Some(())
    }

    /// The number of documents, to compare with another reader's.
    pub(super) fn documents(&self) -> usize {
        self.documents.len()
    }

    /// Converts a place. `text` is the value that the module read at the pointer, if it is text.
    pub(super) fn locate(&self, document: usize, place: &Place, text: Option<&str>) -> Option<Region> {
        let found = self.resolve(*self.documents.get(document)?, &place.pointer);
        if !found.whole || place.key {
            return Some(self.key_or_first_line(found));
        }
        Some(match place.range {
            Some(range) => self
                .part(found.node, range, text)
                .unwrap_or_else(|| self.first_line(found.node)),
            None if self.is_one_line(found.node) => {
                self.region(self.nodes[found.node].start, self.trimmed_end(found.node))
            }
            None => self.key_or_first_line(found),
        })
    }

    /// The excerpt of the first line of a region.
    pub(super) fn excerpt(&self, region: Region) -> Option<Excerpt> {
        let Region { start, end } = region;
        let line_start = *self.lines.get((start.line as usize).checked_sub(1)?)?;
        let column = (start.column as usize).saturating_sub(1);
        let line_end = (line_start + column..self.chars.len())
            .take(Excerpt::needed(column) - column)
            .find(|at| self.line_break(*at) > 0)
            .unwrap_or_else(|| self.chars.len().min(line_start + Excerpt::needed(column)));
        let line = self.chars.get(line_start..line_end)?;
        // Of a region of several lines, only the first is marked.
        let end = if end.line == start.line {
            (end.column as usize).saturating_sub(1)
        } else {
            usize::MAX
        };
        Some(Excerpt::of_line(line, column, end))
    }

    fn resolve(&self, document: usize, pointer: &str) -> Found {
        let mut found = Found {
            node: self.follow(document),
            key: None,
            whole: true,
        };
        for token in pointer.split('/').skip(1) {
            let token = token.replace("~1", "/").replace("~0", "~");
            match self.child(found.node, &token) {
                Some((key, node)) => {
                    found = Found {
                        node: self.follow(node),
                        key,
                        whole: true,
                    }
                }
                None => {
                    return Found { whole: false, ..found };
                }
            }
        }
        found
    }

    fn child(&self, node: usize, token: &str) -> Option<(Option<usize>, usize)> {
        match &self.nodes[node].kind {
            Kind::Sequence(items) => Some((None, *items.get(token.parse::<usize>().ok()?)?)),
            Kind::Mapping(entries) => entries
                .iter()
                .find(|(key, _)| self.is_text(*key, token))
                .map(|(key, value)| (Some(*key), *value))
                .or_else(|| self.merged_child(entries, token)),
            Kind::Scalar { .. } | Kind::Alias(_) => None,
        }
    }

    fn merged_child(&self, entries: &[(usize, usize)], token: &str) -> Option<(Option<usize>, usize)> {
        let (_, merged) = entries.iter().find(|(key, _)| self.is_text(*key, "<<"))?;
        let merged = self.follow(*merged);
        match &self.nodes[merged].kind {
            Kind::Sequence(items) => items.iter().find_map(|item| self.child(self.follow(*item), token)),
            _ => self.child(merged, token),
        }
    }

    /// Resolves aliases. A node comes before its aliases, so this ends.
    fn follow(&self, mut node: usize) -> usize {
        while let Kind::Alias(Some(target)) = self.nodes[node].kind {
            node = target;
        }
        node
    }

    fn is_text(&self, node: usize, expected: &str) -> bool {
        matches!(&self.nodes[self.follow(node)].kind, Kind::Scalar { text, .. } if text == expected)
    }

    fn key_or_first_line(&self, found: Found) -> Region {
        match found.key {
            Some(key) if self.is_one_line(key) => self.region(self.nodes[key].start, self.trimmed_end(key)),
            Some(key) => self.first_line(key),
            None => self.first_line(found.node),
        }
    }

    fn first_line(&self, node: usize) -> Region {
        let start = self.nodes[node].start;
        self.region(start, self.line_end(start))
    }

    fn is_one_line(&self, node: usize) -> bool {
        match self.nodes[node].kind {
            // The parser's range of a block scalar is only its first line of content.
            Kind::Scalar {
                style: ScalarStyle::Literal | ScalarStyle::Folded,
                ..
            } => false,
            Kind::Sequence(_) | Kind::Mapping(_) if !self.is_flow(node) => false,
            _ => self.trimmed_end(node) <= self.line_end(self.nodes[node].start),
        }
    }

    fn is_flow(&self, node: usize) -> bool {
        matches!(self.chars.get(self.nodes[node].start), Some('[' | '{'))
    }

    fn trimmed_end(&self, node: usize) -> usize {
        let Node { start, end, .. } = self.nodes[node];
        let written = self.chars.get(start..end).unwrap_or_default();
        let blank = written.iter().rev().take_while(|c| c.is_ascii_whitespace()).count();
        end.max(start) - blank
    }

    /// The end of the line of a character, without the line break. A line can be as long as the text, so it is not searched.
    fn line_end(&self, at: usize) -> usize {
        let next = self.lines.partition_point(|start| *start <= at);
        let Some(newline) = self.lines.get(next).map(|start| start - 1) else {
            return self.chars.len();
        };
        let is_pair = newline > at && self.chars[newline - 1] == '\r';
        newline - usize::from(is_pair)
    }

    fn region(&self, start: usize, end: usize) -> Region {
        Region {
            start: self.position(start),
            end: self.position(end.max(start)),
        }
    }

    fn position(&self, at: usize) -> Position {
        let line = self.lines.partition_point(|start| *start <= at) - 1;
        let count = |number: usize| u32::try_from(number + 1).unwrap_or(u32::MAX);
        Position {
            line: count(line),
            column: count(at - self.lines[line]),
        }
    }

    fn part(&self, node: usize, range: Range, seen: Option<&str>) -> Option<Region> {
        let (start, end) = self.span(node, range, seen)?;
        Some(self.region(start, end))
    }

    /// The characters of the file that a part of a scalar's text is written with.
    fn span(&self, node: usize, range: Range, seen: Option<&str>) -> Option<(usize, usize)> {
        let Kind::Scalar { text, .. } = &self.nodes[node].kind else {
            return None;
        };
        // JSON is read by another library, whose text can differ.
        if seen.is_some_and(|seen| seen != text) {
            return None;
        }
        let runs = self.alignment(node)?;
        let first = index(text, range.start)?;
        let last = index(text, range.end)?.max(first);
        let after = |index: usize| runs.get(index).map(|run| run.at + run.len);
        let start = match runs.get(first) {
            Some(run) => run.at,
            None => after(first.checked_sub(1)?)?,
        };
        let end = if last > first { after(last - 1)? } else { start };
        Some((start, end))
    }

    /// How to write another text at a place. `seen` is what the module was given at the pointer, if that was text.
    pub(super) fn edit(&self, document: usize, place: &Place, seen: Option<&str>, replacement: &str) -> Option<Edit> {
        let found = self.resolve(*self.documents.get(document)?, &place.pointer);
        found.whole.then_some(())?;
        let node = if place.key { found.key? } else { found.node };
        let Kind::Scalar { style, .. } = &self.nodes[node].kind else {
            return None;
        };
        let (start, end) = match place.range {
            Some(range) => self.span(node, range, seen)?,
            None => {
                self.is_one_line(node).then_some(())?;
                (self.nodes[node].start, self.trimmed_end(node))
            }
        };
        let is_part = place.range.is_some();
        Some(Edit {
            start,
            end,
            text: edit::written(replacement, *style, is_part || place.key, is_part)?,
            region: self.region(start, end),
        })
    }

    fn alignment(&self, node: usize) -> Option<Arc<[Run]>> {
        let mut alignments = self.alignments.lock().unwrap_or_else(PoisonError::into_inner);
        alignments
            .entry(node)
            .or_insert_with(|| self.align(node).map(Arc::from))
            .clone()
    }

    /// The place of each character of a scalar's text.
    fn align(&self, node: usize) -> Option<Vec<Run>> {
        let Node { start, ref kind, .. } = self.nodes[node];
        let Kind::Scalar { text, style } = kind else {
            return None;
        };
        if self.has_lone_return || text.contains('\r') {
            return None;
        }
        let text: Vec<char> = text.chars().collect();
        let runs = match style {
            ScalarStyle::Literal | ScalarStyle::Folded => {
                self.align_block(start, &text, *style == ScalarStyle::Folded)?
            }
            ScalarStyle::Plain => self.align_flow(start, &text, None)?,
            ScalarStyle::SingleQuoted => self.align_flow(start, &text, Some('\''))?,
            ScalarStyle::DoubleQuoted => self.align_flow(start, &text, Some('"'))?,
        };
        debug_assert_eq!(runs.len(), text.len());
        Some(runs)
    }

    /// `start` is the first character of the first line that is not blank.
    fn align_block(&self, start: usize, text: &[char], folded: bool) -> Option<Vec<Run>> {
        let first_line = self.lines.partition_point(|line| *line <= start) - 1;
        let indentation = start - self.lines[first_line];
        let mut runs = Vec::with_capacity(text.len());

        // Leading blank lines are text in both styles.
        let blank = text.iter().take_while(|c| **c == '\n').count();
        if blank == text.len() {
            return None;
        }
        for line in first_line.checked_sub(blank)?..first_line {
            let at = self.line_end(self.lines[line]);
            runs.push(Run {
                at,
                len: self.line_break(at),
            });
        }

        let mut at = start;
        while runs.len() < text.len() {
            // One line, character by character.
            while let Some(c) = text.get(runs.len()).filter(|c| **c != '\n')
                && self.line_break(at) == 0
                && at < self.chars.len()
            {
                self.take(&mut runs, &mut at, *c)?;
            }
            let rest = &text[runs.len()..];
            if rest.is_empty() {
                break;
            }

            // The line breaks up to the next line with content.
            let mut breaks = Vec::new();
            while at < self.chars.len() && self.line_break(at) > 0 {
                let len = self.line_break(at);
                breaks.push(Run { at, len });
                at += len;
                at += self.blanks(at).min(indentation);
            }
            let newlines = rest.iter().take_while(|c| **c == '\n').count();
            if newlines == rest.len() {
                // At the end, the file may lack the text's last line break.
                let end = Run {
                    at: self.chars.len(),
                    len: 0,
                };
                runs.extend(breaks.into_iter().chain(std::iter::repeat(end)).take(newlines));
            } else if newlines == breaks.len() {
                runs.extend(breaks);
            } else if folded && newlines + 1 == breaks.len() && newlines > 0 {
                // Folding removes the first of several line breaks. The others belong to the blank lines.
                runs.extend(breaks.into_iter().skip(1));
            } else if folded && breaks.len() == 1 && rest[0] == ' ' {
                runs.extend(breaks);
            } else {
                return None;
            }
        }
        Some(runs)
    }

    fn align_flow(&self, start: usize, text: &[char], quote: Option<char>) -> Option<Vec<Run>> {
        let mut runs = Vec::with_capacity(text.len());
        let mut at = start;
        if let Some(quote) = quote {
            (self.chars.get(at) == Some(&quote)).then_some(())?;
            at += 1;
        }
        while runs.len() < text.len() {
            let expected = text[runs.len()];
            match (*self.chars.get(at)?, quote) {
                (' ' | '\t' | '\r' | '\n', _) => {
                    let (end, breaks) = self.white(at);
                    match breaks.as_slice() {
                        [] => {
                            while at < end && runs.len() < text.len() {
                                let expected = text[runs.len()];
                                self.take(&mut runs, &mut at, expected)?;
                            }
                        }
                        [fold] if expected == ' ' => runs.push(*fold),
                        [_] => return None,
                        [_, blank @ ..] => runs.extend(blank),
                    }
                    at = end;
                }
                ('\'', Some('\'')) => {
                    (self.chars.get(at + 1) == Some(&'\'') && expected == '\'').then_some(())?;
                    runs.push(Run { at, len: 2 });
                    at += 2;
                }
                ('\\', Some('"')) => match self.chars.get(at + 1)? {
                    // The line continues on the next one.
                    '\r' | '\n' => {
                        let (end, breaks) = self.white(at + 1);
                        runs.extend(breaks.into_iter().skip(1));
                        at = end;
                    }
                    escape => {
                        let len = match escape {
                            'x' => 4,
                            'u' => 6,
                            'U' => 10,
                            _ => 2,
                        };
                        runs.push(Run { at, len });
                        at += len;
                    }
                },
                _ => self.take(&mut runs, &mut at, expected)?,
            }
        }
        // Escapes are skipped, not decoded. After a wrong step, the closing quote would not be found here.
        let ends_well = quote.is_none_or(|quote| self.chars.get(at) == Some(&quote));
        (ends_well && runs.len() == text.len()).then_some(runs)
    }

    /// A character that represents itself.
    fn take(&self, runs: &mut Vec<Run>, at: &mut usize, expected: char) -> Option<()> {
        (*self.chars.get(*at)? == expected).then(|| {
            runs.push(Run { at: *at, len: 1 });
            *at += 1;
        })
    }

    /// The end of the white space at a place, and its line breaks.
    fn white(&self, start: usize) -> (usize, Vec<Run>) {
        let mut at = start;
        let mut breaks = Vec::new();
        loop {
            match self.line_break(at) {
                0 if matches!(self.chars.get(at), Some(' ' | '\t')) => at += 1,
                0 => return (at, breaks),
                len => {
                    breaks.push(Run { at, len });
                    at += len;
                }
            }
        }
    }

    fn blanks(&self, at: usize) -> usize {
        self.chars[at..].iter().take_while(|c| **c == ' ').count()
    }

    /// The length of the line break at a place; zero if there is none.
    fn line_break(&self, at: usize) -> usize {
        match (self.chars.get(at), self.chars.get(at + 1)) {
            (Some('\r'), Some('\n')) => 2,
            (Some('\n'), _) => 1,
            _ => 0,
        }
    }
}

/// A position as the index of a character, or the end of the text. A column after a line's end means that end.
pub(crate) fn index(text: &str, position: Position) -> Option<usize> {
    let mut index = 0;
    let mut lines = text.split('\n');
    for _ in 1..position.line {
        index += lines.next()?.chars().count() + 1;
    }
    let column = (position.column as usize).saturating_sub(1);
    Some(index + column.min(lines.next()?.chars().count()))
}

#[cfg(test)]
mod tests;
