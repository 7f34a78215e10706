//! Checks the names of plugins and of their options: Telegraf ends when it reads one that it does not know.

use super::document::{Class, Settings};
use super::path::Path;
use super::reader::Reader;
use super::{Plugins, TemplateTable};
use crate::diagnostic::Problem;
use crate::telegraf::{OptionNames, PluginKind, nearest_plugin, options_of, options_of_agent};

impl Class {
    /// The plugins by kind.
    pub(super) fn plugins(&self) -> [(PluginKind, &Plugins); 3] {
        [
            (PluginKind::Processors, &self.processors),
            (PluginKind::Aggregators, &self.aggregators),
            (PluginKind::Outputs, &self.outputs),
        ]
    }
}

impl Settings {
    /// True for a plugin of the administrator's own build of Telegraf. Nothing is known of it.
    pub(super) fn is_own_plugin(&self, kind: PluginKind, plugin: &str) -> bool {
        let mut own = self.pod.own_plugins.iter();
        own.any(|own| own.split_once('.') == Some((kind.name(), plugin)))
    }
}

pub(super) fn check(settings: &Settings, root: &Path<'_>, reader: &mut Reader<'_>) {
    let classes = root.name("classes");
    let agent = options_of_agent();
    for (name, class) in &settings.classes {
        let path = classes.name(name);
        check_options(&agent, "agent", &class.agent, &path.name("agent"), reader);
        for (kind, plugins) in class.plugins() {
            let path = path.name(kind.name());
            for (plugin, instances) in plugins {
                let plugin = plugin.as_str();
                if !settings.is_own_plugin(kind, plugin) {
                    check_plugin(kind, plugin, instances, &path.name(plugin), reader);
                }
            }
        }
    }
}

fn check_plugin(kind: PluginKind, plugin: &str, instances: &[TemplateTable], path: &Path<'_>, reader: &mut Reader<'_>) {
    let name = format!("{}.{plugin}", kind.name());
    let Some(options) = options_of(kind, plugin) else {
        let problem = Problem::UnknownPlugin {
            path: path.to_string(),
            nearest: nearest_plugin(kind, plugin),
            plugin: name,
        };
        return reader.report_name(path, problem);
    };
    for (index, instance) in instances.iter().enumerate() {
        check_options(&options, &name, instance, &path.index(index), reader);
    }
}

fn check_options(options: &OptionNames, plugin: &str, table: &TemplateTable, path: &Path<'_>, reader: &mut Reader<'_>) {
    for name in table.keys().map(|name| name.as_str()) {
        if !options.contains(name) {
            let path = path.name(name);
            let problem = Problem::UnknownPluginOption {
                path: path.to_string(),
                nearest: options.nearest(name),
                plugin: plugin.to_owned(),
            };
            reader.report_name(&path, problem);
        }
    }
}
