//! P1 atomic: a snapshot is absent, or complete and verified; never partial.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::harness::git_server::{Fault, Stage};
use crate::mounted::Mounted;
use crate::reader::{Reader, cat};
use crate::setting::{DOCS, KEY, ONE, Setting, change, few, one};

/// Walks the tree in a process of its own; it must be whole. The version that it is of.
fn walk(mount: &Mounted<'_>) -> String {
    let lines = Reader::play("walk", &mount.path(KEY)).end().lines();
    let (version, count) = lines[0].split_once(' ').unwrap();
    assert_eq!(count, "60");
    version.to_owned()
}

#[test]
fn a_fetch_that_fails_half_way_shows_nothing_and_the_next_one_everything() {
    let setting = Setting::with("negative_ttl = \"0s\"\n", &few("one"));
    let mount = Mounted::new(&setting.program);
    for fault in [Fault::Truncate(900), Fault::Flip, Fault::Garbage, Fault::TooShort(40)] {
        setting.server.fail(DOCS, Stage::Fetch, fault.clone());
        let ended = Reader::run("ls", &[&mount.path(KEY)]).end();
        assert!(!ended.status.success() && ended.out.is_empty(), "{fault:?}: {ended:?}");
        assert!(!ended.err.contains("No such file"), "{fault:?}: {ended:?}");
        let ended = Reader::run("cat", &[&mount.path(KEY).join(ONE)]).end();
        assert!(!ended.status.success() && ended.out.is_empty(), "{fault:?}: {ended:?}");
    }
    assert_eq!(setting.generations(), Vec::<std::path::PathBuf>::new());
    setting.server.mend(DOCS);
    assert_eq!(walk(&mount), "one");
}

#[test]
fn clearing_and_fetching_the_same_key_at_once_is_one_or_the_other() {
    let mut setting = Setting::new();
    let mounts = [Mounted::at(&setting.program, "a"), Mounted::at(&setting.program, "b")];
    let over = AtomicBool::new(false);
    let program = &setting.program;
    std::thread::scope(|scope| {
        let readers: Vec<_> = mounts
            .iter()
            .map(|mount| scope.spawn(|| (0..25).map(|_| walk(mount)).collect::<Vec<_>>()))
            .collect();
        let cleared = scope.spawn(|| {
            let mut cleared = 0;
            while !over.load(Ordering::SeqCst) {
                change(program, "clear");
                cleared += 1;
            }
            cleared
        });
        let outcomes: Vec<_> = readers.into_iter().map(|reader| reader.join()).collect();
        over.store(true, Ordering::SeqCst);
        for outcome in outcomes {
            assert!(outcome.unwrap().iter().all(|version| version == "one"));
        }
        assert!(cleared.join().unwrap() > 1);
    });
    setting.docs.commit(&few("two"));
    setting.change("clear");
    for mount in &mounts {
        assert_eq!(cat(&mount.path(KEY).join(ONE)), one("two"));
    }
    drop(mounts);
    setting.program.json(&["clear", "--all"]);
    assert_eq!(setting.generations(), Vec::<std::path::PathBuf>::new(), "nothing is lost on the disk");
    assert_eq!(setting.leftovers(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn clearing_while_verbs_fetch_is_no_error_of_theirs() {
    let setting = Setting::new();
    std::thread::scope(|scope| {
        let get = || {
            for _ in 0..25 {
                let report = setting.program.json(&["get", KEY]);
                assert_eq!(report["trees"][0]["tree"]["files"], 60);
            }
        };
        let threads = [scope.spawn(get), scope.spawn(get)];
        while !threads.iter().all(|thread| thread.is_finished()) {
            setting.change("clear");
        }
    });
    setting.program.json(&["clear", "--all"]);
    assert_eq!(setting.generations().len() + setting.leftovers().len(), 0);
}
