//! P3 to P6 with `lock = "lease"`, as for hosts that share a cache: mounts, verbs and readers as ever.

use nix::sys::signal::Signal;

use crate::harness::git_server::{Fault, Stage};
use crate::mounted::Mounted;
use crate::no_dead_lock::kill_one_of_two;
use crate::reader::{Reader, cat, wait_until};
use crate::role::hash_of;
use crate::setting::{DOCS, KEY, ONE, Setting, few, one};

/// Leases that go stale within this test's patience, and within no hiccup of a busy machine.
const LEASES: &str = "lock = \"lease\"\n[lease]\nstale = \"3s\"\nheartbeat = \"200ms\"\npin_stale = \"3s\"\n";

/// The locks that are held, and those that nobody has given back.
fn held_locks(setting: &Setting) -> Vec<String> {
    let directory = setting.program.cache().join("v1/locks");
    let names = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
    names.map(|name| name.into_string().unwrap()).filter(|name| !name.ends_with(".last")).collect()
}

#[test]
fn two_daemons_a_verb_and_many_readers_cause_one_fetch_and_see_every_change() {
    let mut setting = Setting::with(LEASES, &few("one"));
    let mounts = [Mounted::at(&setting.program, "a"), Mounted::at(&setting.program, "b")];
    setting.server.fail(DOCS, Stage::Fetch, Fault::StallBeforeHeaders);
    let file = format!("{KEY}/{ONE}");
    let readers: Vec<Reader> = (0..10).map(|n| Reader::run("cat", &[&mounts[n % 2].path(&file)])).collect();
    let get = Reader::start(&mut setting.program.command(&["get", KEY]));
    setting.server.wait_for(DOCS, |counts| counts.stalled == 1);
    wait_until("both daemons have readers that wait", || mounts.iter().all(|mount| mount.waiting() > 0));
    setting.server.mend(DOCS);
    setting.server.release();
    for reader in readers {
        assert_eq!(reader.end().lines(), [one("one")]);
    }
    get.end().lines();
    assert_eq!(setting.server.counts(DOCS).fetches, 1);

    setting.docs.commit(&few("two"));
    setting.change("update");
    for mount in &mounts {
        assert_eq!(Reader::run("cat", &[&mount.path(&file)]).end().lines(), [one("two")]);
    }
    assert_eq!(setting.program.json(&["status"])["cache"]["lock"], "lease");
    assert_eq!(held_locks(&setting), [""; 0]);
}

#[test]
fn what_a_reader_holds_open_outlives_a_clear_and_leaves_the_disk_after_it() {
    let large: Vec<u8> = (0..900_000_u32).flat_map(u32::to_le_bytes).collect();
    let files = [crate::harness::repository::File::new("large", large.clone())];
    let mut setting = Setting::with(LEASES, &files);
    let mount = Mounted::new(&setting.program);
    let mut open = Reader::play("hold", &mount.path(KEY).join("large"));
    assert_eq!(open.line(), "held");
    setting.docs.commit(&few("two"));
    let cleared = setting.change("clear");
    assert!(cleared["mirrors"][0]["held"].as_u64().unwrap() > 0, "{cleared}");
    assert_eq!(cat(&mount.path(KEY).join(ONE)), one("two"));
    assert_eq!(setting.generations().len(), 2, "the old one is still read");
    open.tell("go on");
    assert_eq!(open.end().lines(), [hash_of(&large)]);
    wait_until("what nobody uses leaves the disk", || setting.generations().len() == 1);
}

#[test]
fn a_daemon_is_killed_while_it_fetches_and_another_one_goes_on_after_the_stale_time() {
    let setting = Setting::with(LEASES, &few("one"));
    let _other = kill_one_of_two(&setting);
    wait_until("what it had staged is reaped", || {
        setting.program.json(&["status"]);
        setting.leftovers().is_empty()
    });
}

#[test]
fn a_stopped_fetch_is_taken_over_and_shows_what_the_other_one_brought() {
    let mut setting = Setting::with(LEASES, &few("one"));
    setting.server.fail(DOCS, Stage::Fetch, Fault::StallBeforeHeaders);
    let get = Reader::start(&mut setting.program.command(&["get", KEY]));
    setting.server.wait_for(DOCS, |counts| counts.stalled == 1);
    get.signal(Signal::SIGSTOP);
    setting.server.mend(DOCS);
    setting.docs.commit(&few("two"));
    let mount = Mounted::new(&setting.program);
    assert_eq!(cat(&mount.path(KEY).join(ONE)), one("two"));
    setting.server.release();
    get.signal(Signal::SIGCONT);
    get.end().lines();
    assert_eq!(Reader::run("cat", &[&mount.path(KEY).join(ONE)]).end().lines(), [one("two")]);
    assert_eq!(setting.generations().len(), 1);
}

#[test]
fn who_has_other_locks_is_refused_and_told_what_to_do() {
    let setting = Setting::with(LEASES, &few("one"));
    setting.program.json(&["get", KEY]);
    setting.configure("lock = \"kernel\"\n");
    for verb in [&["get", KEY][..], &["status"], &["clear", KEY]] {
        let refused = setting.program.run(verb);
        assert_eq!(refused.code, 1, "{refused:?}");
        for part in ["lock = \"lease\"", "lock = \"kernel\"", "lock-backend", "--cache-dir"] {
            assert!(refused.err.contains(part), "{part}: {refused:?}");
        }
    }
    let doctor = setting.program.run(&["doctor"]);
    assert!(doctor.out.contains("lock-backend"), "{doctor:?}");
    setting.configure("");
    assert_eq!(setting.program.json(&["status"])["cache"]["lock"], "lease", "nothing said: as it was made");
    assert!(setting.program.run(&["doctor"]).out.contains("lease"));
}
