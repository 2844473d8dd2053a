//! P8 contained: nothing outside the cache is ever removed; symlinks and mount points are not crossed.

use std::os::unix::fs::symlink;
use std::path::Path;

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::harness::repository::File;
use crate::mounted::Mounted;
use crate::reader::{Reader, wait_until};
use crate::setting::{KEY, Setting, only_root_can};

fn outside(setting: &Setting) -> std::path::PathBuf {
    let outside = setting.program.path().join("precious");
    std::fs::create_dir_all(outside.join("deep")).unwrap();
    std::fs::write(outside.join("deep/file"), "precious").unwrap();
    outside
}

fn assert_untouched(outside: &Path) {
    assert_eq!(std::fs::read_to_string(outside.join("deep/file")).unwrap(), "precious");
}

#[test]
fn links_in_the_cache_lead_no_deletion_out_of_it() {
    let setting = Setting::new();
    let outside = outside(&setting);
    setting.program.json(&["get", KEY]);
    let v1 = setting.program.cache().join("v1");
    let generation = setting.generations().remove(0);
    let mirror = generation.parent().unwrap();
    // What a confused or hostile program of the same user could leave there.
    symlink(&outside, v1.join("trash/link")).unwrap();
    std::fs::create_dir(v1.join("trash/directory")).unwrap();
    symlink(&outside, v1.join("trash/directory/link")).unwrap();
    symlink(outside.join("deep/file"), v1.join("trash/directory/file")).unwrap();
    symlink(&outside, v1.join("staging/orphan")).unwrap();
    symlink(&outside, v1.join("staging/0123456789abcdef0123456789abcdef")).unwrap();
    symlink(&outside, generation.join("link")).unwrap();
    symlink(&outside, mirror.join("0123456789abcdef0123456789abcdef")).unwrap();
    symlink(&outside, v1.join("mirrors/git/foreign")).unwrap();
    setting.program.json(&["clear", KEY]);
    setting.program.json(&["clear", "--all"]);
    setting.program.json(&["get", KEY]);
    let started = Mounted::new(&setting.program);
    Reader::run("ls", &[&started.path(KEY)]).end().lines();
    wait_until("the trash is empty", || std::fs::read_dir(v1.join("trash")).unwrap().count() == 0);
    assert_untouched(&outside);
    assert!(!generation.exists(), "what belongs to the cache is gone");
}

#[test]
fn what_is_mounted_in_the_cache_stays() {
    if !only_root_can("mount a directory into the cache") {
        return;
    }
    let setting = Setting::new();
    let outside = outside(&setting);
    setting.program.json(&["get", KEY]);
    let generation = setting.generations().remove(0);
    let place = generation.join("mounted");
    std::fs::create_dir(&place).unwrap();
    mount(Some(&outside), &place, None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
    let cleared = setting.program.run(&["--json", "clear", KEY]);
    setting.program.json(&["get", KEY]);
    // It went along with the generation to the trash, or stayed where it was.
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let cache = setting.program.cache().display().to_string();
    let inside: Vec<&str> = mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .filter(|on| on.starts_with(&cache))
        .collect();
    let still = inside.len();
    for place in inside {
        umount2(place, MntFlags::MNT_DETACH).unwrap();
    }
    assert_untouched(&outside);
    assert_eq!((cleared.code, still), (0, 1), "{cleared:?}");
}

#[test]
fn links_of_a_repository_are_shown_and_never_followed() {
    let setting = Setting::new();
    let outside = outside(&setting);
    let target = outside.display().to_string();
    let files = [
        File::link("absolute", &target),
        File::link("relative", "../../../../../precious/deep"),
        File::link("up", "../../../../.."),
        File::new("file", "file\n"),
    ];
    setting.repository("links", &files);
    let key = "git/github.com/team/links";
    let mount = Mounted::new(&setting.program);
    let shown = Reader::run("readlink", &[&mount.path(key).join("absolute")]).end().lines();
    assert_eq!(shown, [target]);
    setting.program.json(&["clear", key]);
    setting.program.json(&["clear", "--all"]);
    assert_untouched(&outside);
    assert!(setting.docs.path().exists() && setting.program.config().exists());
}
