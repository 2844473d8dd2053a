//! P1 and P4: killed, or failed, at any point, it leaves the old state or the new one, and the next
//! who comes goes on.

use srcfs::cache::Freshness;
use srcfs::key::Reference;

use crate::process::Job;
use crate::upstream::{World, key, version};

/// Does `job` in a new process again and again, each time with the fault at the next point, until no
/// point is left; after each one, `check` looks at what a fresh process finds. How many points.
fn at_every_point(world: &World, job: &str, mode: &str, before: impl Fn(), check: impl Fn(u32)) -> u32 {
    for number in 1..1000 {
        before();
        let said = Job::new(world, job).fault(&format!("{number}:{mode}")).run();
        check(number);
        let untouched = match mode {
            "kill" => said.is_some(),
            // Some failures are met and passed over, so only the number of points tells the end.
            _ => said.is_some_and(|said| !said.starts_with("error")) && number > 60,
        };
        if untouched {
            return number - 1;
        }
    }
    panic!("there is no end of points");
}

#[test]
fn a_first_fetch_that_dies_anywhere() {
    for mode in ["kill", "error"] {
        let world = World::new();
        let clear = || {
            world.open().clear(&key()).unwrap();
        };
        let points = at_every_point(&world, "get", mode, clear, |number| {
            let cache = world.open();
            world.assert_whole(&cache);
            let fetched = world.get(&cache, Freshness::Cached).unwrap();
            assert_eq!(version(&fetched.snapshot), 1, "point {number}");
            world.assert_whole(&cache);
        });
        assert!(points > 10, "only {points} points");
    }
}

#[test]
fn an_update_that_dies_anywhere() {
    for mode in ["kill", "error"] {
        let world = World::new();
        let old = std::cell::Cell::new(0);
        let next = std::cell::Cell::new(1);
        let publish = || {
            let cache = world.open();
            old.set(version(&world.get(&cache, Freshness::Now).unwrap().snapshot));
            next.set(old.get() + 1);
            world.publish(next.get());
        };
        let points = at_every_point(&world, "update", mode, publish, |number| {
            let cache = world.open();
            world.assert_whole(&cache);
            let kept = cache.peek(&key(), &Reference::Default).unwrap().expect("the old or the new");
            assert!([old.get(), next.get()].contains(&version(&kept)), "point {number}");
            let updated = world.get(&cache, Freshness::Now).unwrap().snapshot;
            assert_eq!(version(&updated), next.get(), "point {number}");
            world.assert_whole(&cache);
        });
        assert!(points > 10, "only {points} points");
    }
}

#[test]
fn a_clear_that_dies_anywhere() {
    for mode in ["kill", "error"] {
        let world = World::new();
        let fill = || drop(world.get(&world.open(), Freshness::Cached).unwrap());
        let points = at_every_point(&world, "clear", mode, fill, |number| {
            let cache = world.open();
            world.assert_whole(&cache);
            if let Some(kept) = cache.peek(&key(), &Reference::Default).unwrap() {
                assert_eq!(version(&kept), 1, "point {number}");
            }
        });
        assert!(points > 10, "only {points} points");
    }
}
