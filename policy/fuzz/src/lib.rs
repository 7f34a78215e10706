//! What holds for an Application, whatever its annotations say.
#![forbid(unsafe_code)]

use serde_json::{Value, json};
use telewarden_policy::diagnostic::Diagnostic;
use telewarden_policy::protocol::{Outcome, RenderAnswer};
use telewarden_policy::render::render;

/// An Application that says one thing.
pub fn application(annotation: &str, text: &str) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": "argocd", "namespace": "argocd", "annotations": {annotation: text}},
        "spec": {"destination": {"namespace": "argocd", "server": "https://kubernetes.default.svc"}},
    })
}

/// What it renders to.
pub fn rendered(application: &Value, settings: &Value) -> RenderAnswer {
    let request = json!({"protocol": 1, "settings": settings, "sources": [application]}).to_string();
    render(&serde_json::from_str(&request).expect("a request"))
}

/// Whatever the annotation says, it is either refused, or it is in the configuration as data of one kind of input:
/// nothing of it is substituted, and nothing of it left its place.
pub fn check_annotation(annotation: &str, text: &str) {
    let answer = rendered(&application(annotation, text), &Value::Null);
    let source = &answer.sources[0];
    let refused = source.diagnostics.iter().any(Diagnostic::is_error);
    assert_eq!(source.outcome == Outcome::Refused, refused);
    assert!(!refused || source.rendered.objects.is_empty());
    for configuration in &source.rendered.configurations {
        let text = &configuration.files["telegraf.conf"];
        let ours = text.replace("${INFLUX_TOKEN}\"", "\"");
        assert!(!ours.contains('$') && !ours.contains("@{"), "{text}");
        let tables: toml::Table = text.parse().expect("TOML");
        assert!(tables.keys().eq(["agent", "inputs", "outputs"]), "{text}");
        let inputs = tables["inputs"].as_table().expect("inputs");
        assert!(inputs.keys().eq(["prometheus"]), "{text}");
        assert_eq!(inputs["prometheus"].as_array().expect("a list").len(), source.endpoints.len());
    }
}
