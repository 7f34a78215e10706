//! What a Telegraf tells about itself: which endpoints answer, and what its outputs have written.
//!
//! It is the same for every Telegraf: its own metrics, with a tag that no other metric has, at an address of their own. By that
//! tag other outputs leave them out (`configuration.rs`). The tag's value is a digest of the configuration, so that a reader
//! knows which one is running; in `standalone`, of the part that all sources share, which a source does not change. The buffer is small, because Telegraf allocates it when it starts.

use crate::digest::sha256;
use crate::settings::Settings;
use crate::well_known::STATUS_TAG;

/// The part of the configuration, up to the tag. It is a text, because nothing in it depends on a source or on the settings.
const PART: &str = include_str!("status.conf");

/// Adds the part to a Telegraf's file, if the settings want it. Answers the digest of what the file was before.
pub(super) fn add_to(file: &mut String, settings: &Settings) -> Option<String> {
    if !settings.status {
        return None;
    }
    let mut digest = sha256(file);
    digest.truncate(16);
    for text in [PART, STATUS_TAG, " = \"", &digest, "\"\n"] {
        file.push_str(text);
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::well_known::STATUS_PORT;

    #[test]
    fn the_part_uses_the_well_known_names() {
        let part: toml::Table = PART.parse().unwrap();
        let output = &part["outputs"]["prometheus_client"][0];
        assert_eq!(output["listen"].as_str(), Some(&*format!(":{STATUS_PORT}")));
        assert!(output["tagpass"].get(STATUS_TAG).is_some());
    }
}
