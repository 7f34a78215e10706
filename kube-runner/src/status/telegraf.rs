//! One Telegraf over time.

use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;

use super::expected::TelegrafId;
use super::health::State;
use super::pods::Pods;
use super::telegraf_report::TelegrafReport;
use super::words::Explanation;

/// A Telegraf that has not started, or not taken its configuration up, after this time is said to fail.
const PATIENCE: Duration = Duration::from_secs(300);

/// One Telegraf, as one source sees it.
#[derive(Debug)]
pub(super) struct Telegraf {
    pub(super) state: State,
    pub(super) since: Timestamp,
    /// Since when it does not work, to lose patience.
    not_up: Option<Instant>,
    pub(super) is_current: Option<bool>,
    /// `None` also if nobody has looked yet.
    pub(super) explanation: Option<Box<Explanation>>,
    /// The source was told that it does not run.
    pub(super) told: bool,
}

/// What came of asking a Telegraf.
pub(super) enum Answer {
    Report(TelegrafReport),
    /// It could not be asked, or did not answer; with the reason.
    Silence(String),
    /// There is nobody to ask.
    Nobody,
}

impl Telegraf {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            state: State::Pending,
            since: now,
            not_up: None,
            is_current: None,
            explanation: Some(Box::new(Explanation::new(
                "nobody has looked yet",
                "Wait for a moment.",
            ))),
            told: false,
        }
    }

    /// Takes in what came of asking it.
    pub(super) fn observe(
        &mut self,
        id: &TelegrafId,
        pods: &Pods,
        answer: &Answer,
        digest: Option<&str>,
        now: Timestamp,
    ) {
        let (mut state, explanation) = self.judge(id, pods, answer, digest);
        let not_up = match state {
            State::Pending => *self.not_up.get_or_insert_with(Instant::now),
            _ => {
                self.not_up = None;
                Instant::now()
            }
        };
        if state == State::Pending && not_up.elapsed() > PATIENCE {
            state = State::Failing;
        }
        self.explanation = explanation.map(Box::new);
        self.told &= state == State::Failing;
        if self.state != state {
            self.state = state;
            self.since = now;
        }
    }

    fn judge(
        &mut self,
        id: &TelegrafId,
        pods: &Pods,
        answer: &Answer,
        digest: Option<&str>,
    ) -> (State, Option<Explanation>) {
        self.is_current = None;
        let Some((_, pod)) = pods.best_of(id) else {
            let what = format!(
                "`kubectl describe deployment --namespace {} {}` says why.",
                id.namespace, id.name
            );
            return (State::Pending, Some(Explanation::new("it has no pod", what)));
        };
        if pod.state != State::Up {
            return (pod.state, pod.explanation.as_deref().cloned());
        }
        if let Some(stuck) = pods.stuck_of(id).and_then(|stuck| stuck.explanation.clone()) {
            let why = format!("an older pod runs, and the new one does not start: {}", stuck.why);
            return (State::Failing, Some(Explanation::new(why, stuck.what_to_do)));
        }
        match (answer, digest) {
            (Answer::Report(report), Some(digest)) => {
                let is_current = report.digest == digest;
                self.is_current = Some(is_current);
                let what = "Wait: Kubernetes brings a changed ConfigMap to a pod within two minutes. If it stays so, Telegraf's log says why.";
                let old = Explanation::new("it runs an older configuration", what);
                match is_current {
                    true => (State::Up, None),
                    false => (State::Pending, Some(old)),
                }
            }
            (_, None) => (State::Up, None),
            (Answer::Silence(why), _) => {
                let what = "Look whether a NetworkPolicy is in the way: port 8889 must be open for the operator's namespace \
                            (setting `operatorNamespace`).";
                (
                    State::Unknown,
                    Some(Explanation::new(
                        format!("it runs, and does not tell its state: {why}"),
                        what,
                    )),
                )
            }
            (Answer::Nobody, _) => (
                State::Pending,
                Some(Explanation::new("its pod has no address yet", "Wait for a moment.")),
            ),
        }
    }
}
