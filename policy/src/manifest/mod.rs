//! Kubernetes objects and settings as people keep them: YAML or JSON, one document or several, with places in the text.
//!
//! The module is handed JSON, and answers with JSON pointers. Whoever starts from a text reads it here, and finds here
//! where in it an answer's place is.

mod edit;
mod excerpt;
mod places;
mod writer;
mod yaml;

use std::cell::OnceCell;

use serde_json::Value;

use crate::diagnostic::{Diagnostic, Place, Position, Suggestion};
pub use edit::Edit;
pub use excerpt::Excerpt;
use places::Tree;
pub(crate) use places::index;
pub use writer::write;
use yaml::documents;
pub use yaml::{MAX_BYTES, SyntaxError};

/// A run of characters in a text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Region {
    /// The first character.
    pub start: Position,
    /// The character after the last.
    pub end: Position,
}

/// A text and the documents in it.
#[derive(Debug)]
pub struct Manifest {
    text: String,
    documents: Vec<Value>,
    /// Read when the first place is asked for: most texts have no findings.
    tree: OnceCell<Option<Tree>>,
}

impl Manifest {
    /// Reads a text. With an error it is given back.
    pub fn parse(text: String) -> Result<Self, (String, SyntaxError)> {
        match documents(&text) {
            Ok(documents) => Ok(Self {
                text,
                documents,
                tree: OnceCell::new(),
            }),
            Err(error) => Err((text, error)),
        }
    }

    /// The settings that it is, unless it has several documents. Nothing but comments stands for the defaults.
    pub fn settings(&self) -> Option<Value> {
        match self.documents.as_slice() {
            [] | [Value::Null] => Some(Value::Object(Default::default())),
            [settings] => Some(settings.clone()),
            _ => None,
        }
    }

    /// Every document, also those that are no objects: places are counted in documents.
    pub fn documents(&self) -> &[Value] {
        &self.documents
    }

    /// The documents that say what they are, with their numbers. Which kinds matter the core decides.
    pub fn objects(&self) -> impl Iterator<Item = (usize, &Value)> {
        let says = |value: &Value| value["apiVersion"].is_string() && value["kind"].is_string();
        let documents = self.documents.iter().enumerate();
        documents.filter(move |(_, value)| says(value))
    }

    /// Where in the text a finding is. `item` is its object's number in the document, where that is a List.
    pub fn locate(&self, document: usize, item: Option<usize>, finding: &Diagnostic) -> Option<Region> {
        // Without a place it is about the whole object, which begins somewhere.
        let mut place = finding.place.clone().unwrap_or_else(|| Place::pointer(""));
        if let Some(item) = item {
            place.pointer.insert_str(0, &format!("/items/{item}"));
        }
        let seen = self.documents.get(document)?.pointer(&place.pointer);
        self.tree()?.locate(document, &place, seen.and_then(Value::as_str))
    }

    /// The text as it was read.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The change of the text that a suggestion means. None where the text does not have the place, or cannot hold the
    /// replacement there. `item` is the object's number in the document, where that is a List.
    pub fn edit(&self, document: usize, item: Option<usize>, suggestion: &Suggestion) -> Option<Edit> {
        let mut place = suggestion.place.clone();
        if let Some(item) = item {
            place.pointer.insert_str(0, &format!("/items/{item}"));
        }
        let seen = self.documents.get(document)?.pointer(&place.pointer);
        self.tree()?
            .edit(document, &place, seen.and_then(Value::as_str), &suggestion.replacement)
    }

    /// The text with some changes, in any order. None if two of them overlap.
    pub fn edited(&self, edits: &[Edit]) -> Option<String> {
        edit::apply(&self.text, edits)
    }

    /// What to show people of the line that a region begins in. What that costs does not depend on the line's length.
    pub fn excerpt(&self, region: Region) -> Option<Excerpt> {
        self.tree()?.excerpt(region)
    }

    fn tree(&self) -> Option<&Tree> {
        let tree = self.tree.get_or_init(|| {
            // JSON is read by another library. Where the two do not agree what a document is, no place can be trusted.
            Tree::parse(&self.text).filter(|tree| tree.documents() == self.documents.len())
        });
        tree.as_ref()
    }
}
