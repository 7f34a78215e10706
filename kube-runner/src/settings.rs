//! The administrator's settings, and where they come from.
//!
//! What they mean is for the module to say. The operator itself reads only what it has to know to watch.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{ApiResource, DynamicObject};
use kube::core::GroupVersionKind;
use kube::runtime::watcher::watch_object;
use kube::{Api, Client};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use telewarden::Module;
use telewarden_policy::settings::DEFAULTS;
use tokio::sync::watch;

use crate::error::Error;
use crate::events::{Events, News};
use crate::object::kind_of;

/// How often a file is looked at. A mounted ConfigMap changes by a symlink swap some levels up, which a watch misses.
const LOOK: Duration = Duration::from_secs(2);

/// Settings that the module accepts.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The document, as the module takes it.
    pub(crate) document: Box<RawValue>,
    pub(crate) instance: String,
    pub(crate) annotation: String,
    pub(crate) standalone: bool,
    pub(crate) applications: bool,
    pub(crate) namespaces: bool,
    pub(crate) argocd_namespace: String,
    pub(crate) application_namespaces: BTreeSet<String>,
    /// The kinds that are rendered besides ConfigMap and Deployment.
    pub(crate) extra_kinds: Vec<GroupVersionKind>,
}

impl Settings {
    /// Has the module check a document, and reads what has to be known to watch.
    pub(crate) fn check(document: &Value, module: &Module) -> Result<Self, Error> {
        let doing = |source| Error::Module {
            key: "anything: its settings cannot be checked".to_owned(),
            source,
        };
        let answer = module.validate_settings(document).map_err(doing)?;
        if !answer.valid {
            let why = answer.message;
            let why = why.unwrap_or_else(|| "the module does not say why".to_owned());
            return Err(Error::Settings { why });
        }
        let defaults: Value = serde_json::from_str(DEFAULTS).expect("the defaults are JSON");
        // Accepted settings have the right types.
        let read = |pointer| {
            document
                .pointer(pointer)
                .or_else(|| defaults.pointer(pointer))
                .cloned()
                .unwrap_or_default()
        };
        let text = |pointer| read(pointer).as_str().unwrap_or_default().to_owned();
        let argocd_namespace = text("/sources/argocdNamespace");
        let served = read("/sources/applicationNamespaces");
        let served = served
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned);
        let extra = read("/extraResources");
        let mut extra_kinds = extra
            .as_array()
            .into_iter()
            .flatten()
            .map(kind_of)
            .collect::<Result<Vec<_>, _>>()?;
        if read("/networkPolicy") == true {
            extra_kinds.push(GroupVersionKind::gvk("networking.k8s.io", "v1", "NetworkPolicy"));
        }
        Ok(Self {
            document: to_raw_value(document).expect("a JSON value is JSON"),
            instance: text("/instance"),
            annotation: text("/annotation"),
            standalone: read("/topology") == "standalone",
            applications: read("/sources/applications") == true,
            namespaces: read("/sources/namespaces") == true,
            application_namespaces: served.chain([argocd_namespace.clone()]).collect(),
            argocd_namespace,
            extra_kinds,
        })
    }
}

/// Where settings are read.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// There are none: the defaults count.
    Defaults,
    /// A file of YAML or JSON.
    File(PathBuf),
    /// The `spec.settings` of a Kubewarden ClusterAdmissionPolicy.
    ClusterAdmissionPolicy(String),
}

impl Origin {
    /// Reads them once.
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

    /// Follows them for ever. What the module refuses is told of, and the old ones stay.
    pub(crate) async fn follow(self, client: Client, module: Module, about: About, settings: watch::Sender<Value>) {
        let offer = |document: Value, regarding: ObjectReference| {
            if *settings.borrow() == document {
                return;
            }
            match Settings::check(&document, &module) {
                Ok(_) => {
                    tracing::info!("the settings have changed");
                    settings.send_replace(document);
                }
                Err(error) => about.refused(&error, regarding),
            }
        };
        match &self {
            Self::Defaults => std::future::pending().await,
            Self::File(path) => {
                let mut before = None;
                loop {
                    tokio::time::sleep(LOOK).await;
                    let read = read_file(path).await.map_err(|error| error.chain());
                    // A refusal is told of once, not every time that the file is looked at.
                    if before.as_ref() == Some(&read) {
                        continue;
                    }
                    match &read {
                        Ok(document) => offer(document.clone(), about.operator.clone()),
                        Err(error) => about.refused(&Error::Settings { why: error.clone() }, about.operator.clone()),
                    }
                    before = Some(read);
                }
            }
            Self::ClusterAdmissionPolicy(name) => {
                let mut policy = std::pin::pin!(watch_object(policies(&client), name));
                let mut backoff = crate::backoff::Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
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
                            offer(of_policy(&policy), regarding);
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

/// Where a refusal is told.
#[derive(Clone, Debug)]
pub(crate) struct About {
    pub(crate) events: Events,
    /// The operator, for settings that are no object themselves.
    pub(crate) operator: ObjectReference,
}

impl About {
    fn refused(&self, error: &Error, regarding: ObjectReference) {
        let note = format!("{}; the old ones stay", error.chain());
        tracing::error!("{note}");
        self.events.tell(News {
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
    parse(&text, &path.display().to_string())
}

/// Reads one document of YAML. An empty one is an empty map.
pub(crate) fn parse(text: &str, what: &str) -> Result<Value, Error> {
    let value: Value = serde_yaml::from_str(text).map_err(|error| Error::Yaml {
        what: what.to_owned(),
        why: error.to_string(),
    })?;
    Ok(if value.is_null() { json!({}) } else { value })
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
