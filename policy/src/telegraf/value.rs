//! Values that can be written as Telegraf's TOML, and only those.

use std::collections::BTreeMap;

/// A bare key: `A-Z`, `a-z`, `0-9`, `_` and `-`. Telegraf's parser is older than TOML 1.0, and bare keys are read alike by
/// all.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Key(String);

impl Key {
    /// The key, if it can be a bare one.
    pub fn new(text: &str) -> Option<Self> {
        let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        (!text.is_empty() && text.len() <= 255 && text.chars().all(bare)).then(|| Self(text.to_owned()))
    }

    /// The key's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Text in which Telegraf replaces nothing: no `$` (environment variables) and no `@{` (secrets), and no control
/// character. Whatever comes from an annotation is this.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Literal(String);

/// Why a text is not a [`Literal`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NotLiteral {
    /// Telegraf would replace what follows this.
    Replaced(&'static str),
    /// It holds a control character.
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
    /// Text that means itself.
    Literal(Literal),
    /// Text of the administrator's, in which `${NAME}` is an environment variable and `@{store:key}` a secret.
    Replaceable(String),
    /// An integer.
    Integer(i64),
    /// A finite number.
    Float(f64),
    /// True or false.
    Boolean(bool),
    /// Values of one kind, none of them a table.
    List(Vec<Value>),
    /// A table of its own.
    Table(Table),
    /// An array of tables, each under a header of its own.
    Tables(Vec<Table>),
}

/// A table, sorted by name so that equal tables are equal bytes.
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

/// A key that this crate itself names.
///
/// # Panics
/// When the name is not a bare key, which is a mistake in this crate.
pub(crate) fn key(name: &'static str) -> Key {
    Key::new(name).expect("a name in this crate is a bare key")
}

/// Text that this crate itself wrote, or that was checked to hold only letters, digits, `.`, `-` and `_`.
///
/// # Panics
/// When the text is not literal, which is a mistake in this crate.
pub(crate) fn literal(text: &str) -> Literal {
    Literal::new(text).expect("text of this crate is literal")
}
