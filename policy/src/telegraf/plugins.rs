//! The names of Telegraf's plugins and of their options.
//!
//! They are those of `tables/telegraf.txt`, of all versions in it, as `build.rs` packs them. Types, versions, the options of
//! inner tables and those of parsers are in `tables.rs`, which is not in the module.

use super::nearest;

static PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/plugins.bin"));

/// The kinds of plugins that a class contains.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum PluginKind {
    Outputs,
    Processors,
    Aggregators,
}

impl PluginKind {
    /// The name in Telegraf's configuration and in the settings.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Outputs => "outputs",
            Self::Processors => "processors",
            Self::Aggregators => "aggregators",
        }
    }
}

/// Names of options.
pub(crate) struct OptionNames {
    names: Vec<String>,
    /// True if there may be others: those of a parser.
    is_open: bool,
}

impl OptionNames {
    /// True if it may be the name of an option.
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.is_open || self.names.iter().any(|known| known == name)
    }

    /// The most similar name of an option.
    pub(crate) fn nearest(&self, name: &str) -> Option<String> {
        nearest_name(name, self.names.iter().map(String::as_str).collect())
    }
}

/// The options of a plugin, with those that all plugins of its kind have. `None` if there is no such plugin.
pub(crate) fn options_of(kind: PluginKind, plugin: &str) -> Option<OptionNames> {
    let all = Names::read();
    let kind = &kind.name()[..1];
    let lines = [format!("{kind}.{plugin}"), format!("{kind}.*"), "*".to_owned()];
    let mut names = Vec::new();
    let found = all.add(&|line| lines.iter().any(|wanted| wanted == line), &mut names);
    (found == lines.len()).then_some(())?;
    let has = |name: &str| names.iter().any(|known| known == name);
    let (is_open, has_format) = (has("influx_parser_type"), has("data_format"));
    if has_format {
        // `data_format` says which of them counts; `tables.rs` asks it.
        all.add(&|line| line.starts_with("s."), &mut names);
    }
    Some(OptionNames { names, is_open })
}

/// The options of `[agent]`.
pub(crate) fn options_of_agent() -> OptionNames {
    let mut names = Vec::new();
    Names::read().add(&|line| line == "a", &mut names);
    let is_open = false;
    OptionNames { names, is_open }
}

/// The plugin of a kind that is most similar to a mistyped one.
pub(crate) fn nearest_plugin(kind: PluginKind, plugin: &str) -> Option<String> {
    let all = Names::read();
    let names: Vec<_> = all.texts.lines().map(|line| all.name(line)).collect();
    let prefix = format!("{}.", &kind.name()[..1]);
    let known = names.iter().filter_map(|name| name.strip_prefix(prefix.as_str()));
    nearest_name(plugin, known.filter(|name| *name != "*").collect())
}

/// The name that is most similar to a mistyped one. `influxdb2` is `influxdb_v2` rather than `influxdb`: people leave out
/// anything but the number of a version.
pub(crate) fn nearest_name(name: &str, known: Vec<&str>) -> Option<String> {
    let digits = |name: &str| -> String { name.chars().filter(char::is_ascii_digit).collect() };
    let wanted = digits(name);
    let mut same_digits = known.clone();
    same_digits.retain(|known| digits(known) == wanted);
    let nearest = nearest(name, same_digits.into_iter()).or_else(|| nearest(name, known.into_iter()));
    nearest.map(str::to_owned)
}

/// A text in which a byte stands for a character or a number, or for a pair of bytes: see `build.rs`.
#[derive(Clone, Copy)]
struct Packed {
    /// How many bytes stand for themselves.
    literals: usize,
    pairs: &'static [u8],
    text: &'static [u8],
}

impl Packed {
    fn lines(self) -> impl Iterator<Item = &'static [u8]> {
        self.text.split(|byte| *byte == 0)
    }

    /// Appends what a byte stands for.
    fn unpack(self, byte: u8, out: &mut Vec<u8>) {
        match usize::from(byte).checked_sub(self.literals) {
            None => out.push(byte),
            Some(pair) => {
                self.unpack(self.pairs[2 * pair], out);
                self.unpack(self.pairs[2 * pair + 1], out);
            }
        }
    }
}

/// All names.
struct Names {
    characters: &'static [u8],
    texts: Packed,
    numbers: Packed,
}

impl Names {
    fn read() -> Self {
        let take = |from: &mut &'static [u8], count: usize| -> &'static [u8] {
            let (taken, rest) = from.split_at(count);
            *from = rest;
            taken
        };
        let mut rest = PACKED;
        let count = |rest: &mut &'static [u8]| usize::from(take(rest, 1)[0]);
        let characters = count(&mut rest);
        let characters = take(&mut rest, characters);
        let mut packed = |literals: usize| {
            let pairs = 2 * count(&mut rest);
            let pairs = take(&mut rest, pairs);
            let length = count(&mut rest) + 256 * count(&mut rest);
            let text = take(&mut rest, length);
            Packed { literals, pairs, text }
        };
        let texts = packed(characters.len());
        let mut names = Self {
            characters,
            texts,
            numbers: packed(0),
        };
        names.numbers.literals = names.shared().split(' ').count() + 1;
        names
    }

    /// The options that several plugins have.
    fn shared(&self) -> String {
        self.texts
            .lines()
            .next()
            .map(|line| self.text(line))
            .unwrap_or_default()
    }

    fn text(&self, line: &[u8]) -> String {
        let mut out = Vec::new();
        line.iter().for_each(|byte| self.texts.unpack(*byte, &mut out));
        out.iter().map(|index| self.character(*index)).collect()
    }

    fn character(&self, index: u8) -> char {
        char::from(self.characters[usize::from(index)])
    }

    /// The name at the beginning of a line. No more is unpacked.
    fn name(&self, line: &[u8]) -> String {
        let mut out = Vec::new();
        let mut name = String::new();
        for byte in line {
            self.texts.unpack(*byte, &mut out);
            for index in out.drain(..) {
                match self.character(index) {
                    ' ' => return name,
                    character => name.push(character),
                }
            }
        }
        name
    }

    /// Adds the options of the lines with these names. Answers how many there are.
    fn add(&self, is_wanted: &dyn Fn(&str) -> bool, options: &mut Vec<String>) -> usize {
        let shared = self.shared();
        let mut found = 0;
        for (line, numbers) in self.texts.lines().zip(self.numbers.lines()).skip(1) {
            if !is_wanted(&self.name(line)) {
                continue;
            }
            found += 1;
            options.extend(self.text(line).split(' ').skip(1).map(str::to_owned));
            let mut out = Vec::new();
            numbers.iter().for_each(|byte| self.numbers.unpack(*byte, &mut out));
            let shared = out
                .iter()
                .filter_map(|number| shared.split(' ').nth(usize::from(*number) - 1));
            options.extend(shared.map(str::to_owned));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(PluginKind::Outputs, "influxdb_v2", &["urls", "token", "alias", "tls_ca"])]
    #[case(PluginKind::Outputs, "file", &["files", "data_format", "json_timestamp_units", "metric_buffer_limit"])]
    #[case(PluginKind::Processors, "enum", &["mapping", "order"])]
    #[case(PluginKind::Aggregators, "merge", &["round_timestamp_to", "period"])]
    fn a_plugin_has_its_options(#[case] kind: PluginKind, #[case] plugin: &str, #[case] expected: &[&str]) {
        let options = options_of(kind, plugin).unwrap();
        for expected in expected {
            assert!(options.contains(expected), "{expected} of {plugin}");
        }
        assert!(!options.contains("url"), "{plugin}");
    }

    #[rstest]
    #[case("influxdb2", Some("influxdb_v2"))]
    #[case("influxdbv2", Some("influxdb_v2"))]
    #[case("influx", Some("influxdb"))]
    #[case("prometheus", None)]
    #[case("kafka2", Some("kafka"))]
    fn a_misspelt_plugin_has_a_nearest_one(#[case] name: &str, #[case] expected: Option<&str>) {
        assert!(options_of(PluginKind::Outputs, name).is_none());
        assert_eq!(nearest_plugin(PluginKind::Outputs, name).as_deref(), expected);
    }

    #[test]
    fn the_names_are_those_of_the_tables() {
        let (mut plugins, mut options, mut known) = (0, 0, None);
        for line in include_str!("tables/telegraf.txt").lines() {
            let name = line.split_whitespace().next().unwrap_or_default();
            if !line.starts_with(' ') {
                known = [PluginKind::Outputs, PluginKind::Processors, PluginKind::Aggregators]
                    .into_iter()
                    .find_map(|kind| options_of(kind, name.strip_prefix(kind.name())?.strip_prefix('.')?));
                plugins += usize::from(known.is_some());
            } else if let Some(known) = known.as_ref().filter(|_| !line.starts_with("   ")) {
                assert!(known.names.iter().any(|known| known == name), "{name}");
                options += 1;
            }
        }
        assert!(plugins > 110 && options > 1100, "{plugins} plugins, {options} options");
        assert!(options_of(PluginKind::Outputs, "riemann_legacy").is_none());
        assert!(options_of_agent().contains("flush_interval"));
        assert!(!options_of_agent().contains("urls"));
    }

    #[test]
    fn a_plugin_with_a_parser_may_have_any_option() {
        assert!(
            options_of(PluginKind::Processors, "parser")
                .unwrap()
                .contains("json_query")
        );
        assert!(
            !options_of(PluginKind::Processors, "enum")
                .unwrap()
                .contains("json_query")
        );
    }
}
