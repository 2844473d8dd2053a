//! P1 and P4: killed, or failed, at any point, it leaves the old state or the new one, and the next
//! who comes goes on.

use std::cell::Cell;

use srcfs::cache::{Freshness, Mode};
use srcfs::key::Reference;

use crate::process::Job;
use crate::upstream::{World, key, version};

/// Does `job` in new processes, each with a fault at the next point, until none is left; before and
/// after each one, looks at what a fresh process finds.
fn at_every_point(world: &World, job: &str, before: impl Fn(), check: impl Fn(&str)) {
    let mut points = 0;
    for mode in ["kill", "error"] {
        for number in 1.. {
            before();
            let fault = format!("{number}:{mode}");
            let survived = Job::new(world, job).fault(&fault).run().is_some();
            check(&fault);
            if mode == "kill" && survived {
                points = number;
                break;
            }
            // One that fails on the way may pass a few more than one that succeeds.
            if mode == "error" && number > points + 3 {
                break;
            }
        }
    }
    assert!(points > 10, "only {points} points");
}

#[test]
fn a_first_fetch_that_dies_anywhere() {
    let world = World::new();
    let clear = || {
        world.open().clear(&key()).unwrap();
    };
    at_every_point(&world, "get", clear, |fault| {
        let cache = world.open();
        world.assert_whole(&cache);
        let fetched = world.get(&cache, Freshness::Cached).unwrap();
        assert_eq!(version(&fetched.snapshot), 1, "{fault}");
        world.assert_whole(&cache);
    });
}

#[test]
fn an_update_that_dies_anywhere() {
    let world = World::new();
    let (old, next) = (Cell::new(0), Cell::new(1));
    let publish = || {
        let cache = world.open();
        // Else every round looks at the snapshots of all rounds before.
        if old.get() % 5 == 0 {
            cache.clear(&key()).unwrap();
        }
        old.set(version(&world.get(&cache, Freshness::Now).unwrap().snapshot));
        next.set(old.get() + 1);
        world.publish(next.get());
    };
    at_every_point(&world, "update", publish, |fault| {
        let cache = world.open();
        world.assert_whole(&cache);
        let kept = cache.peek(&key(), &Reference::Default).unwrap().expect("the old or the new");
        assert!([old.get(), next.get()].contains(&version(&kept)), "{fault}");
        let updated = world.get(&cache, Freshness::Now).unwrap().snapshot;
        assert_eq!(version(&updated), next.get(), "{fault}");
        world.assert_whole(&cache);
    });
}

#[test]
fn an_eviction_that_dies_anywhere() {
    let world = World::new();
    let fill = || drop(world.get(&world.open(), Freshness::Cached).unwrap());
    at_every_point(&world, "evict", fill, |fault| {
        let cache = world.open();
        world.assert_whole(&cache);
        assert_eq!(version(&world.get(&cache, Freshness::Cached).unwrap().snapshot), 1, "{fault}");
    });
}

#[test]
fn a_shrink_that_dies_anywhere() {
    let world = World::new();
    let newest = Cell::new(2);
    crate::shrink::publish(&world, 2);
    let fill = || {
        let cache = world.open();
        // What the round before left stays, what is new makes it old.
        drop(world.get(&cache, Freshness::Now).unwrap());
        newest.set(newest.get() + 1);
        crate::shrink::publish(&world, newest.get());
        drop(world.get(&cache, Freshness::Now).unwrap());
        crate::quota::age(&cache, &key(), None, crate::quota::HOUR * 2);
    };
    at_every_point(&world, "gc", fill, |fault| {
        let cache = world.open();
        world.assert_whole(&cache);
        let kept = cache.peek(&key(), &Reference::Default).unwrap().expect("it stays, here or there");
        assert_eq!(version(&kept), newest.get(), "{fault}");
        drop(kept);
        let collected = cache.collect(Mode::Asked).unwrap();
        assert_eq!(cache.state(&key()).unwrap().unwrap().snapshots.len(), 1, "{fault}: {collected:?}");
        world.assert_whole(&cache);
    });
}

#[test]
fn a_clear_that_dies_anywhere() {
    let world = World::new();
    let fill = || drop(world.get(&world.open(), Freshness::Cached).unwrap());
    at_every_point(&world, "clear", fill, |fault| {
        let cache = world.open();
        world.assert_whole(&cache);
        if let Some(kept) = cache.peek(&key(), &Reference::Default).unwrap() {
            assert_eq!(version(&kept), 1, "{fault}");
        }
    });
}
