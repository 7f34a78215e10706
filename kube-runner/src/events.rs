//! Events on sources and settings.
//!
//! An Event's name is derived from its content, so the API server refuses a repeated one, also after a restart. It keeps
//! Events for an hour by default.

use std::collections::HashMap;
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
use tokio::sync::mpsc;

/// The maximum number of Events that wait to be sent. More are dropped.
const WAITING: usize = 4096;
/// The number of Events about one object that are sent at once. Then one is sent for each [`REFILL`]. Kubernetes'
/// components have the same limits (`defaultSpamBurst` and `defaultSpamQPS` in
/// <https://github.com/kubernetes/client-go/blob/v0.33.0/tools/record/events_cache.go>).
const BURST: u32 = 25;
const REFILL: Duration = Duration::from_secs(300);
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
pub(crate) struct Events(Option<mpsc::Sender<Notification>>);

impl Events {
    /// Sends Events as this operator.
    pub(crate) fn new(client: Client, instance: String) -> Self {
        let (sender, mut receiver) = mpsc::channel::<Notification>(WAITING);
        tokio::spawn(async move {
            let mut limits = Limits::default();
            while let Some(notification) = receiver.recv().await {
                match limits.admit(&notification.regarding, Instant::now()) {
                    true => send(&client, &instance, notification).await,
                    false => tracing::debug!(
                        reason = notification.reason,
                        note = notification.note,
                        "too many Events about one object"
                    ),
                }
            }
        });
        Self(Some(sender))
    }

    /// Sends no Events.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    pub(crate) fn send(&self, notification: Notification) {
        if let Some(sender) = &self.0 {
            let _ = sender.try_send(notification);
        }
    }
}

/// The remaining number of Events for each object.
#[derive(Debug, Default)]
struct Limits(HashMap<String, Limit>);

#[derive(Debug)]
struct Limit {
    left: u32,
    since: Instant,
}

impl Limits {
    /// True if one more may be sent.
    fn admit(&mut self, regarding: &ObjectReference, now: Instant) -> bool {
        let of = |text: &Option<String>| text.clone().unwrap_or_default();
        let object = [of(&regarding.kind), of(&regarding.namespace), of(&regarding.name)].join("/");
        // Full limits need no entry.
        if self.0.len() >= WAITING && !self.0.contains_key(&object) {
            self.0.retain(|_, limit| {
                limit.refill(now);
                limit.left < BURST
            });
        }
        let limit = self.0.entry(object).or_insert(Limit {
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

async fn send(client: &Client, instance: &str, notification: Notification) {
    let event = event(instance, notification);
    let namespace = event.metadata.namespace.clone().unwrap_or_default();
    let result = Api::<Event>::namespaced(client.clone(), &namespace)
        .create(&PostParams::default(), &event)
        .await;
    match result {
        Err(kube::Error::Api(status)) if status.code == 409 => {}
        Err(error) => tracing::debug!(%error, "an Event was not sent"),
        Ok(_) => {}
    }
}

fn event(instance: &str, notification: Notification) -> Event {
    let lines: Vec<_> = notification.note.lines().map(printable).collect();
    let mut note = lines.join("\n");
    if note.len() > MAX_NOTE {
        note.truncate(note.floor_char_boundary(MAX_NOTE - '…'.len_utf8()));
        note.push('…');
    }
    let of = &notification.regarding;
    let text = [of.uid.as_deref().unwrap_or_default(), notification.reason, &note].join("\n");
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
        note: Some(note),
        regarding: Some(notification.regarding),
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
        let name = |notification| event("one", notification).metadata.name.unwrap();
        assert_eq!(name(notification("line 1")), name(notification("line 1")));
        assert_ne!(name(notification("line 1")), name(notification("line 2")));
        let mut again = notification("line 1");
        again.regarding.uid = Some("another".to_owned());
        assert_ne!(name(notification("line 1")), name(again));
    }

    #[test]
    fn a_note_is_printable_and_not_too_long() {
        let note = |text: &str| event("one", notification(text)).note.unwrap();
        assert_eq!(
            note("one\ntwo \u{1b}[31m \u{9b}31m \u{202e}"),
            "one\ntwo \\u{1b}[31m \\u{9b}31m \\u{202e}"
        );
        assert_eq!(note(&"é".repeat(2000)).len(), MAX_NOTE - 1);
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
        assert_eq!(limits.0.len(), 1);
    }
}
