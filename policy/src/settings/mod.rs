//! What the cluster's administrator chose, checked.
//!
//! | file | what it knows |
//! | --- | --- |
//! | `document.rs` | every setting: name, kind, default, documentation |
//! | `kind.rs` | what may be written for a kind of setting, and what it becomes |
//! | `check.rs` | what is a matter of several settings |
//! | `reader.rs`, `path.rs`, `constant.rs`, `declare.rs` | how the declarations become a reader |
//!
//! [`read`] reports everything that is wrong with a document at once, and answers [`Settings`], in which every name, pattern
//! and template is known to be usable.

#[macro_use]
mod declare;
#[macro_use]
mod constant;
mod check;
mod document;
mod kind;
mod path;
mod pattern;
mod quantity;
mod reader;
mod report;
mod template;

use std::collections::BTreeMap;

use serde_json::Value as Json;

use self::kind::Kind;
use self::path::Path;
use self::reader::Reader;
use crate::diagnostic::{Diagnostic, Findings, Place, Problem};
use crate::telegraf::{Key, OptionBounds};

pub(crate) use document::{Class, Endpoints, ResourceList, Sources};
pub use document::{Mutation, Reload, Scheme, Settings, Topology};
pub(crate) use pattern::{HostPattern, NamePattern};
pub(crate) use quantity::Quantity;
pub use report::report;
pub(crate) use template::{Names, Scope, Template, TemplateTable, TemplateValue, fill_table, has_placeholder, texts};

impl Settings {
    /// The annotation whose value names endpoints.
    pub fn annotation(&self) -> &str {
        &self.annotation
    }
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

/// Plugins by name, each with its instances.
pub(crate) type Plugins = BTreeMap<Key, Vec<TemplateTable>>;

/// The settings that count where the administrator says nothing, as a document.
pub fn defaults() -> Json {
    Json::from(&Settings::DEFAULT)
}

/// Reads settings. They are `None` exactly when one of the findings is an error.
pub fn read(document: Option<&Json>) -> (Option<Settings>, Vec<Diagnostic>) {
    let mut findings = Findings::default();
    let settings = read_document(document, &mut findings).filter(|_| !findings.has_error());
    (settings, findings.into_vec())
}

fn read_document(document: Option<&Json>, findings: &mut Findings) -> Option<Settings> {
    let document = document.unwrap_or(&Json::Null);
    let topology = document.get("topology").and_then(Json::as_str);
    let topology = topology.and_then(Topology::from_name).unwrap_or(Topology::Application);
    let mut reader = Reader::new(findings, topology);
    let mut settings = match document {
        Json::Null => Settings::read_default(&Settings::DEFAULT, &Path::ROOT, &mut reader),
        Json::Object(_) => Settings::read(document, &Settings::DEFAULT, &Path::ROOT, &mut reader)?,
        _ => {
            let error = "the settings are not a map".to_owned();
            findings.report(Problem::Settings { error, nearest: None }, Place::pointer(""));
            return None;
        }
    };
    check::check(&mut settings, &mut reader);
    Some(settings)
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
