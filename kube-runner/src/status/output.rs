//! One output over time.

use k8s_openapi::jiff::Timestamp;

use super::health::State;
use super::telegraf_report::Output as Counters;
use super::words::Explanation;

/// After so many looks without a loss it is well again.
const QUIET: u32 = 3;

/// What is known of an output.
#[derive(Clone, Debug)]
pub(super) struct Output {
    pub(super) state: State,
    pub(super) since: Timestamp,
    pub(super) counters: Counters,
    /// Looks since metrics were lost last. `None` if none were.
    quiet: Option<u32>,
    pub(super) explanation: Option<Box<Explanation>>,
}

impl Output {
    pub(super) fn new(counters: Counters, now: Timestamp) -> Self {
        let mut output = Self {
            state: State::Pending,
            since: now,
            counters,
            quiet: None,
            explanation: None,
        };
        output.judge(now);
        output
    }

    /// Takes in what a Telegraf tells. Returns how many metrics were lost since, if the source has to be told.
    pub(super) fn observe(&mut self, counters: Counters, now: Timestamp) -> Option<u64> {
        let since = lost(&self.counters, &counters);
        self.counters = counters;
        let was_quiet = self.quiet.is_none();
        self.quiet = match (since, self.quiet) {
            (0, Some(looks)) if looks >= QUIET => None,
            (0, quiet) => quiet.map(|looks| looks + 1),
            _ => Some(0),
        };
        self.judge(now);
        (since > 0 && was_quiet).then_some(since)
    }

    fn judge(&mut self, now: Timestamp) {
        let Counters {
            written,
            buffered,
            buffer_limit,
            rejected,
            dropped,
            ..
        } = self.counters;
        let is_full = buffer_limit > 0 && buffered >= buffer_limit / 10 * 9;
        let (state, explanation) = if self.quiet.is_some() {
            let what = "The database refuses what is written, or the buffer is full: Telegraf's log says which. Look whether the \
                        bucket exists and the token may write it; https://github.com/telewarden/telewarden/blob/main/docs/troubleshooting.md";
            let why = format!("metrics are lost: {dropped} dropped and {rejected} rejected since Telegraf started");
            (State::Failing, Some(Explanation::new(why, what)))
        } else if is_full {
            let why = format!(
                "the database takes nothing: {buffered} of {buffer_limit} metrics wait, and the oldest are lost next"
            );
            (
                State::Failing,
                Some(Explanation::new(
                    why,
                    "Look whether the database can be reached from the namespace.",
                )),
            )
        } else if written > 0 {
            (State::Up, None)
        } else {
            (State::Pending, None)
        };
        self.explanation = explanation.map(Box::new);
        if self.state != state {
            self.state = state;
            self.since = now;
        }
    }
}

/// How many metrics were lost since. A sample that is `NaN` cannot be written as line protocol: Telegraf counts it as rejected,
/// and writes all others. So rejected metrics only count if nothing was written.
fn lost(before: &Counters, now: &Counters) -> u64 {
    // A Telegraf that has started again counts from 0.
    let grown = |of: fn(&Counters) -> u64| of(now).saturating_sub(of(before));
    let rejected = match grown(|counters| counters.written) {
        0 => grown(|counters| counters.rejected),
        _ => 0,
    };
    grown(|counters| counters.dropped).saturating_add(rejected)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(written: u64, dropped: u64, buffered: u64) -> Counters {
        Counters {
            written,
            dropped,
            buffered,
            buffer_limit: 100,
            ..Counters::default()
        }
    }

    #[test]
    fn a_loss_is_told_once_until_it_is_quiet_again() {
        let mut output = Output::new(counters(1, 0, 0), Timestamp::UNIX_EPOCH);
        assert_eq!(output.state, State::Up);
        let mut observe = |dropped| {
            (
                output.observe(counters(9, dropped, 0), Timestamp::UNIX_EPOCH),
                output.state,
            )
        };
        assert_eq!(observe(5), (Some(5), State::Failing));
        assert_eq!(observe(7), (None, State::Failing));
        for _ in 0..QUIET {
            assert_eq!(observe(7), (None, State::Failing));
        }
        assert_eq!(observe(7), (None, State::Up));
        assert_eq!(observe(8), (Some(1), State::Failing));
    }

    #[test]
    fn what_was_lost_before_the_first_look_is_not_told() {
        let mut output = Output::new(counters(1, 50, 0), Timestamp::UNIX_EPOCH);
        assert_eq!(output.state, State::Up);
        assert_eq!(output.observe(counters(2, 50, 0), Timestamp::UNIX_EPOCH), None);
        assert_eq!(
            output.observe(counters(1, 3, 0), Timestamp::UNIX_EPOCH),
            None,
            "it has started again"
        );
    }

    #[test]
    fn samples_that_cannot_be_written_beside_others_are_no_fault() {
        let rejected = |written, rejected| Counters {
            rejected,
            ..counters(written, 0, 0)
        };
        let mut output = Output::new(rejected(1, 0), Timestamp::UNIX_EPOCH);
        let mut observe = |counters| output.observe(counters, Timestamp::UNIX_EPOCH);
        assert_eq!(observe(rejected(9, 1)), None);
        assert_eq!(observe(rejected(9, 1)), None);
        assert_eq!(observe(rejected(9, 5)), Some(4), "nothing was written");
    }

    #[test]
    fn a_full_buffer_is_a_fault() {
        assert_eq!(
            Output::new(counters(0, 0, 95), Timestamp::UNIX_EPOCH).state,
            State::Failing
        );
        assert_eq!(
            Output::new(counters(0, 0, 5), Timestamp::UNIX_EPOCH).state,
            State::Pending
        );
    }
}
