//! The policy as an admission webhook of the cluster.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::node::run;
use crate::{Node, eventually, name_of, objects, sample};

/// The node's address, and a port of it.
const PLACE: (&str, &str) = ("10.111.0.1", "9443");

/// Webhooks with the rules and matchConditions of the ClusterAdmissionPolicies that `telewarden policies` prints.
pub struct Webhook {
    kind: &'static str,
    names: Vec<String>,
}

impl Webhook {
    /// Admission that checks.
    pub async fn install(node: &Node) -> Self {
        Self::with(node, "ValidatingWebhookConfiguration", json!({})).await
    }

    /// Admission that also adds the digest of what is rendered.
    pub async fn mutating(node: &Node) -> Self {
        Self::with(node, "MutatingWebhookConfiguration", json!({"mutation": "digest"})).await
    }

    async fn with(node: &Node, kind: &'static str, settings: Value) -> Self {
        let folder = node.folder().join("webhook");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder");
        let file = folder.join("settings.json");
        fs::write(&file, settings.to_string()).expect("write the settings");
        let printed = run(Command::new(telewarden()).arg("policies").arg("--settings").arg(&file));
        let policies: Vec<_> = objects(&printed)
            .into_iter()
            .filter(|policy| !policy["spec"]["rules"].to_string().contains("namespaces"))
            .collect();
        for policy in &policies {
            let settings = policy["spec"]["settings"].to_string();
            fs::write(folder.join(format!("{}.json", name_of(policy))), settings).expect("write the settings");
        }
        serve(node, &folder);
        eventually("the webhook listens", || async {
            folder
                .join("ready")
                .exists()
                .then_some(())
                .ok_or_else(|| "it is not ready".to_owned())
        })
        .await;
        let certificate = run(Command::new("base64").arg("-w0").arg(folder.join("certificate.pem")));
        for policy in &policies {
            let (name, spec) = (name_of(policy), &policy["spec"]);
            let webhook = json!({
                "name": format!("{name}.kubewarden.admission"),
                "clientConfig": {"url": format!("https://{}:{}/{name}", PLACE.0, PLACE.1), "caBundle": certificate},
                "rules": spec["rules"],
                "matchConditions": spec["matchConditions"],
                // An error would let a request pass. Here it should be seen.
                "failurePolicy": "Fail",
                "timeoutSeconds": 30,
                "matchPolicy": "Equivalent",
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
            });
            node.put(&json!({
                "apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": name}, "webhooks": [webhook],
            }))
            .await;
        }
        let names = policies.iter().map(name_of).collect();
        // The API server takes up a configuration a moment after it was written.
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        Self { kind, names }
    }

    /// How many requests have reached the policy so far.
    pub async fn calls(&self, node: &Node) -> f64 {
        self.sum(node, "apiserver_admission_webhook_request_total").await
    }

    /// How many requests the matchConditions have kept back so far.
    pub async fn excluded(&self, node: &Node) -> f64 {
        self.sum(node, "apiserver_admission_match_condition_exclusions_total")
            .await
    }

    /// A metric of the API server, of all webhooks together.
    async fn sum(&self, node: &Node, metric: &str) -> f64 {
        let metrics = node.metrics().await;
        let of = |name: &String| sample(&metrics, &format!("{metric}{{.*{name}.kubewarden.admission"));
        self.names.iter().map(of).sum()
    }

    /// Removes it.
    pub async fn remove(self, node: &Node) {
        for name in &self.names {
            node.delete_of("admissionregistration.k8s.io", "v1", self.kind, name)
                .await;
        }
        node.inside(&["sh", "-c", "kill -KILL $(cat /run/pids/webhook)"]);
    }
}

fn telewarden() -> PathBuf {
    let path = std::env::var_os("TELEWARDEN_CLUSTER_COMMAND");
    path.expect("run these tests with e2e/cluster/test").into()
}

/// Starts it among the cluster's processes, so that it ends with them.
fn serve(node: &Node, folder: &std::path::Path) {
    let log = node.folder().join("logs/webhook.log");
    let script = format!(
        "kill -KILL $(cat /run/pids/webhook 2>/dev/null) 2>/dev/null; \
         {} {} {} {} {} >{} 2>&1 </dev/null & echo $! >/run/pids/webhook",
        concat!(env!("CARGO_MANIFEST_DIR"), "/webhook"),
        folder.display(),
        PLACE.0,
        PLACE.1,
        telewarden().display(),
        log.display(),
    );
    node.inside(&["bash", "-c", &script]);
}
