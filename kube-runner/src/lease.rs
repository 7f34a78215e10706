//! The Lease whose holder may write.
//!
//! As client-go does it: a lease that was not renewed for its whole duration, by our own clock since we last saw it change,
//! may be taken. Who could not renew in time stops before anybody else may start.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::error::Error;

/// One candidate for a Lease.
pub(crate) struct Candidate {
    api: Api<Lease>,
    name: String,
    /// Unlike any other candidate's.
    identity: String,
    duration: Duration,
    /// The lease as it was last seen, and when that was.
    seen: Option<(Lease, Instant)>,
    leads: watch::Sender<Until>,
}

/// Until when a candidate may write. `None` before it leads.
pub(crate) type Until = Option<Instant>;

/// Whether it is not too late to write.
pub(crate) fn may_write(until: Until) -> bool {
    until.is_some_and(|until| Instant::now() < until)
}

impl Candidate {
    /// A candidate, which says until when it may write whenever it has taken or renewed the Lease.
    pub(crate) fn new(
        client: &Client,
        namespace: &str,
        name: String,
        identity: String,
        duration: Duration,
        leads: watch::Sender<Until>,
    ) -> Self {
        Self {
            api: Api::namespaced(client.clone(), namespace),
            name,
            identity,
            duration,
            seen: None,
            leads,
        }
    }

    /// A holder that could not renew for so long stops.
    fn give_up_after(&self) -> Duration {
        self.duration * 2 / 3
    }

    /// Waits until this candidate leads.
    pub(crate) async fn lead(&mut self) {
        let mut told = None;
        loop {
            match self.try_hold().await {
                Ok(None) => return,
                Ok(Some(holder)) => {
                    if told.as_ref() != Some(&holder) {
                        tracing::info!(holder, "another operator leads");
                        told = Some(holder);
                    }
                }
                Err(error) => tracing::warn!(error = %error.chain(), "the lease cannot be had"),
            }
            tokio::time::sleep(self.duration / 5).await;
        }
    }

    /// Renews for as long as that goes well.
    pub(crate) async fn stay(&mut self) -> Error {
        loop {
            tokio::time::sleep(self.duration / 5).await;
            let until = self.leads.borrow().unwrap_or_else(Instant::now);
            match tokio::time::timeout_at(until, self.try_hold()).await {
                Ok(Ok(Some(_))) => return Error::Leadership("another operator has taken the lease"),
                Ok(Err(error)) => tracing::warn!(error = %error.chain(), "the lease was not renewed"),
                Ok(Ok(None)) | Err(_) => {}
            }
            if !may_write(*self.leads.borrow()) {
                return Error::Leadership("the lease could not be renewed in time");
            }
        }
    }

    /// Lets the next one start at once.
    pub(crate) async fn release(mut self) {
        let Some((mut lease, _)) = self.seen.take() else { return };
        if let Some(spec) = &mut lease.spec
            && spec.holder_identity.as_ref() == Some(&self.identity)
        {
            spec.holder_identity = None;
            spec.lease_duration_seconds = Some(1);
            let _ = self.api.replace(&self.name, &PostParams::default(), &lease).await;
        }
    }

    /// Takes or renews the lease. Answers who holds it if that is somebody else.
    async fn try_hold(&mut self) -> Result<Option<String>, Error> {
        let doing = |source| Error::Api {
            doing: format!("hold the lease {}", self.name),
            source,
        };
        // What counts is when it was asked: the answer may be long under way.
        let until = Instant::now() + self.give_up_after();
        let now = MicroTime(Timestamp::now());
        let found = self.api.get_opt(&self.name).await.map_err(doing)?;
        let Some(lease) = found else {
            let lease = Lease {
                metadata: ObjectMeta {
                    name: Some(self.name.clone()),
                    ..ObjectMeta::default()
                },
                spec: Some(self.spec(now.clone(), now, 0)),
            };
            return self.took(self.api.create(&PostParams::default(), &lease).await, until);
        };
        let spec = lease.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.clone().filter(|holder| !holder.is_empty());
        let ours = holder.as_ref() == Some(&self.identity);
        let same = self
            .seen
            .as_ref()
            .is_some_and(|(seen, _)| seen.metadata.resource_version == lease.metadata.resource_version);
        if !same {
            self.seen = Some((lease.clone(), Instant::now()));
        }
        let since = self.seen.as_ref().map(|(_, since)| *since).unwrap_or_else(Instant::now);
        let theirs = Duration::from_secs(
            spec.lease_duration_seconds
                .and_then(|s| u64::try_from(s).ok())
                .unwrap_or(0),
        );
        if let Some(holder) = holder.filter(|_| !ours && since.elapsed() < theirs) {
            return Ok(Some(holder));
        }
        let acquired = spec.acquire_time.filter(|_| ours).unwrap_or_else(|| now.clone());
        let transitions = spec.lease_transitions.unwrap_or(0) + i32::from(!ours);
        let mut next = lease;
        next.spec = Some(self.spec(acquired, now, transitions));
        // With the version that was read: of two who try, one is refused.
        self.took(self.api.replace(&self.name, &PostParams::default(), &next).await, until)
    }

    fn took(&mut self, result: Result<Lease, kube::Error>, until: Instant) -> Result<Option<String>, Error> {
        match result {
            Ok(lease) => {
                self.leads.send_replace(Some(until));
                self.seen = Some((lease, Instant::now()));
                Ok(None)
            }
            Err(source) => Err(Error::Api {
                doing: format!("take the lease {}", self.name),
                source,
            }),
        }
    }

    fn spec(&self, acquired: MicroTime, renewed: MicroTime, transitions: i32) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(self.duration.as_secs().max(1)).ok(),
            acquire_time: Some(acquired),
            renew_time: Some(renewed),
            lease_transitions: Some(transitions),
            ..LeaseSpec::default()
        }
    }
}
