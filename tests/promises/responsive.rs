//! P11 responsive: a hung fetch does not slow what is cached.

use crate::harness::git_server::{Fault, Stage};
use crate::mounted::Mounted;
use crate::reader::{Reader, cat, wait_until};
use crate::setting::{DOCS, KEY, ONE, Setting, few, one};

#[test]
fn sixty_four_keys_that_hang_leave_their_siblings_alone() {
    let mut setting = Setting::new();
    let mount = Mounted::new(&setting.program);
    assert_eq!(cat(&mount.path(KEY).join(ONE)), one("one"));
    setting.repository("cold", &few("cold"));
    let hung: Vec<String> = (0..64).map(|n| format!("team/hung{n:02}")).collect();
    for name in &hung {
        setting.server.fail(&format!("{name}.git"), Stage::Any, Fault::StallBeforeHeaders);
    }
    let mut readers: Vec<Reader> = hung
        .iter()
        .map(|name| Reader::run("cat", &[&mount.path(&format!("git/github.com/{name}/file"))]))
        .collect();
    wait_until("all of them wait", || mount.waiting() == 64);

    // All of this would wait for the reply bound, a minute each, if a lane or a lock were shared.
    assert_eq!(Reader::play("walk", &mount.path(KEY)).end().lines(), ["one 60"]);
    let siblings = Reader::run("ls", &[&mount.path("git/github.com/team")]).end().lines();
    assert!(siblings.contains(&"docs".to_owned()), "{siblings:?}");
    Reader::run("stat", &[&mount.path(KEY)]).end().lines();
    setting.docs.commit(&few("two"));
    setting.program.json(&["update", KEY]);
    assert_eq!(cat(&mount.path(KEY).join(ONE)), one("two"));
    setting.program.json(&["get", KEY]);
    let status = setting.program.json(&["status"]);
    assert_eq!(status["mounts"][0]["silent"], serde_json::Value::Null, "{status}");
    // A verb fetches by itself, whatever the daemon is busy with; the daemon then opens what is there.
    setting.program.json(&["get", "git/github.com/team/cold"]);
    assert_eq!(cat(&mount.path("git/github.com/team/cold").join(ONE)), one("cold"));
    setting.program.json(&["clear", KEY]);
    setting.program.json(&["get", KEY]);
    assert_eq!(cat(&mount.path(KEY).join(ONE)), one("two"));
    assert!(readers.iter_mut().all(|reader| !reader.is_over()), "they hang all the while");
    assert_eq!(setting.server.counts(DOCS).stalled, 0);
}

#[test]
fn who_waits_for_longer_than_the_bound_is_told_so_and_the_fetch_goes_on() {
    let setting = Setting::with("reply_bound = \"1s\"\n", &few("one"));
    let mount = Mounted::new(&setting.program);
    setting.server.fail(DOCS, Stage::Fetch, Fault::StallBeforeHeaders);
    for _ in 0..2 {
        let ended = Reader::run("ls", &[&mount.path(KEY)]).end();
        assert!(ended.err.contains("timed out"), "{ended:?}");
    }
    assert_eq!(setting.server.counts(DOCS).fetches, 1, "the second one joined the first one's");
    setting.server.mend(DOCS);
    setting.server.release();
    wait_until("it is there", || Reader::run("ls", &[&mount.path(KEY)]).end().status.success());
    assert_eq!(setting.server.counts(DOCS).fetches, 1);
}

#[test]
fn further_hung_keys_end_at_their_bound_too() {
    let setting = Setting::with("reply_bound = \"2s\"\nmax_fetches = 2\n", &few("one"));
    let mount = Mounted::new(&setting.program);
    let hung: Vec<String> = (0..12).map(|n| format!("team/hung{n:02}")).collect();
    for name in &hung {
        setting.server.fail(&format!("{name}.git"), Stage::Any, Fault::StallBeforeHeaders);
    }
    let read = |name: &String| Reader::run("ls", &[&mount.path(&format!("git/github.com/{name}"))]);
    let readers: Vec<Reader> = hung.iter().map(read).collect();
    for reader in readers {
        let ended = reader.end();
        assert!(ended.err.contains("timed out"), "{ended:?}");
    }
    assert_eq!(mount.waiting(), 0);
}
