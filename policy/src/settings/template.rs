//! Texts of the settings with placeholders.

use std::borrow::Cow;

use super::path::Path;
use super::written::{Number, Text, Written};
use crate::diagnostic::{Findings, Problem};
use crate::sorted_map::SmallMap;
use crate::telegraf::{Key, Table, Value};

/// What a placeholder stands for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Placeholder {
    /// The Application's name, or the Namespace's.
    Application,
    /// The namespace that is scraped.
    Namespace,
    /// The bucket of the source: the Application's name with `-` as `_`.
    Bucket,
    /// The endpoint's name.
    Endpoint,
    /// The cluster's DNS domain.
    ClusterDomain,
}

/// The placeholders that a text may contain.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Scope {
    /// None, because the text applies to all sources together.
    All,
    /// Those of a source.
    Source,
    /// Those of a source and its endpoint.
    Endpoint,
    /// Those of a host pattern.
    Host,
}

impl Scope {
    fn placeholder(self, name: &str) -> Option<Placeholder> {
        let placeholder = match name {
            "application" => Placeholder::Application,
            "namespace" => Placeholder::Namespace,
            "bucket" => Placeholder::Bucket,
            "endpoint" => Placeholder::Endpoint,
            "clusterDomain" => Placeholder::ClusterDomain,
            _ => return None,
        };
        let known = match placeholder {
            Placeholder::Application | Placeholder::Namespace | Placeholder::Bucket => self != Self::All,
            Placeholder::Endpoint => self == Self::Endpoint,
            Placeholder::ClusterDomain => self == Self::Host,
        };
        known.then_some(placeholder)
    }

    fn known(self) -> &'static str {
        match self {
            Self::All => "none, because all sources share it",
            Self::Source => "`{application}`, `{namespace}`, `{bucket}`",
            Self::Endpoint => "`{application}`, `{namespace}`, `{bucket}`, `{endpoint}`",
            Self::Host => "`{application}`, `{namespace}`, `{bucket}`, `{clusterDomain}`",
        }
    }
}

/// The scopes of a class's texts, which depend on the topology.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scopes {
    /// Of the agent, tags, processors and aggregators.
    pub(crate) telegraf: Scope,
    /// Of the outputs.
    pub(crate) outputs: Scope,
}

/// The values of placeholders.
#[derive(Clone, Debug)]
pub(crate) struct Names<'a> {
    pub(crate) application: &'a str,
    pub(crate) namespace: &'a str,
    pub(crate) bucket: &'a str,
    pub(crate) endpoint: &'a str,
    pub(crate) cluster_domain: &'a str,
}

impl Names<'_> {
    /// Empty values, for texts without placeholders.
    pub(crate) const NONE: Self = Self {
        application: "",
        namespace: "",
        bucket: "",
        endpoint: "",
        cluster_domain: "",
    };

    /// The placeholders themselves, to show a text as it was written.
    #[cfg(feature = "files")]
    pub(crate) const PLACEHOLDERS: Self = Self {
        application: "{application}",
        namespace: "{namespace}",
        bucket: "{bucket}",
        endpoint: "{endpoint}",
        cluster_domain: "{clusterDomain}",
    };
}

/// Stands for any name.
const ANY_NAME: &str = "\0";

/// Any names, for [`uses_variable`].
pub(super) const ANY: Names<'static> = Names {
    application: ANY_NAME,
    namespace: ANY_NAME,
    bucket: ANY_NAME,
    endpoint: ANY_NAME,
    cluster_domain: ANY_NAME,
};

/// True if a text contains `$NAME` or `${NAME…}`. In a text that was filled with [`ANY`], a variable may go on with any
/// name.
pub(super) fn uses_variable(text: &str, name: &str) -> bool {
    text.split('$').skip(1).any(|rest| {
        let rest = rest.strip_prefix('{').unwrap_or(rest);
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let (used, rest) = rest.split_at(end.unwrap_or(rest.len()));
        used == name || (rest.starts_with(ANY_NAME) && name.starts_with(used))
    })
}

/// A text with placeholders.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Template {
    /// A text without placeholders.
    Text(Cow<'static, str>),
    /// At least one of them is a placeholder.
    Parts(Vec<Part>),
}

/// A part of a text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Part {
    Text(String),
    Placeholder(Placeholder),
}

impl Template {
    /// Parses `{name}` as a placeholder and `{{` as a brace. Telegraf's `${NAME}` and `@{store:key}` are not changed.
    ///
    /// # Errors
    /// If a placeholder is not known in this scope.
    pub(crate) fn parse(text: &str, scope: Scope) -> Result<Self, Problem> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(brace) = rest.find('{') {
            let (before, from_brace) = rest.split_at(brace);
            literal.push_str(before);
            let end = from_brace.find('}').map(|end| end + 1);
            if let Some(tail) = from_brace.strip_prefix("{{") {
                literal.push('{');
                rest = tail;
            } else if before.ends_with(['$', '@']) {
                let end = end.unwrap_or(from_brace.len());
                literal.push_str(&from_brace[..end]);
                rest = &from_brace[end..];
            } else {
                let name = &from_brace[1..end.map_or(from_brace.len(), |end| end - 1)];
                let placeholder = scope.placeholder(name).filter(|_| end.is_some());
                let Some(placeholder) = placeholder else {
                    return Err(Problem::Placeholder {
                        name: name.chars().take(40).collect(),
                        known: scope.known(),
                    });
                };
                if !literal.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut literal)));
                }
                parts.push(Part::Placeholder(placeholder));
                rest = &from_brace[name.len() + 2..];
            }
        }
        literal.push_str(rest);
        if parts.is_empty() {
            return Ok(Self::Text(literal.into()));
        }
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Ok(Self::Parts(parts))
    }

    /// Parses a text of the settings, which is not copied if it is a default without placeholders.
    ///
    /// # Errors
    /// See [`parse`](Self::parse).
    pub(crate) fn of(text: Text<'_>, scope: Scope) -> Result<Self, Problem> {
        match text.bytes().any(|byte| byte == b'{') {
            true => Self::parse(&text, scope),
            false => Ok(Self::Text(text.into_cow())),
        }
    }

    /// The text with the values of its placeholders.
    pub(crate) fn fill(&self, names: &Names<'_>) -> String {
        // Most texts fit, a host among them.
        let mut out = String::with_capacity(64);
        self.fill_into(names, &mut out);
        out
    }

    /// Adds the text with the values of its placeholders to another one.
    pub(crate) fn fill_into(&self, names: &Names<'_>, out: &mut String) {
        let parts = match self {
            Self::Text(text) => return out.push_str(text),
            Self::Parts(parts) => parts,
        };
        for part in parts {
            out.push_str(match part {
                Part::Text(text) => text,
                Part::Placeholder(Placeholder::Application) => names.application,
                Part::Placeholder(Placeholder::Namespace) => names.namespace,
                Part::Placeholder(Placeholder::Bucket) => names.bucket,
                Part::Placeholder(Placeholder::Endpoint) => names.endpoint,
                Part::Placeholder(Placeholder::ClusterDomain) => names.cluster_domain,
            });
        }
    }

    /// The text without its placeholders.
    pub(crate) fn literal_text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Parts(_) => Cow::Owned(self.fill(&Names::NONE)),
        }
    }

    /// True if it contains a name by which the sources of a namespace differ.
    #[cfg(feature = "files")]
    pub(crate) fn has_source_name(&self) -> bool {
        let names = |part: &Part| matches!(part, Part::Placeholder(Placeholder::Application | Placeholder::Bucket));
        matches!(self, Self::Parts(parts) if parts.iter().any(names))
    }

    /// True if each placeholder is all of the text between two separators.
    pub(super) fn has_whole_placeholders(&self, separator: char) -> bool {
        let Self::Parts(parts) = self else {
            return true;
        };
        let text = |at: usize| match parts.get(at) {
            Some(Part::Text(text)) => Some(&**text),
            Some(Part::Placeholder(_)) => Some(""),
            None => None,
        };
        let is_whole = |at: usize| {
            let before = at.checked_sub(1).and_then(text);
            before.is_none_or(|text| text.ends_with(separator))
                && text(at + 1).is_none_or(|text| text.starts_with(separator))
        };
        let mut parts = parts.iter().enumerate();
        parts.all(|(at, part)| matches!(part, Part::Text(_)) || is_whole(at))
    }

    /// True if it contains placeholders.
    pub(crate) fn has_placeholder(&self) -> bool {
        matches!(self, Self::Parts(_))
    }
}

/// A value of Telegraf's configuration whose texts are templates.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TemplateValue {
    Text(Template),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    List(Vec<TemplateValue>),
    Table(TemplateTable),
    Tables(Vec<TemplateTable>),
}

/// A table of Telegraf's configuration whose texts are templates.
pub(crate) type TemplateTable = SmallMap<Key, TemplateValue>;

/// The values with all placeholders filled.
pub(crate) fn fill_table(table: &TemplateTable, names: &Names<'_>) -> Table {
    let filled = table.iter().map(|(key, value)| (key.clone(), fill_value(value, names)));
    filled.collect()
}

fn fill_value(value: &TemplateValue, names: &Names<'_>) -> Value {
    match value {
        TemplateValue::Text(text) => Value::Replaceable(text.fill(names)),
        TemplateValue::Integer(number) => Value::Integer(*number),
        TemplateValue::Float(number) => Value::Float(*number),
        TemplateValue::Boolean(value) => Value::Boolean(*value),
        TemplateValue::List(values) => Value::List(values.iter().map(|value| fill_value(value, names)).collect()),
        TemplateValue::Table(table) => Value::Table(fill_table(table, names)),
        TemplateValue::Tables(tables) => Value::Tables(tables.iter().map(|table| fill_table(table, names)).collect()),
    }
}

/// True if a text of the table contains placeholders.
pub(crate) fn has_placeholder(table: &TemplateTable) -> bool {
    texts(table).iter().any(|text| text.has_placeholder())
}

/// All texts of a table.
pub(crate) fn texts(table: &TemplateTable) -> Vec<&Template> {
    fn collect<'a>(value: &'a TemplateValue, out: &mut Vec<&'a Template>) {
        match value {
            TemplateValue::Text(text) => out.push(text),
            TemplateValue::Integer(_) | TemplateValue::Float(_) | TemplateValue::Boolean(_) => {}
            TemplateValue::List(values) => values.iter().for_each(|value| collect(value, out)),
            TemplateValue::Table(table) => table.values().for_each(|value| collect(value, out)),
            TemplateValue::Tables(tables) => {
                tables
                    .iter()
                    .flat_map(SmallMap::values)
                    .for_each(|value| collect(value, out));
            }
        }
    }
    let mut out = Vec::new();
    table.values().for_each(|value| collect(value, &mut out));
    out
}

/// Reads a map of the settings as a table. Values that Telegraf's TOML cannot represent are reported.
pub(crate) fn read_table(map: Written<'_>, scope: Scope, path: &Path<'_>, findings: &mut Findings) -> TemplateTable {
    let mut table = TemplateTable::default();
    for (name, value) in map.entries().into_iter().flatten() {
        let path = path.name(&name);
        let Some(key) = Key::of(name.into_cow()) else {
            let why = "a key holds other characters than A-Z, a-z, 0-9, `_` and `-`";
            findings.report(Problem::TelegrafValue { why }, path.place_of_name());
            continue;
        };
        if let Some(value) = read_value(value, scope, &path, findings) {
            table.insert(key, value);
        }
    }
    table
}

fn read_value(value: Written<'_>, scope: Scope, path: &Path<'_>, findings: &mut Findings) -> Option<TemplateValue> {
    let refuse = |why, findings: &mut Findings| {
        findings.report(Problem::TelegrafValue { why }, path.place());
        None
    };
    if let Some(text) = value.text() {
        return match Template::of(text, scope) {
            Ok(text) => Some(TemplateValue::Text(text)),
            Err(problem) => {
                findings.report(problem, path.place());
                None
            }
        };
    }
    if let Some(flag) = value.flag() {
        return Some(TemplateValue::Boolean(flag));
    }
    if value.is_map() {
        return Some(TemplateValue::Table(read_table(value, scope, path, findings)));
    }
    let Some(items) = value.items() else {
        return match value.number() {
            None => refuse("Telegraf's configuration has no null", findings),
            Some(Number::Integer(number)) => Some(TemplateValue::Integer(number)),
            Some(Number::Float(number)) if number.is_finite() => Some(TemplateValue::Float(number)),
            Some(Number::Float(_)) => refuse("the number is too large", findings),
        };
    };
    let mut kinds = items.clone().map(Kind::of);
    let first = kinds.next();
    if kinds.any(|kind| Some(kind) != first) {
        return refuse("a list mixes values of several kinds", findings);
    }
    if first == Some(Kind::Map) {
        let tables = items.enumerate();
        let tables = tables.map(|(index, map)| read_table(map, scope, &path.index(index), findings));
        return Some(TemplateValue::Tables(tables.collect()));
    }
    let values = items.enumerate();
    let values = values.filter_map(|(index, value)| read_value(value, scope, &path.index(index), findings));
    let values: Vec<_> = values.collect();
    let holds_tables = |value: &TemplateValue| {
        matches!(value, TemplateValue::List(inner)
                if inner.iter().any(|value| matches!(value, TemplateValue::Tables(_))))
    };
    if values
        .iter()
        .any(|value| matches!(value, TemplateValue::Tables(_)) || holds_tables(value))
    {
        return refuse("a map cannot stand in a list within a list", findings);
    }
    Some(TemplateValue::List(values))
}

/// The kind of a list's item. A list of TOML has items of one kind.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Kind {
    Null,
    Flag,
    Integer,
    Float,
    Text,
    List,
    Map,
}

impl Kind {
    fn of(value: Written<'_>) -> Self {
        match value.number() {
            Some(Number::Integer(_)) => Self::Integer,
            Some(Number::Float(_)) => Self::Float,
            None if value.text().is_some() => Self::Text,
            None if value.flag().is_some() => Self::Flag,
            None if value.items().is_some() => Self::List,
            None if value.is_null() => Self::Null,
            None => Self::Map,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const NAMES: Names<'_> = Names {
        application: "ingress-nginx",
        namespace: "web",
        bucket: "ingress_nginx",
        endpoint: "controller",
        cluster_domain: "cluster.local",
    };

    #[rstest]
    #[case("{bucket}", "ingress_nginx")]
    #[case("a{application}b{endpoint}c", "aingress-nginxbcontrollerc")]
    #[case("${INFLUX_TOKEN}", "${INFLUX_TOKEN}")]
    #[case("${A:-{x}{namespace}", "${A:-{x}web")]
    #[case("@{vault:token}", "@{vault:token}")]
    #[case("{{ .token }}", "{ .token }}")]
    #[case("{{{namespace}}", "{web}")]
    #[case("", "")]
    #[case("}", "}")]
    fn fills(#[case] text: &str, #[case] filled: &str) {
        assert_eq!(Template::parse(text, Scope::Endpoint).unwrap().fill(&NAMES), filled);
    }

    #[rstest]
    #[case("{app}", Scope::Endpoint)]
    #[case("{endpoint}", Scope::Source)]
    #[case("{application}", Scope::All)]
    #[case("{clusterDomain}", Scope::Source)]
    #[case("{", Scope::Source)]
    #[case("{namespace", Scope::Source)]
    fn refuses_what_is_not_known_here(#[case] text: &str, #[case] scope: Scope) {
        assert!(matches!(Template::parse(text, scope), Err(Problem::Placeholder { .. })));
    }
}
