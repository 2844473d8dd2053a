//! The counts under many schedules.

use std::sync::Arc;

use shuttle::rand::{Rng, thread_rng};

use super::References;
use crate::sync::{explore, thread};

#[test]
fn what_is_handed_out_and_taken_back_at_once_adds_up() {
    explore(4000, || {
        let references = Arc::new(References::default());
        references.grow(3);
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let references = Arc::clone(&references);
                thread::spawn(move || {
                    for _ in 0..2 {
                        let (index, count) = (thread_rng().gen_range(0..3), thread_rng().gen_range(1..3));
                        for _ in 0..count {
                            references.take(index);
                        }
                        let total = references.total();
                        assert!((count..=12).contains(&total), "{total} while {count} are held");
                        let held: Vec<u32> = references.held().collect();
                        assert!(held.contains(&index), "{index} is held, and not among {held:?}");
                        let left = references.give_back(index, count);
                        assert!(left < 12, "{left} are left: it went below 0");
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(references.total(), 0);
        assert_eq!(references.held().count(), 0);
    });
}

#[test]
fn the_last_to_give_back_hears_that_nothing_is_left_and_is_the_only_one() {
    explore(4000, || {
        let references = Arc::new(References::default());
        references.grow(2);
        for index in [0, 1, 1] {
            references.take(index);
        }
        let threads = [0, 1, 1].map(|index| {
            let references = Arc::clone(&references);
            thread::spawn(move || references.give_back(index, 1) == 0)
        });
        let last = threads.into_iter().map(|thread| thread.join().unwrap());
        assert_eq!(last.filter(|last| *last).count(), 1);
    });
}

#[test]
fn a_kernel_that_forgets_too_much_takes_no_more_than_there_is() {
    explore(4000, || {
        let references = Arc::new(References::default());
        references.grow(2);
        for index in [0, 1, 1] {
            references.take(index);
        }
        let threads = [1, 1].map(|index| {
            let references = Arc::clone(&references);
            thread::spawn(move || references.give_back(index, 2))
        });
        for thread in threads {
            let left = thread.join().unwrap();
            assert!((1..=3).contains(&left), "{left}");
        }
        assert_eq!(references.total(), 1, "the root is still held");
        assert_eq!(references.held().collect::<Vec<_>>(), [0]);
    });
}
