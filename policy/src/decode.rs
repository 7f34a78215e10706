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
