//! What of a batch is worked on next.
//!
//! Entries are numbered in the order of the input, which is read no further than [`WINDOW`] entries
//! ahead of what was told, so that neither a long list nor a slow first key fills the memory. The first
//! entry whose repository nobody works on is next: so the entries of one repository are done in order,
//! one at a time, and the first entry that is not done is always in somebody's hands, which is what
//! keeps turns moving.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::list::Line;
use crate::cache::{Turn, Turns};
use crate::error::{Error, Result};
use crate::operation::target::Target;
use crate::source::Progress;

/// How many entries may be begun before the first of them is told.
pub(super) const WINDOW: u64 = 1024;

/// How often one who waits looks whether the input goes on.
const LOOK: Duration = Duration::from_millis(10);

/// Where keys come from.
pub(super) enum Input {
    /// They are all known.
    Given(std::vec::IntoIter<Target>),
    /// They are read.
    Listed(Receiver<Line>),
}

/// One key of a batch.
pub(super) struct Entry {
    pub wanted: Wanted,
    pub turn: Turn,
    /// What no two workers work on; nothing of an entry that cannot be read.
    pub mirror: String,
}

/// What an entry asks for.
pub(super) enum Wanted {
    Tree(Target),
    /// What stands there instead of a key, and why it is none.
    Unreadable(String, Error),
}

/// The entries of a batch, for its workers.
pub(super) struct Queue<'p> {
    parse: &'p (dyn Fn(&str) -> Result<Target> + Sync),
    state: Mutex<State>,
    changed: Condvar,
    turns: Arc<Turns>,
}

struct State {
    input: Input,
    ended: bool,
    stopped: bool,
    /// The keys so far, because each is fetched once.
    seen: HashSet<String>,
    waiting: VecDeque<Entry>,
    busy: HashSet<String>,
    running: BTreeMap<u64, Arc<Progress>>,
    begun: u64,
    told: u64,
}

enum Next {
    Entry(String, Box<Wanted>),
    NotYet,
    End,
}

impl<'p> Queue<'p> {
    pub fn new(input: Input, parse: &'p (dyn Fn(&str) -> Result<Target> + Sync)) -> Queue<'p> {
        let state = State {
            input,
            ended: false,
            stopped: false,
            seen: HashSet::new(),
            waiting: VecDeque::new(),
            busy: HashSet::new(),
            running: BTreeMap::new(),
            begun: 0,
            told: 0,
        };
        Queue { parse, state: Mutex::new(state), changed: Condvar::new(), turns: Arc::default() }
    }

    // Every statement leaves the state whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next entry, when there is one that may be begun; `None` if there will be none any more.
    pub fn take(&self) -> Option<Entry> {
        let mut state = self.state();
        loop {
            if state.stopped {
                return None;
            }
            let free = state.waiting.iter().position(|entry| !state.busy.contains(&entry.mirror));
            if let Some(entry) = free.and_then(|place| state.waiting.remove(place)) {
                if !entry.mirror.is_empty() {
                    state.busy.insert(entry.mirror.clone());
                }
                return Some(entry);
            }
            if state.ended && state.waiting.is_empty() {
                return None;
            }
            if !state.ended && state.begun - state.told < WINDOW {
                match state.next(self.parse) {
                    Next::Entry(mirror, wanted) => {
                        state.begun += 1;
                        let entry = Entry { wanted: *wanted, mirror, turn: self.turns.enter() };
                        state.waiting.push_back(entry);
                        continue;
                    }
                    Next::End => {
                        state.ended = true;
                        self.changed.notify_all();
                        continue;
                    }
                    Next::NotYet => {}
                }
            }
            let waited = self.changed.wait_timeout(state, LOOK);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Entry `number` is being fetched; `progress` ends it if the batch is stopped.
    pub fn runs(&self, number: u64, progress: &Arc<Progress>) {
        let mut state = self.state();
        if state.stopped {
            progress.cancel();
        }
        state.running.insert(number, Arc::clone(progress));
    }

    /// Entry `number` of `mirror` is done.
    pub fn finish(&self, number: u64, mirror: &str) {
        let mut state = self.state();
        state.running.remove(&number);
        state.busy.remove(mirror);
        self.changed.notify_all();
    }

    /// All entries before `number` have been told.
    pub fn told(&self, number: u64) {
        self.state().told = number;
        self.changed.notify_all();
    }

    /// Begins no further entry, and ends those that run.
    pub fn stop(&self) {
        let mut state = self.state();
        state.stopped = true;
        // The last first: the end of one is the turn of the next.
        for progress in state.running.values().rev() {
            progress.cancel();
        }
        self.changed.notify_all();
    }
}

impl State {
    fn next(&mut self, parse: &(dyn Fn(&str) -> Result<Target> + Sync)) -> Next {
        loop {
            let target = match &mut self.input {
                Input::Given(targets) => match targets.next() {
                    Some(target) => target,
                    None => return Next::End,
                },
                Input::Listed(lines) => match lines.try_recv() {
                    Ok(Line { place, text }) => match text.as_deref().map_err(Error::clone).and_then(parse) {
                        Ok(target) => target,
                        Err(error) => {
                            let shown = text.unwrap_or_else(|_| place.clone());
                            return Next::Entry(
                                String::new(),
                                Box::new(Wanted::Unreadable(shown, error.during(place))),
                            );
                        }
                    },
                    Err(TryRecvError::Empty) => return Next::NotYet,
                    Err(TryRecvError::Disconnected) => return Next::End,
                },
            };
            // What is called the same is the same.
            if self.seen.insert(target.text.clone()) {
                return Next::Entry(target.key.digest(), Box::new(Wanted::Tree(target)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn parse(text: &str) -> Result<Target> {
        Target::parse(text, &Config::default(), &[])
    }

    fn given(names: &[&str]) -> Input {
        let targets: Vec<Target> =
            names.iter().map(|name| parse(&format!("git/github.com/{name}")).unwrap()).collect();
        Input::Given(targets.into_iter())
    }

    fn name(entry: &Entry) -> &str {
        match &entry.wanted {
            Wanted::Tree(target) => target.text.trim_start_matches("git/github.com/"),
            Wanted::Unreadable(text, _) => text,
        }
    }

    #[test]
    fn entries_of_one_repository_are_taken_in_order_one_at_a_time() {
        let queue = Queue::new(given(&["a/a@1", "a/a@2", "b/b", "a/a@1", "a/a@3", "c/c"]), &parse);
        let first = queue.take().unwrap();
        let second = queue.take().unwrap();
        assert_eq!((name(&first), name(&second)), ("a/a@1", "b/b"), "a/a is busy");
        let third = queue.take().unwrap();
        assert_eq!(name(&third), "c/c", "the duplicate is left out");
        queue.finish(first.turn.number(), &first.mirror);
        let fourth = queue.take().unwrap();
        assert_eq!((name(&fourth), fourth.turn.number()), ("a/a@2", 1));
        queue.finish(fourth.turn.number(), &fourth.mirror);
        let fifth = queue.take().unwrap();
        assert_eq!((name(&fifth), fifth.turn.number()), ("a/a@3", 3));
        assert!(queue.take().is_none());
    }

    #[test]
    fn no_more_is_begun_than_a_window_ahead_of_what_was_told() {
        let names: Vec<String> = (0..WINDOW + 2).map(|number| format!("a/r{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let queue = Queue::new(given(&names), &parse);
        let taken: Vec<Entry> = (0..WINDOW).map(|_| queue.take().unwrap()).collect();
        std::thread::scope(|scope| {
            let next = scope.spawn(|| queue.take().map(|entry| entry.turn.number()));
            assert_eq!(queue.state().begun, WINDOW);
            queue.told(1);
            assert_eq!(next.join().unwrap(), Some(WINDOW));
        });
        assert_eq!(queue.state().begun, WINDOW + 1);
        drop(taken);
    }

    #[test]
    fn a_stop_ends_what_runs_and_begins_nothing() {
        let queue = Queue::new(given(&["a/a", "b/b"]), &parse);
        let entry = queue.take().unwrap();
        let progress = Arc::new(Progress::default());
        queue.runs(entry.turn.number(), &progress);
        queue.stop();
        assert!(progress.is_cancelled() && queue.take().is_none());
        let late = Arc::new(Progress::default());
        queue.runs(7, &late);
        assert!(late.is_cancelled());
    }

    #[test]
    fn a_line_that_is_no_key_is_an_entry_that_holds_up_nobody() {
        let (lines, read) = std::sync::mpsc::sync_channel(8);
        for (number, text) in ["../x", "git/github.com/a/a", "git"].into_iter().enumerate() {
            lines.send(Line { place: format!("keys:{number}"), text: Ok(text.to_owned()) }).unwrap();
        }
        drop(lines);
        let queue = Queue::new(Input::Listed(read), &parse);
        let taken: Vec<Entry> = std::iter::from_fn(|| queue.take()).collect();
        assert_eq!(taken.iter().map(name).collect::<Vec<_>>(), ["../x", "a/a", "git"]);
        let Wanted::Unreadable(_, error) = &taken[2].wanted else { panic!("it was read") };
        assert!(error.what().starts_with("keys:2: "), "{error}");
    }
}
