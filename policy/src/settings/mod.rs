//! The administrator's settings.
//!
//! | file | what it knows |
//! | --- | --- |
//! | `document.rs` | every setting: name, kind, default, documentation |
//! | `kind.rs` | the kinds of settings: the allowed values, and the types that they are parsed to |
//! | `plugins.rs`, `tables.rs` | what Telegraf knows: names, in the module too; types and versions, for hosts that check files |
//! | `thorough.rs`, `variables.rs`, `clashes.rs` | more checks for the same hosts: variables that no pod has, names that clash |
//! | `choosing_tags.rs` | the tags by which outputs select metrics or destinations |
//! | `check.rs`, `databases.rs` | rules that concern several settings |
//! | `effective.rs` | what is written, merged with the defaults, for hosts that show it |
//! | `reader.rs`, `written.rs`, `node.rs`, `path.rs`, `constant.rs`, `declare.rs` | the macros and types behind the declarations |
//!
//! [`read`] reports all problems of a document at once, and answers [`Settings`], in which all names, patterns and
//! templates are valid.

#[macro_use]
mod declare;
#[macro_use]
mod constant;
mod check;
mod choosing_tags;
#[cfg(feature = "files")]
mod clashes;
mod databases;
mod document;
#[cfg(feature = "host")]
mod effective;
mod kind;
mod node;
mod path;
mod pattern;
#[cfg(feature = "plugins")]
mod plugins;
mod pod_variable;
mod quantity;
mod reader;
mod report;
#[cfg(feature = "files")]
mod tables;
mod template;
#[cfg(feature = "files")]
mod thorough;
mod topology;
#[cfg(feature = "files")]
mod variables;
mod written;

use std::borrow::Cow;

use serde_json::Value as Json;

use self::kind::Kind;
use self::path::Path;
use self::reader::Reader;
use self::written::Written;
use crate::diagnostic::{Diagnostic, Findings, Place, Problem};
use crate::sorted_map::SmallMap;
use crate::telegraf::{Key, OptionBounds};

pub(crate) use databases::{DatabaseOutput, PLUGIN as DATABASE_PLUGIN, outputs as database_outputs};
pub(crate) use document::{Class, Dns, Endpoints, ResourceList, Sources};
pub use document::{LookUp, Mutation, Provide, Reload, Scheme, Settings};
#[cfg(feature = "host")]
pub use effective::effective;
pub(crate) use kind::{CONFIG_DIRECTORY, CONFIG_VOLUME, CREDENTIALS_DIRECTORY, CREDENTIALS_VOLUME, Fields};
pub(crate) use pattern::NamePattern;
pub(crate) use pod_variable::PodVariable;
pub(crate) use quantity::Quantity;
pub use report::report;
pub(crate) use template::{Names, Scope, Template, TemplateTable, TemplateValue, fill_table, has_placeholder, texts};
#[cfg(feature = "files")]
pub use thorough::thorough;
pub use topology::Topology;

impl Settings {
    /// The annotation that contains the endpoints.
    pub fn annotation(&self) -> &str {
        &self.annotation
    }

    /// True if a document of settings can have this name at its top.
    pub fn has(name: &str) -> bool {
        Self::DEFAULT.names().any(|known| known == name)
    }

    /// True if all sources have to be rendered in one call, because they share one Telegraf.
    pub fn need_all_sources(&self) -> bool {
        self.topology.is_shared()
    }

    /// True if the Applications of a namespace are served.
    pub(crate) fn serves(&self, namespace: &str) -> bool {
        let sources = &self.sources;
        sources.argocd_namespace == namespace || sources.application_namespaces.iter().any(|other| other == namespace)
    }

    /// The namespaces whose Applications are served.
    pub(crate) fn application_namespaces(&self) -> Vec<String> {
        let sources = &self.sources;
        let mut namespaces: Vec<_> = sources.application_namespaces.iter().map(Cow::to_string).collect();
        if sources
            .application_namespaces
            .iter()
            .all(|other| *other != sources.argocd_namespace)
        {
            namespaces.insert(0, sources.argocd_namespace.to_string());
        }
        namespaces
    }

    /// True if each source gets a token of its own.
    pub(crate) fn provides_tokens(&self) -> bool {
        self.influxdb.provide == Provide::BucketsAndTokens
    }

    /// True if a text of Telegraf's configuration that the settings contain uses the environment variable `$NAME` or
    /// `${NAME…}`, whatever its placeholders are filled with.
    pub(crate) fn uses_variable(&self, name: &str) -> bool {
        let tables = self.classes.values().flat_map(Class::tables);
        let of_inputs = self.inputs.tags.values().chain([&self.inputs.name_override]);
        let mut templates = tables.flat_map(template::texts).chain(of_inputs);
        let mut of_defaults = Vec::new();
        for (_, setting) in self.inputs.defaults.iter() {
            setting.value.collect_texts(&mut of_defaults);
        }
        templates.any(|text| template::uses_variable(&text.fill(&template::ANY), name))
            || of_defaults.into_iter().any(|text| template::uses_variable(text, name))
    }
}

impl Class {
    /// The tables of all plugins and of the class itself.
    pub(crate) fn tables(&self) -> impl Iterator<Item = &TemplateTable> {
        let plugins = [&self.processors, &self.aggregators, &self.outputs];
        let instances = plugins.into_iter().flat_map(SmallMap::values).flatten();
        [&self.global_tags, &self.agent].into_iter().chain(instances)
    }
}

impl Endpoints {
    /// The limits for an endpoint's options.
    pub(crate) fn bounds(&self) -> OptionBounds<'_> {
        OptionBounds {
            min: Some((&self.min_interval, &self.min_timeout)),
            max_interval: &self.max_interval,
            max_timeout: &self.max_timeout,
            max_content_length: self.max_content_length,
        }
    }
}

/// Plugins by name, each with a table for each instance.
pub(crate) type Plugins = SmallMap<Key, Vec<TemplateTable>>;

/// The default settings, as a document.
pub fn defaults() -> Json {
    Json::from(&Settings::DEFAULT)
}

/// Reads settings. Answers `None` if and only if one of the findings is an error.
pub fn read(document: Option<&Json>) -> (Option<Settings>, Vec<Diagnostic>) {
    read_with(document, CheckPlugins::Yes)
}

/// Reads settings that were accepted before. They come with every request.
pub(crate) fn read_again(document: Option<&Json>) -> (Option<Settings>, Vec<Diagnostic>) {
    read_with(document, CheckPlugins::No)
}

/// Whether the names of Telegraf's plugins and options are checked, which takes longer than everything else.
#[derive(Clone, Copy, Eq, PartialEq)]
enum CheckPlugins {
    Yes,
    No,
}

fn read_with(document: Option<&Json>, plugins: CheckPlugins) -> (Option<Settings>, Vec<Diagnostic>) {
    let mut findings = Findings::default();
    let settings = read_document(document, plugins, &mut findings).filter(|_| !findings.has_error());
    (settings, findings.into_vec())
}

fn read_document(document: Option<&Json>, plugins: CheckPlugins, findings: &mut Findings) -> Option<Settings> {
    let document = document.unwrap_or(&Json::Null);
    let topology = Topology::of(document);
    let mut reader = Reader::new(findings, topology.scopes());
    let mut settings = match document {
        Json::Null => Settings::read_default(&Settings::DEFAULT, &Path::ROOT, &mut reader),
        Json::Object(_) => Settings::read(
            Written::Document(document),
            &Settings::DEFAULT,
            &Path::ROOT,
            &mut reader,
        )?,
        _ => {
            let error = "the settings are not a map".to_owned();
            findings.report(Problem::Settings { error, nearest: None }, Place::pointer(""));
            return None;
        }
    };
    if let Some(limit) = topology.memory_limit(document).and_then(Quantity::parse) {
        settings.pod.resources.limits.memory = limit;
    }
    // The built-in classes have plugins that are known.
    let has_classes = document.get("classes").is_some_and(|classes| !classes.is_null());
    let plugins = if has_classes { plugins } else { CheckPlugins::No };
    check::check(&mut settings, plugins, &mut reader);
    Some(settings)
}

/// Labels and annotations that identify an object's owner: those of Argo CD's tracking, and telewarden's.
pub(crate) fn is_reserved_metadata(name: &str) -> bool {
    matches!(
        name,
        "app.kubernetes.io/instance"
            | "app.kubernetes.io/name"
            | "app.kubernetes.io/component"
            | "app.kubernetes.io/managed-by"
    ) || name.starts_with("argocd.argoproj.io/")
        || crate::annotation_name::without_prefix(name).is_some()
}

/// A DNS label: <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-label-names>.
pub(crate) fn is_dns_label(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty() && text.len() <= 63 && text.chars().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

/// A qualified name, as annotations have:
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/annotations/#syntax-and-character-set>.
fn is_qualified_name(text: &str) -> bool {
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let ends = |c: char| c.is_ascii_alphanumeric();
    let name_is_good = name.len() <= 63 && name.chars().all(inner) && name.starts_with(ends) && name.ends_with(ends);
    let prefix_is_good = |prefix: &str| prefix.len() <= 253 && prefix.split('.').all(is_dns_label);
    name_is_good && prefix.is_none_or(prefix_is_good)
}

/// Telegraf's image. It needs a tag or a digest; if the tag is a version, it must be 1.38 or later.
pub(crate) fn check_image(image: &str) -> Result<(), &'static str> {
    let spelled = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '/' | ':' | '_' | '@' | '-');
    if image.is_empty() || !image.chars().all(spelled) {
        return Err("holds characters that no image's name has");
    }
    if image.contains("@sha256:") {
        return Ok(());
    }
    let last = image.rsplit('/').next().unwrap_or(image);
    let Some((_, tag)) = last.split_once(':') else {
        return Err("has neither a tag nor a digest");
    };
    let mut numbers = tag.trim_start_matches('v').splitn(3, ['.', '-']).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(1)), Some(Ok(minor))) if minor < 38 => Err("is too old"),
        (Some(Ok(0)), _) => Err("is too old"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn good(document: &Json) -> Settings {
        let (settings, findings) = read(Some(document));
        settings.unwrap_or_else(|| panic!("{document}: {findings:#?}"))
    }

    fn same(one: &Settings, other: &Settings) -> bool {
        format!("{one:?}") == format!("{other:?}")
    }

    /// Pointers to every value in the defaults that is not in a list or an open map.
    fn pointers(constant: &constant::Constant, pointer: &str, found: &mut Vec<String>) {
        for (name, value) in constant.entries() {
            let pointer = format!("{pointer}/{name}");
            if !matches!(*name, "tags" | "defaults" | "agent" | "outputs" | "securityContext") {
                pointers(value, &pointer, found);
            }
            found.push(pointer);
        }
    }

    #[rstest]
    #[case("application")]
    #[case("endpoint")]
    #[case("standalone")]
    fn the_defaults_are_settings(#[case] topology: &str) {
        let mut document = defaults();
        document["topology"] = topology.into();
        // The one default that depends on the topology.
        document["pod"]["resources"]["limits"]["memory"] = Json::Null;
        assert!(same(&good(&document), &good(&json!({"topology": topology}))));
    }

    #[rstest]
    #[case(json!({}), "256Mi")]
    #[case(json!({"topology": "endpoint"}), "256Mi")]
    #[case(json!({"topology": "standalone"}), "2Gi")]
    #[case(json!({"topology": "standalone", "pod": {"resources": {"limits": {"cpu": "1"}}}}), "2Gi")]
    #[case(json!({"topology": "standalone", "pod": {"resources": {"limits": {"memory": "256Mi"}}}}), "256Mi")]
    fn a_telegraf_of_many_sources_has_more_memory(#[case] document: Json, #[case] limit: &str) {
        assert_eq!(good(&document).pod.resources.limits.memory.as_str(), limit);
    }

    #[test]
    fn null_means_the_default() {
        let expected = good(&Json::Null);
        let mut found = Vec::new();
        pointers(&Settings::DEFAULT, "", &mut found);
        assert!(found.len() > 50, "{found:?}");
        for pointer in found.iter().filter(|pointer| *pointer != "/classes/default") {
            let mut document = json!({});
            let mut at = &mut document;
            for name in pointer.split('/').skip(1) {
                at[name] = json!({});
                at = &mut at[name];
            }
            *at = Json::Null;
            assert!(same(&good(&document), &expected), "{document}");
        }
    }

    #[test]
    fn maps_are_merged_and_lists_replace() {
        let settings = good(&json!({
            "inputs": {"tags": {"tier": "web"}, "defaults": {"timeout": "3s"}},
            "endpoints": {"schemes": ["https"]},
        }));
        let tags: Vec<_> = settings.inputs.tags.keys().map(Key::as_str).collect();
        assert_eq!(tags, ["prometheus_app", "tier"]);
        let options: Vec<_> = settings.inputs.defaults.keys().copied().collect();
        assert_eq!(options, ["content_length_limit", "metric_version", "timeout"]);
        assert_eq!(settings.endpoints.schemes, [Scheme::Https]);
    }

    #[test]
    fn a_class_starts_from_the_built_in_one_and_its_plugins_are_taken_as_a_whole() {
        let settings = good(&json!({"classes": {
            "default": {"agent": {"interval": "30s"}},
            "gold": {"agent": {"debug": true}, "outputs": {"file": [{"files": ["stdout"]}]}},
        }}));
        let class = |name: &str| {
            let class = &settings.classes[name];
            let outputs: Vec<_> = class.outputs.keys().map(Key::as_str).collect();
            let interval = class.agent.get(&crate::telegraf::key("interval")).unwrap();
            (format!("{interval:?}"), class.agent.keys().count(), outputs)
        };
        let text = |text: &str| format!("Text(Text({text:?}))");
        assert_eq!(class("default"), (text("30s"), 7, vec!["influxdb_v2"]));
        assert_eq!(class("gold"), (text("60s"), 8, vec!["file"]));
    }
}
