//! Answers Kubewarden's requests: accept, reject or, for a raw request, render everything.
//!
//! The types are those of Kubewarden: <https://docs.kubewarden.io/reference/spec/intro-spec>. [`render`](crate::render)
//! finds the problems of an object. This module decides what they mean for a request:
//!
//! - An object without our annotations passes, and so does one that is deleted or being deleted.
//! - An update that does not change our annotations, the destination or the project passes unread, even when the rules became
//!   stricter since: Argo CD writes an Application's status many times a minute. The audit scanner reports what is no longer
//!   allowed.
//! - An object with an error is refused, with all of its errors.

mod fast_path;
mod rendered_annotations;
mod request;
#[cfg(feature = "host")]
pub mod review;
mod text;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value as Json;
use serde_json::value::{RawValue, to_raw_value};

use crate::application_set;
use crate::diagnostic::{Diagnostic, Problem};
use crate::protocol::{RenderAnswer, RenderRequest, VERSION};
use crate::render::{judge, render, render_one};
use crate::services::ScrapedPorts;
use crate::settings::{self, LookUp, Mutation, Settings};
use crate::source::{Kind, Object, TypeMeta};
use rendered_annotations::RenderedAnnotations;
use request::{Payload, RelevantFields, Request, annotation_key};

/// The answer of `validate`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ValidateAnswer {
    /// Whether the request is accepted.
    pub accepted: bool,
    /// The reason for a rejection; otherwise warnings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The HTTP status of a rejection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<u16>,
    /// The mutated object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mutated_object: Option<Box<RawValue>>,
    /// Warnings.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Facts for the audit log.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub audit_annotations: BTreeMap<String, String>,
}

/// The answer of `validate_settings`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SettingsAnswer {
    /// Whether the settings are valid.
    pub valid: bool,
    /// The reason if they are invalid; otherwise warnings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Answers the payload of `validate`, and looks nothing up in the cluster. Never fails.
pub fn validate(payload: &[u8]) -> ValidateAnswer {
    validate_with(payload, |_| None)
}

/// Answers the payload of `validate`. Never fails.
///
/// `list` asks the policy engine for Services. It is called at most once, and only with the setting `services: warn`. Its argument is
/// the payload of Kubewarden's host capability `list_resources_by_namespace`
/// (<https://docs.kubewarden.io/reference/spec/host-capabilities/kubernetes>), and it answers what the API server answers: a List, as
/// JSON. `None` if they cannot be looked up.
pub fn validate_with(payload: &[u8], list: impl ListServices) -> ValidateAnswer {
    match fast_path::is_certainly_unannotated(payload) {
        true => accept(),
        false => answer(payload, &list),
    }
}

/// See [`validate_with`]. A type and not a `dyn`, so that a host that lists nothing does not contain what reads the list.
pub trait ListServices: Fn(&[u8]) -> Option<Vec<u8>> {}
impl<L: Fn(&[u8]) -> Option<Vec<u8>>> ListServices for L {}

fn answer(payload: &[u8], list: &impl ListServices) -> ValidateAnswer {
    match crate::decode::decode::<Payload<'_, Request<Object<'_>>>>(payload) {
        Ok(Payload {
            request:
                Request {
                    uid: Some(_),
                    operation: Some(operation),
                    object,
                    old_object,
                },
            settings,
        }) => admit(
            &operation,
            object.as_ref(),
            old_object.as_ref(),
            settings,
            payload,
            list,
        ),
        _ => answer_unusual(payload, list),
    }
}

/// Answers a payload that is not an AdmissionRequest, or whose objects have an unexpected structure.
fn answer_unusual(payload: &[u8], list: &impl ListServices) -> ValidateAnswer {
    let Payload { request, settings } = match crate::decode::decode::<Payload<'_, &RawValue>>(payload) {
        Ok(payload) => payload,
        Err(error) => return reject(&[unreadable("the request", error)]),
    };
    let Ok(Request {
        uid: Some(_),
        operation: Some(operation),
        object,
        old_object,
    }) = serde_json::from_str::<Request<&RawValue>>(request.get())
    else {
        return generate(request, settings);
    };
    let old = old_object.and_then(|old| serde_json::from_str::<Object<'_>>(old.get()).ok());
    match object.map(|object| (object, serde_json::from_str::<Object<'_>>(object.get()))) {
        Some((_, Ok(object))) => admit(&operation, Some(&object), old.as_ref(), settings, payload, list),
        Some((object, Err(error))) if writes(&operation) && !is_of_other_kind(object) => {
            reject(&[unreadable("the object", error)])
        }
        Some((_, Err(_))) => accept(),
        None => admit(&operation, None, None, settings, payload, list),
    }
}

/// Accepts or rejects an object.
fn admit(
    operation: &str,
    object: Option<&Object<'_>>,
    old: Option<&Object<'_>>,
    settings: Option<&RawValue>,
    payload: &[u8],
    list: &impl ListServices,
) -> ValidateAnswer {
    if !writes(operation) {
        return accept();
    }
    let Some(object) = object else {
        return reject(&[unreadable("the request", "it has no object")]);
    };
    let key = annotation_key(settings);
    let Some(fields) = RelevantFields::of(object, key.as_deref()) else {
        return accept();
    };
    let update = operation == "UPDATE";
    if update && object.metadata.deletion_timestamp.is_some() {
        return accept();
    }
    let before = old
        .filter(|_| update)
        .and_then(|old| RelevantFields::of(old, key.as_deref()));
    if before.as_ref() == Some(&fields) {
        return accept();
    }

    let settings = match read_settings(settings) {
        Ok(settings) => settings,
        Err(findings) => return verdict(&findings),
    };
    if object.kind() == Some(Kind::ApplicationSet) {
        let findings = application_set::check(object, &settings).unwrap_or_default();
        return verdict(&findings);
    }
    if settings.mutation == Mutation::None && !RenderedAnnotations::are_in(&fields) {
        let mut judged = judge(object, &settings);
        judged.findings.extend(check_services(judged.scraped, list));
        return ValidateAnswer {
            audit_annotations: rendered_annotations::facts(judged.endpoints, None),
            ..verdict(&judged.findings)
        };
    }
    let answer = render_one(object, &settings);
    let rendered = RenderedAnnotations::of(&answer);
    let mut findings = findings_of(&answer);
    if settings.services == LookUp::Warn {
        findings.extend(check_services(judge(object, &settings).scraped, list));
    }
    findings.extend(rendered.forged(&fields, before.as_ref()));
    let verdict = verdict(&findings);
    if !verdict.accepted {
        return verdict;
    }
    let mutated = match rendered.mutate(settings.mutation, &fields, payload) {
        Ok(mutated) => mutated,
        Err(error) => return reject(&[unreadable("the object", error)]),
    };
    ValidateAnswer {
        mutated_object: mutated,
        audit_annotations: rendered.audit_annotations(),
        ..verdict
    }
}

/// Warnings of Services that do not exist.
fn check_services(scraped: ScrapedPorts, list: &impl ListServices) -> Vec<Diagnostic> {
    if scraped.is_empty() {
        return Vec::new();
    }
    let answer = list(scraped.request().to_string().as_bytes());
    let services = answer.and_then(|answer| String::from_utf8(answer).ok());
    services.map(|services| scraped.check(&services)).unwrap_or_default()
}

/// Answers a raw request with everything that is rendered.
fn generate(request: &RawValue, settings: Option<&RawValue>) -> ValidateAnswer {
    let answer = render(&RenderRequest {
        protocol: VERSION,
        settings,
        sources: vec![request],
        ..Default::default()
    });
    let mut findings = findings_of(&answer);
    let is_list = || serde_json::from_str::<TypeMeta<'_>>(request.get()).is_ok_and(|meta| meta.known().is_some());
    if answer.sources.is_empty() && findings.is_empty() && !is_list() {
        let error = "it is neither an AdmissionRequest, nor an Application, a Namespace or a List of them";
        findings.push(unreadable("the request", error));
    }
    let verdict = verdict(&findings);
    if !verdict.accepted {
        return verdict;
    }
    match to_raw_value(&rendered_annotations::list(&answer)) {
        Ok(list) => ValidateAnswer {
            mutated_object: Some(list),
            ..verdict
        },
        Err(error) => reject(&[unreadable("what was rendered", error)]),
    }
}

/// Answers the payload of `validate_settings`. Never fails.
pub fn validate_settings(payload: &[u8]) -> SettingsAnswer {
    let findings = match crate::decode::decode(payload) {
        Ok(document) => settings::read(Some(&document)).1,
        Err(error) => vec![unreadable("the document", error)],
    };
    SettingsAnswer {
        valid: !findings.iter().any(Diagnostic::is_error),
        message: (!findings.is_empty()).then(|| text::paragraph(&findings)),
    }
}

/// Whether an operation writes an object, so that it can be refused.
fn writes(operation: &str) -> bool {
    matches!(operation, "CREATE" | "UPDATE")
}

/// Whether an object that cannot be decoded is certainly not ours.
fn is_of_other_kind(object: &RawValue) -> bool {
    serde_json::from_str::<TypeMeta<'_>>(object.get()).is_ok_and(|meta| meta.known().is_none())
}

fn read_settings(settings: Option<&RawValue>) -> Result<Settings, Vec<Diagnostic>> {
    let document = settings
        .map(|settings| serde_json::from_str::<Json>(settings.get()))
        .transpose();
    let document = document.map_err(|error| vec![unreadable("the settings", error)])?;
    let (settings, findings) = settings::read_again(document.as_ref());
    settings.ok_or(findings)
}

/// All findings about the request's sources.
fn findings_of(answer: &RenderAnswer) -> Vec<Diagnostic> {
    let of_sources = answer.sources.iter().flat_map(|source| &source.diagnostics);
    answer.diagnostics.iter().chain(of_sources).cloned().collect()
}

fn unreadable(what: &'static str, error: impl ToString) -> Diagnostic {
    let error = error.to_string();
    Problem::Unreadable { what, error }.diagnostic()
}

fn accept() -> ValidateAnswer {
    ValidateAnswer {
        accepted: true,
        ..ValidateAnswer::default()
    }
}

fn reject(findings: &[Diagnostic]) -> ValidateAnswer {
    ValidateAnswer {
        accepted: false,
        message: Some(text::paragraph(findings)),
        code: Some(422),
        ..ValidateAnswer::default()
    }
}

/// Rejects an object with an error.
fn verdict(findings: &[Diagnostic]) -> ValidateAnswer {
    match findings.iter().any(Diagnostic::is_error) {
        true => reject(findings),
        // Kubewarden's audit scanner reports the message, and no warnings.
        false => ValidateAnswer {
            message: (!findings.is_empty()).then(|| text::paragraph(findings)),
            warnings: text::warnings(findings),
            ..accept()
        },
    }
}
