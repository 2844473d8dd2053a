//! In-process joining: callers that want the same at the same time share one outcome, also a failure.
//!
//! The first caller of a seat runs the work on its own thread; who comes while it runs waits and gets
//! a clone. A waiter can leave alone (it gave up, its bound was reached) without disturbing the work.
//! If the worker itself gave up or panicked, its waiters do not inherit that: one of them starts anew.
//!
//! A worker may [`depart`](Flight::depart) before it asks the outside world: who comes later then
//! starts a flight of its own, because "what is it now" must be asked after the question was put.

use std::hash::Hash;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::lock::Wait;
use crate::error::{Error, Kind, Result};
use crate::source::Progress;
use crate::sync::{Condvar, DashMap, Entry, Mutex, MutexGuard};

/// How often a waiting caller copies the progress and looks whether it was asked to stop.
const LOOK: Duration = Duration::from_millis(50);

/// Joins callers by seat.
pub(super) struct SingleFlight<S: Eq + Hash, T> {
    flights: DashMap<S, Arc<Shared<T>>>,
}

struct Shared<T> {
    landed: Mutex<Option<Landing<T>>>,
    changed: Condvar,
    progress: Arc<Progress>,
}

enum Landing<T> {
    Outcome(Result<T>),
    /// The worker gave up or panicked: nothing that its waiters should hear.
    Abandoned,
}

impl<T> Shared<T> {
    // Nothing panics while this is locked.
    fn landed(&self) -> MutexGuard<'_, Option<Landing<T>>> {
        self.landed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running flight, as its worker sees it.
pub(super) struct Flight<'a, S: Eq + Hash, T> {
    owner: &'a SingleFlight<S, T>,
    seat: &'a S,
    shared: Arc<Shared<T>>,
}

impl<S: Eq + Hash, T> Flight<'_, S, T> {
    /// Lets nobody join any more; those who did still get the outcome.
    pub fn depart(&self) {
        self.owner.flights.remove_if(self.seat, |_, shared| Arc::ptr_eq(shared, &self.shared));
    }

    fn land(&self, landing: Landing<T>) {
        self.depart();
        self.shared.landed().get_or_insert(landing);
        self.shared.changed.notify_all();
    }
}

impl<S: Eq + Hash, T> Drop for Flight<'_, S, T> {
    fn drop(&mut self) {
        // Only a panic gets here without an outcome.
        self.land(Landing::Abandoned);
    }
}

impl<S: Eq + Hash + Clone, T: Clone> SingleFlight<S, T> {
    /// With nobody in it.
    pub fn new() -> Self {
        SingleFlight { flights: DashMap::new() }
    }

    /// Joins the flight of `seat`, or runs `work` as a new one. `progress` is the caller's: work done
    /// by another caller is shown in it too.
    ///
    /// Fails as `work` does, and for one who waits also with [`Kind::TimedOut`] or
    /// [`Kind::Interrupted`].
    pub fn run(
        &self,
        seat: &S,
        progress: &Arc<Progress>,
        wait: &Wait<'_>,
        work: impl Fn(&Flight<'_, S, T>) -> Result<T>,
    ) -> Result<T> {
        loop {
            let joined = match self.flights.entry(seat.clone()) {
                Entry::Occupied(running) => Err(Arc::clone(running.get())),
                Entry::Vacant(free) => {
                    let shared = Arc::new(Shared {
                        landed: Mutex::new(None),
                        changed: Condvar::new(),
                        progress: Arc::clone(progress),
                    });
                    free.insert(Arc::clone(&shared));
                    Ok(Flight { owner: self, seat, shared })
                }
            };
            match joined {
                Ok(flight) => {
                    let outcome = work(&flight);
                    let gave_up = matches!(&outcome, Err(error) if error.kind() == Kind::Interrupted);
                    flight.land(if gave_up { Landing::Abandoned } else { Landing::Outcome(outcome.clone()) });
                    return outcome;
                }
                Err(shared) => {
                    if let Some(outcome) = follow(&shared, progress, wait)? {
                        return outcome;
                    }
                }
            }
        }
    }
}

/// Waits for somebody else's flight; `None` if it was abandoned.
fn follow<T: Clone>(shared: &Shared<T>, progress: &Progress, wait: &Wait<'_>) -> Result<Option<Result<T>>> {
    let started = Instant::now();
    let mut landed = shared.landed();
    loop {
        match &*landed {
            Some(Landing::Outcome(outcome)) => return Ok(Some(outcome.clone())),
            Some(Landing::Abandoned) => return Ok(None),
            None => {}
        }
        if (wait.cancelled)() {
            return Err(Error::new(Kind::Interrupted, "wait for a fetch", "the caller gave up"));
        }
        let left = wait.bound.saturating_sub(started.elapsed());
        if left.is_zero() {
            let why = "another thread of this process still fetches it";
            return Err(Error::new(Kind::TimedOut, "wait for a fetch", why)
                .hint("try again: the fetch goes on, and the next try joins it"));
        }
        let (objects, total) = shared.progress.objects();
        progress.set(shared.progress.bytes(), objects, total);
        let waited = shared.changed.wait_timeout(landed, left.min(LOOK));
        landed = waited.unwrap_or_else(PoisonError::into_inner).0;
    }
}

#[cfg(all(test, feature = "schedules"))]
mod schedules;

#[cfg(all(test, not(feature = "schedules")))]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    const LONG: Wait<'static> = Wait { bound: Duration::from_secs(60), cancelled: &|| false };

    fn flights() -> SingleFlight<&'static str, usize> {
        SingleFlight::new()
    }

    /// Waits until `count` callers besides the worker hold the flight of `seat`.
    fn wait_for_joiners(flights: &SingleFlight<&'static str, usize>, seat: &'static str, count: usize) {
        // The map, the worker, and each that joined.
        while flights.flights.get(seat).is_none_or(|shared| Arc::strong_count(&shared) < count + 2) {
            thread::yield_now();
        }
    }

    /// Runs `work` with eight callers joined to the first; what each got.
    fn together(work: impl Fn() -> Result<usize> + Sync) -> (Vec<Result<usize>>, usize) {
        let (flights, calls) = (flights(), AtomicUsize::new(0));
        let outcomes = thread::scope(|scope| {
            let call = || {
                flights.run(&"a", &Arc::default(), &LONG, |_| {
                    if calls.fetch_add(1, Ordering::SeqCst) == 0 {
                        wait_for_joiners(&flights, "a", 8);
                    }
                    work()
                })
            };
            let threads: Vec<_> = (0..9).map(|_| scope.spawn(call)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(flights.flights.is_empty());
        (outcomes, calls.load(Ordering::SeqCst))
    }

    #[test]
    fn those_who_come_meanwhile_share_the_value() {
        let (outcomes, calls) = together(|| Ok(7));
        assert_eq!(calls, 1);
        assert!(outcomes.iter().all(|outcome| *outcome.as_ref().unwrap() == 7));
    }

    #[test]
    fn those_who_come_meanwhile_share_the_failure() {
        let (outcomes, calls) = together(|| Err(Error::new(Kind::NotFound, "fetch", "no such thing")));
        assert_eq!(calls, 1);
        assert!(outcomes.iter().all(|outcome| outcome.as_ref().unwrap_err().kind() == Kind::NotFound));
    }

    #[test]
    fn a_worker_that_gave_up_or_panicked_is_replaced() {
        for panics in [false, true] {
            let (flights, calls) = (flights(), AtomicUsize::new(0));
            let work = |_: &Flight<'_, _, _>| {
                if calls.fetch_add(1, Ordering::SeqCst) == 0 {
                    wait_for_joiners(&flights, "a", 1);
                    assert!(!panics, "the worker panics");
                    return Err(Error::new(Kind::Interrupted, "fetch", "the caller gave up"));
                }
                Ok(2)
            };
            thread::scope(|scope| {
                let first = scope.spawn(|| {
                    catch_unwind(AssertUnwindSafe(|| flights.run(&"a", &Arc::default(), &LONG, work)))
                });
                while calls.load(Ordering::SeqCst) == 0 {
                    thread::yield_now();
                }
                let second = scope.spawn(|| flights.run(&"a", &Arc::default(), &LONG, work));
                assert_eq!(second.join().unwrap().unwrap(), 2);
                assert_eq!(first.join().unwrap().is_err(), panics);
            });
        }
    }

    #[test]
    fn a_waiter_leaves_alone() {
        let flights = flights();
        let outcome = flights.run(&"a", &Arc::default(), &LONG, |_| {
            for (wait, kind) in [
                (Wait { bound: Duration::from_millis(5), cancelled: &|| false }, Kind::TimedOut),
                (Wait { cancelled: &|| true, ..LONG }, Kind::Interrupted),
            ] {
                let left = flights.run(&"a", &Arc::default(), &wait, |_| panic!("it ran"));
                assert_eq!(left.unwrap_err().kind(), kind);
            }
            Ok(1)
        });
        assert_eq!(outcome.unwrap(), 1);
    }

    #[test]
    fn nobody_joins_after_departure() {
        let flights = flights();
        let first = flights.run(&"a", &Arc::default(), &LONG, |flight| {
            flight.depart();
            // Would wait for itself if it joined.
            assert_eq!(flights.run(&"a", &Arc::default(), &LONG, |_| Ok(2)).unwrap(), 2);
            Ok(1)
        });
        assert_eq!(first.unwrap(), 1);
        assert!(flights.flights.is_empty());
    }

    #[test]
    fn a_waiter_sees_the_progress_of_the_worker() {
        let flights = flights();
        let (worker, waiter) = (Arc::new(Progress::default()), Arc::new(Progress::default()));
        thread::scope(|scope| {
            let first = scope.spawn(|| {
                flights.run(&"a", &worker, &LONG, |_| {
                    worker.set(10, 2, 3);
                    while waiter.bytes() != 10 {
                        thread::yield_now();
                    }
                    Ok(1)
                })
            });
            while worker.bytes() != 10 {
                thread::yield_now();
            }
            flights.run(&"a", &waiter, &LONG, |_| Ok(1)).unwrap();
            first.join().unwrap().unwrap();
        });
        assert_eq!(waiter.objects(), (2, 3));
    }
}
