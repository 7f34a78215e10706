//! Requests for owned objects, with a timeout. Writes are sent only while this operator may write.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use kube::api::ApiResource;
use kube::core::DynamicResourceScope;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use serde_json::Value;
use telewarden_policy::well_known::{FIELD_MANAGER, INSTANCE, MANAGED_BY, SOURCE};
use tokio::sync::watch;

use crate::error::Error;
use crate::kinds::Kinds;
use crate::lease;
use crate::live_object::Live;
use crate::object::Object;
use crate::object_id::{GroupKind, ObjectId};

/// The timeout of a request.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Writes owned objects, or sends dry-run requests.
#[derive(Clone)]
pub(crate) struct Writer {
    pub(crate) client: Client,
    pub(crate) kinds: Kinds,
    /// The instance label of the objects that may be written.
    pub(crate) instance: String,
    /// True for `topology: standalone`, in which the source of an object is not compared.
    pub(crate) standalone: bool,
    /// True if nothing may be written.
    pub(crate) dry_run: bool,
    /// The time until which it may write. `None` without leader election.
    pub(crate) leads: Option<watch::Receiver<lease::Until>>,
}

impl Writer {
    pub(crate) fn api<K>(&self, id: &ObjectId) -> Result<Api<K>, Error>
    where
        K: Resource<DynamicType = ApiResource, Scope = DynamicResourceScope>,
    {
        let resource = self.kinds.resource(&id.kind)?;
        Ok(Api::namespaced_with(self.client.clone(), &id.namespace, resource))
    }

    /// Sends a write, if the lease is still valid. This is checked before each write, because the process may have been
    /// suspended for longer than the lease.
    pub(crate) async fn write<T>(
        &self,
        request: impl Future<Output = Result<T, kube::Error>>,
        doing: impl Fn() -> String,
    ) -> Result<T, Error> {
        self.may_write()?;
        bounded(request, doing).await
    }

    /// # Errors
    /// If this operator may not write now.
    pub(crate) fn may_write(&self) -> Result<(), Error> {
        match &self.leads {
            Some(leads) if !lease::may_write(*leads.borrow()) => {
                Err(Error::Leadership("the lease has expired, so nothing is written"))
            }
            _ => Ok(()),
        }
    }

    /// Reads an object.
    pub(crate) async fn get(&self, id: &ObjectId) -> Result<Option<Object>, Error> {
        let api = self.api::<Object>(id)?;
        bounded(api.get_opt(&id.name), || format!("read {id}")).await
    }

    /// True if all pods of a Deployment are ready, and as its template has them. `without_pods` is the answer if it has no pods.
    pub(crate) async fn is_rolled_out(&self, deployment: &ObjectId, without_pods: bool) -> Result<bool, Error> {
        let Some(found) = self.get(deployment).await? else {
            return Ok(without_pods);
        };
        let status = &found.data["status"];
        let count = |field: &str| status[field].as_i64().unwrap_or(0);
        if count("replicas") == 0 {
            return Ok(without_pods);
        }
        let is_seen = count("observedGeneration") >= found.metadata.generation.unwrap_or(0);
        let is_new = count("updatedReplicas") == count("replicas") && count("availableReplicas") == count("replicas");
        Ok(is_seen && is_new)
    }

    /// Lists all owned objects of a kind.
    pub(crate) async fn list(&self, kind: &GroupKind) -> Result<Vec<Live>, Error> {
        let resource = self.kinds.resource(kind)?;
        let api = Api::<Object>::all_with(self.client.clone(), resource);
        let ours = format!("{MANAGED_BY}={FIELD_MANAGER},{INSTANCE}={}", self.instance);
        let params = kube::api::ListParams::default().labels(&ours);
        let list = bounded(api.list(&params), || format!("list our objects of kind {kind}")).await?;
        let kind = Arc::new(kind.clone());
        Ok(list
            .items
            .into_iter()
            .filter_map(|object| Live::of(&kind, object))
            .collect())
    }

    /// Checks that an existing object is managed by this operator and belongs to the same source as the rendered one.
    ///
    /// # Errors
    /// The reason, if it is not.
    pub(crate) fn ours(&self, live: &Object, rendered: &Value) -> Result<(), String> {
        let label = |name: &str| live.metadata.labels.as_ref().and_then(|labels| labels.get(name));
        match label(MANAGED_BY) {
            Some(manager) if manager == FIELD_MANAGER => {}
            Some(manager) => return Err(format!("it is managed by `{manager}`")),
            None => return Err("it has no label of telewarden".to_owned()),
        }
        match label(INSTANCE) {
            Some(instance) if *instance == self.instance => {}
            Some(instance) => return Err(format!("it belongs to instance `{instance}`")),
            None => return Err("it has no instance label".to_owned()),
        }
        match live
            .metadata
            .annotations
            .as_ref()
            .and_then(|annotations| annotations.get(SOURCE))
        {
            Some(source) if self.standalone || *source == rendered["metadata"]["annotations"][SOURCE] => Ok(()),
            Some(source) => Err(format!("it belongs to {source}")),
            None => Err("it has no source annotation".to_owned()),
        }
    }
}

/// Waits for an answer, with a timeout, so that a writer notices in time when it may no longer write.
pub(crate) async fn bounded<T>(
    request: impl Future<Output = Result<T, kube::Error>>,
    doing: impl Fn() -> String,
) -> Result<T, Error> {
    match tokio::time::timeout(TIMEOUT, request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(source)) => Err(Error::Api { doing: doing(), source }),
        Err(_) => Err(Error::Timeout {
            doing: doing(),
            after: TIMEOUT,
        }),
    }
}

/// Sends a request for metadata alone. `Api` would decode the managed fields of the answer, which whoever may write one object can make
/// unreadable.
pub(crate) async fn send<T: DeserializeOwned>(
    client: &Client,
    request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
) -> Result<T, kube::Error> {
    client.request(request.map_err(kube::Error::BuildRequest)?).await
}
