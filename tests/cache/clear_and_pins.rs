//! P6: nothing that a reader uses is deleted, and what nobody uses leaves the disk.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use nix::sys::signal::Signal;
use srcfs::cache::{Cache, Cleared, Freshness};
use srcfs::key::Reference;

use crate::process::Job;
use crate::upstream::{World, key, version, wait_until};

fn gone(world: &World) -> bool {
    world.generations().is_empty() && world.names("trash").is_empty()
}

#[test]
fn what_nobody_reads_is_deleted_at_once() {
    let world = World::new();
    let cache = world.open();
    assert_eq!(cache.clear(&key()).unwrap(), Cleared::default());
    let generation = world.get(&cache, Freshness::Cached).unwrap().snapshot.generation().to_owned();
    let cleared = cache.clear(&key()).unwrap();
    assert_eq!(cleared.generation, Some(generation));
    assert!(cleared.freed > 200_000 && cleared.pending == 0, "{cleared:?}");
    assert!(gone(&world));
    assert!(cache.peek(&key(), &Reference::Default).unwrap().is_none());
    // The tombstone says when.
    let state = cache.state(&key()).unwrap().unwrap();
    assert_eq!((state.generation.as_ref(), state.cleared.as_ref()), (None, Some(&state.changed)));
    assert_eq!(cache.clear(&key()).unwrap().freed, 0);
}

#[test]
fn what_another_process_remembers_of_a_mirror_that_never_was_goes_with_a_clear() {
    let world = World::new();
    let (mount, verb) = (world.open(), world.open());
    let progress = std::sync::Arc::default();
    let resolve = || {
        let resolved =
            mount.resolve(&world.source(), &key(), &Reference::Default, Freshness::Cached, &progress);
        resolved.unwrap().revision.to_string()
    };
    let before = resolve();
    let now = world.publish(2);
    assert_eq!(resolve(), before, "it is remembered");
    assert_eq!(verb.clear(&key()).unwrap(), Cleared::default());
    assert_eq!(resolve(), now);
    assert_eq!(version(&world.get(&mount, Freshness::Cached).unwrap().snapshot), 2);
    assert!(verb.mirrors().unwrap().iter().all(|state| state.generation.is_some()));
}

#[test]
fn what_is_read_stays_until_the_last_reader_in_the_process_is_gone() {
    let world = World::new();
    let cache = world.open();
    let first = world.get(&cache, Freshness::Cached).unwrap().snapshot;
    let second = cache.peek(&key(), &Reference::Default).unwrap().unwrap();
    let cleared = cache.clear(&key()).unwrap();
    assert!(cleared.freed == 0 && cleared.pending > 200_000, "{cleared:?}");
    assert_eq!(cache.reap().pinned, 1);
    let third = world.get(&cache, Freshness::Cached).unwrap().snapshot;
    assert_ne!(third.generation(), first.generation());
    for snapshot in [&first, &second, &third] {
        assert_eq!(version(snapshot), 1);
    }
    drop(first);
    assert_eq!(world.generations().len(), 2);
    drop(second);
    wait_until("the old generation is gone", || world.generations() == [third.generation().to_owned()]);
    wait_until("the trash is empty", || world.names("trash").is_empty());
    assert_eq!(version(&third), 1);
}

#[test]
fn what_another_process_reads_stays_until_it_lets_go() {
    let world = World::new();
    let mut reader = Job::new(&world, "hold").start();
    assert_eq!(reader.says(), "version 1");
    let cleared = Job::new(&world, "clear").run().unwrap();
    assert_eq!(cleared, "cleared true");
    assert_eq!(world.generations().len(), 1);
    // It reads everything again before it lets go.
    assert_eq!(reader.finish().unwrap(), "version 1");
    // It may have ended before the trash was empty: then the next one finishes.
    assert!(world.generations().is_empty());
    Job::new(&world, "reap").run();
    assert!(gone(&world));
}

#[test]
fn a_dead_reader_pins_nothing() {
    let world = World::new();
    let mut reader = Job::new(&world, "hold").start();
    assert_eq!(reader.says(), "version 1");
    let cache = world.open();
    assert!(cache.clear(&key()).unwrap().pending > 0);
    reader.signal(Signal::SIGKILL);
    assert_eq!(reader.finish(), None);
    let reaped = cache.reap();
    assert!(reaped.generations == 1 && reaped.freed > 200_000, "{reaped:?}");
    assert!(gone(&world));
}

#[test]
fn a_clear_waits_for_no_fetch_and_the_fetch_becomes_the_next_generation() {
    let world = World::new();
    let cache = world.open();
    drop(world.get(&cache, Freshness::Cached).unwrap());
    world.publish(2);
    // It borrows from the generation that is cleared under it.
    let fetcher = Job::new(&world, "update").fault("verify.synced:stop").start();
    fetcher.wait_for_stop();
    let cleared = cache.clear(&key()).unwrap();
    assert!(cleared.pending > 0, "the fetcher pins what it borrows from");
    fetcher.signal(Signal::SIGCONT);
    assert_eq!(fetcher.finish().unwrap(), "version 2");
    assert_eq!(world.fetches(), 2, "nothing was fetched twice");
    cache.reap();
    // Complete by itself: the generation that it borrowed from is gone.
    assert_eq!(world.generations().len(), 1);
    world.assert_whole(&cache);
    let snapshot = cache.peek(&key(), &Reference::Default).unwrap().unwrap();
    assert_eq!(version(&snapshot), 2);
    let repository = world.mirror().join(snapshot.generation());
    assert!(!repository.join("objects/info/alternates").exists());
    world.git(&["--git-dir", repository.to_str().unwrap(), "fsck", "--full", "--strict"]);
}

#[test]
fn a_reader_that_pins_while_it_is_cleared_starts_over() {
    // Before it locked the pin file, and after, with the check still to come.
    for (point, left) in [("pin.opened:stop", 0), ("pin.locked:stop", 1)] {
        let world = World::new();
        let cache = world.open();
        drop(world.get(&cache, Freshness::Cached).unwrap());
        world.publish(2);
        let reader = Job::new(&world, "get").fault(point).start();
        reader.wait_for_stop();
        cache.clear(&key()).unwrap();
        assert_eq!(world.generations().len(), left, "{point}");
        reader.signal(Signal::SIGCONT);
        assert_eq!(reader.finish().unwrap(), "version 2", "{point}");
        // What kept the old one from being taken took it away itself.
        assert_eq!(world.generations().len(), 1, "{point}");
        cache.reap();
        world.assert_whole(&cache);
    }
}

#[test]
fn a_process_stopped_while_it_takes_a_generation_away_makes_nobody_wait() {
    let world = World::new();
    drop(world.get(&world.open(), Freshness::Cached).unwrap());
    let clearing = Job::new(&world, "clear").fault("trash.locked:stop").start();
    clearing.wait_for_stop();
    let cache = world.open();
    assert_eq!(version(&world.get(&cache, Freshness::Cached).unwrap().snapshot), 1);
    assert_eq!(world.generations().len(), 2);
    clearing.signal(Signal::SIGKILL);
    assert_eq!(clearing.finish(), None);
    assert_eq!(cache.reap().generations, 1);
    world.assert_whole(&cache);
}

/// Clears and gets of one key against each other; every get succeeds, and reads one whole version.
#[test]
fn clears_and_gets_race_without_an_error() {
    let world = World::new();
    // Two that share nothing in memory, like two processes.
    let caches = [world.open(), world.open()];
    let (done, cleared) = (AtomicBool::new(false), AtomicUsize::new(0));
    let read = |cache: &Cache, freshness: Freshness| {
        let fetched = world.get(cache, freshness).unwrap();
        assert_eq!(version(&fetched.snapshot), 1);
    };
    std::thread::scope(|scope| {
        for cache in &caches {
            let (read, done, cleared) = (&read, &done, &cleared);
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    read(cache, Freshness::Cached);
                }
            });
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    let cleared_one = cache.clear(&key()).unwrap().generation.is_some();
                    cleared.fetch_add(usize::from(cleared_one), Ordering::Relaxed);
                }
            });
        }
        let mut process = 0;
        while cleared.load(Ordering::Relaxed) < 60 || process < 4 {
            assert_eq!(Job::new(&world, "get").run().unwrap(), "version 1");
            process += 1;
        }
        done.store(true, Ordering::Relaxed);
    });
    // A process that ends while it still deletes leaves the rest to a reap.
    wait_until("the trash is empty", || {
        caches[0].reap();
        world.names("trash").is_empty()
    });
    world.assert_whole(&caches[0]);
}

#[test]
fn a_reference_keeps_the_time_of_its_change() {
    let world = World::new();
    let cache = world.open();
    drop(world.get(&cache, Freshness::Cached).unwrap());
    let changed = || cache.state(&key()).unwrap().unwrap().references[""].changed.clone();
    let first = changed();
    assert!(!world.get(&cache, Freshness::Now).unwrap().changed);
    assert_eq!(changed(), first, "confirmed, not changed");
    world.publish(2);
    assert!(world.get(&cache, Freshness::Now).unwrap().changed);
    let second = changed();
    assert!(second.ticks > first.ticks && second.boot_id == first.boot_id);
    cache.clear(&key()).unwrap();
    let cleared = cache.state(&key()).unwrap().unwrap().cleared.clone().unwrap();
    drop(world.get(&cache, Freshness::Cached).unwrap());
    assert_eq!(changed(), cleared, "what it showed before went with the clear");
}

#[test]
fn last_use_is_noted() {
    let world = World::new();
    let cache = world.open();
    assert_eq!(cache.last_used(&key()), None);
    cache.touch(&key(), "absent");
    let get = || world.get(&cache, Freshness::Cached).unwrap().snapshot.revision().to_string();
    let revision = get();
    let fetched = cache.last_used(&key()).unwrap();
    cache.touch(&key(), "absent");
    assert_eq!(cache.last_used(&key()).unwrap(), fetched);
    cache.touch(&key(), &revision);
    let touched = cache.last_used(&key()).unwrap();
    assert!(touched > fetched);
    get();
    assert!(cache.last_used(&key()).unwrap() > touched, "a verb is a use too");
}
