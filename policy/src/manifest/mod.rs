//! Kubernetes objects and settings in files: YAML or JSON with one or more documents, and places in the text.
//!
//! The module reads JSON and answers with JSON pointers. A host that starts with a text reads it here, and converts the
//! places of an answer to places in the text.

mod edit;
mod excerpt;
#[cfg(feature = "application-sets")]
mod expand;
#[cfg(feature = "application-sets")]
mod generators;
#[cfg(feature = "files")]
mod managed_namespace;
#[cfg(feature = "files")]
mod misplaced;
#[cfg(feature = "application-sets")]
mod placeholders;
mod places;
#[cfg(feature = "files")]
mod syntax_help;
#[cfg(feature = "files")]
mod template_file;
mod writer;
mod yaml;

use std::sync::OnceLock;

use serde_json::Value;

use crate::diagnostic::{Diagnostic, Place, Position, Suggestion};
use crate::source::Kind;
pub use edit::Edit;
pub use excerpt::Excerpt;
#[cfg(feature = "application-sets")]
pub use expand::{Expansion, Generated};
#[cfg(feature = "files")]
pub use managed_namespace::in_application;
use places::Tree;
pub(crate) use places::index;
#[cfg(feature = "files")]
pub use syntax_help::syntax_help;
#[cfg(feature = "files")]
pub use template_file::is_template;
pub use writer::write;
use yaml::documents;
pub use yaml::{MAX_BYTES, SyntaxError};

/// The known name that a misspelt one is most similar to, if one is similar enough.
#[cfg(feature = "files")]
pub fn nearest_name<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    crate::telegraf::nearest(name, known.iter().copied())
}

/// The objects of a List. `None` if the object is not a List.
fn list_items(object: &Value) -> Option<&[Value]> {
    let [api_version, kind] = ["apiVersion", "kind"].map(|field| object[field].as_str().unwrap_or_default());
    let is_list = Kind::of(api_version, kind) == Some(Kind::List);
    is_list.then(|| object["items"].as_array().map_or(&[][..], Vec::as_slice))
}

/// A range of characters in a text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Region {
    /// The first character.
    pub start: Position,
    /// The character after the last.
    pub end: Position,
}

/// A text and its documents.
#[derive(Debug)]
pub struct Manifest {
    text: String,
    documents: Vec<Value>,
    /// Computed when the first place is needed, because most texts have no findings.
    tree: OnceLock<Option<Tree>>,
}

impl Manifest {
    /// Parses a text. An error contains the text.
    pub fn parse(text: String) -> Result<Self, (String, SyntaxError)> {
        let documents = documents(&text);
        Self::of(text, documents)
    }

    fn of(text: String, documents: Result<Vec<Value>, SyntaxError>) -> Result<Self, (String, SyntaxError)> {
        match documents {
            Ok(documents) => Ok(Self {
                text,
                documents,
                tree: OnceLock::new(),
            }),
            Err(error) => Err((text, error)),
        }
    }

    /// Reads a text that must be JSON, which is stricter than YAML. With an error it is given back.
    #[cfg(feature = "files")]
    pub fn parse_json(text: String) -> Result<Self, (String, SyntaxError)> {
        let documents = yaml::json_documents(&text);
        Self::of(text, documents)
    }

    /// False if the text certainly holds nothing that is similar to our annotations. `annotation` is the name of the one with
    /// the endpoints.
    #[cfg(feature = "files")]
    pub fn may_hold(&self, annotation: &str) -> bool {
        let name = annotation.rsplit('/').next().unwrap_or_default();
        self.text.contains("telegraf") || self.text.contains(name)
    }

    /// Annotations that are written where nobody reads them, each with the number of its document. `annotation` is the name
    /// of the one with the endpoints.
    #[cfg(feature = "files")]
    pub fn misplaced(&self, annotation: &str) -> Vec<(usize, Diagnostic)> {
        if !self.may_hold(annotation) {
            return Vec::new();
        }
        let documents = self.documents.iter().enumerate();
        let found = documents.flat_map(|(number, document)| {
            let found = misplaced::find(document, annotation);
            found.into_iter().map(move |finding| (number, finding))
        });
        found.collect()
    }

    /// What an ApplicationSet comes to, as far as that is known without a cluster. `item` is its number in the document, where
    /// that is a List. Answers `None` for another object, and where none of our annotations are in its template.
    #[cfg(feature = "application-sets")]
    pub fn expand(&self, document: usize, item: Option<usize>, annotation: &str) -> Option<Expansion> {
        let object = self.documents.get(document)?;
        expand::expand(item.map_or(object, |item| &object["items"][item]), annotation)
    }

    /// The Namespace that Argo CD annotates for an Application, if with one of our annotations. `item` is the Application's
    /// number in the document, where that is a List.
    #[cfg(feature = "files")]
    pub fn managed_namespace(&self, document: usize, item: Option<usize>, annotation: &str) -> Option<Value> {
        let object = self.documents.get(document)?;
        managed_namespace::of(item.map_or(object, |item| &object["items"][item]), annotation)
    }

    /// The settings in the text. `None` if it has several documents. A text without a document means the defaults.
    pub fn settings(&self) -> Option<Value> {
        match self.documents.as_slice() {
            [] | [Value::Null] => Some(Value::Object(Default::default())),
            [settings] => Some(settings.clone()),
            _ => None,
        }
    }

    /// All documents, including those that are not objects, because places are counted in documents.
    pub fn documents(&self) -> &[Value] {
        &self.documents
    }

    /// The documents with `apiVersion` and `kind`, with their numbers. The core decides which kinds are relevant.
    pub fn objects(&self) -> impl Iterator<Item = (usize, &Value)> {
        let says = |value: &Value| value["apiVersion"].is_string() && value["kind"].is_string();
        let documents = self.documents.iter().enumerate();
        documents.filter(move |(_, value)| says(value))
    }

    /// The same, with the objects of a List instead of the List: each with its document, and its number in the List.
    pub fn items(&self) -> impl Iterator<Item = (usize, Option<usize>, &Value)> {
        self.objects().flat_map(|(document, value)| match list_items(value) {
            None => vec![(document, None, value)],
            // A List in a List is ignored, as in the module.
            Some(items) => {
                let items = items.iter().enumerate();
                let items = items.filter(|(_, item)| list_items(item).is_none());
                items.map(|(number, item)| (document, Some(number), item)).collect()
            }
        })
    }

    /// The place of a finding in the text. `item` is the object's number in the document, if that is a List.
    pub fn locate(&self, document: usize, item: Option<usize>, finding: &Diagnostic) -> Option<Region> {
        // A finding without a place is about the whole object, and is placed at its start.
        let place = finding.place.clone().unwrap_or_else(|| Place::pointer(""));
        self.locate_place(document, item, place)
    }

    /// A place in the text. `item` is the object's number in the document, if that is a List.
    pub fn locate_place(&self, document: usize, item: Option<usize>, mut place: Place) -> Option<Region> {
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

    /// The change of the text for a suggestion. `None` if the text does not have the place, or cannot hold the replacement
    /// there. `item` is the object's position in the document if that is a List.
    pub fn edit(&self, document: usize, item: Option<usize>, suggestion: &Suggestion) -> Option<Edit> {
        let mut place = suggestion.place.clone();
        if let Some(item) = item {
            place.pointer.insert_str(0, &format!("/items/{item}"));
        }
        let seen = self.documents.get(document)?.pointer(&place.pointer);
        self.tree()?
            .edit(document, &place, seen.and_then(Value::as_str), &suggestion.replacement)
    }

    /// The text with changes, which can be in any order. `None` if two of them overlap.
    pub fn edited(&self, edits: &[Edit]) -> Option<String> {
        edit::apply(&self.text, edits)
    }

    /// The place of a finding in the settings. `None` if the finding has no place.
    pub fn locate_setting(&self, finding: &Diagnostic) -> Option<Region> {
        self.locate(0, None, finding).filter(|_| finding.place.is_some())
    }

    /// The excerpt of the first line of a region. Its cost does not depend on the length of the line.
    pub fn excerpt(&self, region: Region) -> Option<Excerpt> {
        self.tree()?.excerpt(region)
    }

    fn tree(&self) -> Option<&Tree> {
        let tree = self.tree.get_or_init(|| {
            // JSON is read by another library. If the two find different documents, no place is reliable.
            Tree::parse(&self.text).filter(|tree| tree.documents() == self.documents.len())
        });
        tree.as_ref()
    }
}
