//! P7 whole walk: one process sees one snapshot under a name, with no error; a process started after the
//! verb returned sees the change.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::harness::repository::many_files;
use crate::mounted::Mounted;
use crate::reader::{Reader, cat, wait_until};
use crate::setting::{KEY, ONE, Setting, change, few, one, only_root_can};

const MANY: usize = 2_000;

/// The number of a version: `v12`.
fn number(version: &str) -> u32 {
    version.trim_start_matches('v').parse().unwrap()
}

/// The version that a new process sees.
fn seen(mount: &Mounted<'_>) -> u32 {
    number(cat(&mount.path(KEY).join(ONE)).rsplit(' ').next().unwrap())
}

#[test]
fn every_walk_is_whole_under_updates_clears_and_two_daemons() {
    let mut setting = Setting::with("", &many_files(MANY, "v1"));
    let Setting { program, docs, .. } = &mut setting;
    let program = &*program;
    let mounts = [Mounted::at(program, "a"), Mounted::at(program, "b")];
    let over = AtomicBool::new(false);
    let walks = std::thread::scope(|scope| {
        let over = &over;
        let readers: Vec<_> = (0..3)
            .map(|n| {
                let mount = &mounts[n % 2];
                scope.spawn(move || {
                    let mut versions = Vec::new();
                    while !over.load(Ordering::SeqCst) || versions.len() < 2 {
                        let walk = Reader::play("walk", &mount.path(KEY)).end().lines();
                        let (version, count) = walk[0].split_once(' ').unwrap();
                        assert_eq!(count, MANY.to_string());
                        versions.push(number(version));
                    }
                    versions
                })
            })
            .collect();
        let clearing = scope.spawn(move || {
            while !over.load(Ordering::SeqCst) {
                change(program, "clear");
            }
        });
        let changing = scope.spawn(|| {
            for round in 2..=6 {
                docs.commit(&many_files(MANY, &format!("v{round}")));
                change(program, "update");
                for mount in &mounts {
                    let seen = seen(mount);
                    assert!(seen >= round, "v{round} was there, a new process saw v{seen}");
                }
            }
        });
        let changed = changing.join();
        over.store(true, Ordering::SeqCst);
        clearing.join().unwrap();
        let walks: Vec<Vec<u32>> = readers.into_iter().map(|reader| reader.join().unwrap()).collect();
        changed.unwrap();
        walks
    });
    for versions in &walks {
        assert!(versions.is_sorted(), "a later process never sees an older version: {walks:?}");
    }
}

#[test]
fn upstream_moves_three_times_during_a_walk() {
    let mut setting = Setting::with("", &many_files(400, "v1"));
    let mount = Mounted::new(&setting.program);
    let mut walk = Reader::play("walk in steps", &mount.path(KEY));
    for (round, verb) in [(2, "update"), (3, "clear"), (4, "update")] {
        walk.line();
        setting.docs.commit(&many_files(400, &format!("v{round}")));
        let report = setting.change(verb);
        assert_eq!(seen(&mount), round);
        if verb == "update" {
            let readers = report["references"][0]["readers"].to_string();
            assert!(
                readers.contains(&walk.pid().to_string()),
                "the verb says who sees the old one: {report}"
            );
        }
        walk.tell("go on");
    }
    assert_eq!(walk.end().lines(), ["v1 400"]);
    assert_eq!(Reader::play("walk", &mount.path(KEY)).end().lines(), ["v4 400"]);
    wait_until("the kernel may remember the name again", || mount.views(KEY).len() == 1);
}

#[test]
fn a_pager_that_stops_and_a_stop_signal_do_not_end_a_walk() {
    // Both pauses are longer than this.
    let quiet = Duration::from_secs(3);
    let mut setting = Setting::with("quiet = \"3s\"\n", &many_files(MANY, "v1"));
    let Setting { program, docs, .. } = &mut setting;
    let mount = Mounted::new(program);
    let mut stopped = Reader::play("walk in steps", &mount.path(KEY));
    let mut paged = crate::harness::repository::hermetic("sh")
        .args(["-c", "exec grep -r '' \"$1\" | sed 's/$/ ........................................../'", "sh"])
        .arg(mount.path(KEY))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut aloud = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "role::play", "--nocapture"])
        .env("SRCFS_TEST_ROLE", "walk aloud")
        .env("SRCFS_TEST_WITH", mount.path(KEY))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pagers = [&mut paged, &mut aloud].map(|child| BufReader::new(child.stdout.take().unwrap()));
    let first_lines: Vec<String> = pagers
        .iter_mut()
        .map(|pager| pager.lines().map(Result::unwrap).find(|line| line.contains(" of v1")).unwrap())
        .collect();
    assert_eq!(first_lines.len(), 2);
    stopped.line();
    stopped.tell("go on");
    stopped.signal(Signal::SIGSTOP);
    let stat = format!("/proc/{}/stat", stopped.pid());
    wait_until("it is stopped", || std::fs::read_to_string(&stat).unwrap().contains(") T "));

    for round in 2..=4 {
        docs.commit(&many_files(MANY, &format!("v{round}")));
        change(program, "clear");
        assert_eq!(seen(&mount), round);
        // Not for order: time passes in which nobody of them asks for the name.
        std::thread::sleep(quiet.mul_f32(0.6));
    }
    stopped.signal(Signal::SIGCONT);
    for _ in 0..2 {
        let line = stopped.line();
        assert!(line.ends_with("quarters"), "{line}");
        stopped.tell("go on");
    }
    assert_eq!(stopped.end().lines(), [format!("v1 {MANY}")]);
    for (pager, child) in pagers.into_iter().zip([&mut paged, &mut aloud]) {
        let lines = pager.lines().map(Result::unwrap).filter(|line| line.contains("file "));
        let (whole, torn): (Vec<_>, Vec<_>) = lines.partition(|line| line.contains(" of v1"));
        assert_eq!((whole.len(), torn), (MANY - 1, Vec::new()));
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(Reader::play("walk", &mount.path(KEY)).end().lines(), [format!("v4 {MANY}")]);
}

#[test]
fn what_starts_after_a_verb_sees_what_the_verb_did() {
    let mut setting = Setting::with("", &few("v1"));
    let mounts = [Mounted::at(&setting.program, "a"), Mounted::at(&setting.program, "b")];
    // Somebody who keeps the name from being quiet, on the first of all snapshots.
    let mut old = Reader::shell("while read go; do cat \"$1\"; done; exit 0", &mounts[0].path(KEY).join(ONE));
    for round in 2..=16 {
        setting.docs.commit(&few(&format!("v{round}")));
        let verb = if round % 3 == 0 { "clear" } else { "update" };
        setting.change(verb);
        for mount in &mounts {
            assert_eq!(seen(mount), round, "after {verb}");
        }
        old.tell("again");
        assert_eq!(old.line(), one(&format!("v{round}")), "cat is a new process each time");
    }
    old.end().lines();
}

#[test]
fn what_starts_after_a_verb_sees_the_change_also_if_others_noticed_it_before() {
    let mut setting = Setting::with("", &few("v1"));
    let mount = Mounted::new(&setting.program);
    let script = "while :; do cat \"$1\" > /dev/null || exit 1; done";
    let mut busy: Vec<Reader> = (0..3).map(|_| Reader::shell(script, &mount.path(KEY).join(ONE))).collect();
    for round in 2..=6 {
        // With nobody left on an older view, the kernel remembers the name for a second again.
        wait_until("the change before is over", || mount.views(KEY).len() == 1);
        setting.docs.commit(&few(&format!("v{round}")));
        let verb = if round % 2 == 0 { "update" } else { "clear" };
        setting.change(verb);
        assert_eq!(seen(&mount), round, "after {verb}");
    }
    assert!(busy.iter_mut().all(|reader| !reader.is_over()), "none of them ever failed");
}

#[test]
fn what_starts_after_a_verb_sees_the_change_also_if_the_kernel_had_dropped_the_name() {
    if !only_root_can("drop the kernel's caches") {
        return;
    }
    let mut setting = Setting::with("", &few("v1"));
    let mount = Mounted::new(&setting.program);
    for round in 2..=4 {
        wait_until("the change before is over", || mount.views(KEY).len() <= 1);
        seen(&mount);
        setting.docs.commit(&few(&format!("v{round}")));
        std::fs::write("/proc/sys/vm/drop_caches", "2").unwrap();
        setting.change("update");
        assert_eq!(seen(&mount), round);
    }
}

#[test]
fn nobody_keeps_an_old_snapshot_for_longer_than_max_drain() {
    let mut setting = Setting::with("max_drain = \"2s\"\n", &few("v1"));
    let mount = Mounted::new(&setting.program);
    let file = mount.path(KEY).join(ONE);
    // This test's own process asks again and again.
    let own = || std::fs::read_to_string(&file).unwrap().trim_end().to_owned();
    assert_eq!(own(), one("v1"));
    setting.docs.commit(&few("v2"));
    setting.change("update");
    assert_eq!(cat(&file), one("v2"));
    wait_until("it is given the newest", || own() == one("v2"));
    wait_until("the old view is gone", || mount.views(KEY).len() == 1);
}
