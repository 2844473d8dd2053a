//! Row "clear racing a fetch of the same key, 1,000 times": either outcome; never an error after a
//! successful lookup, never partial.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

use srcfs::cache::check::Thoroughness;

use crate::copying::with_source;
use crate::reader::wait_until;
use crate::stage::{Start, content, key, read};

const ROUNDS: usize = 1_000;

#[test]
fn a_thousand_clears_that_race_a_fetch_are_one_or_the_other() {
    with_source(|stage, source| {
        let case = stage.case(Start::Nothing);
        std::fs::create_dir(case.cache()).unwrap();
        // Three that share nothing in memory, like three processes.
        let caches = [case.open(), case.open(), case.open()];
        let (together, cleared) = (Barrier::new(3), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for cache in &caches[..2] {
                scope.spawn(|| {
                    for round in 0..ROUNDS {
                        together.wait();
                        let fetched =
                            source.get(cache).unwrap_or_else(|error| panic!("round {round}: {error}"));
                        assert_eq!(read(&fetched.snapshot).unwrap(), content("old"), "round {round}");
                    }
                });
            }
            for round in 0..ROUNDS {
                together.wait();
                // By and by through the whole of a fetch.
                for _ in 0..round % 97 * 40 {
                    std::hint::spin_loop();
                    std::thread::yield_now();
                }
                let done = caches[2].clear(&key()).unwrap().generation.is_some();
                cleared.fetch_add(usize::from(done), Ordering::Relaxed);
            }
        });
        let cleared = cleared.into_inner();
        println!("{ROUNDS} rounds: {cleared} cleared what was there, {} fetches", source.fetches());
        assert!(source.fetches() > ROUNDS / 4 && cleared > ROUNDS / 4, "they raced");
        drop(caches);
        wait_until("what was deleted is gone", || {
            case.open().reap();
            case.look(Thoroughness { settled: true, deep: true }).violations.is_empty()
        });
    });
}
