//! How long the parts of something take. They are printed, and never asserted.

use std::time::Instant;

/// A stopwatch with laps.
pub struct Legs {
    what: String,
    started: Instant,
    last: Instant,
}

impl Legs {
    /// Starts now.
    pub fn of(what: &str) -> Self {
        let now = Instant::now();
        Self {
            what: what.to_owned(),
            started: now,
            last: now,
        }
    }

    /// Prints how long it took since the last leg.
    pub fn leg(&mut self, name: &str) {
        let now = Instant::now();
        println!("{}: {name}: {:.1} s", self.what, (now - self.last).as_secs_f64());
        self.last = now;
    }

    /// Prints how long all of it took.
    pub fn end(self) {
        println!("{}: all: {:.1} s", self.what, self.started.elapsed().as_secs_f64());
    }
}
