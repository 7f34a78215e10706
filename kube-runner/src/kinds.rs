//! The kinds of object that are watched and applied, and the inventory that remembers those which settings may forget.
//!
//! ConfigMaps and Deployments are always rendered; all other kinds come from the settings. When those no longer name a
//! kind, its objects still have to be found and deleted, so the kinds are written down before the first object is, in a
//! ConfigMap that follows the ApplySet convention (KEP-3659): its parent's labels and annotations. Members are found by
//! our own instance label.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ApiResource, Patch, PatchParams};
use kube::discovery::Scope;
use kube::{Api, Client, discovery};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::object::{GroupKind, INSTANCE, MANAGER};
use crate::settings::Settings;

const ID: &str = "applyset.kubernetes.io/id";
const TOOLING: &str = "applyset.kubernetes.io/tooling";
const GROUP_KINDS: &str = "applyset.kubernetes.io/contains-group-kinds";

/// The kinds that the API server knows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kinds {
    pub(crate) known: Arc<BTreeMap<GroupKind, ApiResource>>,
    /// The settings or the inventory name them and the API server does not know them, or not as namespaced ones.
    pub(crate) unknown: Arc<BTreeSet<GroupKind>>,
}

impl Kinds {
    /// The kinds that are always rendered, and that every API server knows.
    pub(crate) fn always() -> BTreeMap<GroupKind, ApiResource> {
        let resources = [
            ApiResource::erase::<ConfigMap>(&()),
            ApiResource::erase::<Deployment>(&()),
        ];
        let kinds = resources.map(|resource| {
            let (group, kind) = (resource.group.clone(), resource.kind.clone());
            (GroupKind { group, kind }, resource)
        });
        BTreeMap::from(kinds)
    }

    /// Asks the API server for the kinds of the settings, and for those that an inventory remembers.
    pub(crate) async fn discover(
        client: &Client,
        settings: &Settings,
        remembered: &BTreeSet<GroupKind>,
    ) -> Result<Self, Error> {
        let (mut known, mut unknown) = (Self::always(), BTreeSet::new());
        for gvk in &settings.extra_kinds {
            let kind = GroupKind {
                group: gvk.group.clone(),
                kind: gvk.kind.clone(),
            };
            if known.contains_key(&kind) {
                continue;
            }
            match found(discovery::pinned_kind(client, gvk).await, &kind)? {
                Some(resource) => {
                    known.insert(kind, resource);
                }
                None => {
                    unknown.insert(kind);
                }
            }
        }
        for kind in remembered {
            if known.contains_key(kind) || unknown.contains(kind) {
                continue;
            }
            // Whichever version the API server prefers: these are only listed and deleted.
            let resource = match discovery::group(client, &kind.group).await {
                Ok(group) => group.recommended_kind(&kind.kind).map(|(resource, _)| resource),
                Err(error) => found(Err(error), kind)?,
            };
            match resource {
                Some(resource) => {
                    known.insert(kind.clone(), resource);
                }
                None => {
                    tracing::info!(%kind, "the API server knows this kind no longer, so there are no objects of it")
                }
            }
        }
        Ok(Self {
            known: Arc::new(known),
            unknown: Arc::new(unknown),
        })
    }

    /// How to reach objects of a kind.
    pub(crate) fn resource(&self, kind: &GroupKind) -> Result<&ApiResource, Error> {
        self.known
            .get(kind)
            .ok_or_else(|| Error::UnknownKind { kind: kind.to_string() })
    }
}

type Found = Result<(ApiResource, discovery::ApiCapabilities), kube::Error>;

fn found(found: Found, kind: &GroupKind) -> Result<Option<ApiResource>, Error> {
    match found {
        Ok((resource, capabilities)) => Ok((capabilities.scope == Scope::Namespaced).then_some(resource)),
        Err(kube::Error::Discovery(_)) => Ok(None),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(source) => Err(Error::Api {
            doing: format!("find out how the API server calls the kind `{kind}`"),
            source,
        }),
    }
}

/// The kinds of which there may be objects of ours, written down in the cluster.
#[derive(Clone, Debug)]
pub(crate) struct Inventory {
    api: Api<ConfigMap>,
    name: String,
    namespace: String,
    instance: String,
}

impl Inventory {
    /// The inventory of an instance, in the operator's own namespace.
    pub(crate) fn new(client: &Client, namespace: &str, instance: &str) -> Self {
        Self {
            api: Api::namespaced(client.clone(), namespace),
            name: format!("telewarden-inventory-{instance}"),
            namespace: namespace.to_owned(),
            instance: instance.to_owned(),
        }
    }

    /// The kinds that were written down.
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
        Ok(kinds
            .map(|kind| {
                let (kind, group) = kind.split_once('.').unwrap_or((kind, ""));
                GroupKind {
                    group: group.to_owned(),
                    kind: kind.to_owned(),
                }
            })
            .collect())
    }

    /// Writes the kinds down.
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
        let params = PatchParams::apply(MANAGER).force();
        self.api
            .patch(&self.name, &params, &Patch::Apply(&parent))
            .await
            .map_err(|source| Error::Api {
                doing: format!("write the inventory, ConfigMap {}/{}", self.namespace, self.name),
                source,
            })?;
        Ok(())
    }

    /// `applyset-<base64url(sha256(name.namespace.kind.group))>-v1`, as the convention says.
    fn id(&self) -> String {
        let digest = Sha256::digest(format!("{}.{}.ConfigMap.", self.name, self.namespace));
        format!("applyset-{}-v1", base64_url(&digest))
    }
}

/// Base64 of RFC 4648, section 5, without padding.
fn base64_url(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            text.push(char::from(LETTERS[(word >> (18 - 6 * place) & 63) as usize]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_standard() {
        let cases = [
            ("", ""),
            ("f", "Zg"),
            ("fo", "Zm8"),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg"),
            ("\u{3ff}", "z78"),
        ];
        for (text, expected) in cases {
            assert_eq!(base64_url(text.as_bytes()), expected);
        }
    }
}
