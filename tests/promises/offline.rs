//! P14: what is cached is readable without network, also after a restart.

use super::harness::repository::{File, many_files};
use super::mounted2::{Site, errnos};

const FILE: &str = "d000/f00000.txt";

#[test]
fn everything_cached_is_readable_without_the_server_also_after_a_restart() {
    let mut site = Site::mounted("");
    let repository = site.repository_of("team/docs", &many_files(300, "one"));
    let first = repository.git(&["rev-parse", "main"]);
    // Only one file is read while there is a network.
    assert_eq!(site.cat(&site.forge(&format!("team/docs/{FILE}"))), "file 0 of one\n");
    site.stop_server();
    for round in ["the same daemon", "a new daemon"] {
        let script = "cd git/forge.test/team/docs && find . -type f -exec cat {} + | sort | sha256sum";
        let read = site.sh(script);
        let mut expected: Vec<String> = (0..300).map(|n| format!("file {n} of one\n")).collect();
        expected.sort();
        let digest = <sha2::Sha256 as sha2::Digest>::digest(expected.concat());
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(read.out.starts_with(&digest), "{round}: {read:?}");

        let (code, report) = site.report(&["update"]);
        assert_eq!(code, 1, "{report}");
        let updated = &report["references"][0];
        assert_eq!((&updated["revision"], &updated["moved"]), (&first.as_str().into(), &false.into()));
        assert_eq!(updated["error"]["kind"], "unreachable", "it says so: {report}");
        assert!(updated["error"]["hint"].is_string(), "{report}");
        site.remount();
    }
    // What is not cached is not reached, which is not the same as absent.
    assert_eq!(errnos(&site.forge("team/other")), [libc::EHOSTUNREACH; 2]);
}

#[test]
fn an_update_that_breaks_off_keeps_the_old_snapshot_whole() {
    use super::harness::git_server::{Fault, Stage};
    let site = Site::mounted("quiet = \"100ms\"");
    let mut repository = site.repository_of("team/docs", &many_files(300, "one"));
    let path = site.forge(&format!("team/docs/{FILE}"));
    assert_eq!(site.cat(&path), "file 0 of one\n");
    let second = repository.commit(&many_files(300, "two"));
    for fault in [Fault::Hangup, Fault::Truncate(500), Fault::Flip, Fault::Status(500, Vec::new())] {
        site.server().fail("team/docs.git", Stage::Fetch, fault.clone());
        let (code, report) = site.report(&["update"]);
        assert_eq!(code, 1, "{fault:?}: {report}");
        assert_eq!(report["references"][0]["error"]["kind"], "network", "{report}");
        assert_eq!(site.cat(&path), "file 0 of one\n", "{fault:?}");
    }
    site.server().mend("team/docs.git");
    let report = site.json(&["update"]);
    assert_eq!(report["references"][0]["revision"], second.as_str());
    assert_eq!(site.cat(&path), "file 0 of two\n");
}

#[test]
fn offline_asks_nobody_serves_what_is_cached_and_says_why_not_else() {
    let mut site = Site::mounted("");
    site.repository_of("team/docs", &[File::new("a", "one\n")]);
    site.repository_of("team/other", &[File::new("a", "other\n")]);
    assert_eq!(site.cat(&site.forge("team/docs/a")), "one\n");
    site.unmount();
    site.configure("offline = true");
    site.mount();
    let asked = site.server().requests();
    assert_eq!(site.cat(&site.forge("team/docs/a")), "one\n");
    assert_eq!(errnos(&site.forge("team/other")), [libc::ENETUNREACH; 2]);
    let explained = site.explain(&site.forge("team/other"));
    assert_eq!(explained["failure"]["kind"], "offline", "{explained}");
    assert!(explained["failure"]["hint"].as_str().unwrap().contains("offline"), "{explained}");
    let (code, report) = site.report(&["update"]);
    assert_eq!((code, &report["references"][0]["error"]["kind"]), (1, &"offline".into()), "{report}");
    assert_eq!(site.server().requests(), asked, "somebody was asked");
}
