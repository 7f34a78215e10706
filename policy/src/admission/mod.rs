//! Kubewarden's requests to its answers: accept, reject, or, for a raw request, everything rendered.
//!
//! The shapes are Kubewarden's: <https://docs.kubewarden.io/reference/spec/intro-spec>.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};

use crate::annotation;
use crate::diagnostic::{Diagnostic, Problem};
use crate::protocol::{RenderRequest, VERSION};
use crate::render::{check_namespace, read_source, render};
use crate::settings::{self, Settings};
use crate::source::{Kind, Object};

/// The longest warning that Kubernetes shows whole:
/// <https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#response>.
const MAX_WARNING: usize = 120;

/// What Kubewarden sends to `validate`.
#[derive(Debug, Deserialize)]
pub struct ValidatePayload<'a> {
    /// An AdmissionRequest, or, for a raw policy, anything.
    #[serde(borrow)]
    pub request: &'a RawValue,
    /// The policy's settings.
    #[serde(borrow, default)]
    pub settings: Option<&'a RawValue>,
}

/// What `validate` answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ValidateAnswer {
    /// Whether the request is let through.
    pub accepted: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The HTTP status of a rejection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<u16>,
    /// What the object should be instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mutated_object: Option<Json>,
    /// What is legal and doubtful.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Facts for the audit log.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub audit_annotations: BTreeMap<String, String>,
}

/// What `validate_settings` answers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SettingsAnswer {
    /// Whether the settings can be used.
    pub valid: bool,
    /// Why not, or what is doubtful.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// An AdmissionRequest as far as it is read.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Request<'a> {
    #[serde(borrow)]
    uid: Option<&'a RawValue>,
    operation: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow)]
    object: Option<&'a RawValue>,
}

/// Answers a request.
pub fn validate(payload: &ValidatePayload<'_>) -> ValidateAnswer {
    let request: Request<'_> = serde_json::from_str(payload.request.get()).unwrap_or_default();
    match request {
        Request {
            uid: Some(_),
            operation: Some(operation),
            object,
        } => admit(&operation, object, payload.settings),
        _ => generate(payload),
    }
}

/// Lets an object through, or not.
fn admit(operation: &str, object: Option<&RawValue>, settings: Option<&RawValue>) -> ValidateAnswer {
    let accepted = ValidateAnswer {
        accepted: true,
        ..ValidateAnswer::default()
    };
    let Some(object) = object.filter(|_| matches!(operation, "CREATE" | "UPDATE")) else {
        return accepted;
    };
    let Ok(object) = serde_json::from_str::<Object<'_>>(object.get()) else {
        return accepted;
    };
    if !matches!(object.kind(), Some(Kind::Application | Kind::Namespace)) {
        return accepted;
    }
    let settings = match read_settings(settings) {
        Ok(settings) => settings,
        Err(findings) => return reject(&findings),
    };
    let mut findings = Vec::new();
    if let Some(source) = read_source(&object, &settings, &mut findings)
        && annotation::read(&source, &settings, &mut findings).is_some()
    {
        check_namespace(&source, &mut findings);
    }
    if findings.iter().any(Diagnostic::is_error) {
        return reject(&findings);
    }
    ValidateAnswer {
        warnings: warnings(&findings),
        ..accepted
    }
}

/// Answers a raw request with everything that it renders to.
fn generate(payload: &ValidatePayload<'_>) -> ValidateAnswer {
    let answer = render(&RenderRequest {
        protocol: VERSION,
        settings: payload.settings,
        sources: vec![payload.request],
        cluster: None,
        previous: BTreeMap::new(),
    });
    let of_sources = answer.sources.iter().flat_map(|source| &source.diagnostics);
    let findings: Vec<_> = answer.diagnostics.iter().chain(of_sources).cloned().collect();
    if findings.iter().any(Diagnostic::is_error) {
        return reject(&findings);
    }
    let of_sources = answer.sources.into_iter().flat_map(|source| source.rendered.objects);
    let shared = answer.shared.into_iter().flat_map(|shared| shared.objects);
    let items: Vec<_> = of_sources.chain(shared).collect();
    ValidateAnswer {
        accepted: true,
        warnings: warnings(&findings),
        mutated_object: Some(json!({"apiVersion": "v1", "kind": "List", "items": items})),
        ..ValidateAnswer::default()
    }
}

/// The answer to `validate_settings`.
pub fn settings_answer(findings: &[Diagnostic]) -> SettingsAnswer {
    SettingsAnswer {
        valid: !findings.iter().any(Diagnostic::is_error),
        message: (!findings.is_empty()).then(|| describe(findings)),
    }
}

fn read_settings(settings: Option<&RawValue>) -> Result<Settings, Vec<Diagnostic>> {
    let document = match settings.map(|settings| serde_json::from_str::<Json>(settings.get())).transpose() {
        Ok(document) => document,
        Err(error) => {
            let error = error.to_string();
            return Err(vec![Problem::Settings { error }.diagnostic()]);
        }
    };
    let (settings, findings) = settings::read(document.as_ref());
    settings.ok_or(findings)
}

fn reject(findings: &[Diagnostic]) -> ValidateAnswer {
    ValidateAnswer {
        accepted: false,
        message: Some(describe(findings)),
        code: Some(422),
        ..ValidateAnswer::default()
    }
}

/// Every error in one paragraph, for `kubectl` prints no lines of its own.
fn describe(findings: &[Diagnostic]) -> String {
    let errors: Vec<_> = findings.iter().filter(|finding| finding.is_error()).collect();
    let numbered = errors.len() > 1;
    let sentences = errors.iter().enumerate().map(|(index, finding)| {
        let number = if numbered { format!("({}) ", index + 1) } else { String::new() };
        let place = finding.place.as_ref().map(|place| format!(" at {place}")).unwrap_or_default();
        let help = finding.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
        format!("{number}{}{place}: {}{help}", finding.code, finding.message)
    });
    sentences.collect::<Vec<_>>().join(". ")
}

/// Warnings as Kubernetes passes them on: short, one line each.
fn warnings(findings: &[Diagnostic]) -> Vec<String> {
    let shorten = |text: String| match text.char_indices().nth(MAX_WARNING) {
        Some(_) => text.chars().take(MAX_WARNING - 1).chain(['…']).collect(),
        None => text,
    };
    let warnings = findings.iter().filter(|finding| !finding.is_error());
    warnings.map(|finding| shorten(format!("{}: {}", finding.code, finding.message))).collect()
}
