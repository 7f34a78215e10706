//! What the cluster's administrator chose, checked.
//!
//! The [`document`] is what is written; [`read`] merges it with the [defaults](DEFAULTS), reports everything that is wrong
//! with it at once, and answers [`Settings`], in which every name, pattern and template is known to be usable.

pub mod document;
mod pattern;
mod quantity;
mod read;
mod report;
mod template;

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{EnvVar, Toleration};
use serde_json::{Map, Value as Json};

use crate::diagnostic::{Diagnostic, Findings, Place, Problem, escape_pointer};
use crate::located::from_json;
use crate::telegraf::{
    Duration, Key, OptionBounds, Options, Origin, check_name_filters, key, parse_size, read_options,
};
use crate::well_known::ROUTING_TAG;

use document::Document;
pub use document::{Mutation, Reload, Scheme, Topology};
pub(crate) use pattern::{HostPattern, NamePattern};
pub(crate) use quantity::Quantity;
pub use report::report;
pub(crate) use template::{Names, Scope, Template, TemplateTable, TemplateValue, fill_table, has_placeholder, texts};

/// The settings that count where the administrator says nothing.
pub const DEFAULTS: &str = include_str!("defaults.json");

/// Settings that are known to work.
#[derive(Clone, Debug)]
pub struct Settings {
    pub(crate) annotation: String,
    pub(crate) topology: Topology,
    pub(crate) standalone_namespace: String,
    pub(crate) default_class: String,
    pub(crate) classes: BTreeMap<String, Class>,
    pub(crate) inputs: Inputs,
    pub(crate) endpoints: Endpoints,
    pub(crate) sources: document::Sources,
    pub(crate) pod: Pod,
    pub(crate) allow: Allow,
    pub(crate) reload: Reload,
    pub(crate) network_policy: bool,
    pub(crate) extra_resources: Vec<Map<String, Json>>,
    pub(crate) instance: String,
    pub(crate) mutation: Mutation,
}

impl Settings {
    /// The annotation whose value names endpoints.
    pub fn annotation(&self) -> &str {
        &self.annotation
    }
}

/// Where metrics go.
#[derive(Clone, Debug)]
pub(crate) struct Class {
    pub(crate) allow: Vec<NamePattern>,
    pub(crate) global_tags: TemplateTable,
    pub(crate) agent: TemplateTable,
    pub(crate) processors: Plugins,
    pub(crate) aggregators: Plugins,
    pub(crate) outputs: Plugins,
}

impl Class {
    /// Every plugin's table, and the tables of the class itself.
    fn tables(&self) -> impl Iterator<Item = &TemplateTable> {
        let plugins = [&self.processors, &self.aggregators, &self.outputs];
        let instances = plugins.into_iter().flat_map(BTreeMap::values).flatten();
        [&self.global_tags, &self.agent].into_iter().chain(instances)
    }

    /// True if a text of the class holds `$NAME` or `${NAME…}`.
    pub(crate) fn uses_variable(&self, name: &str) -> bool {
        let uses = |text: &Template| {
            let text = text.literal_text();
            let names = [format!("${name}"), format!("${{{name}")];
            names.iter().any(|reference| {
                text.match_indices(reference.as_str()).any(|(at, _)| {
                    let next = text[at + reference.len()..].chars().next();
                    !next.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
                })
            })
        };
        self.tables().flat_map(template::texts).any(uses)
    }
}

/// Plugins by name, each with its instances.
pub(crate) type Plugins = BTreeMap<Key, Vec<TemplateTable>>;

#[derive(Clone, Debug)]
pub(crate) struct Inputs {
    pub(crate) name_override: Template,
    pub(crate) tags: BTreeMap<Key, Template>,
    pub(crate) defaults: Options,
    pub(crate) allowed_plugins: BTreeSet<String>,
    pub(crate) protect_global_tags: bool,
    /// Tags that annotations cannot set: those of `tags`, those that an output chooses by, and, if they are protected, the
    /// classes' global tags.
    pub(crate) reserved_tags: BTreeSet<String>,
    /// Tags that an output chooses metrics or destinations by.
    pub(crate) choosing_tags: Vec<Key>,
}

#[derive(Clone, Debug)]
pub(crate) struct Endpoints {
    pub(crate) max: usize,
    pub(crate) min_interval: Duration,
    pub(crate) max_interval: Duration,
    pub(crate) min_timeout: Duration,
    pub(crate) max_timeout: Duration,
    /// In bytes.
    pub(crate) max_content_length: i64,
    pub(crate) schemes: Vec<Scheme>,
    pub(crate) cluster_domain: String,
    pub(crate) hosts: Vec<HostPattern>,
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

#[derive(Clone, Debug)]
pub(crate) struct Pod {
    pub(crate) image: String,
    pub(crate) requests: ResourceList,
    pub(crate) limits: ResourceList,
    pub(crate) env: Vec<EnvVar>,
    pub(crate) labels: BTreeMap<String, Template>,
    pub(crate) annotations: BTreeMap<String, Template>,
    pub(crate) node_selector: BTreeMap<String, String>,
    pub(crate) tolerations: Vec<Toleration>,
}

/// Processors and memory.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ResourceList {
    pub(crate) cpu: Quantity,
    pub(crate) memory: Quantity,
}

#[derive(Clone, Debug)]
pub(crate) struct Allow {
    pub(crate) image: Vec<NamePattern>,
    pub(crate) env: bool,
    pub(crate) secret_env_prefix: String,
    pub(crate) max_resources: ResourceList,
}

/// Reads settings. They are `None` exactly when one of the findings is an error.
pub fn read(document: Option<&Json>) -> (Option<Settings>, Vec<Diagnostic>) {
    let mut findings = Findings::default();
    let defaults = serde_json::from_str(DEFAULTS).expect("the defaults are JSON");
    let merged = merge(&defaults, document, &mut findings);
    let document = read::read(&merged, &defaults, &mut findings);
    let settings = Checker {
        findings: &mut findings,
    }
    .check(document);
    let settings = settings.filter(|_| !findings.has_error());
    (settings, findings.into_vec())
}

/// The defaults with the administrator's document over them: maps are merged, everything else is replaced. A class starts
/// from the built-in one, and its plugins are taken as a whole: whoever writes `outputs: {file: …}` does not want
/// `influxdb_v2` as well.
fn merge(defaults: &Json, document: Option<&Json>, findings: &mut Findings) -> Json {
    let mut merged = defaults.clone();
    match document {
        None | Some(Json::Null) => {}
        Some(document @ Json::Object(_)) => {
            let default_class = merged["classes"]["default"].clone();
            if let Some(classes) = document.get("classes").and_then(Json::as_object) {
                for name in classes.keys() {
                    merged["classes"][name] = default_class.clone();
                }
            }
            merge_into(&mut merged, document, &mut Vec::new());
        }
        Some(_) => {
            let (error, nearest) = ("the settings are not a map".to_owned(), None);
            findings.report(Problem::Settings { error, nearest }, Place::pointer(""));
        }
    }
    merged
}

fn merge_into<'a>(merged: &mut Json, document: &'a Json, path: &mut Vec<&'a str>) {
    let whole = matches!(
        path.as_slice(),
        ["classes", _, "outputs" | "processors" | "aggregators"]
    );
    match (merged, document) {
        (Json::Object(merged), Json::Object(document)) if !whole => {
            for (name, value) in document {
                path.push(name);
                match merged.get_mut(name) {
                    Some(old) => merge_into(old, value, path),
                    None => {
                        merged.insert(name.clone(), value.clone());
                    }
                }
                path.pop();
            }
        }
        (merged, document) => *merged = document.clone(),
    }
}

/// Checks what the document's types cannot say.
struct Checker<'a> {
    findings: &'a mut Findings,
}

impl Checker<'_> {
    fn report(&mut self, pointer: &str, problem: Problem) {
        self.findings.report(problem, Place::pointer(pointer));
    }

    fn check(&mut self, document: Document) -> Option<Settings> {
        self.check_names(&document);
        let class_scopes = match document.topology {
            Topology::Application => (Scope::Source, Scope::Source),
            Topology::Endpoint => (Scope::Endpoint, Scope::Endpoint),
            Topology::Standalone => (Scope::All, Scope::Source),
        };
        let mut classes = BTreeMap::new();
        for (name, class) in &document.classes {
            let pointer = format!("/classes/{}", escape_pointer(name));
            classes.insert(name.clone(), self.class(name, class, &pointer, class_scopes));
        }
        if !classes.contains_key(&document.default_class) {
            let problem = Problem::NoSuchClass {
                class: document.default_class.clone(),
                known: classes.keys().cloned().collect(),
            };
            self.report("/defaultClass", problem);
        }
        let inputs = self.inputs(&document, &classes);
        let endpoints = self.endpoints(&document.endpoints);
        if let (Some(inputs), Some(endpoints)) = (&inputs, &endpoints) {
            // The administrator's own interval may be shorter than what annotations may ask for.
            let bounds = OptionBounds {
                min: None,
                ..endpoints.bounds()
            };
            bounds.check(&inputs.defaults, self.findings);
            check_name_filters(&inputs.defaults, self.findings);
        }
        let pod = self.pod(document.pod);
        let allow = self.allow(&document.allow);
        self.extra_resources(&document.extra_resources);
        if document.mutation == Mutation::Resources && document.topology == Topology::Standalone {
            self.report("/mutation", Problem::MutationShared {});
        }
        Some(Settings {
            annotation: document.annotation,
            topology: document.topology,
            standalone_namespace: document.standalone.namespace,
            default_class: document.default_class,
            classes,
            inputs: inputs?,
            endpoints: endpoints?,
            sources: document.sources,
            pod: pod?,
            allow: allow?,
            reload: document.reload,
            network_policy: document.network_policy,
            extra_resources: document.extra_resources,
            instance: document.instance,
            mutation: document.mutation,
        })
    }

    fn check_names(&mut self, document: &Document) {
        if !is_qualified_name(&document.annotation) {
            let key = document.annotation.clone();
            self.report("/annotation", Problem::AnnotationKey { key });
        }
        let sources = &document.sources;
        let mut labels = vec![
            ("/instance".to_owned(), &document.instance, "an instance's name"),
            (
                "/standalone/namespace".to_owned(),
                &document.standalone.namespace,
                "a namespace's name",
            ),
            (
                "/sources/argocdNamespace".to_owned(),
                &sources.argocd_namespace,
                "a namespace's name",
            ),
        ];
        for (index, namespace) in sources.application_namespaces.iter().enumerate() {
            let pointer = format!("/sources/applicationNamespaces/{index}");
            labels.push((pointer, namespace, "a namespace's name"));
        }
        for (pointer, text, what) in labels {
            if !is_dns_label(text) {
                let text = text.clone();
                self.report(&pointer, Problem::DnsLabel { text, what });
            }
        }
    }

    fn class(
        &mut self,
        name: &str,
        class: &document::Class,
        pointer: &str,
        (shared, outputs): (Scope, Scope),
    ) -> Class {
        let checked = Class {
            allow: self.name_patterns(&class.allow, &format!("{pointer}/allow")),
            global_tags: template::read_table(
                &class.global_tags,
                shared,
                &format!("{pointer}/globalTags"),
                self.findings,
            ),
            agent: template::read_table(&class.agent, shared, &format!("{pointer}/agent"), self.findings),
            processors: self.plugins(&class.processors, shared, &format!("{pointer}/processors")),
            aggregators: self.plugins(&class.aggregators, shared, &format!("{pointer}/aggregators")),
            outputs: self.plugins(&class.outputs, outputs, &format!("{pointer}/outputs")),
        };
        if class.outputs.values().all(Vec::is_empty) {
            let class = name.to_owned();
            self.report(&format!("{pointer}/outputs"), Problem::NoOutput { class });
        }
        if class.outputs.contains_key("health") {
            let plugin = "outputs.health".to_owned();
            self.report(&format!("{pointer}/outputs/health"), Problem::OwnPlugin { plugin });
        }
        checked
    }

    fn plugins(&mut self, plugins: &BTreeMap<String, Vec<Map<String, Json>>>, scope: Scope, pointer: &str) -> Plugins {
        let mut checked = Plugins::new();
        for (name, instances) in plugins {
            let pointer = format!("{pointer}/{}", escape_pointer(name));
            let Some(key) = Key::new(name) else {
                let why = "a plugin's name holds other characters than A-Z, a-z, 0-9, `_` and `-`";
                self.report(&pointer, Problem::TelegrafValue { why });
                continue;
            };
            let instances = instances.iter().enumerate().map(|(index, instance)| {
                template::read_table(instance, scope, &format!("{pointer}/{index}"), self.findings)
            });
            checked.insert(key, instances.collect());
        }
        checked
    }

    fn inputs(&mut self, document: &Document, classes: &BTreeMap<String, Class>) -> Option<Inputs> {
        let inputs = &document.inputs;
        let name_override = self.template(&inputs.name_override, Scope::Endpoint, "/inputs/nameOverride");
        let mut tags = BTreeMap::new();
        for (name, text) in &inputs.tags {
            let pointer = format!("/inputs/tags/{}", escape_pointer(name));
            let key = Key::new(name);
            if key.is_none() {
                let why = "a tag's name holds other characters than A-Z, a-z, 0-9, `_` and `-`";
                self.report(&pointer, Problem::TelegrafValue { why });
            }
            if let (Some(key), Some(text)) = (key, self.template(text, Scope::Endpoint, &pointer)) {
                tags.insert(key, text);
            }
        }
        let mut choosing_tags = Vec::new();
        for output in classes.values().flat_map(|class| class.outputs.values().flatten()) {
            for tag in tags_chosen_by(output) {
                if !choosing_tags.contains(&tag) {
                    choosing_tags.push(tag);
                }
            }
        }
        let mut reserved_tags = BTreeSet::new();
        reserved_tags.extend(tags.keys().chain(&choosing_tags).map(|key| key.as_str().to_owned()));
        reserved_tags.insert(ROUTING_TAG.to_owned());
        if inputs.protect_global_tags {
            let global = classes.values().flat_map(|class| class.global_tags.keys());
            reserved_tags.extend(global.map(|key| key.as_str().to_owned()));
        }
        if document.topology == Topology::Standalone {
            self.check_routing(&document.default_class, classes);
        }
        let pointer = "/inputs/defaults";
        let node = from_json(pointer, &Json::Object(inputs.defaults.clone()));
        let mut defaults = Options::new();
        if let crate::located::Data::Map(entries) = &node.data {
            defaults = read_options(entries, &[], Origin::Settings, self.findings);
        }
        Some(Inputs {
            name_override: name_override?,
            tags,
            defaults,
            allowed_plugins: inputs.allowed_plugins.iter().cloned().collect(),
            protect_global_tags: inputs.protect_global_tags,
            reserved_tags,
            choosing_tags,
        })
    }

    /// In `standalone`, an output that differs by source takes the metrics of one source by a tag of ours. Telegraf lets a
    /// metric pass that matches any tag of `tagpass`, so there cannot be another.
    fn check_routing(&mut self, name: &str, classes: &BTreeMap<String, Class>) {
        let outputs = classes.get(name).into_iter().flat_map(|class| &class.outputs);
        for (plugin, instances) in outputs {
            for (index, instance) in instances.iter().enumerate() {
                if has_placeholder(instance) && instance.contains_key(&key("tagpass")) {
                    let why = "in `standalone`, an output with a placeholder cannot have a `tagpass` of its own";
                    let name = escape_pointer(name);
                    let pointer = format!("/classes/{name}/outputs/{}/{index}/tagpass", plugin.as_str());
                    self.report(&pointer, Problem::Routing { why });
                }
            }
        }
    }

    fn endpoints(&mut self, endpoints: &document::Endpoints) -> Option<Endpoints> {
        let mut durations = Bounds {
            checker: self,
            section: "/endpoints",
        };
        let interval = durations.read(
            ("minInterval", &endpoints.min_interval),
            ("maxInterval", &endpoints.max_interval),
        );
        let timeout = durations.read(
            ("minTimeout", &endpoints.min_timeout),
            ("maxTimeout", &endpoints.max_timeout),
        );
        let max_content_length = parse_size(&endpoints.max_content_length).filter(|bytes| *bytes > 0);
        if max_content_length.is_none() {
            let error = format!(
                "`endpoints.maxContentLength` is `{}`, and should be a size such as `20MB`",
                endpoints.max_content_length
            );
            self.report(
                "/endpoints/maxContentLength",
                Problem::Settings { error, nearest: None },
            );
        }
        for (pointer, empty, what) in [
            ("/endpoints/schemes", endpoints.schemes.is_empty(), "scheme"),
            ("/endpoints/hosts", endpoints.hosts.is_empty(), "host"),
        ] {
            if empty {
                let error = format!("no {what} is allowed, so every endpoint would be refused");
                self.report(pointer, Problem::Settings { error, nearest: None });
            }
        }
        if !endpoints.cluster_domain.split('.').all(is_dns_label) {
            let problem = Problem::Pattern {
                pattern: endpoints.cluster_domain.clone(),
                why: "is not a DNS domain in lower case",
            };
            self.report("/endpoints/clusterDomain", problem);
        }
        let mut hosts = Vec::new();
        for (index, text) in endpoints.hosts.iter().enumerate() {
            match HostPattern::parse(text) {
                Ok(pattern) => hosts.push(pattern),
                Err(problem) => self.report(&format!("/endpoints/hosts/{index}"), problem),
            }
        }
        let ((min_interval, max_interval), (min_timeout, max_timeout)) = (interval?, timeout?);
        Some(Endpoints {
            max: endpoints.max,
            min_interval,
            max_interval,
            min_timeout,
            max_timeout,
            max_content_length: max_content_length?,
            schemes: endpoints.schemes.clone(),
            cluster_domain: endpoints.cluster_domain.clone(),
            hosts,
        })
    }

    fn pod(&mut self, pod: document::Pod) -> Option<Pod> {
        if let Err(why) = check_image(&pod.image) {
            let image = pod.image.clone();
            self.report("/pod/image", Problem::Image { image, why });
        }
        let requests = self.resource_list(&pod.resources.requests, "/pod/resources/requests");
        let limits = self.resource_list(&pod.resources.limits, "/pod/resources/limits");
        if let (Some(requests), Some(limits)) = (&requests, &limits) {
            for (resource, request, limit) in [
                ("cpu", &requests.cpu, &limits.cpu),
                ("memory", &requests.memory, &limits.memory),
            ] {
                if request > limit {
                    let problem = Problem::RequestAboveLimit {
                        resource,
                        request: request.to_string(),
                        limit: limit.to_string(),
                    };
                    self.report(&format!("/pod/resources/requests/{resource}"), problem);
                }
            }
        }
        let labels = self.metadata(&pod.labels, "/pod/labels", "a label of the pods");
        let annotations = self.metadata(&pod.annotations, "/pod/annotations", "an annotation of the pods");
        Some(Pod {
            image: pod.image,
            requests: requests?,
            limits: limits?,
            env: pod.env,
            labels,
            annotations,
            node_selector: pod.node_selector,
            tolerations: pod.tolerations,
        })
    }

    fn metadata(
        &mut self,
        map: &BTreeMap<String, String>,
        pointer: &str,
        what: &'static str,
    ) -> BTreeMap<String, Template> {
        let mut templates = BTreeMap::new();
        for (name, text) in map {
            let pointer = format!("{pointer}/{}", escape_pointer(name));
            if is_reserved_metadata(name) {
                let name = name.clone();
                self.report(&pointer, Problem::ReservedName { name, what });
            } else if let Some(text) = self.template(text, Scope::Source, &pointer) {
                templates.insert(name.clone(), text);
            }
        }
        templates
    }

    fn allow(&mut self, allow: &document::Allow) -> Option<Allow> {
        Some(Allow {
            image: self.name_patterns(&allow.image, "/allow/image"),
            env: allow.env,
            secret_env_prefix: self.secret_env_prefix(&allow.secret_env_prefix),
            max_resources: self.resource_list(&allow.max_resources, "/allow/maxResources")?,
        })
    }

    fn secret_env_prefix(&mut self, prefix: &str) -> String {
        let known = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let starts_well = prefix.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !starts_well || !prefix.chars().all(known) {
            let error = format!(
                "`allow.secretEnvPrefix` is `{prefix}`, and should be the beginning of a variable's name such as `SECRET_`"
            );
            self.report("/allow/secretEnvPrefix", Problem::Settings { error, nearest: None });
        }
        prefix.to_owned()
    }

    fn resource_list(&mut self, list: &document::ResourceList, pointer: &str) -> Option<ResourceList> {
        let mut quantity = |name: &str, text: &str| {
            let quantity = Quantity::parse(text);
            if quantity.is_none() {
                let problem = Problem::NotAQuantity {
                    name: name.to_owned(),
                    text: text.to_owned(),
                };
                self.report(&format!("{pointer}/{name}"), problem);
            }
            quantity
        };
        let (cpu, memory) = (quantity("cpu", &list.cpu), quantity("memory", &list.memory));
        Some(ResourceList {
            cpu: cpu?,
            memory: memory?,
        })
    }

    fn extra_resources(&mut self, resources: &[Map<String, Json>]) {
        for (index, resource) in resources.iter().enumerate() {
            let pointer = format!("/extraResources/{index}");
            let text = |pointer: &str| {
                let mut at = None;
                for token in pointer.split('/') {
                    at = match at {
                        None => resource.get(token),
                        Some(value) => Json::get(value, token),
                    };
                    at?;
                }
                at
            };
            for field in ["apiVersion", "kind", "metadata/name"] {
                if text(field).and_then(Json::as_str).unwrap_or_default().is_empty() {
                    let why = format!("the extra resource has no `{}`", field.replace('/', "."));
                    self.report(&pointer, Problem::ExtraResource { why });
                }
            }
            if text("metadata/namespace").is_some() {
                let why = "the extra resource names a namespace; it is put into the source's".to_owned();
                self.report(&format!("{pointer}/metadata/namespace"), Problem::ExtraResource { why });
            }
            for (field, what) in [
                ("labels", "a label of an extra resource"),
                ("annotations", "an annotation of an extra resource"),
            ] {
                let names = text(&format!("metadata/{field}")).and_then(Json::as_object);
                for name in names
                    .into_iter()
                    .flat_map(Map::keys)
                    .filter(|name| is_reserved_metadata(name))
                {
                    let pointer = format!("{pointer}/metadata/{field}/{}", escape_pointer(name));
                    let name = name.clone();
                    self.report(&pointer, Problem::ReservedName { name, what });
                }
            }
            self.json_templates(&Json::Object(resource.clone()), &pointer);
        }
    }

    fn json_templates(&mut self, value: &Json, pointer: &str) {
        match value {
            Json::String(text) => {
                self.template(text, Scope::Source, pointer);
            }
            Json::Array(values) => {
                for (index, value) in values.iter().enumerate() {
                    self.json_templates(value, &format!("{pointer}/{index}"));
                }
            }
            Json::Object(map) => {
                for (name, value) in map {
                    self.json_templates(value, &format!("{pointer}/{}", escape_pointer(name)));
                }
            }
            Json::Null | Json::Bool(_) | Json::Number(_) => {}
        }
    }

    fn name_patterns(&mut self, patterns: &[String], pointer: &str) -> Vec<NamePattern> {
        let mut checked = Vec::new();
        for (index, text) in patterns.iter().enumerate() {
            match NamePattern::parse(text) {
                Ok(pattern) => checked.push(pattern),
                Err(problem) => self.report(&format!("{pointer}/{index}"), problem),
            }
        }
        checked
    }

    fn template(&mut self, text: &str, scope: Scope, pointer: &str) -> Option<Template> {
        match Template::parse(text, scope) {
            Ok(template) => Some(template),
            Err(problem) => {
                self.report(pointer, problem);
                None
            }
        }
    }
}

/// Reads two durations that are the bounds of a third.
struct Bounds<'c, 'f> {
    checker: &'c mut Checker<'f>,
    section: &'static str,
}

impl Bounds<'_, '_> {
    fn read(&mut self, min: (&str, &str), max: (&str, &str)) -> Option<(Duration, Duration)> {
        let (shortest, longest) = (self.duration(min), self.duration(max));
        let (shortest, longest) = (shortest?, longest?);
        if longest < shortest {
            let error = format!("`{}` is `{}`, which is less than `{}`", max.0, max.1, min.0);
            let pointer = format!("{}/{}", self.section, max.0);
            self.checker
                .report(&pointer, Problem::Settings { error, nearest: None });
        }
        Some((shortest, longest))
    }

    fn duration(&mut self, (name, text): (&str, &str)) -> Option<Duration> {
        let duration = Duration::parse(text);
        if duration.is_none() {
            let problem = Problem::NotADuration {
                name: name.to_owned(),
                text: text.to_owned(),
            };
            self.checker.report(&format!("{}/{name}", self.section), problem);
        }
        duration
    }
}

/// The tags that an output chooses metrics or destinations by: its `tagpass` and `tagdrop`, and options such as
/// `bucket_tag`.
fn tags_chosen_by(output: &TemplateTable) -> Vec<Key> {
    let mut tags = Vec::new();
    for (option, value) in output {
        match value {
            TemplateValue::Table(table) if matches!(option.as_str(), "tagpass" | "tagdrop") => {
                tags.extend(table.keys().cloned());
            }
            TemplateValue::Text(text) if option.as_str().ends_with("_tag") => {
                tags.extend(Key::new(&text.literal_text()))
            }
            _ => {}
        }
    }
    tags
}

/// Labels and annotations that decide to whom an object belongs: Argo CD's tracking, and our own.
pub(crate) fn is_reserved_metadata(name: &str) -> bool {
    matches!(
        name,
        "app.kubernetes.io/instance"
            | "app.kubernetes.io/name"
            | "app.kubernetes.io/component"
            | "app.kubernetes.io/managed-by"
    ) || name.starts_with("argocd.argoproj.io/")
        || name.starts_with("telegraf.influxdata.com/")
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

/// Telegraf's image: with a tag or a digest, and not older than 1.38 where the tag is a version.
fn check_image(image: &str) -> Result<(), &'static str> {
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
