//! The `inputs` annotation: Telegraf's own TOML.
//!
//! For `[[inputs.prometheus]]`, the allow-list and the URL rules are those of the YAML annotation. Option names must
//! match exactly: Telegraf's parser also accepts Go field names such as `bearerToken`, which are refused here as
//! unknown. The endpoint's name is the `alias`, which is Telegraf's name for an instance of a plugin.

use super::endpoints::read_urls;
use super::{Context, Endpoint, Endpoints, Input};
use crate::diagnostic::{Findings, Problem};
use crate::located::{self, Data, Node, from_toml};
use crate::telegraf::{
    Duration, Key, Literal, Options, Origin, Table, Value, is_of_every_input, key, read_options, refuse_unsafe_text,
};

/// Keys of an input's table that are not options.
const OWN_KEYS: &[&str] = &["url", "urls", "alias"];

/// Reads the annotation's inputs.
pub(super) fn read(
    annotation: &str,
    text: &str,
    context: &Context<'_>,
    endpoints: &mut Endpoints,
    findings: &mut Findings,
) {
    let Some(Node {
        data: Data::Map(sections),
        ..
    }) = from_toml(annotation, text, findings)
    else {
        return;
    };
    for (section, node) in &sections {
        let Data::Map(plugins) = &node.data else {
            not_an_input(section.text.clone(), section, findings);
            continue;
        };
        if section.text != "inputs" {
            not_an_input(section.text.clone(), section, findings);
            continue;
        }
        for (plugin, node) in plugins {
            if !context.settings.inputs.allowed_plugins.contains(&plugin.text) {
                let problem = Problem::PluginNotAllowed {
                    plugin: plugin.text.clone(),
                    allowed: context.settings.inputs.allowed_plugins.iter().cloned().collect(),
                };
                findings.report(problem, plugin.place());
                continue;
            }
            let Data::List(instances) = &node.data else {
                not_an_input(format!("inputs.{}", plugin.text), plugin, findings);
                continue;
            };
            for (index, instance) in instances.iter().enumerate() {
                match &instance.data {
                    Data::Map(entries) => {
                        read_instance(plugin, index, instance, entries, context, endpoints, findings);
                    }
                    _ => not_an_input(format!("inputs.{}", plugin.text), plugin, findings),
                }
            }
        }
    }
}

fn not_an_input(name: String, key: &located::Key, findings: &mut Findings) {
    findings.report(Problem::NotAnInput { name }, key.place());
}

fn read_instance(
    plugin: &located::Key,
    index: usize,
    instance: &Node,
    entries: &[(located::Key, Node)],
    context: &Context<'_>,
    endpoints: &mut Endpoints,
    findings: &mut Findings,
) {
    if !endpoints.begin(&instance.spot, context.settings) {
        return;
    }
    let before = findings.errors();
    let alias = entries.iter().find(|(key, _)| key.text == "alias");
    let (text, spot, named) = match alias {
        Some((_, node)) if let Data::Text(text) = &node.data => (text.clone(), &node.spot, true),
        Some((key, node)) => {
            let problem = Problem::WrongOptionType {
                name: key.text.clone(),
                expected: "text",
                found: node.kind(),
                instead: None,
            };
            findings.report(problem, node.place());
            return;
        }
        None => (format!("{}-{}", plugin.text, index + 1), &instance.spot, false),
    };
    let name = endpoints.name(&text, spot, findings);
    let input = if plugin.text == "prometheus" {
        let urls = read_urls(entries, &text, context, endpoints, findings);
        if urls.is_none() {
            findings.report(Problem::NoUrl { name: text.clone() }, instance.place());
        }
        let urls = urls.unwrap_or_default();
        let own = read_options(entries, OWN_KEYS, Origin::Annotation, findings);
        let options = endpoints.complete(context, own, &urls, findings);
        Some(Input::Prometheus {
            urls,
            options,
            credentials: Vec::new(),
            named,
        })
    } else {
        let table = read_other(entries, context, endpoints, findings);
        Key::new(&plugin.text).map(|plugin| Input::Other { plugin, table })
    };
    if let (Some(name), Some(input), true) = (name, input, findings.errors() == before) {
        endpoints.good.push(Endpoint { name, input });
    }
}

/// Reads an allowed plugin's table. Options that Telegraf offers for every input are checked like those of
/// `prometheus`; the others are passed on unchanged.
fn read_other(
    entries: &[(located::Key, Node)],
    context: &Context<'_>,
    endpoints: &mut Endpoints,
    findings: &mut Findings,
) -> Table {
    let mut table = Table::default();
    let mut options = Options::default();
    for entry in entries {
        let (name, node) = (&entry.0, &entry.1);
        if is_of_every_input(&name.text) {
            options.extend(read_options(
                std::slice::from_ref(entry),
                &[],
                Origin::Annotation,
                findings,
            ));
            continue;
        }
        let is_good = if DURATIONS.contains(&name.text.as_str()) {
            node.text()
                .is_some_and(|text| text == "0s" || Duration::parse(&text).is_some_and(|it| it.as_str() == text))
        } else {
            !REFUSED.contains(&name.text.as_str())
        };
        if !is_good {
            let name = name.text.clone();
            findings.report(Problem::UnsupportedPluginValue { name }, node.place());
            continue;
        }
        read_entry(&mut table, name, node, findings);
    }
    endpoints.check_options(&options, context.settings, findings);
    table.extend(options.into_iter().map(|(name, setting)| (key(name), setting.value)));
    table
}

/// Durations other than `interval` that Telegraf offers for every input. Telegraf reads them without days.
const DURATIONS: &[&str] = &["collection_jitter", "collection_offset", "precision"];

/// Options of every input that annotations may not set: deprecated names of filters, and options that end Telegraf when their
/// value is wrong.
const REFUSED: &[&str] = &["fielddrop", "fieldpass", "metricpass", "startup_error_behavior"];

/// An allowed plugin's table, unchanged, if Telegraf would replace nothing in it.
fn read_table(entries: &[(located::Key, Node)], findings: &mut Findings) -> Table {
    let mut table = Table::default();
    for (key, node) in entries {
        read_entry(&mut table, key, node, findings);
    }
    table
}

fn read_entry(table: &mut Table, key: &located::Key, node: &Node, findings: &mut Findings) {
    if refuse_unsafe_text(&key.text, Origin::Annotation, &key.spot, findings) {
        return;
    }
    let Some(name) = Key::new(&key.text) else {
        let name = key.text.clone();
        let what = "an option's name";
        findings.report(Problem::Key { name, what }, key.place());
        return;
    };
    if let Some(value) = read_value(&key.text, node, findings) {
        table.insert(name, value);
    }
}

fn read_value(name: &str, node: &Node, findings: &mut Findings) -> Option<Value> {
    let refuse = |findings: &mut Findings| {
        let name = name.to_owned();
        findings.report(Problem::UnsupportedPluginValue { name }, node.place());
        None
    };
    match &node.data {
        Data::Boolean(value) => Some(Value::Boolean(*value)),
        Data::Integer(number, _) => Some(Value::Integer(*number)),
        Data::Float(number, _) if number.is_finite() => Some(Value::Float(*number)),
        Data::Text(text) => {
            if refuse_unsafe_text(text, Origin::Annotation, &node.spot, findings) {
                return None;
            }
            Literal::new(text).ok().map(Value::Literal)
        }
        Data::List(nodes) => {
            let kind = |node: &Node| std::mem::discriminant(&node.data);
            if nodes.windows(2).any(|pair| kind(&pair[0]) != kind(&pair[1])) {
                return refuse(findings);
            }
            if matches!(nodes.first(), Some(Node { data: Data::Map(_), .. })) {
                let tables = nodes.iter().filter_map(|node| match &node.data {
                    Data::Map(entries) => Some(read_table(entries, findings)),
                    _ => None,
                });
                return Some(Value::Tables(tables.collect()));
            }
            let values: Vec<_> = nodes
                .iter()
                .filter_map(|node| read_value(name, node, findings))
                .collect();
            if values.iter().any(holds_tables) {
                return refuse(findings);
            }
            Some(Value::List(values))
        }
        Data::Map(entries) => Some(Value::Table(read_table(entries, findings))),
        Data::Float(..) | Data::Date(_) | Data::Null => refuse(findings),
    }
}

/// True if the value contains a table, which cannot be written in a list.
fn holds_tables(value: &Value) -> bool {
    match value {
        Value::Table(_) | Value::Tables(_) => true,
        Value::List(values) => values.iter().any(holds_tables),
        _ => false,
    }
}
