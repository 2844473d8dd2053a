//! Who holds something of a mount is told without a word to its daemon.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use srcfs_mount::holders::{self, Held, Holder, Target};
use srcfs_mount::mounting;

use crate::daemon::{Daemon, PROGRAM, ROOT};
use crate::stage::{Running, Scratch, command, is_root, mount_tmpfs, until, without_hanging};

fn target(daemon: &Daemon) -> Target {
    Target { mount_id: daemon.id.id, device: daemon.id.device }
}

fn of_process(target: Target, pid: u32) -> Vec<(Held, u64)> {
    let found = without_hanging(move || holders::of(target)).found;
    found.into_iter().filter(|holder| holder.pid == pid).map(|holder| (holder.what, holder.ino)).collect()
}

#[test]
fn holders_of_a_hung_and_of_a_detached_mount_are_found() {
    if !is_root("holders_of_a_hung_and_of_a_detached_mount_are_found") {
        return;
    }
    let scratch = Scratch::new();
    let daemon = Daemon::start(&scratch.mount_point());
    let target = target(&daemon);
    let stands = Running::start(command("sleep").arg("1000").current_dir(scratch.mount_point()));
    let reads = Running::start(
        command("sh").args(["-c", "exec 7<m/program; exec sleep 1000"]).current_dir(scratch.path("")),
    );
    let runs = Running::start(command("m/program").arg("1000").current_dir(scratch.path("")));
    let elsewhere = Running::start(command("sleep").arg("1000").current_dir("/"));
    until("all have started", || {
        let found = holders::of(target).found;
        [&stands, &reads, &runs].iter().all(|one| found.iter().any(|holder| holder.pid == one.pid()))
    });
    let all_are_found = || {
        assert_eq!(of_process(target, stands.pid()), [(Held::Cwd, ROOT)]);
        assert_eq!(of_process(target, reads.pid()), [(Held::Fd(7), PROGRAM)]);
        assert_eq!(of_process(target, runs.pid()), [(Held::Mapping, PROGRAM)]);
        assert_eq!(of_process(target, elsewhere.pid()), []);
        assert_eq!(of_process(target, std::process::id()), [], "the searcher holds nothing");
        let directories = without_hanging(move || holders::directories_of(target)).found;
        assert_eq!(directories.iter().map(|holder| holder.pid).collect::<Vec<_>>(), [stands.pid()]);
    };
    all_are_found();
    let reader = holders::of(target).found.into_iter().find(|holder| holder.pid == reads.pid()).unwrap();
    let path = Some(scratch.path("m/program").display().to_string());
    assert_eq!(
        reader,
        Holder { pid: reads.pid(), command: "sleep".into(), what: Held::Fd(7), ino: PROGRAM, path }
    );

    // One of them waits in the mount, in a page fault or a stat, while it is searched.
    daemon.hang();
    let waits =
        Running::start(command("stat").arg(scratch.path("m/nothing")).stderr(Stdio::null()).current_dir("/"));
    until("it waits in the mount", || {
        fs::read_to_string(format!("/proc/{}/wchan", waits.pid()))
            .is_ok_and(|name| name.contains("request_wait"))
    });
    all_are_found();

    mounting::unmount(&scratch.mount_point(), Some(&daemon.id), true).unwrap();
    all_are_found();
    drop(daemon);
    all_are_found();
}

#[test]
fn holders_in_another_mount_namespace_are_found() {
    if !is_root("holders_in_another_mount_namespace_are_found") {
        return;
    }
    let scratch = Scratch::new();
    let daemon = Daemon::start(&scratch.mount_point());
    let enter = format!("cd {} && exec sleep 1000", scratch.mount_point().display());
    let other =
        Running::start(command("unshare").args(["-m", "--propagation", "private", "sh", "-c", &enter]));
    let target = target(&daemon);
    until("it has entered", || !of_process(target, other.pid()).is_empty());
    assert_eq!(of_process(target, other.pid()), [(Held::Cwd, ROOT)]);
    mounting::unmount(&scratch.mount_point(), Some(&daemon.id), true).unwrap();
    assert_eq!(of_process(target, other.pid()), [(Held::Cwd, ROOT)], "it still has a copy of the mount");
}

#[test]
fn another_mount_with_our_old_id_has_holders_of_its_own() {
    if !is_root("another_mount_with_our_old_id_has_holders_of_its_own") {
        return;
    }
    let scratch = Scratch::new();
    mount_tmpfs(&scratch.mount_point());
    let table = srcfs_mount::mountinfo::Table::read().unwrap();
    let tmpfs = Target::from(table.topmost(&scratch.mount_point()).unwrap());
    let stands = Running::start(command("sleep").arg("1000").current_dir(scratch.mount_point()));
    let root = fs::metadata(scratch.mount_point()).unwrap();
    let ino = std::os::unix::fs::MetadataExt::ino(&root);
    assert_eq!(of_process(tmpfs, stands.pid()), [(Held::Cwd, ino)]);
    assert!(Path::new("/proc").exists());
}
