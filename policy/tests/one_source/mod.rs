//! A request about one Application.

use serde_json::{Value, json};

/// The annotation for endpoints.
pub(crate) const KEY: &str = "telegraf.influxdata.com/rubin-telegraf-operator";

/// A `render` request about the Application `argocd` with annotations.
pub(crate) fn request(settings: &Value, annotations: Value) -> String {
    let request = json!({
        "protocol": 1,
        "settings": settings,
        "sources": [{
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {"name": "argocd", "namespace": "argocd", "annotations": annotations},
            "spec": {"destination": {"namespace": "argocd", "server": "https://kubernetes.default.svc"}},
        }],
    });
    request.to_string()
}
