//! P3 single flight: any number of readers cause one fetch.

use nix::sys::signal::Signal;

use crate::harness::git_server::{Fault, Stage};
use crate::mounted::Mounted;
use crate::reader::{Reader, cat, wait_until};
use crate::setting::{DOCS, KEY, ONE, Setting, one, only_root_can};

#[test]
fn two_daemons_a_verb_and_fifty_readers_of_one_cold_key_cause_one_fetch() {
    let setting = Setting::new();
    let mounts = [Mounted::at(&setting.program, "a"), Mounted::at(&setting.program, "b")];
    setting.server.fail(DOCS, Stage::Fetch, Fault::StallBeforeHeaders);
    let file = format!("{KEY}/{ONE}");
    let mut readers: Vec<Reader> =
        (0..50).map(|n| Reader::run("cat", &[&mounts[n % 2].path(&file)])).collect();
    let get = Reader::start(&mut setting.program.command(&["get", KEY]));
    setting.server.wait_for(DOCS, |counts| counts.stalled == 1);
    wait_until("both daemons have readers that wait", || mounts.iter().all(|mount| mount.waiting() > 0));
    assert!(readers.iter_mut().all(|reader| !reader.is_over()), "nothing is shown before it is whole");
    setting.server.mend(DOCS);
    setting.server.release();
    for reader in readers {
        assert_eq!(reader.end().lines(), [one("one")]);
    }
    get.end().lines();
    assert_eq!(setting.server.counts(DOCS).fetches, 1);
}

#[test]
fn two_pid_namespaces_on_one_cache_cause_one_fetch() {
    if !only_root_can("make a pid namespace") {
        return;
    }
    let setting = Setting::new();
    setting.server.fail(DOCS, Stage::Fetch, Fault::StallBeforeHeaders);
    let inside = || {
        let srcfs = setting.program.command(&["get", KEY]);
        let mut command = crate::harness::repository::hermetic("unshare");
        command.args(["--pid", "--fork", "--kill-child", "--mount-proc", "--"]).arg(srcfs.get_program());
        command.args(srcfs.get_args());
        for (name, value) in srcfs.get_envs() {
            value.map(|value| command.env(name, value));
        }
        Reader::start(&mut command)
    };
    let getting = [inside(), inside()];
    setting.server.wait_for(DOCS, |counts| counts.stalled == 1);
    setting.server.mend(DOCS);
    setting.server.release();
    for get in getting {
        get.end().lines();
    }
    assert_eq!(setting.server.counts(DOCS).fetches, 1);
}

#[test]
fn a_fetch_whose_readers_are_all_gone_serves_the_next_one() {
    let setting = Setting::new();
    let mount = Mounted::new(&setting.program);
    setting.server.fail(DOCS, Stage::Fetch, Fault::StallBeforeHeaders);
    let reader = Reader::run("cat", &[&mount.path(KEY).join(ONE)]);
    setting.server.wait_for(DOCS, |counts| counts.stalled == 1);
    reader.signal(Signal::SIGINT);
    reader.dies_of(Signal::SIGINT);
    setting.server.mend(DOCS);
    setting.server.release();
    assert_eq!(cat(&mount.path(KEY).join(ONE)), one("one"));
    assert_eq!(setting.server.counts(DOCS).fetches, 1);
}
