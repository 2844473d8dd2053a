//! Unmounting takes away the mount that is meant, at once, and never another one.

use std::fs;
use std::io::Read;

use srcfs_mount::mountinfo::Table;
use srcfs_mount::mounting;

use crate::daemon::Daemon;
use crate::stage::{Scratch, is_root, mount_tmpfs, try_mount, types_on, without_hanging};

fn umount_by_hand(path: &std::path::Path) {
    nix::mount::umount2(path, nix::mount::MntFlags::MNT_DETACH).unwrap();
}

#[test]
fn after_an_external_umount_another_file_system_on_the_path_is_untouched() {
    if !is_root("after_an_external_umount_another_file_system_on_the_path_is_untouched") {
        return;
    }
    let scratch = Scratch::new();
    let mounted = try_mount(&scratch.mount_point()).unwrap();
    umount_by_hand(&scratch.mount_point());
    mount_tmpfs(&scratch.mount_point());
    let error = mounting::unmount(&scratch.mount_point(), Some(&mounted.id), true).unwrap_err();
    assert_eq!(error.exit_code(), 21, "{error}");
    let error = mounting::unmount(&scratch.mount_point(), None, true).unwrap_err();
    assert_eq!(error.exit_code(), 22, "{error}");
    assert_eq!(types_on(&scratch.mount_point()), ["tmpfs"]);
}

#[test]
fn a_later_srcfs_on_the_path_is_another_one_even_with_the_same_numbers() {
    if !is_root("a_later_srcfs_on_the_path_is_another_one_even_with_the_same_numbers") {
        return;
    }
    let scratch = Scratch::new();
    let mut reused = false;
    for _ in 0..20 {
        let first = try_mount(&scratch.mount_point()).unwrap();
        umount_by_hand(&scratch.mount_point());
        let second = try_mount(&scratch.mount_point()).unwrap();
        assert_ne!(first.id, second.id, "needs Linux 6.8, which has ids that are never reused");
        reused |= (first.id.id, first.id.device) == (second.id.id, second.id.device);
        let error = mounting::unmount(&scratch.mount_point(), Some(&first.id), true).unwrap_err();
        assert_eq!(error.exit_code(), 21, "{error}");
        assert_eq!(types_on(&scratch.mount_point()), ["fuse.srcfs"]);
        mounting::unmount(&scratch.mount_point(), Some(&second.id), true).unwrap();
        if reused {
            return;
        }
    }
    eprintln!("NOT TESTED: in 20 rounds the kernel never reused both numbers at once");
}

#[test]
fn a_mount_that_another_one_covers_stays_with_its_cover() {
    if !is_root("a_mount_that_another_one_covers_stays_with_its_cover") {
        return;
    }
    let scratch = Scratch::new();
    let mounted = try_mount(&scratch.mount_point()).unwrap();
    mount_tmpfs(&scratch.mount_point());
    let error = mounting::unmount(&scratch.mount_point(), Some(&mounted.id), true).unwrap_err();
    assert_eq!(error.exit_code(), 22, "{error}");
    assert_eq!(types_on(&scratch.mount_point()), ["fuse.srcfs", "tmpfs"]);
    umount_by_hand(&scratch.mount_point());
    mounting::unmount(&scratch.mount_point(), Some(&mounted.id), true).unwrap();
    assert!(types_on(&scratch.mount_point()).is_empty());
}

#[test]
fn a_hung_mount_is_detached_at_once() {
    if !is_root("a_hung_mount_is_detached_at_once") {
        return;
    }
    let scratch = Scratch::new();
    let mounted = try_mount(&scratch.mount_point()).unwrap();
    let path = scratch.mount_point();
    without_hanging(move || mounting::unmount(&path, None, true).unwrap());
    assert!(types_on(&scratch.mount_point()).is_empty());
    drop(mounted);
}

#[test]
fn what_is_open_stays_readable_after_a_detach() {
    if !is_root("what_is_open_stays_readable_after_a_detach") {
        return;
    }
    let scratch = Scratch::new();
    let daemon = Daemon::start(&scratch.mount_point());
    let mut file = fs::File::open(scratch.path("m/program")).unwrap();
    let error = mounting::unmount(&scratch.mount_point(), Some(&daemon.id), false).unwrap_err();
    assert_eq!(error.exit_code(), 23, "{error}");
    mounting::unmount(&scratch.mount_point(), Some(&daemon.id), true).unwrap();
    assert!(Table::read().unwrap().topmost(&scratch.mount_point()).is_none());
    let mut content = Vec::new();
    file.read_to_end(&mut content).unwrap();
    assert_eq!(content, fs::read("/bin/sleep").unwrap());
    let error = mounting::unmount(&scratch.mount_point(), Some(&daemon.id), true).unwrap_err();
    assert_eq!(error.exit_code(), 21, "{error}");
}
