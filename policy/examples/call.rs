//! Calls the core natively, for a profiler that counts instructions: `call CASE NUMBER TIMES`. The number is that of endpoints or,
//! for the case `sources`, that of Applications with five endpoints each.

use std::process::ExitCode;

use serde_json::{Value, json};

/// An Application with the given number of endpoints.
fn application(name: &str, endpoints: usize) -> Value {
    let endpoint = |index| {
        let url = format!("http://service-{index}.argocd.svc:8080/metrics");
        format!("- endpoint_{index}:\n    url: {url}\n    interval: 30s\n    tags: {{tier: web}}\n")
    };
    let annotation: String = (0..endpoints).map(endpoint).collect();
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name, "namespace": "argocd", "annotations": {
            "telegraf.influxdata.com/rubin-telegraf-operator": annotation,
        }},
        "spec": {"destination": {"namespace": "argocd", "server": "https://kubernetes.default.svc"}},
    })
}

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [case, number, times] = arguments.as_slice() else {
        return ExitCode::from(2);
    };
    let (number, times): (usize, usize) = (number.parse().unwrap_or(5), times.parse().unwrap_or(1));
    let sources: Vec<_> = match case.as_str() {
        "sources" => (0..number)
            .map(|source| application(&format!("argocd-{source}"), 5))
            .collect(),
        _ => vec![application("argocd", number)],
    };
    let application = &sources[0];
    let request = |operation: &str, old: &Value| {
        let request = json!({"uid": "1", "operation": operation, "object": application, "oldObject": old});
        json!({"request": request, "settings": {}}).to_string()
    };
    let payload = match case.as_str() {
        "create" => request("CREATE", &Value::Null),
        "update" => request("UPDATE", application),
        "render" => json!({"protocol": 1, "sources": [application]}).to_string(),
        "findings" => json!({"protocol": 1, "findingsOnly": true, "sources": [application]}).to_string(),
        "standalone" | "sources" => {
            json!({"protocol": 1, "settings": {"topology": "standalone"}, "sources": sources}).to_string()
        }
        "settings" => "{}".to_owned(),
        _ => return ExitCode::from(2),
    };
    for _ in 0..times {
        let answer = match case.as_str() {
            "create" | "update" => serde_json::to_vec(&telewarden_policy::admission::validate(payload.as_bytes())),
            "settings" => serde_json::to_vec(&telewarden_policy::admission::validate_settings(payload.as_bytes())),
            _ => serde_json::from_str(&payload)
                .and_then(|request| serde_json::to_vec(&telewarden_policy::render::render(&request))),
        };
        assert!(std::hint::black_box(answer).is_ok_and(|answer| !answer.is_empty()));
    }
    ExitCode::SUCCESS
}
