//! How long to wait before the next try.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Doubles from one delay to another, and takes a random part of the upper half, so that many do not come back at once.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    tries: u32,
}

impl Backoff {
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            tries: 0,
        }
    }

    /// The next delay.
    pub(crate) fn next(&mut self) -> Duration {
        let delay = self.first.saturating_mul(1 << self.tries.min(20)).min(self.longest);
        self.tries += 1;
        // The standard library's only source of randomness; it need not be a good one.
        let random = RandomState::new().hash_one(self.tries) as u32;
        delay.mul_f64(0.5 + 0.5 * f64::from(random) / f64::from(u32::MAX))
    }

    /// How often it was asked since it last went well.
    pub(crate) fn tries(&self) -> u32 {
        self.tries
    }

    /// It went well.
    pub(crate) fn reset(&mut self) {
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_and_stays_within_its_bounds() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let delays: Vec<_> = (0..30).map(|_| backoff.next()).collect();
        assert!(delays[0] >= Duration::from_millis(50) && delays[0] <= Duration::from_millis(100));
        assert!(
            delays[29] >= Duration::from_millis(500) && delays.iter().all(|delay| *delay <= Duration::from_secs(1))
        );
    }
}
