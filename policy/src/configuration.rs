//! What a Telegraf is configured with: endpoints and class to one table for each file.

use std::collections::BTreeMap;

use crate::annotation::{Declaration, Endpoint, Input, metric_version};
use crate::ordered::ordered_map;
use crate::protocol::EndpointAnswer;
use crate::settings::{Class, Names, Plugins, Settings, TemplateTable, TemplateValue, fill_table, has_placeholder};
use crate::source::Source;
use crate::telegraf::{Key, Table, Value, key, literal};

/// The port on which `outputs.health` answers the probes.
pub(crate) const HEALTH_PORT: u16 = 8888;

/// The whole configuration of a Telegraf that serves one source, or one endpoint of it.
pub(crate) fn of_source(
    source: &Source<'_>,
    declaration: &Declaration,
    endpoints: &[&Endpoint],
    class: &Class,
    settings: &Settings,
) -> Table {
    let endpoint = match endpoints {
        [endpoint] => endpoint.name.as_str(),
        _ => "",
    };
    let names = source.names(settings, endpoint);
    let mut table = of_class(class, &names, declaration.internal);
    let outputs = fill_plugins(&class.outputs, &names);
    add_outputs(&mut table, outputs);
    if !declaration.global_tags.is_empty()
        && let Value::Table(tags) = table
            .entry(key("global_tags"))
            .or_insert_with(|| Value::Table(Table::new()))
    {
        tags.extend(
            declaration
                .global_tags
                .iter()
                .map(|(tag, text)| (tag.clone(), text.clone().into())),
        );
    }
    add_inputs(&mut table, source, endpoints, settings, &BTreeMap::new());
    table
}

/// A class's outputs alone, for those who only ask where they go.
pub(crate) fn outputs_of(class: &Class) -> Table {
    let mut table = Table::new();
    add_outputs(&mut table, fill_plugins(&class.outputs, &Names::NONE));
    table
}

/// The part of `standalone` that all sources share: agent, processors, outputs. Telegraf's own metrics are an input, so
/// that it starts when there is no source.
pub(crate) fn of_all<'a>(class: &Class, sources: impl Iterator<Item = Names<'a>>, settings: &Settings) -> Table {
    let mut table = of_class(class, &Names::NONE, true);
    if settings.inputs.routing_tag.is_some()
        && let Value::Table(agent) = table.entry(key("agent")).or_insert_with(|| Value::Table(Table::new()))
    {
        // An option of the agent alone; in an input Telegraf passes over it.
        agent.insert(key("always_include_local_tags"), Value::Boolean(true));
    }
    let mut outputs: BTreeMap<Key, Vec<Table>> = BTreeMap::new();
    let sources: Vec<_> = sources.collect();
    for (plugin, instances) in &class.outputs {
        let rendered = outputs.entry(plugin.clone()).or_default();
        for instance in instances {
            match &settings.inputs.routing_tag {
                Some(tag) if has_placeholder(instance) => {
                    for names in &sources {
                        let output = routed(instance, tag, names, settings);
                        // Two sources may share a bucket; a metric is written once.
                        if !rendered.contains(&output) {
                            rendered.push(output);
                        }
                    }
                }
                _ => rendered.push(fill_table(instance, &Names::NONE)),
            }
        }
    }
    outputs.retain(|_, instances| !instances.is_empty());
    add_outputs(&mut table, outputs);
    table
}

/// An output that takes only one source's metrics.
fn routed(instance: &TemplateTable, tag: &Key, names: &Names<'_>, settings: &Settings) -> Table {
    let mut output = fill_table(instance, names);
    if let Some(text) = settings.inputs.tags.get(tag) {
        let value = Value::Replaceable(text.fill(names));
        let tagpass = ordered_map([(tag.clone(), Value::List(vec![value]))]);
        output.insert(key("tagpass"), Value::Table(tagpass));
    }
    output
}

/// One source's inputs, for a file of its own beside what [`of_all`] makes.
pub(crate) fn inputs_of_source(source: &Source<'_>, declaration: &Declaration, settings: &Settings) -> Table {
    let mut table = Table::new();
    let endpoints: Vec<_> = declaration.endpoints.iter().collect();
    let tags = declaration
        .global_tags
        .iter()
        .map(|(tag, text)| (tag.clone(), text.clone().into()));
    add_inputs(&mut table, source, &endpoints, settings, &ordered_map(tags));
    table
}

/// Agent, tags and processors of a class.
fn of_class(class: &Class, names: &Names<'_>, internal: bool) -> Table {
    let mut table = Table::new();
    for (name, part) in [("agent", &class.agent), ("global_tags", &class.global_tags)] {
        if !part.is_empty() {
            table.insert(key(name), Value::Table(fill_table(part, names)));
        }
    }
    for (name, plugins) in [("processors", &class.processors), ("aggregators", &class.aggregators)] {
        let plugins = fill_plugins(plugins, names);
        if !plugins.is_empty() {
            table.insert(key(name), Value::Table(tables(plugins)));
        }
    }
    if internal {
        let internal = ordered_map([(key("internal"), vec![Table::new()])]);
        table.insert(key("inputs"), Value::Table(tables(internal)));
    }
    table
}

fn fill_plugins(plugins: &Plugins, names: &Names<'_>) -> BTreeMap<Key, Vec<Table>> {
    let instances = plugins.iter().filter(|(_, instances)| !instances.is_empty());
    let fill = |instances: &Vec<TemplateTable>| instances.iter().map(|instance| fill_table(instance, names)).collect();
    ordered_map(instances.map(|(plugin, instances)| (plugin.clone(), fill(instances))))
}

fn tables(plugins: BTreeMap<Key, Vec<Table>>) -> Table {
    let instances = plugins.into_iter();
    ordered_map(instances.map(|(plugin, instances)| (plugin, Value::Tables(instances))))
}

/// The outputs, and the one that answers the probes: without checks of its own it says that Telegraf lives, not that the
/// database does (<https://github.com/influxdata/telegraf/tree/master/plugins/outputs/health>).
fn add_outputs(table: &mut Table, mut outputs: BTreeMap<Key, Vec<Table>>) {
    let address = literal(&format!("http://:{HEALTH_PORT}"));
    let health = ordered_map([(key("service_address"), address.into())]);
    outputs.insert(key("health"), vec![health]);
    table.insert(key("outputs"), Value::Table(tables(outputs)));
}

fn add_inputs(
    table: &mut Table,
    source: &Source<'_>,
    endpoints: &[&Endpoint],
    settings: &Settings,
    more_tags: &BTreeMap<Key, Value>,
) {
    let inputs = table.entry(key("inputs")).or_insert_with(|| Value::Table(Table::new()));
    let Value::Table(inputs) = inputs else {
        unreachable!("`inputs` is made here and in `of_class`, as a table");
    };
    for endpoint in endpoints {
        let (plugin, input) = input(source, endpoint, settings, more_tags);
        if let Value::Tables(instances) = inputs.entry(plugin).or_insert_with(|| Value::Tables(Vec::new())) {
            instances.push(input);
        }
    }
}

/// One input's plugin and table.
fn input(
    source: &Source<'_>,
    endpoint: &Endpoint,
    settings: &Settings,
    more_tags: &BTreeMap<Key, Value>,
) -> (Key, Table) {
    let names = source.names(settings, endpoint.name.as_str());
    let (plugin, mut table) = match &endpoint.input {
        Input::Prometheus { urls, options, .. } => {
            let options = options.iter().map(|(name, setting)| (key(name), setting.value.clone()));
            let mut table: Table = ordered_map(options);
            table.insert(key("urls"), Value::list(urls.iter().map(|url| url.literal().clone())));
            if let Some(name) = measurement(endpoint, &names, settings) {
                table.insert(key("name_override"), Value::Replaceable(name));
            }
            (key("prometheus"), table)
        }
        Input::Other { plugin, table } => (plugin.clone(), table.clone()),
    };
    // Telegraf names an input by its alias in what it logs.
    table.insert(key("alias"), literal(endpoint.name.as_str()).into());
    let mut tags = more_tags.clone();
    if let Some(Value::Table(own)) = table.remove(&key("tags")) {
        tags.extend(own);
    }
    let fixed = settings.inputs.tags.iter();
    tags.extend(fixed.map(|(tag, text)| (tag.clone(), Value::Replaceable(text.fill(&names)))));
    if !tags.is_empty() {
        table.insert(key("tags"), Value::Table(tags));
    }
    if let Some(tag) = &settings.inputs.routing_tag {
        protect(&mut table, tag);
    }
    (plugin, table)
}

/// Makes sure that the routing tag is ours: a label that was scraped beats an input's tag, so a metric that brings one is
/// dropped. That the tag survives the input's own tag filters is the agent's `always_include_local_tags`, see [`of_all`].
fn protect(table: &mut Table, tag: &Key) {
    let any = Value::list([literal("*")]);
    let tagdrop = table
        .entry(key("tagdrop"))
        .or_insert_with(|| Value::Table(Table::new()));
    if let Value::Table(tagdrop) = tagdrop {
        tagdrop.insert(tag.clone(), any);
    }
}

/// The measurement's name, where it is not the metric's or the plugin's own.
fn measurement(endpoint: &Endpoint, names: &Names<'_>, settings: &Settings) -> Option<String> {
    match &endpoint.input {
        Input::Prometheus {
            options, named: true, ..
        } if metric_version(options) == 2 => Some(settings.inputs.name_override.fill(names)),
        _ => None,
    }
}

/// An endpoint, for people.
pub(crate) fn describe(source: &Source<'_>, endpoint: &Endpoint, class: &Class, settings: &Settings) -> EndpointAnswer {
    let names = source.names(settings, endpoint.name.as_str());
    let of_class = match class.agent.get(&key("interval")) {
        Some(TemplateValue::Text(text)) => Some(text.fill(&names)),
        _ => None,
    };
    let text = |value: &Value| match value {
        Value::Literal(text) => Some(text.as_str().to_owned()),
        Value::Replaceable(text) => Some(text.clone()),
        _ => None,
    };
    let (plugin, urls, own) = match &endpoint.input {
        Input::Prometheus { urls, options, .. } => {
            let urls = urls.iter().map(|url| url.as_str().to_owned()).collect();
            let interval = options.get("interval").and_then(|setting| text(&setting.value));
            ("prometheus".to_owned(), urls, interval)
        }
        Input::Other { plugin, table } => {
            let interval = table.get(&key("interval")).and_then(text);
            (plugin.as_str().to_owned(), Vec::new(), interval)
        }
    };
    EndpointAnswer {
        name: endpoint.name.as_str().to_owned(),
        plugin,
        urls,
        interval: own.or(of_class),
        measurement: measurement(endpoint, &names, settings),
    }
}
