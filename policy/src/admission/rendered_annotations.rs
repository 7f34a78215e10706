//! The annotations that the policy itself adds to a source, when the settings' `mutation` asks for them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value as Json, json};

use super::request::{Payload, RelevantFields, Request};
use crate::diagnostic::{Diagnostic, Place, Problem};
use crate::digest::sha256;
use crate::protocol::{Outcome, RenderAnswer};
use crate::settings::Mutation;
use crate::source::Annotations;

/// The digest of what is rendered.
const DIGEST: &str = "telegraf.influxdata.com/rendered-digest";

/// What is rendered, as a `v1` List.
const RESOURCES: &str = "telegraf.influxdata.com/rendered";

/// Everything rendered, as a `v1` List.
pub(super) fn list(answer: &RenderAnswer) -> Json {
    let of_sources = answer
        .sources
        .iter()
        .map(|source| &source.rendered)
        .chain(&answer.shared);
    let items: Vec<_> = of_sources.flat_map(|rendered| &rendered.objects).collect();
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}

/// The values that these annotations have for a source, if it renders to anything.
pub(super) struct RenderedAnnotations(Option<Facts>);

struct Facts {
    endpoints: usize,
    resources: String,
    /// The digest of the bytes of `resources`.
    digest: String,
}

/// Facts for the audit log. The digest is one of them where something was rendered to compute it from.
pub(super) fn facts(endpoints: usize, digest: Option<&str>) -> BTreeMap<String, String> {
    let mut facts = BTreeMap::new();
    if endpoints > 0 {
        facts.insert("endpoints".to_owned(), endpoints.to_string());
    }
    if let Some(digest) = digest {
        facts.insert("rendered-digest".to_owned(), digest.to_owned());
    }
    facts
}

impl RenderedAnnotations {
    /// True if an object has one of these annotations.
    pub(super) fn are_in(fields: &RelevantFields<'_>) -> bool {
        [DIGEST, RESOURCES].iter().any(|name| fields.has(name))
    }

    pub(super) fn of(answer: &RenderAnswer) -> Self {
        let source = answer
            .sources
            .first()
            .filter(|source| source.outcome == Outcome::Rendered);
        Self(source.map(|source| {
            let resources = list(answer).to_string();
            Facts {
                endpoints: source.endpoints.len(),
                digest: format!("sha256:{}", sha256(&resources)),
                resources,
            }
        }))
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.as_ref().map(|facts| match name {
            DIGEST => facts.digest.as_str(),
            _ => facts.resources.as_str(),
        })
    }

    /// Reports values that are neither the previous values of the object nor those that the policy would write. The
    /// policy's own values occur when an object passes admission a second time, or is restored from a backup.
    pub(super) fn forged(&self, fields: &RelevantFields<'_>, before: Option<&RelevantFields<'_>>) -> Vec<Diagnostic> {
        let forged = |name: &&str| {
            fields.annotation(name).is_some_and(|value| {
                let had = before.and_then(|before| before.annotation(name));
                Some(&value) != had.as_ref() && Some(value.as_str()) != self.text(name)
            })
        };
        let problem = |name: &str| {
            let place = Place::annotation(name, None);
            Problem::PolicyOnlyAnnotation { name: name.to_owned() }.at(place)
        };
        [DIGEST, RESOURCES].into_iter().filter(forged).map(problem).collect()
    }

    /// The mutated object, if the object has to be changed.
    pub(super) fn mutate(
        &self,
        mutation: Mutation,
        fields: &RelevantFields<'_>,
        payload: &[u8],
    ) -> Result<Option<Box<RawValue>>, serde_json::Error> {
        let wanted = match mutation {
            Mutation::None => return Ok(None),
            Mutation::Digest => [(DIGEST, self.text(DIGEST)), (RESOURCES, None)],
            Mutation::Resources => [(DIGEST, None), (RESOURCES, self.text(RESOURCES))],
        };
        if wanted
            .iter()
            .all(|(name, text)| fields.annotation(name).as_deref() == *text)
        {
            return Ok(None);
        }
        let payload: Payload<'_, Request<&RawValue>> = crate::decode::decode(payload)?;
        let Some(object) = payload.request.object else {
            return Ok(None);
        };
        let edited = edit(object, "metadata", |metadata| {
            let edited = edit(metadata, "annotations", |annotations| {
                let mut annotations = annotations.to_owned();
                for (name, text) in wanted {
                    annotations = edit(&annotations, name, |_| text.map(to_raw_value).transpose())?;
                }
                Ok(Some(annotations))
            });
            edited.map(Some)
        });
        edited.map(Some)
    }

    /// Facts for the audit log.
    pub(super) fn audit_annotations(&self) -> BTreeMap<String, String> {
        let known = self.0.as_ref();
        known.map_or_else(BTreeMap::new, |known| facts(known.endpoints, Some(&known.digest)))
    }
}

/// A map with one entry changed or, for `None`, removed. The other entries are not decoded, so they cannot change.
fn edit(
    map: &RawValue,
    name: &str,
    change: impl FnOnce(&RawValue) -> Result<Option<Box<RawValue>>, serde_json::Error>,
) -> Result<Box<RawValue>, serde_json::Error> {
    let Annotations(entries) = serde_json::from_str(map.get())?;
    let nothing = RawValue::NULL;
    let old = entries
        .iter()
        .find(|(known, _)| known == name)
        .map_or(nothing, |(_, value)| *value);
    let new = change(old)?;
    let others = entries.iter().filter(|(known, _)| known != name);
    let others = others.map(|(known, value)| (known.clone(), *value));
    let new = new.as_deref().map(|value| (Cow::Borrowed(name), value));
    to_raw_value(&Entries(others.chain(new).collect()))
}

/// Entries of a map, in their order.
struct Entries<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl serde::Serialize for Entries<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}
