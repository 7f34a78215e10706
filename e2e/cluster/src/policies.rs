//! ClusterAdmissionPolicies, and the webhooks that Kubewarden's controller makes of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::node::run;
use crate::{Kind, Node, name_of, objects, sample};

/// The node's address, where webhooks listen.
pub(crate) const ADDRESS: &str = "10.111.0.1";
/// The port of all webhooks: only one program has it.
pub(crate) const PORT: &str = "9443";

/// The command `telewarden`.
pub(crate) fn telewarden() -> PathBuf {
    let path = std::env::var_os("TELEWARDEN_CLUSTER_COMMAND");
    path.expect("run these tests with e2e/cluster/test").into()
}

/// The policies for Applications and ApplicationSets that `telewarden policies` prints for these settings.
pub(crate) fn policies(folder: &Path, settings: &Value) -> Vec<Value> {
    let file = folder.join("settings.json");
    fs::write(&file, settings.to_string()).expect("write the settings");
    let printed = run(Command::new(telewarden()).arg("policies").arg("--settings").arg(&file));
    let policies = objects(&printed).into_iter();
    policies
        .filter(|policy| !policy["spec"]["rules"].to_string().contains("namespaces"))
        .collect()
}

/// What Kubewarden's controller calls a policy in a PolicyServer.
pub(crate) fn id(policy: &Value) -> String {
    format!("clusterwide-{}", name_of(policy))
}

/// Removes the webhooks that an earlier test has left, which failed.
pub async fn remove_webhooks(node: &Node) {
    for kind in [Kind::MUTATING_WEBHOOK, Kind::VALIDATING_WEBHOOK] {
        for webhook in node.list(kind, "", "").await {
            node.delete(kind, "", &name_of(&webhook)).await;
        }
    }
}

/// The webhooks of some policies.
pub(crate) struct Webhooks(Vec<(&'static str, String)>);

impl Webhooks {
    /// Has the API server ask `https://<the node>/<path><id>` about each policy, which has this certificate.
    pub(crate) async fn register(node: &Node, policies: &[Value], path: &str, certificate: &Path) -> Self {
        let certificate = run(Command::new("base64").arg("-w0").arg(certificate));
        let mut names = Vec::new();
        for policy in policies {
            let (id, spec) = (id(policy), &policy["spec"]);
            let webhook = json!({
                "name": format!("{id}.kubewarden.admission"),
                "clientConfig": {"url": format!("https://{ADDRESS}:{PORT}/{path}{id}"), "caBundle": certificate},
                "rules": spec["rules"],
                "matchConditions": spec["matchConditions"],
                // An error would let a request pass. Here it should be seen.
                "failurePolicy": "Fail",
                "timeoutSeconds": 30,
                "matchPolicy": "Equivalent",
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
            });
            let kind = match spec["mutating"] == true {
                true => "MutatingWebhookConfiguration",
                false => "ValidatingWebhookConfiguration",
            };
            node.put(&json!({
                "apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": id}, "webhooks": [webhook],
            }))
            .await;
            names.push((kind, id));
        }
        // The API server takes up a configuration a moment after it was written.
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        Self(names)
    }

    /// A metric of the API server, of all webhooks together.
    pub(crate) async fn sum(&self, node: &Node, metric: &str) -> f64 {
        let metrics = node.metrics().await;
        let of = |(_, id): &(_, String)| sample(&metrics, &format!("{metric}{{.*{id}.kubewarden.admission"));
        self.0.iter().map(of).sum()
    }

    /// Has the API server ask no more.
    pub(crate) async fn remove(self, node: &Node) {
        for (kind, name) in &self.0 {
            node.delete_of("admissionregistration.k8s.io", "v1", kind, name).await;
        }
    }
}
