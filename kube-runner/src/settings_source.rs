//! The source of the settings: a file, or a Kubewarden policy. The operator follows its changes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{ApiResource, DynamicObject};
use kube::core::GroupVersionKind;
use kube::runtime::watcher::watch_object;
use kube::{Api, Client};
use serde_json::{Value, json};
use telewarden::Module;
use tokio::sync::watch;

use crate::cli::{FromCluster, Policy};
use crate::error::Error;
use crate::events::{Events, Notification};
use crate::retry::Backoff;
use crate::settings::Settings;
use crate::yaml;

/// The interval at which a file is read. A mounted ConfigMap changes by a symlink swap in a parent folder, which a watch of
/// the file misses.
const LOOK: Duration = Duration::from_secs(2);

/// The source of the settings.
#[derive(Clone, Debug)]
pub(crate) enum SettingsSource {
    /// No source: the default settings.
    Defaults,
    /// A file of YAML or JSON.
    File(PathBuf),
    /// The `spec.settings` of a Kubewarden ClusterAdmissionPolicy.
    ClusterAdmissionPolicy(String),
}

impl SettingsSource {
    /// The source that the arguments select.
    ///
    /// # Errors
    /// If `--settings-from` is invalid.
    pub(crate) fn of(policy: &Policy, cluster: &FromCluster) -> Result<Self, Error> {
        Ok(match (&policy.settings, &cluster.settings_from) {
            (Some(path), _) => Self::File(path.clone()),
            (None, None) => Self::Defaults,
            (None, Some(from)) => match from.split_once('/') {
                Some(("clusteradmissionpolicy", name)) if !name.is_empty() => {
                    Self::ClusterAdmissionPolicy(name.to_owned())
                }
                _ => {
                    return Err(Error::Settings {
                        why: format!("`{from}` is not clusteradmissionpolicy/NAME"),
                    });
                }
            },
        })
    }

    /// Reads the settings once.
    pub(crate) async fn read(&self, client: &Client) -> Result<Value, Error> {
        match self {
            Self::Defaults => Ok(json!({})),
            Self::File(path) => read_file(path).await,
            Self::ClusterAdmissionPolicy(name) => {
                let policy = policies(client).get(name).await.map_err(|source| Error::Api {
                    doing: format!("read the settings of ClusterAdmissionPolicy {name}"),
                    source,
                })?;
                Ok(of_policy(&policy))
            }
        }
    }

    /// Follows changes. Invalid settings are reported, and the previous ones stay.
    pub(crate) async fn follow(self, client: Client, updates: SettingsUpdates) {
        match &self {
            Self::Defaults => std::future::pending().await,
            Self::File(path) => {
                let mut changes = Changes::default();
                loop {
                    tokio::time::sleep(LOOK).await;
                    if let Some(read) = changes.next(read_file(path).await) {
                        updates.propose(read, updates.operator.clone()).await;
                    }
                }
            }
            Self::ClusterAdmissionPolicy(name) => {
                let mut policy = std::pin::pin!(watch_object(policies(&client), name));
                let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
                while let Some(policy) = policy.next().await {
                    match policy {
                        Ok(Some(policy)) => {
                            backoff.reset();
                            let regarding = ObjectReference {
                                api_version: Some("policies.kubewarden.io/v1".to_owned()),
                                kind: Some("ClusterAdmissionPolicy".to_owned()),
                                name: Some(name.clone()),
                                uid: policy.metadata.uid.clone(),
                                ..ObjectReference::default()
                            };
                            updates.propose(Ok(of_policy(&policy)), regarding).await;
                        }
                        Ok(None) => tracing::warn!(name, "the ClusterAdmissionPolicy is gone; its last settings stay"),
                        Err(error) => {
                            tracing::warn!(%error, name, "watching the ClusterAdmissionPolicy failed");
                            tokio::time::sleep(backoff.next()).await;
                        }
                    }
                }
            }
        }
    }
}

/// The result of the last read of a file, so that the same content or the same error is handled once.
#[derive(Debug, Default)]
struct Changes(Option<Result<Value, String>>);

impl Changes {
    /// The result of a read, if it differs from the last one.
    fn next(&mut self, read: Result<Value, Error>) -> Option<Result<Value, Error>> {
        let kept = match &read {
            Ok(document) => Ok(document.clone()),
            Err(error) => Err(error.chain()),
        };
        let changed = self.0.as_ref() != Some(&kept);
        self.0 = Some(kept);
        changed.then_some(read)
    }
}

/// Checks changed settings and passes them on.
pub(crate) struct SettingsUpdates {
    pub(crate) module: Module,
    pub(crate) events: Events,
    /// The operator's pod, for Events about an invalid file.
    pub(crate) operator: ObjectReference,
    pub(crate) settings: watch::Sender<Value>,
}

impl SettingsUpdates {
    /// Passes on a document if it is new and valid.
    async fn propose(&self, read: Result<Value, Error>, regarding: ObjectReference) {
        let document = match read {
            Ok(document) if *self.settings.borrow() == document => return,
            Ok(document) => document,
            Err(error) => return self.refused(&error, regarding),
        };
        match Settings::check(&document, &self.module).await {
            Ok(_) => {
                tracing::info!("the settings have changed");
                self.settings.send_replace(document);
            }
            Err(error) => self.refused(&error, regarding),
        }
    }

    fn refused(&self, error: &Error, regarding: ObjectReference) {
        let note = format!("{}; the previous settings stay", error.chain());
        tracing::error!("{note}");
        self.events.send(Notification {
            regarding,
            warning: true,
            reason: "SettingsRefused",
            note,
        });
    }
}

async fn read_file(path: &Path) -> Result<Value, Error> {
    let text = tokio::fs::read_to_string(path).await.map_err(|source| Error::File {
        doing: format!("read the settings in {}", path.display()),
        source,
    })?;
    yaml::settings(text, &path.display().to_string())
}

fn policies(client: &Client) -> Api<DynamicObject> {
    let gvk = GroupVersionKind::gvk("policies.kubewarden.io", "v1", "ClusterAdmissionPolicy");
    let resource = ApiResource::from_gvk_with_plural(&gvk, "clusteradmissionpolicies");
    Api::all_with(client.clone(), &resource)
}

fn of_policy(policy: &DynamicObject) -> Value {
    let settings = policy.data.pointer("/spec/settings").cloned().unwrap_or_default();
    if settings.is_null() { json!({}) } else { settings }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn updates() -> (SettingsUpdates, watch::Receiver<Value>) {
        let (settings, receiver) = watch::channel(json!({}));
        let updates = SettingsUpdates {
            module: crate::module::for_tests(),
            events: Events::none(),
            operator: ObjectReference::default(),
            settings,
        };
        (updates, receiver)
    }

    #[test]
    fn a_change_and_an_error_of_a_file_are_handled_once() {
        let mut changes = Changes::default();
        let mistake = || {
            Err(Error::Settings {
                why: "broken".to_owned(),
            })
        };
        assert!(changes.next(Ok(json!({}))).is_some());
        assert!(changes.next(Ok(json!({}))).is_none());
        assert!(changes.next(mistake()).is_some());
        assert!(changes.next(mistake()).is_none());
        assert!(changes.next(Ok(json!({}))).is_some(), "it was corrected");
    }

    #[tokio::test]
    async fn invalid_and_unchanged_settings_change_nothing() {
        let (updates, mut settings) = updates();
        settings.mark_unchanged();
        for document in [json!([1]), json!({"topologie": "standalone"}), json!({})] {
            updates.propose(Ok(document), ObjectReference::default()).await;
            assert!(!settings.has_changed().unwrap());
        }
        let standalone = json!({"topology": "standalone"});
        updates
            .propose(Ok(standalone.clone()), ObjectReference::default())
            .await;
        assert!(settings.has_changed().unwrap());
        assert_eq!(*settings.borrow_and_update(), standalone);
    }

    #[test]
    fn a_policy_without_settings_has_the_defaults() {
        let policy = |spec: Value| {
            let object = json!({"apiVersion": "policies.kubewarden.io/v1", "kind": "ClusterAdmissionPolicy",
                "metadata": {"name": "telewarden"}, "spec": spec});
            of_policy(&serde_json::from_value(object).unwrap())
        };
        assert_eq!(policy(json!({})), json!({}));
        assert_eq!(policy(json!({"settings": null})), json!({}));
        assert_eq!(policy(json!({"settings": {"instance": "a"}})), json!({"instance": "a"}));
    }
}
