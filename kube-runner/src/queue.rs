//! The work queue: one attempt at a time for each key, and another one if the key was queued meanwhile.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::retry::{Backoff, LATER};

/// The result of an attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Attempt {
    /// Success.
    Done,
    /// A retry soon can succeed.
    Soon,
    /// Only a change can help. It is retried later, because the change may not be watched.
    Later,
    /// It is worth another try at this time, and not before.
    At(Instant),
}

impl Attempt {
    /// The one that comes first.
    pub(crate) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Soon, _) | (_, Self::Soon) => Self::Soon,
            (Self::At(at), Self::At(other)) => Self::At(at.min(other)),
            (at @ Self::At(_), _) | (_, at @ Self::At(_)) => at,
            (Self::Later, _) | (_, Self::Later) => Self::Later,
            (Self::Done, Self::Done) => Self::Done,
        }
    }
}

/// The first and the longest delay of retries that can succeed soon.
const SOON: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(60));
/// With [`Until::Idle`], the number of retries after which a key counts as undone.
const TRIES: u32 = 7;

/// When the queue ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Until {
    /// When the operator is stopped.
    Stopped,
    /// When nothing is left to do, except later retries.
    Idle,
}

/// Runs attempts until the queue ends. Running attempts are finished. Returns the number of keys that are undone.
pub(crate) async fn work<F>(
    mut keys: UnboundedReceiver<Arc<str>>,
    at_once: usize,
    until: Until,
    stop: impl Future<Output = ()>,
    attempt: impl Fn(Arc<str>) -> F,
) -> usize
where
    F: Future<Output = Attempt> + Send + 'static,
{
    let mut stop = std::pin::pin!(stop);
    let mut waiting: VecDeque<Arc<str>> = VecDeque::new();
    let mut queued: BTreeSet<Arc<str>> = BTreeSet::new();
    let mut running: JoinSet<(Arc<str>, Attempt)> = JoinSet::new();
    let mut under_way: BTreeSet<Arc<str>> = BTreeSet::new();
    let mut delayed: BTreeMap<(Instant, Arc<str>), ()> = BTreeMap::new();
    let mut due: HashMap<Arc<str>, Instant> = HashMap::new();
    let mut backoffs: HashMap<Arc<str>, Backoff> = HashMap::new();
    let mut undone: BTreeSet<Arc<str>> = BTreeSet::new();
    loop {
        // A key that is running stays in the queue.
        let mut passed = 0;
        while running.len() < at_once && passed < waiting.len() {
            let Some(key) = waiting.pop_front() else { break };
            if under_way.contains(&key) {
                waiting.push_back(key);
                passed += 1;
                continue;
            }
            queued.remove(&key);
            under_way.insert(key.clone());
            let attempt = attempt(key.clone());
            running.spawn(async move { (key, attempt.await) });
        }
        if until == Until::Idle && running.is_empty() && waiting.is_empty() && keys.is_empty() {
            let soon_delayed = delayed.keys().any(|(_, key)| !undone.contains(key));
            if !soon_delayed {
                return undone.len();
            }
        }
        let next = delayed.first_key_value().map(|((at, _), ())| *at);
        tokio::select! {
            () = &mut stop => break,
            Some(key) = keys.recv() => {
                // Takes all keys that are available, so that a repeated key runs once.
                let mut next = Some(key);
                while let Some(key) = next {
                    if let Some(at) = due.remove(&key) {
                        delayed.remove(&(at, key.clone()));
                    }
                    if queued.insert(key.clone()) {
                        waiting.push_back(key);
                    }
                    next = keys.try_recv().ok();
                }
            }
            Some(done) = running.join_next() => {
                // A panic is a defect. It ends the process, which is then restarted.
                let (key, attempt) = match done {
                    Ok(done) => done,
                    Err(error) => std::panic::resume_unwind(error.into_panic()),
                };
                under_way.remove(&key);
                undone.remove(&key);
                let delay = match attempt {
                    Attempt::Done => None,
                    Attempt::Soon => {
                        let backoff = backoffs.entry(key.clone()).or_insert_with(|| Backoff::new(SOON.0, SOON.1));
                        if until == Until::Idle && backoff.tries() >= TRIES {
                            undone.insert(key.clone());
                        }
                        Some(backoff.next())
                    }
                    Attempt::Later => {
                        undone.insert(key.clone());
                        Some(LATER)
                    }
                    Attempt::At(at) => {
                        undone.insert(key.clone());
                        Some(at.saturating_duration_since(Instant::now()))
                    }
                };
                match delay {
                    None => {
                        backoffs.remove(&key);
                    }
                    Some(_) if queued.contains(&key) => {}
                    Some(delay) => {
                        let at = Instant::now() + delay;
                        due.insert(key.clone(), at);
                        delayed.insert((at, key), ());
                    }
                }
            }
            () = async { tokio::time::sleep_until(next.unwrap_or_else(Instant::now)).await }, if next.is_some() => {
                while let Some(((at, _), ())) = delayed.first_key_value() && *at <= Instant::now() {
                    let Some(((_, key), ())) = delayed.pop_first() else { break };
                    due.remove(&key);
                    if queued.insert(key.clone()) {
                        waiting.push_back(key);
                    }
                }
            }
        }
    }
    while running.join_next().await.is_some() {}
    waiting.len() + undone.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use tokio::sync::mpsc::unbounded_channel;

    async fn run(
        keys: &[&str],
        answers: impl Fn(&str, usize) -> Attempt + Send + Sync + 'static,
    ) -> (Vec<String>, usize) {
        let (sender, receiver) = unbounded_channel();
        keys.iter().for_each(|key| sender.send((*key).into()).unwrap());
        let log: Arc<Mutex<Vec<String>>> = Arc::default();
        let answers = Arc::new(answers);
        let undone = work(receiver, 4, Until::Idle, std::future::pending(), |key| {
            let (log, answers) = (log.clone(), answers.clone());
            async move {
                log.lock().unwrap().push(key.to_string());
                let times = log.lock().unwrap().iter().filter(|other| ***other == *key).count();
                answers(&key, times)
            }
        })
        .await;
        drop(sender);
        (Arc::try_unwrap(log).unwrap().into_inner().unwrap(), undone)
    }

    #[tokio::test]
    async fn a_repeated_key_runs_once() {
        let (log, undone) = run(&["a", "b", "a"], |_, _| Attempt::Done).await;
        assert_eq!((log.len(), undone), (2, 0));
    }

    #[tokio::test]
    async fn a_failed_attempt_is_retried_until_it_succeeds() {
        let (log, undone) = run(&["a"], |_, times| if times < 3 { Attempt::Soon } else { Attempt::Done }).await;
        assert_eq!((log.len(), undone), (3, 0));
    }

    #[tokio::test]
    async fn a_key_that_is_retried_later_counts_as_undone() {
        let (log, undone) = run(
            &["a", "b"],
            |key, _| if key == "a" { Attempt::Later } else { Attempt::Done },
        )
        .await;
        assert_eq!((log.len(), undone), (2, 1));
    }
}
