//! P2 immutable: bytes, size, mode, mtime and names of a revision never change.

use crate::harness::repository::{EPOCH, File};
use crate::mounted::Mounted;
use crate::reader::{Reader, wait_until};
use crate::setting::{KEY, Setting, few};

const NOTHING: [&String; 0] = [];

fn record(mount: &Mounted<'_>, path: &str) -> Vec<String> {
    Reader::play("record", &mount.path(path)).end().lines()
}

/// What one record says and the other does not.
fn difference<'r>(one: &'r [String], other: &'r [String]) -> Vec<&'r String> {
    let only = |a: &'r [String], b: &'r [String]| a.iter().filter(|line| !b.contains(line));
    only(one, other).chain(only(other, one)).collect()
}

#[test]
fn a_revision_is_the_same_by_every_name_after_every_change_and_from_every_daemon() {
    let files = [
        File::new("a/plain", "plain\n"),
        File::executable("a/tool", "#!/bin/sh\nexit 0\n"),
        File::new("a/empty", ""),
        File::new("large", vec![b'x'; 300_000]),
        File::link("link", "a/plain"),
        File::link("outside", "/etc/passwd"),
    ];
    let mut setting = Setting::with("quiet = \"100ms\"\n", &files);
    setting.docs.tag("v1", &setting.first);
    let exact = format!("{KEY}@{}", setting.first);
    let expected = {
        let mount = Mounted::new(&setting.program);
        // The root has the commit's time from the first look inside on.
        Reader::run("ls", &[&mount.path(KEY)]).end().lines();
        let expected = record(&mount, KEY);
        let owner = (nix::unistd::getuid().as_raw(), nix::unistd::getgid().as_raw());
        let time = EPOCH + 60;
        let of = |name: &str| expected.iter().find(|line| line.starts_with(&format!("{name}: "))).unwrap();
        assert_eq!(expected.len(), 8, "{expected:?}");
        assert!(of("a/plain").starts_with(&format!("a/plain: 100444 6 {owner:?} ({time}, 0) ")));
        assert!(of("a/tool").starts_with("a/tool: 100555 17 "), "{expected:?}");
        assert!(of("a").starts_with("a: 40555 "), "{expected:?}");
        assert!(of("link").ends_with("-> a/plain") && of("outside").ends_with("-> /etc/passwd"));
        for name in [&exact, &format!("{KEY}@v1"), &format!("{KEY}@main")] {
            assert_eq!(difference(&record(&mount, name), &expected), NOTHING, "{name}");
        }
        setting.docs.commit(&few("two"));
        setting.program.json(&["update"]);
        assert_ne!(record(&mount, KEY), expected, "this name moves");
        assert_eq!(difference(&record(&mount, &exact), &expected), NOTHING, "updated");

        setting.docs.force_push("main", &few("three"));
        setting.docs.tag("v1", "refs/heads/main");
        setting.program.json(&["update"]);
        assert_eq!(difference(&record(&mount, &exact), &expected), NOTHING, "force-pushed");
        setting.docs.delete_branch("main");
        setting.docs.branch("other", &setting.first);
        setting.program.run(&["update"]);
        assert_eq!(difference(&record(&mount, &exact), &expected), NOTHING, "deleted upstream");
        setting.change("clear");
        assert_eq!(difference(&record(&mount, &exact), &expected), NOTHING, "fetched again");
        expected
    };
    let mount = Mounted::new(&setting.program);
    assert_eq!(difference(&record(&mount, &exact), &expected), NOTHING, "from another daemon");
}

#[test]
fn a_tree_that_was_read_is_read_again_without_the_daemon() {
    let setting = Setting::new();
    let mount = Mounted::new(&setting.program);
    let walk = || Reader::play("walk", &mount.path(KEY)).end().lines();
    walk();
    wait_until("the walk's own attributes are cached", || walk() == ["one 60"]);
    let count = || ["OPEN", "READ", "READDIR", "READDIRPLUS"].map(|kind| mount.requests(kind));
    // Reading the status is one READ itself.
    let before = count();
    walk();
    let after = count();
    assert_eq!((after[0], after[2], after[3]), (before[0], before[2], before[3]));
}
