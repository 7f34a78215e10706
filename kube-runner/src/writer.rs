//! Requests about objects, each bounded in time, and sent only while this operator may write.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use kube::api::DynamicObject;
use kube::{Api, Client};
use serde_json::Value;
use telewarden_policy::well_known::{FIELD_MANAGER, INSTANCE, MANAGED_BY, SOURCE};
use tokio::sync::watch;

use crate::error::Error;
use crate::kinds::Kinds;
use crate::lease;
use crate::live_object::Live;
use crate::object_id::{GroupKind, ObjectId};

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Writes owned objects, or has the API server say what writing them would do.
#[derive(Clone)]
pub(crate) struct Writer {
    pub(crate) client: Client,
    pub(crate) kinds: Kinds,
    /// Whose objects may be written: those with this label.
    pub(crate) instance: String,
    /// All sources are one, so an object of any of them is.
    pub(crate) standalone: bool,
    /// Nothing is written.
    pub(crate) dry_run: bool,
    /// Until when it may write, if others may come to write.
    pub(crate) leads: Option<watch::Receiver<lease::Until>>,
}

impl Writer {
    pub(crate) fn api(&self, id: &ObjectId) -> Result<Api<DynamicObject>, Error> {
        let resource = self.kinds.resource(&id.kind)?;
        Ok(Api::namespaced_with(self.client.clone(), &id.namespace, resource))
    }

    /// Sends a write. Who was stopped for longer than the lease and goes on has to notice that before each one.
    pub(crate) async fn write<T>(
        &self,
        request: impl Future<Output = Result<T, kube::Error>>,
        doing: impl Fn() -> String,
    ) -> Result<T, Error> {
        match &self.leads {
            Some(leads) if !lease::may_write(*leads.borrow()) => {
                Err(Error::Leadership("the lease has run out, so nothing is written"))
            }
            _ => bounded(request, doing).await,
        }
    }

    /// Reads an object as it is now.
    pub(crate) async fn get(&self, id: &ObjectId) -> Result<Option<DynamicObject>, Error> {
        bounded(self.api(id)?.get_opt(&id.name), || format!("read {id}")).await
    }

    /// All objects of ours of a kind.
    pub(crate) async fn list(&self, kind: &GroupKind) -> Result<Vec<Live>, Error> {
        let resource = self.kinds.resource(kind)?;
        let api = Api::<DynamicObject>::all_with(self.client.clone(), resource);
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

    /// Whether an object that is there is the one that is rendered.
    ///
    /// # Errors
    /// Whose it is.
    pub(crate) fn ours(&self, live: &DynamicObject, rendered: &Value) -> Result<(), String> {
        let label = |name: &str| live.metadata.labels.as_ref().and_then(|labels| labels.get(name));
        match label(MANAGED_BY) {
            Some(manager) if manager == FIELD_MANAGER => {}
            Some(manager) => return Err(format!("it is managed by `{manager}`")),
            None => return Err("nothing says that telewarden manages it".to_owned()),
        }
        match label(INSTANCE) {
            Some(instance) if *instance == self.instance => {}
            Some(instance) => return Err(format!("it belongs to instance `{instance}`")),
            None => return Err("it belongs to no instance".to_owned()),
        }
        match live
            .metadata
            .annotations
            .as_ref()
            .and_then(|annotations| annotations.get(SOURCE))
        {
            Some(source) if self.standalone || *source == rendered["metadata"]["annotations"][SOURCE] => Ok(()),
            Some(source) => Err(format!("it belongs to {source}")),
            None => Err("nothing says what it was rendered for".to_owned()),
        }
    }
}

/// Waits for an answer, but not for ever: who writes must know whether it still may.
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
