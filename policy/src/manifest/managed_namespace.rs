//! The Namespace that Argo CD annotates for an Application, with `spec.syncPolicy.managedNamespaceMetadata`
//! (<https://argo-cd.readthedocs.io/en/stable/user-guide/sync-options/#create-namespace>).

use serde_json::{Map, Value, json};

use crate::annotation_name::is_ours;
use crate::diagnostic::Diagnostic;

const ANNOTATIONS: &str = "/spec/syncPolicy/managedNamespaceMetadata/annotations";

/// The Namespace of an Application. `None` for another object, and where the Namespace gets none of our annotations.
pub(super) fn of(object: &Value, annotation: &str) -> Option<Value> {
    let is_application = object["apiVersion"] == "argoproj.io/v1alpha1" && object["kind"] == "Application";
    let annotations = object.pointer(ANNOTATIONS).filter(|_| is_application)?.as_object()?;
    let ours = annotations.iter().filter(|(name, _)| is_ours(name, annotation));
    let ours: Map<_, _> = ours.map(|(name, value)| (name.clone(), value.clone())).collect();
    let name = object["spec"]["destination"]["namespace"].as_str()?;
    (!ours.is_empty()).then(|| {
        json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "annotations": ours},
        })
    })
}

/// A finding about the Namespace at its place in the Application.
pub fn in_application(finding: &Diagnostic) -> Diagnostic {
    let mut finding = finding.clone();
    if let Some(place) = &mut finding.place {
        place.pointer = match place.pointer.strip_prefix("/metadata/annotations") {
            Some(rest) => format!("{ANNOTATIONS}{rest}"),
            None => "/spec/destination/namespace".to_owned(),
        };
    }
    finding
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Place, Problem};

    const KEY: &str = "telewarden.io/endpoints";

    fn application(annotations: &Value) -> Value {
        json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {"name": "shop"},
            "spec": {
                "destination": {"namespace": "shops"},
                "syncPolicy": {"managedNamespaceMetadata": {"annotations": annotations}},
            },
        })
    }

    #[test]
    fn it_gets_our_annotations() {
        let namespace = of(&application(&json!({KEY: "a", "team": "b"})), KEY).expect("a Namespace");
        assert_eq!(
            namespace["metadata"],
            json!({"name": "shops", "annotations": {KEY: "a"}})
        );
        assert_eq!(of(&application(&json!({"team": "b"})), KEY), None);
        assert_eq!(of(&json!({"kind": "Namespace"}), KEY), None);
    }

    #[test]
    fn findings_are_placed_in_the_application() {
        let pointer = |place| {
            let finding = in_application(&Problem::UncheckedPlaceholder {}.at(place));
            finding.place.expect("a place").pointer
        };
        let object = application(&json!({KEY: "a"}));
        let at = |pointer: &str| object.pointer(pointer).cloned();
        assert_eq!(at(&pointer(Place::annotation(KEY, None))), Some(json!("a")));
        assert_eq!(at(&pointer(Place::pointer("/metadata/name"))), Some(json!("shops")));
    }
}
