//! Ctrl-C in the middle: what was done is there and told, and nothing else is left.

use nix::sys::signal::Signal;

use crate::harness::git_server::{Fault, Stage};
use crate::reader::{Reader, wait_until};
use crate::{get, prepared, repository, state_file, with_repositories};

#[test]
fn an_interrupt_tells_what_was_done_and_leaves_nothing() {
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let (setting, keys) = with_repositories(6);
        let stalls = repository(&keys[2]);
        setting.server.fail(&stalls, Stage::Fetch, Fault::StallInBody(100));
        let mut batch = Reader::start(&mut setting.program.command(&get(&["--jobs", "2"], &keys)));
        for key in &keys[..2] {
            assert!(batch.line().starts_with(&format!("{key}  ")));
        }
        setting.server.wait_for(&stalls, |counts| counts.stalled == 1);
        wait_until("the next one waits for its turn", || prepared(&setting) == 1);
        assert!(!setting.gits().is_empty());

        batch.signal(signal);
        let ended = batch.end();
        assert_eq!(ended.status.code(), Some(code), "{ended:?}");
        assert_eq!(ended.out.len(), 1, "{ended:?}");
        assert!(ended.out[0].starts_with("interrupted: 2 fetched, 0 cached, 0 failed; "), "{ended:?}");
        assert_eq!(ended.err, "");
        // At once: nothing of it is left to a later reap.
        assert!(setting.leftovers().is_empty());
        wait_until("no process of git is left", || setting.gits().is_empty());
        let there: Vec<bool> = keys.iter().map(|key| state_file(&setting, key).is_some()).collect();
        assert_eq!(there, [true, true, false, false, false, false]);
        let status = setting.program.json(&["status"]);
        assert_eq!(status["locks"], serde_json::json!([]));
        assert_eq!(status["errors"], serde_json::json!([]), "nobody failed");

        setting.server.mend(&stalls);
        let report = setting.program.json(&get(&[], &keys));
        assert_eq!((&report["cached"], &report["fetched"]), (&2.into(), &4.into()));
    }
}

#[test]
fn an_interrupt_while_the_list_is_awaited_ends_it() {
    let (setting, keys) = with_repositories(1);
    let mut batch = Reader::start(&mut setting.program.command(&["get", "-"]));
    batch.tell(&keys[0]);
    batch.line();
    batch.signal(Signal::SIGINT);
    wait_until("it ends, though its input is open", || batch.is_over());
    let ended = batch.end();
    assert_eq!(ended.status.code(), Some(130));
    assert!(ended.out[0].starts_with("interrupted: 1 fetched"), "{ended:?}");
}

#[test]
fn what_was_ignored_from_the_start_stays_ignored() {
    let (setting, keys) = with_repositories(1);
    let stalls = repository(&keys[0]);
    setting.server.fail(&stalls, Stage::Fetch, Fault::StallBeforeHeaders);
    let srcfs = setting.program.command(&["get", &keys[0]]);
    let mut nohup = crate::harness::repository::hermetic("sh");
    nohup.args(["-c", "trap '' INT HUP; exec \"$@\"", "sh"]).arg(srcfs.get_program()).args(srcfs.get_args());
    for (name, value) in srcfs.get_envs() {
        value.map(|value| nohup.env(name, value));
    }
    let batch = Reader::start(&mut nohup);
    setting.server.wait_for(&stalls, |counts| counts.stalled == 1);
    batch.signal(Signal::SIGINT);
    batch.signal(Signal::SIGHUP);
    setting.server.mend(&stalls);
    setting.server.release();
    assert!(batch.end().lines()[0].starts_with(&keys[0]));
}
