//! Events on sources and settings.
//!
//! An Event's name is derived from its content, so the API server refuses a repeated one, also after a restart. It keeps
//! Events for an hour by default.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client};
use sha2::{Digest, Sha256};
use telewarden::{Diagnostic, Severity};
use telewarden_policy::diagnostic::rules::page;
use telewarden_policy::printable::printable;
use tokio::sync::Notify;

use crate::retry::Backoff;

/// More than these, waiting to be sent, are dropped: Events are a courtesy. Those of the namespace that has most go first.
const WAITING: usize = 4096;
/// The most Events of one namespace that wait.
const WAITING_OF_NAMESPACE: usize = 1024;
/// The number of Events about one object that are sent at once; after them, one for each [`REFILL`], as Kubernetes' own components do
/// (`defaultSpamBurst` and `defaultSpamQPS` in
/// <https://github.com/kubernetes/client-go/blob/v0.33.0/tools/record/events_cache.go>).
const BURST: u32 = 25;
const REFILL: Duration = Duration::from_secs(300);
/// An Event that could not be sent for so long is dropped. The API server would not keep it any longer either.
const KEPT: Duration = Duration::from_secs(3600);
/// The first and the longest pause while the API server takes no Event.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// The API server's limit for a note.
const MAX_NOTE: usize = 1024;

/// The content of an Event.
#[derive(Clone, Debug)]
pub(crate) struct Notification {
    pub(crate) regarding: ObjectReference,
    pub(crate) warning: bool,
    /// In CamelCase, for programs.
    pub(crate) reason: &'static str,
    /// For people.
    pub(crate) note: String,
}

/// A queue of Events to send. A task sends them one by one, so that they never delay an attempt.
#[derive(Clone, Debug)]
pub(crate) struct Events(Option<Arc<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    queues: Mutex<Queues>,
    more: Notify,
}

impl Waiting {
    fn queues(&self) -> MutexGuard<'_, Queues> {
        // The queues are consistent between any two statements, so a panic leaves them usable.
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Events that wait to be sent. The namespaces take turns, so that no namespace delays or displaces the Events of another one.
#[derive(Debug, Default)]
struct Queues {
    limits: Limits,
    /// Since when each waits. No queue is empty.
    by_namespace: BTreeMap<String, VecDeque<(Notification, Instant)>>,
    waiting: usize,
    /// The namespace whose turn was last.
    last: String,
}

impl Queues {
    /// Takes an Event in, or drops it.
    fn push(&mut self, mut notification: Notification, now: Instant) {
        if !self.limits.admit(&notification.regarding, now) {
            tracing::debug!(reason = notification.reason, "too many Events about one object");
            return;
        }
        notification.note = note(&notification.note);
        let namespace = namespace_of(&notification);
        let own = self.by_namespace.get(&namespace).map_or(0, VecDeque::len);
        if own >= WAITING_OF_NAMESPACE {
            return;
        }
        if self.waiting >= WAITING {
            let longest = self.by_namespace.values_mut().max_by_key(|queue| queue.len());
            match longest.filter(|longest| longest.len() > own + 1) {
                Some(longest) => drop(longest.pop_back()),
                None => return,
            }
            self.waiting -= 1;
        }
        let queue = self.by_namespace.entry(namespace).or_default();
        queue.push_back((notification, now));
        self.waiting += 1;
    }

    /// Takes one in again that the API server did not take, as the first of its namespace.
    fn put_back(&mut self, notification: Notification, since: Instant, now: Instant) {
        if now.duration_since(since) < KEPT {
            let queue = self.by_namespace.entry(namespace_of(&notification)).or_default();
            queue.push_front((notification, since));
            self.waiting += 1;
        }
    }

    /// The next one to be sent.
    fn pop(&mut self) -> Option<(Notification, Instant)> {
        let mut after = self
            .by_namespace
            .range::<str, _>((Excluded(self.last.as_str()), Unbounded));
        let next = after.next().or_else(|| self.by_namespace.first_key_value());
        self.last = next?.0.clone();
        let queue = self.by_namespace.get_mut(&self.last)?;
        let notification = queue.pop_front();
        if queue.is_empty() {
            self.by_namespace.remove(&self.last);
        }
        self.waiting -= usize::from(notification.is_some());
        notification
    }
}

/// A Namespace is in no namespace, and its Events are its own.
fn namespace_of(notification: &Notification) -> String {
    let of = &notification.regarding;
    of.namespace.clone().or_else(|| of.name.clone()).unwrap_or_default()
}

impl Events {
    /// Sends Events as this operator. Those that an API server does not take because it is down are sent when it is there again.
    pub(crate) fn new(client: Client, instance: String) -> Self {
        let waiting = Arc::<Waiting>::default();
        let sent = waiting.clone();
        tokio::spawn(async move {
            let mut backoff = Backoff::new(PAUSE.0, PAUSE.1);
            loop {
                let next = sent.queues().pop();
                let Some((notification, since)) = next else {
                    sent.more.notified().await;
                    continue;
                };
                match send(&client, &instance, &notification).await {
                    Ok(()) => backoff = Backoff::new(PAUSE.0, PAUSE.1),
                    Err(error) => {
                        tracing::debug!(%error, "an Event was not sent; it is sent again");
                        sent.queues().put_back(notification, since, Instant::now());
                        tokio::time::sleep(backoff.next()).await;
                    }
                }
            }
        });
        Self(Some(waiting))
    }

    /// Sends no Events.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    pub(crate) fn send(&self, notification: Notification) {
        if let Some(waiting) = &self.0 {
            waiting.queues().push(notification, Instant::now());
            waiting.more.notify_one();
        }
    }
}

/// The remaining number of Events for each object.
#[derive(Debug, Default)]
struct Limits {
    /// By a hash of the object. Two with the same one share a limit.
    by_object: HashMap<u64, Limit>,
    hasher: RandomState,
    /// The number of limits at which the full ones are dropped.
    enough: usize,
}

#[derive(Debug)]
struct Limit {
    left: u32,
    since: Instant,
}

impl Limits {
    /// True if one more may be sent.
    fn admit(&mut self, regarding: &ObjectReference, now: Instant) -> bool {
        let ObjectReference {
            kind, namespace, name, ..
        } = regarding;
        let object = self.hasher.hash_one((kind, namespace, name));
        // Full limits need no entry.
        if self.by_object.len() >= self.enough.max(WAITING) && !self.by_object.contains_key(&object) {
            self.by_object.retain(|_, limit| {
                limit.refill(now);
                limit.left < BURST
            });
            self.enough = 2 * self.by_object.len();
        }
        let limit = self.by_object.entry(object).or_insert(Limit {
            left: BURST,
            since: now,
        });
        limit.refill(now);
        let admitted = limit.left > 0;
        limit.left = limit.left.saturating_sub(1);
        admitted
    }
}

impl Limit {
    fn refill(&mut self, now: Instant) {
        let periods = now.duration_since(self.since).as_secs() / REFILL.as_secs();
        let periods = u32::try_from(periods).unwrap_or(u32::MAX);
        self.left = self.left.saturating_add(periods).min(BURST);
        self.since += REFILL * periods;
    }
}

/// Sends an Event.
///
/// # Errors
/// If another try can succeed.
async fn send(client: &Client, instance: &str, notification: &Notification) -> Result<(), kube::Error> {
    let event = event(instance, notification);
    let namespace = event.metadata.namespace.clone().unwrap_or_default();
    let result = Api::<Event>::namespaced(client.clone(), &namespace)
        .create(&PostParams::default(), &event)
        .await;
    match result {
        // It is there already.
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        Err(kube::Error::Api(status)) if status.code < 500 && status.code != 429 => {
            tracing::debug!(error = %status, "an Event was refused");
            Ok(())
        }
        Err(error) => Err(error),
        Ok(_) => Ok(()),
    }
}

/// A note as an Event takes it.
fn note(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(printable).collect();
    let mut note = lines.join("\n");
    if note.len() > MAX_NOTE {
        note.truncate(note.floor_char_boundary(MAX_NOTE - '…'.len_utf8()));
        note.push('…');
    }
    note
}

fn event(instance: &str, notification: &Notification) -> Event {
    let of = &notification.regarding;
    let text = [
        of.uid.as_deref().unwrap_or_default(),
        notification.reason,
        &notification.note,
    ]
    .join("\n");
    let digest: String = Sha256::digest(text.as_bytes())
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let name = of.name.as_deref().unwrap_or_default();
    // The usual form of an Event's name. A name has at most 253 characters.
    let name = format!(
        "{}.{digest}",
        name.get(..236).unwrap_or(name).trim_end_matches(['.', '-'])
    );
    Event {
        metadata: ObjectMeta {
            name: Some(name),
            namespace: Some(of.namespace.clone().unwrap_or_else(|| "default".to_owned())),
            ..ObjectMeta::default()
        },
        event_time: Some(MicroTime(k8s_openapi::jiff::Timestamp::now())),
        action: Some("Render".to_owned()),
        reason: Some(notification.reason.to_owned()),
        note: Some(notification.note.clone()),
        regarding: Some(notification.regarding.clone()),
        reporting_controller: Some("telewarden-operator".to_owned()),
        reporting_instance: Some(instance.to_owned()),
        type_: Some(if notification.warning { "Warning" } else { "Normal" }.to_owned()),
        ..Event::default()
    }
}

/// Diagnostics as lines for people.
pub(crate) fn describe(diagnostics: &[Diagnostic]) -> String {
    let lines = diagnostics.iter().map(|diagnostic| {
        let severity = match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let mut line = format!("{severity} {}: {}", diagnostic.code, diagnostic.message);
        if let Some(place) = &diagnostic.place {
            line.push_str(&format!(" ({place})"));
        }
        if let Some(help) = &diagnostic.help {
            line.push_str(&format!("; {help}"));
        }
        line + "; see " + &page(&diagnostic.code)
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regarding(name: &str) -> ObjectReference {
        ObjectReference {
            kind: Some("Application".to_owned()),
            namespace: Some("argocd".to_owned()),
            name: Some(name.to_owned()),
            ..ObjectReference::default()
        }
    }

    fn notification(note: &str) -> Notification {
        Notification {
            regarding: regarding("redis"),
            warning: true,
            reason: "Refused",
            note: note.to_owned(),
        }
    }

    #[test]
    fn repeated_events_have_the_same_name() {
        let name = |notification: Notification| event("one", &notification).metadata.name.unwrap();
        assert_eq!(name(notification("line 1")), name(notification("line 1")));
        assert_ne!(name(notification("line 1")), name(notification("line 2")));
        let mut again = notification("line 1");
        again.regarding.uid = Some("another".to_owned());
        assert_ne!(name(notification("line 1")), name(again));
    }

    #[test]
    fn a_note_is_printable_and_not_too_long() {
        assert_eq!(
            note("one\ntwo \u{1b}[31m \u{9b}31m \u{202e}"),
            "one\ntwo \\u{1b}[31m \\u{9b}31m \\u{202e}"
        );
        assert_eq!(note(&"é".repeat(2000)).len(), MAX_NOTE - 1);
    }

    /// An Event about an object of a namespace; of a Namespace for none.
    fn of(namespace: Option<&str>, name: &str) -> Notification {
        let mut notification = notification("");
        notification.regarding.namespace = namespace.map(str::to_owned);
        notification.regarding.name = Some(name.to_owned());
        notification
    }

    /// The names in the order in which they are sent.
    fn sent(queues: &mut Queues) -> Vec<String> {
        std::iter::from_fn(|| queues.pop()?.0.regarding.name).collect()
    }

    #[test]
    fn namespaces_take_turns() {
        let (mut queues, now) = (Queues::default(), Instant::now());
        for name in ["a1", "a2", "a3", "a4"] {
            queues.push(of(Some("a"), name), now);
        }
        queues.push(of(Some("b"), "b1"), now);
        queues.push(of(None, "c"), now);
        queues.push(of(Some("b"), "b2"), now);
        assert_eq!(sent(&mut queues), ["a1", "b1", "c", "a2", "b2", "a3", "a4"]);
        assert_eq!((queues.waiting, queues.by_namespace.len()), (0, 0));
        queues.push(of(Some("b"), "b3"), now);
        assert_eq!(sent(&mut queues), ["b3"]);
    }

    #[test]
    fn what_the_api_server_did_not_take_is_the_next_of_its_namespace_for_an_hour() {
        let (mut queues, now) = (Queues::default(), Instant::now());
        for (namespace, name) in [("a", "a1"), ("a", "a2"), ("b", "b1")] {
            queues.push(of(Some(namespace), name), now);
        }
        let (first, since) = queues.pop().unwrap();
        queues.put_back(first, since, now + KEPT / 2);
        assert_eq!(sent(&mut queues), ["b1", "a1", "a2"]);
        queues.put_back(of(Some("a"), "a3"), now, now + KEPT);
        assert_eq!((queues.waiting, sent(&mut queues).len()), (0, 0));
    }

    #[test]
    fn a_flood_of_one_namespace_drops_its_own() {
        let (mut queues, now) = (Queues::default(), Instant::now());
        for number in 0..2 * WAITING_OF_NAMESPACE {
            queues.push(of(Some("flood"), &format!("flood-{number}")), now);
        }
        assert_eq!(queues.waiting, WAITING_OF_NAMESPACE);
        // Also when all together are too many.
        for namespace in ["b", "c", "d"] {
            (0..WAITING_OF_NAMESPACE)
                .for_each(|number| queues.push(of(Some(namespace), &format!("{namespace}-{number}")), now));
        }
        assert_eq!(queues.waiting, WAITING);
        for number in 0..100 {
            queues.push(of(Some("late"), &format!("late-{number}")), now);
        }
        assert_eq!(queues.waiting, WAITING);
        let sent = sent(&mut queues);
        let of_late = sent.iter().take(500).filter(|name| name.starts_with("late")).count();
        assert_eq!((sent.len(), of_late), (WAITING, 100));
    }

    #[test]
    fn one_source_floods_nothing() {
        let (mut queues, now) = (Queues::default(), Instant::now());
        (0..1000).for_each(|_| queues.push(of(Some("a"), "one"), now));
        queues.push(of(Some("a"), "other"), now);
        assert_eq!(queues.waiting, BURST as usize + 1);
    }

    #[test]
    fn what_waits_is_not_longer_than_what_is_sent() {
        let mut queues = Queues::default();
        queues.push(notification(&"é".repeat(100_000)), Instant::now());
        assert!(queues.pop().unwrap().0.note.len() <= MAX_NOTE);
    }

    #[test]
    fn events_about_one_object_are_limited() {
        let (mut limits, start) = (Limits::default(), Instant::now());
        let mut admitted = |name: &str, now: Instant, count: usize| {
            let tries = (0..count).filter(|_| limits.admit(&regarding(name), now));
            tries.count()
        };
        assert_eq!(admitted("redis", start, 100), BURST as usize);
        assert_eq!(admitted("nublado", start, 1), 1, "others have their own");
        assert_eq!(admitted("redis", start + REFILL - Duration::from_secs(1), 100), 0);
        assert_eq!(admitted("redis", start + 3 * REFILL, 100), 3);
        assert_eq!(admitted("redis", start + 1000 * REFILL, 100), BURST as usize);
    }

    #[test]
    fn the_number_of_limits_is_bounded() {
        let (mut limits, start) = (Limits::default(), Instant::now());
        (0..WAITING).for_each(|number| assert!(limits.admit(&regarding(&number.to_string()), start)));
        limits.admit(&regarding("one more"), start + REFILL);
        assert_eq!(limits.by_object.len(), 1);
    }
}
