//! The serializer under many schedules.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst as Std};

use shuttle::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use shuttle::thread;

use super::*;
use crate::sync::explore;

const LONG: Wait<'static> = Wait { bound: Duration::from_secs(3600), cancelled: &|| false };

/// A serializer, and what those saw who were inside. The order of events is counted without a step of
/// the schedule, so with std's atomics.
#[derive(Default)]
struct Desk {
    serializer: KeyedSerializer,
    inside: AtomicU32,
    clock: AtomicUsize,
    ran: std::sync::Mutex<Vec<(usize, usize)>>,
}

impl Desk {
    /// What `serialize` does, noting when it began and ended to draw its ticket.
    fn work(&self, key: &str, wait: &Wait<'_>) -> Result<()> {
        let before = self.clock.fetch_add(1, Std);
        let place = self.serializer.enter(key);
        let after = self.clock.fetch_add(1, Std);
        place.wait_for_turn(wait)?;
        assert_eq!(self.inside.fetch_add(1, SeqCst), 0, "two at once");
        thread::yield_now();
        self.ran.lock().unwrap().push((before, after));
        self.inside.fetch_sub(1, SeqCst);
        Ok(())
    }

    /// Time passes: every waiter looks up.
    fn tick(&self) {
        for queue in self.serializer.queues.values() {
            queue.moved.notify_all();
        }
    }

    fn end(&self) {
        assert_eq!(self.serializer.len(), 0, "a key is left");
        let ran = self.ran.lock().unwrap();
        for (position, (_, first)) in ran.iter().enumerate() {
            let overtaken = ran[..position].iter().find(|(later, _)| later > first);
            assert!(overtaken.is_none(), "out of order: {ran:?}");
        }
    }
}

type Job = Box<dyn FnOnce(&Desk) + Send>;

fn all(desk: &Arc<Desk>, jobs: Vec<Job>) {
    let start = |job: Job| {
        let desk = Arc::clone(desk);
        thread::spawn(move || job(&desk))
    };
    let threads: Vec<_> = jobs.into_iter().map(start).collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn tasks_of_one_key_run_in_order_and_never_two_at_once_and_nobody_is_forgotten() {
    explore(3000, || {
        let desk = Arc::new(Desk::default());
        let twice = |_| {
            Box::new(|desk: &Desk| {
                desk.work("a", &LONG).unwrap();
                desk.work("a", &LONG).unwrap();
            }) as Job
        };
        all(&desk, (0..3).map(twice).collect());
        assert_eq!(desk.ran.lock().unwrap().len(), 6);
        desk.end();
    });
}

#[test]
fn one_who_gives_up_leaves_the_line_and_the_line_goes_on() {
    explore(3000, || {
        let desk = Arc::new(Desk::default());
        let given_up = Arc::new(AtomicBool::new(false));
        let gives_up = Arc::clone(&given_up);
        all(
            &desk,
            vec![
                Box::new(|desk| desk.work("a", &LONG).unwrap()),
                Box::new(move |desk| {
                    let cancelled = || gives_up.load(SeqCst);
                    let outcome = desk.work("a", &Wait { cancelled: &cancelled, ..LONG });
                    if let Err(error) = outcome {
                        assert!(error.kind() == Kind::Interrupted && gives_up.load(SeqCst));
                    }
                }),
                Box::new(|desk| {
                    let outcome = desk.work("a", &Wait { bound: Duration::ZERO, ..LONG });
                    assert!(outcome.is_ok() || outcome.unwrap_err().kind() == Kind::Busy);
                }),
                Box::new(|desk| desk.work("a", &LONG).unwrap()),
                Box::new(move |desk| {
                    given_up.store(true, SeqCst);
                    desk.tick();
                }),
            ],
        );
        assert!(desk.ran.lock().unwrap().len() >= 2);
        desk.end();
    });
}

#[test]
fn a_panic_of_one_reaches_nobody_else() {
    explore(3000, || {
        let desk = Arc::new(Desk::default());
        let panics = |desk: &Desk| {
            // Without the hook, which prints each of them.
            let task = || -> Result<()> { resume_unwind(Box::new("mine")) };
            let outcome = catch_unwind(AssertUnwindSafe(|| desk.serializer.serialize("a", &LONG, task)));
            assert_eq!(*outcome.unwrap_err().downcast::<&str>().unwrap(), "mine");
        };
        all(
            &desk,
            vec![
                Box::new(panics),
                Box::new(|desk| desk.work("a", &LONG).unwrap()),
                Box::new(|desk| desk.work("a", &LONG).unwrap()),
            ],
        );
        assert_eq!(desk.ran.lock().unwrap().len(), 2);
        desk.end();
    });
}

#[test]
fn a_key_waits_for_no_other() {
    explore(3000, || {
        let desk = Arc::new(Desk::default());
        let (send, receive) = shuttle::sync::mpsc::channel();
        all(
            &desk,
            vec![
                Box::new(move |desk| {
                    let waits = || receive.recv().map_err(|_| Error::new(Kind::Io, "wait", "nobody came"));
                    desk.serializer.serialize("a", &LONG, waits).unwrap();
                }),
                Box::new(move |desk| {
                    desk.serializer
                        .serialize("b", &LONG, || {
                            send.send(()).unwrap();
                            Ok(())
                        })
                        .unwrap();
                }),
            ],
        );
        desk.end();
    });
}
