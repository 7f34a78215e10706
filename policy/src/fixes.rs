//! The fixes of findings: suggestions that were tested with the module.
//!
//! A suggestion is accepted if the module then no longer reports the finding, and reports no new error. The text with all
//! changes is parsed again, and must contain exactly the objects that the module was called with.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::diagnostic::{Diagnostic, Range, Suggestion};
use crate::manifest::{Edit, Manifest};
use crate::protocol::RenderAnswer;
use crate::settings::{self, Settings};
use crate::suggestion::suggest;
use crate::text_order::text_order;

/// The most calls of the module to test the suggestions for one source.
const MAX_TRIES: usize = 100;

/// The most suggestions that are tested one by one. More are tested together, and in halves where that fails.
const ONE_BY_ONE: usize = 8;

/// The fixes, by the index of the source in the answer and the index of the finding in the source.
#[derive(Debug, Default)]
pub struct Fixes(BTreeMap<(usize, usize), Edit>);

impl Fixes {
    /// The fix of a finding.
    pub fn of(&self, source: usize, finding: usize) -> Option<&Edit> {
        self.0.get(&(source, finding))
    }
}

/// Calls `render` for one object. `None` if there is no answer.
type Ask<'a> = &'a mut dyn FnMut(&Value) -> Option<RenderAnswer>;

/// Finds the fixes of an answer's findings. `asked` are the texts and documents of its sources, if they are in a text that can be
/// changed. `ask` calls the module for one object, with the same settings.
pub fn find(
    asked: &[Option<(&Manifest, usize)>],
    answer: &RenderAnswer,
    settings: Option<&Value>,
    ask: Ask<'_>,
) -> Fixes {
    let (settings, _) = settings::read(settings);
    match settings {
        Some(settings) => Fixer {
            settings,
            ask,
            tries: 0,
        }
        .find(asked, answer),
        None => Fixes::default(),
    }
}

/// Tests suggestions.
struct Fixer<'a> {
    settings: Settings,
    ask: Ask<'a>,
    tries: usize,
}

/// A suggestion for a finding.
struct Candidate<'f> {
    index: usize,
    finding: &'f Diagnostic,
    suggestion: Suggestion,
    edit: Edit,
}

/// An object with the suggestions that were accepted so far.
struct Fixed {
    document: usize,
    item: Option<usize>,
    object: Value,
    edits: Vec<((usize, usize), Edit)>,
}

impl Fixer<'_> {
    fn find(mut self, asked: &[Option<(&Manifest, usize)>], answer: &RenderAnswer) -> Fixes {
        let mut by_text: Vec<(&Manifest, Vec<Fixed>)> = Vec::new();
        for (number, source) in answer.sources.iter().enumerate() {
            let Some((text, document)) = asked.get(source.index).copied().flatten() else {
                continue;
            };
            let Some(fixed) = self.fix(text, document, source.item, number, &source.diagnostics) else {
                continue;
            };
            match by_text.last_mut() {
                Some((last, of_text)) if std::ptr::eq(*last, text) => of_text.push(fixed),
                _ => by_text.push((text, vec![fixed])),
            }
        }
        let mut fixes = Fixes::default();
        for (text, fixed) in by_text {
            for (at, edit) in confirmed(text, fixed) {
                fixes.0.insert(at, edit);
            }
        }
        fixes
    }

    /// The accepted suggestions for one object. `None` if there are none.
    fn fix(
        &mut self,
        text: &Manifest,
        document: usize,
        item: Option<usize>,
        number: usize,
        diagnostics: &[Diagnostic],
    ) -> Option<Fixed> {
        let original = object(text.documents().get(document)?, item)?;
        let mut fixed = Fixed {
            document,
            item,
            object: original.clone(),
            edits: Vec::new(),
        };
        let mut known = diagnostics.to_vec();
        let mut candidates: Vec<Candidate<'_>> = Vec::new();
        // From the end of a text to its start, so that the places of the others stay the same.
        let order = text_order(diagnostics.iter().map(|finding| {
            let range = finding.place.as_ref().and_then(|place| place.range);
            range.map_or([u32::MAX; 5], |Range { start, end }| {
                [!start.line, !start.column, !end.line, !end.column, 0]
            })
        }));
        for index in order {
            let finding = &diagnostics[index];
            let region = text.locate(document, item, finding);
            let written = region.and_then(|region| text.excerpt(region));
            let written = written
                .as_ref()
                .map(|excerpt| &excerpt.text[excerpt.start..excerpt.end]);
            let Some(suggestion) = suggest(original, &self.settings, finding, written) else {
                continue;
            };
            let Some(edit) = text.edit(document, item, &suggestion) else {
                continue;
            };
            candidates.push(Candidate {
                index,
                finding,
                suggestion,
                edit,
            });
        }
        self.tries = 0;
        let mut taken = Vec::new();
        if candidates.len() <= ONE_BY_ONE {
            for candidate in &candidates {
                // Two findings can have the same cause.
                if !taken.contains(&&candidate.suggestion) {
                    self.accept(&[candidate], &mut fixed.object, &mut known, &mut taken);
                }
            }
        } else {
            let mut different: Vec<&Candidate<'_>> = Vec::new();
            for candidate in &candidates {
                if different.iter().all(|other| other.suggestion != candidate.suggestion) {
                    different.push(candidate);
                }
            }
            self.accept(&different, &mut fixed.object, &mut known, &mut taken);
        }
        let edits = candidates
            .iter()
            .filter(|candidate| taken.contains(&&candidate.suggestion));
        fixed.edits = edits
            .map(|candidate| ((number, candidate.index), candidate.edit.clone()))
            .collect();
        (!fixed.edits.is_empty()).then_some(fixed)
    }

    /// Applies suggestions to an object, if the module then no longer reports their findings. Otherwise each half is tried alone.
    fn accept<'c>(
        &mut self,
        candidates: &[&'c Candidate<'_>],
        object: &mut Value,
        known: &mut Vec<Diagnostic>,
        taken: &mut Vec<&'c Suggestion>,
    ) {
        let mut changed = Some(object.clone());
        for candidate in candidates {
            changed = changed.and_then(|changed| candidate.suggestion.applied(&changed));
        }
        let findings: Vec<_> = candidates.iter().map(|candidate| candidate.finding).collect();
        let left = changed
            .as_ref()
            .and_then(|changed| self.better(changed, &findings, known));
        if let (Some(changed), Some(left)) = (changed, left) {
            (*object, *known) = (changed, left);
            taken.extend(candidates.iter().map(|candidate| &candidate.suggestion));
        } else if candidates.len() > 1 {
            let (first, second) = candidates.split_at(candidates.len() / 2);
            self.accept(first, object, known, taken);
            self.accept(second, object, known, taken);
        }
    }

    /// The findings about a changed object, if the given ones are gone and there is no new error.
    fn better(&mut self, object: &Value, gone: &[&Diagnostic], known: &[Diagnostic]) -> Option<Vec<Diagnostic>> {
        self.tries += 1;
        (self.tries <= MAX_TRIES).then_some(())?;
        let answer = (self.ask)(object)?;
        let [source] = answer.sources.as_slice() else {
            return None;
        };
        // Places change with the text, so findings are compared by message.
        let says = |finding: &Diagnostic| (finding.code.clone(), finding.message.clone());
        let mut before: Vec<_> = known.iter().map(says).collect();
        for finding in gone {
            before.swap_remove(before.iter().position(|known| *known == says(finding))?);
        }
        for finding in &source.diagnostics {
            match before.iter().position(|known| *known == says(finding)) {
                Some(known) => drop(before.swap_remove(known)),
                None if finding.is_error() || gone.iter().any(|gone| says(gone) == says(finding)) => return None,
                None => {}
            }
        }
        Some(source.diagnostics.clone())
    }
}

/// An object of a document, which may be a List.
fn object(document: &Value, item: Option<usize>) -> Option<&Value> {
    match item {
        Some(item) => document.get("items")?.get(item),
        None => Some(document),
    }
}

/// The edits of a text, if the changed text contains the objects that the module was called with. If all edits together
/// fail, the edits of each object that do not.
fn confirmed(text: &Manifest, fixed: Vec<Fixed>) -> Vec<((usize, usize), Edit)> {
    let all: Vec<_> = fixed.iter().collect();
    let kept = match holds(text, &all) {
        true => all,
        false => {
            let mut kept = Vec::new();
            for one in all {
                kept.push(one);
                if !holds(text, &kept) {
                    kept.pop();
                }
            }
            kept
        }
    };
    kept.into_iter().flat_map(|fixed| fixed.edits.clone()).collect()
}

fn holds(text: &Manifest, fixed: &[&Fixed]) -> bool {
    let edits = different(fixed.iter().flat_map(|fixed| &fixed.edits).map(|(_, edit)| edit));
    let Some(edited) = text.edited(&edits) else {
        return false;
    };
    let mut expected = text.documents().to_vec();
    for fixed in fixed {
        let object = match fixed.item {
            Some(item) => expected[fixed.document]
                .get_mut("items")
                .and_then(|items| items.get_mut(item)),
            None => expected.get_mut(fixed.document),
        };
        let Some(object) = object else { return false };
        *object = fixed.object.clone();
    }
    Manifest::parse(edited).is_ok_and(|manifest| manifest.documents() == expected)
}

/// The edits without duplicates. Findings with the same cause have the same edit.
pub fn different<'a>(edits: impl Iterator<Item = &'a Edit>) -> Vec<Edit> {
    let mut different: Vec<Edit> = Vec::new();
    for edit in edits {
        if !different.contains(edit) {
            different.push(edit.clone());
        }
    }
    different
}
