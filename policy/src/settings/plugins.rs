//! Checks the names of plugins and of their options: Telegraf ends when it reads one that it does not know.

use super::document::{Class, Settings};
use super::path::Path;
use super::reader::Reader;
use super::{Plugins, TemplateTable};
use crate::diagnostic::Problem;
use crate::telegraf::{Names, has, nearest_name};

impl Class {
    /// The plugins by kind, as Telegraf and the settings call it.
    pub(super) fn plugins(&self) -> [(&'static str, &Plugins); 3] {
        [
            ("processors", &self.processors),
            ("aggregators", &self.aggregators),
            ("outputs", &self.outputs),
        ]
    }
}

pub(super) fn check(settings: &Settings, root: &Path<'_>, reader: &mut Reader<'_>) {
    let (names, classes) = (Names::read(), root.name("classes"));
    for (name, class) in settings.classes.iter() {
        let path = classes.name(name);
        check_options(names.options_of("agent"), &class.agent, &path.name("agent"), reader);
        for (kind, plugins) in class.plugins() {
            let path = path.name(kind);
            for (plugin, instances) in plugins {
                let plugin = plugin.as_str();
                let (path, name) = (path.name(plugin), format!("{kind}.{plugin}"));
                // Nothing is known of a plugin of the administrator's own build.
                if settings.pod.own_plugins.contains(&name) {
                    continue;
                }
                let options = names.options_of(&name);
                if options.is_none() {
                    let (path, place) = (path.to_string(), &path);
                    let nearest = names.nearest_plugin(kind, plugin);
                    reader.report_name(place, Problem::UnknownPlugin { path, nearest });
                }
                for (index, instance) in instances.iter().enumerate() {
                    check_options(options.clone(), instance, &path.index(index), reader);
                }
            }
        }
    }
}

fn check_options(options: Option<String>, table: &TemplateTable, path: &Path<'_>, reader: &mut Reader<'_>) {
    let Some(options) = options else { return };
    for name in table.keys().map(|name| name.as_str()) {
        if !has(&options, name) {
            let place = path.name(name);
            let path = place.to_string();
            let nearest = nearest_name(name, options.split(' ').collect());
            reader.report_name(&place, Problem::UnknownPluginOption { path, nearest });
        }
    }
}
