//! What is wrong, and what to do about it, in words for a service's owner.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use telewarden_policy::printable::printable;

/// Others' text is shown as far as this, in characters.
const MAX_TEXT: usize = 200;

/// What is wrong, and what to do about it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Explanation {
    /// What is wrong.
    pub(crate) why: Cow<'static, str>,
    /// What to do about it.
    pub(crate) what_to_do: Cow<'static, str>,
}

impl Explanation {
    pub(crate) fn new(why: impl Into<Cow<'static, str>>, what_to_do: impl Into<Cow<'static, str>>) -> Self {
        Self {
            why: why.into(),
            what_to_do: what_to_do.into(),
        }
    }
}

/// Names in backquotes with commas, the first few of them.
pub(super) fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 5;
    let names: Vec<_> = names.into_iter().collect();
    let mut text = names[..names.len().min(SHOWN)]
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    text
}

/// Others' text: printable, on one line, and not long.
pub(super) fn short(text: &str) -> String {
    let text = text.replace(['\n', '\r'], " ");
    let text = printable(&text);
    match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_text_is_printable_and_short() {
        let text = short(&format!("a\n\u{1b}[31m{}", "é".repeat(1000)));
        assert!(text.starts_with("a \\u{1b}[31m"), "{text}");
        assert_eq!(text.chars().count(), MAX_TEXT + 1);
        assert_eq!(short("as it is"), "as it is");
    }

    #[test]
    fn the_first_names_are_shown() {
        assert_eq!(named(["a", "b"]), "`a`, `b`");
        assert_eq!(named(["a"; 9]), "`a`, `a`, `a`, `a`, `a` and 4 more");
    }
}
