//! A map of the settings to the [`Document`]'s types, with every mistake reported at its own place.
//!
//! `serde` would stop at the first mistake, know only its message, and weigh four times as much in the module.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{EnvVar, Toleration};
use k8s_openapi::serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::document::{
    Allow, Class, Document, Endpoints, Inputs, Mutation, Pod, Reload, ResourceList, Resources, Scheme, Sources,
    Standalone, Topology,
};
use crate::diagnostic::{Diagnostic, Findings, Place, Problem, escape_pointer};
use crate::telegraf::nearest;

/// Reads settings that were merged with the defaults. What is wrong is reported, and read as its default.
pub(super) fn read(merged: &Value, defaults: &Value, findings: &mut Findings) -> Document {
    let mut root = Section::new(String::new(), merged, defaults);
    let document = Document {
        annotation: root.text("annotation", findings),
        topology: root.choice(
            "topology",
            &[
                ("application", Topology::Application),
                ("endpoint", Topology::Endpoint),
                ("standalone", Topology::Standalone),
            ],
            findings,
        ),
        standalone: root.section("standalone", findings, |section, findings| Standalone {
            namespace: section.text("namespace", findings),
        }),
        default_class: root.text("defaultClass", findings),
        classes: root.classes(findings),
        inputs: root.section("inputs", findings, |section, findings| Inputs {
            name_override: section.text("nameOverride", findings),
            tags: section.text_map("tags", findings),
            defaults: section.map("defaults", findings),
            allowed_plugins: section.texts("allowedPlugins", findings),
            protect_global_tags: section.flag("protectGlobalTags", findings),
        }),
        endpoints: root.section("endpoints", findings, |section, findings| Endpoints {
            max: section.value("max", "a number", findings, |value| value.as_u64()?.try_into().ok()),
            min_interval: section.text("minInterval", findings),
            max_interval: section.text("maxInterval", findings),
            min_timeout: section.text("minTimeout", findings),
            max_timeout: section.text("maxTimeout", findings),
            max_content_length: section.text("maxContentLength", findings),
            schemes: section.list("schemes", "`http` or `https`", findings, |value| {
                match value.as_str()? {
                    "http" => Some(Scheme::Http),
                    "https" => Some(Scheme::Https),
                    _ => None,
                }
            }),
            cluster_domain: section.text("clusterDomain", findings),
            hosts: section.texts("hosts", findings),
        }),
        sources: root.section("sources", findings, |section, findings| Sources {
            applications: section.flag("applications", findings),
            namespaces: section.flag("namespaces", findings),
            argocd_namespace: section.text("argocdNamespace", findings),
            application_namespaces: section.texts("applicationNamespaces", findings),
            shared_buckets: section.flag("sharedBuckets", findings),
        }),
        pod: root.section("pod", findings, |section, findings| Pod {
            image: section.text("image", findings),
            resources: section.section("resources", findings, |section, findings| Resources {
                requests: section.section("requests", findings, resource_list),
                limits: section.section("limits", findings, resource_list),
            }),
            env: section.typed_list::<EnvVar>("env", findings),
            labels: section.text_map("labels", findings),
            annotations: section.text_map("annotations", findings),
            node_selector: section.text_map("nodeSelector", findings),
            tolerations: section.typed_list::<Toleration>("tolerations", findings),
        }),
        allow: root.section("allow", findings, |section, findings| Allow {
            image: section.texts("image", findings),
            env: section.flag("env", findings),
            secret_env_prefix: section.text("secretEnvPrefix", findings),
            max_resources: section.section("maxResources", findings, resource_list),
        }),
        reload: root.choice(
            "reload",
            &[("watch", Reload::Watch), ("rollout", Reload::Rollout)],
            findings,
        ),
        network_policy: root.flag("networkPolicy", findings),
        extra_resources: root.list("extraResources", "a map", findings, |value| value.as_object().cloned()),
        instance: root.text("instance", findings),
        mutation: root.choice(
            "mutation",
            &[
                ("none", Mutation::None),
                ("digest", Mutation::Digest),
                ("resources", Mutation::Resources),
            ],
            findings,
        ),
    };
    root.report_unknown(findings);
    document
}

fn resource_list(section: &mut Section<'_>, findings: &mut Findings) -> ResourceList {
    ResourceList {
        cpu: section.text("cpu", findings),
        memory: section.text("memory", findings),
    }
}

/// A map whose keys are known.
struct Section<'a> {
    pointer: String,
    value: &'a Value,
    default: &'a Value,
    known: Vec<&'static str>,
}

impl<'a> Section<'a> {
    fn new(pointer: String, value: &'a Value, default: &'a Value) -> Self {
        Self {
            pointer,
            value,
            default,
            known: Vec::new(),
        }
    }

    fn pointer(&self, name: &str) -> String {
        format!("{}/{}", self.pointer, escape_pointer(name))
    }

    /// A value, where null stands for the default.
    fn get(&mut self, name: &'static str) -> &'a Value {
        self.known.push(name);
        match self.value.get(name) {
            None | Some(Value::Null) => &self.default[name],
            Some(value) => value,
        }
    }

    fn value<T>(
        &mut self,
        name: &'static str,
        expected: &str,
        findings: &mut Findings,
        read: impl Fn(&Value) -> Option<T>,
    ) -> T {
        let value = self.get(name);
        read(value).unwrap_or_else(|| {
            findings.push(wrong_shape(&self.pointer(name), name, value, expected));
            read(&self.default[name]).expect("the defaults have the right shape")
        })
    }

    fn text(&mut self, name: &'static str, findings: &mut Findings) -> String {
        self.value(name, "text", findings, |value| value.as_str().map(str::to_owned))
    }

    fn flag(&mut self, name: &'static str, findings: &mut Findings) -> bool {
        self.value(name, "true or false", findings, Value::as_bool)
    }

    fn map(&mut self, name: &'static str, findings: &mut Findings) -> Map<String, Value> {
        self.value(name, "a map", findings, |value| value.as_object().cloned())
    }

    fn choice<T: Copy>(&mut self, name: &'static str, choices: &[(&'static str, T)], findings: &mut Findings) -> T {
        let names: Vec<_> = choices.iter().map(|(name, _)| format!("`{name}`")).collect();
        self.value(name, &names.join(" or "), findings, |value| {
            let text = value.as_str()?;
            choices
                .iter()
                .find(|(name, _)| *name == text)
                .map(|(_, choice)| *choice)
        })
    }

    fn list<T>(
        &mut self,
        name: &'static str,
        expected: &str,
        findings: &mut Findings,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Vec<T> {
        let list = self.value(name, "a list", findings, |value| value.as_array().cloned());
        let mut items = Vec::with_capacity(list.len());
        for (index, value) in list.iter().enumerate() {
            match read(value) {
                Some(item) => items.push(item),
                None => {
                    let pointer = format!("{}/{index}", self.pointer(name));
                    findings.push(wrong_shape(&pointer, &format!("{name}[{index}]"), value, expected));
                }
            }
        }
        items
    }

    fn texts(&mut self, name: &'static str, findings: &mut Findings) -> Vec<String> {
        self.list(name, "text", findings, |value| value.as_str().map(str::to_owned))
    }

    fn text_map(&mut self, name: &'static str, findings: &mut Findings) -> BTreeMap<String, String> {
        let mut texts = BTreeMap::new();
        for (key, value) in self.map(name, findings) {
            match value.as_str() {
                Some(text) => {
                    texts.insert(key, text.to_owned());
                }
                None => {
                    let pointer = format!("{}/{}", self.pointer(name), escape_pointer(&key));
                    findings.push(wrong_shape(&pointer, &key, &value, "text"));
                }
            }
        }
        texts
    }

    /// A list of Kubernetes' own type. That passes over fields that it does not know; here they are mistakes.
    fn typed_list<T: DeserializeOwned + Serialize>(&mut self, name: &'static str, findings: &mut Findings) -> Vec<T> {
        let mut items = Vec::new();
        for (index, map) in self
            .list(name, "a map", findings, |value| Some(value.clone()))
            .into_iter()
            .enumerate()
        {
            let pointer = format!("{}/{index}", self.pointer(name));
            match serde_json::from_value::<T>(map.clone()) {
                Ok(item) => {
                    if let Ok(kept) = serde_json::to_value(&item) {
                        report_lost(&pointer, &map, &kept, findings);
                    }
                    items.push(item);
                }
                Err(error) => {
                    let error = format!("`{name}[{index}]`: {error}");
                    findings.push(settings_problem(error, None).at(Place::pointer(pointer)));
                }
            }
        }
        items
    }

    /// A section of known keys within this one.
    fn section<T>(
        &mut self,
        name: &'static str,
        findings: &mut Findings,
        read: impl FnOnce(&mut Section<'a>, &mut Findings) -> T,
    ) -> T {
        let mut value = self.get(name);
        let default = &self.default[name];
        if !value.is_object() {
            findings.push(wrong_shape(&self.pointer(name), name, value, "a map"));
            value = default;
        }
        let mut section = Section::new(self.pointer(name), value, default);
        let read = read(&mut section, findings);
        section.report_unknown(findings);
        read
    }

    /// The classes, each of which has the built-in one for its default.
    fn classes(&mut self, findings: &mut Findings) -> BTreeMap<String, Class> {
        let map = self.map("classes", findings);
        let default = &self.default["classes"]["default"];
        let mut classes = BTreeMap::new();
        for (name, value) in &map {
            let pointer = format!("{}/{}", self.pointer("classes"), escape_pointer(name));
            if !value.is_object() {
                findings.push(wrong_shape(&pointer, name, value, "a map"));
                continue;
            }
            let mut section = Section::new(pointer, value, default);
            let class = Class {
                allow: section.texts("allow", findings),
                global_tags: section.map("globalTags", findings),
                agent: section.map("agent", findings),
                processors: section.plugins("processors", findings),
                aggregators: section.plugins("aggregators", findings),
                outputs: section.plugins("outputs", findings),
            };
            section.report_unknown(findings);
            classes.insert(name.clone(), class);
        }
        classes
    }

    fn plugins(&mut self, name: &'static str, findings: &mut Findings) -> BTreeMap<String, Vec<Map<String, Value>>> {
        let mut plugins = BTreeMap::new();
        for (plugin, value) in self.map(name, findings) {
            let pointer = format!("{}/{}", self.pointer(name), escape_pointer(&plugin));
            let maps = value
                .as_array()
                .map(|list| list.iter().map(|value| value.as_object().cloned()));
            match maps.and_then(Iterator::collect::<Option<Vec<_>>>) {
                Some(instances) => {
                    plugins.insert(plugin, instances);
                }
                None => findings.push(wrong_shape(
                    &pointer,
                    &plugin,
                    &value,
                    "a list of maps, one for each instance",
                )),
            }
        }
        plugins
    }

    fn report_unknown(&self, findings: &mut Findings) {
        for name in self.value.as_object().into_iter().flat_map(Map::keys) {
            if !self.known.contains(&name.as_str()) {
                let nearest = nearest(name, self.known.iter().copied());
                let place = Place {
                    key: true,
                    ..Place::pointer(self.pointer(name))
                };
                findings.push(settings_problem(format!("`{name}` is not a setting"), nearest).at(place));
            }
        }
    }
}

fn settings_problem(error: String, nearest: Option<&'static str>) -> Problem {
    Problem::Settings { error, nearest }
}

fn wrong_shape(pointer: &str, name: &str, value: &Value, expected: &str) -> Diagnostic {
    let found = match value {
        Value::Null => "empty".to_owned(),
        Value::Bool(_) => "true or false".to_owned(),
        Value::Number(_) => "a number".to_owned(),
        Value::String(text) => format!("`{text}`"),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a map".to_owned(),
    };
    let error = format!("`{name}` is {found}, and should be {expected}");
    settings_problem(error, None).at(Place::pointer(pointer))
}

/// Reports what a type did not keep of what was written.
fn report_lost(pointer: &str, written: &Value, kept: &Value, findings: &mut Findings) {
    let Value::Object(written) = written else {
        return;
    };
    for (name, value) in written {
        let pointer = format!("{pointer}/{}", escape_pointer(name));
        match kept.get(name) {
            Some(kept) => report_lost(&pointer, value, kept, findings),
            None if value.is_null() => {}
            None => {
                let place = Place {
                    key: true,
                    ..Place::pointer(pointer)
                };
                findings.push(settings_problem(format!("`{name}` is not known here"), None).at(place));
            }
        }
    }
}
