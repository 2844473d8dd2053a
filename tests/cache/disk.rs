//! P18: a full or read-only disk fails one request, with the path and what to do, and passes.

use std::fs;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::Signal;
use srcfs::cache::check::{Flaw, Thoroughness, check};
use srcfs::cache::{Cache, Freshness, Options};
use srcfs::error::Kind;
use srcfs::key::Reference;

use crate::process::Job;
use crate::upstream::{World, key, version};

/// Runs `test` with the cache on a file system of its own; only root can.
pub fn with_cache_on(options: &str, test: impl FnOnce(World) + Send) {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("not run: mounting needs root");
        return;
    }
    std::thread::scope(|scope| {
        scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNS).unwrap();
            mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
                .unwrap();
            let world = World::new();
            fs::create_dir(world.cache_directory()).unwrap();
            mount(Some("tmpfs"), &world.cache_directory(), Some("tmpfs"), MsFlags::empty(), Some(options))
                .unwrap();
            test(world);
        });
    });
}

fn remount(world: &World, flags: MsFlags, options: Option<&str>) {
    let flags = MsFlags::MS_REMOUNT | flags;
    mount(None::<&str>, &world.cache_directory(), None::<&str>, flags, options).unwrap();
}

#[test]
fn a_full_disk_fails_the_fetch_keeps_what_is_cached_and_passes() {
    with_cache_on("size=1200k,mode=700", |world| {
        let cache = world.open();
        drop(world.get(&cache, Freshness::Cached).unwrap());
        // What comes next does not fit.
        fs::write(world.upstream().join("big"), vec![7; 100]).unwrap();
        let noise: Vec<u8> =
            (0..250_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        fs::write(world.upstream().join("big"), noise).unwrap();
        world.publish(2);
        let error = world.get(&cache, Freshness::Now).unwrap_err();
        assert_eq!(error.kind(), Kind::Full, "{error}");
        world.assert_whole(&cache);
        assert_eq!(version(&cache.peek(&key(), &Reference::Default).unwrap().unwrap()), 1);
        // A reader who does not insist is served.
        let stale = Freshness::NotOlderThan(std::time::Duration::ZERO);
        assert_eq!(version(&world.get(&cache, stale).unwrap().snapshot), 1);

        remount(&world, MsFlags::empty(), Some("size=20m"));
        assert_eq!(version(&world.get(&cache, Freshness::Now).unwrap().snapshot), 2);
        world.assert_whole(&cache);
    });
}

#[test]
fn a_disk_that_is_full_at_the_commit_publishes_nothing_and_keeps_what_was() {
    with_cache_on("size=20m,mode=700", |world| {
        for version_before in [None, Some(1)] {
            let next = if version_before.is_some() { 2 } else { 1 };
            world.publish(next);
            let prepared = Job::new(&world, "update").fault("verify.synced:stop").start();
            prepared.wait_for_stop();
            let filler = fs::File::create(world.cache_directory().join("filler")).unwrap();
            while std::io::Write::write(&mut &filler, &[1; 4096]).is_ok() {}
            prepared.signal(Signal::SIGCONT);
            let said = prepared.finish().unwrap();
            assert!(said.starts_with("error Full") && said.contains("srcfs gc"), "{said}");
            assert_eq!(world.names("staging"), [""; 0]);
            let cache = world.open();
            let kept = cache.peek(&key(), &Reference::Default).unwrap();
            assert_eq!(kept.map(|kept| version(&kept)), version_before);
            world.assert_whole(&cache);

            drop(filler);
            fs::remove_file(world.cache_directory().join("filler")).unwrap();
            assert_eq!(version(&world.get(&cache, Freshness::Now).unwrap().snapshot), next);
            world.assert_whole(&cache);
        }
    });
}

#[test]
fn a_completely_full_disk_can_still_be_cleared() {
    with_cache_on("size=1200k,mode=700", |world| {
        let cache = world.open();
        drop(world.get(&cache, Freshness::Cached).unwrap());
        world.publish(2);
        let filler = fs::File::create(world.cache_directory().join("filler")).unwrap();
        while std::io::Write::write(&mut &filler, &[1; 4096]).is_ok() {}
        let error = world.get(&cache, Freshness::Now).unwrap_err();
        assert_eq!(error.kind(), Kind::Full, "{error}");
        assert_eq!(version(&cache.peek(&key(), &Reference::Default).unwrap().unwrap()), 1);
        assert!(cache.clear(&key()).unwrap().freed > 200_000);
        assert!(cache.peek(&key(), &Reference::Default).unwrap().is_none());
        let checked = check(&world.cache_directory(), Thoroughness::default()).unwrap();
        let flaws: Vec<Flaw> = checked.violations.iter().map(|found| found.flaw).collect();
        assert_eq!(flaws, [Flaw::Foreign], "the filler alone: {:?}", checked.violations);
        filler.set_len(0).unwrap();
        assert_eq!(version(&world.get(&cache, Freshness::Cached).unwrap().snapshot), 2);
    });
}

#[test]
fn a_read_only_cache_is_read_and_refuses_the_rest_by_name() {
    with_cache_on("size=20m,mode=700", |world| {
        drop(world.get(&world.open(), Freshness::Cached).unwrap());
        remount(&world, MsFlags::MS_RDONLY, None);
        let cache = world.open();
        assert_eq!(version(&world.get(&cache, Freshness::Cached).unwrap().snapshot), 1);
        cache.touch(&key(), "any");
        let place = world.cache_directory().to_str().unwrap().to_owned();
        for error in [world.get(&cache, Freshness::Now).unwrap_err(), cache.clear(&key()).unwrap_err()] {
            assert!(error.to_string().contains(&place), "{error}");
            assert!(error.to_string().contains("Read-only"), "{error}");
        }
        // Nobody can ask, but what is there is served.
        assert_eq!(version(&cache.peek(&key(), &Reference::Default).unwrap().unwrap()), 1);
    });
}

#[test]
fn a_new_cache_on_a_read_only_disk_is_refused_by_name() {
    with_cache_on("size=20m,mode=700", |world| {
        remount(&world, MsFlags::MS_RDONLY, None);
        let error = Cache::open(&world.cache_directory(), Options::default()).err().unwrap();
        assert!(error.to_string().contains("v1"), "{error}");
        assert!(error.advice().unwrap().contains("--cache-dir"), "{error}");
    });
}
