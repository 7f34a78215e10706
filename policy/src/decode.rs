//! Decodes the JSON that a host sends.

use serde::Deserialize;
use serde::de::Error;

/// Decodes a payload.
///
/// The bytes are checked to be UTF-8 once and then read as text. All other JSON is read from text too, so the module
/// contains `serde_json`'s reader for text only, and not its reader for bytes.
pub(crate) fn decode<'a, T: Deserialize<'a>>(payload: &'a [u8]) -> serde_json::Result<T> {
    let text = std::str::from_utf8(payload).map_err(serde_json::Error::custom)?;
    serde_json::from_str(text)
}

/// What is wrong, without the line and column: they are those of the host's JSON, which nobody has seen.
pub(crate) fn without_place(error: &serde_json::Error) -> String {
    let mut said = error.to_string();
    said.truncate(said.find(" at line ").unwrap_or(said.len()));
    said
}
