//! The kinds of settings: the allowed values, and the types that they are parsed to.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::marker::PhantomData;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::Toleration;
use k8s_openapi::serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value as Json};

use super::constant::Constant;
use super::node::node;
use super::path::Path;
use super::pattern::{HostPattern, NamePattern};
use super::quantity::Quantity;
use super::reader::Reader;
use super::template::{self, Scope, Scopes, Template, TemplateTable};
use super::written::{Text, Written};
use super::{check_image, is_dns_label, is_qualified_name, is_reserved_metadata};
use crate::diagnostic::Problem;
use crate::located::Data;
use crate::shards::MAX_SHARDS;
use crate::sorted_map::SmallMap;
use crate::telegraf::{Duration, Key, Options, Origin, parse_size, read_options};

/// The kind of a setting. It checks all rules that concern this setting alone.
pub(crate) trait Kind {
    /// The type of the parsed value.
    type Value;

    /// The default of a setting that declares none. For a section, it consists of the defaults of its settings.
    const DEFAULT: Constant = Constant::Null;

    /// Parses a value of the document. Open maps are merged with the default. Answers `None`, after reporting it, if
    /// the value is invalid.
    fn read(
        written: Written<'_>,
        default: &'static Constant,
        path: &Path<'_>,
        reader: &mut Reader<'_>,
    ) -> Option<Self::Value>;

    /// Reads the default.
    fn read_default(default: &'static Constant, path: &Path<'_>, reader: &mut Reader<'_>) -> Self::Value {
        Self::read(Written::Default(default), default, path, reader).expect("a default is right")
    }
}

/// Reads a setting of a section. The default is used if the setting is missing, null or invalid, so that all other
/// settings can still be read. The defaults of a section have the order of its settings.
pub(crate) fn read_setting<K: Kind>(
    section: Written<'_>,
    name: &'static str,
    default: Option<&'static (&'static str, Constant)>,
    path: &Path<'_>,
    reader: &mut Reader<'_>,
) -> K::Value {
    let path = path.name(name);
    let default = default.filter(|(of, _)| *of == name);
    let default = default.map_or(&Constant::Null, |(_, default)| default);
    let written = section.written(name);
    match written.and_then(|written| K::read(written, default, &path, reader)) {
        Some(value) => value,
        None => K::read_default(default, &path, reader),
    }
}

/// `true` or `false`.
impl Kind for bool {
    type Value = Self;

    fn read(written: Written<'_>, _: &'static Constant, path: &Path<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let value = written.flag();
        if value.is_none() {
            let instead = written.text().filter(|text| matches!(&**text, "true" | "false"));
            reader.mismatch(path, written, "`true` or `false`", instead.map(|text| text.to_string()));
        }
        value
    }
}

/// A whole number, 1 or more.
pub(crate) struct Count;

impl Kind for Count {
    type Value = usize;

    fn read(written: Written<'_>, _: &'static Constant, path: &Path<'_>, reader: &mut Reader<'_>) -> Option<usize> {
        let count = |number: u64| usize::try_from(number).ok().filter(|number| *number > 0);
        let value = written.whole().and_then(count);
        if value.is_none() {
            let number = written.text().and_then(|text| text.parse().ok()).and_then(count);
            let instead = number.map(|number| number.to_string());
            reader.mismatch(path, written, "a whole number, 1 or more", instead);
        }
        value
    }
}

/// How many shards there are; `auto` is none.
pub(crate) struct Shards;

impl Kind for Shards {
    type Value = Option<usize>;

    fn read(
        written: Written<'_>,
        _: &'static Constant,
        path: &Path<'_>,
        reader: &mut Reader<'_>,
    ) -> Option<Self::Value> {
        if written.text().is_some_and(|text| &*text == "auto") {
            return Some(None);
        }
        let count = |number: &u64| (1..=MAX_SHARDS as u64).contains(number);
        let value = written
            .whole()
            .filter(count)
            .and_then(|number| usize::try_from(number).ok());
        if value.is_none() {
            let number = written.text().and_then(|text| text.parse().ok()).filter(count);
            let instead = number.map(|number| number.to_string());
            reader.mismatch(path, written, "`auto`, or a whole number from 1 to 128", instead);
        }
        value.map(Some)
    }
}

/// Any text.
impl Kind for String {
    type Value = Cow<'static, str>;

    fn read(
        written: Written<'_>,
        _: &'static Constant,
        path: &Path<'_>,
        reader: &mut Reader<'_>,
    ) -> Option<Self::Value> {
        reader.text(written, path).map(Text::into_cow)
    }
}

/// Kinds of text with a rule: the parsed type, or the problem with the text.
macro_rules! texts {
    ($(
        $(#[$attribute:meta])*
        $kind:ident => $value:ty = |$text:ident, $path:ident| $parse:expr;
    )*) => {$(
        impl Kind for $kind {
            type Value = $value;

            fn read(written: Written<'_>, _: &'static Constant, $path: &Path<'_>, reader: &mut Reader<'_>) -> Option<$value> {
                let $text = reader.text(written, $path)?;
                let parsed: Result<$value, Problem> = $parse;
                match parsed {
                    Ok(value) => Some(value),
                    Err(problem) => {
                        reader.report($path, problem);
                        None
                    }
                }
            }
        }
    )*};
}

/// An annotation's name.
pub(crate) struct AnnotationName;

/// The name of an instance of telewarden.
pub(crate) struct InstanceName;

/// A namespace's name.
pub(crate) struct NamespaceName;

/// A DNS domain in lower case.
pub(crate) struct Domain;

/// A positive size in bytes.
pub(crate) struct Size;

/// A quantity of memory.
#[derive(PartialEq)]
pub(crate) struct Memory;

/// Telegraf's image.
pub(crate) struct Image;

/// A prefix of the names of environment variables.
pub(crate) struct VariablePrefix;

/// The beginning of the names of Secrets, or a key in them.
pub(crate) struct SecretName;

/// A label that selects pods; empty for all pods.
pub(crate) struct PodLabel;

/// The number of a TCP or UDP port.
pub(crate) struct Port;

impl Kind for Port {
    type Value = u16;

    fn read(written: Written<'_>, _: &'static Constant, path: &Path<'_>, reader: &mut Reader<'_>) -> Option<u16> {
        let port = |number: u64| u16::try_from(number).ok().filter(|port| *port > 0);
        let value = written.whole().and_then(port);
        if value.is_none() {
            reader.mismatch(path, written, "a port, 1 to 65535", None);
        }
        value
    }
}

texts! {
    AnnotationName => Cow<'static, str> = |text, _path| match text.satisfies(is_qualified_name) {
        true => Ok(text.into_cow()),
        false => Err(Problem::AnnotationKey { key: text.to_string() }),
    };
    InstanceName => Cow<'static, str> = |text, _path| dns_label(text, "an instance's name");
    NamespaceName => Cow<'static, str> = |text, _path| dns_label(text, "a namespace's name");
    SecretName => Cow<'static, str> = |text, _path| dns_label(text, "a name of a Secret, or of a key in it");
    Domain => Cow<'static, str> = |text, _path| match text.satisfies(|text| text.split('.').all(is_dns_label)) {
        true => Ok(text.into_cow()),
        false => Err(Problem::Pattern { pattern: text.to_string(), why: "is not a DNS domain in lower case" }),
    };
    Size => i64 = |text, path| parse_size(&text).filter(|bytes| *bytes > 0).ok_or_else(|| {
        expected(&text, path, "a size such as `20MB`")
    });
    Quantity => Quantity = |text, path| Quantity::parse(&text).ok_or_else(|| Problem::InvalidQuantity {
        name: path.to_string(),
        text: text.to_string(),
    });
    Memory => Quantity = |text, path| Quantity::parse_memory(&text).ok_or_else(|| Problem::InvalidQuantity {
        name: path.to_string(),
        text: text.to_string(),
    });
    Image => Cow<'static, str> = |text, _path| match check_image(&text) {
        Ok(()) => Ok(text.into_cow()),
        Err(why) => Err(Problem::Image { image: text.to_string(), why }),
    };
    VariablePrefix => Cow<'static, str> = |text, path| {
        let known = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let is_beginning = |text: &str| text.starts_with(|c: char| known(c) && !c.is_ascii_digit()) && text.chars().all(known);
        match text.satisfies(is_beginning) {
            true => Ok(text.into_cow()),
            false => Err(expected(&text, path, "the beginning of a variable's name such as `SECRET_`")),
        }
    };
    PodLabel => Option<(String, String)> = |text, path| match text.split_once('=') {
        _ if text.is_empty() => Ok(None),
        Some((name, value)) if is_qualified_name(name) && is_label_value(value) => {
            Ok(Some((name.to_owned(), value.to_owned())))
        }
        _ => Err(expected(&text, path, "a label such as `k8s-app=kube-dns`")),
    };
    IpAddr => IpAddr = |text, path| text.parse().map_err(|_| expected(&text, path, "an IP address"));
    HostPattern => HostPattern = |text, _path| HostPattern::parse(text);
    NamePattern => NamePattern = |text, _path| NamePattern::parse(&text);
}

impl Kind for Duration {
    type Value = Self;

    fn read(written: Written<'_>, _: &'static Constant, path: &Path<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let Some(text) = written.text() else {
            let instead = written.whole().map(|seconds| format!("{seconds}s"));
            reader.mismatch(path, written, "a duration such as `30s`", instead);
            return None;
        };
        let duration = Self::parse(&text);
        if duration.is_none() {
            let (name, text) = (path.to_string(), text.to_string());
            reader.report(path, Problem::InvalidDuration { name, text });
        }
        duration
    }
}

/// True for a label's value: <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/>.
fn is_label_value(text: &str) -> bool {
    text.is_empty() || (!text.contains('/') && is_qualified_name(text))
}

fn dns_label(text: Text<'_>, what: &'static str) -> Result<Cow<'static, str>, Problem> {
    match text.satisfies(is_dns_label) {
        true => Ok(text.into_cow()),
        false => Err(Problem::DnsLabel {
            text: text.to_string(),
            what,
        }),
    }
}

fn expected(text: &str, path: &Path<'_>, expected: &str) -> Problem {
    Problem::Settings {
        error: format!("`{path}` is `{text}`, but must be {expected}"),
        nearest: None,
    }
}

/// A duration, or null for none.
pub(crate) struct OptionalDuration;

impl Kind for OptionalDuration {
    type Value = Option<Duration>;

    fn read(
        written: Written<'_>,
        default: &'static Constant,
        path: &Path<'_>,
        reader: &mut Reader<'_>,
    ) -> Option<Self::Value> {
        match written.is_null() {
            true => Some(None),
            false => <Duration as Kind>::read(written, default, path, reader).map(Some),
        }
    }
}

/// A list. It replaces the default.
impl<K: Kind> Kind for Vec<K> {
    type Value = Vec<K::Value>;

    fn read(
        written: Written<'_>,
        _: &'static Constant,
        path: &Path<'_>,
        reader: &mut Reader<'_>,
    ) -> Option<Self::Value> {
        let list = reader.list(written, path)?;
        let mut items = Vec::new();
        for (index, item) in list.enumerate() {
            items.extend(K::read(item, &Constant::Null, &path.index(index), reader));
        }
        Some(items)
    }
}

/// A list that cannot be empty.
pub(crate) struct OneOrMore<K>(PhantomData<K>);

impl<K: Kind> Kind for OneOrMore<K> {
    type Value = Vec<K::Value>;

    fn read(
        written: Written<'_>,
        default: &'static Constant,
        path: &Path<'_>,
        reader: &mut Reader<'_>,
    ) -> Option<Self::Value> {
        if written.items().is_some_and(|mut items| items.next().is_none()) {
            let error =
                format!("`{path}` is an empty list, and should have at least one item: nothing would be allowed");
            reader.report(path, Problem::Settings { error, nearest: None });
            return None;
        }
        Vec::<K>::read(written, default, path, reader)
    }
}

/// A list of names, in any order.
pub(crate) struct NameSet;

impl Kind for NameSet {
    type Value = BTreeSet<String>;

    fn read(
        written: Written<'_>,
        default: &'static Constant,
        path: &Path<'_>,
        reader: &mut Reader<'_>,
    ) -> Option<Self::Value> {
        let mut names = BTreeSet::new();
        let list = Vec::<String>::read(written, default, path, reader)?;
        names.extend(list.into_iter().map(Cow::into_owned));
        Some(names)
    }
}

/// A map from names to texts.
pub(crate) struct TextMap;

impl Kind for TextMap {
    type Value = BTreeMap<String, String>;

    fn read(
        written: Written<'_>,
        default: &'static Constant,
        path: &Path<'_>,
        reader: &mut Reader<'_>,
    ) -> Option<Self::Value> {
        let mut texts = BTreeMap::new();
        for (name, value) in reader.entries(written.over(default), path)? {
            if let Some(text) = reader.text(value, &path.name(&name)) {
                texts.insert(name.to_string(), text.to_string());
            }
        }
        Some(texts)
    }
}

/// The scope of a text: the placeholders that it may contain.
pub(crate) trait Placeholders {
    fn scope(scopes: Scopes) -> Scope;
}

/// Those of a source and its endpoint.
pub(crate) struct OfEndpoint;

/// Those of all sources that share a Telegraf.
pub(crate) struct OfTelegraf;

/// Those of all sources that share an output. In `standalone`, outputs with placeholders are written once for each source.
pub(crate) struct OfOutput;

impl Placeholders for OfEndpoint {
    fn scope(_: Scopes) -> Scope {
        Scope::Endpoint
    }
}

impl Placeholders for OfTelegraf {
    fn scope(scopes: Scopes) -> Scope {
        scopes.telegraf
    }
}

impl Placeholders for OfOutput {
    fn scope(scopes: Scopes) -> Scope {
        scopes.outputs
    }
}

/// A text with placeholders.
pub(crate) struct TextWith<P>(PhantomData<P>);

impl<P: Placeholders> Kind for TextWith<P> {
    type Value = Template;

    fn read(written: Written<'_>, _: &'static Constant, path: &Path<'_>, reader: &mut Reader<'_>) -> Option<Template> {
        let text = reader.text(written, path)?;
        reader.template(text, P::scope(reader.scopes), path)
    }
}

/// Tags, whose values have an endpoint's placeholders.
pub(crate) struct Tags;

impl Kind for Tags {
    type Value = SmallMap<Key, Template>;

    fn read(
        written: Written<'_>,
        default: &'static Constant,
        path: &Path<'_>,
        reader: &mut Reader<'_>,
    ) -> Option<Self::Value> {
        let mut tags = SmallMap::default();
        for (name, value) in reader.entries(written.over(default), path)? {
            let path = path.name(&name);
            let key = Key::of(name.into_cow());
            if key.is_none() {
                let why = "a tag's name holds other characters than A-Z, a-z, 0-9, `_` and `-`";
                reader.report_name(&path, Problem::TelegrafValue { why });
            }
            let text = reader.text(value, &path);
            let text = text.and_then(|text| reader.template(text, Scope::Endpoint, &path));
            tags.extend(key.zip(text));
        }
        Some(tags)
    }
}

/// Labels of pods, whose values have a source's placeholders.
pub(crate) struct PodLabels;

/// Annotations of pods, whose values have a source's placeholders.
pub(crate) struct PodAnnotations;

impl Kind for PodLabels {
    type Value = SmallMap<String, Template>;

    fn read(
        written: Written<'_>,
        default: &'static Constant,
        path: &Path<'_>,
        reader: &mut Reader<'_>,
    ) -> Option<Self::Value> {
        let texts = TextMap::read(written, default, path, reader)?;
        Some(metadata(texts, "a label of the pods", path, reader))
    }
}

impl Kind for PodAnnotations {
    type Value = SmallMap<String, Template>;

    fn read(
        written: Written<'_>,
        default: &'static Constant,
        path: &Path<'_>,
        reader: &mut Reader<'_>,
    ) -> Option<Self::Value> {
        let texts = TextMap::read(written, default, path, reader)?;
        Some(metadata(texts, "an annotation of the pods", path, reader))
    }
}

fn metadata(
    texts: BTreeMap<String, String>,
    what: &'static str,
    path: &Path<'_>,
    reader: &mut Reader<'_>,
) -> SmallMap<String, Template> {
    let mut templates = SmallMap::default();
    for (name, text) in texts {
        let path = path.name(&name);
        if is_reserved_metadata(&name) {
            let name = name.clone();
            reader.report(&path, Problem::ReservedName { name, what });
        } else if let Some(text) = reader.template(Text::Document(&text), Scope::Source, &path) {
            templates.insert(name.clone(), text);
        }
    }
    templates
}

/// A table of Telegraf's configuration.
pub(crate) struct Table<P>(PhantomData<P>);

impl<P: Placeholders> Kind for Table<P> {
    type Value = TemplateTable;

    fn read(
        written: Written<'_>,
        default: &'static Constant,
        path: &Path<'_>,
        reader: &mut Reader<'_>,
    ) -> Option<TemplateTable> {
        let written = reader.map(written.over(default), path)?;
        let scope = P::scope(reader.scopes);
        Some(template::read_table(written, scope, path, reader.findings))
    }
}

/// Telegraf's plugins by name, each with a table for each instance. They replace the default as a whole: an
/// administrator who writes `outputs: {file: …}` does not want the default `influxdb_v2` too.
pub(crate) struct Plugins<P>(PhantomData<P>);

/// The same, with at least one plugin.
pub(crate) struct Outputs;

type Instances = SmallMap<Key, Vec<TemplateTable>>;

impl<P: Placeholders> Kind for Plugins<P> {
    type Value = Instances;

    fn read(written: Written<'_>, _: &'static Constant, path: &Path<'_>, reader: &mut Reader<'_>) -> Option<Instances> {
        plugins(written, P::scope(reader.scopes), path, reader)
    }
}

impl Kind for Outputs {
    type Value = Instances;

    fn read(written: Written<'_>, _: &'static Constant, path: &Path<'_>, reader: &mut Reader<'_>) -> Option<Instances> {
        let outputs = plugins(written, OfOutput::scope(reader.scopes), path, reader)?;
        let is_empty = |value: Written<'_>| value.items().is_some_and(|mut instances| instances.next().is_none());
        if written.entries()?.all(|(_, instances)| is_empty(instances)) {
            let class = path.parent_name().to_owned();
            reader.report(path, Problem::NoOutput { class });
        }
        if outputs.keys().any(|plugin| plugin.as_str() == "health") {
            let plugin = "outputs.health".to_owned();
            reader.report(&path.name("health"), Problem::OwnPlugin { plugin });
        }
        Some(outputs)
    }
}

fn plugins(written: Written<'_>, scope: Scope, path: &Path<'_>, reader: &mut Reader<'_>) -> Option<Instances> {
    let mut plugins = Instances::default();
    for (name, value) in reader.entries(written, path)? {
        let path = path.name(&name);
        let Some(key) = Key::of(name.into_cow()) else {
            let why = "a plugin's name holds other characters than A-Z, a-z, 0-9, `_` and `-`";
            reader.report_name(&path, Problem::TelegrafValue { why });
            continue;
        };
        let Some(list) = value.items() else {
            reader.mismatch(&path, value, "a list of maps, one for each instance", None);
            continue;
        };
        let mut instances = Vec::new();
        for (index, instance) in list.enumerate() {
            let path = path.index(index);
            if let Some(instance) = reader.map(instance, &path) {
                instances.push(template::read_table(instance, scope, &path, reader.findings));
            }
        }
        plugins.insert(key, instances);
    }
    Some(plugins)
}

/// Sections by name, each merged with the built-in section `default`.
pub(crate) struct Sections<S>(PhantomData<S>);

impl<S: Kind> Kind for Sections<S> {
    type Value = SmallMap<String, S::Value>;

    const DEFAULT: Constant = Constant::Map(&[("default", S::DEFAULT)]);

    fn read(
        written: Written<'_>,
        _: &'static Constant,
        path: &Path<'_>,
        reader: &mut Reader<'_>,
    ) -> Option<Self::Value> {
        let mut sections = SmallMap::default();
        for (name, section) in reader.entries(written, path)? {
            let path = path.name(&name);
            let section = match S::read(section, &S::DEFAULT, &path, reader) {
                Some(section) => section,
                None => S::read_default(&S::DEFAULT, &path, reader),
            };
            sections.insert(name.to_string(), section);
        }
        if !sections.contains_key("default") {
            let section = S::read_default(&S::DEFAULT, &path.name("default"), reader);
            sections.insert("default".to_owned(), section);
        }
        Some(sections)
    }
}

/// Options of endpoints.
pub(crate) struct EndpointOptions;

impl Kind for EndpointOptions {
    type Value = Options;

    fn read(
        written: Written<'_>,
        default: &'static Constant,
        path: &Path<'_>,
        reader: &mut Reader<'_>,
    ) -> Option<Options> {
        let node = node(reader.map(written.over(default), path)?, path.pointer().into());
        let Data::Map(entries) = &node.data else {
            return None;
        };
        let options = read_options(entries, &[], Origin::Settings, reader.findings);
        Some(options)
    }
}

/// A type of Kubernetes. Kubernetes ignores unknown fields; here they are errors.
pub(crate) struct Kubernetes<T>(PhantomData<T>);

/// A toleration, as in a pod.
pub(crate) type PodToleration = Kubernetes<Toleration>;

impl<T: DeserializeOwned + Serialize> Kind for Kubernetes<T> {
    type Value = T;

    fn read(written: Written<'_>, _: &'static Constant, path: &Path<'_>, reader: &mut Reader<'_>) -> Option<T> {
        let written = reader.map(written, path)?;
        match serde_json::from_value::<T>(written.to_json()) {
            Ok(value) => {
                // Kubernetes knows each field of a default.
                if let Written::Document(written) = written
                    && let Ok(kept) = serde_json::to_value(&value)
                {
                    report_lost(written, &kept, path, reader);
                }
                Some(value)
            }
            Err(error) => {
                let error = format!("`{path}`: {error}");
                reader.report(path, Problem::Settings { error, nearest: None });
                None
            }
        }
    }
}

/// Reports fields that the type did not keep.
fn report_lost(written: &Json, kept: &Json, path: &Path<'_>, reader: &mut Reader<'_>) {
    for (name, value) in written.as_object().into_iter().flatten() {
        let path = path.name(name);
        match kept.get(name) {
            Some(kept) => report_lost(value, kept, &path, reader),
            None if value.is_null() => {}
            None => {
                let error = format!("`{path}` is not a field that Kubernetes knows");
                reader.report_name(&path, Problem::Settings { error, nearest: None });
            }
        }
    }
}

/// A part of a pod that is rendered as it is written. Its fields are the API server's to check, because the types of
/// Kubernetes would be a twentieth of the module.
pub(crate) struct PodFields;

/// What [`PodFields`] become.
#[derive(Clone)]
pub(crate) enum Fields {
    /// The default, which is not copied until it is rendered.
    Default(&'static Constant),
    Written(Map<String, Json>),
}

impl Fields {
    /// A field that the administrator wrote.
    pub(crate) fn get(&self, name: &str) -> Option<&Json> {
        match self {
            Self::Default(_) => None,
            Self::Written(fields) => fields.get(name),
        }
    }

    /// All fields.
    pub(crate) fn to_map(&self) -> Map<String, Json> {
        match self {
            Self::Default(default) => Written::Default(default).to_map(),
            Self::Written(fields) => fields.clone(),
        }
    }
}

/// A default looks like the same fields that somebody wrote.
impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_map().fmt(f)
    }
}

impl Kind for PodFields {
    type Value = Fields;

    fn read(
        written: Written<'_>,
        default: &'static Constant,
        path: &Path<'_>,
        reader: &mut Reader<'_>,
    ) -> Option<Self::Value> {
        if let Written::Default(default) = written {
            return Some(Fields::Default(default));
        }
        let mut fields = reader.map(written.over(default), path)?.to_map();
        fields.retain(|_, value| !value.is_null());
        Some(Fields::Written(fields))
    }
}

/// The name of the volume with Telegraf's configuration.
pub(crate) const CONFIG_VOLUME: &str = "config";

/// The name of the volume with the endpoints' credentials.
pub(crate) const CREDENTIALS_VOLUME: &str = "credentials";

/// Where Telegraf's configuration is mounted.
pub(crate) const CONFIG_DIRECTORY: &str = "/etc/telegraf";

/// Where the Secrets of endpoints' credentials are mounted, as `<Secret>/<key>`.
pub(crate) const CREDENTIALS_DIRECTORY: &str = "/etc/telegraf-credentials";

/// A namespaced object. Its texts may contain a source's placeholders.
pub(crate) struct ExtraResource;

impl Kind for ExtraResource {
    type Value = Map<String, Json>;

    fn read(
        written: Written<'_>,
        _: &'static Constant,
        path: &Path<'_>,
        reader: &mut Reader<'_>,
    ) -> Option<Self::Value> {
        let resource = reader.map(written, path)?.to_map();
        let metadata = resource.get("metadata").unwrap_or(&Json::Null);
        for (field, value) in [
            ("apiVersion", resource.get("apiVersion")),
            ("kind", resource.get("kind")),
            ("metadata.name", metadata.get("name")),
        ] {
            if value.and_then(Json::as_str).unwrap_or_default().is_empty() {
                let why = format!("the extra resource has no `{field}`");
                reader.report(path, Problem::ExtraResource { why });
            }
        }
        let metadata_path = path.name("metadata");
        if metadata.get("namespace").is_some() {
            let why = "the extra resource names a namespace; it is put into the source's".to_owned();
            reader.report(&metadata_path.name("namespace"), Problem::ExtraResource { why });
        }
        for (field, what) in [
            ("labels", "a label of an extra resource"),
            ("annotations", "an annotation of an extra resource"),
        ] {
            let path = metadata_path.name(field);
            let names = metadata.get(field).and_then(Json::as_object);
            for name in names.into_iter().flat_map(Map::keys) {
                if is_reserved_metadata(name) {
                    let (path, name) = (path.name(name), name.clone());
                    reader.report(&path, Problem::ReservedName { name, what });
                }
            }
        }
        for (name, value) in &resource {
            check_templates(value, &path.name(name), reader);
        }
        Some(resource)
    }
}

fn check_templates(value: &Json, path: &Path<'_>, reader: &mut Reader<'_>) {
    match value {
        Json::String(text) => {
            reader.template(Text::Document(text), Scope::Source, path);
        }
        Json::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                check_templates(value, &path.index(index), reader);
            }
        }
        Json::Object(map) => {
            for (name, value) in map {
                check_templates(value, &path.name(name), reader);
            }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

/// Gives a kind the JSON Schema of another type.
#[cfg(feature = "schema")]
macro_rules! schema_of {
    ($kind:ty : $written:ty $(, $placeholders:ident)?) => {
        impl $(<$placeholders>)? schemars::JsonSchema for $kind {
            fn inline_schema() -> bool {
                <$written as schemars::JsonSchema>::inline_schema()
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                <$written as schemars::JsonSchema>::schema_name()
            }

            fn schema_id() -> std::borrow::Cow<'static, str> {
                <$written as schemars::JsonSchema>::schema_id()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                <$written as schemars::JsonSchema>::json_schema(generator)
            }
        }
    };
}

#[cfg(feature = "schema")]
pub(crate) use schema_of;

#[cfg(feature = "schema")]
mod schema {
    use std::borrow::Cow;
    use std::num::{NonZeroU16, NonZeroUsize};

    use schemars::{JsonSchema, Schema, SchemaGenerator};

    use super::*;
    use crate::settings::pod_variable::Variable;

    schema_of!(Count: NonZeroUsize);
    schema_of!(Port: NonZeroU16);
    schema_of!(PodLabel: String);
    schema_of!(AnnotationName: String);
    schema_of!(InstanceName: String);
    schema_of!(NamespaceName: String);
    schema_of!(Domain: String);
    schema_of!(Duration: String);
    schema_of!(Size: String);
    schema_of!(Quantity: String);
    schema_of!(Memory: String);
    schema_of!(Image: String);
    schema_of!(VariablePrefix: String);
    schema_of!(SecretName: String);
    schema_of!(OptionalDuration: Option<String>);
    schema_of!(HostPattern: String);
    schema_of!(NamePattern: String);
    schema_of!(NameSet: Vec<String>);
    schema_of!(TextMap: BTreeMap<String, String>);
    schema_of!(Tags: BTreeMap<String, String>);
    schema_of!(PodLabels: BTreeMap<String, String>);
    schema_of!(PodAnnotations: BTreeMap<String, String>);
    schema_of!(TextWith<P>: String, P);
    schema_of!(Table<P>: Map<String, Json>, P);
    schema_of!(Plugins<P>: BTreeMap<String, Vec<Map<String, Json>>>, P);
    schema_of!(Outputs: BTreeMap<String, Vec<Map<String, Json>>>);
    schema_of!(EndpointOptions: Map<String, Json>);
    schema_of!(Variable: k8s_openapi::api::core::v1::EnvVar);
    schema_of!(PodToleration: Toleration);
    schema_of!(PodFields: Map<String, Json>);
    schema_of!(ExtraResource: Map<String, Json>);

    impl JsonSchema for Shards {
        fn inline_schema() -> bool {
            true
        }

        fn schema_name() -> Cow<'static, str> {
            "Shards".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            schemars::json_schema!({"anyOf": [{"const": "auto"}, {"type": "integer", "minimum": 1, "maximum": MAX_SHARDS}]})
        }
    }

    impl<S: JsonSchema> JsonSchema for Sections<S> {
        fn inline_schema() -> bool {
            BTreeMap::<String, S>::inline_schema()
        }

        fn schema_name() -> Cow<'static, str> {
            BTreeMap::<String, S>::schema_name()
        }

        fn json_schema(generator: &mut SchemaGenerator) -> Schema {
            BTreeMap::<String, S>::json_schema(generator)
        }
    }

    impl<K: JsonSchema> JsonSchema for OneOrMore<K> {
        fn inline_schema() -> bool {
            true
        }

        fn schema_name() -> Cow<'static, str> {
            Vec::<K>::schema_name()
        }

        fn json_schema(generator: &mut SchemaGenerator) -> Schema {
            let mut schema = Vec::<K>::json_schema(generator);
            schema.insert("minItems".to_owned(), 1.into());
            schema
        }
    }
}
