//! The kinds of objects that are watched and applied.
//!
//! ConfigMaps and Deployments are always rendered; all other kinds come from the settings.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::ApiResource;
use kube::core::GroupVersionKind;
use kube::discovery::Scope;
use kube::{Client, discovery};

use crate::error::Error;
use crate::object_id::GroupKind;

/// The kinds that the API server knows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kinds {
    pub(crate) known: Arc<BTreeMap<GroupKind, ApiResource>>,
    /// Kinds of the settings that the API server does not know as namespaced kinds.
    pub(crate) unknown: Arc<BTreeSet<GroupKind>>,
}

impl Kinds {
    /// The kinds that are always rendered. Every API server knows them.
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

    /// Looks up the kinds of the settings and of the inventory at the API server.
    pub(crate) async fn discover(
        client: &Client,
        named: &[GroupVersionKind],
        remembered: &BTreeSet<GroupKind>,
    ) -> Result<Self, Error> {
        let (mut known, mut unknown) = (Self::always(), BTreeSet::new());
        for gvk in named {
            let kind = GroupKind::of(gvk);
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
            // Any version will do, because these objects are only listed and deleted.
            let resource = match discovery::group(client, &kind.group).await {
                Ok(group) => group.recommended_kind(&kind.kind).map(|(resource, _)| resource),
                Err(error) => found(Err(error), kind)?,
            };
            match resource {
                Some(resource) => {
                    known.insert(kind.clone(), resource);
                }
                None => {
                    tracing::info!(%kind, "the API server no longer knows this kind, so there are no objects of it")
                }
            }
        }
        Ok(Self {
            known: Arc::new(known),
            unknown: Arc::new(unknown),
        })
    }

    /// The API resource of a kind.
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
            doing: format!("look up the kind `{kind}`"),
            source,
        }),
    }
}
