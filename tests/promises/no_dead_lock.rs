//! P4 no dead lock: killed at any instant, the next user goes on, with no manual step.

use std::os::unix::process::ExitStatusExt;

use nix::sys::signal::Signal;

use crate::harness::git_server::{Fault, Stage};
use crate::mounted::Mounted;
use crate::reader::{Reader, cat, wait_until};
use crate::setting::{DOCS, KEY, ONE, Setting, few, one};

/// Nothing but what is published is left of those who were killed.
fn assert_tidy(setting: &Setting) {
    wait_until("no process of git is left", || setting.gits().is_empty());
    wait_until("what was left is reaped", || setting.leftovers().is_empty());
    let status = setting.program.json(&["status"]);
    assert_eq!(status["locks"].as_array().map(Vec::len), Some(0), "{status}");
}

/// Kills one of two daemons in the middle of a fetch for which the other one waits, and sees that one
/// fetch and show it. Answers the mount that goes on.
pub fn kill_one_of_two(setting: &Setting) -> Mounted<'_> {
    let other = Mounted::at(&setting.program, "other");
    let mut killed = Mounted::at(&setting.program, "killed");
    setting.server.fail(DOCS, Stage::Fetch, Fault::StallBeforeHeaders);
    let reader = Reader::run("cat", &[&killed.path(KEY).join(ONE)]);
    setting.server.wait_for(DOCS, |counts| counts.stalled == 1);
    let waiting = Reader::run("cat", &[&other.path(KEY).join(ONE)]);
    wait_until("the second one waits for the lock", || other.waiting() > 0);
    setting.server.mend(DOCS);
    killed.kill();
    let ended = reader.end();
    assert!(!ended.status.success(), "nobody serves it any more: {ended:?}");
    assert_eq!(waiting.end().lines(), [one("one")]);
    assert_eq!(setting.server.counts(DOCS).fetches, 2);
    other
}

#[test]
fn the_one_who_fetches_is_killed_in_the_middle_and_the_next_one_fetches() {
    let setting = Setting::new();
    let mount = Mounted::new(&setting.program);
    for (n, fault) in [Fault::StallBeforeHeaders, Fault::StallInBody(700)].into_iter().enumerate() {
        setting.server.fail(DOCS, Stage::Fetch, fault);
        setting.interrupted(&["get", KEY], Signal::SIGKILL, |setting| {
            setting.server.wait_for(DOCS, |counts| counts.stalled == 1);
        });
        setting.server.mend(DOCS);
        // The server still hangs: who comes next waits for no part of the one that was killed.
        assert_eq!(cat(&mount.path(KEY).join(ONE)), one("one"));
        assert_eq!(setting.server.counts(DOCS).fetches, 2 * (n + 1));
        setting.server.release();
        setting.server.wait_for(DOCS, |counts| counts.stalled == 0);
        setting.change("clear");
    }
    setting.program.json(&["get", KEY]);
    assert_tidy(&setting);
}

#[test]
fn a_daemon_is_killed_while_it_fetches_and_another_one_goes_on() {
    let setting = Setting::new();
    let _other = kill_one_of_two(&setting);
    let _next = Mounted::at(&setting.program, "next");
    assert_tidy(&setting);
}

#[test]
fn whoever_materializes_is_killed_at_every_step_and_the_next_one_is_whole() {
    let mut setting = Setting::with("quiet = \"100ms\"\n", &few("one"));
    let mount = Mounted::new(&setting.program);
    let kill_at = |setting: &Setting, number: u32, arguments: &[&str]| {
        let plan = format!("{number}:kill");
        let mut command = setting.program.command(arguments);
        let killed = Reader::start(command.env("SRCFS_FAULT", &plan)).end();
        let died = killed.status.signal() == Some(Signal::SIGKILL as i32);
        assert!(died || killed.status.success(), "{plan}: {killed:?}");
        died
    };
    let mut steps = 0_u32;
    loop {
        steps += 1;
        let version = format!("v{steps}");
        setting.docs.commit(&few(&version));
        // By turns the first fetch of a mirror and an update of it, then the clear.
        if steps.is_multiple_of(2) {
            setting.change("clear");
        }
        let arguments: &[&str] = if steps.is_multiple_of(2) { &["get", KEY] } else { &["update", KEY] };
        let killed = kill_at(&setting, steps.div_ceil(2), arguments);
        setting.change("update");
        let seen = Reader::play("walk", &mount.path(KEY)).end().lines();
        let step = || format!("after {arguments:?} was killed at {steps}: {}", mount.status()["views"]);
        assert_eq!(seen, [format!("{version} 60")], "{}", step());
        if !killed && steps.is_multiple_of(2) {
            break;
        }
    }
    assert!(steps > 20, "there are more steps than {steps}");
    let mut number = 0;
    loop {
        number += 1;
        let killed = kill_at(&setting, number, &["clear", KEY]);
        let seen = Reader::play("walk", &mount.path(KEY)).end().lines();
        assert_eq!(seen.len(), 1, "after a clear that was killed at {number}");
        if !killed {
            break;
        }
    }
    drop(mount);
    setting.program.json(&["clear", "--all"]);
    setting.program.json(&["get", KEY]);
    assert_eq!(setting.generations().len(), 1);
    assert_tidy(&setting);
}
