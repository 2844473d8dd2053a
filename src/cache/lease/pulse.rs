//! The heartbeat: one thread of a cache that says at regular intervals what is to be said.
//!
//! It starts with the first thing that beats and ends with the cache. What beats decides by itself
//! whether it may; a beat that fails is tried again at the next interval.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

type Beat = Arc<dyn Fn() + Send + Sync>;

/// The heartbeat of one cache.
pub(in crate::cache) struct Pulse {
    shared: Arc<Shared>,
}

struct Shared {
    every: Duration,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    beats: BTreeMap<u64, Beat>,
    next: u64,
    running: bool,
    over: bool,
}

/// Something that beats until this is dropped.
pub(in crate::cache) struct Beating {
    number: u64,
    shared: Arc<Shared>,
}

impl Shared {
    // Nothing panics while this is locked.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut next = Instant::now() + self.every;
        let mut state = self.state();
        while !state.over {
            let left = next.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            let beats: Vec<Beat> = state.beats.values().cloned().collect();
            drop(state);
            beats.iter().for_each(|beat| beat());
            next = Instant::now() + self.every;
            state = self.state();
        }
    }
}

impl Pulse {
    /// That beats at this interval.
    pub fn new(every: Duration) -> Pulse {
        let (state, changed) = (Mutex::default(), Condvar::new());
        Pulse { shared: Arc::new(Shared { every, state, changed }) }
    }

    /// Calls `beat` at every interval from now on. Fails if there can be no thread for it.
    pub fn beat(&self, beat: impl Fn() + Send + Sync + 'static) -> Result<Beating> {
        let mut state = self.shared.state();
        if !state.running {
            let shared = Arc::clone(&self.shared);
            let thread = std::thread::Builder::new().name("srcfs-lease".into());
            thread
                .spawn(move || shared.run())
                .map_err(|error| Error::io("start a thread for", "the heartbeat", &error))?;
            state.running = true;
        }
        let number = state.next;
        state.next += 1;
        state.beats.insert(number, Arc::new(beat));
        Ok(Beating { number, shared: Arc::clone(&self.shared) })
    }
}

impl Drop for Beating {
    fn drop(&mut self) {
        let beat = self.shared.state().beats.remove(&self.number);
        // What it holds is dropped without the lock.
        drop(beat);
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.shared.state().over = true;
        self.shared.changed.notify_all();
    }
}

impl fmt::Debug for Pulse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pulse({:?})", self.shared.every)
    }
}

impl fmt::Debug for Beating {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Beating({})", self.number)
    }
}
