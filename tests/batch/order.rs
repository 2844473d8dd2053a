//! The order of commits, the bound on jobs, and failures that reach nobody else.

use crate::harness::git_server::{Fault, Stage};
use crate::reader::{Reader, wait_until};
use crate::{get, prepared, repository, state_file, told, with_repositories};

#[test]
fn a_key_that_hangs_stops_no_prepare_and_commits_come_in_the_order_of_the_input() {
    let (setting, keys) = with_repositories(4);
    let first = repository(&keys[0]);
    setting.server.fail(&first, Stage::Fetch, Fault::StallBeforeHeaders);
    let batch = Reader::start(&mut setting.program.command(&get(&["--jobs", "4"], &keys)));
    setting.server.wait_for(&first, |counts| counts.stalled == 1);
    wait_until("all others are prepared", || prepared(&setting) == 3);
    assert!(keys.iter().all(|key| state_file(&setting, key).is_none()), "one overtook the first");

    setting.server.mend(&first);
    setting.server.release();
    let out = batch.end().lines();
    assert_eq!(told(&out), keys);
    assert!(out.last().unwrap().starts_with("total: 4 fetched, 0 cached, 0 failed; "), "{out:?}");
    let published = |key: &String| state_file(&setting, key).unwrap().metadata().unwrap().modified().unwrap();
    let published: Vec<_> = keys.iter().map(published).collect();
    assert!(published.is_sorted(), "{published:?}");
    assert!(setting.leftovers().is_empty());
}

#[test]
fn one_that_fails_lets_those_behind_it_go_on_and_is_told_with_its_reason() {
    let (setting, keys) = with_repositories(4);
    setting.server.fail(&repository(&keys[0]), Stage::Any, Fault::Status(500, Vec::new()));
    setting.server.fail(&repository(&keys[2]), Stage::Fetch, Fault::Garbage);
    let absent = format!("{}@v9", keys[1]);
    let mut wanted = keys.clone();
    wanted.insert(3, absent.clone());
    for jobs in ["1", "3"] {
        let ended = Reader::start(&mut setting.program.command(&get(&["--jobs", jobs], &wanted))).end();
        assert_eq!(ended.status.code(), Some(1));
        assert_eq!(told(&ended.out), wanted);
        let table = ended.out.iter().position(|line| line.starts_with("KEY ")).unwrap();
        let failed = &ended.out[table + 1..ended.out.len() - 1];
        assert_eq!(failed.len(), 3, "{ended:?}");
        for (row, (key, why)) in
            failed.iter().zip([(&keys[0], "500"), (&keys[2], ""), (&absent, "no branch or tag")])
        {
            assert!(row.starts_with(&**key) && row.contains("  failed  ") && row.contains(why), "{row}");
        }
        assert!(ended.out.last().unwrap().contains(" 3 failed; "), "{ended:?}");
    }
    // The two that succeeded are there.
    assert_eq!(setting.generations().len(), 2);
    assert!(setting.leftovers().is_empty());
    let report = setting.program.run(&[&["--json"], &get(&[], &wanted)[..]].concat());
    assert_eq!(report.code, 1);
    let report = report.json();
    assert_eq!((&report["cached"], &report["failed"]), (&2.into(), &3.into()));
    assert_eq!(report["trees"][3]["error"]["kind"], "not_found");
}

#[test]
fn no_more_are_asked_for_at_once_than_there_are_jobs() {
    let (setting, keys) = with_repositories(6);
    for key in &keys {
        setting.server.fail(&repository(key), Stage::Hello, Fault::StallBeforeHeaders);
    }
    let mut batch = Reader::start(&mut setting.program.command(&get(&["--jobs", "2"], &keys)));
    for key in &keys[..2] {
        setting.server.wait_for(&repository(key), |counts| counts.stalled == 1);
    }
    wait_until("the batch ends", || {
        setting.server.release();
        batch.is_over()
    });
    assert_eq!(told(&batch.end().lines()), keys);
    assert_eq!(setting.server.most_stalled(), 2);
}

#[test]
fn references_of_one_repository_are_done_in_order_and_its_objects_come_once() {
    let (setting, mut keys) = with_repositories(2);
    for tag in ["v1", "v2", "v3"] {
        setting.docs.tag(tag, &setting.first);
        keys.insert(0, format!("{}@{tag}", crate::setting::KEY));
    }
    let out = Reader::start(&mut setting.program.command(&get(&["--jobs", "5"], &keys))).end().lines();
    assert_eq!(told(&out), keys);
    assert_eq!(setting.server.counts(crate::setting::DOCS).fetches, 1);
    assert!(out[0].ends_with(" s") && out[1].ends_with("cached") && out[2].ends_with("cached"), "{out:?}");
}

#[test]
fn a_single_key_that_fails_is_told_once() {
    let (setting, _) = with_repositories(0);
    let key = "git/github.com/team/none";
    let ended = Reader::start(&mut setting.program.command(&["get", key])).end();
    assert_eq!(ended.status.code(), Some(1));
    let told: Vec<_> = ended.out.iter().filter(|line| line.starts_with(key)).collect();
    assert!(told.len() == 1 && told[0].contains("no such repository"), "{ended:?}");
}
