//! `run` and `diff`: the operator.

use std::collections::BTreeSet;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use serde_json::Value;
use similar::TextDiff;
use telewarden::Module;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, mpsc, watch as channel};

use crate::backoff::Backoff;
use crate::cli::{Diff, FromCluster, Policy, Run};
use crate::error::Error;
use crate::events::Events;
use crate::http::{self, Status};
use crate::kinds::{Inventory, Kinds};
use crate::leader::{self, Candidate};
use crate::metrics::Metrics;
use crate::object::{ALL, GroupKind};
use crate::owned::{Change, Writer};
use crate::queue::{Until, work};
use crate::reconcile::{Context, reconcile};
use crate::seen::Seen;
use crate::settings::{About, Origin, Settings};
use crate::watch::Watches;

/// A kind that the API server does not know may come with a CustomResourceDefinition.
const LOOK_FOR_KINDS: Duration = Duration::from_secs(30);

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
    leads: Option<channel::Receiver<leader::Until>>,
}

/// How it went.
#[derive(Default)]
struct Outcome {
    /// Sources that are left undone.
    undone: usize,
    changes: Vec<Change>,
}

/// Watches the cluster and keeps it as rendered.
pub(crate) async fn run(arguments: Run) -> Result<ExitCode, Error> {
    let listener = match arguments.once {
        true => None,
        false => Some(http::listen(arguments.listen).await?),
    };
    let status = Arc::new(Status {
        metrics: Metrics::new(),
        ready: AtomicBool::new(false),
    });
    if let Some(listener) = listener {
        tokio::spawn(http::serve(listener, status.clone()));
    }
    let election = (!arguments.no_leader_election && !arguments.dry_run).then_some(arguments.lease);
    let until = if arguments.once { Until::Idle } else { Until::Stopped };
    let (policy, cluster) = (arguments.policy.clone(), arguments.cluster.clone());
    let outcome = operate(&policy, cluster, status, until, arguments.dry_run, election).await?;
    Ok(match outcome.undone {
        0 => ExitCode::SUCCESS,
        undone if arguments.once => {
            tracing::error!(undone, "sources are left undone");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    })
}

/// Prints what `run` would change.
pub(crate) async fn diff(arguments: Diff) -> Result<ExitCode, Error> {
    let status = Arc::new(Status {
        metrics: Metrics::new(),
        ready: AtomicBool::new(false),
    });
    let Diff { policy, cluster } = arguments;
    let outcome = operate(&policy, cluster, status, Until::Idle, true, None).await?;
    let mut changes = outcome.changes;
    changes.sort_by(|a, b| a.id.cmp(&b.id));
    print_changes(&changes);
    Ok(match (outcome.undone, changes.is_empty()) {
        (0, true) => ExitCode::SUCCESS,
        (0, false) => ExitCode::from(1),
        (undone, _) => {
            tracing::error!(undone, "not everything could be compared");
            ExitCode::from(2)
        }
    })
}

/// Prints changes as a unified diff.
pub(crate) fn print_changes(changes: &[Change]) {
    let text = |value: &Value| match value {
        Value::Null => String::new(),
        value => serde_yaml::to_string(value).unwrap_or_default(),
    };
    for change in changes {
        let (before, after) = (text(&change.before), text(&change.after));
        let diff = TextDiff::from_lines(&before, &after);
        println!("# {} would be {}", change.id, change.verb.past());
        print!(
            "{}",
            diff.unified_diff()
                .context_radius(3)
                .header("in the cluster", "rendered")
        );
    }
}

async fn operate(
    policy: &Policy,
    cluster: FromCluster,
    status: Arc<Status>,
    until: Until,
    dry_run: bool,
    election: Option<u16>,
) -> Result<Outcome, Error> {
    let stop = stop_on_signals()?;
    // The module is loaded on a thread of its own while the client reads certificates.
    let (module, (client, config)) = tokio::try_join!(crate::module(policy), crate::client())?;
    let namespace = cluster.namespace.clone().unwrap_or(config.default_namespace);
    let identity = identity();
    let events = if dry_run {
        Events::none()
    } else {
        Events::new(client.clone(), identity.clone())
    };

    let origin = origin(policy, &cluster)?;
    let first = origin.read(&client).await?;
    let first_settings = Settings::check(&first, &module)?;
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
        let about = About {
            events: events.clone(),
            operator,
        };
        tokio::spawn(origin.follow(client.clone(), module.clone(), about, sender.clone()));
    }

    status.metrics.leader.set(i64::from(election.is_none()));
    let mut leads = None;
    let mut lost: Option<tokio::task::JoinHandle<Error>> = None;
    let (release, released) = channel::channel(false);
    if let Some(seconds) = election {
        let lease = format!("telewarden-{}", first_settings.instance);
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

fn origin(policy: &Policy, cluster: &FromCluster) -> Result<Origin, Error> {
    Ok(match (&policy.settings, &cluster.settings_from) {
        (Some(path), _) => Origin::File(path.clone()),
        (None, None) => Origin::Defaults,
        (None, Some(from)) => match from.split_once('/') {
            Some(("clusteradmissionpolicy", name)) if !name.is_empty() => {
                Origin::ClusterAdmissionPolicy(name.to_owned())
            }
            _ => {
                return Err(Error::Settings {
                    why: format!("`{from}` is not clusteradmissionpolicy/NAME"),
                });
            }
        },
    })
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
            let checked = Arc::new(Settings::check(&document, &self.module)?);
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
        let inventory = Inventory::new(&self.client, &self.namespace, &settings.instance);
        let (changed, mut keys) = mpsc::unbounded_channel();
        let seen = Seen::new(settings.standalone, changed.clone());
        let found = async {
            let mut watches = Watches::of_sources(&self.client, &settings, &seen);
            // Which other kinds there are is asked while these are listed.
            let always = Kinds::always();
            watches.owned(&always);
            let (kinds, remembered) = self.find_kinds(&settings, &inventory).await?;
            watches.owned(kinds.known.iter().filter(|(kind, _)| !always.contains_key(kind)));
            let watches = watches.all_listed().await;
            self.status.ready.store(true, Ordering::Relaxed);
            let counts = seen.counts();
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
            self.remember(&inventory, &settings, &seen, &remembered).await?;
            Ok::<_, Error>((kinds, watches))
        };
        let (kinds, _watches) = tokio::select! {
            found = found => found?,
            again = &mut again => return Ok((Outcome::default(), again)),
        };

        seen.keys().into_iter().for_each(|key| drop(changed.send(key)));
        if !settings.standalone {
            // What an earlier `standalone` left.
            let _ = changed.send(ALL.to_owned());
        }
        let unknown = kinds.unknown.clone();
        let context = Arc::new(Context {
            writer: Writer {
                client: self.client.clone(),
                kinds,
                instance: settings.instance.clone(),
                standalone: settings.standalone,
                dry_run: self.dry_run,
                leads: self.leads.clone(),
            },
            module: self.module.clone(),
            calls: self.calls.clone(),
            settings: settings.clone(),
            seen,
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
                Ok::<_, Error>((Kinds::discover(&self.client, settings, &remembered).await?, remembered))
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

    /// Writes down the kinds of the settings before the first object is, and forgets those of which there is no object.
    async fn remember(
        &self,
        inventory: &Inventory,
        settings: &Settings,
        seen: &Seen,
        remembered: &BTreeSet<GroupKind>,
    ) -> Result<(), Error> {
        if self.dry_run {
            return Ok(());
        }
        let named = settings.extra_kinds.iter().map(|gvk| GroupKind {
            group: gvk.group.clone(),
            kind: gvk.kind.clone(),
        });
        let mut kinds: BTreeSet<GroupKind> = named.collect();
        kinds.extend(remembered.iter().filter(|kind| seen.has_kind(kind)).cloned());
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
            if let Ok(found) = Kinds::discover(&self.client, settings, &BTreeSet::new()).await
                && found.unknown.as_ref() != unknown
            {
                return;
            }
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
