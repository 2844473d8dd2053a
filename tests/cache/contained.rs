//! P8: nothing outside the cache is removed; links and mounts are not crossed.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use srcfs::cache::Freshness;

use crate::process::Job;
use crate::upstream::{World, key, names};

fn precious(world: &World) -> std::path::PathBuf {
    let outside = world.directory().join("outside");
    fs::create_dir_all(outside.join("deep")).unwrap();
    fs::write(outside.join("deep/file"), "precious").unwrap();
    outside
}

fn assert_untouched(outside: &Path) {
    assert_eq!(fs::read_to_string(outside.join("deep/file")).unwrap(), "precious");
}

#[test]
fn planted_links_are_removed_themselves() {
    let world = World::new();
    let outside = precious(&world);
    let cache = world.open();
    fs::create_dir(world.v1("trash/a")).unwrap();
    symlink(&outside, world.v1("trash/a/link")).unwrap();
    symlink(&outside, world.v1("trash/link")).unwrap();
    symlink(outside.join("deep/file"), world.v1("trash/file")).unwrap();
    symlink(&outside, world.v1("staging/link")).unwrap();
    symlink(outside.join("deep/file"), world.v1("staging/link.lease")).unwrap();
    assert_eq!(cache.reap().left, 0);
    assert_untouched(&outside);
    world.assert_whole(&cache);
}

#[test]
fn links_in_a_generation_and_among_the_mirrors_are_not_followed() {
    let world = World::new();
    let outside = precious(&world);
    let cache = world.open();
    let generation = world.get(&cache, Freshness::Cached).unwrap().snapshot.generation().to_owned();
    symlink(&outside, world.mirror().join(&generation).join("link")).unwrap();
    symlink(&outside, world.mirror().join("f".repeat(32))).unwrap();
    symlink(&outside, world.v1("mirrors/link")).unwrap();
    symlink(&outside, world.v1("mirrors/git/link")).unwrap();
    assert!(cache.clear(&key()).unwrap().freed > 0);
    assert_eq!(cache.reap().left, 0);
    assert_untouched(&outside);
    assert!(!world.mirror().join(generation).exists());
}

#[test]
fn a_trash_that_is_a_link_is_not_emptied() {
    let world = World::new();
    let outside = precious(&world);
    let cache = world.open();
    fs::remove_dir(world.v1("trash")).unwrap();
    symlink(&outside, world.v1("trash")).unwrap();
    cache.reap();
    assert_untouched(&outside);
}

/// Runs `test` in a mount name space of its own; only root can.
fn with_mounts(test: impl FnOnce() + Send) {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("not run: mounting needs root");
        return;
    }
    std::thread::scope(|scope| {
        scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNS).unwrap();
            mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
                .unwrap();
            test();
        });
    });
}

#[test]
fn what_is_mounted_in_the_trash_is_not_crossed() {
    with_mounts(|| {
        let world = World::new();
        let outside = precious(&world);
        let cache = world.open();
        // Of the same file system, so its device number does not tell.
        fs::create_dir_all(world.v1("trash/a/bound")).unwrap();
        fs::write(world.v1("trash/a/file"), "x").unwrap();
        mount(Some(&outside), &world.v1("trash/a/bound"), None::<&str>, MsFlags::MS_BIND, None::<&str>)
            .unwrap();
        let reaped = cache.reap();
        assert!(reaped.left > 0, "{reaped:?}");
        assert_untouched(&outside);
        assert_eq!(names(&world.v1("trash/a")), ["bound"]);
        nix::mount::umount(&world.v1("trash/a/bound")).unwrap();
        assert_eq!(cache.reap().left, 0);
        assert!(world.names("trash").is_empty());
        assert_untouched(&outside);
    });
}

#[test]
fn directories_without_permission_are_deleted_by_their_owner() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("not run: becoming another user needs root; the unit test covers this one");
        return;
    }
    let world = World::new();
    fs::set_permissions(world.directory(), fs::Permissions::from_mode(0o755)).unwrap();
    drop(world.open());
    let inner = world.v1("trash/a/b/c");
    fs::create_dir_all(&inner).unwrap();
    fs::write(inner.join("file"), "x").unwrap();
    for (path, mode) in [(inner.clone(), 0o000), (world.v1("trash/a/b"), 0o500), (world.v1("trash/a"), 0o100)]
    {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    give_to(&world.cache_directory(), 65534);
    assert_eq!(Job::new(&world, "reap").user(65534).run().unwrap(), "left 0");
    assert!(world.names("trash").is_empty());
}

fn give_to(path: &Path, user: u32) {
    chown(path, Some(user), Some(user)).unwrap();
    if path.is_dir() {
        for name in names(path) {
            give_to(&path.join(name), user);
        }
    }
}
