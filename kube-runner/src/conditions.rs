//! The current conditions of all sources, so that an Event is sent when a condition changes, and not at every attempt.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

use crate::cluster_state::Source;
use crate::events::{Events, Notification};
use crate::status::{Board, State};

/// A condition of a source.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    pub(crate) source: Arc<Source>,
    pub(crate) warning: bool,
    /// In CamelCase, for programs.
    pub(crate) reason: &'static str,
    /// For people.
    pub(crate) note: String,
}

impl Condition {
    /// What it means for the source.
    fn state(&self) -> State {
        match (self.reason, self.warning) {
            ("Skipped", _) => State::Skipped,
            ("WaitingForNamespace", _) => State::Pending,
            // The annotation works, and something in it should be looked at.
            ("Doubtful", _) | (_, false) => State::Up,
            (_, true) => State::Failing,
        }
    }
}

/// The conditions of all sources.
#[derive(Debug, Default)]
pub(crate) struct Conditions(Mutex<HashMap<String, SentNotes>>);

/// Digests of the notes that were sent for a source, by reason.
type SentNotes = BTreeMap<&'static str, [u8; 32]>;

impl Conditions {
    /// Sends an Event for each new or changed condition. If the attempt was `complete`, conditions that it does not report
    /// have ended. The board learns all of them.
    pub(crate) fn publish(
        &self,
        events: &Events,
        board: &Board,
        sources: &[Arc<Source>],
        conditions: Vec<Condition>,
        complete: bool,
    ) {
        let mut by_source: HashMap<&str, Vec<&Condition>> = HashMap::new();
        for condition in &conditions {
            by_source.entry(&condition.source.key).or_default().push(condition);
        }
        for source in sources {
            let theirs = by_source.get(&*source.key).into_iter().flatten();
            let problems = theirs.map(|condition| (condition.reason, condition.state(), condition.note.as_str()));
            board.note(&source.key, problems, complete);
        }
        for condition in self.take_changed(sources, conditions, complete) {
            events.send(Notification {
                regarding: condition.source.reference(),
                warning: condition.warning,
                reason: condition.reason,
                note: condition.note,
            });
        }
    }

    /// Forgets a source.
    pub(crate) fn forget(&self, key: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    fn take_changed(&self, sources: &[Arc<Source>], conditions: Vec<Condition>, complete: bool) -> Vec<Condition> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if complete {
            for source in sources {
                if let Some(told) = all.get_mut(&*source.key) {
                    let is_so = |reason: &str| {
                        let mut theirs = conditions.iter().filter(|condition| condition.source.key == source.key);
                        theirs.any(|condition| condition.reason == reason)
                    };
                    told.retain(|reason, _| is_so(reason));
                    if told.is_empty() {
                        all.remove(&*source.key);
                    }
                }
            }
        }
        let mut changed = conditions;
        changed.retain(|condition| {
            // Another object with the same name gets its own Events.
            let uid = condition.source.reference().uid.unwrap_or_default();
            let digest = Sha256::digest(format!("{uid}\n{}", condition.note)).into();
            let told = all.entry(condition.source.key.to_string()).or_default();
            told.insert(condition.reason, digest) != Some(digest)
        });
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use serde_json::value::to_raw_value;

    fn source(key: &str, uid: &str) -> Arc<Source> {
        let text = to_raw_value(&json!({"metadata": {"uid": uid}})).unwrap();
        Arc::new(Source::new(key.into(), text, "".into(), None))
    }

    fn refused(source: &Arc<Source>, note: &str) -> Condition {
        Condition {
            source: source.clone(),
            warning: true,
            reason: "Refused",
            note: note.to_owned(),
        }
    }

    fn told(conditions: &Conditions, sources: &[Arc<Source>], now: &[Condition], complete: bool) -> usize {
        conditions.take_changed(sources, now.to_vec(), complete).len()
    }

    #[test]
    fn an_unchanged_condition_is_sent_once_and_a_changed_one_again() {
        let conditions = Conditions::default();
        let sources = [source("a", "1"), source("b", "2")];
        let now = [refused(&sources[0], "line 1"), refused(&sources[1], "line 2")];
        assert_eq!(told(&conditions, &sources, &now, true), 2);
        assert_eq!(told(&conditions, &sources, &now, true), 0);
        let now = [refused(&sources[0], "line 3"), refused(&sources[1], "line 2")];
        assert_eq!(told(&conditions, &sources, &now, true), 1);
    }

    #[test]
    fn a_condition_that_ended_and_returns_is_sent_again() {
        let conditions = Conditions::default();
        let sources = [source("a", "1")];
        let now = [refused(&sources[0], "line 1")];
        assert_eq!(told(&conditions, &sources, &now, true), 1);
        assert_eq!(
            told(&conditions, &sources, &[], false),
            0,
            "an incomplete attempt ends no condition"
        );
        assert_eq!(told(&conditions, &sources, &now, true), 0);
        assert_eq!(told(&conditions, &sources, &[], true), 0);
        assert_eq!(told(&conditions, &sources, &now, true), 1);
        conditions.forget("a");
        assert_eq!(told(&conditions, &sources, &now, true), 1);
    }

    #[test]
    fn another_object_with_the_same_name_gets_its_own_events() {
        let conditions = Conditions::default();
        let (old, new) = ([source("a", "1")], [source("a", "2")]);
        assert_eq!(told(&conditions, &old, &[refused(&old[0], "line 1")], true), 1);
        assert_eq!(told(&conditions, &new, &[refused(&new[0], "line 1")], true), 1);
    }
}
