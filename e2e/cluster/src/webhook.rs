//! The policy as an admission webhook of the cluster, answered by `telewarden review`.

use std::fs;

use serde_json::{Value, json};

use crate::policies::{ADDRESS, PORT, Webhooks, id, policies, telewarden};
use crate::{Node, eventually};

/// Webhooks with the rules and matchConditions of the ClusterAdmissionPolicies that `telewarden policies` prints.
pub struct Webhook(Webhooks);

impl Webhook {
    /// Admission that checks.
    pub async fn install(node: &Node) -> Self {
        Self::with(node, json!({})).await
    }

    /// Admission that also adds the digest of what is rendered.
    pub async fn mutating(node: &Node) -> Self {
        Self::with(node, json!({"mutation": "digest"})).await
    }

    async fn with(node: &Node, settings: Value) -> Self {
        let folder = node.folder().join("webhook");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder");
        let policies = policies(&folder, &settings);
        for policy in &policies {
            let settings = policy["spec"]["settings"].to_string();
            fs::write(folder.join(format!("{}.json", id(policy))), settings).expect("write the settings");
        }
        let server = concat!(env!("CARGO_MANIFEST_DIR"), "/webhook");
        let (place, command) = (folder.display().to_string(), telewarden().display().to_string());
        node.start("webhook", &[server, &place, ADDRESS, PORT, &command]);
        eventually("the webhook listens", || async {
            let is_ready = folder.join("ready").exists();
            is_ready.then_some(()).ok_or_else(|| "it is not ready".to_owned())
        })
        .await;
        Self(Webhooks::register(node, &policies, "", &folder.join("certificate.pem")).await)
    }

    /// How many requests have reached the policy so far.
    pub async fn calls(&self, node: &Node) -> f64 {
        self.0.sum(node, "apiserver_admission_webhook_request_total").await
    }

    /// How many requests the matchConditions have kept back so far.
    pub async fn excluded(&self, node: &Node) -> f64 {
        let metric = "apiserver_admission_match_condition_exclusions_total";
        self.0.sum(node, metric).await
    }

    /// Removes it.
    pub async fn remove(self, node: &Node) {
        self.0.remove(node).await;
        node.stop("webhook");
    }
}
