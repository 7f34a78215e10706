//! Checks an ApplicationSet before its Applications are created.
//!
//! Its template is an Application with placeholders, `{{ }}`, that only the ApplicationSet controller can fill. A value
//! without placeholders is checked as in an Application. A value that contains or depends on a placeholder raises a
//! warning.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::annotation::{self, PREFIX};
use crate::diagnostic::{Diagnostic, Findings, Place, Problem, Rule};
use crate::settings::Settings;
use crate::source::{Annotations, ApplicationSpec, Identity, Metadata, Object, Source, check_namespace, is_ours};

/// The template that Applications are created from.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Template<'a> {
    #[serde(borrow)]
    pub(crate) metadata: Metadata<'a>,
    #[serde(borrow)]
    pub(crate) spec: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec<'a> {
    #[serde(borrow)]
    template: Template<'a>,
    /// Text that becomes a patch of the template after its placeholders are filled.
    template_patch: Option<String>,
}

/// The template of an ApplicationSet.
pub(crate) fn template<'a>(object: &Object<'a>) -> Result<Template<'a>, serde_json::Error> {
    spec(object).map(|spec| spec.template)
}

fn spec<'a>(object: &Object<'a>) -> Result<Spec<'a>, serde_json::Error> {
    serde_json::from_str(object.spec.map_or("{}", RawValue::get))
}

/// Reports the errors of an ApplicationSet, and what cannot be checked yet.
pub(crate) fn check(object: &Object<'_>, settings: &Settings) -> Vec<Diagnostic> {
    let unreadable = |what, pointer, error: serde_json::Error| {
        let error = error.to_string();
        vec![Problem::Unreadable { what, error }.at(Place::pointer(pointer))]
    };
    if !settings.sources.applications {
        return Vec::new();
    }
    let Spec {
        template,
        template_patch,
    } = match spec(object) {
        Ok(spec) => spec,
        Err(error) => return unreadable("the ApplicationSet's template", "/spec/template", error),
    };
    let application: ApplicationSpec<'_> = match serde_json::from_str(template.spec.map_or("{}", RawValue::get)) {
        Ok(spec) => spec,
        Err(error) => return unreadable("the template's `spec`", "/spec/template/spec", error),
    };

    let mut findings = Vec::new();
    let mut annotations = Vec::new();
    for (name, value) in template.metadata.annotations.unwrap_or_default().0 {
        // A value that is not text has no placeholders, and is reported as usual.
        let text = serde_json::from_str::<Cow<'_, str>>(value.get()).unwrap_or_default();
        if !is_ours(&name, settings) || !(has_hole(&name) || has_hole(&text)) {
            annotations.push((name, value));
        } else {
            findings.push(Problem::UncheckedPlaceholder {}.at(Place::annotation(&name, None)));
        }
    }

    let patched = template_patch.is_some();
    let name = template.metadata.name.into_owned();
    let namespace = application.destination.namespace.to_string();
    // The patterns for allowed hosts and classes contain the names.
    let names_are_open = patched || has_hole(&name) || has_hole(&namespace);
    let of_argocd = &settings.sources.argocd_namespace;
    let identity = Identity::Application {
        namespace: object.metadata.namespace.as_deref().unwrap_or(of_argocd).to_owned(),
        name,
    };
    let source = Source {
        bucket: identity.bucket(&settings.sources),
        identity,
        namespace,
        annotations: Annotations(annotations),
        application: Some((application.project.into_owned(), application.destination)),
    };
    let mut decided = Findings::default();
    if source.is_annotated(settings) && annotation::read(&source, settings, &mut decided).is_some() && !names_are_open {
        check_namespace(&source, &mut decided);
    }
    for finding in decided.into_vec() {
        match DEPEND_ON_NAMES.iter().any(|rule| finding.is(*rule)) && names_are_open {
            true => findings.extend(finding.place.map(|place| Problem::UncheckedPlaceholder {}.at(place))),
            false => findings.push(finding),
        }
    }
    findings.dedup();
    for place in findings.iter_mut().filter_map(|finding| finding.place.as_mut()) {
        place.pointer.insert_str(0, "/spec/template");
    }
    if template_patch.is_some_and(|patch| patch.contains(PREFIX) || patch.contains(&settings.annotation)) {
        findings.push(Problem::UncheckedPlaceholder {}.at(Place::pointer("/spec/templatePatch")));
    }
    findings
}

/// The rules that compare with the name or the namespace of an Application: hosts and classes.
const DEPEND_ON_NAMES: &[Rule] = &[
    Rule::HostNotAllowed,
    Rule::OtherNamespace,
    Rule::NameInHostPattern,
    Rule::ClassNotAllowed,
];

/// True for text with placeholders, in either of the ApplicationSet controller's template languages.
fn has_hole(text: &str) -> bool {
    text.contains("{{")
}
