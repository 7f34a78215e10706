//! The few messages of the protocol that are used, as types. A crate with all of them is some 19,000 lines.
//!
//! <https://microsoft.github.io/language-server-protocol/specifications/lsp/3.17/specification/>

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A position between two characters: lines and UTF-16 code units, from 0.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub(super) struct Position {
    pub(super) line: u32,
    pub(super) character: u32,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Range {
    pub(super) start: Position,
    pub(super) end: Position,
}

impl Range {
    /// Whether two ranges have something in common, their ends included.
    pub(super) fn touches(&self, other: &Self) -> bool {
        self.start <= other.end && other.start <= self.end
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Initialize {
    pub(super) root_uri: Option<String>,
    #[serde(default)]
    pub(super) workspace_folders: Option<Vec<Document>>,
}

/// A document, or a folder, by its address.
#[derive(Debug, Deserialize)]
pub(super) struct Document {
    pub(super) uri: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DidOpen {
    pub(super) text_document: OpenDocument,
}

#[derive(Debug, Deserialize)]
pub(super) struct OpenDocument {
    pub(super) uri: String,
    pub(super) text: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DidChange {
    pub(super) text_document: Document,
    pub(super) content_changes: Vec<Change>,
}

/// The whole new text: that is what is asked for.
#[derive(Debug, Deserialize)]
pub(super) struct Change {
    pub(super) text: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OfDocument {
    pub(super) text_document: Document,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AtPosition {
    pub(super) text_document: Document,
    pub(super) position: Position,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct InRange {
    pub(super) text_document: Document,
    pub(super) range: Range,
}

#[derive(Debug, Serialize)]
pub(super) struct PublishDiagnostics {
    pub(super) uri: String,
    pub(super) diagnostics: Vec<Diagnostic>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Diagnostic {
    pub(super) range: Range,
    /// 1 for an error, 2 for a warning.
    pub(super) severity: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<String>,
    pub(super) source: &'static str,
    pub(super) message: String,
}

#[derive(Debug, Serialize)]
pub(super) struct ShowMessage {
    /// 1 for an error.
    #[serde(rename = "type")]
    pub(super) kind: u8,
    pub(super) message: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Markup {
    pub(super) kind: &'static str,
    pub(super) value: String,
}

impl Markup {
    pub(super) fn markdown(value: String) -> Self {
        let kind = "markdown";
        Self { kind, value }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Hover {
    pub(super) contents: Markup,
    pub(super) range: Range,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TextEdit {
    pub(super) range: Range,
    pub(super) new_text: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Completion {
    pub(super) label: String,
    /// 10 for a property, 12 for a value.
    pub(super) kind: u8,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) documentation: Option<Markup>,
    pub(super) text_edit: TextEdit,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CodeAction {
    pub(super) title: String,
    pub(super) kind: &'static str,
    pub(super) diagnostics: Vec<Diagnostic>,
    pub(super) is_preferred: bool,
    pub(super) edit: WorkspaceEdit,
}

#[derive(Debug, Serialize)]
pub(super) struct WorkspaceEdit {
    pub(super) changes: BTreeMap<String, Vec<TextEdit>>,
}
