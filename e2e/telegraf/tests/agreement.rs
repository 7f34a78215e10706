//! The real Telegraf refuses no settings that the core accepts, and the core refuses none that Telegraf runs with, except for
//! a reason that is listed here.
//!
//! The settings are generated from the tables of Telegraf's options: right ones, and right ones with one mistake.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::fs;

use proptest::prelude::Rng;
use proptest::test_runner::{TestRng, TestRunner};
use serde_json::{Map, Value, json};
use telewarden_e2e_telegraf::{IMAGES, refused, repository};
use telewarden_policy::settings;
use telewarden_policy::telegraf::{self, Key, Table, to_toml};

/// How many settings are generated.
const SETTINGS: usize = 2000;

/// Accepted settings that one process of Telegraf reads.
const BATCH: usize = 50;

/// What the built Telegraf has: see `e2e/parts/telegraf/plugins`.
const PLUGINS: [&str; 5] = [
    "outputs.influxdb_v2",
    "outputs.influxdb",
    "outputs.file",
    "outputs.discard",
    "processors.enum",
];

/// Options whose value is one of a few, or must be something that exists. The tables know its type only, so the generator
/// writes a right one, and never a wrong one of the same type.
const VALUES: &[(&str, &str)] = &[
    ("urls", "http://127.0.0.1:1"),
    ("local_address", "127.0.0.1"),
    ("http_proxy", "http://127.0.0.1:2"),
    ("content_encoding", "identity"),
    ("compression_algorithm", "gzip"),
    ("write_consistency", "any"),
    ("tls_min_version", "TLS12"),
    ("tls_cipher_suites", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
    ("tls_renegotiation_method", "never"),
    ("files", "stdout"),
    ("log_level", "debug"),
    ("startup_error_behavior", "ignore"),
    ("buffer_strategy", "memory"),
    ("logformat", "text"),
    ("logtarget", "stderr"),
    ("snmp_translator", "gosmi"),
    ("log_with_timezone", "local"),
    ("metricpass", "name == 'a'"),
    ("data_format", "influx"),
    ("labels", "a"),
];

/// Options that are not generated: files that must exist, and those whose values depend on another option.
const LEFT_OUT: &[&str] = &[
    "tls_ca",
    "tls_cert",
    "tls_key",
    "tls_key_pwd",
    "statefile",
    "logfile",
    "buffer_directory",
    "skip_processors_before_aggregators",
    "compression_level",
];

/// Settings that the core accepts and Telegraf refuses, and why. They are not generated: see `VALUES` and `LEFT_OUT`.
const LOOSER: &[(&str, &str)] = &[
    (
        "a plugin's own code takes one of several texts",
        r#"{"outputs": {"influxdb_v2": [{"content_encoding": "zip"}]}}"#,
    ),
    (
        "the value of one option depends on another one",
        r#"{"outputs": {"file": [{"compression_level": 9}]}}"#,
    ),
    (
        "two options contradict each other",
        r#"{"agent": {"skip_processors_after_aggregators": true, "skip_processors_before_aggregators": true}, "outputs": {"discard": [{}]}}"#,
    ),
    (
        "a file does not exist",
        r#"{"outputs": {"influxdb_v2": [{"tls_ca": "/no/such/file"}]}}"#,
    ),
    (
        "the names and values of labels have rules of their own",
        r#"{"outputs": {"discard": [{"labels": {"a": "with spaces"}}]}}"#,
    ),
    (
        "an expression is wrong",
        r#"{"outputs": {"discard": [{"metricpass": "name =="}]}}"#,
    ),
    (
        "a duration is negative",
        r#"{"agent": {"collection_offset": "-1s"}, "outputs": {"discard": [{}]}}"#,
    ),
    (
        "a plugin that this test's Telegraf is not built with",
        r#"{"outputs": {"kafka": [{"brokers": ["a:1"], "topic": "b"}]}}"#,
    ),
];

/// True for a mistake that a reason is about.
type Applies = fn(&Mistake) -> bool;

/// Why the core refuses what Telegraf runs with.
const STRICTER: &[(&str, Applies)] = &[
    (
        "Telegraf passes over an option of all plugins whose value has another type, so it would have no effect",
        |mistake| matches!(mistake, Mistake::Type { of_all: true, .. }),
    ),
    (
        "Telegraf passes over an option that plugins of another kind have, so it would have no effect",
        |mistake| matches!(mistake, Mistake::OfAnotherKind { .. }),
    ),
    (
        "Telegraf reads options without a name in its source by any spelling that differs in case and `_` only; telewarden \
         takes the one that is documented",
        |mistake| matches!(mistake, Mistake::Misspelt { plugin, option, .. } if plugin == "agent" || option == "value_mappings"),
    ),
];

/// What is wrong with settings.
#[derive(Clone, Debug)]
#[allow(dead_code, reason = "a test that fails shows it")]
enum Mistake {
    Misspelt {
        plugin: String,
        option: String,
        written: String,
    },
    Plugin {
        written: String,
    },
    Type {
        plugin: String,
        option: String,
        of_all: bool,
    },
    OfAnotherKind {
        plugin: String,
        option: String,
    },
    Removed {
        option: String,
    },
}

/// A line of the tables.
#[derive(Clone, Debug, Default)]
struct Entry {
    name: String,
    kind: String,
    is_old: bool,
    inner: Vec<Entry>,
}

fn tables() -> BTreeMap<String, Entry> {
    let text = fs::read_to_string(repository("policy/src/telegraf/tables/telegraf.txt")).unwrap();
    let mut lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    lines.retain(|line| !line.is_empty());
    let mut root = Entry::default();
    for line in lines {
        let depth = (line.len() - line.trim_start().len()) / 2;
        let mut at = &mut root;
        for _ in 0..depth {
            at = at.inner.last_mut().unwrap();
        }
        let mut words = line.trim_start().splitn(2, ' ');
        let name = words.next().unwrap().to_owned();
        let rest = words.next().unwrap_or_default();
        let kind = rest
            .split(" deprecated ")
            .next()
            .unwrap()
            .split(" since ")
            .next()
            .unwrap();
        at.inner.push(Entry {
            name,
            kind: kind.trim_start_matches("since").to_owned(),
            is_old: line.contains(" deprecated ") || line.contains(" until "),
            inner: Vec::new(),
        });
    }
    root.inner
        .into_iter()
        .map(|entry| (entry.name.clone(), entry))
        .collect()
}

/// Settings of a class, and what is wrong with them.
struct Case {
    class: Value,
    mistake: Option<Mistake>,
}

struct Generator {
    random: TestRng,
    tables: BTreeMap<String, Entry>,
}

impl Generator {
    fn below(&mut self, limit: usize) -> usize {
        self.random.next_u32() as usize % limit
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    /// Some options of a list with right values.
    fn options(&mut self, entries: &[Entry], most: usize) -> Map<String, Value> {
        let mut options = Map::new();
        let entries: Vec<_> = entries
            .iter()
            .filter(|entry| !entry.is_old && !LEFT_OUT.contains(&entry.name.as_str()))
            .collect();
        for _ in 0..self.below(most + 1).min(entries.len()) {
            let entry = entries[self.below(entries.len())];
            let value = self.value(&entry.kind, entry);
            options.insert(entry.name.clone(), value);
        }
        options
    }

    fn value(&mut self, kind: &str, entry: &Entry) -> Value {
        if let Some(inner) = kind.strip_prefix("list of ") {
            return (0..self.below(3)).map(|_| self.value(inner, entry)).collect();
        }
        if let Some(inner) = kind.strip_prefix("map of ") {
            let names = ["tier", "team", "x1"];
            let entries = (0..self.below(3)).map(|index| (names[index].to_owned(), self.value(inner, entry)));
            return Value::Object(entries.collect());
        }
        let number = self.below(1000) + 1;
        match kind {
            "boolean" => json!(number.is_multiple_of(2)),
            "float" => json!(number as f64 + 0.5),
            "duration" => [
                json!(format!("{number}s")),
                json!(format!("{number}d")),
                json!(number),
                json!("0s"),
            ][self.below(4)]
            .clone(),
            "goduration" => [json!(format!("{number}s")), json!(format!("1m{number}ms"))][self.below(2)].clone(),
            "size" => [
                json!(format!("{number}KiB")),
                json!(format!("{number}MB")),
                json!(number),
            ][self.below(3)]
            .clone(),
            "table" => Value::Object(self.options(&entry.inner, 4)),
            "tables" => (0..self.below(2) + 1)
                .map(|_| Value::Object(self.options(&entry.inner, 4)))
                .collect(),
            // `-1` to `9`: levels and counts.
            "integer" => json!(number % 9 + 1),
            "unsigned" | "unsigned16" => json!(number),
            "any" => [json!(number), json!("a"), json!(true), json!(1.5)][self.below(4)].clone(),
            "text" | "secret" | "scalar" => {
                let known = VALUES.iter().find(|(name, _)| *name == entry.name);
                let texts = ["a", "b_c", "with spaces", "ünï"];
                json!(known.map_or(texts[self.below(texts.len())], |(_, value)| *value))
            }
            other => panic!("no value for {} {other}", entry.name),
        }
    }

    /// A class that is right.
    fn class(&mut self) -> Value {
        let agent = self.tables["agent"].inner.clone();
        let mut class = json!({"agent": self.options(&agent, 5), "outputs": {}, "processors": {}});
        for number in 0..1 + self.below(3) {
            // The first one is an output, because a class needs one.
            let plugin = PLUGINS[if number == 0 {
                self.below(4)
            } else {
                self.below(PLUGINS.len())
            }];
            let (kind, name) = plugin.split_once('.').unwrap();
            let mut options = self.options(&self.tables[plugin].inner.clone(), 6);
            options.extend(self.options(&self.tables[&format!("{kind}.*")].inner.clone(), 3));
            if plugin == "outputs.file" {
                options.extend(self.options(&self.tables["serializers.influx"].inner.clone(), 2));
                if self.one_in(2) {
                    options.insert("data_format".to_owned(), json!("influx"));
                }
            }
            let instances = &mut class[kind][name];
            match instances.as_array_mut() {
                Some(instances) => instances.push(Value::Object(options)),
                None => *instances = json!([options]),
            }
        }
        class
    }

    fn case(&mut self) -> Case {
        let mut class = self.class();
        let mistake = match self.one_in(2) {
            true => self.mistake(&mut class),
            false => None,
        };
        Case { class, mistake }
    }

    /// Makes one mistake. `None` if the class has no place for it.
    fn mistake(&mut self, class: &mut Value) -> Option<Mistake> {
        let plugins: Vec<(String, String)> = ["outputs", "processors"]
            .iter()
            .flat_map(|kind| {
                let plugins = class[kind].as_object().unwrap().keys();
                plugins
                    .map(|name| ((*kind).to_owned(), name.clone()))
                    .collect::<Vec<_>>()
            })
            .collect();
        let (kind, name) = plugins[self.below(plugins.len())].clone();
        let is_agent = self.one_in(4);
        let plugin = if is_agent {
            "agent".to_owned()
        } else {
            format!("{kind}.{name}")
        };
        let what = self.below(6);
        if what == 0 {
            let written = self.misspelt(&name)?;
            let plugins = class[&kind].as_object_mut().unwrap();
            let instances = plugins.remove(&name).unwrap();
            plugins.insert(written.clone(), instances);
            let written = format!("{kind}.{written}");
            return (!self.tables.contains_key(&written)).then_some(Mistake::Plugin { written });
        }
        let table = match is_agent {
            true => &mut class["agent"],
            false => &mut class[&kind][&name][0],
        };
        let mut table = table.as_object_mut().unwrap();
        let mut entries = self.tables[&plugin].inner.clone();
        if !is_agent && what == 1 {
            // `period` and `delay` are of aggregators, `order` is of processors, and `collection_jitter` of inputs.
            let foreign = ["period", "delay", "collection_jitter", "grace"];
            let option = foreign[self.below(foreign.len())].to_owned();
            table.insert(option.clone(), json!("1s"));
            return Some(Mistake::OfAnotherKind { plugin, option });
        }
        // In an inner table.
        if let Some(mapping) = entries.iter().find(|entry| entry.name == "mapping").cloned()
            && table.get("mapping").is_some_and(|mapping| mapping.get(0).is_some())
            && self.one_in(2)
        {
            table = table["mapping"][0].as_object_mut().unwrap();
            entries = mapping.inner;
            if what == 2 {
                let option = ["field", "tag"][self.below(2)].to_owned();
                table.insert(option.clone(), json!("a"));
                return Some(Mistake::Removed { option });
            }
        }
        let names: Vec<_> = table.keys().cloned().collect();
        if names.is_empty() {
            return None;
        }
        let option = names[self.below(names.len())].clone();
        if what < 4 {
            let written = self.misspelt(&option)?;
            let is_known = |entries: &[Entry]| entries.iter().any(|entry| entry.name == written);
            let of_all = self.tables.get(&format!("{kind}.*")).map(|all| is_known(&all.inner));
            if is_known(&entries) || of_all == Some(true) {
                return None;
            }
            let value = table.remove(&option).unwrap();
            table.insert(written.clone(), value);
            return Some(Mistake::Misspelt {
                plugin,
                option,
                written,
            });
        }
        let own = entries.iter().find(|entry| entry.name == option);
        let value = self.of_another_type(own.map_or("", |entry| entry.kind.as_str()), &table[&option].clone())?;
        table.insert(option.clone(), value);
        let of_all = own.is_none();
        Some(Mistake::Type { plugin, option, of_all })
    }

    /// A letter too many, too few, or another one.
    fn misspelt(&mut self, name: &str) -> Option<String> {
        let mut letters: Vec<_> = name.chars().collect();
        let at = self.below(letters.len());
        match self.below(3) {
            0 => letters.insert(at, letters[at]),
            1 if letters.len() > 1 => drop(letters.remove(at)),
            _ => letters[at] = 'q',
        }
        let written: String = letters.into_iter().collect();
        (written != name).then_some(written)
    }

    /// A value that no option of this kind may have.
    fn of_another_type(&mut self, kind: &str, value: &Value) -> Option<Value> {
        let wrong = match kind {
            "any" => return None,
            "boolean" => [json!("true"), json!(1), json!([true])],
            "integer" | "unsigned" => [json!("5"), json!(1.5), json!(true)],
            "duration" => [json!("soon"), json!(true), json!(["1s"])],
            "size" => [json!("a lot"), json!(1.5), json!({"a": 1})],
            "secret" | "scalar" => [json!(["a"]), json!({"a": "b"}), json!([])],
            "text" => [json!(5), json!(true), json!(["a"])],
            _ if value.is_array() => [json!("a"), json!(5), json!({"a": "b"})],
            _ if value.is_object() => [json!("a"), json!(5), json!(["a"])],
            _ => [json!(5), json!(1.5), json!({"a": 5})],
        };
        let wrong = wrong[self.below(3)].clone();
        (wrong != *value).then_some(wrong)
    }
}

/// The errors of the command.
fn errors(class: &Value) -> Vec<String> {
    let document = json!({"classes": {"default": class}, "pod": {"image": IMAGES[1]}});
    let (_, findings) = settings::read(Some(&document));
    let findings = settings::thorough(Some(&document), findings);
    let errors = findings.into_iter().filter(|finding| finding.is_error());
    errors
        .map(|finding| format!("{} {}", finding.code, finding.message))
        .collect()
}

/// The class as Telegraf's configuration, with an input, without which Telegraf does not start.
fn configuration(class: &Value) -> String {
    let mut document = class.clone();
    document["inputs"] = json!({"internal": [{}]});
    let agent = document["agent"].as_object_mut().unwrap();
    agent.entry("skip_processors_after_aggregators").or_insert(json!(true));
    to_toml(&table(document.as_object().unwrap()))
}

fn table(map: &Map<String, Value>) -> Table {
    map.iter()
        .map(|(name, value)| (Key::new(name).unwrap(), toml(value)))
        .collect()
}

fn toml(value: &Value) -> telegraf::Value {
    match value {
        Value::String(text) => telegraf::Value::Replaceable(text.clone()),
        Value::Bool(value) => telegraf::Value::Boolean(*value),
        Value::Number(number) => match number.as_i64() {
            Some(number) => telegraf::Value::Integer(number),
            None => telegraf::Value::Float(number.as_f64().unwrap()),
        },
        Value::Array(values) if values.iter().any(Value::is_object) => {
            telegraf::Value::Tables(values.iter().map(|value| table(value.as_object().unwrap())).collect())
        }
        Value::Array(values) => telegraf::Value::List(values.iter().map(toml).collect()),
        Value::Object(map) => telegraf::Value::Table(table(map)),
        Value::Null => panic!("no null is generated"),
    }
}

/// The accepted settings that Telegraf refuses, with its error.
fn refused_of<'c>(cases: &[&'c Case]) -> Vec<(&'c Case, String)> {
    let texts: Vec<_> = cases.iter().map(|case| configuration(&case.class)).collect();
    match (refused(IMAGES[1], &texts), cases) {
        (None, _) => Vec::new(),
        (Some(said), [case]) => vec![(case, said)],
        (Some(_), _) => {
            let (first, second) = cases.split_at(cases.len() / 2);
            let mut refused = refused_of(first);
            refused.extend(refused_of(second));
            refused
        }
    }
}

#[test]
fn telegraf_and_the_core_agree_about_settings() {
    let mut generator = Generator {
        random: TestRunner::deterministic().new_rng(),
        tables: tables(),
    };
    let cases: Vec<_> = (0..SETTINGS).map(|_| generator.case()).collect();
    let (accepted, refused_by_core): (Vec<_>, Vec<_>) = cases.iter().partition(|case| errors(&case.class).is_empty());

    let mut wrong = Vec::new();
    for case in &refused_by_core {
        if case.mistake.is_none() {
            wrong.push(format!(
                "the core refuses what is right: {}\n{:#?}",
                case.class,
                errors(&case.class)
            ));
        }
    }
    for batch in accepted.chunks(BATCH) {
        let refused = refused_of(batch).into_iter();
        wrong.extend(refused.map(|(case, said)| {
            format!(
                "the core accepts what Telegraf refuses: {:?}\n{}\n{said}",
                case.mistake, case.class
            )
        }));
    }
    let mut stricter: BTreeMap<&str, usize> = BTreeMap::new();
    let mut both = 0;
    for case in refused_by_core {
        let Some(mistake) = &case.mistake else { continue };
        if refused(IMAGES[1], &[configuration(&case.class)]).is_some() {
            both += 1;
            continue;
        }
        match STRICTER.iter().find(|(_, applies)| applies(mistake)) {
            Some((reason, _)) => *stricter.entry(reason).or_default() += 1,
            None => wrong.push(format!(
                "the core refuses what Telegraf runs with: {mistake:?}\n{}\n{:#?}",
                case.class,
                errors(&case.class)
            )),
        }
    }
    println!(
        "{} accepted by both, {both} refused by both, stricter: {stricter:#?}",
        accepted.len()
    );
    assert!(
        wrong.is_empty(),
        "{} disagreements:\n{}",
        wrong.len(),
        wrong.join("\n\n")
    );
    assert_eq!(
        stricter.len(),
        STRICTER.len(),
        "a reason does not apply any more: {stricter:#?}"
    );
    assert!(accepted.len() > 900 && both > 400, "{} and {both}", accepted.len());
}

#[test]
fn what_only_telegraf_knows_is_listed() {
    for (why, class) in LOOSER {
        let class: Value = serde_json::from_str(class).unwrap();
        assert_eq!(errors(&class), Vec::<String>::new(), "{why}");
        let mut class = class;
        class.as_object_mut().unwrap().entry("agent").or_insert(json!({}));
        assert!(
            refused(IMAGES[1], &[configuration(&class)]).is_some(),
            "Telegraf takes it: {why}"
        );
    }
}
