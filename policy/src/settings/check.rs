//! Checks rules that concern several settings. A [kind](super::kind) checks the rules that concern one setting.

use serde_json::Value as Json;

use super::CheckPlugins;
use super::choosing_tags;
use super::databases;
use super::document::{Class, Mutation, Settings};
use super::kind::{CONFIG_DIRECTORY, CONFIG_VOLUME, CREDENTIALS_DIRECTORY, CREDENTIALS_VOLUME};
use super::path::Path;
use super::reader::Reader;
use super::template::has_placeholder;
use crate::diagnostic::Problem;
use crate::telegraf::{OptionBounds, check_name_filters, key};
use crate::well_known::{ROUTING_TAG, STATUS_TAG};

/// Checks parsed settings, and computes the derived fields.
pub(super) fn check(settings: &mut Settings, plugins: CheckPlugins, reader: &mut Reader<'_>) {
    let root = &Path::ROOT;
    default_class(settings, root, reader);
    mutation(settings, root, reader);
    endpoints(settings, root, reader);
    input_defaults(settings, root, reader);
    resources(settings, root, reader);
    volumes(settings, root, reader);
    if plugins == CheckPlugins::Yes {
        #[cfg(feature = "plugins")]
        super::plugins::check(settings, root, reader);
    }
    if settings.topology.is_shared() {
        routing(settings, root, reader);
    }
    databases::check(settings, root, reader);
    derive_tags(settings);
}

fn default_class(settings: &Settings, root: &Path<'_>, reader: &mut Reader<'_>) {
    let class = &*settings.default_class;
    if !settings.classes.contains_key(class) && !reader.is_wrong(&root.name("classes")) {
        let problem = Problem::UnknownDefaultClass {
            class: class.to_owned(),
            known: settings.classes.keys().cloned().collect(),
        };
        reader.report(&root.name("defaultClass"), problem);
    }
}

/// Reports volumes and mounts without a name or a path, and those that would stand in the place of telewarden's own.
fn volumes(settings: &Settings, root: &Path<'_>, reader: &mut Reader<'_>) {
    let pod = root.name("pod");
    for (list, fields, items) in [
        ("volumes", &["name"] as &[_], &settings.pod.volumes),
        ("volumeMounts", &["name", "mountPath"], &settings.pod.volume_mounts),
    ] {
        let list = pod.name(list);
        for (index, item) in items.iter().enumerate() {
            for field in fields {
                let text = item.get(field).and_then(Json::as_str).unwrap_or_default();
                let text = text.trim_end_matches('/');
                let ours = [
                    "",
                    CONFIG_VOLUME,
                    CREDENTIALS_VOLUME,
                    CONFIG_DIRECTORY,
                    CREDENTIALS_DIRECTORY,
                ];
                if ours.contains(&text) {
                    let path = list.index(index);
                    let error = format!("`{path}.{field}` is `{text}`, but must be another text");
                    reader.report(&path, Problem::Settings { error, nearest: None });
                }
            }
        }
    }
}

fn mutation(settings: &Settings, root: &Path<'_>, reader: &mut Reader<'_>) {
    if settings.mutation == Mutation::Resources && settings.topology.is_shared() {
        reader.report(&root.name("mutation"), Problem::MutationInStandalone {});
    }
}

fn endpoints(settings: &Settings, root: &Path<'_>, reader: &mut Reader<'_>) {
    let (endpoints, path) = (&settings.endpoints, root.name("endpoints"));
    for (min_name, min, max_name, max) in [
        (
            "minInterval",
            &endpoints.min_interval,
            "maxInterval",
            &endpoints.max_interval,
        ),
        (
            "minTimeout",
            &endpoints.min_timeout,
            "maxTimeout",
            &endpoints.max_timeout,
        ),
    ] {
        let (min_path, max_path) = (path.name(min_name), path.name(max_name));
        if max < min && !reader.is_wrong(&min_path) && !reader.is_wrong(&max_path) {
            let (min, max) = (min.as_str(), max.as_str());
            let error = format!("`{max_path}` is `{max}`, but must be `{min}` or more, as `{min_path}` is");
            reader.report(&max_path, Problem::Settings { error, nearest: None });
        }
    }
}

fn input_defaults(settings: &Settings, root: &Path<'_>, reader: &mut Reader<'_>) {
    let defaults = &settings.inputs.defaults;
    check_name_filters(defaults, reader.findings);
    // If bounds are invalid, their defaults were read instead.
    if !reader.is_any_wrong_in(&root.name("endpoints")) {
        // The administrator's own interval may be shorter than what annotations may ask for.
        let bounds = OptionBounds {
            min: None,
            ..settings.endpoints.bounds()
        };
        bounds.check(defaults, reader.findings);
    }
}

fn resources(settings: &Settings, root: &Path<'_>, reader: &mut Reader<'_>) {
    let (pod, resources) = (root.name("pod"), &settings.pod.resources);
    let path = pod.name("resources");
    let (requests, limits) = (path.name("requests"), path.name("limits"));
    for (resource, request, limit) in [
        ("cpu", &resources.requests.cpu, &resources.limits.cpu),
        ("memory", &resources.requests.memory, &resources.limits.memory),
    ] {
        let path = requests.name(resource);
        if request > limit && !reader.is_wrong(&path) && !reader.is_wrong(&limits.name(resource)) {
            let problem = Problem::RequestAboveLimit {
                resource,
                request: request.to_string(),
                limit: limit.to_string(),
            };
            reader.report(&path, problem);
        }
    }
}

/// In `standalone`, an output that differs by source selects the metrics of one source by a tag of telewarden. A metric
/// passes if it matches any tag of `tagpass`, so `tagpass` cannot contain another tag.
fn routing(settings: &Settings, root: &Path<'_>, reader: &mut Reader<'_>) {
    let (classes, name) = (root.name("classes"), &*settings.default_class);
    let class = classes.name(name);
    let path = class.name("outputs");
    let outputs = settings.classes.get(name).into_iter().flat_map(|class| &class.outputs);
    for (plugin, instances) in outputs {
        let path = path.name(plugin.as_str());
        for (index, instance) in instances.iter().enumerate() {
            if has_placeholder(instance) && instance.contains_key(&key("tagpass")) {
                let why = "in `standalone`, an output with a placeholder cannot have a `tagpass` of its own";
                reader.report(&path.index(index).name("tagpass"), Problem::Routing { why });
            }
        }
    }
}

fn derive_tags(settings: &mut Settings) {
    let (inputs, classes) = (&mut settings.inputs, &settings.classes);
    for output in classes.values().flat_map(|class| class.outputs.values().flatten()) {
        for tag in choosing_tags::of_output(output) {
            if !inputs.choosing_tags.contains(&tag) {
                inputs.choosing_tags.push(tag);
            }
        }
    }
    let own = inputs.tags.keys().chain(&inputs.choosing_tags);
    let own = own.map(|key| key.as_str().to_owned());
    inputs.reserved_tags.extend(own);
    inputs.reserved_tags.insert(ROUTING_TAG.to_owned());
    inputs.reserved_tags.insert(STATUS_TAG.to_owned());
    if inputs.protect_global_tags {
        let global = classes.values().flat_map(|class: &Class| class.global_tags.keys());
        let global = global.map(|key| key.as_str().to_owned());
        inputs.reserved_tags.extend(global);
    }
}
