//! Delays between retries.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

/// Exponential delays with random jitter.
#[derive(Debug)]
pub(crate) struct Backoff {
    delays: ExponentialBuilder,
    next: ExponentialBackoff,
    longest: Duration,
    tries: u32,
}

impl Backoff {
    /// Delays from `first` to at most `longest`. The jitter can double a delay, so the maximum without jitter is half.
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

    /// The number of delays since the last [`Self::reset`].
    pub(crate) fn tries(&self) -> u32 {
        self.tries
    }

    /// Restarts with the first delay.
    pub(crate) fn reset(&mut self) {
        self.next = self.delays.build();
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_within_their_bounds() {
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
