//! Events on sources: what happened to them, said once.
//!
//! An Event's name is made of what it says, so that the API server refuses the second one, also after a restart. It keeps
//! them for an hour by default.

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client};
use sha2::{Digest, Sha256};
use telewarden::{Diagnostic, Severity};
use tokio::sync::mpsc;

/// More than these, waiting to be sent, are dropped: Events are a courtesy.
const WAITING: usize = 4096;
/// The API server refuses longer ones.
const MAX_NOTE: usize = 1024;

/// What an Event says.
#[derive(Clone, Debug)]
pub(crate) struct News {
    pub(crate) regarding: ObjectReference,
    pub(crate) warning: bool,
    /// In CamelCase, for programs.
    pub(crate) reason: &'static str,
    /// For people.
    pub(crate) note: String,
}

/// Where Events are handed in. They are sent one after the other, so that they never hold up what they tell of.
#[derive(Clone, Debug)]
pub(crate) struct Events(Option<mpsc::Sender<News>>);

impl Events {
    /// Sends Events in the name of this operator.
    pub(crate) fn new(client: Client, instance: String) -> Self {
        let (sender, mut receiver) = mpsc::channel::<News>(WAITING);
        tokio::spawn(async move {
            while let Some(news) = receiver.recv().await {
                send(&client, &instance, news).await;
            }
        });
        Self(Some(sender))
    }

    /// Sends none.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    pub(crate) fn tell(&self, news: News) {
        if let Some(sender) = &self.0 {
            let _ = sender.try_send(news);
        }
    }
}

async fn send(client: &Client, instance: &str, news: News) {
    let event = event(instance, news);
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

fn event(instance: &str, news: News) -> Event {
    let mut note = news.note;
    if note.len() > MAX_NOTE {
        note.truncate(note.floor_char_boundary(MAX_NOTE - '…'.len_utf8()));
        note.push('…');
    }
    let of = &news.regarding;
    let text = [of.uid.as_deref().unwrap_or_default(), news.reason, &note].join("\n");
    let digest: String = Sha256::digest(text.as_bytes())
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let name = of.name.as_deref().unwrap_or_default();
    // Kubernetes names them so; a name has 253 characters at most.
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
        reason: Some(news.reason.to_owned()),
        note: Some(note),
        regarding: Some(news.regarding),
        reporting_controller: Some("telewarden-operator".to_owned()),
        reporting_instance: Some(instance.to_owned()),
        type_: Some(if news.warning { "Warning" } else { "Normal" }.to_owned()),
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
        line
    });
    lines.collect::<Vec<_>>().join("\n")
}
