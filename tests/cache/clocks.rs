//! P5 and P7: a clock that was set, or stood still while the machine slept, costs no holder its lock and
//! makes nothing fresh that is not.

use std::fs;
use std::os::unix::fs::FileExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::sys::signal::Signal;
use srcfs::cache::Freshness;
use srcfs::key::Reference;

use crate::process::Job;
use crate::upstream::{World, key, version};

const YEAR: u64 = 365 * 24 * 3600;

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// What the file would say if the clock had been `time` when it was written.
fn redate(world: &World, time: u64) {
    let file = world.mirror().join("state.json");
    let mut state: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    for reference in state["references"].as_object_mut().unwrap().values_mut() {
        reference["checked"] = time.into();
    }
    for snapshot in state["snapshots"].as_object_mut().unwrap().values_mut() {
        snapshot["fetched"] = time.into();
    }
    fs::write(&file, serde_json::to_vec(&state).unwrap()).unwrap();
}

#[test]
fn an_answer_of_the_future_is_asked_again_and_one_of_the_past_served() {
    let day = Freshness::NotOlderThan(Duration::from_secs(24 * 3600));
    let world = World::new();
    drop(world.get(&world.open(), Freshness::Cached).unwrap());
    // Set back by an hour, and ahead by a year, since it was asked; and not at all.
    for (next, (time, is_asked)) in
        (2..).zip([(now() + 3600, true), (now() - YEAR, true), (now(), false), (0, true)])
    {
        redate(&world, time);
        world.publish(next);
        let cache = world.open();
        // What is cached is there whatever the clock says.
        assert_eq!(version(&cache.peek(&key(), &Reference::Default).unwrap().unwrap()), next - 1);
        let served = world.get(&cache, day).unwrap();
        assert_eq!(version(&served.snapshot) == next, is_asked, "asked at {time}");
        drop(world.get(&cache, Freshness::Now).unwrap());
    }
}

#[test]
fn a_holder_of_any_age_keeps_its_lock_and_its_staging() {
    let world = World::new();
    // Like one that sleeps with its machine.
    let holder = Job::new(&world, "get").fault("fetch.prepared:stop").start();
    holder.wait_for_stop();
    let lock = world.v1("locks").join(format!("{}.fetch", key().digest()));
    let staging: Vec<_> =
        world.names("staging").into_iter().map(|name| world.v1("staging").join(name)).collect();
    assert_eq!(staging.len(), 2);
    for time in [0, now() - YEAR, now() + YEAR] {
        let mut note: serde_json::Value = serde_json::from_slice(&fs::read(&lock).unwrap()).unwrap();
        note["since"] = time.into();
        // Into the same file, which stays locked.
        let file = fs::File::options().write(true).open(&lock).unwrap();
        let text = serde_json::to_vec(&note).unwrap();
        file.set_len(text.len() as u64).unwrap();
        file.write_all_at(&text, 0).unwrap();
        for path in staging.iter().chain([&lock]) {
            fs::File::open(path).unwrap().set_modified(UNIX_EPOCH + Duration::from_secs(time)).unwrap();
        }
        let waiter = Job::new(&world, "get").patience(Duration::from_millis(100)).run().unwrap();
        assert!(waiter.starts_with("error Busy"), "{waiter}");
        let cache = world.open();
        assert_eq!(cache.lock_holders().len(), 1);
        assert_eq!(cache.reap().staging, 0);
        assert!(staging.iter().all(|path| path.exists()), "what a living process prepares was reaped");
    }
    holder.signal(Signal::SIGCONT);
    assert_eq!(holder.finish().unwrap(), "version 1");
    assert_eq!(world.fetches(), 1);
}
