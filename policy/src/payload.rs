//! A host's bytes to a type.

use serde::Deserialize;
use serde::de::Error;

/// Decodes a payload.
///
/// The bytes are checked to be UTF-8 once, and read as text from there on: `serde_json` has a reader for bytes and one for
/// text, everything that is decoded later is text, and the module carries one of the two.
pub(crate) fn decode<'a, T: Deserialize<'a>>(payload: &'a [u8]) -> serde_json::Result<T> {
    let text = std::str::from_utf8(payload).map_err(serde_json::Error::custom)?;
    serde_json::from_str(text)
}
