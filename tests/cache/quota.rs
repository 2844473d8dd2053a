//! What goes to make room, in which order, and what never does.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use nix::sys::signal::Signal;
use srcfs::cache::{Cache, Collected, Done, Freshness, Mode, Options, Stays, What, Why};
use srcfs::config::{KeepFree, Quota};
use srcfs::key::{GitUrl, Key, Reference};

use crate::disk::with_cache_on;
use crate::process::Job;
use crate::upstream::{World, key, names, version, wait_until};

pub const HOUR: Duration = Duration::from_secs(3600);

/// One of several mirrors of the same upstream.
fn numbered(number: u32) -> Key {
    Key::git(GitUrl::parse(&format!("https://example.org/a/n{number}.git")).unwrap())
}

pub fn with_quota(world: &World, quota: Quota) -> Arc<Cache> {
    Cache::open(&world.cache_directory(), Options { quota, ..Options::default() }).unwrap()
}

fn fetch(world: &World, cache: &Cache, key: &Key) -> u32 {
    let (source, progress) = (world.source(), Arc::default());
    let reference = Reference::Default;
    version(&cache.get(&source, key, &reference, Freshness::Cached, "a test", &progress).unwrap().snapshot)
}

/// Makes a mirror, or one of its revisions, unused since then.
pub fn age(cache: &Cache, key: &Key, revision: Option<&str>, unused: Duration) {
    let state = cache.state(key).unwrap().unwrap();
    let generation = cache.mirror_directory(key).join(state.generation.as_ref().unwrap());
    let then = SystemTime::now() - unused;
    let set = |file: PathBuf| File::open(file).unwrap().set_modified(then).unwrap();
    if revision.is_none() {
        set(generation.join("pin"));
    }
    for one in state.snapshots.keys().filter(|one| revision.is_none_or(|only| only == *one)) {
        set(generation.join(format!("tables/{one}.table")));
    }
}

fn is_cached(cache: &Cache, key: &Key) -> bool {
    cache.peek(key, &Reference::Default).unwrap().is_some()
}

/// Five mirrors; number 0 was not used for longest.
fn five(world: &World, quota: Quota) -> Arc<Cache> {
    let cache = with_quota(world, quota);
    for number in 0..5 {
        fetch(world, &cache, &numbered(number));
        age(&cache, &numbered(number), None, HOUR * (10 - number));
    }
    cache
}

fn cached_of_five(cache: &Cache) -> Vec<u32> {
    (0..5).filter(|number| is_cached(cache, &numbered(*number))).collect()
}

fn gone(collected: &Collected) -> Vec<(String, Why)> {
    let gone = collected.items.iter().filter(|item| matches!(item.done, Done::Freed(_)));
    gone.map(|item| (item.key.to_string(), item.why)).collect()
}

/// All files below a directory, with what tells one content from another.
fn fingerprint(directory: &Path) -> BTreeMap<PathBuf, (u64, SystemTime)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap()) {
        let metadata = entry.metadata().unwrap();
        if metadata.is_dir() {
            found.extend(fingerprint(&entry.path()));
        } else {
            found.insert(entry.path(), (metadata.len(), metadata.modified().unwrap()));
        }
    }
    found
}

fn sized(world: &World, part: u64, high: u32, low: u32) -> Quota {
    let bytes = with_quota(world, Quota::none()).collect(Mode::Rehearsal).unwrap().before;
    Quota { max_size: Some(bytes / 100 * part), high_watermark: high, low_watermark: low, ..Quota::none() }
}

#[test]
fn the_least_recently_used_goes_first_until_the_low_mark_holds() {
    let world = World::new();
    drop(five(&world, Quota::none()));
    // 90 % is passed, and 50 % are two mirrors of five.
    let cache = with_quota(&world, sized(&world, 100, 90, 50));
    let before = fingerprint(&world.v1("mirrors"));
    let rehearsal = cache.collect(Mode::Rehearsal).unwrap();
    assert_eq!(fingerprint(&world.v1("mirrors")), before, "a rehearsal changes nothing");
    assert_eq!(cached_of_five(&cache), [0, 1, 2, 3, 4]);

    // A use changes the order.
    let state = cache.state(&numbered(0)).unwrap().unwrap();
    cache.touch(&numbered(0), state.snapshots.keys().next().unwrap());
    let collected = cache.collect(Mode::Tending).unwrap();
    assert_eq!(cached_of_five(&cache), [0, 4]);
    let expected: Vec<_> = (1..4).map(|number| (numbered(number).to_string(), Why::Size)).collect();
    assert_eq!(gone(&collected), expected);
    assert_eq!(gone(&rehearsal)[0].0, numbered(0).to_string());
    assert_eq!(rehearsal.items.len(), 3);
    assert!(collected.within_bounds && collected.before > collected.after * 2, "{collected:?}");
    let now = cache.collect(Mode::Rehearsal).unwrap();
    // Tombstones take a little.
    assert!(now.before.abs_diff(collected.after) < 50_000 && now.items.is_empty(), "{now:?}");
    // What went comes again when it is asked for.
    assert_eq!(fetch(&world, &cache, &numbered(2)), 1);
    assert_eq!(world.names("trash"), [""; 0]);
}

#[test]
fn nothing_goes_unasked_below_the_high_mark_and_asked_it_goes_down_to_the_low_one() {
    let world = World::new();
    drop(five(&world, Quota::none()));
    let cache = with_quota(&world, sized(&world, 120, 90, 50));
    assert!(cache.collect(Mode::Tending).unwrap().items.is_empty());
    assert_eq!(gone(&cache.collect(Mode::Asked).unwrap()).len(), 3);
    assert_eq!(cached_of_five(&cache), [3, 4]);
}

#[test]
fn what_was_not_used_for_max_age_goes_whatever_room_there_is() {
    let world = World::new();
    let cache = five(&world, Quota { max_age: Some(HOUR * 15 / 2), ..Quota::none() });
    let collected = cache.collect(Mode::Tending).unwrap();
    assert_eq!(cached_of_five(&cache), [3, 4]);
    assert!(gone(&collected).iter().all(|(_, why)| *why == Why::Age), "{collected:?}");
    // An eviction is like a clear to whoever showed it.
    let state = cache.state(&numbered(0)).unwrap().unwrap();
    assert!(state.generation.is_none() && state.cleared.is_some());
}

/// A quota under which everything has to go.
pub fn everything() -> Quota {
    Quota { keep_free: KeepFree::Bytes(u64::MAX), ..Quota::none() }
}

fn stays(collected: &Collected) -> &Stays {
    let [item] = collected.items.as_slice() else { panic!("{collected:?}") };
    let Done::Stays(stays) = &item.done else { panic!("{collected:?}") };
    assert!(!collected.within_bounds && item.what == What::Mirror);
    stays
}

#[test]
fn what_somebody_reads_never_goes() {
    let world = World::new();
    let mut reader = Job::new(&world, "hold").start();
    assert_eq!(reader.says(), "version 1");
    let cache = with_quota(&world, everything());
    for mode in [Mode::Rehearsal, Mode::Asked, Mode::Tending] {
        assert!(matches!(stays(&cache.collect(mode).unwrap()), Stays::Pinned));
    }
    // It reads everything again before it lets go, and another one comes as to any cached thing.
    assert_eq!(Job::new(&world, "get").run().unwrap(), "version 1");
    assert_eq!(reader.finish().unwrap(), "version 1");
    assert_eq!(world.fetches(), 1);
    assert_eq!(cache.collect(Mode::Asked).unwrap().items.len(), 1);
    assert_eq!(world.generations(), [""; 0]);
    cache.reap();
    world.assert_whole(&cache);
}

#[test]
fn what_is_kept_never_goes_also_after_a_clear_and_a_restart() {
    let world = World::new();
    let cache = with_quota(&world, everything());
    let reference = Reference::Default;
    assert!(cache.keep(&key(), &reference).unwrap());
    assert!(!cache.keep(&key(), &reference).unwrap(), "kept already");
    fetch(&world, &cache, &key());
    for mode in [Mode::Rehearsal, Mode::Asked] {
        assert!(matches!(stays(&cache.collect(mode).unwrap()), Stays::Kept));
    }
    assert!(cache.clear(&key()).unwrap().generation.is_some(), "a clear is a clear");
    drop(cache);
    let cache = with_quota(&world, everything());
    let kept = cache.kept();
    assert_eq!((kept.len(), &kept[0].key, &kept[0].reference), (1, &key(), &reference));
    fetch(&world, &cache, &key());
    assert!(matches!(stays(&cache.collect(Mode::Asked).unwrap()), Stays::Kept));
    // A note that a bad disk tore keeps all the more.
    let notes = world.v1("kept").join(&world.names("kept")[0]);
    let note = notes.join(&names(&notes)[0]);
    let whole = fs::read(&note).unwrap();
    fs::write(&note, &whole[..whole.len() / 2]).unwrap();
    assert!(matches!(stays(&cache.collect(Mode::Asked).unwrap()), Stays::Kept));
    assert_eq!(cache.kept(), []);
    fs::write(&note, whole).unwrap();

    assert!(cache.release(&key(), &reference).unwrap());
    assert!(!cache.release(&key(), &reference).unwrap());
    assert_eq!(world.names("kept"), [""; 0], "nothing stays of it");
    assert_eq!(gone(&cache.collect(Mode::Asked).unwrap()).len(), 1);
    assert!(!is_cached(&cache, &key()));
}

#[test]
fn what_somebody_fetches_is_left_alone_and_the_fetcher_is_named() {
    let world = World::new();
    let cache = with_quota(&world, everything());
    fetch(&world, &cache, &key());
    world.publish(2);
    let fetcher = Job::new(&world, "update").fault("verify.synced:stop").start();
    fetcher.wait_for_stop();
    let collected = cache.collect(Mode::Asked).unwrap();
    let Stays::Busy(holder) = stays(&collected) else { panic!("{collected:?}") };
    assert!(holder.contains(&fetcher.id().to_string()), "{holder}");
    fetcher.signal(Signal::SIGCONT);
    assert_eq!(fetcher.finish().unwrap(), "version 2");
    assert_eq!(world.fetches(), 2);
    world.assert_whole(&cache);
}

/// Whoever opens something while it goes has it, or fetches it anew.
#[test]
fn a_reader_that_is_just_opening_it_is_not_torn() {
    for (point, again) in [("pin.opened:stop", true), ("pin.locked:stop", false)] {
        let world = World::new();
        let cache = with_quota(&world, everything());
        fetch(&world, &cache, &key());
        let reader = Job::new(&world, "get").fault(point).start();
        reader.wait_for_stop();
        let collected = cache.collect(Mode::Asked).unwrap();
        assert_eq!(gone(&collected).len(), usize::from(again), "{point}: {collected:?}");
        reader.signal(Signal::SIGCONT);
        assert_eq!(reader.finish().unwrap(), "version 1", "{point}");
        assert_eq!(world.fetches(), 1 + usize::from(again), "{point}");
        cache.reap();
        world.assert_whole(&cache);
    }
}

#[test]
fn gc_and_readers_race_without_an_error() {
    let world = World::new();
    let cache = with_quota(&world, everything());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let other = world.open();
                while !done.load(Ordering::Relaxed) {
                    assert_eq!(fetch(&world, &other, &key()), 1);
                }
            });
        }
        let (mut evicted, mut processes) = (0, 0);
        while evicted < 40 || processes < 4 {
            evicted += gone(&cache.collect(Mode::Asked).unwrap()).len();
            if evicted > processes * 8 {
                assert_eq!(Job::new(&world, "get").run().unwrap(), "version 1");
                processes += 1;
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    wait_until("the trash is empty", || world.names("trash").is_empty());
    cache.reap();
    world.assert_whole(&cache);
}

/// As if the last look had been so long ago.
fn look_back(world: &World, ago: Duration) {
    File::open(world.v1("gc")).unwrap().set_modified(SystemTime::now() - ago).unwrap();
}

#[test]
fn unasked_it_is_looked_once_in_a_while_by_one_process() {
    let world = World::new();
    let quota = Quota { max_age: Some(HOUR), ..Quota::none() };
    let cache = with_quota(&world, quota.clone());
    let old = || {
        fetch(&world, &cache, &key());
        age(&cache, &key(), None, HOUR * 2);
    };
    old();
    assert_eq!(gone(&cache.tend().unwrap()).len(), 1);
    old();
    let other = with_quota(&world, quota);
    assert!(cache.tend().is_none() && other.tend().is_none(), "it was looked just now");
    assert!(is_cached(&cache, &key()));
    age(&cache, &key(), None, HOUR * 2);
    look_back(&world, Duration::from_secs(61));
    assert_eq!(gone(&other.tend().unwrap()).len(), 1);

    // Another process is at it: nobody waits for it.
    old();
    look_back(&world, HOUR);
    let at_it = Job::new(&world, "tend").fault("gc.locked:stop").start();
    at_it.wait_for_stop();
    look_back(&world, HOUR);
    assert!(cache.tend().is_none());
    at_it.signal(Signal::SIGKILL);
    assert_eq!(at_it.finish(), None);
    assert_eq!(gone(&cache.tend().unwrap()).len(), 1, "a dead one is in nobody's way");
    // Nor does a clock that was ahead keep everybody from looking.
    old();
    File::open(world.v1("gc")).unwrap().set_modified(SystemTime::now() + HOUR).unwrap();
    assert_eq!(gone(&cache.tend().unwrap()).len(), 1);
}

#[test]
fn a_cache_without_bounds_is_not_looked_through() {
    let world = World::new();
    let cache = world.open();
    fetch(&world, &cache, &key());
    assert!(cache.tend().is_none());
    assert!(!world.v1("gc").exists());
}

#[test]
fn the_disk_keeps_free_what_it_should() {
    with_cache_on("size=4m,mode=700", |world| {
        let cache = five(&world, Quota { keep_free: KeepFree::Percent(80), ..Quota::none() });
        let collected = cache.tend().unwrap();
        let gone = gone(&collected);
        assert!(!gone.is_empty() && gone.iter().all(|(_, why)| *why == Why::FreeSpace), "{collected:?}");
        let (must, free) = cache.free_space().unwrap();
        assert!(collected.within_bounds && free >= must, "{collected:?}");
        let left = cached_of_five(&cache);
        assert!(!left.is_empty() && left == (gone.len() as u32..5).collect::<Vec<_>>(), "{left:?}");
    });
}

#[test]
fn a_fetch_that_meets_a_full_disk_makes_room_once_if_that_is_agreed() {
    with_cache_on("size=1400k,mode=700", |world| {
        // It may fill the disk to the last byte, but it has a bound.
        for (agreed, quota) in [
            (false, Quota::none()),
            (true, Quota { max_size: Some(1_400_000), high_watermark: 100, ..Quota::none() }),
        ] {
            let cache = five_until_full(&world, quota);
            let last = numbered(100);
            let (source, progress) = (world.source(), Arc::default());
            let outcome =
                cache.get(&source, &last, &Reference::Default, Freshness::Cached, "a test", &progress);
            match outcome {
                Ok(fetched) => assert!(agreed && version(&fetched.snapshot) == 1),
                Err(error) => {
                    assert!(!agreed, "{error}");
                    assert_eq!(error.kind(), srcfs::error::Kind::Full);
                    assert!(error.advice().unwrap().contains("srcfs gc"), "{error}");
                }
            }
            for number in 0..=100 {
                cache.clear(&numbered(number)).unwrap();
            }
        }
    });
}

/// Fetches until the disk is full, without any bound.
fn five_until_full(world: &World, quota: Quota) -> Arc<Cache> {
    let cache = world.open();
    for number in 0..100 {
        let (source, progress) = (world.source(), Arc::default());
        let key = numbered(number);
        let fetched = cache.get(&source, &key, &Reference::Default, Freshness::Cached, "a test", &progress);
        if fetched.is_err() {
            break;
        }
    }
    with_quota(world, quota)
}
