//! Between prepare and commit the world may change. What was prepared is never published into a world
//! that is not the one it was prepared for. (A clear in between is in `clear_and_pins`, lost locks are in
//! `locks` too, a full disk is in `disk`.)
//!
//! Matches the cases of a prior system's prepare and commit: private staging, a stale skip, a changed
//! source, the final name decided under its owner, the lock required, staging removed on any exit.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use nix::sys::signal::Signal;
use srcfs::cache::{Cache, Freshness, LockKind};
use srcfs::error::{Error, Kind, Result};
use srcfs::key::{Key, Reference};
use srcfs::source::{Prepared, Progress, Resolved, Revision, Source, Workplace};

use crate::directory::Directory;
use crate::process::{Job, Process};
use crate::upstream::{LocalGit, World, get, key, names, version, wait_until};

/// A process that has prepared all it needs, and has not asked for the commit lock.
fn prepared(world: &World, job: &str) -> Process {
    let process = Job::new(world, job).fault("verify.synced:stop").start();
    process.wait_for_stop();
    process
}

fn said_when_continued(process: Process) -> String {
    process.signal(Signal::SIGCONT);
    process.finish().unwrap()
}

/// Does `work` as if the fetch lock were not held: its file is put away and comes back, so that who holds
/// it finds nothing amiss.
fn past_the_fetch_lock(world: &World, work: impl FnOnce()) {
    let lock = world.v1("locks").join(format!("{}.fetch", key().digest()));
    let aside = world.directory().join("aside");
    fs::rename(&lock, &aside).unwrap();
    work();
    fs::rename(&aside, &lock).unwrap();
}

/// Every file below a directory, with what tells a change.
fn contents(directory: &Path) -> Vec<(PathBuf, u64, u64, i64)> {
    let mut found = Vec::new();
    for name in names(directory) {
        let path = directory.join(name);
        let metadata = fs::symlink_metadata(&path).unwrap();
        if metadata.is_dir() {
            found.extend(contents(&path));
        }
        // The times of these say when they were last used.
        let used = path.ends_with("pin") || path.extension().is_some_and(|end| end == "table");
        let time = if used { 0 } else { metadata.mtime_nsec() };
        found.push((path, metadata.ino(), metadata.size(), time));
    }
    found
}

#[test]
fn prepare_writes_in_its_staging_and_nowhere_else() {
    let world = World::new();
    let first = prepared(&world, "get");
    assert_eq!(
        contents(&world.v1("mirrors")).len(),
        srcfs::key::Kind::ALL.len(),
        "the directories of the kinds"
    );
    assert_eq!(said_when_continued(first), "version 1");
    let before = contents(&world.v1("mirrors"));
    world.publish(2);
    let second = prepared(&world, "update");
    assert_eq!(contents(&world.v1("mirrors")), before);
    assert_eq!(world.names("staging").len(), 2, "a lease and a directory");
    assert_eq!(said_when_continued(second), "version 2");
    assert_eq!(world.names("staging"), [""; 0]);
}

#[test]
fn preparing_takes_no_commit_lock() {
    let world = World::new();
    drop(world.get(&world.open(), Freshness::Cached).unwrap());
    // While it asks, while it fetches, when all is there.
    for (point, version) in [("fetch.locked:stop", 2), ("fetch.prepared:stop", 3), ("verify.synced:stop", 4)]
    {
        world.publish(version);
        let late = Job::new(&world, "update").fault(point).start();
        late.wait_for_stop();
        let cache = world.open();
        let held: Vec<_> = cache.lock_holders().into_iter().map(|holder| holder.lock).collect();
        assert_eq!(held, [LockKind::Fetch], "{point}");
        // So whoever commits something else waits for nobody.
        cache.clear(&key()).unwrap();
        assert_eq!(said_when_continued(late), format!("version {version}"));
    }
}

#[test]
fn stale_skip_what_another_published_meanwhile_is_taken_and_ours_dropped() {
    for cached in [false, true] {
        let world = World::new();
        if cached {
            drop(world.get(&world.open(), Freshness::Cached).unwrap());
            world.publish(2);
        }
        let next = if cached { "version 2" } else { "version 1" };
        let late = prepared(&world, "update");
        past_the_fetch_lock(&world, || assert_eq!(Job::new(&world, "update").run().unwrap(), next));
        let generation = world.generations();
        let kept = contents(&world.mirror().join(&generation[0]));
        assert_eq!(said_when_continued(late), next);
        assert_eq!(world.generations(), generation);
        assert_eq!(contents(&world.mirror().join(&generation[0])), kept);
        assert_eq!(world.names("staging"), [""; 0]);
        world.assert_whole(&world.open());
    }
}

#[test]
fn a_newer_resolution_published_meanwhile_keeps_the_name() {
    let world = World::new();
    drop(world.get(&world.open(), Freshness::Cached).unwrap());
    let second = world.publish(2);
    let late = prepared(&world, "update");
    let now = || SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let asked = now();
    wait_until("a second has begun in which the other asks", || now() > asked);
    world.publish(3);
    past_the_fetch_lock(&world, || assert_eq!(Job::new(&world, "update").run().unwrap(), "version 3"));
    // It is given what is published, and takes nothing back.
    assert_eq!(said_when_continued(late), "version 3");
    let cache = world.open();
    assert_eq!(version(&cache.peek(&key(), &Reference::Default).unwrap().unwrap()), 3);
    // What it brought is there all the same, by its own name.
    let second = Reference::parse(&second).unwrap();
    assert_eq!(version(&cache.peek(&key(), &second).unwrap().unwrap()), 2);
    world.assert_whole(&cache);
}

/// Who comes after a clear sees what the upstream has then, also if somebody had asked before.
#[test]
fn an_answer_that_is_older_than_a_clear_is_asked_for_again() {
    let world = World::new();
    for (job, before) in [("get", 0), ("update", 2)] {
        world.publish(before + 1);
        let late = prepared(&world, job);
        world.publish(before + 2);
        Job::new(&world, "clear").run().unwrap();
        assert_eq!(said_when_continued(late), format!("version {}", before + 2));
        assert_eq!(version(&world.get(&world.open(), Freshness::Cached).unwrap().snapshot), before + 2);
        assert_eq!(world.names("staging"), [""; 0]);
        world.assert_whole(&world.open());
    }
}

/// Nothing comes twice if the upstream still has what was prepared.
#[test]
fn what_was_prepared_before_a_clear_is_not_fetched_again() {
    let world = World::new();
    for (job, version) in [("get", 1), ("update", 2)] {
        world.publish(version);
        let late = prepared(&world, job);
        Job::new(&world, "clear").run().unwrap();
        assert_eq!(said_when_continued(late), format!("version {version}"));
        assert_eq!(world.fetches(), version as usize);
    }
}

#[test]
fn a_changed_source_is_prepared_again() {
    let world = World::new();
    let importer = prepared(&world, "import");
    world.publish(2);
    assert_eq!(said_when_continued(importer), "version 2");
    assert_eq!(world.fetches(), 2);
    let cache = world.open();
    assert_eq!(cache.state(&key()).unwrap().unwrap().snapshots.len(), 1, "the torn one is nowhere");
    world.assert_whole(&cache);
    // Unchanged, it is not imported again.
    assert_eq!(Job::new(&world, "import").run().unwrap(), "version 2");
    assert_eq!(world.fetches(), 2);
}

#[test]
fn a_source_that_changes_each_time_is_given_up_with_a_reason() {
    let world = World::new();
    let cache = world.open();
    let mut source = Directory::new(world.upstream(), world.directory().join("fetches"));
    source.edit = Some(|directory| {
        let file = directory.join("busy");
        fs::write(&file, fs::read_to_string(&file).unwrap_or_default() + "x").unwrap();
    });
    let error = get(&cache, &source, &Reference::Default, Freshness::Now).unwrap_err();
    assert_eq!(error.kind(), Kind::Stale);
    assert!(error.why().contains("changed each time"), "{error}");
    assert!((2..=10).contains(&world.fetches()), "{} imports", world.fetches());
    let asked = source.asked.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(asked, world.fetches(), "it is asked for each attempt, and not for nothing");
    assert_eq!(world.names("staging"), [""; 0]);
    // When it is quiet, it is there.
    source.edit = None;
    assert_eq!(version(&get(&cache, &source, &Reference::Default, Freshness::Now).unwrap().snapshot), 1);
    world.assert_whole(&cache);
}

#[test]
fn a_mirror_whose_name_is_taken_is_refused_by_name_and_nothing_is_followed() {
    let world = World::new();
    let outside = world.directory().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("precious"), "x").unwrap();
    let plants: [&dyn Fn(); 3] = [
        &|| fs::write(world.mirror(), "a file").unwrap(),
        &|| symlink(&outside, world.mirror()).unwrap(),
        &|| symlink(outside.join("absent"), world.mirror()).unwrap(),
    ];
    for plant in plants {
        let late = prepared(&world, "get");
        plant();
        let said = said_when_continued(late);
        assert!(said.contains("no directory has that name"), "{said}");
        assert!(said.contains(world.mirror().to_str().unwrap()), "{said}");
        assert_eq!(names(&outside), ["precious"]);
        assert_eq!(world.names("staging"), [""; 0]);
        fs::remove_file(world.mirror()).unwrap();
    }
    // A directory of somebody is used, and what is in it left alone.
    let late = prepared(&world, "get");
    fs::create_dir_all(world.mirror().join("foreign")).unwrap();
    fs::write(world.mirror().join("foreign/file"), "x").unwrap();
    assert_eq!(said_when_continued(late), "version 1");
    world.open().clear(&key()).unwrap();
    assert_eq!(fs::read_to_string(world.mirror().join("foreign/file")).unwrap(), "x");
}

#[test]
fn a_pack_or_table_whose_name_is_taken() {
    let world = World::new();
    drop(world.get(&world.open(), Freshness::Cached).unwrap());
    let generation = world.mirror().join(world.generations().remove(0));
    let commit = world.publish(2);
    let staged = || {
        let late = prepared(&world, "update");
        let staging = world.names("staging").into_iter().find(|name| !name.ends_with(".lease")).unwrap();
        let packs = names(&world.v1("staging").join(staging).join("objects/pack"));
        let pack = packs.into_iter().find(|name| name.ends_with(".pack")).unwrap();
        (late, generation.join("objects/pack").join(pack))
    };
    // What cannot be replaced is named, and what was published stays.
    let (late, pack) = staged();
    fs::create_dir_all(pack.join("foreign")).unwrap();
    let said = said_when_continued(late);
    assert!(said.starts_with("error Io") && said.contains(pack.to_str().unwrap()), "{said}");
    assert_eq!(version(&world.open().peek(&key(), &Reference::Default).unwrap().unwrap()), 1);
    assert_eq!(world.names("staging"), [""; 0]);
    fs::remove_dir_all(&pack).unwrap();
    // A file that no record names is nobody's: it makes room.
    let (late, pack) = staged();
    fs::write(&pack, "left by somebody").unwrap();
    fs::write(generation.join(format!("tables/{commit}.table")), "left by somebody").unwrap();
    assert_eq!(said_when_continued(late), "version 2");
    world.assert_whole(&world.open());
}

#[test]
fn with_either_lock_lost_to_nobody_it_is_refused_and_begun_again() {
    for lock in ["fetch", "commit"] {
        let world = World::new();
        let point = if lock == "fetch" { "verify.synced:stop" } else { "publish.locked:stop" };
        let late = Job::new(&world, "get").fault(point).start();
        late.wait_for_stop();
        fs::remove_file(world.v1("locks").join(format!("{}.{lock}", key().digest()))).unwrap();
        assert_eq!(said_when_continued(late), "version 1");
        assert_eq!(world.fetches(), 2, "what it prepared under the lost {lock} lock was not published");
        let cache = world.open();
        cache.reap();
        world.assert_whole(&cache);
    }
}

/// A source that does something beside, after it has prepared.
struct Meddler<F> {
    inner: LocalGit,
    meddle: F,
}

impl<F: Fn(Workplace<'_>) -> Result<()> + Send + Sync> Source for Meddler<F> {
    fn resolve(&self, key: &Key, r: &Reference, known: &[Revision], p: &Progress) -> Result<Resolved> {
        self.inner.resolve(key, r, known, p)
    }

    fn prepare(&self, key: &Key, r: &Resolved, place: Workplace<'_>, p: &Progress) -> Result<Prepared> {
        let prepared = self.inner.prepare(key, r, place, p)?;
        (self.meddle)(place)?;
        Ok(prepared)
    }
}

#[test]
fn staging_is_removed_and_locks_are_free_on_any_exit() {
    let world = World::new();
    let cache = world.open();
    let nothing_left = |what: &str| {
        assert_eq!(world.names("staging"), [""; 0], "{what}");
        assert!(cache.lock_holders().is_empty(), "{what}");
        assert!(world.generations().is_empty(), "{what}");
    };
    let here = |place: Workplace<'_>| assert!(place.directory.join("objects/pack").is_dir());
    let failing = Meddler {
        inner: world.source(),
        meddle: |place: Workplace<'_>| {
            here(place);
            Err(Error::new(Kind::Network, "fetch", "the line is dead"))
        },
    };
    assert_eq!(fetch(&cache, &failing).unwrap_err().kind(), Kind::Network);
    nothing_left("after a failure");

    let panicking = Meddler { inner: world.source(), meddle: |_: Workplace<'_>| panic!("in a source") };
    assert!(catch_unwind(AssertUnwindSafe(|| fetch(&cache, &panicking))).is_err());
    nothing_left("after a panic");

    let loose = Meddler {
        inner: world.source(),
        meddle: |place: Workplace<'_>| {
            fs::create_dir_all(place.directory.join("objects/ab")).unwrap();
            fs::write(place.directory.join("objects/ab/cd"), "x").unwrap();
            Ok(())
        },
    };
    assert_eq!(fetch(&cache, &loose).unwrap_err().kind(), Kind::Corrupt);
    nothing_left("after what was brought is refused");

    for number in 1.. {
        let said = Job::new(&world, "get").fault(&format!("{number}:error")).run().unwrap();
        if said == "version 1" && cache.peek(&key(), &Reference::Default).unwrap().is_some() {
            break;
        }
        // Not opened anew, which would reap.
        assert_eq!(world.names("staging"), [""; 0], "after an error at point {number}");
        cache.clear(&key()).unwrap();
    }
}

fn fetch(cache: &Cache, source: &dyn Source) -> Result<u32> {
    let fetched =
        cache.get(source, &key(), &Reference::Default, Freshness::Now, "a test", &Arc::default())?;
    Ok(version(&fetched.snapshot))
}

#[test]
fn what_a_source_writes_where_it_may_only_read_is_noticed() {
    let world = World::new();
    let cache = world.open();
    drop(world.get(&cache, Freshness::Cached).unwrap());
    let old = world.generations();
    world.publish(2);
    let scribbler = Meddler {
        inner: world.source(),
        meddle: |place: Workplace<'_>| {
            for name in place.borrow.into_iter().flat_map(|borrow| names(&borrow.join("objects/pack"))) {
                let file = place.borrow.unwrap().join("objects/pack").join(&name);
                if name.ends_with(".idx") {
                    let mut bytes = fs::read(&file).unwrap();
                    let last = bytes.len() - 1;
                    bytes[last] ^= 1;
                    // Packs are read-only, to anybody but root.
                    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
                    fs::write(&file, bytes).unwrap();
                }
            }
            Ok(())
        },
    };
    // At once, or by the next who asks: never a wrong byte.
    match fetch(&cache, &scribbler) {
        Ok(version) => assert_eq!(version, 2),
        Err(error) => assert_eq!(error.kind(), Kind::Corrupt, "{error}"),
    }
    let later = world.open();
    assert_eq!(version(&world.get(&later, Freshness::Now).unwrap().snapshot), 2);
    assert_ne!(world.generations(), old, "what was written into is out of use");
    world.assert_whole(&later);
}
