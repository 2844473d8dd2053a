//! Turns: the order in which the entries of a batch commit, whatever order they are prepared in.
//!
//! Each entry enters in the order of the input and is *working* until it is *done*. It may commit when
//! every earlier one is done, or *waits* for somebody else: another process that fetches the same, or
//! another caller in this one. Without that exception two batches could wait for each other for ever:
//! one has prepared y and waits for its x, which the other has prepared and holds while it waits for
//! its y. With it, whoever waits for a turn waits for somebody who works, and the first of those who
//! work waits for nobody's turn.
//!
//! So the order is that of the input, except that what somebody else brings is not waited for. A wait
//! for a turn has no bound of its own: it ends when the earlier entries do, each of which has bounds.
//!
//! May call nothing but `error`. Fails with [`Kind::Interrupted`] when the caller gave up.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::{Error, Kind, Result};

/// How often one who waits for its turn looks whether it was asked to stop.
const LOOK: Duration = Duration::from_millis(50);

/// The entries of one batch, in their order.
#[derive(Debug, Default)]
pub struct Turns {
    line: Mutex<Line>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct Line {
    /// The number of the first in `phases`; all before it are done.
    first: u64,
    /// As many as are between the first that is not done and the last that entered.
    phases: VecDeque<Phase>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Whoever comes later waits for it.
    Working,
    /// Somebody else has what it needs, so nobody waits for it.
    Waiting,
    Done,
}

/// An entry's place in the order. It is done when this is dropped.
#[derive(Debug)]
pub struct Turn {
    turns: Arc<Turns>,
    number: u64,
}

impl Turns {
    /// The next entry.
    pub fn enter(self: &Arc<Self>) -> Turn {
        let mut line = self.line();
        let number = line.first + line.phases.len() as u64;
        line.phases.push_back(Phase::Working);
        Turn { turns: Arc::clone(self), number }
    }

    // Nothing panics while the line is locked.
    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn set(&mut self, number: u64, phase: Phase) {
        let place = number.checked_sub(self.first).and_then(|place| usize::try_from(place).ok());
        if let Some(now) = place.and_then(|place| self.phases.get_mut(place)) {
            *now = phase;
        }
        while self.phases.front() == Some(&Phase::Done) {
            self.phases.pop_front();
            self.first += 1;
        }
    }

    fn has_come(&self, number: u64) -> bool {
        let earlier = self.phases.iter().zip(self.first..number);
        earlier.into_iter().all(|(phase, _)| *phase != Phase::Working)
    }
}

impl Turn {
    /// Which entry it is, counted from 0.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// From now on it waits for somebody who does not belong to this batch.
    pub(super) fn waits(&self) {
        self.set(Phase::Waiting);
    }

    /// It has what it waited for.
    pub(super) fn works(&self) {
        self.set(Phase::Working);
    }

    /// Waits until it may commit.
    pub(super) fn come(&self, cancelled: &dyn Fn() -> bool) -> Result<()> {
        let mut line = self.turns.line();
        loop {
            // First, because a turn may have come only by the end of one that gave up as well.
            if cancelled() {
                return Err(Error::new(Kind::Interrupted, "wait for its turn", "the caller gave up"));
            }
            if line.has_come(self.number) {
                return Ok(());
            }
            let waited = self.turns.moved.wait_timeout(line, LOOK);
            line = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn set(&self, phase: Phase) {
        self.turns.line().set(self.number, phase);
        self.turns.moved.notify_all();
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.set(Phase::Done);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    fn has_come(turn: &Turn) -> bool {
        turn.turns.line().has_come(turn.number)
    }

    #[test]
    fn one_commits_when_all_earlier_ones_are_done() {
        let turns = Arc::new(Turns::default());
        let [first, second, third] = [(); 3].map(|()| turns.enter());
        assert_eq!([first.number(), second.number(), third.number()], [0, 1, 2]);
        assert!(has_come(&first) && !has_come(&second) && !has_come(&third));
        // Done out of order, as one that failed or was cached.
        drop(second);
        assert!(!has_come(&third));
        drop(first);
        assert!(has_come(&third));
    }

    #[test]
    fn nobody_waits_for_one_who_waits_for_somebody_else() {
        let turns = Arc::new(Turns::default());
        let [first, second, third] = [(); 3].map(|()| turns.enter());
        first.waits();
        assert!(has_come(&second) && !has_come(&third));
        second.waits();
        assert!(has_come(&third));
        // It got what it waited for: those who have not committed yet wait for it again.
        first.works();
        assert!(has_come(&first) && !has_come(&second) && !has_come(&third));
    }

    #[test]
    fn threads_commit_in_the_order_in_which_they_entered() {
        let turns = Arc::new(Turns::default());
        let committed = Mutex::new(Vec::new());
        let entries: Vec<Turn> = (0..16).map(|_| turns.enter()).collect();
        thread::scope(|scope| {
            // The last begins first.
            for turn in entries.into_iter().rev() {
                let committed = &committed;
                scope.spawn(move || {
                    turn.come(&|| false).unwrap();
                    committed.lock().unwrap().push(turn.number());
                });
            }
        });
        assert_eq!(*committed.lock().unwrap(), (0..16).collect::<Vec<u64>>());
        assert!(turns.line().phases.is_empty(), "what is done is forgotten");
    }

    #[test]
    fn one_who_waits_can_give_up_and_one_that_panics_is_done() {
        let turns = Arc::new(Turns::default());
        let first = turns.enter();
        let second = turns.enter();
        let asked = AtomicBool::new(false);
        let gave_up = second.come(&|| asked.swap(true, Ordering::SeqCst)).unwrap_err();
        assert_eq!(gave_up.kind(), Kind::Interrupted);
        let panicked = thread::spawn(move || {
            let _first = first;
            panic!("while it works");
        });
        assert!(panicked.join().is_err());
        second.come(&|| false).unwrap();
    }
}
