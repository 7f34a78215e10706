//! Reads and writes YAML with the core's reader, as the `telewarden` command does.

use serde_json::{Value, json};
use telewarden_policy::manifest::{self, Manifest};

use crate::error::Error;

/// The documents of a text.
///
/// # Errors
/// If the text is not YAML. `what` names the text in the message.
pub(crate) fn documents(text: String, what: &str) -> Result<Vec<Value>, Error> {
    Ok(read(text, what)?.documents().to_vec())
}

/// The settings document of a text. An empty text means the defaults.
///
/// # Errors
/// If the text is not YAML, or has several documents. The module checks the content.
pub(crate) fn settings(text: String, what: &str) -> Result<Value, Error> {
    read(text, what)?.settings().ok_or_else(|| Error::Settings {
        why: format!("{what} has more than one document"),
    })
}

/// A value as YAML. Null becomes an empty text.
pub(crate) fn write(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        value => manifest::write([value]),
    }
}

/// The value of a YAML text inside another document, or the text itself if it is not YAML.
pub(crate) fn embedded(text: String) -> Value {
    match Manifest::parse(text) {
        Ok(manifest) => manifest.documents().first().cloned().unwrap_or_default(),
        Err((text, _)) => json!(text),
    }
}

fn read(text: String, what: &str) -> Result<Manifest, Error> {
    Manifest::parse(text).map_err(|(_, error)| {
        let at = match error.position {
            Some((line, column)) => format!(" at line {line}, column {column}"),
            None => String::new(),
        };
        Error::Yaml {
            what: what.to_owned(),
            why: format!("{}{at}", error.message),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_one_document() {
        let read = |text: &str| settings(text.to_owned(), "a file");
        assert_eq!(read("# nothing\n").unwrap(), json!({}));
        assert_eq!(read("instance: a\n").unwrap(), json!({"instance": "a"}));
        let several = read("instance: a\n---\ninstance: b\n").unwrap_err().chain();
        assert!(several.contains("more than one document"), "{several}");
        let broken = read("instance: [a\n").unwrap_err().chain();
        assert!(broken.contains("a file") && broken.contains("line"), "{broken}");
    }

    #[test]
    fn invalid_yaml_stays_text() {
        assert_eq!(embedded("- projectName: a".to_owned()), json!([{"projectName": "a"}]));
        assert_eq!(embedded("- a: [".to_owned()), json!("- a: ["));
    }
}
