//! What the line of a key gives that neither joining nor the fetch lock does: order.

use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use super::*;
use crate::cache::Options;
use crate::cache::lock::Wait;
use crate::key::GitUrl;
use crate::source::{Prepared, Workplace};

/// Writes down what it is asked for, and has none of it.
#[derive(Default)]
struct Absent {
    asked: Mutex<Vec<String>>,
}

impl Source for Absent {
    fn resolve(&self, key: &Key, reference: &Reference, _: &[Revision], _: &Progress) -> Result<Resolved> {
        self.asked.lock().unwrap().push(reference.to_string());
        Err(Error::new(Kind::NotFound, format!("resolve {key}@{reference}"), "there is nothing"))
    }

    fn prepare(&self, _: &Key, resolved: &Resolved, _: Workplace<'_>, _: &Progress) -> Result<Prepared> {
        panic!("{resolved:?} was never said to exist")
    }
}

/// Each wants another reference, so none joins another's flight, and a lock that everybody polls goes
/// to whoever looks first.
#[test]
fn callers_of_one_key_are_served_in_the_order_they_came() {
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::open(directory.path(), Options::default()).unwrap();
    let key = Key::git(GitUrl::parse("https://example.org/a/b").unwrap());
    let source = Absent::default();
    let locks = cache.layout.locks();
    let another_process = KeyLock::new(locks, &key).fetch(&Wait::never(), "fetch for a test").unwrap();
    thread::scope(|scope| {
        let (cache, key, source) = (&cache, &key, &source);
        for number in 0..12_usize {
            scope.spawn(move || {
                let reference = Reference::parse(&format!("branch-{number}")).unwrap();
                let got = cache.get(source, key, &reference, Freshness::Cached, "a test", &Arc::default());
                assert_eq!(got.unwrap_err().kind(), Kind::NotFound);
            });
            let started = Instant::now();
            while cache.serializer.in_line(&key.digest()) != number + 1 {
                assert!(started.elapsed() < Duration::from_secs(20), "number {number} is not in line");
                thread::yield_now();
            }
        }
        drop(another_process);
    });
    let expected: Vec<String> = (0..12).map(|number| format!("branch-{number}")).collect();
    assert_eq!(*source.asked.lock().unwrap(), expected);
}
