//! A process that causes too much is stopped, is told why, and nobody else notices.

use std::path::Path;

use super::harness::repository::File;
use super::mounted2::{Site, wait_until};

const LIMIT: usize = 20;

/// A site with 25 repositories that are not cached.
fn site(settings: &str) -> Site {
    let site = Site::mounted(&format!("walker_window = \"1h\"\n{settings}"));
    for number in 0..25 {
        site.repository_of(&format!("team/r{number}"), &[File::new("a", "content\n")]);
    }
    site
}

/// One process reads a file of each of these repositories, in order; what it got, an error by its number.
fn walk(site: &Site, numbers: std::ops::Range<usize>) -> Vec<String> {
    // The shell itself opens the files, so it is one process.
    let script = format!(
        "for n in $(seq {} {}); do if read line < git/forge.test/team/r$n/a; then echo $line; else echo no; fi; done",
        numbers.start,
        numbers.end - 1
    );
    site.sh(&script).out.lines().map(str::to_owned).collect()
}

fn asked(site: &Site, number: usize) -> usize {
    site.server().counts(&format!("team/r{number}.git")).requests
}

fn expected(served: usize, refused: usize) -> Vec<&'static str> {
    [vec!["content"; served], vec!["no"; refused]].concat()
}

#[test]
fn a_walker_is_stopped_told_and_let_go_on_and_nobody_else_notices() {
    let site = site("");
    assert_eq!(walk(&site, 0..25), expected(LIMIT, 5));
    for number in LIMIT..25 {
        assert_eq!(asked(&site, number), 0, "the server was asked for r{number}");
    }

    // This process has its own account, and sees why the other one was refused.
    let explained = site.explain(&site.forge("team/r21"));
    let failure = &explained["failure"];
    assert_eq!(failure["kind"], "rate_limited", "{explained}");
    assert!(failure["hint"].as_str().unwrap().contains("walkers_allowed"), "{explained}");
    let errors = site.errors();
    let refused = errors.iter().find(|error| error["path"] == "git/forge.test/team/r21").unwrap();
    assert_eq!(refused["errno"], "EAGAIN", "{refused}");
    let who = refused["who"].as_str().unwrap();
    let (pid, command) = who.split_once(' ').unwrap();
    assert!(pid.parse::<u32>().is_ok() && command.contains("sh"), "{who}");
    assert!(failure["what"].as_str().unwrap().contains(who), "{explained}");
    let status = site.json(&["status"]);
    let walkers = status["mounts"][0]["walkers"].as_array().unwrap();
    assert_eq!(walkers.len(), 1, "{status}");
    assert_eq!((&walkers[0]["who"], &walkers[0]["refused"]), (&who.into(), &5.into()), "{status}");
    let told = site.run(&["status"]).out;
    assert!(told.contains(who), "{told}");

    // Another process has what the first was refused, and `get` is no walker.
    assert_eq!(walk(&site, 20..22), expected(2, 0));
    site.json(&["get", "git/forge.test/team/r22"]);
}

#[test]
fn what_is_cached_stays_readable_and_when_the_window_has_passed_it_goes_on() {
    let site = site("max_materializations_per_process = 2");
    site.json(&["get", "git/forge.test/team/r9"]);
    let read = |number: usize| std::fs::read(site.forge(&format!("team/r{number}/a")));
    for number in [0, 1] {
        read(number).unwrap();
    }
    let again = || read(2).unwrap_err().raw_os_error();
    assert_eq!((again(), again()), (Some(libc::EAGAIN), Some(libc::EAGAIN)));
    assert_eq!(asked(&site, 2), 0);
    for cached in [0, 1, 9] {
        read(cached).unwrap();
    }
    // The window becomes so short that what was caused has left it.
    site.configure("max_materializations_per_process = 2\nwalker_window = \"100ms\"");
    wait_until("the guard has forgotten", || read(2).is_ok());
}

#[test]
fn who_is_allowed_may_walk_and_so_may_everybody_without_a_limit() {
    let name = std::fs::read_to_string("/proc/self/comm").unwrap();
    for settings in [
        format!("max_materializations_per_process = 1\nwalkers_allowed = [{:?}]", name.trim_end()),
        "max_materializations_per_process = \"none\"".to_owned(),
    ] {
        let site = site(&settings);
        for number in 0..25 {
            let path = site.forge(&format!("team/r{number}/a"));
            let read = |path: &Path| std::fs::read_to_string(path).unwrap();
            assert_eq!(read(&path), "content\n", "{settings}");
        }
    }
}
