//! P3: any number of readers, threads and processes, cause one fetch.

use std::sync::Barrier;
use std::time::Duration;

use srcfs::cache::{Freshness, LockKind};
use srcfs::key::Reference;

use crate::process::Job;
use crate::upstream::{World, get, key, version};

#[test]
fn many_threads_cause_one_fetch() {
    let world = World::new();
    let cache = world.open();
    let together = Barrier::new(16);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                together.wait();
                let fetched = world.get(&cache, Freshness::Cached).unwrap();
                assert_eq!(version(&fetched.snapshot), 1);
            });
        }
    });
    assert_eq!(world.fetches(), 1);
    world.assert_whole(&cache);
}

#[test]
fn many_processes_cause_one_fetch() {
    let world = World::new();
    let processes: Vec<_> = (0..6).map(|_| Job::new(&world, "get").start()).collect();
    for process in processes {
        assert_eq!(process.finish().unwrap(), "version 1");
    }
    assert_eq!(world.fetches(), 1);
    world.assert_whole(&world.open());
}

#[test]
fn who_waits_for_a_fetch_reads_what_was_published_without_its_lock() {
    let world = World::new();
    let cache = world.open();
    let fetched = world.get(&cache, Freshness::Cached).unwrap();
    let state = world.mirror().join("state.json");
    let aside = world.directory().join("state.json");
    std::fs::rename(&state, &aside).unwrap();
    let held = cache.hold_lock(&key(), LockKind::Fetch).unwrap();
    let waiter = Job::new(&world, "get").patience(Duration::from_secs(20)).start();
    // Not for order: it passes as well if it comes too late to wait.
    std::thread::sleep(Duration::from_millis(500));
    std::fs::rename(&aside, &state).unwrap();
    assert_eq!(waiter.finish().unwrap(), "version 1");
    drop((held, fetched));
    assert_eq!(world.fetches(), 1);
}

#[test]
fn what_is_cached_is_given_without_asking() {
    let world = World::new();
    let cache = world.open();
    let first = world.get(&cache, Freshness::Cached).unwrap();
    assert!(first.fetched && !first.changed && first.transferred > 0);
    world.disconnect();
    for freshness in [Freshness::Cached, Freshness::NotOlderThan(Duration::from_secs(3600))] {
        let again = world.get(&cache, freshness).unwrap();
        assert!(!again.fetched && again.failed.is_none());
        assert_eq!(again.snapshot.revision(), first.snapshot.revision());
    }
    assert!(world.get(&cache, Freshness::Now).is_err());
}

#[test]
fn two_references_of_one_revision_share_its_objects() {
    let world = World::new();
    let cache = world.open();
    let default = world.get(&cache, Freshness::Cached).unwrap().snapshot;
    let main = Reference::parse("main").unwrap();
    let named = get(&cache, &world.source(), &main, Freshness::Cached).unwrap();
    assert!(!named.fetched);
    assert_eq!(named.snapshot.revision(), default.revision());
    assert_eq!(named.snapshot.generation(), default.generation());
    // The full id needs no asking at all.
    world.disconnect();
    let id = Reference::parse(default.revision().as_str()).unwrap();
    assert_eq!(version(&cache.peek(&key(), &id).unwrap().unwrap()), 1);
    assert_eq!(world.fetches(), 1);
}

#[test]
fn a_remembered_resolution_that_the_upstream_took_back_is_asked_again() {
    let world = World::new();
    let cache = world.open();
    let progress = std::sync::Arc::default();
    cache.resolve(&world.source(), &key(), &Reference::Default, Freshness::Cached, &progress).unwrap();
    world.git(&["checkout", "-q", "--orphan", "other"]);
    world.publish(5);
    world.git(&["branch", "-D", "main"]);
    world.git(&["reflog", "expire", "--expire=now", "--all"]);
    world.git(&["gc", "-q", "--prune=now"]);
    assert_eq!(version(&world.get(&cache, Freshness::Cached).unwrap().snapshot), 5);
}

#[test]
fn a_resolution_is_used_by_the_get_that_follows() {
    let world = World::new();
    let cache = world.open();
    let hour = Freshness::NotOlderThan(Duration::from_secs(3600));
    let progress = std::sync::Arc::default();
    let resolved = cache.resolve(&world.source(), &key(), &Reference::Default, hour, &progress).unwrap();
    assert_eq!(world.fetches(), 0);
    let moved = world.publish(2);
    // Within the hour nobody asks again; the revision is the one that was answered.
    let fetched = world.get(&cache, hour).unwrap();
    assert_eq!(fetched.snapshot.resolved(), &resolved);
    // Now is now.
    assert_eq!(world.get(&cache, Freshness::Now).unwrap().snapshot.revision().as_str(), moved);
}
