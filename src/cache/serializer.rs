//! In-process order: the tasks of one key run one after the other, in the order they came.
//!
//! It stands in front of the fetch lock, so that the threads of one process queue in memory and only
//! one of them polls a file. Keys are independent of each other; a failure or a panic of a task
//! reaches its caller alone; and the map holds only keys that somebody runs or waits for.
//!
//! No guard of the map is held while a task runs or waits. A task that serializes its own key again
//! waits for itself, until its bound.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::lock::Wait;
use crate::error::{Error, Kind, Result};
use crate::sync::{Condvar, DashMap, Mutex, MutexGuard};

/// How often a waiting caller looks whether it was asked to stop.
const LOOK: Duration = Duration::from_millis(50);

/// Runs the tasks of one key in order.
#[derive(Default)]
pub(super) struct KeyedSerializer {
    queues: DashMap<String, Arc<Queue>>,
}

#[derive(Default)]
struct Queue {
    line: Mutex<Line>,
    moved: Condvar,
}

#[derive(Default)]
struct Line {
    next: u64,
    /// Who runs (in front) and who waits.
    tickets: VecDeque<u64>,
}

impl Queue {
    // Nothing panics while the line is locked, and a line is whole after each statement.
    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the line of a key; leaves it when dropped.
struct Place<'a> {
    serializer: &'a KeyedSerializer,
    key: &'a str,
    queue: Arc<Queue>,
    ticket: u64,
}

impl KeyedSerializer {
    /// Waits for its turn, then runs `task` and gives its outcome.
    ///
    /// Fails with [`Kind::Invalid`] for an empty key, at once; with [`Kind::Busy`] if its turn does
    /// not come within the bound, and with [`Kind::Interrupted`] if the caller gives up before. Then
    /// the task does not run.
    pub fn serialize<T>(&self, key: &str, wait: &Wait<'_>, task: impl FnOnce() -> Result<T>) -> Result<T> {
        if key.is_empty() {
            return Err(Error::new(Kind::Invalid, "queue a task", "its key is empty"));
        }
        let place = self.enter(key);
        place.wait_for_turn(wait)?;
        task()
    }

    fn enter<'a>(&'a self, key: &'a str) -> Place<'a> {
        // The ticket is drawn under the map's guard, so that a queue is never removed with a ticket
        // in it.
        let entry = self.queues.entry(key.to_owned()).or_default();
        let queue = Arc::clone(&entry);
        let mut line = queue.line();
        let ticket = line.next;
        line.next += 1;
        line.tickets.push_back(ticket);
        drop(line);
        drop(entry);
        Place { serializer: self, key, queue, ticket }
    }

    /// How many keys are in use.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.queues.len()
    }

    /// How many stand in the line of `key`, who runs included.
    #[cfg(test)]
    pub fn in_line(&self, key: &str) -> usize {
        let queue = self.queues.get(key).map(|queue| Arc::clone(&queue));
        queue.map_or(0, |queue| queue.line().tickets.len())
    }
}

impl Place<'_> {
    fn wait_for_turn(&self, wait: &Wait<'_>) -> Result<()> {
        let started = Instant::now();
        let mut line = self.queue.line();
        while line.tickets.front() != Some(&self.ticket) {
            if (wait.cancelled)() {
                return Err(Error::new(Kind::Interrupted, "wait for a turn", "the caller gave up"));
            }
            let left = wait.bound.saturating_sub(started.elapsed());
            if left.is_zero() {
                return Err(Error::new(
                    Kind::Busy,
                    "wait for a turn",
                    "this process is still busy with an earlier task for the same source",
                ));
            }
            let waited = self.queue.moved.wait_timeout(line, left.min(LOOK));
            line = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.queue.line().tickets.retain(|ticket| *ticket != self.ticket);
        self.queue.moved.notify_all();
        self.serializer.queues.remove_if(self.key, |_, queue| queue.line().tickets.is_empty());
    }
}

#[cfg(all(test, feature = "schedules"))]
mod schedules;

#[cfg(all(test, not(feature = "schedules")))]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    const LONG: Wait<'static> = Wait { bound: Duration::from_secs(60), cancelled: &|| false };

    fn failure(text: &str) -> Error {
        Error::new(Kind::Io, "run a task", text)
    }

    /// Waits until `count` callers stand in the line of `key`.
    fn wait_for_line(serializer: &KeyedSerializer, key: &str, count: usize) {
        while serializer.in_line(key) != count {
            thread::yield_now();
        }
    }

    /// Queues `tasks` in order behind a first task that ends when all of them stand in line.
    fn in_line(serializer: &KeyedSerializer, key: &str, tasks: Vec<Box<dyn FnOnce() -> Result<()> + Send>>) {
        let all_there = Barrier::new(2);
        thread::scope(|scope| {
            let all_there = &all_there;
            scope.spawn(move || {
                serializer.serialize(key, &LONG, || {
                    all_there.wait();
                    Ok(())
                })
            });
            wait_for_line(serializer, key, 1);
            for (number, task) in tasks.into_iter().enumerate() {
                scope.spawn(move || {
                    let _ = catch_unwind(AssertUnwindSafe(|| serializer.serialize(key, &LONG, task)));
                });
                wait_for_line(serializer, key, number + 2);
            }
            all_there.wait();
        });
    }

    #[test]
    fn one_key_runs_in_order() {
        let serializer = KeyedSerializer::default();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let tasks = (0..8).map(|number| {
            let seen = Arc::clone(&seen);
            Box::new(move || {
                seen.lock().unwrap().push(number);
                Ok(())
            }) as Box<dyn FnOnce() -> Result<()> + Send>
        });
        in_line(&serializer, "a", tasks.collect());
        assert_eq!(*seen.lock().unwrap(), (0..8).collect::<Vec<_>>());
    }

    #[test]
    fn tasks_of_one_key_never_overlap() {
        let serializer = KeyedSerializer::default();
        let inside = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let task = || {
                            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                            thread::yield_now();
                            inside.fetch_sub(1, Ordering::SeqCst);
                            Ok(())
                        };
                        serializer.serialize("a", &LONG, task).unwrap();
                    }
                });
            }
        });
        assert_eq!(serializer.len(), 0);
    }

    #[test]
    fn different_keys_run_at_once() {
        let serializer = KeyedSerializer::default();
        // Each task ends only when the other has begun.
        let both = Barrier::new(2);
        thread::scope(|scope| {
            for key in ["a", "b"] {
                let (serializer, both) = (&serializer, &both);
                scope.spawn(move || {
                    serializer.serialize(key, &LONG, || {
                        both.wait();
                        Ok(())
                    })
                });
            }
        });
    }

    #[test]
    fn the_value_comes_back() {
        assert_eq!(KeyedSerializer::default().serialize("a", &LONG, || Ok(41 + 1)).unwrap(), 42);
    }

    /// The chain that one writes first: each task waits for the outcome of the one before.
    #[test]
    fn a_naive_chain_poisons_what_follows_and_this_does_not() {
        let mut chain: Result<u32> = Ok(0);
        let tasks: [fn() -> Result<u32>; 3] = [|| Ok(1), || Err(failure("second")), || Ok(3)];
        for task in tasks {
            chain = chain.and_then(|_| task());
        }
        assert!(chain.is_err(), "the third never ran");

        let serializer = KeyedSerializer::default();
        let outcomes = tasks.map(|task| serializer.serialize("a", &LONG, task).ok());
        assert_eq!(outcomes, [Some(1), None, Some(3)]);
    }

    #[test]
    fn a_failure_reaches_its_caller_alone() {
        let serializer = KeyedSerializer::default();
        let error = serializer.serialize::<()>("a", &LONG, || Err(failure("mine"))).unwrap_err();
        assert_eq!(error.why(), "mine");
        assert_eq!(serializer.serialize("a", &LONG, || Ok(2)).unwrap(), 2);
    }

    #[test]
    fn those_in_line_behind_a_failure_and_a_panic_run() {
        let serializer = KeyedSerializer::default();
        let ran = Arc::new(AtomicUsize::new(0));
        let mut tasks: Vec<Box<dyn FnOnce() -> Result<()> + Send>> =
            vec![Box::new(|| Err(failure("one"))), Box::new(|| panic!("two"))];
        for _ in 0..10 {
            let ran = Arc::clone(&ran);
            tasks.push(Box::new(move || {
                ran.fetch_add(1, Ordering::SeqCst);
                Ok(())
            }));
        }
        in_line(&serializer, "a", tasks);
        assert_eq!(ran.load(Ordering::SeqCst), 10);
        assert_eq!(serializer.len(), 0);
    }

    #[test]
    fn a_panic_reaches_its_caller_and_leaves_nothing() {
        let serializer = KeyedSerializer::default();
        let panicked =
            catch_unwind(AssertUnwindSafe(|| serializer.serialize::<()>("a", &LONG, || panic!("mine"))));
        assert_eq!(*panicked.unwrap_err().downcast::<&str>().unwrap(), "mine");
        assert_eq!(serializer.len(), 0);
    }

    #[test]
    fn a_failure_of_one_key_does_not_touch_another() {
        let serializer = KeyedSerializer::default();
        let failed = serializer.serialize("a", &LONG, || {
            assert_eq!(serializer.serialize("b", &LONG, || Ok(1)).unwrap(), 1);
            Err::<(), _>(failure("a"))
        });
        assert!(failed.is_err());
        assert_eq!(serializer.serialize("b", &LONG, || Ok(2)).unwrap(), 2);
    }

    #[test]
    fn a_key_is_known_while_it_runs_and_gone_after() {
        let serializer = KeyedSerializer::default();
        assert_eq!(serializer.len(), 0);
        serializer
            .serialize("a", &LONG, || {
                assert_eq!(serializer.len(), 1);
                Ok(())
            })
            .unwrap();
        assert_eq!(serializer.len(), 0);
    }

    #[test]
    fn fifty_in_sequence_leave_nothing() {
        let serializer = KeyedSerializer::default();
        for number in 0..50 {
            assert_eq!(serializer.serialize("a", &LONG, || Ok(number)).unwrap(), number);
            assert_eq!(serializer.len(), 0);
        }
    }

    #[test]
    fn an_empty_key_is_refused_at_once() {
        let refused = KeyedSerializer::default().serialize("", &LONG, || Ok(()));
        assert_eq!(refused.unwrap_err().kind(), Kind::Invalid);
    }

    #[test]
    fn a_wait_ends_at_its_bound_or_when_the_caller_gives_up_and_the_line_goes_on() {
        let serializer = KeyedSerializer::default();
        serializer
            .serialize("a", &LONG, || {
                for (wait, kind) in [
                    (Wait { bound: Duration::from_millis(5), cancelled: &|| false }, Kind::Busy),
                    (Wait { cancelled: &|| true, ..LONG }, Kind::Interrupted),
                ] {
                    let error = serializer.serialize::<()>("a", &wait, || panic!("it ran")).unwrap_err();
                    assert_eq!(error.kind(), kind);
                }
                Ok(())
            })
            .unwrap();
        assert_eq!(serializer.serialize("a", &LONG, || Ok(1)).unwrap(), 1);
        assert_eq!(serializer.len(), 0);
    }
}
