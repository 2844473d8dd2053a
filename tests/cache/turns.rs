//! P3 to P5: work on one mirror is done by one at a time and in a directory of its own, and what the
//! dead left stands in nobody's way.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use nix::sys::signal::Signal;
use srcfs::cache::{Cache, Freshness, Options};
use srcfs::error::Kind;
use srcfs::key::{GitUrl, Key, Reference};

use crate::process::Job;
use crate::upstream::{World, get, key, version};

/// A cache whose callers do not wait for long.
fn impatient(world: &World) -> std::sync::Arc<Cache> {
    let options = Options { fetch_wait: Duration::from_millis(200), ..Options::default() };
    Cache::open(&world.cache_directory(), options).unwrap()
}

#[test]
fn two_references_of_one_mirror_are_fetched_in_turn_into_one_generation() {
    let world = World::new();
    world.git(&["checkout", "-q", "-b", "topic"]);
    world.publish(2);
    world.git(&["checkout", "-q", "main"]);
    let first = Job::new(&world, "get").fault("fetch.prepared:stop").start();
    first.wait_for_stop();

    let cache = impatient(&world);
    let topic = Reference::parse("topic").unwrap();
    let error = get(&cache, &world.source(), &topic, Freshness::Cached).unwrap_err();
    assert_eq!(error.kind(), Kind::Busy, "{error}");
    assert!(error.why().contains(&format!("process {}", first.id())), "{error}");
    assert_eq!(world.fetches(), 1, "the second one did not even begin");

    first.signal(Signal::SIGCONT);
    assert_eq!(first.finish().unwrap(), "version 1");
    let second = get(&cache, &world.source(), &topic, Freshness::Cached).unwrap();
    assert_eq!(version(&second.snapshot), 2);
    assert!(second.transferred < 20_000, "what the first brought did not come again");
    assert_eq!(world.generations(), [second.snapshot.generation()]);
}

#[test]
fn two_who_prepare_at_once_have_directories_of_their_own() {
    let world = World::new();
    let stopped = || {
        let process = Job::new(&world, "get").fault("fetch.prepared:stop").start();
        process.wait_for_stop();
        process
    };
    let first = stopped();
    let of_the_first = world.names("staging");
    // Without this they would never prepare the same at once.
    for name in world.names("locks") {
        fs::remove_file(world.v1("locks").join(name)).unwrap();
    }
    let second = stopped();
    let both = world.names("staging");
    assert_eq!((of_the_first.len(), both.len()), (2, 4), "a directory and a lease each: {both:?}");
    assert!(of_the_first.iter().all(|name| both.contains(name)), "{both:?}");
    for process in [&first, &second] {
        process.signal(Signal::SIGCONT);
    }
    for process in [first, second] {
        assert_eq!(process.finish().unwrap(), "version 1");
    }
    world.assert_whole(&world.open());
}

#[test]
fn a_lock_file_without_a_holder_blocks_nobody_whatever_it_says() {
    let world = World::new();
    drop(world.get(&world.open(), Freshness::Cached).unwrap());
    world.publish(2);
    assert_eq!(Job::new(&world, "update").fault("fetch.prepared:kill").run(), None);
    let left: Vec<_> = world.names("locks").into_iter().map(|name| world.v1("locks").join(name)).collect();
    let note = left.iter().map(|file| fs::read(file).unwrap()).max_by_key(Vec::len).unwrap();
    assert!(!note.is_empty(), "the killed one left a note of itself");
    for (number, content) in [&b""[..], b"{", &[0; 4096], &note].into_iter().enumerate() {
        for file in &left {
            fs::write(file, content).unwrap();
        }
        let cache = impatient(&world);
        assert!(cache.lock_holders().is_empty(), "{number}");
        let next = u32::try_from(number).unwrap() + 3;
        world.publish(next);
        assert_eq!(version(&world.get(&cache, Freshness::Now).unwrap().snapshot), next);
        assert!(cache.clear(&key()).unwrap().generation.is_some());
    }
}

#[test]
fn one_who_died_in_a_clear_blocks_no_later_clear_and_no_fetch() {
    for point in ["clear.locked:kill", "clear.stated:kill", "clear.released:kill", "trash.locked:kill"] {
        let world = World::new();
        drop(world.get(&world.open(), Freshness::Cached).unwrap());
        assert_eq!(Job::new(&world, "clear").fault(point).run(), None, "{point}");
        let cache = impatient(&world);
        assert!(cache.lock_holders().is_empty(), "{point}");
        cache.clear(&key()).unwrap();
        assert!(world.generations().is_empty() && world.names("trash").is_empty(), "{point}");
        assert_eq!(version(&world.get(&cache, Freshness::Cached).unwrap().snapshot), 1, "{point}");
    }
}

#[test]
fn the_trash_of_one_who_died_is_deleted_by_whoever_comes_next() {
    let world = World::new();
    drop(world.get(&world.open(), Freshness::Cached).unwrap());
    assert_eq!(Job::new(&world, "clear").fault("trash.renamed:kill").run(), None);
    assert_eq!(world.names("trash").len(), 1);
    let left = world.v1("trash").join(&world.names("trash")[0]);
    assert!(fs::metadata(left.join("objects/pack")).unwrap().nlink() > 0, "all of it is there");
    let cache = world.open();
    assert_eq!(world.names("trash"), [""; 0]);
    world.assert_whole(&cache);
}

#[test]
fn what_is_prepared_is_seen_by_nobody_and_gone_if_it_is_not_committed() {
    let world = World::new();
    let preparing = Job::new(&world, "get").fault("verify.synced:stop").start();
    preparing.wait_for_stop();
    let cache = Cache::open(&world.cache_directory(), Options::default()).unwrap();
    assert!(cache.peek(&key(), &Reference::Default).unwrap().is_none());
    assert!(cache.state(&key()).unwrap().is_none() && cache.mirrors().unwrap().is_empty());
    assert_eq!(world.names("mirrors/git"), [""; 0]);
    assert_eq!(world.names("staging").len(), 2, "it lives, so the reaper that just ran left it");
    preparing.signal(Signal::SIGCONT);
    assert_eq!(preparing.finish().unwrap(), "version 1");

    // An error after it was prepared, and a caller that gives up while it is.
    world.publish(2);
    let failed = Job::new(&world, "update").fault("verify.synced:error").run().unwrap();
    assert!(failed.starts_with("error"), "{failed}");
    world.assert_whole(&cache);
    let progress = std::sync::Arc::new(srcfs::source::Progress::default());
    let source = GivesUp { source: world.source(), progress: std::sync::Arc::clone(&progress) };
    let gave_up = cache.get(&source, &key(), &Reference::Default, Freshness::Now, "a test", &progress);
    assert_eq!(gave_up.unwrap_err().kind(), Kind::Interrupted);
    world.assert_whole(&cache);
    assert_eq!(version(&cache.peek(&key(), &Reference::Default).unwrap().unwrap()), 1);
}

#[test]
fn a_lock_is_of_one_key_whatever_is_in_its_name() {
    let urls = [
        "https://example.org/a/b",
        "https://example.org/a/b.c",
        "https://example.org/a%2Fb",
        "https://example.org/a/b/c",
        "https://example.org/a/b--c",
        "https://example.org/a--b/c",
        "https://example.org/a__b/c",
        "https://example.org/A/B",
        "https://example.org:8443/a/b",
        "https://other.example.org/a/b",
        "ssh://git@example.org/~a/b",
        "file:///example.org/a/b",
    ];
    let digests: Vec<String> =
        urls.iter().map(|url| Key::git(GitUrl::parse(url).unwrap()).digest()).collect();
    for (n, digest) in digests.iter().enumerate() {
        assert!(digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()), "{digest}");
        assert!(!digests[..n].contains(digest), "{} shares the lock of another one", urls[n]);
    }
    // Another spelling is the same repository.
    let again = Key::git(GitUrl::parse("https://EXAMPLE.org/a/b.git/").unwrap());
    assert_eq!(again.digest(), digests[0]);
    // And these are the names of the files.
    let world = World::new();
    drop(world.get(&world.open(), Freshness::Cached).unwrap());
    let expected = ["commit", "fetch"].map(|kind| format!("{}.{kind}", key().digest()));
    assert_eq!(world.names("locks"), expected);
}

/// A source whose caller gives up when all of it is there.
struct GivesUp {
    source: crate::upstream::LocalGit,
    progress: std::sync::Arc<srcfs::source::Progress>,
}

impl srcfs::source::Source for GivesUp {
    fn resolve(
        &self,
        key: &srcfs::key::Key,
        reference: &Reference,
        known: &[srcfs::source::Revision],
        progress: &srcfs::source::Progress,
    ) -> srcfs::error::Result<srcfs::source::Resolved> {
        self.source.resolve(key, reference, known, progress)
    }

    fn prepare(
        &self,
        key: &srcfs::key::Key,
        resolved: &srcfs::source::Resolved,
        place: srcfs::source::Workplace<'_>,
        progress: &srcfs::source::Progress,
    ) -> srcfs::error::Result<srcfs::source::Prepared> {
        self.source.prepare(key, resolved, place, progress)?;
        self.progress.cancel();
        Err(srcfs::error::Error::new(Kind::Interrupted, "fetch", "the caller gave up"))
    }
}
