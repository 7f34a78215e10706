//! A thread that advances wasmtime's epoch.
//!
//! A deadline is a number of ticks. The thread ticks only while a call runs, so that an idle operator does not wake up.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use wasmtime::Engine;

/// The length of a tick. A call can exceed its deadline by one tick. Shorter ticks use more CPU.
const TICK: Duration = Duration::from_millis(20);

/// The clock of one engine.
pub(super) struct Clock(Arc<Shared>);

struct Shared {
    engine: Engine,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    calls: usize,
    started: bool,
    dropped: bool,
}

/// Keeps the clock running until it is dropped.
pub(super) struct Running<'a>(&'a Shared);

impl Clock {
    pub(super) fn new(engine: &Engine) -> Self {
        Self(Arc::new(Shared {
            engine: engine.clone(),
            state: Mutex::default(),
            changed: Condvar::new(),
        }))
    }

    /// The duration in ticks, rounded up. One is added, because the first tick can come immediately.
    pub(super) fn ticks(&self, time: Duration) -> u64 {
        let ticks = time.as_nanos().div_ceil(TICK.as_nanos());
        u64::try_from(ticks).unwrap_or(u64::MAX / 2) + 1
    }

    pub(super) fn run(&self) -> Running<'_> {
        let mut state = self.0.state();
        state.calls += 1;
        if !state.started {
            state.started = true;
            let shared = Arc::clone(&self.0);
            thread::spawn(move || shared.tick());
        }
        drop(state);
        self.0.changed.notify_one();
        Running(&self.0)
    }
}

impl Shared {
    /// No code panics while it holds the lock, so a poisoned lock is still consistent.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tick(&self) {
        loop {
            let state = self
                .changed
                .wait_while(self.state(), |state| state.calls == 0 && !state.dropped)
                .unwrap_or_else(PoisonError::into_inner);
            if state.dropped {
                return;
            }
            drop(state);
            thread::sleep(TICK);
            self.engine.increment_epoch();
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.state().calls -= 1;
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.0.state().dropped = true;
        self.0.changed.notify_one();
    }
}
