//! An upper bound for the size of a source's configuration. It is far cheaper than the configuration itself, so admission plans
//! nothing for a source whose configuration is certainly small.

use super::Accepted;
use crate::annotation::Input;
use crate::settings::{Settings, Topology, fill_table};
use crate::telegraf::{Table, Value};

/// The most bytes of a plugin's header, and of what every output gets, such as its `tagpass`.
const PLUGIN: usize = 512;

/// The most bytes of what every input gets: its header, its alias, and the headers of the tables for its tags.
const INPUT: usize = 256;

/// The most bytes in which the TOML writer writes one byte of a text: `\u0001`.
const ESCAPED: usize = 6;

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
        of_class += PLUGIN + table(PLUGIN, &fill_table(instance, &names));
    }
    let mut of_input = INPUT + text(&inputs.name_override.fill(&names)) + global_tags;
    for (tag, value) in &inputs.tags {
        of_input += tag.as_str().len() + text(&value.fill(&names));
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
    match text.bytes().all(is_plain) {
        true => text.len() + ESCAPED,
        false => ESCAPED * (text.len() + 1),
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
    // The name of the plugin and the brackets of a header are added.
    let header = path + 40;
    match entry {
        Value::Literal(literal) => text(literal.as_str()),
        Value::Replaceable(replaceable) => text(replaceable),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => 32,
        Value::List(values) => ESCAPED + values.iter().map(|entry| value(path, entry)).sum::<usize>(),
        Value::Table(inner) => header + table(path, inner),
        Value::Tables(tables) => tables.iter().map(|inner| header + table(path, inner)).sum(),
    }
}
