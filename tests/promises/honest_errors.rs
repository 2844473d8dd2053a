//! P13: network trouble is never "does not exist"; every failure has a readable reason and what to do.

use std::path::Path;

use serde_json::Value;

use super::harness::git_server::{Fault, Stage, nobody};
use super::harness::repository::{File, many_files};
use super::mounted2::{Site, errno, errnos, wait_until};

const FILE: &str = "d000/f00000.txt";
const CONTENT: &str = "file 0 of one\n";

/// What is believed for no time is asked again at once.
const ASK_AGAIN: &str = "negative_ttl = \"0s\"";

/// A repository for each of the faults, so that one mount shows them all.
fn with_faults(site: &Site, stage: Stage, faults: &[(Fault, i32, &str)]) {
    for (number, (fault, ..)) in faults.iter().enumerate() {
        site.repository_of(&format!("team/r{number}"), &many_files(120, "one"));
        site.server().fail(&format!("team/r{number}.git"), stage, fault.clone());
    }
}

/// The reason is everywhere where somebody would look for it, and says what to do.
fn is_explained(site: &Site, path: &Path, number: i32, reason: &str) -> Value {
    let explained = site.explain(path);
    let failure = &explained["failure"];
    let why = failure["why"].as_str().unwrap_or_default();
    assert!(why.contains(reason), "{}: {explained}", path.display());
    assert!(failure["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{explained}");
    let name = path.strip_prefix(site.mount_point()).unwrap().to_str().unwrap();
    let listed = site.errors().into_iter().find(|error| error["path"] == name);
    let listed = listed.unwrap_or_else(|| panic!("{name} is not in errors.json: {:?}", site.errors()));
    let errno = format!("{:?}", nix::errno::Errno::from_raw(number));
    assert_eq!((&listed["errno"], &listed["kind"]), (&errno.as_str().into(), &failure["kind"]), "{listed}");
    assert!(listed["why"].as_str().unwrap().contains(reason), "{listed}");
    explained
}

fn nothing_is_cached(site: &Site) {
    let status = site.json(&["status"]);
    assert_eq!(status["cache"]["mirrors"], 0, "{status}");
    assert_eq!(site.json(&["list"])["resources"], Value::Array(Vec::new()));
}

#[test]
fn each_answer_of_a_server_has_its_errno_and_its_reason_and_is_never_content() {
    let site = Site::mounted(ASK_AGAIN);
    let status = |status| Fault::Status(status, Vec::new());
    let unauthorized = vec!["WWW-Authenticate: Basic realm=\"x\"".to_owned()];
    let faults = [
        (Fault::Status(401, unauthorized), libc::ENOENT, "does not exist or is private"),
        (status(403), libc::ENOENT, "does not exist or is private"),
        (status(404), libc::ENOENT, "no such repository (404)"),
        (status(410), libc::ENOENT, "no such repository (410)"),
        (Fault::Status(429, vec!["Retry-After: 30".to_owned()]), libc::EAGAIN, "retry after 30 s"),
        (status(500), libc::EIO, "answered 500"),
        (status(503), libc::EIO, "answered 503"),
        (Fault::Hangup, libc::EIO, ""),
        (Fault::Truncate(40), libc::EIO, ""),
        (Fault::TooShort(30), libc::EIO, ""),
        (Fault::Garbage, libc::EIO, ""),
        (Fault::Redirect("/team/r11.git".into()), libc::EIO, "redirected"),
    ];
    with_faults(&site, Stage::Any, &faults);
    for (number, (fault, expected, reason)) in faults.iter().enumerate() {
        let path = site.forge(&format!("team/r{number}"));
        assert_eq!(errnos(&path), [*expected; 2], "{fault:?}");
        assert_eq!(errno(std::fs::read(path.join(FILE))), *expected, "{fault:?}");
        is_explained(&site, &path, *expected, reason);
    }
    nothing_is_cached(&site);
    for (number, (fault, ..)) in faults.iter().enumerate() {
        site.server().mend(&format!("team/r{number}.git"));
        let path = site.forge(&format!("team/r{number}"));
        assert_eq!(std::fs::read_to_string(path.join(FILE)).unwrap(), CONTENT, "{fault:?}");
        let explained = site.explain(&path);
        assert_eq!(explained["failure"], Value::Null, "it is still explained as failed: {explained}");
    }
}

#[test]
fn a_transfer_that_breaks_off_is_network_trouble_and_leaves_nothing() {
    let site = Site::mounted(ASK_AGAIN);
    let faults = [
        (Fault::Status(404, Vec::new()), libc::EIO, "404"),
        (Fault::Status(500, Vec::new()), libc::EIO, "500"),
        (Fault::Hangup, libc::EIO, ""),
        (Fault::Truncate(900), libc::EIO, ""),
        (Fault::TooShort(300), libc::EIO, ""),
        (Fault::Garbage, libc::EIO, ""),
        (Fault::Flip, libc::EIO, ""),
    ];
    with_faults(&site, Stage::Fetch, &faults);
    for (number, (fault, expected, reason)) in faults.iter().enumerate() {
        let path = site.forge(&format!("team/r{number}"));
        let [exists, inside] = errnos(&path);
        assert_eq!((exists, inside), (0, *expected), "{fault:?}: the branch is there, its tree is not");
        is_explained(&site, &path, *expected, reason);
    }
    nothing_is_cached(&site);
    for number in 0..faults.len() {
        site.server().mend(&format!("team/r{number}.git"));
        let path = site.forge(&format!("team/r{number}"));
        assert_eq!(std::fs::read_to_string(path.join(FILE)).unwrap(), CONTENT);
    }
}

#[test]
fn a_host_that_cannot_be_reached_is_no_missing_repository() {
    let site = Site::new("");
    let tls = site.server().address();
    let host = |name: &str, url: &str| format!("[[host]]\nname = \"{name}\"\nurl = \"{url}\"\n");
    site.configure(&format!(
        "{ASK_AGAIN}\n{}{}{}",
        host("refused.test", &format!("http://{}/{{path}}.git", nobody())),
        host("nodns.test", "http://nothing.invalid/{path}.git"),
        host("tls.test", &format!("https://{tls}/{{path}}.git")),
    ));
    let mut site = site;
    site.mount();
    for (host, expected, reason) in [
        ("refused.test", libc::EHOSTUNREACH, "connect"),
        ("nodns.test", libc::EHOSTUNREACH, "resolve"),
        ("tls.test", libc::EIO, ""),
    ] {
        let path = site.path(&format!("git/{host}/team/docs"));
        assert_eq!(errnos(&path), [expected; 2], "{host}");
        is_explained(&site, &path, expected, reason);
    }
    nothing_is_cached(&site);
}

#[test]
fn a_server_that_stalls_is_a_timeout_within_the_bound_and_the_fetch_goes_on() {
    let site = Site::mounted(&format!("{ASK_AGAIN}\nreply_bound = \"1s\""));
    for (number, (stage, fault)) in [
        (Stage::Any, Fault::StallBeforeHeaders),
        (Stage::Any, Fault::StallInBody(20)),
        (Stage::Fetch, Fault::StallBeforeHeaders),
        (Stage::Fetch, Fault::StallInBody(900)),
        (Stage::Fetch, Fault::Trickle(900)),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("team/r{number}");
        site.repository_of(&name, &many_files(120, "one"));
        site.server().fail(&format!("{name}.git"), stage, fault.clone());
        let path = site.forge(&name);
        let [exists, inside] = errnos(&path);
        let before = if stage == Stage::Any { libc::ETIMEDOUT } else { 0 };
        assert_eq!((exists, inside), (before, libc::ETIMEDOUT), "{stage:?} {fault:?}");
        let explained = is_explained(&site, &path, libc::ETIMEDOUT, "");
        assert_eq!(explained["failure"]["kind"], "timed_out", "{explained}");
        site.server().mend(&format!("{name}.git"));
        if !matches!(fault, Fault::Trickle(_)) {
            site.server().release();
            wait_until("it comes after all", || std::fs::read(path.join(FILE)).is_ok());
            assert_eq!(std::fs::read_to_string(path.join(FILE)).unwrap(), CONTENT);
        }
    }
}

#[test]
fn what_forges_hide_is_absent_or_private_and_what_they_have_is_served() {
    let site = Site::mounted("");
    site.repository_of("team/known", &[File::new("a", "known\n")]);
    site.server().hide_unknown();
    let path = site.forge("team/unknown");
    assert_eq!(errnos(&path), [libc::ENOENT; 2]);
    let explained = is_explained(&site, &path, libc::ENOENT, "does not exist or is private");
    assert_eq!(explained["failure"]["kind"], "not_found_or_private");
    assert!(explained["failure"]["hint"].as_str().unwrap().contains("credential"), "{explained}");
    assert_eq!(std::fs::read_to_string(site.forge("team/known/a")).unwrap(), "known\n");
}

#[test]
fn only_an_authoritative_no_is_remembered_and_only_for_its_time() {
    let site = Site::mounted("negative_ttl = \"1h\"");
    site.repository_of("team/flaky", &[File::new("a", "flaky\n")]);
    site.server().fail("team/flaky.git", Stage::Any, Fault::Status(500, Vec::new()));
    assert_eq!(errnos(&site.forge("team/flaky")), [libc::EIO; 2]);
    site.server().mend("team/flaky.git");
    assert_eq!(std::fs::read_to_string(site.forge("team/flaky/a")).unwrap(), "flaky\n");

    assert_eq!(errnos(&site.forge("team/absent")), [libc::ENOENT; 2]);
    let asked = site.server().counts("team/absent.git").requests;
    assert!(asked > 0);
    site.repository_of("team/absent", &[File::new("a", "there now\n")]);
    assert_eq!(errnos(&site.forge("team/absent")), [libc::ENOENT; 2]);
    assert_eq!(site.server().counts("team/absent.git").requests, asked, "it was asked again");

    let brief = Site::mounted("negative_ttl = \"300ms\"");
    assert_eq!(errnos(&brief.forge("team/absent")), [libc::ENOENT; 2]);
    brief.repository_of("team/absent", &[File::new("a", "there now\n")]);
    wait_until("the no is forgotten", || std::fs::read(brief.forge("team/absent/a")).is_ok());
}

#[test]
fn a_named_resource_whose_repository_is_missing_is_not_an_empty_directory() {
    let mut site = Site::new("");
    let url = site.server().url("team/absent.git");
    site.configure(&format!("{ASK_AGAIN}\n[[resource]]\nname = \"docs\"\ngit = \"{url}\""));
    site.mount();
    let path = site.path("docs");
    assert_eq!(errno(std::fs::read(path.join("a"))), libc::ENOENT);
    let listed = site.sh("ls docs");
    assert!(listed.code != 0 && !listed.err.is_empty(), "{listed:?}");
    is_explained(&site, &path, libc::ENOENT, "no such repository");
}
