//! The single flight under many schedules.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst as Std};

use shuttle::sync::atomic::{AtomicBool, Ordering::SeqCst};
use shuttle::thread;

use super::*;
use crate::sync::explore;

const LONG: Wait<'static> = Wait { bound: Duration::from_secs(3600), cancelled: &|| false };

/// Flights of one seat, each of which gives its number. The order of events is counted without a step
/// of the schedule, so with std's atomics.
struct Airport {
    flights: SingleFlight<&'static str, usize>,
    clock: AtomicUsize,
    /// Of each flight: when it began, when nobody could join it any more as far as its worker knows, and
    /// whether it runs.
    log: std::sync::Mutex<Vec<(usize, Option<usize>)>>,
    aloft: AtomicUsize,
}

#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Stays,
    Departs,
    GivesUp,
    Panics,
}

impl Airport {
    fn new() -> Arc<Airport> {
        Arc::new(Airport {
            flights: SingleFlight::new(),
            clock: AtomicUsize::new(0),
            log: Default::default(),
            aloft: AtomicUsize::new(0),
        })
    }

    fn now(&self) -> usize {
        self.clock.fetch_add(1, Std)
    }

    fn work(&self, flight: &Flight<'_, &'static str, usize>, manner: Manner) -> Result<usize> {
        let number = {
            let mut log = self.log.lock().unwrap();
            log.push((self.now(), None));
            log.len() - 1
        };
        assert!(self.aloft.fetch_add(1, Std) == 0 || manner == Manner::Departs, "two flights at once");
        thread::yield_now();
        if manner == Manner::Departs {
            flight.depart();
            self.log.lock().unwrap()[number].1 = Some(self.now());
            thread::yield_now();
        }
        self.aloft.fetch_sub(1, Std);
        match manner {
            Manner::GivesUp => Err(Error::new(Kind::Interrupted, "fly", "the worker gave up")),
            Manner::Panics => resume_unwind(Box::new("the worker panicked")),
            Manner::Stays | Manner::Departs => {
                if manner == Manner::Stays {
                    self.log.lock().unwrap()[number].1 = Some(self.now());
                }
                Ok(number)
            }
        }
    }

    /// Takes a flight; its number. Nobody gets an outcome that was decided before they came.
    fn travel(&self, wait: &Wait<'_>, manner: Manner) -> Result<usize> {
        let came = self.now();
        let number = self.flights.run(&"a", &Arc::default(), wait, |flight| self.work(flight, manner))?;
        let closed = self.log.lock().unwrap()[number].1.expect("it gave an outcome");
        // One that stays takes passengers until it has landed, which is a moment after its last step.
        assert!(closed > came || manner != Manner::Departs, "an answer from before the question");
        Ok(number)
    }

    fn tick(&self) {
        for shared in self.flights.flights.values() {
            shared.changed.notify_all();
        }
    }
}

type Job = Box<dyn FnOnce(&Airport) + Send>;

fn all(airport: &Arc<Airport>, jobs: Vec<Job>) {
    let start = |job: Job| {
        let airport = Arc::clone(airport);
        thread::spawn(move || job(&airport))
    };
    let threads: Vec<_> = jobs.into_iter().map(start).collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(airport.flights.flights.len(), 0, "a flight is left");
}

fn travels(manner: Manner) -> Job {
    Box::new(move |airport| {
        airport.travel(&LONG, manner).unwrap();
    })
}

#[test]
fn there_is_one_flight_at_a_time_and_everybody_arrives() {
    explore(3000, || {
        let airport = Airport::new();
        all(&airport, (0..4).map(|_| travels(Manner::Stays)).collect());
        let flights = airport.log.lock().unwrap().len();
        assert!((1..=4).contains(&flights));
    });
}

#[test]
fn who_comes_after_the_departure_gets_a_flight_of_their_own() {
    explore(3000, || {
        let airport = Airport::new();
        all(&airport, (0..4).map(|_| travels(Manner::Departs)).collect());
    });
}

#[test]
fn a_worker_that_gave_up_or_panicked_is_replaced_by_one_of_those_who_wait() {
    for manner in [Manner::GivesUp, Manner::Panics] {
        explore(1500, move || {
            let airport = Airport::new();
            let first_fails = || {
                Box::new(move |airport: &Airport| {
                    let first = std::cell::Cell::new(false);
                    let outcome = catch_unwind(AssertUnwindSafe(|| {
                        airport.flights.run(&"a", &Arc::default(), &LONG, |flight| {
                            first.set(airport.log.lock().unwrap().is_empty());
                            airport.work(flight, if first.get() { manner } else { Manner::Stays })
                        })
                    }));
                    let arrived = outcome.is_ok_and(|outcome| outcome.is_ok());
                    assert_eq!(arrived, !first.get(), "the failure is the worker's own");
                }) as Job
            };
            all(&airport, vec![first_fails(), first_fails(), first_fails()]);
            assert!(airport.log.lock().unwrap().len() >= 2);
        });
    }
}

#[test]
fn a_waiter_that_gives_up_leaves_alone() {
    explore(3000, || {
        let airport = Airport::new();
        let given_up = Arc::new(AtomicBool::new(false));
        let gives_up = Arc::clone(&given_up);
        all(
            &airport,
            vec![
                travels(Manner::Stays),
                Box::new(move |airport| {
                    let cancelled = || gives_up.load(SeqCst);
                    match airport.travel(&Wait { cancelled: &cancelled, ..LONG }, Manner::Stays) {
                        Ok(_) => {}
                        Err(error) => assert!(error.kind() == Kind::Interrupted && gives_up.load(SeqCst)),
                    }
                }),
                Box::new(|airport| {
                    match airport.travel(&Wait { bound: Duration::ZERO, ..LONG }, Manner::Stays) {
                        Ok(_) => {}
                        Err(error) => assert_eq!(error.kind(), Kind::TimedOut),
                    }
                }),
                travels(Manner::Stays),
                Box::new(move |airport| {
                    given_up.store(true, SeqCst);
                    airport.tick();
                }),
            ],
        );
    });
}
