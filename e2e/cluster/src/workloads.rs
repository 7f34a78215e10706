//! What Applications deploy.

use serde_json::json;

use crate::Node;

/// Makes a namespace that takes pods of Pod Security "restricted" only.
pub async fn restricted_namespace(node: &Node, name: &str) {
    node.namespace(name, json!({"pod-security.kubernetes.io/enforce": "restricted"}))
        .await;
}

/// Manifests of an exporter and its Service, at port 9100.
pub fn exporter(name: &str, namespace: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: 1
      securityContext: {{runAsNonRoot: true, seccompProfile: {{type: RuntimeDefault}}}}
      containers:
        - name: exporter
          image: telewarden.test/exporter:1
          args: [--collector.disable-defaults, --collector.loadavg]
          readinessProbe: {{httpGet: {{path: /, port: 9100}}, periodSeconds: 1}}
          securityContext: {{allowPrivilegeEscalation: false, capabilities: {{drop: [ALL]}}}}
---
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  selector: {{app: {name}}}
  ports: [{{port: 9100}}]
"
    )
}
