//! The same promises where hosts share the cache and no kernel: locks, pins and staging are leases.
//!
//! A stopped process plays a host that is suspended or cut off: nothing here uses that the processes
//! share a kernel.

use std::fs;
use std::time::Duration;

use nix::sys::signal::Signal;
use srcfs::cache::Freshness;
use srcfs::cache::check::{Flaw, Thoroughness, check};
use srcfs::key::Reference;

use crate::disk::with_cache_on;
use crate::process::Job;
use crate::upstream::{World, key, options, version, wait_until};

/// For what is to be believed dead.
const BRIEF: Duration = Duration::from_millis(900);
/// For what is not, however busy the machine is.
const LASTING: Duration = Duration::from_secs(3);

/// Each cache that is opened shares nothing in memory with any other, like another host.
fn wait_and_reap_until_whole(world: &World) {
    let cache = world.open();
    wait_until("what was left is reaped", || {
        let pinned = cache.reap().pinned;
        pinned == 0 && world.names("staging").is_empty() && world.names("trash").is_empty()
    });
    world.assert_whole(&cache);
}

#[test]
fn many_processes_cause_one_fetch() {
    let world = World::leased(LASTING);
    let processes: Vec<_> = (0..6).map(|_| Job::new(&world, "get").start()).collect();
    for process in processes {
        assert_eq!(process.finish().unwrap(), "version 1");
    }
    assert_eq!(world.fetches(), 1);
    world.assert_whole(&world.open());
    // Nothing but the tokens stays of the locks, and nobody is thought alive.
    assert!(world.names("locks").iter().all(|name| name.ends_with(".last")), "{:?}", world.names("locks"));
    assert_eq!(world.names("alive"), [""; 0]);
}

#[test]
fn a_killed_fetcher_is_followed_by_the_next_after_the_stale_time() {
    for point in ["fetch.locked:kill", "fetch.prepared:kill", "publish.renamed:kill", "publish.stated:kill"] {
        let world = World::leased(BRIEF);
        assert_eq!(Job::new(&world, "get").fault(point).run(), None);
        let cache = world.open();
        assert_eq!(version(&world.get(&cache, Freshness::Cached).unwrap().snapshot), 1, "{point}");
        drop(cache);
        wait_and_reap_until_whole(&world);
        wait_until("nothing but the tokens stays of the locks", || {
            world.open().reap();
            world.names("locks").iter().all(|name| name.ends_with(".last"))
        });
    }
}

#[test]
fn one_that_dies_anywhere_leaves_the_old_or_the_new_and_the_next_goes_on() {
    let world = World::leased(Duration::from_millis(300));
    for number in 1.. {
        world.open().clear(&key()).unwrap();
        let survived = Job::new(&world, "get").fault(&format!("{number}:kill")).run().is_some();
        let cache = world.open();
        let fetched = world.get(&cache, Freshness::Cached).unwrap();
        assert_eq!(version(&fetched.snapshot), 1, "killed at {number}");
        if survived {
            assert!(number > 25, "only {number} points");
            break;
        }
    }
    wait_and_reap_until_whole(&world);
}

/// Where a commit may be stopped, around the one look that it takes at its lock before the rename.
const AROUND_THE_CHECK: [&str; 3] = ["publish.moved:stop", "replace.written:stop", "replace.checked:stop"];

#[test]
fn one_that_was_taken_over_can_never_publish_wherever_it_was_stopped() {
    for point in AROUND_THE_CHECK {
        let world = World::leased(BRIEF);
        let first = Job::new(&world, "get").fault(point).start();
        first.wait_for_stop();
        let old = world.git(&["rev-parse", "HEAD"]);
        world.publish(2);
        // Another host takes both locks over, and publishes a later version.
        assert_eq!(Job::new(&world, "get").run().unwrap(), "version 2", "{point}");
        let published = fs::read(world.mirror().join("state.json")).unwrap();

        first.signal(Signal::SIGCONT);
        // It had prepared version 1. Refused, it looks again, and finds what the second published.
        assert_eq!(first.finish().unwrap(), "version 2", "{point}");
        assert_eq!(world.fetches(), 2);
        assert_eq!(fs::read(world.mirror().join("state.json")).unwrap(), published, "{point}");
        let cache = world.open();
        let state = cache.state(&key()).unwrap().unwrap();
        assert!(!state.snapshots.contains_key(&old), "{point}: what the first brought is not there");
        assert_eq!(version(&cache.peek(&key(), &Reference::Default).unwrap().unwrap()), 2, "{point}");
        drop(cache);
        wait_and_reap_until_whole(&world);
    }
}

#[test]
fn one_that_was_taken_over_does_not_replace_the_shallow_file_either() {
    let world = World::leased(BRIEF);
    drop(world.get(&world.open(), Freshness::Cached).unwrap());
    world.publish(2);
    // The first file that an update replaces.
    let first = Job::new(&world, "update").fault("replace.checked:stop").start();
    first.wait_for_stop();
    let generation = world.mirror().join(&world.generations()[0]);
    let shallow = || fs::read_to_string(generation.join("shallow")).unwrap();
    let before = shallow();
    world.publish(3);
    assert_eq!(Job::new(&world, "update").run().unwrap(), "version 3");
    let published = shallow();
    assert_ne!(published, before);
    first.signal(Signal::SIGCONT);
    // It had prepared version 2.
    assert_eq!(first.finish().unwrap(), "version 3");
    assert_eq!(shallow(), published);
    wait_and_reap_until_whole(&world);
    assert_eq!(version(&world.open().peek(&key(), &Reference::Default).unwrap().unwrap()), 3);
}

#[test]
fn a_clear_that_was_taken_over_does_not_clear_what_came_after_it() {
    for point in ["replace.written:stop", "replace.checked:stop"] {
        let world = World::leased(BRIEF);
        drop(world.get(&world.open(), Freshness::Cached).unwrap());
        let clear = Job::new(&world, "clear").fault(point).start();
        clear.wait_for_stop();
        world.publish(2);
        assert_eq!(Job::new(&world, "update").run().unwrap(), "version 2");
        clear.signal(Signal::SIGCONT);
        let refused = clear.finish().unwrap();
        assert!(refused.starts_with("error Stale"), "{point}: {refused}");
        assert_eq!(version(&world.open().peek(&key(), &Reference::Default).unwrap().unwrap()), 2, "{point}");
    }
}

#[test]
fn one_that_was_taken_over_does_not_set_aside_what_came_after_a_torn_state() {
    let world = World::leased(BRIEF);
    drop(world.get(&world.open(), Freshness::Cached).unwrap());
    let state = world.mirror().join("state.json");
    let torn = fs::read(&state).unwrap()[..100].to_vec();
    fs::write(&state, &torn).unwrap();
    let first = Job::new(&world, "get").fault("state.torn:stop").start();
    first.wait_for_stop();
    world.publish(2);
    assert_eq!(Job::new(&world, "get").run().unwrap(), "version 2");
    assert_eq!(fs::read(world.mirror().join("state.json.bad")).unwrap(), torn);
    let published = fs::read(&state).unwrap();
    first.signal(Signal::SIGCONT);
    // It had prepared version 1 again.
    assert_eq!(first.finish().unwrap(), "version 2");
    assert_eq!(fs::read(&state).unwrap(), published);
    assert_eq!(world.fetches(), 3);
    wait_and_reap_until_whole(&world);
}

#[test]
fn a_clear_of_a_full_disk_that_was_taken_over_does_not_clear_what_came_after_it() {
    with_cache_on("size=20m,mode=700", |world| {
        let world = world.with_leases(BRIEF);
        drop(world.get(&world.open(), Freshness::Cached).unwrap());
        let clear = Job::new(&world, "clear").fault("clear.locked:stop,replace.checked:stop").start();
        clear.wait_for_stop();
        let filler = world.cache_directory().join("filler");
        let full = fs::File::create(&filler).unwrap();
        while std::io::Write::write(&mut &full, &[1; 4096]).is_ok() {}
        clear.signal(Signal::SIGCONT);
        clear.wait_for_stop();
        drop(full);
        fs::remove_file(&filler).unwrap();
        world.publish(2);
        assert_eq!(Job::new(&world, "update").run().unwrap(), "version 2");
        clear.signal(Signal::SIGCONT);
        let refused = clear.finish().unwrap();
        assert!(refused.starts_with("error Stale"), "{refused}");
        assert_eq!(version(&world.open().peek(&key(), &Reference::Default).unwrap().unwrap()), 2);
    });
}

#[test]
fn one_who_died_in_a_clear_blocks_no_later_clear_and_no_fetch() {
    for point in ["clear.locked:kill", "clear.stated:kill", "clear.released:kill", "trash.locked:kill"] {
        let world = World::leased(BRIEF);
        drop(world.get(&world.open(), Freshness::Cached).unwrap());
        assert_eq!(Job::new(&world, "clear").fault(point).run(), None, "{point}");
        let cache = world.open();
        cache.clear(&key()).unwrap();
        assert_eq!(version(&world.get(&cache, Freshness::Cached).unwrap().snapshot), 1, "{point}");
        drop(cache);
        wait_until("what was cleared is gone", || {
            world.open().reap();
            world.generations().len() == 1
        });
        wait_and_reap_until_whole(&world);
    }
}

#[test]
fn one_that_is_taken_over_and_goes_on_finds_what_the_other_published() {
    let world = World::leased(BRIEF);
    let first = Job::new(&world, "get").fault("fetch.prepared:stop").start();
    first.wait_for_stop();
    assert_eq!(Job::new(&world, "get").run().unwrap(), "version 1");
    first.signal(Signal::SIGCONT);
    assert_eq!(first.finish().unwrap(), "version 1");
    assert_eq!(world.fetches(), 2);
    wait_and_reap_until_whole(&world);
}

#[test]
fn each_commit_has_a_higher_token_than_the_one_before() {
    let world = World::leased(LASTING);
    let cache = world.open();
    let mut last = 0;
    for number in 1..5 {
        drop(world.get(&cache, Freshness::Now).unwrap());
        world.publish(number + 1);
        let fence = cache.state(&key()).unwrap().unwrap().fence;
        assert!(fence > last);
        last = fence;
    }
}

#[test]
fn what_another_host_may_be_writing_is_not_reaped_before_it_counts_as_dead() {
    let world = World::leased(BRIEF);
    drop(world.get(&world.open(), Freshness::Cached).unwrap());
    // Its lock is that of another kernel, and says nothing here.
    let places = [world.mirror(), world.mirror().join(&world.generations()[0]), world.v1("failures")];
    let written = places.map(|place| place.join(format!("{}.new", place.file_name().unwrap().display())));
    for file in &written {
        fs::write(file, "{").unwrap();
    }
    let reaped = world.open().reap();
    assert_eq!((reaped.unfinished, written.iter().all(|file| file.exists())), (0, true));
    let settled = Thoroughness { settled: true, deep: false };
    let flaws = check(&world.cache_directory(), settled).unwrap().violations;
    assert!(flaws.len() == 3 && flaws.iter().all(|found| found.flaw == Flaw::Held), "{flaws:?}");
    wait_until("whoever wrote it counts as dead", || {
        world.open().reap();
        written.iter().all(|file| !file.exists())
    });
    assert_eq!(check(&world.cache_directory(), settled).unwrap().violations, []);
    // One who goes on writes it anew.
    assert_eq!(Job::new(&world, "update").run().unwrap(), "version 1");
}

#[test]
fn what_another_process_reads_stays_until_it_lets_go() {
    let world = World::leased(LASTING);
    let mut reader = Job::new(&world, "hold").start();
    assert_eq!(reader.says(), "version 1");
    assert_eq!(Job::new(&world, "clear").run().unwrap(), "cleared true");
    // For longer than a silent one would count.
    std::thread::sleep(options(world.directory()).locking.lease.pin_stale() * 2);
    assert_eq!(world.open().reap().pinned, 1);
    assert_eq!(world.generations().len(), 1);
    // It reads everything again before it lets go.
    assert_eq!(reader.finish().unwrap(), "version 1");
    assert!(world.generations().is_empty());
    wait_and_reap_until_whole(&world);
}

#[test]
fn the_pins_of_a_dead_reader_count_for_a_time_over_many_short_verbs() {
    let world = World::leased(BRIEF);
    let mut reader = Job::new(&world, "hold").start();
    assert_eq!(reader.says(), "version 1");
    reader.signal(Signal::SIGKILL);
    assert_eq!(reader.finish(), None);
    let cleared = world.open().clear(&key()).unwrap();
    assert!(cleared.pending > 0, "it may live, as far as anybody knows: {cleared:?}");
    assert_eq!(world.generations().len(), 1);
    // Each of these looks once and ends.
    wait_until("it is believed dead", || {
        Job::new(&world, "reap").run();
        world.generations().is_empty()
    });
    wait_and_reap_until_whole(&world);
    assert!(world.names("alive").is_empty());
}

#[test]
fn a_host_with_shorter_times_honours_those_of_whoever_holds_something() {
    let world = World::leased(Duration::from_secs(60));
    let mut reader = Job::new(&world, "hold").start();
    assert_eq!(reader.says(), "version 1");
    reader.signal(Signal::SIGSTOP);
    reader.wait_for_stop();
    // By its own times this one would soon believe it dead.
    let hasty = world.with_leases(Duration::from_millis(300));
    let started = std::time::Instant::now();
    assert!(hasty.open().clear(&key()).unwrap().pending > 0);
    while started.elapsed() < Duration::from_secs(1) {
        assert_eq!(hasty.open().reap().pinned, 1);
    }
    reader.signal(Signal::SIGCONT);
    assert_eq!(reader.finish().unwrap(), "version 1");
    wait_and_reap_until_whole(&hasty);
}

#[test]
fn a_reader_that_was_away_for_too_long_loses_what_was_cleared_and_never_reads_wrong() {
    let world = World::leased(BRIEF);
    let mut reader = Job::new(&world, "hold").start();
    assert_eq!(reader.says(), "version 1");
    reader.signal(Signal::SIGSTOP);
    reader.wait_for_stop();
    world.open().clear(&key()).unwrap();
    wait_until("its pin counts no more", || {
        world.open().reap();
        world.generations().is_empty()
    });
    // What it has open it still reads; whatever it says, it is not wrong.
    reader.signal(Signal::SIGCONT);
    assert_eq!(reader.finish().unwrap(), "version 1");
    wait_and_reap_until_whole(&world);
}

#[test]
fn a_reader_that_was_away_pins_again_what_is_still_published() {
    let world = World::leased(BRIEF);
    let mut reader = Job::new(&world, "hold").start();
    assert_eq!(reader.says(), "version 1");
    let before = world.names("alive");
    reader.signal(Signal::SIGSTOP);
    reader.wait_for_stop();
    let pins = world.mirror().join(&world.generations()[0]).join("pins");
    wait_until("its pin is gone", || {
        world.open().reap();
        fs::read_dir(&pins).unwrap().count() == 0
    });
    reader.signal(Signal::SIGCONT);
    wait_until("it is there again", || fs::read_dir(&pins).unwrap().count() == 1);
    assert_ne!(world.names("alive"), before, "in a new life");
    assert!(world.open().clear(&key()).unwrap().pending > 0);
    assert_eq!(reader.finish().unwrap(), "version 1");
    wait_and_reap_until_whole(&world);
}

#[test]
fn a_reader_that_pins_while_it_is_cleared_starts_over() {
    let world = World::leased(LASTING);
    let cache = world.open();
    drop(world.get(&cache, Freshness::Cached).unwrap());
    world.publish(2);
    let reader = Job::new(&world, "get").fault("pin.locked:stop").start();
    reader.wait_for_stop();
    cache.clear(&key()).unwrap();
    assert_eq!(world.generations().len(), 1);
    reader.signal(Signal::SIGCONT);
    assert_eq!(reader.finish().unwrap(), "version 2");
    assert_eq!(world.generations().len(), 1, "what kept the old one from being taken took it away itself");
    drop(cache);
    wait_and_reap_until_whole(&world);
}

#[test]
fn a_process_that_died_while_it_took_a_generation_away_makes_nobody_wait() {
    let world = World::leased(BRIEF);
    drop(world.get(&world.open(), Freshness::Cached).unwrap());
    assert_eq!(Job::new(&world, "clear").fault("trash.locked:kill").run(), None);
    let cache = world.open();
    assert_eq!(version(&world.get(&cache, Freshness::Cached).unwrap().snapshot), 1);
    drop(cache);
    wait_until("its claim counts no more", || {
        world.open().reap();
        world.generations().len() == 1
    });
    wait_and_reap_until_whole(&world);
}

#[test]
fn a_wait_outlives_a_dead_holder_however_short_it_is_set() {
    let world = World::leased(BRIEF);
    assert_eq!(Job::new(&world, "get").fault("fetch.locked:kill").run(), None);
    let waiter = Job::new(&world, "get").patience(Duration::from_millis(1)).run().unwrap();
    assert_eq!(waiter, "version 1");
}

#[test]
fn what_is_kept_is_not_evicted_by_one_that_was_taken_over_on_the_way() {
    let world = World::leased(BRIEF);
    drop(world.get(&world.open(), Freshness::Cached).unwrap());
    let evicting = Job::new(&world, "evict").fault("replace.checked:stop").start();
    evicting.wait_for_stop();
    assert!(world.open().keep(&key(), &Reference::Default).unwrap());
    evicting.signal(Signal::SIGCONT);
    let refused = evicting.finish().unwrap();
    assert!(refused.contains("Stale"), "{refused}");
    assert_eq!(version(&world.open().peek(&key(), &Reference::Default).unwrap().unwrap()), 1);
}

#[test]
fn the_check_knows_what_belongs_to_leases() {
    let world = World::leased(LASTING);
    let look = |settled| {
        let how = Thoroughness { settled, deep: true };
        check(&world.directory().join("cache"), how).unwrap().violations
    };
    let cache = world.open();
    let held = world.get(&cache, Freshness::Cached).unwrap();
    assert_eq!(look(false), []);
    drop((held, cache));
    assert_eq!(look(true), []);
    assert_eq!(Job::new(&world, "update").fault("fetch.locked:kill").run(), None);
    assert_eq!(look(true).iter().map(|found| found.flaw).collect::<Vec<_>>(), [Flaw::Held]);
}
