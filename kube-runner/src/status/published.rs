//! The results of a source's endpoints that were published last, as its Report has them.
//!
//! They change when a result changes, and once a minute at most. An operator that starts again takes them from the Report, so
//! that it writes nothing that did not change.

use std::time::{Duration, Instant};

use telewarden_policy::report::{EndpointResult, Verdict};

use super::health::State;
use super::words::Explanation;

/// The results of one source are published no more often than this.
pub(super) const AGAIN: Duration = Duration::from_secs(60);

/// What is said of an endpoint that works.
const SCRAPED: &str = "it is scraped";

/// What was published last.
#[derive(Debug, Default)]
pub(super) struct Published {
    /// `None` if nothing was.
    results: Option<Vec<EndpointResult>>,
    at: Option<Instant>,
    /// What an earlier operator has published was looked for.
    is_recalled: bool,
}

impl Published {
    pub(super) fn is_recalled(&self) -> bool {
        self.is_recalled
    }

    /// Takes in what an earlier operator has published.
    pub(super) fn recall(&mut self, results: Vec<EndpointResult>) {
        if !std::mem::replace(&mut self.is_recalled, true) && !results.is_empty() {
            self.results = Some(results);
        }
    }

    pub(super) fn results(&self) -> Option<&[EndpointResult]> {
        self.results.as_deref()
    }

    /// True if these are not the ones that were published.
    pub(super) fn differs(&self, results: &[EndpointResult]) -> bool {
        self.results.as_deref().unwrap_or_default() != results
    }

    /// True if something new can be published now.
    pub(super) fn may_change(&self, now: Instant) -> bool {
        self.is_recalled && self.at.is_none_or(|at| at + AGAIN <= now)
    }

    /// Publishes results. Returns whether they are new.
    pub(super) fn replace(&mut self, results: Vec<EndpointResult>, now: Instant) -> bool {
        let is_new = self.differs(&results);
        if is_new {
            self.results = Some(results);
            self.at = Some(now);
        }
        is_new
    }

    /// A result of an endpoint, as it was published if it says the same, also where nothing is known now.
    pub(super) fn keep_if_same(&self, name: &str, url: &str, new: Option<EndpointResult>) -> Option<EndpointResult> {
        let mut published = self.results.iter().flatten();
        let published = published.find(|result| result.name == name && result.url == url);
        match (published, new) {
            (Some(published), Some(new)) if published.verdict != new.verdict || published.message != new.message => {
                Some(new)
            }
            (Some(published), _) => Some(published.clone()),
            (None, new) => new,
        }
    }
}

/// What to say of an endpoint, from its state and that of its Telegraf. `None` if it is not known yet.
pub(super) fn verdict(
    state: State,
    explanation: Option<&Explanation>,
    telegraf: Option<(State, &Explanation)>,
) -> Option<(Verdict, String)> {
    let in_words = |Explanation { why, what_to_do }: &Explanation| format!("{why}. {what_to_do}");
    match (state, telegraf) {
        (State::Up, _) => Some((Verdict::Pass, SCRAPED.to_owned())),
        (State::Failing, _) => Some((Verdict::Fail, in_words(explanation?))),
        (State::Unknown, Some((State::Failing | State::Unknown, explanation))) => {
            Some((Verdict::Error, format!("Telegraf: {}", in_words(explanation))))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(name: &str, verdict: Verdict, since: i64) -> EndpointResult {
        EndpointResult {
            name: name.to_owned(),
            url: String::new(),
            verdict,
            message: format!("{verdict:?}"),
            since,
        }
    }

    #[test]
    fn results_change_once_a_minute_at_most() {
        let start = Instant::now();
        let mut published = Published::default();
        assert!(!published.may_change(start), "nobody has looked what is there");
        published.recall(Vec::new());
        assert!(published.may_change(start));
        assert!(published.replace(vec![result("a", Verdict::Pass, 1)], start));
        assert!(!published.may_change(start + AGAIN / 2));
        assert!(published.may_change(start + AGAIN));
        assert!(!published.replace(vec![result("a", Verdict::Pass, 1)], start + AGAIN));
        assert!(published.may_change(start + AGAIN), "nothing was written");
    }

    #[test]
    fn what_says_the_same_keeps_its_time_and_what_is_not_known_stays() {
        let mut published = Published::default();
        published.recall(vec![result("a", Verdict::Pass, 1), result("b", Verdict::Fail, 2)]);
        let kept = |name: &str, new| published.keep_if_same(name, "", new);
        assert_eq!(
            kept("a", Some(result("a", Verdict::Pass, 9))),
            Some(result("a", Verdict::Pass, 1))
        );
        assert_eq!(
            kept("a", Some(result("a", Verdict::Fail, 9))),
            Some(result("a", Verdict::Fail, 9))
        );
        assert_eq!(kept("b", None), Some(result("b", Verdict::Fail, 2)));
        assert_eq!(kept("c", None), None);
        assert_eq!(
            kept("c", Some(result("c", Verdict::Error, 9))),
            Some(result("c", Verdict::Error, 9))
        );
    }

    #[test]
    fn only_the_first_look_counts() {
        let mut published = Published::default();
        published.recall(vec![result("a", Verdict::Pass, 1)]);
        published.recall(vec![result("a", Verdict::Fail, 2)]);
        assert_eq!(published.results(), Some(&[result("a", Verdict::Pass, 1)][..]));
    }

    #[test]
    fn an_endpoint_passes_fails_or_nobody_knows() {
        let why = Explanation::new("it is off", "Turn it on.");
        let said = |state, explanation, telegraf| verdict(state, explanation, telegraf).map(|(verdict, _)| verdict);
        assert_eq!(said(State::Up, None, None), Some(Verdict::Pass));
        assert_eq!(
            verdict(State::Failing, Some(&why), None),
            Some((Verdict::Fail, "it is off. Turn it on.".to_owned()))
        );
        assert_eq!(said(State::Failing, None, None), None, "the reason is being looked for");
        for (telegraf, expected) in [
            (State::Failing, Some(Verdict::Error)),
            (State::Unknown, Some(Verdict::Error)),
            (State::Pending, None),
            (State::Up, None),
        ] {
            assert_eq!(
                said(State::Unknown, None, Some((telegraf, &why))),
                expected,
                "{telegraf:?}"
            );
        }
        assert_eq!(said(State::Pending, None, Some((State::Failing, &why))), None);
    }
}
