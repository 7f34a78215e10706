//! The hostile annotations in `e2e/hostile`.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::{Map, Value};

/// What somebody may write into the annotations of one source. In it `CAPTURE` is the one host and port that the settings allow.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attempt {
    /// Its file.
    #[serde(skip)]
    pub path: PathBuf,
    /// `harmless`, or the codes with which it is refused.
    pub says: String,
    annotation: Option<String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    /// Settings that it needs, or null.
    #[serde(default)]
    pub settings: Value,
}

impl Attempt {
    /// The name of its file, without the extension.
    pub fn name(&self) -> String {
        self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The annotations, with a host and port.
    pub fn annotations(&self, capture: &str) -> Map<String, Value> {
        let port = capture.rsplit(':').next().unwrap_or_default();
        let fill = |text: &str| text.replace("CAPTUREPORT", port).replace("CAPTURE", capture);
        let own = self.annotation.iter().map(|text| (crate::ANNOTATION, text));
        let others = self.annotations.iter().map(|(name, text)| (name.as_str(), text));
        own.chain(others)
            .map(|(name, text)| (name.to_owned(), fill(text).into()))
            .collect()
    }
}

/// All of them, in the order of their names.
///
/// # Panics
/// If they cannot be read.
pub fn attempts() -> Vec<Attempt> {
    let folder = fs::read_dir(crate::repository("e2e/hostile")).expect("the hostile annotations");
    let mut paths: Vec<_> = folder.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a file");
        let attempt: Attempt =
            serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Attempt { path, ..attempt }
    };
    paths.into_iter().map(read).collect()
}
