//! A value as it is read: from the document, from the defaults, or from a map of the one over a map of the other.
//!
//! Defaults are read as the document is, without becoming JSON first, and their texts are borrowed: a policy's instance lives for
//! one request, and reads the defaults for each.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use serde_json::{Map, Value as Json};

use super::constant::Constant;

/// A value of the settings.
#[derive(Clone, Copy)]
pub(crate) enum Written<'a> {
    /// What the administrator wrote.
    Document(&'a Json),
    /// A default.
    Default(&'static Constant),
    /// A map that the administrator wrote, over the default map.
    Merged(&'a Map<String, Json>, &'static Constant),
}

impl<'a> Written<'a> {
    /// This value over a default. Maps are merged; all other values replace the default.
    pub(crate) fn over(self, default: &'static Constant) -> Self {
        match (self, default) {
            (Self::Document(Json::Object(written)), Constant::Map(_)) => Self::Merged(written, default),
            _ => self,
        }
    }

    /// A text.
    pub(crate) fn text(self) -> Option<Text<'a>> {
        match self {
            Self::Document(Json::String(text)) => Some(Text::Document(text)),
            Self::Default(Constant::Text(text)) => Some(Text::Default(text)),
            _ => None,
        }
    }

    /// True or false.
    pub(crate) fn flag(self) -> Option<bool> {
        match self {
            Self::Document(Json::Bool(flag)) | Self::Default(Constant::Flag(flag)) => Some(*flag),
            _ => None,
        }
    }

    /// A number. One that is too large for an `i64` is a [`Number::Float`].
    pub(crate) fn number(self) -> Option<Number> {
        match self {
            Self::Document(Json::Number(number)) => Some(match number.as_i64() {
                Some(number) => Number::Integer(number),
                None => Number::Float(number.as_f64().unwrap_or(f64::INFINITY)),
            }),
            Self::Default(Constant::Number(number)) => Some(Number::Integer(*number)),
            _ => None,
        }
    }

    /// A whole number, 0 or more.
    pub(crate) fn whole(self) -> Option<u64> {
        match self.number()? {
            Number::Integer(number) => u64::try_from(number).ok(),
            Number::Float(_) => None,
        }
    }

    /// True for null.
    pub(crate) fn is_null(self) -> bool {
        matches!(self, Self::Document(Json::Null) | Self::Default(Constant::Null))
    }

    /// The items of a list.
    pub(crate) fn items(self) -> Option<Items<'a>> {
        match self {
            Self::Document(Json::Array(items)) => Some(Items {
                written: items,
                default: &[],
            }),
            Self::Default(Constant::List(items)) => Some(Items {
                written: &[],
                default: items,
            }),
            _ => None,
        }
    }

    /// True for a map.
    pub(crate) fn is_map(self) -> bool {
        self.entries().is_some()
    }

    /// The entries of a map.
    pub(crate) fn entries(self) -> Option<Entries<'a>> {
        let (written, default) = match self {
            Self::Document(Json::Object(entries)) => (Some(entries), [].as_slice()),
            Self::Default(Constant::Map(entries)) => (None, *entries),
            Self::Merged(written, default) => (Some(written), default.entries()),
            _ => return None,
        };
        let (index, new) = (0, written.map(Map::iter));
        Some(Entries {
            written,
            default,
            index,
            new,
        })
    }

    /// What the administrator wrote for a name of a map, but null, which means the default.
    pub(crate) fn written(self, name: &str) -> Option<Self> {
        match self {
            Self::Document(Json::Object(map)) => map.get(name).filter(|value| !value.is_null()).map(Self::Document),
            _ => None,
        }
    }

    /// A copy.
    pub(crate) fn to_json(self) -> Json {
        match self {
            Self::Document(value) => value.clone(),
            Self::Default(value) => Json::from(value),
            Self::Merged(..) => Json::Object(self.to_map()),
        }
    }

    /// A copy of a map; of other values, an empty one.
    pub(crate) fn to_map(self) -> Map<String, Json> {
        let entries = self.entries().into_iter().flatten();
        entries
            .map(|(name, value)| (name.to_string(), value.to_json()))
            .collect()
    }
}

/// The items of a list. It is a type of its own, and so is [`Entries`], so that all who read one share the code.
#[derive(Clone)]
pub(crate) struct Items<'a> {
    written: &'a [Json],
    default: &'static [Constant],
}

impl<'a> Iterator for Items<'a> {
    type Item = Written<'a>;

    fn next(&mut self) -> Option<Written<'a>> {
        if let [first, rest @ ..] = self.written {
            self.written = rest;
            return Some(Written::Document(first));
        }
        let (first, rest) = self.default.split_first()?;
        self.default = rest;
        Some(Written::Default(first))
    }
}

/// The entries of a map: those of the default, in their order, each with what was written over it; then those that have no
/// default.
pub(crate) struct Entries<'a> {
    written: Option<&'a Map<String, Json>>,
    default: &'static [(&'static str, Constant)],
    /// Of the next default.
    index: usize,
    new: Option<serde_json::map::Iter<'a>>,
}

impl<'a> Iterator for Entries<'a> {
    type Item = (Text<'a>, Written<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        if let Some((name, default)) = self.default.get(self.index) {
            self.index += 1;
            let value = match self.written.and_then(|written| written.get(*name)) {
                Some(written) => Written::Document(written).over(default),
                None => Written::Default(default),
            };
            return Some((Text::Default(name), value));
        }
        loop {
            let (name, value) = self.new.as_mut()?.next()?;
            if self.default.iter().all(|(known, _)| known != name) {
                return Some((Text::Document(name), Written::Document(value)));
            }
        }
    }
}

/// JSON.
impl fmt::Display for Written<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_json().fmt(f)
    }
}

/// A number of the settings.
pub(crate) enum Number {
    Integer(i64),
    Float(f64),
}

/// A text of the document, or of a default, which is never copied.
#[derive(Clone, Copy)]
pub(crate) enum Text<'a> {
    Document(&'a str),
    Default(&'static str),
}

impl Text<'_> {
    /// True for a default. It need not be checked, because a test holds all defaults against the rules.
    pub(crate) fn is_default(self) -> bool {
        matches!(self, Self::Default(_))
    }

    /// True if the text is as a rule says.
    pub(crate) fn satisfies(self, rule: impl FnOnce(&str) -> bool) -> bool {
        self.is_default() || rule(&self)
    }

    /// The text, copied unless it is a default.
    pub(crate) fn into_cow(self) -> Cow<'static, str> {
        match self {
            Self::Document(text) => Cow::Owned(text.to_owned()),
            Self::Default(text) => Cow::Borrowed(text),
        }
    }
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Document(text) | Self::Default(text) => text,
        }
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const DEFAULT: Constant = constant!({"a": {"b": 1, "c": [true, "x"]}, "d": {}});

    #[test]
    fn maps_are_merged_and_lists_are_replaced() {
        let written = json!({"a": {"c": [], "e": null}, "d": 5, "f": "g"});
        let merged = Written::Document(&written).over(&DEFAULT).to_json();
        assert_eq!(merged, json!({"a": {"b": 1, "c": [], "e": null}, "d": 5, "f": "g"}));
    }

    #[test]
    fn a_default_is_read_as_the_document_is() {
        let document = Json::from(&DEFAULT);
        assert_eq!(Written::Default(&DEFAULT).to_json(), document);
        assert_eq!(Written::Document(&document).over(&DEFAULT).to_json(), document);
    }
}
