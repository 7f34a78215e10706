//! One URL of an endpoint over time.

use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;

use super::expected::TelegrafId;
use super::health::State;
use super::telegraf_report::{Input, Url};
use super::words::Explanation;

/// The number of scrapes in a row that must fail before the source is told.
pub(super) const MISSED: u64 = 3;

/// The reason of one that goes on failing is looked for again after this.
const ASK_AGAIN: Duration = Duration::from_secs(300);

/// What is known of a URL.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    pub(super) state: State,
    /// Since when it is so.
    pub(super) since: Timestamp,
    /// The counters that were seen last.
    seen: Option<Seen>,
    /// The metrics that its input had gathered then.
    gathered: u64,
    /// Scrapes in a row that failed.
    missed: u64,
    /// The source was told that it is down.
    told: bool,
    /// It was down when this operator started, so an Event may have been sent already.
    may_be_told: bool,
    /// What is wrong.
    pub(super) explanation: Option<Box<Explanation>>,
    /// When it was last looked for the reason.
    asked: Option<Instant>,
    /// The source was told that its Service does not exist.
    told_of_service: bool,
    /// Which of its source's Telegrafs has it, if there are several.
    pub(super) teller: Option<Box<TelegrafId>>,
}

/// Counters, of the URL or, before Telegraf 1.39, of the whole input.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Seen {
    Url(Url),
    Input { errors: u64, gathered: u64 },
}

/// What the source is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Transition {
    /// It stopped answering, after so many scrapes that succeeded. It is a number of Telegraf's, so that an operator that has
    /// started again says the same.
    Down { answered: u64 },
    /// It answers again, after so many scrapes that failed.
    Up { failed: u64 },
}

impl Endpoint {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            state: State::Pending,
            since: now,
            seen: None,
            gathered: 0,
            missed: 0,
            told: false,
            may_be_told: false,
            explanation: None,
            asked: None,
            told_of_service: false,
            teller: None,
        }
    }

    /// True if it fails and its reason should be looked for now. It is not looked for again for a while.
    pub(super) fn asks_why(&mut self, transition: Option<Transition>) -> bool {
        let asked = self.asked.filter(|asked| asked.elapsed() < ASK_AGAIN);
        let asks = self.state == State::Failing && (asked.is_none() || transition.is_some());
        if asks {
            self.asked = Some(Instant::now());
        }
        asks
    }

    /// Takes in the reason. Returns whether the source has to be told that its Service does not exist.
    pub(super) fn explain(&mut self, explanation: Explanation, is_service_missing: bool) -> bool {
        if self.state != State::Failing {
            return false;
        }
        self.explanation = Some(Box::new(explanation));
        let was_told = std::mem::replace(&mut self.told_of_service, is_service_missing);
        is_service_missing && !was_told
    }

    /// Takes in what a Telegraf tells of the input, and of the URL.
    pub(super) fn observe(&mut self, input: &Input, url: Option<&Url>, now: Timestamp) -> Option<Transition> {
        let seen = match url {
            Some(url) => Seen::Url(*url),
            // Telegraf 1.39 knows the URLs of an input after it has scraped them once.
            None => Seen::Input {
                errors: input.errors,
                gathered: input.gathered,
            },
        };
        let before = self.seen.replace(seen);
        let gathered = std::mem::replace(&mut self.gathered, input.gathered);
        let (state, missed) = match seen {
            // Telegraf counts an answer that is too large as a success.
            Seen::Url(url)
                if url.connected && input.urls.len() == 1 && is_in_vain(url, before, (gathered, input.gathered)) =>
            {
                (
                    State::Failing,
                    self.missed
                        .saturating_add(url.successes - before.map_or(0, Seen::successes)),
                )
            }
            // No scrape since.
            Seen::Url(url)
                if url.connected
                    && self.state == State::Failing
                    && before == Some(seen)
                    && input.gathered == gathered =>
            {
                (self.state, self.missed)
            }
            Seen::Url(url) => of_url(url, before, self.missed),
            Seen::Input { errors, gathered } => of_input(errors, gathered, before, (self.state, self.missed)),
        };
        self.missed = missed;
        self.becomes(state, now);
        if before.is_none() {
            self.may_be_told = state == State::Failing && self.failures().is_some_and(|failures| failures >= MISSED);
        }
        if state == State::Up {
            self.explanation = None;
            self.asked = None;
            self.told_of_service = false;
        }
        match (self.told || self.may_be_told, state) {
            (_, State::Failing) if self.missed >= MISSED && !self.told => {
                self.told = true;
                Some(Transition::Down {
                    answered: self.successes().unwrap_or(0),
                })
            }
            (true, State::Up) => {
                (self.told, self.may_be_told) = (false, false);
                Some(Transition::Up {
                    failed: self.failures().unwrap_or(0),
                })
            }
            _ => None,
        }
    }

    /// Sets the state, and since when.
    pub(super) fn becomes(&mut self, state: State, now: Timestamp) {
        if self.state != state {
            self.state = state;
            self.since = now;
        }
    }

    pub(super) fn successes(&self) -> Option<u64> {
        match self.seen {
            Some(Seen::Url(url)) => Some(url.successes),
            _ => None,
        }
    }

    pub(super) fn failures(&self) -> Option<u64> {
        match self.seen {
            Some(Seen::Url(url)) => Some(url.failures),
            _ => None,
        }
    }
}

impl Seen {
    fn successes(self) -> u64 {
        match self {
            Self::Url(url) => url.successes,
            Self::Input { .. } => 0,
        }
    }
}

/// True if scrapes succeeded since, and no metric was gathered: the answer is too large, or filters drop everything.
fn is_in_vain(url: Url, before: Option<Seen>, (gathered, now): (u64, u64)) -> bool {
    let before = before.map_or(0, Seen::successes);
    url.successes > before && gathered == now
}

/// The state, and how many scrapes in a row failed.
fn of_url(url: Url, before: Option<Seen>, missed: u64) -> (State, u64) {
    if url.connected {
        return (State::Up, 0);
    }
    if url.successes == 0 {
        return match url.failures {
            0 => (State::Pending, 0),
            failures => (State::Failing, failures),
        };
    }
    let missed = match before {
        Some(Seen::Url(before)) if before.successes == url.successes && before.failures <= url.failures => {
            missed.saturating_add(url.failures - before.failures)
        }
        // One at least: there was a success, and now there is none.
        _ => 1,
    };
    (State::Failing, missed.max(1))
}

/// The same for Telegraf before 1.39, which tells how many errors an input had and how many metrics it gathered.
fn of_input(errors: u64, gathered: u64, before: Option<Seen>, (state, missed): (State, u64)) -> (State, u64) {
    let (of_errors, of_gathered) = match before {
        Some(Seen::Input { errors: e, gathered: g }) if e <= errors && g <= gathered => (errors - e, gathered - g),
        _ => (errors, gathered),
    };
    match (of_errors, of_gathered) {
        (0, 0) => (state, missed),
        (0, _) => (State::Up, 0),
        (errors, 0) => (State::Failing, missed.saturating_add(errors)),
        // Both happened since, in an order that nobody knows.
        _ => (state, missed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(connected: bool, successes: u64, failures: u64) -> Url {
        Url {
            connected,
            successes,
            failures,
        }
    }

    /// What the source is told, observation by observation.
    fn told(observations: &[Url]) -> Vec<Option<Transition>> {
        let mut endpoint = Endpoint::new(Timestamp::UNIX_EPOCH);
        let input = Input::default();
        let observe = |url| endpoint.observe(&input, Some(url), Timestamp::UNIX_EPOCH);
        observations.iter().map(observe).collect()
    }

    const DOWN: Option<Transition> = Some(Transition::Down { answered: 5 });

    #[test]
    fn the_source_is_told_after_three_missed_scrapes_and_when_it_is_well_again() {
        let up = Some(Transition::Up { failed: 6 });
        assert_eq!(
            told(&[
                url(true, 5, 0),
                url(false, 5, 1),
                url(false, 5, 2),
                url(false, 5, 3),
                url(false, 5, 6),
                url(true, 6, 6),
                url(true, 7, 6)
            ]),
            [None, None, None, DOWN, None, up, None]
        );
    }

    #[test]
    fn scrapes_between_two_looks_count() {
        assert_eq!(
            told(&[url(true, 4, 0), url(false, 5, 9), url(false, 5, 11)]),
            [None, None, DOWN]
        );
        assert_eq!(
            told(&[url(true, 5, 0), url(false, 5, 1), url(false, 6, 3), url(false, 6, 4)]),
            [None; 4]
        );
    }

    #[test]
    fn what_never_answered_is_told_at_once() {
        let never = Some(Transition::Down { answered: 0 });
        assert_eq!(
            told(&[url(false, 0, 0), url(false, 0, 2), url(false, 0, 3)]),
            [None, None, never]
        );
        assert_eq!(told(&[url(false, 0, 8)]), [never]);
    }

    #[test]
    fn an_operator_that_starts_again_says_the_same() {
        assert_eq!(told(&[url(false, 5, 9), url(false, 5, 10), url(false, 5, 11)])[2], DOWN);
    }

    #[test]
    fn an_operator_that_starts_again_tells_the_end_of_what_an_earlier_one_may_have_told() {
        let up = Some(Transition::Up { failed: 9 });
        assert_eq!(
            told(&[url(false, 5, 9), url(true, 6, 9), url(true, 7, 9)]),
            [None, up, None]
        );
        assert_eq!(
            told(&[url(false, 5, 2), url(true, 6, 2)]),
            [None, None],
            "nobody was told"
        );
        assert_eq!(told(&[url(true, 5, 9), url(false, 5, 10), url(true, 6, 10)]), [None; 3]);
    }

    #[test]
    fn a_telegraf_that_starts_again_starts_counting_again() {
        let never = Some(Transition::Down { answered: 0 });
        assert_eq!(
            told(&[url(true, 9, 0), url(false, 0, 0), url(false, 0, 3)]),
            [None, None, never]
        );
        assert_eq!(told(&[url(true, 9, 0), url(false, 1, 1), url(false, 1, 2)]), [None; 3]);
    }

    #[test]
    fn an_older_telegraf_tells_errors_and_metrics() {
        let mut endpoint = Endpoint::new(Timestamp::UNIX_EPOCH);
        let mut observe = |errors, gathered| {
            let input = Input {
                errors,
                gathered,
                ..Input::default()
            };
            let told = endpoint.observe(&input, None, Timestamp::UNIX_EPOCH);
            (endpoint.state, told)
        };
        assert_eq!(observe(0, 0), (State::Pending, None));
        assert_eq!(observe(0, 9), (State::Up, None));
        assert_eq!(observe(0, 9), (State::Up, None));
        assert_eq!(observe(1, 9), (State::Failing, None));
        assert_eq!(observe(3, 9), (State::Failing, Some(Transition::Down { answered: 0 })));
        assert_eq!(observe(3, 12), (State::Up, Some(Transition::Up { failed: 0 })));
        assert_eq!(observe(4, 20), (State::Up, None));
    }

    #[test]
    fn an_answer_of_which_nothing_is_taken_is_a_fault() {
        let mut endpoint = Endpoint::new(Timestamp::UNIX_EPOCH);
        let mut observe = |successes, gathered| {
            let url = url(true, successes, 0);
            let input = Input {
                gathered,
                urls: [("u".to_owned(), url)].into(),
                ..Input::default()
            };
            let told = endpoint.observe(&input, Some(&url), Timestamp::UNIX_EPOCH);
            (endpoint.state, told.is_some())
        };
        assert_eq!(observe(1, 7), (State::Up, false));
        assert_eq!(observe(1, 7), (State::Up, false));
        assert_eq!(observe(2, 7), (State::Failing, false));
        assert_eq!(observe(2, 7), (State::Failing, false));
        assert_eq!(observe(4, 7), (State::Failing, true));
        assert_eq!(observe(5, 9), (State::Up, true));
    }

    #[test]
    fn the_time_is_that_of_the_change() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let mut endpoint = Endpoint::new(at(0));
        for (seconds, seen) in [
            (1, url(true, 1, 0)),
            (2, url(true, 2, 0)),
            (3, url(false, 2, 1)),
            (4, url(false, 2, 2)),
        ] {
            endpoint.observe(&Input::default(), Some(&seen), at(seconds));
        }
        assert_eq!((endpoint.state, endpoint.since), (State::Failing, at(3)));
    }
}
