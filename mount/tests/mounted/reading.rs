//! What readers see of a snapshot, and who does the reading.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

use crate::memory::*;

#[test]
fn a_walk_sees_exactly_the_snapshot() {
    let mount = Mount::new();
    let mut tree = files(&[("a/b/c", "deep"), ("empty", ""), ("z", "last")]);
    tree.insert("run".into(), Content::File(b"#!/bin/sh\n".to_vec(), true));
    tree.insert("link".into(), Content::Link(b"a/b/c".to_vec()));
    tree.insert("big".into(), Content::File((0..3_000_000_u32).map(|n| n as u8).collect(), false));
    mount.tree.bind("kind/name@1", MemorySnapshot::new(&tree));
    assert_eq!(walk(&mount.path("kind/name@1")).unwrap(), tree);
    let metadata = std::fs::metadata(mount.path("kind/name@1/z")).unwrap();
    assert_eq!((metadata.len(), metadata.permissions().mode() & 0o7777), (4, 0o444));
    assert_eq!(metadata.mtime() as u64, COMMITTED.as_secs());
    assert_eq!(std::fs::read(mount.path("kind/name@1/link")).unwrap(), b"deep", "through the link");
}

#[test]
fn the_second_walk_asks_the_daemon_for_nothing_below_the_view() {
    let mount = Mount::new();
    mount.tree.bind("v", versioned("1", 500));
    let counted = ["LOOKUP_IN_VIEW", "GETATTR_IN_VIEW", "READ", "READDIR", "READDIRPLUS", "OPEN", "OPENDIR"];
    let count = || counted.map(|kind| mount.requests(kind));
    // Another test may drop the kernel's caches at any moment, but not in every one of many walks.
    let silent = (0..50).any(|_| {
        let before = count();
        walk(&mount.path("v")).unwrap();
        before == count()
    });
    assert!(silent, "every walk asked for something: {counted:?}");
    assert!(mount.requests("OPEN") <= 1 && mount.requests("OPENDIR") <= 1);
}

#[test]
fn a_miss_is_asked_for_once() {
    let mount = Mount::new();
    mount.tree.bind("v", versioned("1", 10));
    let ignore = mount.path("v/d000/.gitignore");
    assert!(!ignore.exists());
    // As above: another test may drop the kernel's caches.
    let silent = (0..50).any(|_| {
        let before = mount.requests("LOOKUP_IN_VIEW");
        assert!((0..100).all(|_| !ignore.exists()));
        before == mount.requests("LOOKUP_IN_VIEW")
    });
    assert!(silent);
}

#[test]
fn a_large_directory_is_listed_whole_without_repeats_from_anywhere() {
    let mount = Mount::new();
    let count = 100_000;
    let tree: BTreeMap<PathBuf, Content> =
        (0..count).map(|n| (PathBuf::from(format!("{n:06}")), Content::File(vec![], false))).collect();
    mount.tree.bind("v", MemorySnapshot::new(&tree));
    let directory =
        nix::dir::Dir::open(&mount.path("v"), nix::fcntl::OFlag::O_RDONLY, nix::sys::stat::Mode::empty());
    let mut directory = directory.unwrap();
    for _ in 0..2 {
        // The iterator rewinds when it is dropped.
        let mut names: Vec<String> =
            directory.iter().map(|entry| entry.unwrap().file_name().to_str().unwrap().to_owned()).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count + 2);
    }
}

#[test]
fn every_changing_call_is_refused_as_read_only() {
    let mount = Mount::new();
    mount.tree.bind("v", MemorySnapshot::new(&files(&[("f", "x"), ("d/g", "y")])));
    let (file, directory, new) = (mount.path("v/f"), mount.path("v/d"), mount.path("v/new"));
    let refused = |result: std::io::Result<()>| result.unwrap_err().raw_os_error() == Some(libc::EROFS);
    assert!(refused(std::fs::write(&new, "x")), "create");
    assert!(refused(std::fs::File::options().write(true).open(&file).map(drop)), "open to write");
    assert!(refused(std::fs::remove_file(&file)), "unlink");
    assert!(refused(std::fs::remove_dir(&directory)), "rmdir");
    assert!(refused(std::fs::create_dir(&new)), "mkdir");
    assert!(refused(std::fs::rename(&file, &new)), "rename");
    assert!(refused(std::fs::hard_link(&file, &new)), "link");
    assert!(refused(std::os::unix::fs::symlink("f", &new)), "symlink");
    assert!(refused(std::fs::set_permissions(&file, PermissionsExt::from_mode(0o777))), "chmod");
    assert!(refused(std::os::unix::fs::chown(&file, Some(1), None)), "chown");
    let now = nix::sys::time::TimeSpec::new(0, 0);
    let times = nix::sys::stat::utimensat(
        nix::fcntl::AT_FDCWD,
        &file,
        &now,
        &now,
        nix::sys::stat::UtimensatFlags::FollowSymlink,
    );
    assert_eq!(times, Err(nix::Error::EROFS), "utimes");
    assert_eq!(nix::unistd::truncate(&file, 0), Err(nix::Error::EROFS), "truncate");
    assert_eq!(nix::unistd::mkfifo(&new, nix::sys::stat::Mode::S_IRWXU), Err(nix::Error::EROFS), "mkfifo");
    assert!(refused(std::fs::write(mount.path("at-the-root"), "x")), "create at the root");
}

#[test]
fn a_panic_in_a_handler_is_an_error_for_its_request_and_no_other() {
    let mount = Mount::new();
    mount.tree.bind("v", MemorySnapshot::new(&files(&[("panic", "x"), ("fine", "y")])));
    for _ in 0..20 {
        let error = std::fs::read(mount.path("v/panic")).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EIO));
        assert_eq!(std::fs::read(mount.path("v/fine")).unwrap(), b"y");
    }
}

#[test]
fn a_program_that_never_stops_listing_what_fails_comes_to_an_end() {
    let mount = Mount::new();
    mount.tree.bind_broken("broken");
    // Its iterator ends where the C library's does, and not at an error.
    let failures = || {
        let flags = nix::fcntl::OFlag::O_DIRECTORY | nix::fcntl::OFlag::O_CLOEXEC;
        let mode = nix::sys::stat::Mode::empty();
        let mut directory = nix::dir::Dir::open(&mount.path("broken"), flags, mode).unwrap();
        let failures: Vec<_> = directory.iter().take(10_000).map(Result::unwrap_err).collect();
        assert!(failures.len() < 10_000, "it goes on for ever");
        failures
    };
    for _ in 0..3 {
        let failures = failures();
        assert!(
            !failures.is_empty() && failures.iter().all(|errno| *errno == nix::Error::EIO),
            "{failures:?}"
        );
    }
    for _ in 0..100 {
        // Each look of its own is told what happened.
        std::thread::spawn({
            let path = mount.path("broken");
            move || assert!(std::fs::read_dir(path).unwrap().next().unwrap().is_err())
        })
        .join()
        .unwrap();
    }
}

#[test]
fn a_file_of_the_name_space_shows_each_new_content_and_listings_follow() {
    let mount = Mount::new();
    assert_eq!(std::fs::read_to_string(mount.path("count")).unwrap(), "0\n");
    mount.tree.bind("kind/a", versioned("1", 1));
    assert_eq!(std::fs::read_to_string(mount.path("count")).unwrap(), "1\n");
    let list = |path: &str| -> Vec<String> {
        let entries = std::fs::read_dir(mount.path(path)).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    mount.barrier();
    assert_eq!(list("kind"), ["a"]);
    mount.tree.bind("kind/b", versioned("1", 1));
    mount.barrier();
    assert_eq!(list("kind"), ["a", "b"]);
    mount.tree.remove("kind/a");
    mount.barrier();
    assert_eq!(list("kind"), ["b"]);
}

#[test]
fn attributes_of_views_are_answered_and_absent_ones_do_not_turn_all_off() {
    let mount = Mount::new();
    mount.tree.bind("v", MemorySnapshot::new(&files(&[("f", "x")])));
    let get = |name: &str| {
        let mut get = std::process::Command::new("getfattr");
        let out = get.args(["--only-values", "-n", name]).arg(mount.path("v/f")).output().unwrap();
        (out.status.success(), String::from_utf8(out.stdout).unwrap())
    };
    assert_eq!(get("user.absent"), (false, String::new()));
    assert_eq!(get("user.index"), (true, "1".to_owned()));
}
