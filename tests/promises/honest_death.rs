//! P10 honest death: what needs a dead daemon is ENOTCONN, never wrong or empty data; the next start
//! repairs its own mount and touches no other.

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::signal::Signal;

use crate::harness::git_server::{Fault, Stage};
use crate::mounted::Mounted;
use crate::reader::{Reader, cat, wait_until};
use crate::setting::{DOCS, KEY, ONE, Setting, few, one, only_root_can};

const DEAD: &str = "Transport endpoint is not connected";

#[test]
fn a_dead_mount_says_so_and_the_next_start_repairs_it() {
    let setting = Setting::new();
    let mut mount = Mounted::new(&setting.program);
    setting.repository("slow", &few("slow"));
    assert_eq!(cat(&mount.path(KEY).join(ONE)), one("one"));
    let mut inside = Reader::shell(
        "cd \"$1\" && echo ready && read go && for verb in status list doctor; do \
         \"$SRCFS\" -q $verb > /dev/null; echo $verb $?; done",
        &mount.path(KEY),
    );
    drop(inside);
    let mut command = crate::harness::repository::hermetic("sh");
    command.args(["-c", "cd \"$1\" && echo ready && read go && \"$2\" status >/dev/null; echo $?", "sh"]);
    command.arg(mount.path(KEY)).arg(env!("CARGO_BIN_EXE_srcfs"));
    command.env("SRCFS_CACHE_DIR", setting.program.cache()).env("SRCFS_CONFIG", setting.program.config());
    inside = Reader::start(&mut command);
    assert_eq!(inside.line(), "ready");

    setting.server.fail("team/slow.git", Stage::Fetch, Fault::StallBeforeHeaders);
    let waiting = Reader::run("cat", &[&mount.path("git/github.com/team/slow").join(ONE)]);
    setting.server.wait_for("team/slow.git", |counts| counts.stalled == 1);
    assert!(!setting.gits().is_empty());
    mount.kill();

    let ended = waiting.end();
    assert!(!ended.status.success() && ended.out.is_empty(), "{ended:?}");
    for (program, path) in [("ls", ""), ("ls", KEY), ("cat", &format!("{KEY}/d001/f00050.txt") as &str)] {
        wait_until("the kernel forgets what it may remember for a second", || {
            let ended = Reader::run(program, &[&mount.path(path)]).end();
            let dead = ended.err.contains(DEAD);
            // Until then it is right, not empty.
            assert!(dead || ended.status.success() && !ended.out.is_empty(), "{ended:?}");
            dead
        });
    }
    wait_until("no process of git is left", || setting.gits().is_empty());
    inside.tell("go");
    assert_eq!(inside.end().lines(), ["0"], "verbs work in a dead directory");

    setting.server.mend("team/slow.git");
    let again = Mounted::new(&setting.program);
    assert_eq!(cat(&again.path(KEY).join(ONE)), one("one"));
    assert_eq!(cat(&again.path("git/github.com/team/slow").join(ONE)), one("slow"));
    assert_eq!(setting.server.counts(DOCS).fetches, 1, "the cache outlived it");
    assert_eq!(setting.leftovers(), Vec::<std::path::PathBuf>::new(), "and was tidied");
}

#[test]
fn a_start_touches_no_mount_of_others() {
    if !only_root_can("mount another file system") {
        return;
    }
    let setting = Setting::new();
    let place = setting.program.path().join("mount");
    std::fs::create_dir(&place).unwrap();
    mount(Some("theirs"), &place, Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
    let run = setting.program.run(&["mount"]);
    let stays = std::fs::read_to_string("/proc/self/mountinfo").unwrap().contains(place.to_str().unwrap());
    umount2(&place, MntFlags::empty()).unwrap();
    assert_eq!((run.code, stays), (15, true), "{run:?}");
}

#[test]
fn who_was_unmounted_from_outside_leaves_the_mount_that_came_after_alone() {
    if !only_root_can("mount another file system") {
        return;
    }
    let setting = Setting::new();
    for forced in [false, true] {
        let mut ours = Mounted::new(&setting.program);
        let mut held = Reader::play("hold", &ours.path(KEY).join(ONE));
        assert_eq!(held.line(), "held");
        umount2(ours.place(), MntFlags::MNT_DETACH).unwrap();
        let theirs = || mount(Some("theirs"), ours.place(), Some("tmpfs"), MsFlags::empty(), None::<&str>);
        theirs().unwrap();
        std::fs::write(ours.path("file"), "theirs").unwrap();
        if forced {
            let run = setting.program.run(&["unmount", "--force"]);
            assert_eq!(run.code, 22, "something else is mounted there: {run:?}");
            ours.signal(Signal::SIGTERM);
        } else {
            held.tell("go on");
        }
        ours.wait();
        let still = std::fs::read_to_string(ours.path("file"));
        umount2(ours.place(), MntFlags::empty()).unwrap();
        assert_eq!(still.unwrap(), "theirs");
    }
}
