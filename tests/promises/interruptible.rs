//! P12 interruptible: Ctrl-C or kill of any waiting reader works, and every wait has a bound.
//!
//! The reply bound is a minute here, and longer than a reader may take to end in these tests.

use nix::sys::signal::Signal;

use crate::harness::git_server::{Fault, Stage};
use crate::mounted::Mounted;
use crate::reader::{Reader, cat, wait_until};
use crate::setting::{DOCS, KEY, ONE, Setting, few, one};

const PATIENT: &str = "reply_bound = \"119s\"\n";

#[test]
fn each_of_several_waiters_dies_of_its_own_signal_and_the_others_go_on() {
    let setting = Setting::with(PATIENT, &few("one"));
    let mount = Mounted::new(&setting.program);
    // It is not known yet whether the repository exists: all of them wait for that.
    setting.server.fail(DOCS, Stage::Hello, Fault::StallBeforeHeaders);
    let read = || Reader::run("cat", &[&mount.path(KEY).join(ONE)]);
    let (first, second, third, last) = (read(), read(), read(), read());
    wait_until("all of them wait", || mount.waiting() == 4);
    for (reader, signal) in [(second, Signal::SIGINT), (first, Signal::SIGKILL), (third, Signal::SIGTERM)] {
        reader.signal(signal);
        reader.dies_of(signal);
    }
    assert_eq!(mount.waiting(), 1);
    setting.server.mend(DOCS);
    setting.server.release();
    assert_eq!(last.end().lines(), [one("one")]);
}

#[test]
fn a_waiter_inside_a_view_dies_of_its_signal() {
    let setting = Setting::with(PATIENT, &few("one"));
    let mount = Mounted::new(&setting.program);
    setting.server.fail(DOCS, Stage::Fetch, Fault::StallBeforeHeaders);
    // Different names: two callers of one name is the exception that the promise names.
    let reading = Reader::run("cat", &[&mount.path(KEY).join("d000/f00000.txt")]);
    let listing = Reader::run("ls", &[&mount.path(KEY)]);
    let looking = Reader::run("stat", &[&mount.path(KEY).join("d001")]);
    setting.server.wait_for(DOCS, |counts| counts.stalled == 1);
    wait_until("they wait", || mount.waiting() >= 2);
    for (reader, signal) in [(reading, Signal::SIGINT), (looking, Signal::SIGHUP), (listing, Signal::SIGQUIT)]
    {
        reader.signal(signal);
        reader.dies_of(signal);
    }
    setting.server.mend(DOCS);
    setting.server.release();
    assert_eq!(cat(&mount.path(KEY).join(ONE)), one("one"));
    assert_eq!(setting.server.counts(DOCS).fetches, 1, "the fetch went on");
}

#[test]
fn a_signal_that_is_ignored_ends_nothing() {
    let setting = Setting::with(PATIENT, &few("one"));
    let mount = Mounted::new(&setting.program);
    setting.server.fail(DOCS, Stage::Hello, Fault::StallBeforeHeaders);
    let deaf = Reader::shell("trap '' INT; exec cat \"$1\"", &mount.path(KEY).join(ONE));
    let other = Reader::run("cat", &[&mount.path(KEY).join(ONE)]);
    wait_until("both wait", || mount.waiting() == 2);
    deaf.signal(Signal::SIGINT);
    other.signal(Signal::SIGINT);
    other.dies_of(Signal::SIGINT);
    setting.server.mend(DOCS);
    setting.server.release();
    assert_eq!(deaf.end().lines(), [one("one")]);
}

#[test]
fn a_verb_that_waits_dies_of_its_signal_and_leaves_nothing() {
    let setting = Setting::new();
    setting.server.fail(DOCS, Stage::Fetch, Fault::StallBeforeHeaders);
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        setting.interrupted(&["get", KEY], signal, |setting| {
            setting.server.wait_for(DOCS, |counts| counts.stalled == 1);
        });
        wait_until("no process of git is left", || setting.gits().is_empty());
        setting.server.release();
        setting.server.wait_for(DOCS, |counts| counts.stalled == 0);
    }
    setting.server.mend(DOCS);
    setting.program.json(&["get", KEY]);
    assert_eq!(setting.leftovers(), Vec::<std::path::PathBuf>::new());
}
