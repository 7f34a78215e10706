//! Reads the document, and reports all problems, each at its place.
//!
//! `serde` would stop at the first problem, give no place, and take four times as much space in the module.

use serde_json::{Map, Value as Json};

use super::constant::Constant;
use super::path::Path;
use super::template::{Scope, Scopes, Template};
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
        self.wrong.contains(&path.pointer())
    }

    /// True if anything in the section at a path was reported.
    pub(crate) fn is_any_wrong_in(&self, path: &Path<'_>) -> bool {
        let section = path.pointer() + "/";
        self.wrong.iter().any(|pointer| pointer.starts_with(&section))
    }

    /// Reports unknown settings of a section.
    pub(crate) fn report_unknown(&mut self, section: &Map<String, Json>, known: &Constant, path: &Path<'_>) {
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
    pub(crate) fn map<'j>(&mut self, written: &'j Json, path: &Path<'_>) -> Option<&'j Map<String, Json>> {
        if !written.is_object() {
            self.mismatch(path, written, "a map", None);
        }
        written.as_object()
    }

    /// A list.
    pub(crate) fn list<'j>(&mut self, written: &'j Json, path: &Path<'_>) -> Option<&'j [Json]> {
        if !written.is_array() {
            self.mismatch(path, written, "a list", None);
        }
        written.as_array().map(Vec::as_slice)
    }

    /// A text.
    pub(crate) fn text<'j>(&mut self, written: &'j Json, path: &Path<'_>) -> Option<&'j str> {
        let text = written.as_str();
        if text.is_none() {
            let instead = (written.is_number() || written.is_boolean()).then(|| format!("\"{written}\""));
            self.mismatch(path, written, "text", instead);
        }
        text
    }

    /// A text with placeholders.
    pub(crate) fn template(&mut self, text: &str, scope: Scope, path: &Path<'_>) -> Option<Template> {
        match Template::parse(text, scope) {
            Ok(template) => Some(template),
            Err(problem) => {
                self.report(path, problem);
                None
            }
        }
    }

    /// The index of a name in a list of names.
    pub(crate) fn choice(&mut self, written: &Json, names: &[&'static str], path: &Path<'_>) -> Option<usize> {
        let index = names.iter().position(|name| written == name);
        if index.is_none() {
            let (last, others) = names.split_last()?;
            let expected = format!("`{}` or `{last}`", others.join("`, `"));
            let Some(text) = written.as_str() else {
                self.mismatch(path, written, &expected, None);
                return None;
            };
            let nearest = nearest(text, names.iter().copied());
            let error = format!("`{path}` is `{text}`, but must be {expected}");
            self.report(path, Problem::Settings { error, nearest });
        }
        index
    }

    /// Reports a value of the wrong type. `instead` is the same value in the right type.
    pub(crate) fn mismatch(&mut self, path: &Path<'_>, written: &Json, expected: &str, instead: Option<String>) {
        let found = match written {
            Json::Null => "empty".to_owned(),
            Json::Bool(_) | Json::Number(_) => format!("`{written}`"),
            Json::String(_) => "text".to_owned(),
            Json::Array(_) => "a list".to_owned(),
            Json::Object(_) => "a map".to_owned(),
        };
        let instead = instead
            .map(|instead| format!(": write `{instead}`"))
            .unwrap_or_default();
        let error = format!("`{path}` is {found}, but must be {expected}{instead}");
        self.report(path, Problem::Settings { error, nearest: None });
    }
}
