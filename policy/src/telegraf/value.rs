//! Values that can be written as Telegraf's TOML. Others cannot be constructed.

use std::collections::BTreeMap;

/// A bare key: `A-Z`, `a-z`, `0-9`, `_` and `-`. Telegraf's parser is older than TOML 1.0, and all versions of TOML
/// read bare keys in the same way.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Key(String);

impl Key {
    /// The key. `None` if the text is not a bare key.
    pub fn new(text: &str) -> Option<Self> {
        let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        (!text.is_empty() && text.len() <= 255 && text.chars().all(bare)).then(|| Self(text.to_owned()))
    }

    /// The key's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
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
pub type Table = BTreeMap<Key, Value>;

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
}

/// A key that is a constant of this crate.
///
/// # Panics
/// If the name is not a bare key, which is a bug in this crate.
pub(crate) fn key(name: &'static str) -> Key {
    Key::new(name).expect("a name in this crate is a bare key")
}

/// Text that is a constant of this crate, or that was checked to contain only letters, digits, `.`, `-` and `_`.
///
/// # Panics
/// If the text is not literal, which is a bug in this crate.
pub(crate) fn literal(text: &str) -> Literal {
    Literal::new(text).expect("text of this crate is literal")
}
