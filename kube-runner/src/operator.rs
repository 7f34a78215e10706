//! The operator: everything that runs under one set of settings, and again when they change.

use std::collections::BTreeSet;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use serde_json::Value;
use telewarden::Module;
use telewarden_policy::well_known::ALL_SOURCES;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, mpsc, watch as channel};

use crate::accepted::{AcceptedStore, Declarations};
use crate::cli::{FromCluster, Policy};
use crate::cluster_state::ClusterState;
use crate::conditions::Conditions;
use crate::connect::connect;
use crate::error::Error;
use crate::events::Events;
use crate::http::Status;
use crate::inventory::Inventory;
use crate::kinds::Kinds;
use crate::lease::{self, Candidate};
use crate::module;
use crate::object_id::GroupKind;
use crate::owned::Change;
use crate::queue::{Until, work};
use crate::reconcile::{Context, reconcile};
use crate::retry::Backoff;
use crate::settings::Settings;
use crate::settings_source::{SettingsSource, SettingsUpdates};
use crate::watch::Watches;
use crate::writer::Writer;

/// A kind that the API server does not know may come with a CustomResourceDefinition.
const LOOK_FOR_KINDS: Duration = Duration::from_secs(30);
/// Objects that were passed over are not listed again sooner.
const LIST_AGAIN: Duration = Duration::from_secs(60);

/// Everything that does not change while the operator runs.
struct Operator {
    client: Client,
    module: Module,
    /// Its own namespace.
    namespace: String,
    events: Events,
    status: Arc<Status>,
    at_once: usize,
    calls: Arc<Semaphore>,
    dry_run: bool,
    until: Until,
    stop: channel::Receiver<bool>,
    /// Until when this operator may write, if others may come to write. Who lost the lease ends at once.
    leads: Option<channel::Receiver<lease::Until>>,
}

/// How it went.
#[derive(Default)]
pub(crate) struct Outcome {
    /// Sources that are left undone.
    pub(crate) undone: usize,
    pub(crate) changes: Vec<Change>,
}

/// Keeps the cluster as rendered, or says what that would change.
pub(crate) async fn operate(
    policy: &Policy,
    cluster: FromCluster,
    status: Arc<Status>,
    until: Until,
    dry_run: bool,
    election: Option<u16>,
) -> Result<Outcome, Error> {
    let stop = stop_on_signals()?;
    // The module is loaded on a thread of its own while the client reads certificates.
    let (module, (client, config)) = tokio::try_join!(module::load(policy), connect())?;
    let namespace = cluster.namespace.clone().unwrap_or(config.default_namespace);
    let identity = identity();
    let events = if dry_run {
        Events::none()
    } else {
        Events::new(client.clone(), identity.clone())
    };

    let source = SettingsSource::of(policy, &cluster)?;
    let first = source.read(&client).await?;
    let first_settings = Settings::check(&first, &module).await?;
    let (sender, mut settings) = channel::channel(first);
    let operator = ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Pod".to_owned()),
        name: Some(std::env::var("POD_NAME").unwrap_or_else(|_| identity.clone())),
        namespace: Some(namespace.clone()),
        uid: std::env::var("POD_UID").ok(),
        ..ObjectReference::default()
    };
    if until == Until::Stopped {
        let updates = SettingsUpdates {
            module: module.clone(),
            events: events.clone(),
            operator,
            settings: sender.clone(),
        };
        tokio::spawn(source.follow(client.clone(), updates));
    }

    status.metrics.leader.set(i64::from(election.is_none()));
    let mut leads = None;
    let mut lost: Option<tokio::task::JoinHandle<Error>> = None;
    let (release, released) = channel::channel(false);
    if let Some(seconds) = election {
        let lease = format!("telewarden-{}", first_settings.host.instance);
        let duration = Duration::from_secs(seconds.into());
        let (leading, until) = channel::channel(None);
        leads = Some(until);
        let candidate = Candidate::new(&client, &namespace, lease, identity, duration, leading);
        lost = Some(tokio::spawn(hold_lease(candidate, released, status.clone())));
    }

    let operator = Operator {
        calls: Arc::new(Semaphore::new(
            std::thread::available_parallelism().map_or(2, usize::from),
        )),
        client,
        module,
        namespace,
        events,
        status,
        at_once: cluster.at_once.into(),
        dry_run,
        until,
        stop: stop.clone(),
        leads,
    };
    let outcome = tokio::select! {
        outcome = operator.serve(&mut settings) => outcome,
        error = async { match &mut lost { Some(lost) => lost.await, None => std::future::pending().await } } => {
            // Not one write more: everything is dropped where it is.
            Err(error.unwrap_or(Error::Leadership("the lease's keeper has failed")))
        }
    };
    if let Some(lost) = lost.filter(|lost| !lost.is_finished()) {
        // All writes are done, so the next one may start at once.
        release.send_replace(true);
        let _ = tokio::time::timeout(Duration::from_secs(5), lost).await;
    }
    drop(sender);
    outcome
}

/// Gets the lease and keeps it. Ends when it was released, or lost.
async fn hold_lease(mut candidate: Candidate, mut released: channel::Receiver<bool>, status: Arc<Status>) -> Error {
    let done = Error::Leadership("the lease was released");
    tokio::select! {
        () = candidate.lead() => {}
        () = async { drop(released.wait_for(|released| *released).await) } => return done,
    }
    tracing::info!("this operator leads");
    status.metrics.leader.set(1);
    tokio::select! {
        error = candidate.stay() => return error,
        () = async { drop(released.wait_for(|released| *released).await) } => {}
    }
    candidate.release().await;
    done
}

impl Operator {
    /// Serves until it is stopped, with fresh eyes whenever the settings change: what is watched depends on them.
    async fn serve(&self, settings: &mut channel::Receiver<Value>) -> Result<Outcome, Error> {
        loop {
            let document = settings.borrow_and_update().clone();
            let checked = Arc::new(Settings::check(&document, &self.module).await?);
            let mut stop = self.stop.clone();
            let again = async {
                let changed = async { settings.changed().await.is_ok() };
                tokio::select! {
                    _ = stop.wait_for(|stop| *stop) => false,
                    true = changed => true,
                    else => false,
                }
            };
            let (outcome, again) = self.serve_settings(checked, again).await?;
            if !again || self.until == Until::Idle {
                return Ok(outcome);
            }
        }
    }

    /// Serves under one set of settings, until `again` says to stop or to start afresh.
    async fn serve_settings(
        &self,
        settings: Arc<Settings>,
        again: impl Future<Output = bool>,
    ) -> Result<(Outcome, bool), Error> {
        let mut again = std::pin::pin!(again);
        let inventory = Inventory::new(&self.client, &self.namespace, &settings.host.instance);
        let store = AcceptedStore::new(&self.namespace, &settings.host.instance);
        let (changed, mut keys) = mpsc::unbounded_channel();
        let state = ClusterState::new(settings.is_standalone(), changed.clone());
        let found = async {
            let mut watches = Watches::of_sources(&self.client, &settings, &state);
            // Which kinds there are is asked while these are listed. Only who knows the sources can say which objects are
            // to go: the sources come first.
            let (found, ()) = tokio::join!(self.find_kinds(&settings, &inventory), watches.all_listed());
            let (kinds, remembered) = found?;
            watches.owned(kinds.known.iter());
            watches.all_listed().await;
            self.status.ready.store(true, Ordering::Relaxed);
            let counts = state.counts();
            tracing::info!(sources = counts.sources, owned = counts.owned, "everything is listed");
            // Only one may write. What changes until then is seen, and everything is looked at first thing.
            if let Some(mut leads) = self.leads.clone() {
                loop {
                    tokio::select! {
                        led = leads.wait_for(Option::is_some) => {
                            if led.is_err() {
                                return std::future::pending().await;
                            }
                            break;
                        }
                        Some(_) = keys.recv() => {}
                    }
                }
            }
            self.remember(&inventory, &settings, &state, &remembered).await?;
            // After the lease was had: whoever had it before may have written until then.
            let accepted = self.accepted(&store).await?;
            Ok::<_, Error>((kinds, watches, accepted))
        };
        let (kinds, _watches, accepted) = tokio::select! {
            found = found => found?,
            again = &mut again => return Ok((Outcome::default(), again)),
        };

        state.keys().into_iter().for_each(|key| drop(changed.send(key)));
        if !settings.is_standalone() {
            // What an earlier `standalone` left.
            let _ = changed.send(ALL_SOURCES.to_owned());
        }
        let unknown = kinds.unknown.clone();
        let writer = Writer {
            client: self.client.clone(),
            kinds,
            instance: settings.host.instance.clone(),
            standalone: settings.is_standalone(),
            dry_run: self.dry_run,
            leads: self.leads.clone(),
        };
        let accepted = match settings.is_standalone() {
            true => accepted,
            false => {
                forget_all(&store, &writer, &accepted).await;
                Declarations::new()
            }
        };
        let context = Arc::new(Context {
            writer,
            store,
            accepted: Mutex::new(accepted),
            conditions: Conditions::default(),
            module: self.module.clone(),
            calls: self.calls.clone(),
            settings: settings.clone(),
            state: state.clone(),
            events: self.events.clone(),
            status: self.status.clone(),
            changes: Mutex::default(),
            endpoints: Mutex::default(),
            failing: Mutex::default(),
            keeps_changes: self.until == Until::Idle,
        });
        let mut start_again = false;
        let stop = async {
            tokio::select! {
                again = again => start_again = again,
                () = self.appears(&settings, &unknown) => start_again = true,
                () = has_room(&state) => start_again = true,
            }
        };
        let undone = work(keys, self.at_once, self.until, stop, |key| {
            reconcile(context.clone(), key)
        })
        .await;
        let changes = std::mem::take(&mut *context.changes.lock().unwrap_or_else(PoisonError::into_inner));
        Ok((Outcome { undone, changes }, start_again))
    }

    /// Asks for the kinds until the API server answers.
    async fn find_kinds(
        &self,
        settings: &Settings,
        inventory: &Inventory,
    ) -> Result<(Kinds, BTreeSet<GroupKind>), Error> {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(30));
        loop {
            let found = async {
                let remembered = inventory.read().await?;
                Ok::<_, Error>((
                    Kinds::discover(&self.client, &settings.kinds(), &remembered).await?,
                    remembered,
                ))
            };
            match found.await {
                Ok(found) => return Ok(found),
                Err(error) if self.until == Until::Idle && backoff.tries() >= 5 => return Err(error),
                Err(error) => {
                    tracing::warn!(error = %error.chain(), "the API server does not tell its kinds");
                    tokio::time::sleep(backoff.next()).await;
                }
            }
        }
    }

    /// Asks for the accepted declarations until the API server answers.
    async fn accepted(&self, store: &AcceptedStore) -> Result<Declarations, Error> {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(30));
        loop {
            match store.read(&self.client).await {
                Ok(accepted) => return Ok(accepted),
                Err(error) if self.until == Until::Idle && backoff.tries() >= 5 => return Err(error),
                Err(error) => {
                    tracing::warn!(error = %error.chain(), "the accepted declarations are not known");
                    tokio::time::sleep(backoff.next()).await;
                }
            }
        }
    }

    /// Writes down the kinds of the settings before the first object is, and forgets those of which there is no object.
    async fn remember(
        &self,
        inventory: &Inventory,
        settings: &Settings,
        state: &ClusterState,
        remembered: &BTreeSet<GroupKind>,
    ) -> Result<(), Error> {
        if self.dry_run {
            return Ok(());
        }
        let mut kinds: BTreeSet<GroupKind> = settings.kinds().iter().map(GroupKind::of).collect();
        kinds.extend(remembered.iter().filter(|kind| state.has_kind(kind)).cloned());
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(30));
        if kinds == *remembered {
            return Ok(());
        }
        loop {
            match inventory.write(&kinds).await {
                Ok(()) => return Ok(()),
                Err(error) if self.until == Until::Idle && backoff.tries() >= 5 => return Err(error),
                Err(error) => {
                    tracing::warn!(error = %error.chain(), "the inventory was not written");
                    tokio::time::sleep(backoff.next()).await;
                }
            }
        }
    }

    /// Ends when the API server knows a kind that it did not know.
    async fn appears(&self, settings: &Settings, unknown: &BTreeSet<GroupKind>) {
        if unknown.is_empty() {
            return std::future::pending().await;
        }
        let kinds: Vec<String> = unknown.iter().map(ToString::to_string).collect();
        tracing::error!(
            kinds = kinds.join(", "),
            "the API server knows no such kinds; `extraResources` has them"
        );
        loop {
            tokio::time::sleep(LOOK_FOR_KINDS).await;
            if let Ok(found) = Kinds::discover(&self.client, &settings.kinds(), &BTreeSet::new()).await
                && found.unknown.as_ref() != unknown
            {
                return;
            }
        }
    }
}

/// Ends when objects that were not filed should be listed again, but not at once: whoever creates them in our name must not
/// have everything listed all the time.
async fn has_room(state: &ClusterState) {
    tokio::time::sleep(LIST_AGAIN).await;
    state.has_room_again().await;
    tracing::info!("listing again: there is room for objects that were passed over");
}

/// What an earlier `standalone` remembered is of no use in other topologies.
async fn forget_all(store: &AcceptedStore, writer: &Writer, accepted: &Declarations) {
    for source in accepted.keys().filter(|_| !writer.dry_run) {
        if let Err(error) = store.delete(writer, source).await {
            tracing::warn!(source, error = %error.chain(), "an accepted declaration is left over");
        }
    }
}

/// Turns true at SIGTERM or SIGINT.
fn stop_on_signals() -> Result<channel::Receiver<bool>, Error> {
    let on = |kind| {
        signal(kind).map_err(|source| Error::File {
            doing: "listen for signals".to_owned(),
            source,
        })
    };
    let (mut terminate, mut interrupt) = (on(SignalKind::terminate())?, on(SignalKind::interrupt())?);
    let (sender, receiver) = channel::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: writes that are under way are finished");
        sender.send_replace(true);
        // The receivers should not see the sender go.
        std::future::pending::<()>().await;
    });
    Ok(receiver)
}

/// A name that no other operator has: the pod's, and, for a pod that was restarted, something random.
fn identity() -> String {
    let host = std::env::var("POD_NAME").or_else(|_| std::env::var("HOSTNAME"));
    let random = RandomState::new().hash_one(std::process::id());
    format!(
        "{}_{random:016x}",
        host.unwrap_or_else(|_| "telewarden-operator".to_owned())
    )
}
