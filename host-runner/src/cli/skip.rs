//! What is passed over: paths that `skip` in telewarden.yaml names, and files that are not valid YAML or JSON.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;

/// Paths to skip in folders.
#[derive(Debug, Default)]
pub(crate) struct Skip {
    /// The folder that the patterns are relative to, absolute and without links.
    pub(crate) folder: PathBuf,
    pub(crate) patterns: Vec<glob::Pattern>,
}

impl Skip {
    /// The numbers of the patterns that match an absolute path or one of its parents.
    pub(crate) fn matching(&self, path: &Path) -> Vec<usize> {
        let Ok(path) = path.strip_prefix(&self.folder) else {
            return Vec::new();
        };
        let options = glob::MatchOptions {
            require_literal_separator: true,
            ..glob::MatchOptions::default()
        };
        let matches = |pattern: &glob::Pattern| {
            let mut parts = path.ancestors().filter(|part| !part.as_os_str().is_empty());
            parts.any(|part| pattern.matches_path_with(part, options))
        };
        let patterns = self.patterns.iter().enumerate();
        patterns
            .filter(|(_, pattern)| matches(pattern))
            .map(|(number, _)| number)
            .collect()
    }

    /// The folder that holds everything that a pattern can match, as far as the pattern names it.
    pub(crate) fn holder(&self, pattern: &glob::Pattern) -> PathBuf {
        let parts: Vec<_> = pattern.as_str().split('/').collect();
        let is_literal = |part: &&&str| !part.contains(['*', '?', '[']);
        let (_, parents) = parts.split_last().unwrap_or((&"", &[]));
        self.folder
            .join(parents.iter().take_while(is_literal).collect::<PathBuf>())
    }
}

/// Files of a folder that are not valid YAML or JSON.
#[derive(Clone, Debug, Default, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Skipped {
    /// Templates, such as Helm's.
    pub(crate) templates: usize,
    /// Other files, with `--allow-unparsable`.
    pub(crate) not_yaml: usize,
    /// The names of all of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) files: Vec<String>,
    /// Files and folders that `skip` in telewarden.yaml names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) by_skip: Vec<String>,
    /// Patterns of `skip` that match nothing in the folders that were searched.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) unused_skip: Vec<String>,
}

impl Skipped {
    /// Adds what was passed over elsewhere.
    pub(crate) fn add(&mut self, other: Self) {
        self.templates += other.templates;
        self.not_yaml += other.not_yaml;
        self.files.extend(other.files);
        self.by_skip.extend(other.by_skip);
        self.unused_skip.extend(other.unused_skip);
    }
}
