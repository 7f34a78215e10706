//! What mends findings: the core's suggestions, each tried on the module before it is offered.
//!
//! A suggestion is taken if the module then no longer has the finding, and has no error that it did not have before.
//! The file with all of them is read again: it must hold exactly the objects that the module was asked about.

use std::collections::HashMap;

use serde_json::Value;
use telewarden::{Diagnostic, Module, RenderAnswer};
use telewarden_policy::manifest::{Edit, Manifest};
use telewarden_policy::settings::Settings as CoreSettings;
use telewarden_policy::suggestion::suggest;

use super::check;
use super::input::{Settings, Text};

/// The most suggestions that are tried in one run. Each is a call of the module.
const MAX_TRIES: usize = 2000;

/// What mends which finding, by the numbers of its source in the answer and of the finding in the source.
#[derive(Debug, Default)]
pub(crate) struct Fixes(HashMap<(usize, usize), Edit>);

impl Fixes {
    pub(crate) fn of(&self, source: usize, finding: usize) -> Option<&Edit> {
        self.0.get(&(source, finding))
    }
}

/// Tries suggestions.
pub(crate) struct Fixer<'a> {
    module: &'a Module,
    settings: Option<&'a Settings>,
    core: Option<CoreSettings>,
    tries: usize,
}

/// An object as it is with what was taken so far.
struct Mended {
    document: usize,
    item: Option<usize>,
    object: Value,
    edits: Vec<((usize, usize), Edit)>,
}

impl<'a> Fixer<'a> {
    pub(crate) fn new(module: &'a Module, settings: Option<&'a Settings>) -> Self {
        let (core, _) = telewarden_policy::settings::read(settings.map(|settings| &settings.value));
        Self {
            module,
            settings,
            core,
            tries: 0,
        }
    }

    /// What mends the findings of an answer. `asked` are the texts and the documents that its sources are from.
    pub(crate) fn find(mut self, asked: &[(&Text, usize)], answer: &RenderAnswer) -> Fixes {
        let mut by_text: Vec<(&Text, Vec<Mended>)> = Vec::new();
        for (number, source) in answer.sources.iter().enumerate() {
            let Some((text, document)) = asked.get(source.index) else {
                continue;
            };
            if text.rendered.is_some() {
                // Its template is what has to change.
                continue;
            }
            let Some(mended) = self.mend(text, *document, source.item, number, &source.diagnostics) else {
                continue;
            };
            match by_text.last_mut() {
                Some((last, of_text)) if std::ptr::eq(*last, *text) => of_text.push(mended),
                _ => by_text.push((text, vec![mended])),
            }
        }
        let edits = by_text.into_iter().flat_map(|(text, mended)| confirmed(text, mended));
        Fixes(edits.collect())
    }

    /// The suggestions for one object that stood the test. None if there are none.
    fn mend(
        &mut self,
        text: &Text,
        document: usize,
        item: Option<usize>,
        number: usize,
        diagnostics: &[Diagnostic],
    ) -> Option<Mended> {
        let original = object(text.manifest.documents().get(document)?, item)?;
        let mut mended = Mended {
            document,
            item,
            object: original.clone(),
            edits: Vec::new(),
        };
        let mut known = diagnostics.to_vec();
        let mut taken = Vec::new();
        // From the end of a text to its beginning: what comes before keeps its place.
        let mut order: Vec<_> = diagnostics.iter().enumerate().collect();
        order.sort_by_key(|(_, finding)| std::cmp::Reverse(finding.place.as_ref().and_then(|place| place.range)));
        for (index, finding) in order {
            let suggestion = self.core.as_ref().and_then(|core| suggest(original, core, finding));
            let Some(suggestion) = suggestion else { continue };
            let Some(edit) = text.manifest.edit(document, item, &suggestion) else {
                continue;
            };
            if taken.contains(&suggestion) {
                // Two findings with one cause.
                mended.edits.push(((number, index), edit));
                continue;
            }
            let Some(object) = suggestion.applied(&mended.object) else {
                continue;
            };
            if let Some(left) = self.better(&object, finding, &known) {
                (mended.object, known) = (object, left);
                mended.edits.push(((number, index), edit));
                taken.push(suggestion);
            }
        }
        (!mended.edits.is_empty()).then_some(mended)
    }

    /// The findings about a changed object, if the one that was to be mended is gone, and no error is new.
    fn better(&mut self, object: &Value, finding: &Diagnostic, known: &[Diagnostic]) -> Option<Vec<Diagnostic>> {
        self.tries += 1;
        (self.tries <= MAX_TRIES).then_some(())?;
        let answer = check::ask(self.module, self.settings, &[object]).ok()?;
        let [source] = answer.sources.as_slice() else {
            return None;
        };
        // Places move with the text. What a finding says does not.
        let says = |finding: &Diagnostic| (finding.code.clone(), finding.message.clone());
        let mut before: Vec<_> = known.iter().map(says).collect();
        before.remove(before.iter().position(|known| *known == says(finding))?);
        let is_gone = |said: &Diagnostic| before.contains(&says(finding)) || says(said) != says(finding);
        source.diagnostics.iter().all(is_gone).then_some(())?;
        for finding in &source.diagnostics {
            match before.iter().position(|known| *known == says(finding)) {
                Some(known) => drop(before.remove(known)),
                None if finding.is_error() => return None,
                None => {}
            }
        }
        Some(source.diagnostics.clone())
    }
}

/// An object of a document, which may be a List.
pub(crate) fn object(document: &Value, item: Option<usize>) -> Option<&Value> {
    match item {
        Some(item) => document.get("items")?.get(item),
        None => Some(document),
    }
}

/// The edits of a text, if the text with them holds the objects that the module was asked about. Where all of them
/// together do not, those of each object that do.
fn confirmed(text: &Text, mended: Vec<Mended>) -> Vec<((usize, usize), Edit)> {
    let all: Vec<_> = mended.iter().collect();
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
    kept.into_iter().flat_map(|mended| mended.edits.clone()).collect()
}

fn holds(text: &Text, mended: &[&Mended]) -> bool {
    let edits = different(mended.iter().flat_map(|mended| &mended.edits).map(|(_, edit)| edit));
    let Some(edited) = text.manifest.edited(&edits) else {
        return false;
    };
    let mut expected = text.manifest.documents().to_vec();
    for mended in mended {
        let object = match mended.item {
            Some(item) => expected[mended.document]
                .get_mut("items")
                .and_then(|items| items.get_mut(item)),
            None => expected.get_mut(mended.document),
        };
        let Some(object) = object else { return false };
        *object = mended.object.clone();
    }
    Manifest::parse(edited).is_ok_and(|manifest| manifest.documents() == expected)
}

/// Each edit once: findings with one cause have the same.
pub(crate) fn different<'a>(edits: impl Iterator<Item = &'a Edit>) -> Vec<Edit> {
    let mut different: Vec<Edit> = Vec::new();
    for edit in edits {
        if !different.contains(edit) {
            different.push(edit.clone());
        }
    }
    different
}
