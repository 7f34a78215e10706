//! An upper bound for the size of a source's configuration. It is far cheaper than the configuration itself, so admission plans
//! nothing for a source whose configuration is certainly small.

use super::Accepted;
use crate::annotation::Input;
use crate::settings::{Names, Settings, Template, TemplateTable, TemplateValue, Topology};
use crate::telegraf::{Table, Value};

/// The most bytes of a plugin's header, and of what every output gets, such as its `tagpass`.
const PLUGIN: usize = 512;

/// The most bytes of what every input gets: its header, its alias, and the headers of the tables for its tags.
const INPUT: usize = 256;

/// The most bytes in which the TOML writer writes one byte of a text: `\u0001`.
const ESCAPED: usize = 6;

/// The most bytes of a number, or of true or false.
const SCALAR: usize = 32;

/// The most bytes that the header of a table in a plugin has, besides the table's name: the name of the plugin, and brackets.
const HEADER: usize = 40;

/// The longest name of an endpoint.
const ENDPOINT: &str = match std::str::from_utf8(&[b'x'; 63]) {
    Ok(name) => name,
    Err(_) => unreachable!(),
};

/// The most bytes that all configurations of a source together have.
pub(crate) fn size_bound(accepted: &Accepted<'_>, settings: &Settings) -> usize {
    let names = accepted.source.names(settings, ENDPOINT);
    let (inputs, endpoints) = (&settings.inputs, &accepted.declaration.endpoints);
    let configurations = match settings.topology {
        Topology::Endpoint => endpoints.len(),
        Topology::Application | Topology::Standalone => 1,
    };
    let global_tags = table(0, &accepted.declaration.global_tags);
    // The health output and Telegraf's own metrics are in each configuration, too.
    let mut of_class = 2 * PLUGIN + global_tags;
    for instance in accepted.class_settings.tables() {
        of_class += PLUGIN + table_of_class(PLUGIN, instance, &names);
    }
    let mut of_input = INPUT + filled(&inputs.name_override, &names) + global_tags;
    for (tag, value) in &inputs.tags {
        of_input += tag.as_str().len() + filled(value, &names);
    }
    // A tag can be in `tagdrop` and in `tagexclude`.
    for tag in &inputs.reserved_tags {
        of_input += 4 * (tag.len() + ESCAPED);
    }
    let mut size = configurations * of_class + endpoints.len() * of_input;
    for endpoint in endpoints {
        match &endpoint.input {
            Input::Prometheus { urls, options, .. } => {
                size += urls.iter().map(|url| text(url.as_str())).sum::<usize>();
                for (name, setting) in options.iter() {
                    size += name.len() + value(2 * name.len(), &setting.value);
                }
            }
            Input::Other { plugin, table: options } => size += table(plugin.as_str().len(), options),
        }
    }
    size
}

fn text(text: &str) -> usize {
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
    // Without an early exit, the compiler checks many bytes at a time.
    match text.bytes().fold(true, |all, byte| all & is_plain(byte)) {
        true => text.len() + ESCAPED,
        false => ESCAPED * (text.len() + 1),
    }
}

/// A text of the settings with the values of its placeholders.
fn filled(template: &Template, names: &Names<'_>) -> usize {
    match template.has_placeholder() {
        true => text(&template.fill(names)),
        false => text(&template.literal_text()),
    }
}

/// The same as [`table`], for a table of a class.
fn table_of_class(path: usize, entries: &TemplateTable, names: &Names<'_>) -> usize {
    let mut size = 0;
    for (key, entry) in entries {
        let key = key.as_str().len();
        size += key + value_of_class(path + key + 1, entry, names);
    }
    size
}

/// The same as [`value`], for a value of a class.
fn value_of_class(path: usize, entry: &TemplateValue, names: &Names<'_>) -> usize {
    let header = path + HEADER;
    match entry {
        TemplateValue::Text(template) => filled(template, names),
        TemplateValue::Integer(_) | TemplateValue::Float(_) | TemplateValue::Boolean(_) => SCALAR,
        TemplateValue::List(values) => {
            let values = values.iter().map(|entry| value_of_class(path, entry, names));
            ESCAPED + values.sum::<usize>()
        }
        TemplateValue::Table(inner) => header + table_of_class(path, inner, names),
        TemplateValue::Tables(tables) => {
            let tables = tables.iter().map(|inner| header + table_of_class(path, inner, names));
            tables.sum()
        }
    }
}

/// `path` is the length of the table's name.
fn table(path: usize, entries: &Table) -> usize {
    let mut size = 0;
    for (key, entry) in entries {
        let key = key.as_str().len();
        size += key + value(path + key + 1, entry);
    }
    size
}

/// `path` is the length of the name of a table that the value may be.
fn value(path: usize, entry: &Value) -> usize {
    let header = path + HEADER;
    match entry {
        Value::Literal(literal) => text(literal.as_str()),
        Value::Replaceable(replaceable) => text(replaceable),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => SCALAR,
        Value::List(values) => ESCAPED + values.iter().map(|entry| value(path, entry)).sum::<usize>(),
        Value::Table(inner) => header + table(path, inner),
        Value::Tables(tables) => tables.iter().map(|inner| header + table(path, inner)).sum(),
    }
}
