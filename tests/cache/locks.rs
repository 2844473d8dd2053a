//! P4 and P5: a dead holder holds nothing, a live one keeps its lock, and every wait has a bound.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use nix::sys::signal::Signal;
use srcfs::cache::{Freshness, LockKind};

use crate::process::Job;
use crate::upstream::{World, key, version};

#[test]
fn a_stopped_fetcher_is_waited_for_named_and_free_when_it_is_killed() {
    let world = World::new();
    let fetcher = Job::new(&world, "get").fault("fetch.prepared:stop").start();
    fetcher.wait_for_stop();

    let waiter = Job::new(&world, "get").patience(Duration::from_millis(300)).run().unwrap();
    assert!(waiter.starts_with("error Busy"), "{waiter}");
    assert!(waiter.contains(&format!("process {}", fetcher.id())), "{waiter}");
    let cache = world.open();
    let holders = cache.lock_holders();
    assert_eq!(holders.len(), 1);
    assert_eq!(holders[0].lock, LockKind::Fetch);
    assert_eq!(i64::from(holders[0].pid), i64::from(fetcher.id().as_raw()));
    // Its staging is in use, so opening the cache left it alone.
    assert_eq!(world.names("staging").len(), 2);

    fetcher.signal(Signal::SIGKILL);
    assert_eq!(fetcher.finish(), None);
    assert!(cache.lock_holders().is_empty());
    assert_eq!(version(&world.get(&cache, Freshness::Cached).unwrap().snapshot), 1);
    cache.reap();
    world.assert_whole(&cache);
}

#[test]
fn a_stopped_fetcher_that_goes_on_completes() {
    let world = World::new();
    let fetcher = Job::new(&world, "get").fault("fetch.prepared:stop").start();
    fetcher.wait_for_stop();
    let waiter = Job::new(&world, "get").start();
    fetcher.signal(Signal::SIGCONT);
    assert_eq!(fetcher.finish().unwrap(), "version 1");
    assert_eq!(waiter.finish().unwrap(), "version 1");
    assert_eq!(world.fetches(), 1);
}

#[test]
fn a_fetcher_killed_in_its_commit_leaves_both_locks_free() {
    let world = World::new();
    assert_eq!(Job::new(&world, "get").fault("publish.renamed:kill").run(), None);
    let cache = world.open();
    assert_eq!(version(&world.get(&cache, Freshness::Cached).unwrap().snapshot), 1);
    world.assert_whole(&cache);
}

#[test]
fn with_its_lock_file_removed_by_hand_a_fetcher_is_refused_at_commit() {
    let world = World::new();
    let first = Job::new(&world, "get").fault("fetch.prepared:stop").start();
    first.wait_for_stop();
    for name in world.names("locks") {
        fs::remove_file(world.v1("locks").join(name)).unwrap();
    }
    assert_eq!(Job::new(&world, "get").run().unwrap(), "version 1");
    // Replacing it makes a new file, whatever its content.
    let published = fs::File::open(world.mirror().join("state.json")).unwrap();

    first.signal(Signal::SIGCONT);
    // Refused, it looks again and finds what the second published.
    assert_eq!(first.finish().unwrap(), "version 1");
    assert_eq!(world.fetches(), 2);
    let state = fs::metadata(world.mirror().join("state.json")).unwrap();
    assert_eq!(state.ino(), published.metadata().unwrap().ino(), "the first committed too");
    world.assert_whole(&world.open());
}

#[test]
fn with_the_commit_lock_file_removed_by_hand_the_first_is_refused() {
    let world = World::new();
    // Stopped when everything but the pointer is done.
    let first = Job::new(&world, "get").fault("replace.written:stop").start();
    first.wait_for_stop();
    fs::remove_file(world.v1("locks").join(format!("{}.commit", key().digest()))).unwrap();
    let cache = world.open();
    assert_eq!(cache.clear(&key()).unwrap().generation, None);
    first.signal(Signal::SIGCONT);
    assert_eq!(first.finish().unwrap(), "version 1");
    let state = cache.state(&key()).unwrap().unwrap();
    assert_eq!(state.snapshots.len(), 1);
    // The refused commit's generation is gone with it.
    cache.reap();
    world.assert_whole(&cache);
    assert_eq!(world.fetches(), 2);
}

#[test]
fn a_caller_that_gives_up_is_let_go_and_the_fetch_goes_on() {
    let world = World::new();
    let fetcher = Job::new(&world, "get").fault("fetch.prepared:stop").start();
    fetcher.wait_for_stop();
    let cache = world.open();
    let progress = std::sync::Arc::new(srcfs::source::Progress::default());
    let outcome = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let reference = srcfs::key::Reference::Default;
            cache.get(&world.source(), &key(), &reference, Freshness::Cached, "a test", &progress)
        });
        progress.cancel();
        waiting.join().unwrap()
    });
    assert_eq!(outcome.unwrap_err().kind(), srcfs::error::Kind::Interrupted);
    fetcher.signal(Signal::SIGCONT);
    assert_eq!(fetcher.finish().unwrap(), "version 1");
    assert!(cache.failures().is_empty());
}
