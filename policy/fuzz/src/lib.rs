//! What holds for an Application, whatever its annotations say.
#![forbid(unsafe_code)]

pub mod histories;

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
        assert_eq!(
            inputs["prometheus"].as_array().expect("a list").len(),
            source.endpoints.len()
        );
    }
}

/// The input that an endpoint with some options is rendered to; `None` when it is refused.
pub fn input_with(options: &Value, settings: &Value) -> Option<toml::Table> {
    let mut endpoint = json!({"url": "http://redis.argocd.svc:9121/metrics"});
    endpoint.as_object_mut()?.extend(options.as_object()?.clone());
    let text = json!({"redis": endpoint}).to_string();
    let application = application("telegraf.influxdata.com/rubin-telegraf-operator", &text);
    let answer = rendered(&application, settings);
    let configuration = answer.sources.first()?.rendered.configurations.first()?;
    let tables: toml::Table = configuration.files["telegraf.conf"].parse().expect("TOML");
    tables["inputs"]["prometheus"][0].as_table().cloned()
}

/// The seconds of a duration as Go's `time.ParseDuration` reads it.
pub fn go_duration(text: &str) -> Option<f64> {
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(number);
        let unit = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        let unit = match unit {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        seconds += number.parse::<f64>().ok()? * unit;
        rest = tail;
    }
    (!text.is_empty()).then_some(seconds)
}
