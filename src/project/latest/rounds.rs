//! Rounds of work that may hang, on a thread of its own: one at a time, and who waits for one has a bound.
//!
//! A round counts for whoever asked before it began. Who asks while one is under way is given the next one,
//! because what he wants to be seen may have happened behind its back.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The rounds of one thing.
#[derive(Debug, Default)]
pub(in crate::project) struct Rounds {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    asked: u64,
    done: u64,
    /// Since when the present one is under way, while there is a thread.
    began: Option<Instant>,
}

/// A round that somebody asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Round(u64);

impl Rounds {
    /// Asks for one. True if there is no thread for it: then the caller starts one.
    pub fn ask(&self) -> (Round, bool) {
        let mut state = self.state();
        state.asked += 1;
        let starts = state.began.is_none();
        state.began.get_or_insert_with(Instant::now);
        (Round(state.asked), starts)
    }

    /// The next one for the thread to do; `None` if nobody asked: then the thread ends.
    pub fn next(&self) -> Option<Round> {
        let mut state = self.state();
        state.began = (state.done < state.asked).then(Instant::now);
        state.began.map(|_| Round(state.asked))
    }

    /// The thread has done it.
    pub fn end(&self, round: Round) {
        self.state().done = round.0;
        self.changed.notify_all();
    }

    /// There is no thread after all.
    pub fn abandon(&self) {
        self.state().began = None;
    }

    /// For how long one has been under way.
    pub fn under_way(&self) -> Option<Duration> {
        self.state().began.map(|began| began.elapsed())
    }

    /// Whether `round` is over by then.
    pub fn wait(&self, round: Round, until: Instant) -> bool {
        let bound = until.saturating_duration_since(Instant::now());
        let waited = self.changed.wait_timeout_while(self.state(), bound, |state| state.done < round.0);
        waited.unwrap_or_else(PoisonError::into_inner).0.done >= round.0
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Numbers, each of which is right by itself.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_while_one_is_under_way_is_given_the_next() {
        let rounds = Rounds::default();
        let (first, starts) = rounds.ask();
        assert!(starts && rounds.next() == Some(first));
        let (second, starts) = rounds.ask();
        assert!(!starts && rounds.under_way().is_some(), "there is a thread");
        rounds.end(first);
        let now = Instant::now();
        assert!(rounds.wait(first, now) && !rounds.wait(second, now));
        assert_eq!(rounds.next(), Some(second));
        rounds.end(second);
        assert!(rounds.wait(second, now) && rounds.next().is_none());
        assert!(rounds.under_way().is_none() && rounds.ask().1, "the thread has ended");
    }
}
