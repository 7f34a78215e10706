//! The operator: runs everything with the current settings, and restarts it when they change.

use std::collections::BTreeSet;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::core::GroupVersionKind;
use serde_json::Value;
use telewarden::Module;
use telewarden_policy::well_known::ALL_SOURCES;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, mpsc, watch as channel};
use tokio::task::JoinSet;

use crate::accepted::{AcceptedStore, Declarations};
use crate::cli::{FromCluster, Policy};
use crate::cluster_state::ClusterState;
use crate::conditions::Conditions;
use crate::connect::connect;
use crate::context::Context;
use crate::error::Error;
use crate::events::Events;
use crate::http::Status;
use crate::influxdb::{AdministratorToken, Provider, cluster_uid, rotate_old};
use crate::inventory::Inventory;
use crate::kinds::Kinds;
use crate::lease::{self, Candidate};
use crate::module;
use crate::object_id::GroupKind;
use crate::owned::Change;
use crate::queue::{Until, work};
use crate::reconcile::reconcile;
use crate::reports::{self, Reports};
use crate::retry::Backoff;
use crate::settings::Settings;
use crate::settings_source::{SettingsSource, SettingsUpdates};
use crate::status::{Means, Rounds, follow_pods};
use crate::watch::Watches;
use crate::writer::Writer;

/// The interval of lookups for unknown kinds, whose CustomResourceDefinition may be created later.
const LOOK_FOR_KINDS: Duration = Duration::from_secs(30);
/// The minimum time until untracked objects are listed again.
const LIST_AGAIN: Duration = Duration::from_secs(60);

/// Everything that does not depend on the settings.
struct Operator {
    client: Client,
    module: Module,
    /// The operator's namespace.
    namespace: String,
    events: Events,
    status: Arc<Status>,
    at_once: usize,
    influxdb_token: AdministratorToken,
    calls: Arc<Semaphore>,
    dry_run: bool,
    /// Whether each Telegraf is asked how it is.
    looks: Option<Looks>,
    until: Until,
    stop: channel::Receiver<bool>,
    /// The time until which this operator may write. `None` without leader election.
    leads: Option<channel::Receiver<lease::Until>>,
}

/// How the Telegrafs are asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Looks {
    /// How often.
    pub(crate) interval: Duration,
    /// Whether what they say is written into Reports.
    pub(crate) reports: bool,
}

/// The result of a run.
#[derive(Default)]
pub(crate) struct Outcome {
    /// The number of sources that are not reconciled.
    pub(crate) undone: usize,
    pub(crate) changes: Vec<Change>,
    /// What would be made or revoked in InfluxDB, in a dry run.
    pub(crate) provisions: Vec<String>,
}

/// Reconciles the cluster, or in a dry run collects the changes. With `looks`, each Telegraf is asked how it is.
pub(crate) async fn operate(
    policy: &Policy,
    cluster: FromCluster,
    status: Arc<Status>,
    until: Until,
    dry_run: bool,
    election: Option<u16>,
    looks: Option<Looks>,
) -> Result<Outcome, Error> {
    let stop = stop_on_signals()?;
    // The module is loaded on another thread while the client reads certificates.
    let load = async {
        match until {
            Until::Stopped => module::load_for_long(policy).await,
            Until::Idle => module::load(policy).await,
        }
    };
    let start = async { tokio::try_join!(load, connect()) };
    let mut asked_to_stop = stop.clone();
    let (module, (client, config)) = tokio::select! {
        started = start => started?,
        _ = asked_to_stop.wait_for(|stop| *stop) => return Ok(Outcome::default()),
    };
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
        influxdb_token: AdministratorToken::new(cluster.influxdb.influxdb_token_file.as_deref()),
        dry_run,
        looks,
        until,
        stop: stop.clone(),
        leads,
    };
    let outcome = tokio::select! {
        outcome = operator.serve(&mut settings) => outcome,
        error = async { match &mut lost { Some(lost) => lost.await, None => std::future::pending().await } } => {
            // No more writes: everything is dropped immediately.
            Err(error.unwrap_or(Error::Leadership("leader election has failed")))
        }
    };
    if let Some(lost) = lost.filter(|lost| !lost.is_finished()) {
        // All writes are done, so another operator may start immediately.
        release.send_replace(true);
        let _ = tokio::time::timeout(Duration::from_secs(5), lost).await;
    }
    drop(sender);
    outcome
}

/// Acquires the Lease and renews it, until it is released or lost.
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
    /// Serves until the operator is stopped. Starts again whenever the settings change, because the watches depend on them.
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

    /// Serves with one set of settings until `again` ends, with true to start again and false to stop.
    async fn serve_settings(
        &self,
        settings: Arc<Settings>,
        again: impl Future<Output = bool>,
    ) -> Result<(Outcome, bool), Error> {
        let mut again = std::pin::pin!(again);
        let inventory = Inventory::new(&self.client, &self.namespace, &settings.host.instance);
        let store = AcceptedStore::new(&self.namespace, &settings.host.instance);
        let (changed, mut keys) = mpsc::unbounded_channel();
        let state = ClusterState::new(settings.standalone_namespace().map(str::to_owned), changed.clone());
        let found = async {
            let mut watches = Watches::of_sources(&self.client, &settings, &state);
            // Kinds are looked up while the sources are listed. Sources are listed before owned objects, because objects
            // without a source are limited.
            let (found, ()) = tokio::join!(self.find_kinds(&settings, &inventory), watches.all_listed());
            let (kinds, remembered) = found?;
            let needed: BTreeSet<GroupKind> = self.kinds(&settings).iter().map(GroupKind::of).collect();
            watches.owned(kinds.known.iter(), &needed);
            watches.all_listed().await;
            self.status.ready.store(true, Ordering::Relaxed);
            let counts = state.counts();
            tracing::info!(sources = counts.sources, owned = counts.owned, "everything is listed");
            // Only the leader may write. Until then changes only update the state; all keys are queued afterwards.
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
            // Read after the Lease was acquired, because the previous leader may have written until then.
            let accepted = self.accepted(&store).await?;
            Ok::<_, Error>((kinds, watches, accepted))
        };
        let (kinds, _watches, accepted) = tokio::select! {
            found = found => found?,
            again = &mut again => return Ok((Outcome::default(), again)),
        };

        state.keys().into_iter().for_each(|key| drop(changed.send(key)));
        if !settings.is_standalone() {
            // Objects of an earlier `standalone`.
            let _ = changed.send(ALL_SOURCES.into());
        }
        let provider = self.provider(&settings).await?.map(Arc::new);
        let leftovers = self.find_leftovers(provider.clone(), &state, &changed, settings.is_standalone());
        let mut tasks = leftovers.await;
        self.rotate_old_tokens(&settings, &mut tasks);
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
            provider,
            provisions: Mutex::default(),
            endpoints: Mutex::default(),
            shards: tokio::sync::Mutex::default(),
            failing: Mutex::default(),
            keeps_changes: self.until == Until::Idle,
            looks: self.looks.map(|looks| looks.interval),
            reports: self.reports(),
        });
        let looks = self.look(&settings, &state);
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
        drop((tasks, looks));
        let changes = std::mem::take(&mut *context.changes.lock().unwrap_or_else(PoisonError::into_inner));
        let provisions = std::mem::take(&mut *context.provisions.lock().unwrap_or_else(PoisonError::into_inner));
        let outcome = Outcome {
            undone,
            changes,
            provisions,
        };
        Ok((outcome, start_again))
    }

    /// What becomes of Reports.
    fn reports(&self) -> Reports {
        match self.looks {
            _ if self.until == Until::Idle || self.dry_run => Reports::Kept,
            Some(Looks { reports: true, .. }) => Reports::Written,
            _ => Reports::Deleted,
        }
    }

    /// The kinds that may be written besides ConfigMap and Deployment.
    fn kinds(&self, settings: &Settings) -> Vec<GroupVersionKind> {
        let mut kinds = settings.kinds();
        let is_report = |kind: &GroupVersionKind| GroupKind::of(kind) == GroupKind::of(&reports::kind());
        if self.reports() == Reports::Written && !kinds.iter().any(is_report) {
            kinds.push(reports::kind());
        }
        kinds
    }

    /// Asks the Telegrafs how they are, until what is answered is dropped.
    fn look(&self, settings: &Settings, state: &ClusterState) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        let Some(looks) = self.looks else { return tasks };
        let board = self.status.board.clone();
        let means = Means {
            client: self.client.clone(),
            board: board.clone(),
            events: self.events.clone(),
            interval: looks.interval,
            cluster_domain: settings.host.cluster_domain.clone(),
            reports: looks.reports.then(|| state.clone()),
        };
        match Rounds::new(means) {
            Ok(rounds) => {
                tasks.spawn(follow_pods(self.client.clone(), board));
                tasks.spawn(rounds.run());
            }
            Err(error) => tracing::error!(%error, "the Telegrafs cannot be asked how they are"),
        }
        tasks
    }

    /// Queues whoever has tokens in InfluxDB and is not there any more. This goes on while the operator works, because a
    /// database may be down.
    async fn find_leftovers(
        &self,
        provider: Option<Arc<Provider>>,
        state: &ClusterState,
        changed: &mpsc::UnboundedSender<Arc<str>>,
        is_standalone: bool,
    ) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        let Some(provider) = provider else { return tasks };
        let once = self.until == Until::Idle;
        let (state, changed) = (state.clone(), changed.clone());
        let find = async move {
            let holders = provider.holders(once).await;
            let keys = state.keys();
            let gone = holders.into_iter().filter(|holder| !keys.contains(holder.as_str()));
            // In `standalone` one attempt is about all of them.
            gone.filter(|_| !is_standalone)
                .for_each(|holder| drop(changed.send(holder.into())));
        };
        match once {
            true => find.await,
            false => drop(tasks.spawn(find)),
        }
        tasks
    }

    /// Has tokens replaced that have reached their lifetime.
    fn rotate_old_tokens(&self, settings: &Settings, tasks: &mut JoinSet<()>) {
        let influxdb = settings.host.influxdb.as_ref().filter(|influxdb| influxdb.tokens);
        let lifetime = influxdb.and_then(|influxdb| influxdb.token_lifetime_seconds);
        if let Some(seconds) = lifetime.filter(|_| self.until == Until::Stopped && !self.dry_run) {
            let (client, instance) = (self.client.clone(), settings.host.instance.clone());
            tasks.spawn(rotate_old(client, instance, Duration::from_secs(seconds)));
        }
    }

    /// The provider, if the settings ask for one. Looks up the cluster's uid with retries.
    async fn provider(&self, settings: &Settings) -> Result<Option<Provider>, Error> {
        if settings.host.influxdb.is_none() {
            return Ok(None);
        }
        let identify = async || cluster_uid(&self.client).await;
        let cluster = self.with_retries("identify the cluster", identify).await?;
        Provider::new(&settings.host, &cluster, &self.influxdb_token, &self.status)
    }

    /// Looks up the kinds, with retries.
    async fn find_kinds(
        &self,
        settings: &Settings,
        inventory: &Inventory,
    ) -> Result<(Kinds, BTreeSet<GroupKind>), Error> {
        let look_up = async || {
            let remembered = inventory.read().await?;
            let kinds = Kinds::discover(&self.client, &self.kinds(settings), &remembered).await?;
            Ok((kinds, remembered))
        };
        self.with_retries("look up the kinds", look_up).await
    }

    /// Reads the accepted declarations, with retries.
    async fn accepted(&self, store: &AcceptedStore) -> Result<Declarations, Error> {
        let read = async || store.read(&self.client).await;
        self.with_retries("read the accepted declarations", read).await
    }

    /// Adds the kinds of the settings to the inventory before the first object is created, and removes kinds of
    /// which there are surely no objects.
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
        let mut kinds: BTreeSet<GroupKind> = self.kinds(settings).iter().map(GroupKind::of).collect();
        kinds.extend(remembered.iter().filter(|kind| state.may_have_kind(kind)).cloned());
        if kinds == *remembered {
            return Ok(());
        }
        let write = async || inventory.write(&kinds).await;
        self.with_retries("write the inventory", write).await
    }

    /// Repeats a request until it succeeds. An operator that ends when its work is done gives up after some attempts.
    async fn with_retries<T>(&self, doing: &str, request: impl AsyncFn() -> Result<T, Error>) -> Result<T, Error> {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(30));
        loop {
            match request().await {
                Ok(done) => return Ok(done),
                Err(error) if self.until == Until::Idle && backoff.tries() >= 5 => return Err(error),
                Err(error) => {
                    tracing::warn!(error = %error.chain(), "could not {doing}");
                    tokio::time::sleep(backoff.next()).await;
                }
            }
        }
    }

    /// Waits until the API server knows a kind that was unknown.
    async fn appears(&self, settings: &Settings, unknown: &BTreeSet<GroupKind>) {
        if unknown.is_empty() {
            return std::future::pending().await;
        }
        let kinds: Vec<String> = unknown.iter().map(ToString::to_string).collect();
        tracing::error!(
            kinds = kinds.join(", "),
            "the API server does not know these kinds of `extraResources`, or of `--reports`; they are looked for again and again"
        );
        loop {
            tokio::time::sleep(LOOK_FOR_KINDS).await;
            if let Ok(found) = Kinds::discover(&self.client, &self.kinds(settings), &BTreeSet::new()).await
                && found.unknown.as_ref() != unknown
            {
                return;
            }
        }
    }
}

/// Waits until untracked objects should be listed again. The minimum time keeps whoever creates such objects from causing
/// lists all the time.
async fn has_room(state: &ClusterState) {
    tokio::time::sleep(LIST_AGAIN).await;
    state.has_room_again().await;
    tracing::info!("listing again: there is room for untracked objects");
}

/// Deletes the accepted declarations of an earlier `standalone`. Other topologies do not use them.
async fn forget_all(store: &AcceptedStore, writer: &Writer, accepted: &Declarations) {
    for source in accepted.keys().filter(|_| !writer.dry_run) {
        if let Err(error) = store.delete(writer, source).await {
            tracing::warn!(source, error = %error.chain(), "could not delete an accepted declaration");
        }
    }
}

/// Becomes true on SIGTERM or SIGINT.
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
        tracing::info!("stopping after all running writes");
        sender.send_replace(true);
        // Keeps the sender, so that receivers do not fail.
        std::future::pending::<()>().await;
    });
    Ok(receiver)
}

/// A unique identity: the pod's name and a random number, because a restarted container has the same pod name.
fn identity() -> String {
    let host = std::env::var("POD_NAME").or_else(|_| std::env::var("HOSTNAME"));
    let random = RandomState::new().hash_one(std::process::id());
    format!(
        "{}_{random:016x}",
        host.unwrap_or_else(|_| "telewarden-operator".to_owned())
    )
}
