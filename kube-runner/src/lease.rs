//! Leader election with a Lease. Only its holder may write.
//!
//! The algorithm is client-go's: a Lease can be taken over if it was not renewed for its whole duration, measured with the
//! local clock since its last observed change. A leader that cannot renew its Lease in time stops before another operator
//! can take over.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::error::Error;

/// How often a candidate looks whether the Lease was renewed.
const LOOK: Duration = Duration::from_millis(500);

/// A candidate for the Lease.
pub(crate) struct Candidate {
    api: Api<Lease>,
    name: String,
    /// A unique identity.
    identity: String,
    duration: Duration,
    /// The last observed change of the Lease, and its time.
    seen: Option<(Lease, Instant)>,
    leads: watch::Sender<Until>,
}

/// The time until which a candidate may write. `None` before it leads.
pub(crate) type Until = Option<Instant>;

/// True if a write is allowed now.
pub(crate) fn may_write(until: Until) -> bool {
    until.is_some_and(|until| Instant::now() < until)
}

/// The holder of a Lease that was not changed for the given time. `None` if it can be taken.
fn holder_of(spec: &LeaseSpec, unchanged_for: Duration) -> Option<&str> {
    let holder = spec.holder_identity.as_deref().filter(|holder| !holder.is_empty())?;
    (unchanged_for < held_for(spec)).then_some(holder)
}

/// How long a Lease is held that is not renewed.
fn held_for(spec: &LeaseSpec) -> Duration {
    let seconds = spec.lease_duration_seconds;
    Duration::from_secs(seconds.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(0))
}

impl Candidate {
    /// A candidate that updates `leads` whenever it acquires or renews the Lease.
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

    /// The time after which a holder that cannot renew the Lease stops.
    fn give_up_after(&self) -> Duration {
        self.duration * 2 / 3
    }

    /// Acquires the Lease.
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
                Err(error) => tracing::warn!(error = %error.chain(), "could not acquire the lease"),
            }
            tokio::time::sleep(self.look_again()).await;
        }
    }

    /// How long to wait until the Lease is looked at again: a renewal is seen soon, and so is that there was none in time. So it is
    /// taken over within a second after it was not renewed for its duration.
    fn look_again(&self) -> Duration {
        let interval = LOOK.min(self.duration / 5);
        let held = self.seen.as_ref().and_then(|(lease, since)| {
            let left = held_for(lease.spec.as_ref()?).saturating_sub(since.elapsed());
            (!left.is_zero()).then_some(left)
        });
        held.map_or(interval, |left| left.min(interval))
    }

    /// Renews the Lease until that fails.
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

    /// Releases the Lease, so that another candidate can acquire it immediately.
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

    /// Acquires or renews the Lease. Returns the holder if another candidate holds it.
    async fn try_hold(&mut self) -> Result<Option<String>, Error> {
        let doing = |source| Error::Api {
            doing: format!("hold the lease {}", self.name),
            source,
        };
        // The time counts from the request, because the answer can be late.
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
        let ours = spec.holder_identity.as_ref() == Some(&self.identity);
        let same = self
            .seen
            .as_ref()
            .is_some_and(|(seen, _)| seen.metadata.resource_version == lease.metadata.resource_version);
        if !same {
            self.seen = Some((lease.clone(), Instant::now()));
        }
        let since = self.seen.as_ref().map(|(_, since)| *since).unwrap_or_else(Instant::now);
        if let Some(holder) = holder_of(&spec, since.elapsed()).filter(|holder| **holder != self.identity) {
            return Ok(Some(holder.to_owned()));
        }
        let acquired = spec.acquire_time.filter(|_| ours).unwrap_or_else(|| now.clone());
        let transitions = spec.lease_transitions.unwrap_or(0) + i32::from(!ours);
        let mut next = lease;
        next.spec = Some(self.spec(acquired, now, transitions));
        // With the version that was read, so that only one of two candidates succeeds.
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

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(15);

    fn spec(holder: Option<&str>, seconds: Option<i32>) -> LeaseSpec {
        LeaseSpec {
            holder_identity: holder.map(str::to_owned),
            lease_duration_seconds: seconds,
            ..LeaseSpec::default()
        }
    }

    fn candidate() -> (Candidate, watch::Receiver<Until>) {
        let service = tower::service_fn(|_: ::http::Request<kube::client::Body>| async {
            Err::<::http::Response<kube::client::Body>, _>(std::io::Error::other("nobody is asked"))
        });
        let (leads, until) = watch::channel(None);
        let client = Client::new(service, "default");
        let candidate = Candidate::new(&client, "telewarden", "lease".to_owned(), "us".to_owned(), LEASE, leads);
        (candidate, until)
    }

    #[test]
    fn a_lease_expires_after_its_duration_without_a_change() {
        let theirs = spec(Some("them"), Some(15));
        let almost = LEASE - Duration::from_millis(1);
        assert_eq!(holder_of(&theirs, Duration::ZERO), Some("them"));
        assert_eq!(holder_of(&theirs, almost), Some("them"));
        assert_eq!(holder_of(&theirs, LEASE), None);
    }

    #[test]
    fn a_lease_without_a_holder_or_a_duration_can_be_taken() {
        for spec in [
            spec(None, Some(15)),
            spec(Some(""), Some(15)),
            spec(Some("them"), None),
            spec(Some("them"), Some(-1)),
        ] {
            assert_eq!(holder_of(&spec, Duration::ZERO), None, "{spec:?}");
        }
    }

    #[tokio::test]
    async fn a_leader_that_cannot_renew_stops_before_another_can_start() {
        let (mut candidate, until) = candidate();
        assert!(!may_write(*until.borrow()), "nobody leads from the start");
        let asked = Instant::now();
        let ours = Lease::default();
        candidate.took(Ok(ours), asked + candidate.give_up_after()).unwrap();
        let until = until.borrow().unwrap();
        assert!(may_write(Some(until)));
        assert!(until < asked + LEASE, "another may start then");
        assert!(
            candidate.duration / 5 * 3 < candidate.give_up_after(),
            "three tries fit in"
        );
        assert!(!may_write(Some(asked)));
    }

    #[tokio::test]
    async fn a_lease_is_looked_at_often_and_as_soon_as_it_has_expired() {
        let (mut candidate, _) = candidate();
        assert_eq!(candidate.look_again(), LOOK);
        let lease = Lease {
            spec: Some(spec(Some("them"), Some(15))),
            ..Lease::default()
        };
        candidate.seen = Some((lease.clone(), Instant::now()));
        assert_eq!(candidate.look_again(), LOOK);
        let almost = Instant::now() - (LEASE - LOOK / 2);
        candidate.seen = Some((lease.clone(), almost));
        assert!(candidate.look_again() <= LOOK / 2);
        candidate.seen = Some((lease, Instant::now() - 2 * LEASE));
        assert_eq!(
            candidate.look_again(),
            LOOK,
            "what keeps it from taking the Lease is not asked all the time"
        );
    }

    #[tokio::test]
    async fn a_lease_contains_its_duration() {
        let (candidate, _) = candidate();
        let now = || MicroTime(Timestamp::now());
        let spec = candidate.spec(now(), now(), 3);
        assert_eq!(spec.lease_duration_seconds, Some(15));
        assert_eq!(holder_of(&spec, Duration::ZERO), Some("us"));
        assert_eq!(spec.lease_transitions, Some(3));
    }
}
