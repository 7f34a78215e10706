//! The real Argo CD.

use std::fs;
use std::process::Command;

use serde_json::json;

use crate::node::run;
use crate::{Kind, Node, eventually, text_at};

/// How Argo CD recognizes objects of an Application: `application.resourceTrackingMethod`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tracking {
    /// By the label `app.kubernetes.io/instance`.
    Label,
    /// By the annotation `argocd.argoproj.io/tracking-id`.
    Annotation,
    /// By the annotation, and with the label for others to read.
    Both,
}

impl Tracking {
    fn as_text(self) -> &'static str {
        match self {
            Self::Label => "label",
            Self::Annotation => "annotation",
            Self::Both => "annotation+label",
        }
    }
}

/// Argo CD's controllers, which run beside the cluster until this is dropped.
pub struct ArgoCd;

impl ArgoCd {
    /// Starts Argo CD, which looks for commits every few seconds.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start(node: &Node, tracking: Tracking) -> Self {
        Self::install(node).await;
        configure(node, json!({"application.resourceTrackingMethod": tracking.as_text()})).await;
        argocd("start");
        Self
    }

    /// Creates its kinds, its namespace, and the objects that it reads, without starting it.
    ///
    /// # Panics
    /// If something is refused.
    pub async fn install(node: &Node) {
        let crds = fs::read_dir(node.folder().join("argocd-crds")).expect("Argo CD's CRDs");
        for crd in crds {
            let text = fs::read_to_string(crd.expect("a file").path()).expect("a CRD");
            node.apply(&text).await;
        }
        node.namespace("argocd", json!({})).await;
        let labels = json!({"app.kubernetes.io/part-of": "argocd"});
        for (kind, name, data) in [
            ("ConfigMap", "argocd-cm", json!({})),
            ("ConfigMap", "argocd-rbac-cm", json!({})),
            ("ConfigMap", "argocd-cmd-params-cm", json!({})),
            ("Secret", "argocd-secret", json!({"server.secretkey": "ZTJl"})),
        ] {
            let metadata = json!({"name": name, "namespace": "argocd", "labels": labels});
            node.put(&json!({"apiVersion": "v1", "kind": kind, "metadata": metadata, "data": data}))
                .await;
        }
        for plural in ["applications", "applicationsets", "appprojects"] {
            eventually(&format!("{plural} are served"), || async {
                let uri = format!("/apis/argoproj.io/v1alpha1/namespaces/argocd/{plural}");
                let request = http::Request::get(uri).body(Vec::new()).expect("a request");
                let answer = node.client.request_text(request).await;
                answer.map(drop).map_err(|error| error.to_string())
            })
            .await;
        }
        project(node, "default", json!({})).await;
    }
}

impl Drop for ArgoCd {
    fn drop(&mut self) {
        argocd("stop");
    }
}

/// Writes all of Argo CD's configuration.
async fn configure(node: &Node, data: serde_json::Value) {
    let labels = json!({"app.kubernetes.io/part-of": "argocd"});
    let metadata = json!({"name": "argocd-cm", "namespace": "argocd", "labels": labels});
    node.put(&json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}))
        .await;
}

fn argocd(what: &str) {
    run(Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/argocd")).arg(what));
}

/// Makes an AppProject that permits everything, with more of its `spec`.
pub(crate) async fn project(node: &Node, name: &str, more: serde_json::Value) {
    let mut spec = json!({
        "sourceRepos": ["*"],
        "destinations": [{"server": "*", "namespace": "*"}],
        "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
    });
    for (field, value) in more.as_object().into_iter().flatten() {
        spec[field] = value.clone();
    }
    let metadata = json!({"name": name, "namespace": "argocd"});
    node.put(&json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject", "metadata": metadata, "spec": spec}))
        .await;
}

impl ArgoCd {
    /// Has Argo CD judge the health of Applications, so that the waves of an app-of-apps wait for them. By default they do not:
    /// <https://argo-cd.readthedocs.io/en/stable/operator-manual/health/#argocd-app>.
    pub async fn judges_applications(&self, node: &Node) {
        let health = "hs = {status = \"Progressing\", message = \"\"}
if obj.status ~= nil and obj.status.health ~= nil then
  hs.status = obj.status.health.status
end
return hs
";
        configure(
            node,
            json!({
                "application.resourceTrackingMethod": Tracking::Annotation.as_text(),
                "resource.customizations.health.argoproj.io_Application": health,
            }),
        )
        .await;
    }

    /// Makes an AppProject that permits everything, with more of its `spec`.
    pub async fn project(&self, node: &Node, name: &str, more: serde_json::Value) {
        project(node, name, more).await;
    }

    /// Waits until an Application is synced and healthy, and answers it.
    pub async fn synced(&self, node: &Node, name: &str) -> serde_json::Value {
        eventually(&format!("Application {name} is Synced and Healthy"), || async {
            let application = node.get(Kind::APPLICATION, "argocd", name).await?;
            let (sync, health) = (
                text_at(&application, "/status/sync/status"),
                text_at(&application, "/status/health/status"),
            );
            match (sync.as_str(), health.as_str()) {
                ("Synced", "Healthy") => Ok(application),
                _ => Err(format!("{sync} {health}: {}", application["status"])),
            }
        })
        .await
    }

    /// Asks Argo CD to compare an Application anew, without its caches, and waits until it has.
    pub async fn hard_refresh(&self, node: &Node, name: &str) {
        let annotations = json!({"argocd.argoproj.io/refresh": "hard"});
        node.merge(
            Kind::APPLICATION,
            "argocd",
            name,
            json!({"metadata": {"annotations": annotations}}),
        )
        .await;
        eventually(&format!("Application {name} is refreshed"), || async {
            let application = node.get(Kind::APPLICATION, "argocd", name).await?;
            match application.pointer("/metadata/annotations/argocd.argoproj.io~1refresh") {
                Some(_) => Err("it is asked for".to_owned()),
                None => Ok(()),
            }
        })
        .await;
    }

    /// Asks Argo CD to sync an Application, and to prune what is not in git, and waits until it has.
    pub async fn sync_with_prune(&self, node: &Node, name: &str) -> serde_json::Value {
        let before = node
            .get(Kind::APPLICATION, "argocd", name)
            .await
            .expect("an Application");
        let before = text_at(&before, "/status/operationState/startedAt");
        // Times are in seconds.
        tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
        let operation = json!({"initiatedBy": {"username": "e2e"}, "sync": {"prune": true}});
        node.merge(Kind::APPLICATION, "argocd", name, json!({"operation": operation}))
            .await;
        eventually(&format!("Application {name} is synced with prune"), || async {
            let application = node.get(Kind::APPLICATION, "argocd", name).await?;
            let state = &application["status"]["operationState"];
            let is_done = text_at(state, "/startedAt") > before && state["phase"] == "Succeeded";
            match is_done && application["operation"].is_null() {
                true => Ok(application),
                false => Err(state.to_string()),
            }
        })
        .await
    }
}
