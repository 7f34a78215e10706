//! JSON constants, for the defaults.

use serde_json::Value as Json;

/// A JSON value that needs no allocation. Write it with `constant!`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Constant {
    Null,
    Flag(bool),
    Number(i64),
    Text(&'static str),
    List(&'static [Constant]),
    /// Names and values.
    Map(&'static [(&'static str, Constant)]),
}

impl Constant {
    /// The entries of a map; empty for other values.
    pub(crate) fn entries(&self) -> &'static [(&'static str, Self)] {
        match self {
            Self::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The text at the end of the names of maps in maps.
    pub(crate) fn text(&self, names: &[&str]) -> Option<&'static str> {
        let mut at = self;
        for name in names {
            at = at
                .entries()
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, value)| value)?;
        }
        match at {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The names of a map, in their order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.entries().iter().map(|(name, _)| *name)
    }
}

impl From<&Constant> for Json {
    fn from(constant: &Constant) -> Self {
        match constant {
            Constant::Null => Self::Null,
            Constant::Flag(value) => Self::Bool(*value),
            Constant::Number(value) => Self::from(*value),
            Constant::Text(value) => Self::from(*value),
            Constant::List(values) => Self::Array(values.iter().map(Self::from).collect()),
            Constant::Map(entries) => {
                let entries = entries
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), Self::from(value)));
                Self::Object(entries.collect())
            }
        }
    }
}

/// Converts Rust literals to [`Constant`]s. `constant!` cannot tell a text from a number, but a method can.
pub(crate) struct Literal<T>(pub(super) T);

impl Literal<bool> {
    pub(crate) const fn constant(self) -> Constant {
        Constant::Flag(self.0)
    }
}

impl Literal<i64> {
    pub(crate) const fn constant(self) -> Constant {
        Constant::Number(self.0)
    }
}

impl Literal<&'static str> {
    pub(crate) const fn constant(self) -> Constant {
        Constant::Text(self.0)
    }
}

/// A [`Constant`] as it would be written in JSON.
macro_rules! constant {
    ({ $($name:literal : $value:tt),* $(,)? }) => {
        $crate::settings::constant::Constant::Map(&[$(($name, constant!($value))),*])
    };
    ([ $($value:tt),* $(,)? ]) => {
        $crate::settings::constant::Constant::List(&[$(constant!($value)),*])
    };
    ($value:literal) => {
        $crate::settings::constant::Literal($value).constant()
    };
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const DEFAULT: Constant = constant!({"a": {"b": 1, "c": [true, "x"]}, "d": {}});

    #[test]
    fn a_constant_is_the_json_that_it_looks_like() {
        assert_eq!(Json::from(&DEFAULT), json!({"a": {"b": 1, "c": [true, "x"]}, "d": {}}));
    }
}
