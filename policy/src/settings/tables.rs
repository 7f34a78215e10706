//! Checks the plugins of classes by Telegraf's tables, for hosts that check files: types, the options of inner tables and of
//! data formats, versions, and what is deprecated.

use serde_json::Value as Json;

use super::document::{Class, Settings};
use super::path::Path;
use super::template::{Template, TemplateTable, TemplateValue};
use crate::diagnostic::{Findings, Place, Problem};
use crate::telegraf::{Duration, Entry, Names, Tables, Type, Version, key, nearest_name};

/// Checks what a document says of plugins and of the agent.
pub(super) fn check(document: &Json, settings: &Settings, findings: &mut Findings) {
    let tables = Tables::read();
    let mut check = Check {
        version: Version::of_image(&settings.pod.image),
        tables: &tables,
        settings,
        findings,
    };
    check.settings(document);
}

struct Check<'c> {
    tables: &'c Tables,
    /// The version of the pods' image, if it is known.
    version: Option<Version>,
    settings: &'c Settings,
    findings: &'c mut Findings,
}

/// Where an option may come from.
struct Known<'t> {
    /// The options of the plugin, and of its data format.
    own: Vec<&'t Entry>,
    /// The options of all plugins of its kind.
    of_all: &'t [Entry],
    /// True if `data_format` chooses some of them.
    has_format: bool,
    /// True if there may be others, because a variable names the data format.
    is_open: bool,
    /// Telegraf itself, and not a plugin, reads them. It goes on reading those whose removal it has announced.
    is_lasting: bool,
}

impl<'c> Check<'c> {
    fn settings(&mut self, document: &Json) {
        let root = &Path::ROOT;
        let (classes, settings) = (root.name("classes"), self.settings);
        for (name, class) in settings.classes.iter() {
            self.class(class, &classes.name(name));
        }
        self.allowed_inputs(document, root);
    }

    fn class(&mut self, class: &Class, path: &Path<'_>) {
        if let Some(agent) = self.tables.plugin("agent") {
            let known = Known {
                own: agent.inner.iter().collect(),
                of_all: &[],
                has_format: false,
                is_open: false,
                is_lasting: true,
            };
            self.options(&known, &class.agent, &path.name("agent"));
        }
        for (kind, plugins) in class.plugins() {
            let path = path.name(kind);
            for (plugin, instances) in plugins {
                let (path, plugin) = (path.name(plugin.as_str()), plugin.as_str());
                let name = format!("{kind}.{plugin}");
                if self.settings.pod.own_plugins.contains(&name) {
                    continue;
                }
                let Some(entry) = self.tables.plugin(&name) else {
                    let problem = Problem::UnknownPlugin {
                        path: path.to_string(),
                        nearest: Names::read().nearest_plugin(kind, plugin),
                    };
                    self.findings.report(problem, path.place_of_name());
                    continue;
                };
                self.entry(entry, false, &path);
                let of_all = self.tables.plugin(&format!("{kind}.*"));
                let of_all = of_all.map(|all| all.inner.as_slice()).unwrap_or_default();
                for (index, instance) in instances.iter().enumerate().filter(|_| !entry.is_gone) {
                    let path = path.index(index);
                    let known = self.known(entry, of_all, instance, &path);
                    self.options(&known, instance, &path);
                    if let ("outputs.influxdb" | "outputs.influxdb_v2", Some(TemplateValue::List(urls))) =
                        (&*name, instance.get(&key("urls")))
                    {
                        self.addresses(urls, &path.name("urls"));
                    }
                }
            }
        }
    }

    /// Reports addresses of InfluxDB at which Telegraf ends when it connects
    /// (<https://github.com/influxdata/telegraf/blob/master/plugins/outputs/influxdb_v2/influxdb_v2.go>).
    fn addresses(&mut self, urls: &[TemplateValue], path: &Path<'_>) {
        const SCHEMES: [&str; 4] = ["http://", "https://", "unix://", "udp://"];
        for (index, url) in urls.iter().enumerate() {
            let TemplateValue::Text(url) = url else { continue };
            let url = url.literal_text();
            // What a variable stands for is not known.
            if !url.contains('$') && !url.contains("@{") && !SCHEMES.iter().any(|scheme| url.starts_with(scheme)) {
                let path = path.index(index);
                let error = format!("`{path}` must begin with `http://` or `https://`");
                self.findings
                    .report(Problem::Settings { error, nearest: None }, path.place());
            }
        }
    }

    /// Plugins that the `inputs` annotation may use. An unknown one is of the administrator's own build.
    fn allowed_inputs(&mut self, document: &Json, root: &Path<'_>) {
        let (inputs, list) = (root.name("inputs"), &document["inputs"]["allowedPlugins"]);
        let path = inputs.name("allowedPlugins");
        for (index, plugin) in list.as_array().into_iter().flatten().enumerate() {
            let plugin = plugin.as_str().map(|plugin| format!("inputs.{plugin}"));
            if let Some(entry) = plugin.and_then(|plugin| self.tables.plugin(&plugin)) {
                let place = path.index(index).place();
                let what = format!("`{}`, as {path} allows it,", entry.name);
                self.report_versions(entry, false, &what, place);
            }
        }
    }

    /// The options that an instance of a plugin may have.
    fn known(
        &mut self,
        plugin: &'c Entry,
        of_all: &'c [Entry],
        instance: &TemplateTable,
        path: &Path<'_>,
    ) -> Known<'c> {
        let mut own: Vec<_> = plugin.inner.iter().collect();
        let mut is_open = false;
        for (is_used, kind) in [(plugin.has_serializer, "serializers."), (plugin.has_parser, "parsers.")] {
            if !is_used {
                continue;
            }
            let format = match instance.get(&key("data_format")) {
                None => Some("influx".to_owned()),
                Some(TemplateValue::Text(text)) => fixed_text(text),
                // Its type is reported.
                Some(_) => None,
            };
            let Some(format) = format else {
                is_open = true;
                continue;
            };
            let upstream = matches!(instance.get(&key("influx_parser_type")), Some(TemplateValue::Text(text))
                if text.literal_text() == "upstream");
            let name = match kind {
                "parsers." if upstream && format == "influx" => "parsers.influx_upstream".to_owned(),
                _ => format!("{kind}{format}"),
            };
            match self.tables.plugin(&name) {
                Some(format) => own.extend(&format.inner),
                None => {
                    is_open = true;
                    let path = path.name("data_format");
                    let problem = Problem::OptionType {
                        path: path.to_string(),
                        found: format!("`{format}`"),
                        expected: "the name of a data format".to_owned(),
                        instead: None,
                        nearest: nearest_name(&format, self.tables.names(kind).collect()),
                    };
                    self.findings.report(problem, path.place());
                }
            }
        }
        Known {
            own,
            of_all,
            has_format: plugin.has_serializer || plugin.has_parser,
            is_open,
            is_lasting: false,
        }
    }

    fn options(&mut self, known: &Known<'_>, table: &TemplateTable, path: &Path<'_>) {
        for (name, value) in table {
            let name = name.as_str();
            let path = path.name(name);
            let own = known.own.iter().find(|option| option.name == name);
            let of_all = || known.of_all.iter().find(|option| option.name == name);
            match (own, of_all()) {
                (Some(option), _) => {
                    self.entry(option, known.is_lasting, &path);
                    self.clear_text(option, value, &path);
                    self.value(&option.kind, &option.inner, value, &path);
                }
                (None, Some(option)) => {
                    self.entry(option, true, &path);
                    self.value(&option.kind, &option.inner, value, &path);
                }
                // They are read by Telegraf itself, where there is a data format.
                _ if matches!(name, "data_format" | "influx_parser_type") && known.has_format => {
                    self.value(&Type::Text, &[], value, &path);
                }
                _ if known.is_open => {}
                _ => {
                    let names = known.own.iter().copied().chain(known.of_all);
                    let names: Vec<_> = names.map(|option| option.name.as_str()).collect();
                    // `org` is what other tools call the `organization`.
                    let longer = || {
                        let mut longer = names.iter().filter(|known| known.starts_with(name));
                        longer
                            .next()
                            .filter(|_| longer.next().is_none())
                            .map(|name| (*name).to_owned())
                    };
                    // An option of another data format has no similar name that would help.
                    let is_of_format = known.has_format && self.tables.is_of_format(name);
                    let problem = Problem::UnknownPluginOption {
                        path: path.to_string(),
                        nearest: nearest_name(name, names.clone())
                            .or_else(longer)
                            .filter(|_| !is_of_format),
                    };
                    self.findings.report(problem, path.place_of_name());
                }
            }
        }
    }

    /// Warns of a password or token that everybody can read who can read ConfigMaps.
    fn clear_text(&mut self, option: &Entry, value: &TemplateValue, path: &Path<'_>) {
        // Telegraf protects names and addresses in the same way.
        let is_password = ["password", "token", "secret", "key", "credentials"]
            .iter()
            .any(|end| option.name.ends_with(end));
        let is_fixed = match value {
            TemplateValue::Text(text) => fixed_text(text).is_some_and(|text| !text.is_empty() && !text.contains("@{")),
            TemplateValue::Integer(_) => true,
            _ => false,
        };
        if option.kind == Type::Secret && is_password && is_fixed {
            let problem = Problem::ClearText {
                path: path.to_string(),
                variable: option.name.to_ascii_uppercase(),
            };
            self.findings.report(problem, path.place());
        }
    }

    /// Reports a plugin or an option that the image does not have, or that is deprecated.
    fn entry(&mut self, entry: &Entry, is_lasting: bool, path: &Path<'_>) {
        self.report_versions(entry, is_lasting, &format!("`{path}`"), path.place_of_name());
    }

    fn report_versions(&mut self, entry: &Entry, is_lasting: bool, what: &str, place: Place) {
        let version = self.version.unwrap_or(self.tables.newest).min(self.tables.newest);
        let old = entry.deprecated.as_ref();
        let notice = old.and_then(|old| old.notice.clone());
        let removal = old.and_then(|old| old.removal);
        let is_past = entry.until.is_some_and(|until| version > until)
            || removal.is_some_and(|removal| version >= removal && !is_lasting);
        let problem = if entry.is_gone || is_past {
            Problem::Removed {
                what: what.to_owned(),
                version: removal.map(|version| format!(" {version}")).unwrap_or_default(),
                notice,
            }
        } else if entry.since.is_some_and(|since| version < since) {
            Problem::NotYet {
                what: what.to_owned(),
                since: entry.since.unwrap_or(version).to_string(),
                version: version.to_string(),
            }
        } else if let Some(since) = old.and_then(|old| old.since).filter(|since| version >= *since) {
            Problem::Deprecated {
                what: what.to_owned(),
                since: since.to_string(),
                removal: removal
                    .filter(|removal| version < *removal)
                    .map(|removal| format!(", and will be removed in {removal}"))
                    .unwrap_or_default(),
                notice,
            }
        } else {
            return;
        };
        self.findings.report(problem, place);
    }

    /// Checks a value's type, and the options of inner tables.
    fn value(&mut self, kind: &Type, inner: &[Entry], value: &TemplateValue, path: &Path<'_>) {
        let known = || Known {
            own: inner.iter().collect(),
            of_all: &[],
            has_format: false,
            is_open: false,
            is_lasting: false,
        };
        match (kind, value) {
            (Type::List(kind), TemplateValue::List(values)) => {
                for (index, value) in values.iter().enumerate() {
                    self.value(kind, inner, value, &path.index(index));
                }
            }
            (Type::Map(kind), TemplateValue::Table(table)) => {
                for (name, value) in table {
                    self.value(kind, inner, value, &path.name(name.as_str()));
                }
            }
            (Type::Table, TemplateValue::Table(table)) => self.options(&known(), table, path),
            (Type::Tables, TemplateValue::Tables(tables)) => {
                for (index, table) in tables.iter().enumerate() {
                    self.options(&known(), table, &path.index(index));
                }
            }
            (Type::List(kind), TemplateValue::Tables(tables)) if matches!(**kind, Type::Map(_) | Type::Any) => {
                for (index, table) in tables.iter().enumerate() {
                    let table = TemplateValue::Table(table.clone());
                    self.value(kind, inner, &table, &path.index(index));
                }
            }
            (Type::Tables, TemplateValue::List(values)) if values.is_empty() => {}
            _ if fits(kind, value) => {}
            _ => {
                let problem = Problem::OptionType {
                    path: path.to_string(),
                    found: found(kind, value),
                    expected: kind.expected(),
                    instead: instead(kind, value),
                    nearest: None,
                };
                self.findings.report(problem, path.place());
            }
        }
    }
}

/// The text, if nothing in it is replaced.
fn fixed_text(text: &Template) -> Option<String> {
    let literal = text.literal_text();
    (!text.has_placeholder() && !literal.contains('$')).then(|| literal.into_owned())
}

/// True if Telegraf reads a value that is neither a list nor a map as this type.
fn fits(kind: &Type, value: &TemplateValue) -> bool {
    match (kind, value) {
        (Type::Any, _)
        | (Type::Boolean, TemplateValue::Boolean(_))
        | (Type::Float, TemplateValue::Float(_))
        | (Type::Text, TemplateValue::Text(_))
        | (
            Type::Scalar | Type::Secret,
            TemplateValue::Text(_) | TemplateValue::Integer(_) | TemplateValue::Float(_) | TemplateValue::Boolean(_),
        )
        | (Type::Duration, TemplateValue::Integer(_) | TemplateValue::Float(_))
        | (Type::Size, TemplateValue::Integer(_)) => true,
        (Type::Integer(bits), TemplateValue::Integer(number)) => {
            let limit = 1_i128 << (bits - 1);
            (-limit..limit).contains(&i128::from(*number))
        }
        (Type::Unsigned(bits), TemplateValue::Integer(number)) => (0..1_i128 << bits).contains(&i128::from(*number)),
        (Type::Duration | Type::GoDuration | Type::Size, TemplateValue::Text(text)) => {
            let Some(text) = fixed_text(text) else {
                return true;
            };
            match kind {
                Type::Duration => text.is_empty() || text.parse::<f64>().is_ok() || is_duration(&text),
                Type::GoDuration => !text.contains('d') && is_duration(&text),
                _ => text.is_empty() || text.parse::<i64>().is_ok() || is_size(&text),
            }
        }
        _ => false,
    }
}

/// True for a duration of Telegraf's, which may be zero or negative.
fn is_duration(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    // A duration of zero, in whatever unit, is one where another digit would be.
    let positive = text.replacen('0', "1", 1);
    text == "0" || Duration::parse(text).is_some() || Duration::parse(&positive).is_some()
}

/// True for a size of <https://github.com/alecthomas/units>, which Telegraf reads sizes with.
fn is_size(text: &str) -> bool {
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit
        .strip_suffix('B')
        .map(|unit| unit.strip_suffix('i').unwrap_or(unit));
    number.parse::<f64>().is_ok() && matches!(unit, Some("" | "K" | "k" | "M" | "G" | "T" | "P" | "E"))
}

/// What a value is, for messages.
fn found(kind: &Type, value: &TemplateValue) -> String {
    match value {
        TemplateValue::Text(text) => match fixed_text(text) {
            Some(text) if matches!(kind, Type::Duration | Type::GoDuration | Type::Size) => format!("`{text}`"),
            _ => "text".to_owned(),
        },
        TemplateValue::Integer(number) => format!("`{number}`"),
        TemplateValue::Float(number) => format!("`{number:?}`"),
        TemplateValue::Boolean(value) => format!("`{value}`"),
        TemplateValue::List(_) | TemplateValue::Tables(_) => "a list".to_owned(),
        TemplateValue::Table(_) => "a map".to_owned(),
    }
}

/// The same value in the right type, if it has one.
fn instead(kind: &Type, value: &TemplateValue) -> Option<String> {
    match (kind, value) {
        (Type::Text, TemplateValue::Integer(number)) => Some(format!("\"{number}\"")),
        (Type::Text, TemplateValue::Float(number)) => Some(format!("\"{number:?}\"")),
        (Type::Text, TemplateValue::Boolean(value)) => Some(format!("\"{value}\"")),
        (Type::Float, TemplateValue::Integer(number)) => Some(format!("{number}.0")),
        (Type::GoDuration, TemplateValue::Integer(number)) => Some(format!("{number}s")),
        (Type::List(kind), TemplateValue::Text(text)) if **kind == Type::Text => {
            Some(format!("[\"{}\"]", fixed_text(text)?))
        }
        (Type::Boolean | Type::Integer(_) | Type::Unsigned(_) | Type::Float, TemplateValue::Text(text)) => {
            let text = fixed_text(text)?;
            let value = match text.as_str() {
                "true" | "false" => TemplateValue::Boolean(text == "true"),
                _ => TemplateValue::Integer(text.parse().ok()?),
            };
            fits(kind, &value).then_some(text)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::diagnostic::{Diagnostic, Rule};
    use crate::settings::template::Scope;
    use crate::settings::thorough;

    /// The codes and paths of the findings about a class and the pods' image.
    fn said(image: &str, class: Json) -> Vec<String> {
        let env = ["F", "N", "T", "INFLUX_TOKEN"].map(|name| json!({"name": name, "value": "a"}));
        let document =
            json!({"pod": {"image": image, "env": env, "ownPlugins": ["outputs.mine"]}, "classes": {"default": class}});
        let (_, findings) = crate::settings::read(Some(&document));
        let place = |finding: &Diagnostic| finding.place.clone().map(|place| place.pointer).unwrap_or_default();
        let findings = thorough(Some(&document), findings);
        let below = |pointer: String| pointer.replace("/classes/default/", "");
        findings
            .iter()
            .map(|finding| format!("{} {}", finding.code, below(place(finding))))
            .collect()
    }

    #[rstest]
    #[case::addresses(
        json!({"outputs": {"influxdb_v2": [{"urls": ["influxdb:8086", "http://a", "unix:///a", "$T", "{bucket}:80", ""]}]}}),
        &["TW501 outputs/influxdb_v2/0/urls/0", "TW501 outputs/influxdb_v2/0/urls/4", "TW501 outputs/influxdb_v2/0/urls/5"]
    )]
    #[case::right(json!({"agent": {"interval": 30, "flush_jitter": "1d", "precision": ""}}), &[])]
    #[case::agent(json!({"agent": {"interval": "soon"}}), &["TW523 agent/interval"])]
    #[case::name(json!({"agent": {"intervall": "1s"}}), &["TW522 agent/intervall"])]
    #[case::own(json!({"outputs": {"mine": [{"a": 1}]}}), &[])]
    #[case::unknown(json!({"outputs": {"mime": [{"a": 1}]}}), &["TW521 outputs/mime"])]
    #[case::list(json!({"outputs": {"file": [{"files": ["a", 5]}]}}), &["TW506 outputs/file/0/files"])]
    #[case::item(json!({"outputs": {"file": [{"files": [5]}]}}), &["TW523 outputs/file/0/files/0"])]
    #[case::filter(json!({"outputs": {"file": [{"tagpass": {"a": "b"}}]}}), &["TW523 outputs/file/0/tagpass/a"])]
    #[case::secret(json!({"outputs": {"influxdb_v2": [{"token": 5, "http_headers": {"a": "b"}}]}}),
        &["TW527 outputs/influxdb_v2/0/token"])]
    #[case::clear_text(json!({"outputs": {"http": [{"username": "a", "password": "b"}]}}),
        &["TW527 outputs/http/0/password"])]
    #[case::no_clear_text(json!({"outputs": {"influxdb_v2": [{"token": "${T}"}, {"token": "@{store:a}"}, {"token": ""}]}}), &[])]
    #[case::variable(json!({"outputs": {"influxdb_v2": [{"timeout": "${T}", "concurrent_writes": "${N}"}]}}),
        &["TW523 outputs/influxdb_v2/0/concurrent_writes"])]
    #[case::negative(json!({"outputs": {"influxdb_v2": [{"concurrent_writes": -1}]}}),
        &["TW523 outputs/influxdb_v2/0/concurrent_writes"])]
    #[case::format(json!({"outputs": {"file": [{"data_format": "json", "json_timestamp_units": "1s"}]}}), &[])]
    #[case::other_format(json!({"outputs": {"file": [{"json_timestamp_units": "1s"}]}}),
        &["TW522 outputs/file/0/json_timestamp_units"])]
    #[case::format_in_a_variable(json!({"outputs": {"file": [{"data_format": "${F}", "json_timestamp_units": "1s"}]}}), &[])]
    #[case::no_format(json!({"outputs": {"discard": [{"data_format": "json"}]}}), &["TW522 outputs/discard/0/data_format"])]
    #[case::of_another_kind(json!({"outputs": {"discard": [{"period": "1s"}]}}), &["TW522 outputs/discard/0/period"])]
    #[case::inner(json!({"processors": {"enum": [{"mapping": [{"fields": ["a"], "default": 0, "des": "b"}]}]}}),
        &["TW522 processors/enum/0/mapping/0/des"])]
    #[case::no_list(json!({"processors": {"enum": [{"mapping": {"fields": ["a"]}}]}}), &["TW523 processors/enum/0/mapping"])]
    #[case::parser(json!({"processors": {"parser": [{"data_format": "json", "json_query": "a", "parse_fields": ["b"]}]}}), &[])]
    #[case::no_parser(json!({"processors": {"parser": [{"data_format": "json", "json_queri": "a"}]}}),
        &["TW522 processors/parser/0/json_queri"])]
    fn settings_are_held_against_the_tables(#[case] class: Json, #[case] expected: &[&str]) {
        assert_eq!(said("telegraf:1.40", class), expected);
    }

    #[rstest]
    #[case("telegraf:1.38", &["TW525 outputs/kafka/0/headers", "TW524 outputs/kafka/0/ca"])]
    #[case("telegraf:1.39.2-alpine", &["TW524 outputs/kafka/0/ca"])]
    #[case("telegraf:1.40", &["TW526 outputs/kafka/0/ca"])]
    #[case("telegraf:1.99", &["TW526 outputs/kafka/0/ca"])]
    #[case("telegraf:latest", &["TW526 outputs/kafka/0/ca"])]
    fn the_image_has_what_its_version_has(#[case] image: &str, #[case] expected: &[&str]) {
        let mut said = said(
            image,
            json!({"outputs": {"kafka": [{"headers": {"a": "b"}, "ca": "/ca.pem"}]}}),
        );
        said.sort_by_key(|said| said.ends_with("ca"));
        assert_eq!(said, expected);
    }

    #[test]
    fn allowed_inputs_are_looked_up_too() {
        let document = json!({"inputs": {"allowedPlugins": ["prometheus", "httpjson", "ours"]}});
        let found = thorough(Some(&document), Vec::new());
        let [finding] = found.as_slice() else {
            panic!("{found:#?}")
        };
        assert!(
            finding.is(Rule::Removed) && finding.message.contains("inputs.httpjson"),
            "{finding:#?}"
        );
        assert_eq!(
            finding.place.clone().map(|place| place.pointer),
            Some("/inputs/allowedPlugins/1".to_owned())
        );
    }

    #[rstest]
    #[case("1s", true)]
    #[case("-1m30s", true)]
    #[case("0s", true)]
    #[case("0", true)]
    #[case("1.5d", true)]
    #[case("", false)]
    #[case("1", false)]
    #[case("s", false)]
    #[case("1 s", false)]
    fn durations_are_those_of_telegraf(#[case] text: &str, #[case] expected: bool) {
        assert_eq!(is_duration(text), expected);
        let text = TemplateValue::Text(Template::parse(text, Scope::All).expect("a text"));
        // As an option of a plugin, nothing and a number are one too.
        assert_eq!(
            fits(&Type::Duration, &text),
            expected
                || matches!(&text, TemplateValue::Text(text) if text.literal_text().parse::<f64>().is_ok() || text.literal_text().is_empty())
        );
    }

    #[rstest]
    #[case("20MB", true)]
    #[case("1.5GiB", true)]
    #[case("5B", true)]
    #[case("5", false)]
    #[case("MB", false)]
    #[case("5M", false)]
    #[case("5 MB", false)]
    fn sizes_are_those_of_telegraf(#[case] text: &str, #[case] expected: bool) {
        assert_eq!(is_size(text), expected);
    }
}
