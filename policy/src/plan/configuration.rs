//! Telegraf's configuration: converts endpoints and a class to one table for each file.

use super::{Accepted, database};
use crate::annotation::{Endpoint, Input};
use crate::protocol::EndpointAnswer;
use crate::settings::{
    CREDENTIALS_DIRECTORY, Class, DATABASE_PLUGIN, Names, Plugins, Settings, TemplateTable, TemplateValue, fill_table,
    has_placeholder,
};
use crate::source::Source;
use crate::telegraf::{Key, Literal, Table, Value, key, literal, metric_version};
use crate::well_known::{ALL_SOURCES, ROUTING_TAG, STATUS_TAG};

/// The port of `outputs.health`, for the pod's probes.
pub(crate) const HEALTH_PORT: u16 = 8888;

/// The complete configuration of a Telegraf for one source, or for one endpoint of it.
pub(super) fn of_source(accepted: &Accepted<'_>, endpoints: &[&Endpoint], settings: &Settings) -> Table {
    let Accepted {
        source,
        declaration,
        class_settings: class,
        ..
    } = accepted;
    let names = source.names(settings, endpoint_name(endpoints));
    let mut table = of_class(class, &names, declaration.internal, settings);
    let mut outputs = fill_plugins(&class.outputs, &names);
    finish_outputs(&mut outputs, None, settings);
    add_outputs(&mut table, outputs);
    add_health(&mut table);
    if !declaration.global_tags.is_empty()
        && let Value::Table(tags) = table.get_or_insert_with(key("global_tags"), || Value::Table(Table::default()))
    {
        tags.extend(declaration.global_tags.clone());
    }
    let tags = InputTags::of(class, settings);
    add_inputs(&mut table, source, endpoints, &tags, settings);
    table
}

/// The value of `{endpoint}` in outputs.
pub(super) fn endpoint_name<'a>(endpoints: &[&'a Endpoint]) -> &'a str {
    match endpoints {
        [endpoint] => endpoint.name.as_str(),
        _ => "",
    }
}

/// Only a class's outputs, to determine their addresses.
pub(super) fn outputs_of(class: &Class) -> Table {
    let mut table = Table::default();
    add_outputs(&mut table, fill_plugins(&class.outputs, &Names::NONE));
    table
}

/// The part of `standalone` that all sources share: agent, processors, and the outputs that are the same for all sources.
/// Telegraf's own metrics are an input, so that it starts when there is no source.
pub(super) fn shared_by_all(class: &Class, settings: &Settings) -> Table {
    let mut table = of_class(class, &Names::NONE, true, settings);
    add_outputs(&mut table, outputs_in_standalone(class, &Names::NONE, None, settings));
    add_health(&mut table);
    table
}

/// The part of one source in `standalone`: its inputs, and the outputs that differ by source.
pub(super) fn part_of_source(accepted: &Accepted<'_>, settings: &Settings) -> Table {
    let Accepted {
        source,
        declaration,
        class_settings: class,
        ..
    } = accepted;
    let identity = literal(&source.identity.to_string());
    let mut table = Table::default();
    let names = source.names(settings, "");
    add_outputs(
        &mut table,
        outputs_in_standalone(class, &names, Some(&identity), settings),
    );
    let mut tags = InputTags::of(class, settings);
    tags.more = declaration.global_tags.clone();
    tags.fixed.insert(key(ROUTING_TAG), identity.into());
    tags.dropped.push(key(ROUTING_TAG));
    let endpoints: Vec<_> = declaration.endpoints.iter().collect();
    add_inputs(&mut table, source, &endpoints, &tags, settings);
    table
}

/// Outputs in `standalone`. With a source's identity: those that differ by source, restricted to its metrics. Without:
/// those that are the same for all sources.
fn outputs_in_standalone(class: &Class, names: &Names<'_>, source: Option<&Literal>, settings: &Settings) -> Table {
    let holder = source.map_or(ALL_SOURCES, Literal::as_str);
    let mut outputs = plugin_tables(&class.outputs, |plugin, instance| {
        if has_placeholder(instance) != source.is_some() {
            return None;
        }
        let mut output = fill_table(instance, names);
        let is_database = plugin.as_str() == DATABASE_PLUGIN;
        if is_database
            && let Some(need) = database::of_output(holder, instance, (class, names), settings)
            && need.database.token.is_some()
        {
            let variable = format!("${{{}}}", need.variable_in_pod(settings));
            output.insert(key("token"), Value::Replaceable(variable));
        }
        if let Some(source) = source {
            // A metric passes if it matches any tag of `tagpass`, so there must be no other tag. `settings/check.rs` refuses
            // one.
            let tagpass = Table::from_iter([(key(ROUTING_TAG), Value::list([source.clone()]))]);
            output.insert(key("tagpass"), Value::Table(tagpass));
        }
        exclude_tags(&mut output, [key(ROUTING_TAG)]);
        Some(output)
    });
    finish_outputs(&mut outputs, source.map(Literal::as_str), settings);
    outputs
}

/// Gives each output a name, by which Telegraf's log and its own metrics tell them apart, and keeps those metrics that are for
/// the operator out of it. `holder` is the source that the outputs belong to, if other sources have outputs beside them.
fn finish_outputs(outputs: &mut Table, holder: Option<&str>, settings: &Settings) {
    for (plugin, instances) in outputs.iter_mut() {
        let Value::Tables(instances) = instances else { continue };
        for (index, output) in instances.iter_mut().enumerate() {
            let name = format!("{}-{}", plugin.as_str(), index + 1);
            let name = || Value::Replaceable(alias(holder, &name));
            output.get_or_insert_with(key("alias"), name);
            if settings.status {
                drop_metrics_with(output, &[key(STATUS_TAG)]);
            }
        }
    }
}

/// The `alias` of a plugin's instance. If sources share a Telegraf, each of its own names begins with the source's.
fn alias(holder: Option<&str>, name: &str) -> String {
    match holder {
        Some(holder) => format!("{holder}/{name}"),
        None => name.to_owned(),
    }
}

/// How an input's tags are changed, in addition to its endpoint's options.
struct InputTags {
    /// Default tags, which the endpoint's own tags override.
    more: Table,
    /// Tags that override all others.
    fixed: Table,
    /// Scraped labels by which outputs select. A metric with such a label is dropped.
    dropped: Vec<Key>,
    /// Scraped labels that would override a tag of the settings. They are removed.
    removed: Vec<Key>,
}

impl InputTags {
    fn of(class: &Class, settings: &Settings) -> Self {
        let inputs = &settings.inputs;
        let global = class.global_tags.keys().filter(|_| inputs.protect_global_tags);
        let chosen = |tag: &&Key| !inputs.choosing_tags.contains(tag) && !inputs.tags.contains_key(*tag);
        let of_inputs = inputs.tags.keys().filter(|tag| !inputs.choosing_tags.contains(tag));
        let mut removed: Vec<Key> = of_inputs.cloned().collect();
        removed.extend(global.filter(chosen).cloned());
        if settings.status {
            removed.push(key(STATUS_TAG));
        }
        Self {
            more: Table::default(),
            fixed: Table::default(),
            dropped: inputs.choosing_tags.clone(),
            removed,
        }
    }
}

/// Adds the agent, tags, processors and aggregators of a class.
fn of_class(class: &Class, names: &Names<'_>, internal: bool, settings: &Settings) -> Table {
    let mut table = Table::default();
    for (name, part) in [("agent", &class.agent), ("global_tags", &class.global_tags)] {
        if !part.is_empty() {
            table.insert(key(name), Value::Table(fill_table(part, names)));
        }
    }
    // Options of the agent alone: Telegraf passes over them in an input. They put back the tags of ours that an input's
    // filters removed, so that a scraped label cannot stand in their place
    // (<https://docs.influxdata.com/telegraf/v1/configuration/#agent-configuration>).
    if let Value::Table(agent) = table.get_or_insert_with(key("agent"), || Value::Table(Table::default())) {
        agent.insert(key("always_include_local_tags"), Value::Boolean(true));
        if settings.inputs.protect_global_tags && !class.global_tags.is_empty() {
            agent.insert(key("always_include_global_tags"), Value::Boolean(true));
        }
    }
    for (name, plugins) in [("processors", &class.processors), ("aggregators", &class.aggregators)] {
        let plugins = fill_plugins(plugins, names);
        if !plugins.is_empty() {
            table.insert(key(name), Value::Table(plugins));
        }
    }
    if internal {
        let internal = Table::from_iter([(key("internal"), Value::Tables(vec![Table::default()]))]);
        table.insert(key("inputs"), Value::Table(internal));
    }
    table
}

fn fill_plugins(plugins: &Plugins, names: &Names<'_>) -> Table {
    plugin_tables(plugins, |_, instance| Some(fill_table(instance, names)))
}

/// Filters the instances of plugins. Plugins without instances are removed.
fn plugin_tables(plugins: &Plugins, keep: impl Fn(&Key, &TemplateTable) -> Option<Table>) -> Table {
    let kept = plugins.iter().filter_map(|(plugin, instances)| {
        let instances: Vec<_> = instances.iter().filter_map(|instance| keep(plugin, instance)).collect();
        (!instances.is_empty()).then(|| (plugin.clone(), Value::Tables(instances)))
    });
    Table::from_iter(kept)
}

fn add_outputs(table: &mut Table, outputs: Table) {
    if !outputs.is_empty() {
        table.insert(key("outputs"), Value::Table(outputs));
    }
}

/// Adds the output that answers the probes: without checks of its own it says that Telegraf lives, not that the database
/// does (<https://github.com/influxdata/telegraf/tree/master/plugins/outputs/health>).
fn add_health(table: &mut Table) {
    let address = literal(&format!("http://:{HEALTH_PORT}"));
    let health = Table::from_iter([(key("service_address"), address.into())]);
    let outputs = table.get_or_insert_with(key("outputs"), || Value::Table(Table::default()));
    if let Value::Table(outputs) = outputs {
        outputs.insert(key("health"), Value::Tables(vec![health]));
    }
}

fn add_inputs(table: &mut Table, source: &Source<'_>, endpoints: &[&Endpoint], tags: &InputTags, settings: &Settings) {
    let inputs = table.get_or_insert_with(key("inputs"), || Value::Table(Table::default()));
    let Value::Table(inputs) = inputs else {
        unreachable!("`inputs` is made here and in `of_class`, as a table");
    };
    for endpoint in endpoints {
        let (plugin, input) = input(source, endpoint, tags, settings);
        if let Value::Tables(instances) = inputs.get_or_insert_with(plugin, || Value::Tables(Vec::new())) {
            instances.push(input);
        }
    }
}

/// The plugin and the table of one input.
fn input(source: &Source<'_>, endpoint: &Endpoint, tags: &InputTags, settings: &Settings) -> (Key, Table) {
    let names = source.names(settings, endpoint.name.as_str());
    let (plugin, mut table) = match &endpoint.input {
        Input::Prometheus {
            urls,
            options,
            credentials,
            ..
        } => {
            let options = options.iter().map(|(name, setting)| (key(name), setting.value.clone()));
            let mut table: Table = Table::from_iter(options);
            for credential in credentials {
                let value = match credential.is_file() {
                    true => literal(&format!("{CREDENTIALS_DIRECTORY}/{}", credential.path())).into(),
                    false => Value::Replaceable(format!("${{{}}}", credential.variable())),
                };
                table.insert(key(credential.option), value);
            }
            table.insert(key("urls"), Value::list(urls.iter().map(|url| url.literal().clone())));
            if let Some(name) = measurement(endpoint, &names, settings) {
                table.insert(key("name_override"), Value::Replaceable(name));
            }
            (key("prometheus"), table)
        }
        Input::Other { plugin, table } => (plugin.clone(), table.clone()),
    };
    let identity = source.identity.to_string();
    let holder = settings.topology.is_shared().then_some(identity.as_str());
    table.insert(key("alias"), literal(&alias(holder, endpoint.name.as_str())).into());
    let mut own = tags.more.clone();
    if let Some(Value::Table(of_endpoint)) = table.remove(&key("tags")) {
        let is_protected = |tag: &Key| tags.removed.contains(tag) || tags.dropped.contains(tag);
        own.extend(of_endpoint.into_iter().filter(|(tag, _)| !is_protected(tag)));
    }
    let fixed = settings.inputs.tags.iter();
    own.extend(fixed.map(|(tag, text)| (tag.clone(), Value::Replaceable(text.fill(&names)))));
    own.extend(tags.fixed.clone());
    if !own.is_empty() {
        table.insert(key("tags"), Value::Table(own));
    }
    drop_metrics_with(&mut table, &tags.dropped);
    exclude_tags(&mut table, tags.removed.iter().cloned());
    (plugin, table)
}

/// Drops metrics with one of the labels, because a scraped label overrides an input's tag.
fn drop_metrics_with(table: &mut Table, tags: &[Key]) {
    if tags.is_empty() {
        return;
    }
    let mut tagdrop = match table.remove(&key("tagdrop")) {
        Some(Value::Table(tagdrop)) => tagdrop,
        _ => Table::default(),
    };
    tagdrop.extend(tags.iter().map(|tag| (tag.clone(), Value::list([literal("*")]))));
    table.insert(key("tagdrop"), Value::Table(tagdrop));
}

/// Adds tags to the `tagexclude` of an input or output.
fn exclude_tags(table: &mut Table, tags: impl IntoIterator<Item = Key>) {
    let mut excluded = match table.remove(&key("tagexclude")) {
        Some(Value::List(excluded)) => excluded,
        _ => Vec::new(),
    };
    excluded.extend(tags.into_iter().map(|tag| Value::from(literal(tag.as_str()))));
    if !excluded.is_empty() {
        table.insert(key("tagexclude"), Value::List(excluded));
    }
}

/// The measurement's name, if the configuration sets it.
fn measurement(endpoint: &Endpoint, names: &Names<'_>, settings: &Settings) -> Option<String> {
    match &endpoint.input {
        Input::Prometheus {
            options, named: true, ..
        } if metric_version(options) == 2 => Some(settings.inputs.name_override.fill(names)),
        _ => None,
    }
}

/// An endpoint for display.
pub(crate) fn describe(accepted: &Accepted<'_>, endpoint: &Endpoint, settings: &Settings) -> EndpointAnswer {
    let class = accepted.class_settings;
    let names = accepted.source.names(settings, endpoint.name.as_str());
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
