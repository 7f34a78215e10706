//! Identifies the cluster.

use k8s_openapi::api::core::v1::Namespace;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};

use crate::error::Error;
use crate::writer::bounded;

/// The uid of the namespace `kube-system`, which every cluster has and nobody can replace
/// (<https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/#initial-namespaces>). Answers
/// an empty text if there is none.
///
/// # Errors
/// If the API server does not answer.
pub(crate) async fn cluster_uid(client: &Client) -> Result<String, Error> {
    let namespaces = Api::<Namespace>::all(client.clone());
    // A list, because the operator may list Namespaces anyway.
    let params = ListParams::default().fields("metadata.name=kube-system");
    let request = namespaces.list_metadata(&params);
    let found = bounded(request, || "identify the cluster".to_owned()).await?;
    Ok(found.items.first().and_then(ResourceExt::uid).unwrap_or_default())
}
