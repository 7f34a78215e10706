//! How long to wait before the next try.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

/// What only something that changes will help is tried again after this long.
pub(crate) const LATER: Duration = Duration::from_secs(300);

/// Delays that double from one bound to another, each with a random part, so that many do not come back at once.
#[derive(Debug)]
pub(crate) struct Backoff {
    delays: ExponentialBuilder,
    next: ExponentialBackoff,
    longest: Duration,
    tries: u32,
}

impl Backoff {
    /// Delays from `first` to at most `longest`. The random part adds up to the same again, hence the half.
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        let delays = ExponentialBuilder::new()
            .with_min_delay(first)
            .with_max_delay(longest / 2)
            .without_max_times()
            .with_jitter();
        Self {
            next: delays.build(),
            delays,
            longest,
            tries: 0,
        }
    }

    /// The next delay.
    pub(crate) fn next(&mut self) -> Duration {
        self.tries += 1;
        self.next.next().unwrap_or(self.longest).min(self.longest)
    }

    /// How many delays were taken since the last [`Self::reset`].
    pub(crate) fn tries(&self) -> u32 {
        self.tries
    }

    /// Starts again with the first delay.
    pub(crate) fn reset(&mut self) {
        self.next = self.delays.build();
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_and_stays_within_its_bounds() {
        let (first, longest) = (Duration::from_millis(100), Duration::from_secs(1));
        let mut backoff = Backoff::new(first, longest);
        let delays: Vec<_> = (0..40).map(|_| backoff.next()).collect();
        assert!(delays[0] >= first && delays[0] <= 2 * first, "{delays:?}");
        assert!(delays.iter().all(|delay| *delay <= longest), "{delays:?}");
        assert!(delays[39] >= longest / 2, "{delays:?}");
        assert_eq!(backoff.tries(), 40);
        backoff.reset();
        assert!(backoff.next() <= 2 * first);
        assert_eq!(backoff.tries(), 1);
    }
}
