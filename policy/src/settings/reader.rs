//! Reads the document, and reports all problems, each at its place.
//!
//! `serde` would stop at the first problem, give no place, and take four times as much space in the module.

use serde_json::Value as Json;

use super::constant::Constant;
use super::path::Path;
use super::template::{Scope, Scopes, Template};
use super::written::{Entries, Items, Text, Written};
use crate::diagnostic::{Findings, Place, Problem};
use crate::telegraf::nearest;

/// The context for reading a setting.
pub(crate) struct Reader<'a> {
    pub(crate) findings: &'a mut Findings,
    /// The placeholders that a class may contain.
    pub(crate) scopes: Scopes,
    /// Pointers to invalid values.
    wrong: Vec<String>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(findings: &'a mut Findings, scopes: Scopes) -> Self {
        let wrong = Vec::new();
        Self {
            findings,
            scopes,
            wrong,
        }
    }

    /// Reports a problem of the value at a path.
    pub(crate) fn report(&mut self, path: &Path<'_>, problem: Problem) {
        self.report_at(path.place(), problem);
    }

    /// Reports a problem of the name at the end of a path.
    pub(crate) fn report_name(&mut self, path: &Path<'_>, problem: Problem) {
        self.report_at(path.place_of_name(), problem);
    }

    fn report_at(&mut self, place: Place, problem: Problem) {
        self.wrong.push(place.pointer.clone());
        self.findings.report(problem, place);
    }

    /// True if the value at a path was reported. Its default is used instead, and must not be reported too.
    pub(crate) fn is_wrong(&self, path: &Path<'_>) -> bool {
        !self.wrong.is_empty() && self.wrong.contains(&path.pointer())
    }

    /// True if anything in the section at a path was reported.
    pub(crate) fn is_any_wrong_in(&self, path: &Path<'_>) -> bool {
        !self.wrong.is_empty() && {
            let section = path.pointer() + "/";
            self.wrong.iter().any(|pointer| pointer.starts_with(&section))
        }
    }

    /// Reports unknown settings of a section.
    pub(crate) fn report_unknown(&mut self, section: Written<'_>, known: &Constant, path: &Path<'_>) {
        let Written::Document(Json::Object(section)) = section else {
            return;
        };
        for name in section.keys() {
            if known.names().all(|known| known != name) {
                let path = path.name(name);
                let error = format!("`{path}` is not a setting");
                let nearest = nearest(name, known.names());
                self.report_name(&path, Problem::Settings { error, nearest });
            }
        }
    }

    /// A map.
    pub(crate) fn map<'j>(&mut self, written: Written<'j>, path: &Path<'_>) -> Option<Written<'j>> {
        self.entries(written, path).map(|_| written)
    }

    /// The entries of a map.
    pub(crate) fn entries<'j>(&mut self, written: Written<'j>, path: &Path<'_>) -> Option<Entries<'j>> {
        let entries = written.entries();
        if entries.is_none() {
            self.mismatch(path, written, "a map", None);
        }
        entries
    }

    /// The items of a list.
    pub(crate) fn list<'j>(&mut self, written: Written<'j>, path: &Path<'_>) -> Option<Items<'j>> {
        let items = written.items();
        if items.is_none() {
            self.mismatch(path, written, "a list", None);
        }
        items
    }

    /// A text.
    pub(crate) fn text<'j>(&mut self, written: Written<'j>, path: &Path<'_>) -> Option<Text<'j>> {
        let text = written.text();
        if text.is_none() {
            let is_scalar = matches!(written, Written::Document(Json::Number(_) | Json::Bool(_)));
            self.mismatch(path, written, "text", is_scalar.then(|| format!("\"{written}\"")));
        }
        text
    }

    /// A text with placeholders.
    pub(crate) fn template(&mut self, text: Text<'_>, scope: Scope, path: &Path<'_>) -> Option<Template> {
        match Template::of(text, scope) {
            Ok(template) => Some(template),
            Err(problem) => {
                self.report(path, problem);
                None
            }
        }
    }

    /// The index of a name in a list of names.
    pub(crate) fn choice(&mut self, written: Written<'_>, names: &[&'static str], path: &Path<'_>) -> Option<usize> {
        let text = written.text();
        let index = text.and_then(|text| names.iter().position(|name| *name == &*text));
        if index.is_none() {
            let (last, others) = names.split_last()?;
            let expected = format!("`{}` or `{last}`", others.join("`, `"));
            let Some(text) = text else {
                self.mismatch(path, written, &expected, None);
                return None;
            };
            let nearest = nearest(&text, names.iter().copied());
            let error = format!("`{path}` is `{text}`, but must be {expected}");
            self.report(path, Problem::Settings { error, nearest });
        }
        index
    }

    /// Reports a value of the wrong type. `instead` is the same value in the right type.
    pub(crate) fn mismatch(&mut self, path: &Path<'_>, written: Written<'_>, expected: &str, instead: Option<String>) {
        let found = match written {
            Written::Document(Json::Bool(_) | Json::Number(_)) => format!("`{written}`"),
            _ if written.is_null() => "empty".to_owned(),
            _ if written.text().is_some() => "text".to_owned(),
            _ if written.items().is_some() => "a list".to_owned(),
            _ => "a map".to_owned(),
        };
        let instead = instead
            .map(|instead| format!(": write `{instead}`"))
            .unwrap_or_default();
        let error = format!("`{path}` is {found}, but must be {expected}{instead}");
        self.report(path, Problem::Settings { error, nearest: None });
    }
}
