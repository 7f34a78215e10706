//! Values that can be written as Telegraf's TOML. Others cannot be constructed.

use crate::sorted_map::SmallMap;
use std::borrow::Cow;

/// A bare key: `A-Z`, `a-z`, `0-9`, `_` and `-`. Telegraf's parser is older than TOML 1.0, and all versions of TOML
/// read bare keys in the same way.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Key(Cow<'static, str>);

impl Key {
    /// The key. `None` if the text is not a bare key.
    pub fn new(text: &str) -> Option<Self> {
        is_bare(text).then(|| Self(Cow::Owned(text.to_owned())))
    }

    /// The key, without a copy. `None` if the text is not a bare key.
    pub(crate) fn of(text: Cow<'static, str>) -> Option<Self> {
        is_bare(&text).then_some(Self(text))
    }

    /// The key's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

const fn is_bare(text: &str) -> bool {
    let (bytes, mut at) = (text.as_bytes(), 0);
    while at < bytes.len() {
        if !bytes[at].is_ascii_alphanumeric() && !matches!(bytes[at], b'_' | b'-') {
            return false;
        }
        at += 1;
    }
    !bytes.is_empty() && bytes.len() <= 255
}

/// Text in which Telegraf replaces nothing: it contains no `$` (environment variables), no `@{` (secrets) and no
/// control character. All text of annotations is of this type.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Literal(String);

/// Why a text is not a [`Literal`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NotLiteral {
    /// Telegraf would replace what follows this.
    Replaced(&'static str),
    /// It contains a control character.
    Control(char),
}

impl Literal {
    /// The text, if it is literal.
    pub fn new(text: &str) -> Result<Self, NotLiteral> {
        // Most texts have none of the characters in question. Without an early exit, the compiler checks many bytes at a time.
        let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'$' && byte != b'@';
        if text.bytes().fold(true, |all, byte| all & is_plain(byte)) {
            return Ok(Self(text.to_owned()));
        }
        if text.contains('$') {
            return Err(NotLiteral::Replaced("$"));
        }
        if text.contains("@{") {
            return Err(NotLiteral::Replaced("@{"));
        }
        if let Some(control) = text.chars().find(|c| c.is_control()) {
            return Err(NotLiteral::Control(control));
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A value of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text in which Telegraf replaces nothing.
    Literal(Literal),
    /// The administrator's text, in which `${NAME}` is an environment variable and `@{store:key}` a secret.
    Replaceable(String),
    /// An integer.
    Integer(i64),
    /// A finite number.
    Float(f64),
    /// True or false.
    Boolean(bool),
    /// Values of one type, and no tables.
    List(Vec<Value>),
    /// A table.
    Table(Table),
    /// An array of tables, each under a header of its own.
    Tables(Vec<Table>),
}

/// A table, sorted by name, so that equal tables are written as equal bytes.
pub type Table = SmallMap<Key, Value>;

impl From<Literal> for Value {
    fn from(text: Literal) -> Self {
        Self::Literal(text)
    }
}

impl Value {
    /// A list of literals.
    pub fn list(items: impl IntoIterator<Item = Literal>) -> Self {
        Self::List(items.into_iter().map(Self::Literal).collect())
    }

    /// Adds all texts in the value to a list.
    pub(crate) fn collect_texts<'a>(&'a self, texts: &mut Vec<&'a str>) {
        match self {
            Self::Literal(text) => texts.push(text.as_str()),
            Self::Replaceable(text) => texts.push(text),
            Self::List(values) => values.iter().for_each(|value| value.collect_texts(texts)),
            Self::Table(table) => table.values().for_each(|value| value.collect_texts(texts)),
            Self::Tables(tables) => {
                let values = tables.iter().flat_map(SmallMap::values);
                values.for_each(|value| value.collect_texts(texts));
            }
            Self::Integer(_) | Self::Float(_) | Self::Boolean(_) => {}
        }
    }
}

/// A key that is a constant of this crate.
///
/// # Panics
/// If the name is not a bare key, which is a bug in this crate.
pub(crate) const fn key(name: &'static str) -> Key {
    assert!(is_bare(name), "a name in this crate is a bare key");
    Key(Cow::Borrowed(name))
}

/// Text that is a constant of this crate, or that was checked to contain only letters, digits, `.`, `-` and `_`.
///
/// # Panics
/// If the text is not literal, which is a bug in this crate.
pub(crate) fn literal(text: &str) -> Literal {
    Literal::new(text).expect("text of this crate is literal")
}
