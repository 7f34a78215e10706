//! An upper bound for the size of a source's configuration. It is far cheaper than the configuration itself, so admission plans
//! nothing for a source whose configuration is certainly small.

use super::Accepted;
use crate::annotation::Input;
use crate::settings::{Names, Settings, Template, TemplateTable, TemplateValue};
use crate::telegraf::{Table, Value};

/// The most bytes of a plugin's header, and of what every table gets, such as an input's alias or an output's `tagpass`.
const HEADER: usize = 512;

/// The most bytes in which the TOML writer writes one byte of a text: `\u0001`.
const ESCAPED: usize = 6;

/// The longest name of an endpoint.
const ENDPOINT_NAME: usize = 63;

/// The most bytes that all configurations of a source together have, in any topology.
pub(crate) fn size_bound(accepted: &Accepted<'_>, settings: &Settings) -> usize {
    let names = accepted.names(settings);
    let (inputs, endpoints) = (&settings.inputs, &accepted.declaration.endpoints);
    let tables = accepted.class_settings.tables();
    let global_tags = table(0, &accepted.declaration.global_tags);
    // In the topology `endpoint`, the class is in each configuration. Of the health output and of Telegraf's own metrics there
    // is one in each, too.
    let class = tables
        .map(|table| HEADER + template_table(HEADER, table, &names))
        .sum::<usize>()
        + 2 * HEADER
        + global_tags;
    let tags = inputs
        .tags
        .iter()
        .map(|(tag, text)| tag.as_str().len() + template(text, &names));
    let reserved = inputs.reserved_tags.iter().map(|tag| 4 * (tag.len() + ESCAPED));
    let shared =
        2 * HEADER + template(&inputs.name_override, &names) + global_tags + tags.chain(reserved).sum::<usize>();
    let own = endpoints.iter().map(|endpoint| match &endpoint.input {
        Input::Prometheus { urls, options, .. } => {
            let urls = urls.iter().map(|url| text(url.as_str()));
            let options = options
                .iter()
                .map(|(name, setting)| name.len() + value(HEADER, &setting.value));
            urls.chain(options).sum()
        }
        Input::Other { table: options, .. } => table(HEADER, options),
    });
    endpoints.len() * (class + shared) + own.sum::<usize>()
}

fn text(text: &str) -> usize {
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
    match text.bytes().all(is_plain) {
        true => text.len() + ESCAPED,
        false => ESCAPED * (text.len() + 1),
    }
}

fn template(template: &Template, names: &Names<'_>) -> usize {
    let longest = [names.application, names.namespace, names.bucket, names.cluster_domain];
    let longest = longest.into_iter().map(str::len).fold(ENDPOINT_NAME, usize::max);
    ESCAPED * template.longest(longest) + ESCAPED
}

fn table(path: usize, table: &Table) -> usize {
    let entries = table.iter();
    entries
        .map(|(key, entry)| key.as_str().len() + value(path + key.as_str().len(), entry))
        .sum()
}

/// `path` is the length of the name of the table that the value has or is in.
fn value(path: usize, entry: &Value) -> usize {
    match entry {
        Value::Literal(literal) => text(literal.as_str()),
        Value::Replaceable(replaceable) => text(replaceable),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => 32,
        Value::List(values) => ESCAPED + values.iter().map(|entry| value(path, entry)).sum::<usize>(),
        Value::Table(inner) => path + HEADER + table(path, inner),
        Value::Tables(tables) => tables.iter().map(|inner| path + HEADER + table(path, inner)).sum(),
    }
}

fn template_table(path: usize, table: &TemplateTable, names: &Names<'_>) -> usize {
    let entries = table.iter();
    entries
        .map(|(key, entry)| key.as_str().len() + template_value(path + key.as_str().len(), entry, names))
        .sum()
}

fn template_value(path: usize, entry: &TemplateValue, names: &Names<'_>) -> usize {
    let tables = |tables: &[TemplateTable]| {
        let tables = tables.iter();
        tables
            .map(|inner| path + HEADER + template_table(path, inner, names))
            .sum::<usize>()
    };
    match entry {
        TemplateValue::Text(text) => template(text, names),
        TemplateValue::Integer(_) | TemplateValue::Float(_) | TemplateValue::Boolean(_) => 32,
        TemplateValue::List(values) => {
            ESCAPED
                + values
                    .iter()
                    .map(|entry| template_value(path, entry, names))
                    .sum::<usize>()
        }
        TemplateValue::Table(inner) => tables(std::slice::from_ref(inner)),
        TemplateValue::Tables(inner) => tables(inner),
    }
}
