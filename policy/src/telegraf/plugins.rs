//! The names of Telegraf's plugins and of their options.
//!
//! They are those of `tables/telegraf.txt`, of all versions in it, as `build.rs` packs them. Types, versions, the options of
//! inner tables and those of parsers are in `tables.rs`, which is not in the module.

use std::str::Split;

use super::nearest;

// The packed text: see `build.rs`.
include!(concat!(env!("OUT_DIR"), "/plugins.rs"));

/// The names of all plugins and of their options: a line for each plugin, such as `outputs.file`, a space, and its options with
/// spaces between them.
pub(crate) struct Names(String);

impl Names {
    /// Unpacks them.
    pub(crate) fn read() -> Self {
        let text = unpack(TEXT, PAIRS, CHARACTERS.len());
        let numbers = unpack(NUMBERS, PAIRS_OF_NUMBERS, NUMBERED + 1);
        let mut characters = String::new();
        for index in text {
            characters.push(char::from(CHARACTERS[usize::from(index)]));
        }
        let mut lines = characters.split('\n');
        let shared: Vec<_> = lines.next().unwrap_or_default().split(' ').collect();
        let mut out = String::new();
        let mut line = lines.next();
        for number in numbers {
            out.push_str(line.take().unwrap_or_default());
            out.push(' ');
            match usize::from(number).checked_sub(1) {
                Some(index) => out.push_str(shared[index]),
                None => {
                    out.push('\n');
                    line = lines.next();
                }
            }
        }
        Self(out)
    }

    /// The options of a plugin such as `outputs.file`, with those that all plugins of its kind have, and with spaces between
    /// them. `None` if there is no such plugin.
    pub(crate) fn options_of(&self, plugin: &str) -> Option<String> {
        let own = self.line(plugin)?;
        let mut options = own.to_owned();
        if has(own, "data_format") {
            // `data_format` says which of them counts; `tables.rs` asks it.
            for line in self.lines() {
                if line.starts_with("serializers.") {
                    options.push_str(line);
                }
            }
        }
        if let Some((kind, _)) = plugin.split_once('.') {
            options.push_str(self.line(&format!("{kind}.*"))?);
            options.push_str(self.line("*")?);
        }
        Some(options)
    }

    /// The plugin of a kind that is most similar to a mistyped one.
    pub(crate) fn nearest_plugin(&self, kind: &str, plugin: &str) -> Option<String> {
        let mut names = Vec::new();
        for line in self.lines() {
            let name = line.split(' ').next().unwrap_or_default();
            if let Some((of, name)) = name.split_once('.')
                && of == kind
                && name != "*"
            {
                names.push(name);
            }
        }
        nearest_name(plugin, names)
    }

    fn lines(&self) -> Split<'_, char> {
        self.0.split('\n')
    }

    fn line(&self, plugin: &str) -> Option<&str> {
        self.lines()
            .find_map(|line| line.strip_prefix(plugin)?.strip_prefix(' '))
    }
}

/// True if it may be one of a plugin's options. With a parser, it may have any.
pub(crate) fn has(options: &str, name: &str) -> bool {
    let mut options = options.split(' ');
    options.any(|option| option == name || option == "influx_parser_type")
}

/// The name that is most similar to a mistyped one. `influxdb2` is `influxdb_v2` rather than `influxdb`: people leave out
/// anything but the number of a version.
pub(crate) fn nearest_name(name: &str, known: Vec<&str>) -> Option<String> {
    let number = name.bytes().last().filter(u8::is_ascii_digit);
    let same_number = known.iter().copied().filter(|known| known.bytes().last() == number);
    let nearest = nearest(name, same_number).or_else(|| nearest(name, known.iter().copied()));
    nearest.map(str::to_owned)
}

/// Bytes from `first` on stand for pairs of bytes.
fn unpack(text: &[u8], pairs: &[[u8; 2]], first: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = Vec::new();
    for byte in text {
        rest.push(*byte);
        while let Some(byte) = rest.pop() {
            match usize::from(byte).checked_sub(first) {
                None => out.push(byte),
                Some(pair) => {
                    rest.push(pairs[pair][1]);
                    rest.push(pairs[pair][0]);
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("outputs.influxdb_v2", &["urls", "token", "alias", "tls_ca"])]
    #[case("outputs.file", &["files", "data_format", "json_timestamp_units", "metric_buffer_limit"])]
    #[case("processors.enum", &["mapping", "order"])]
    #[case("aggregators.merge", &["round_timestamp_to", "period"])]
    #[case("agent", &["flush_interval", "omit_hostname"])]
    fn a_plugin_has_its_options(#[case] plugin: &str, #[case] expected: &[&str]) {
        let options = Names::read().options_of(plugin).unwrap();
        for expected in expected {
            assert!(has(&options, expected), "{expected} of {plugin}");
        }
        assert!(!has(&options, "url"), "{plugin}");
    }

    #[rstest]
    #[case("influxdb2", Some("influxdb_v2"))]
    #[case("influxdbv2", Some("influxdb_v2"))]
    #[case("influx", Some("influxdb"))]
    #[case("prometheus", None)]
    #[case("kafka2", Some("kafka"))]
    fn a_misspelt_plugin_has_a_nearest_one(#[case] name: &str, #[case] expected: Option<&str>) {
        let names = Names::read();
        assert!(names.options_of(&format!("outputs.{name}")).is_none());
        assert_eq!(names.nearest_plugin("outputs", name).as_deref(), expected);
    }

    #[test]
    fn the_names_are_those_of_the_tables() {
        let (mut plugins, mut options) = (0, 0);
        let names = Names::read();
        let mut known = None;
        for line in include_str!("tables/telegraf.txt").lines() {
            let name = line.split_whitespace().next().unwrap_or_default();
            if !line.starts_with(' ') {
                known = names.options_of(name);
                plugins += usize::from(known.is_some());
            } else if let Some(known) = known.as_ref().filter(|_| !line.starts_with("   ")) {
                assert!(known.split(' ').any(|known| known == name), "{name}");
                options += 1;
            }
        }
        assert!(plugins > 110 && options > 1100, "{plugins} plugins, {options} options");
        for unknown in ["outputs.riemann_legacy", "inputs.cpu", "parsers.json"] {
            assert!(names.options_of(unknown).is_none(), "{unknown}");
        }
    }

    #[test]
    fn a_plugin_with_a_parser_may_have_any_option() {
        let options = |plugin: &str| Names::read().options_of(plugin).unwrap();
        assert!(has(&options("processors.parser"), "json_query"));
        assert!(!has(&options("processors.enum"), "json_query"));
    }
}
