//! Telegraf's plugins and their options, with types and versions, for hosts that check files.
//!
//! `tables/telegraf.txt` is made from Telegraf's source by `e2e/parts/telegraf-tables`, which says what its lines mean.

use std::fmt;

/// A version of Telegraf 1, without its patch number.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Version(u32);

impl Version {
    /// Reads `1.40`, with whatever follows.
    fn parse(text: &str) -> Option<Self> {
        let minor = text.strip_prefix("1.")?.split(['.', '-']).next()?;
        minor.parse().ok().map(Self)
    }

    /// The version of an image, if its tag is one.
    pub(crate) fn of_image(image: &str) -> Option<Self> {
        let name = image.split('@').next()?.rsplit('/').next()?;
        let (_, tag) = name.split_once(':')?;
        Self::parse(tag.trim_start_matches('v'))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}", self.0)
    }
}

/// The type of an option's value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Type {
    Boolean,
    /// A whole number of so many bits.
    Integer(u32),
    /// The same, without negative numbers.
    Unsigned(u32),
    Float,
    Text,
    /// Text, or a number or boolean that is read as text.
    Scalar,
    /// The same, which Telegraf protects in its memory: a password, a token, a user's name.
    Secret,
    /// A duration that Telegraf reads, which knows days, or a number of seconds.
    Duration,
    /// A duration that Go reads. Telegraf passes over anything but text.
    GoDuration,
    Size,
    List(Box<Type>),
    /// A map with any names.
    Map(Box<Type>),
    /// A map with the options of the entry.
    Table,
    /// A list of such maps.
    Tables,
    Any,
}

impl Type {
    fn parse(text: &str) -> Self {
        if let Some(inner) = text.strip_prefix("list of ") {
            return Self::List(Box::new(Self::parse(inner)));
        }
        if let Some(inner) = text.strip_prefix("map of ") {
            return Self::Map(Box::new(Self::parse(inner)));
        }
        let bits = |text: &str| text.parse().unwrap_or(64);
        match text {
            "boolean" => Self::Boolean,
            "float" => Self::Float,
            "text" => Self::Text,
            "scalar" => Self::Scalar,
            "secret" => Self::Secret,
            "duration" => Self::Duration,
            "goduration" => Self::GoDuration,
            "size" => Self::Size,
            "table" => Self::Table,
            "tables" => Self::Tables,
            _ => match (text.strip_prefix("integer"), text.strip_prefix("unsigned")) {
                (Some(number), _) => Self::Integer(bits(number)),
                (_, Some(number)) => Self::Unsigned(bits(number)),
                _ => Self::Any,
            },
        }
    }

    /// What must be written, for messages.
    pub(crate) fn expected(&self) -> String {
        let text = match self {
            Self::Boolean => "`true` or `false`",
            Self::Integer(_) => "a whole number",
            Self::Unsigned(_) => "a whole number, 0 or more",
            Self::Float => "a number with a decimal point",
            Self::Text | Self::Scalar | Self::Secret => "text",
            Self::Duration | Self::GoDuration => "a duration such as `30s`",
            Self::Size => "a size such as `20MB`",
            Self::List(inner) => match **inner {
                Self::Text => "a list of texts",
                _ => "a list",
            },
            Self::Map(_) | Self::Table => "a map",
            Self::Tables => "a list of maps",
            Self::Any => "a value",
        };
        text.to_owned()
    }
}

/// Since when something is deprecated, when it is removed, and what Telegraf says of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Deprecation {
    pub(crate) since: Option<Version>,
    pub(crate) removal: Option<Version>,
    pub(crate) notice: Option<String>,
}

/// A plugin, or an option.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    /// The type of an option's value. `Any` for a plugin.
    pub(crate) kind: Type,
    /// The plugin reads one of Telegraf's data formats.
    pub(crate) has_parser: bool,
    /// The plugin writes one of Telegraf's data formats.
    pub(crate) has_serializer: bool,
    /// The first version that has it, if it is newer than the first of the tables.
    pub(crate) since: Option<Version>,
    /// True if no version of the tables has it any more.
    pub(crate) is_gone: bool,
    /// The last version that has it, if that is not the newest.
    pub(crate) until: Option<Version>,
    pub(crate) deprecated: Option<Deprecation>,
    /// The options.
    pub(crate) inner: Vec<Entry>,
}

impl Entry {
    /// Reads a line without its indentation.
    fn parse(line: &str) -> Self {
        let (rest, deprecated) = match line.split_once(" deprecated ") {
            Some((rest, deprecated)) => (rest, Some(Deprecation::parse(deprecated))),
            None => (line, None),
        };
        let (rest, until) = match rest.split_once(" until ") {
            Some((rest, until)) => (rest, Some(until)),
            None => (rest, None),
        };
        let (rest, since) = match rest.split_once(" since ") {
            Some((rest, since)) => (rest, Version::parse(since)),
            None => (rest, None),
        };
        let (name, kind) = rest.split_once(' ').unwrap_or((rest, ""));
        let formats = kind.strip_prefix("with ").unwrap_or_default();
        Self {
            name: name.to_owned(),
            kind: Type::parse(kind),
            has_parser: formats.contains("parsers"),
            has_serializer: formats.contains("serializers"),
            since,
            is_gone: until == Some("none"),
            until: until.and_then(Version::parse),
            deprecated,
            inner: Vec::new(),
        }
    }
}

impl Deprecation {
    /// Reads `1.20-1.40: use 'b'`.
    fn parse(text: &str) -> Self {
        let (versions, notice) = match text.split_once(": ") {
            Some((versions, notice)) => (versions, Some(notice)),
            None => (text, None),
        };
        let (since, removal) = versions.split_once('-').unwrap_or((versions, ""));
        Self {
            since: Version::parse(since),
            removal: Version::parse(removal),
            notice: notice.map(in_backticks),
        }
    }
}

/// Telegraf quotes names with `'`, which is an apostrophe between letters.
fn in_backticks(text: &str) -> String {
    let is_letter = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let quoted = text.char_indices().map(|(at, c)| {
        let (before, after) = (text[..at].chars().last(), text[at + c.len_utf8()..].chars().next());
        match c == '\'' && !(is_letter(before) && is_letter(after)) {
            true => '`',
            false => c,
        }
    });
    quoted.collect()
}

/// All plugins.
#[derive(Clone, Debug)]
pub(crate) struct Tables {
    /// The newest version that they know.
    pub(crate) newest: Version,
    plugins: Vec<Entry>,
}

impl Tables {
    /// Reads the file that the crate contains.
    pub(crate) fn read() -> Self {
        let mut lines = include_str!("tables/telegraf.txt")
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .peekable();
        let versions = lines.next().unwrap_or_default().split(' ');
        let newest = versions.filter_map(Version::parse).max().unwrap_or(Version(0));
        let plugins = entries(&mut lines, 0);
        Self { newest, plugins }
    }

    /// A plugin by its whole name, such as `outputs.file`, or `agent`, or what all outputs have, as `outputs.*`.
    pub(crate) fn plugin(&self, name: &str) -> Option<&Entry> {
        self.plugins.iter().find(|plugin| plugin.name == name)
    }

    /// True for an option of any data format.
    pub(crate) fn is_of_format(&self, option: &str) -> bool {
        let is_format = |name: &str| name.starts_with("serializers.") || name.starts_with("parsers.");
        let mut formats = self.plugins.iter().filter(|plugin| is_format(&plugin.name));
        formats.any(|format| format.inner.iter().any(|known| known.name == option))
    }

    /// The names after a prefix, such as `outputs.`.
    pub(crate) fn names<'t>(&'t self, prefix: &'t str) -> impl Iterator<Item = &'t str> {
        let plugins = self.plugins.iter().filter(|plugin| !plugin.is_gone);
        plugins.filter_map(move |plugin| plugin.name.strip_prefix(prefix))
    }
}

/// The entries with this indentation, and what is in them.
fn entries<'t>(lines: &mut std::iter::Peekable<impl Iterator<Item = &'t str>>, indentation: usize) -> Vec<Entry> {
    let mut entries = Vec::new();
    while let Some(line) = lines.peek() {
        let content = line.trim_start();
        if line.len() - content.len() != indentation {
            break;
        }
        let mut entry = Entry::parse(content);
        lines.next();
        entry.inner = self::entries(lines, indentation + 2);
        entries.push(entry);
    }
    entries
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn every_line_is_read() {
        fn count(entries: &[Entry]) -> usize {
            entries.iter().map(|entry| 1 + count(&entry.inner)).sum()
        }
        let lines = include_str!("tables/telegraf.txt").lines();
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#')).count();
        assert_eq!(count(&Tables::read().plugins), lines - 1);
    }

    #[test]
    fn a_line_is_what_its_words_say() {
        let entry =
            Entry::parse("old list of text since 1.39 until 1.39 deprecated 1.20-1.40: use 'new': it isn't old");
        assert_eq!(entry.name, "old");
        assert_eq!(entry.kind, Type::List(Box::new(Type::Text)));
        assert_eq!((entry.since, entry.until), (Some(Version(39)), Some(Version(39))));
        let deprecated = entry.deprecated.expect("it is deprecated");
        assert_eq!(
            (deprecated.since, deprecated.removal),
            (Some(Version(20)), Some(Version(40)))
        );
        assert_eq!(deprecated.notice.as_deref(), Some("use `new`: it isn't old"));
        assert!(Entry::parse("outputs.gone until none deprecated 1.3-1.30: gone").is_gone);
        assert!(Entry::parse("outputs.file with serializers").has_serializer);
        assert_eq!(Entry::parse("port unsigned16").kind, Type::Unsigned(16));
    }

    #[rstest]
    #[case("docker.io/library/telegraf:1.40-alpine", Some(40))]
    #[case("localhost:5000/telegraf:v1.38.3", Some(38))]
    #[case("telegraf:1.39@sha256:0123", Some(39))]
    #[case("telegraf:latest", None)]
    #[case("telegraf@sha256:0123", None)]
    fn an_image_has_the_version_of_its_tag(#[case] image: &str, #[case] version: Option<u32>) {
        assert_eq!(Version::of_image(image), version.map(Version));
    }
}
