//! The mount itself: one a path, gone at once when it is told to go, served to the last close.

use nix::sys::signal::Signal;

use crate::harness::git_server::{Fault, Stage};
use crate::harness::repository::File;
use crate::mounted::Mounted;
use crate::reader::{Reader, wait_until};
use crate::role::hash_of;
use crate::setting::{DOCS, KEY, Setting};

fn is_mounted(mount: &std::path::Path) -> bool {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    mounts.lines().any(|line| line.split(' ').nth(4) == mount.to_str())
}

#[test]
fn of_six_mounts_at_once_on_one_path_exactly_one_succeeds() {
    let setting = Setting::new();
    let place = setting.program.path().join("mount");
    let mounting: Vec<Reader> =
        (0..6).map(|_| Reader::start(&mut setting.program.command(&["mount"]))).collect();
    let codes: Vec<i32> = mounting.into_iter().map(|one| one.end().status.code().unwrap()).collect();
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let count = mounts.lines().filter(|line| line.split(' ').nth(4) == place.to_str()).count();
    let answer = Reader::run("cat", &[&place.join("README.md")]).end();
    let run = setting.program.run(&["unmount", "--force"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(!is_mounted(&place));
    assert_eq!(codes.iter().filter(|code| **code == 0).count(), 1, "{codes:?}");
    assert!(codes.iter().all(|code| matches!(code, 0 | 14)), "{codes:?}");
    assert_eq!(count, 1);
    assert!(!answer.lines().is_empty());
}

#[test]
fn a_file_that_is_half_read_is_read_to_its_end_after_the_unmount() {
    let large: Vec<u8> = (0..900_000_u32).flat_map(u32::to_le_bytes).collect();
    let setting = Setting::with("", &[File::new("large", large.clone())]);
    let mut mount = Mounted::new(&setting.program);
    let mut reader = Reader::play("hold", &mount.path(KEY).join("large"));
    assert_eq!(reader.line(), "held");
    let report = setting.program.json(&["unmount"]);
    assert!(!is_mounted(mount.place()), "it is detached at once");
    assert_eq!(report["readers"][0]["pid"], reader.pid().as_raw(), "{report}");
    assert!(mount.ended().is_none(), "somebody still reads");
    reader.tell("go on");
    assert_eq!(reader.end().lines(), [hash_of(&large)]);
    assert!(mount.wait().success(), "it ends at the last close");
}

#[test]
fn a_daemon_that_is_told_to_end_while_it_is_busy_ends_with_everything_answered() {
    let setting = Setting::new();
    for twice in [false, true] {
        let mut mount = Mounted::new(&setting.program);
        setting.server.fail(DOCS, Stage::Any, Fault::StallBeforeHeaders);
        let waiting: Vec<Reader> = (0..4).map(|_| Reader::run("ls", &[&mount.path(KEY)])).collect();
        wait_until("all of them wait", || mount.waiting() == 4);
        let mut inside = Reader::shell("cd \"$1\" && echo ready && read go", mount.place());
        inside.line();
        mount.signal(Signal::SIGTERM);
        if twice {
            wait_until("it is ending", || !is_mounted(mount.place()));
            // It may have ended already, if the working directory is all that is left.
            let _ = nix::sys::signal::kill(mount.daemon(), Signal::SIGTERM);
        }
        for reader in waiting {
            let ended = reader.end();
            assert!(!ended.status.success() && ended.out.is_empty(), "{ended:?}");
        }
        let status = mount.wait();
        assert!(!is_mounted(mount.place()));
        assert!(status.code().is_some(), "{status:?}");
        assert_eq!(status.success(), !twice, "{status:?}");
        inside.end();
        setting.server.mend(DOCS);
        setting.server.release();
        wait_until("no process of git is left", || setting.gits().is_empty());
    }
}

#[test]
fn a_mount_in_the_background_answers_when_the_verb_returns() {
    let setting = Setting::new();
    let place = setting.program.path().join("mount");
    setting.program.json(&["mount"]);
    let read = Reader::run("ls", &[&place.join(KEY)]).end();
    let second = setting.program.run(&["mount"]);
    let gone = setting.program.run(&["unmount"]);
    assert!(!is_mounted(&place), "{gone:?}");
    assert_eq!(read.lines(), ["d000", "d001"]);
    assert_eq!((second.code, gone.code), (14, 0), "{second:?}");
    assert_eq!(setting.program.run(&["unmount"]).code, 21);
}
