//! The inventory: a ConfigMap with the kinds of owned objects.
//!
//! When the settings no longer contain a kind, its objects must still be found and deleted. So the kinds are stored
//! before the first object is created. The ConfigMap has the labels and annotations of a parent in the ApplySet
//! specification (KEP-3659). Members are found by the instance label.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;
use sha2::{Digest, Sha256};
use telewarden_policy::well_known::{FIELD_MANAGER, INSTANCE};

use crate::error::Error;
use crate::object_id::GroupKind;

const ID: &str = "applyset.kubernetes.io/id";
const TOOLING: &str = "applyset.kubernetes.io/tooling";
const GROUP_KINDS: &str = "applyset.kubernetes.io/contains-group-kinds";

/// The inventory of an instance.
#[derive(Clone, Debug)]
pub(crate) struct Inventory {
    api: Api<ConfigMap>,
    name: String,
    namespace: String,
    instance: String,
}

impl Inventory {
    /// The inventory of an instance, in the operator's namespace.
    pub(crate) fn new(client: &Client, namespace: &str, instance: &str) -> Self {
        Self {
            api: Api::namespaced(client.clone(), namespace),
            name: format!("telewarden-inventory-{instance}"),
            namespace: namespace.to_owned(),
            instance: instance.to_owned(),
        }
    }

    /// Reads the kinds.
    pub(crate) async fn read(&self) -> Result<BTreeSet<GroupKind>, Error> {
        let parent = self.api.get_opt(&self.name).await.map_err(|source| Error::Api {
            doing: format!("read the inventory, ConfigMap {}/{}", self.namespace, self.name),
            source,
        })?;
        let annotations = parent
            .and_then(|parent| parent.metadata.annotations)
            .unwrap_or_default();
        let kinds = annotations.get(GROUP_KINDS).map(String::as_str).unwrap_or_default();
        let kinds = kinds.split(',').map(str::trim).filter(|kind| !kind.is_empty());
        Ok(kinds.map(GroupKind::parse).collect())
    }

    /// Stores the kinds.
    pub(crate) async fn write(&self, kinds: &BTreeSet<GroupKind>) -> Result<(), Error> {
        let kinds: Vec<String> = kinds.iter().map(ToString::to_string).collect();
        let parent = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": self.name,
                "namespace": self.namespace,
                "labels": {ID: self.id(), "app.kubernetes.io/name": "telewarden-operator"},
                "annotations": {
                    TOOLING: concat!("telewarden/v", env!("CARGO_PKG_VERSION")),
                    GROUP_KINDS: kinds.join(","),
                    INSTANCE: self.instance,
                },
            },
        });
        let params = PatchParams::apply(FIELD_MANAGER).force();
        self.api
            .patch(&self.name, &params, &Patch::Apply(&parent))
            .await
            .map_err(|source| Error::Api {
                doing: format!("write the inventory, ConfigMap {}/{}", self.namespace, self.name),
                source,
            })?;
        Ok(())
    }

    /// The ApplySet's id: `applyset-<base64url(sha256(name.namespace.kind.group))>-v1`.
    fn id(&self) -> String {
        let digest = Sha256::digest(format!("{}.{}.ConfigMap.", self.name, self.namespace));
        format!("applyset-{}-v1", URL_SAFE_NO_PAD.encode(digest))
    }
}
