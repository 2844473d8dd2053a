//! A lockfile that changes is followed; who has begun to read keeps what was pinned.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use super::harness::git_server::{Fault, Stage};
use super::harness::repository::File;
use super::lockfiles::{WEB, directory, npm, package_lock, write};
use super::mounted2::{errno, wait_until};
use super::place::Place;

/// A project that pins `lib` 1.0.0, mounted; and what pins 2.0.0.
fn setting() -> (Place, String) {
    let mut place = Place::new();
    let (old, new) = (npm(&place, "lib", "1.0.0"), npm(&place, "lib", "2.0.0"));
    write(&place, "package-lock.json", &package_lock(&[("lib", old)], &["lib"]));
    place.json(&["add", WEB, "--project", directory(&place).to_str().unwrap()]);
    place.mount();
    assert_eq!(place.cat("projects/web/npm/lib/version"), "1.0.0");
    (place, package_lock(&[("lib", new)], &["lib"]))
}

#[test]
fn a_changed_lockfile_is_followed_by_itself() {
    let (place, new) = setting();
    write(&place, "package-lock.json", &new);
    wait_until("the new version is shown", || place.cat("projects/web/npm/lib/version") == "2.0.0");
    write(&place, "requirements.txt", "lib==1.0\n");
    wait_until("another lockfile counts", || place.ls("projects/web") == ["npm", "pypi"]);
}

#[test]
fn a_process_keeps_what_it_began_to_read_and_the_next_sees_the_change() {
    let (place, new) = setting();
    // Reads the file by its full path whenever it is told to.
    let path = place.path("projects/web/npm/lib/version");
    let script = "while read -r line; do cat \"$1\"; echo; done";
    // One process, so not by a program that it starts.
    let script = script.replace("cat \"$1\"", "IFS= read -r text < \"$1\" || true; printf %s \"$text\"");
    let mut reader = Command::new("bash")
        .args(["-c", &script, "reader"])
        .arg(&path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut tell = reader.stdin.take().unwrap();
    let mut told = BufReader::new(reader.stdout.take().unwrap()).lines();
    let mut read = || {
        writeln!(tell, "again").unwrap();
        told.next().unwrap().unwrap()
    };
    assert_eq!(read(), "1.0.0");
    write(&place, "package-lock.json", &new);
    // A barrier: whoever starts after it sees the change.
    place.json(&["update", "npm/lib@1.0.0"]);
    assert_eq!(place.cat("projects/web/npm/lib/version"), "2.0.0", "a new process sees the new one");
    assert_eq!(read(), "1.0.0", "the old process goes on with what it saw");
    drop(tell);
    reader.wait().unwrap();
}

#[test]
fn a_lockfile_and_a_directory_are_followed_while_a_server_stalls() {
    let mut place = Place::with("refresh = \"1s\"\nquiet = \"100ms\"");
    let (old, new) = (npm(&place, "lib", "1.0.0"), npm(&place, "lib", "2.0.0"));
    write(&place, "package-lock.json", &package_lock(&[("lib", old)], &["lib"]));
    place.json(&["add", WEB, "--project", directory(&place).to_str().unwrap()]);
    place.site.repository_of("team/docs", &[File::new("a", "one")]);
    place.json(&["get", "git/forge.test/team/docs"]);
    // As if it had been asked long ago.
    let mirrors = std::fs::read_dir(place.site.program.cache().join("v1/mirrors/git")).unwrap();
    let state = mirrors.map(|mirror| mirror.unwrap().path().join("state.json")).next().unwrap();
    let mut text: serde_json::Value = serde_json::from_slice(&std::fs::read(&state).unwrap()).unwrap();
    text["references"][""]["checked"] = 0.into();
    std::fs::write(&state, text.to_string()).unwrap();
    let source = place.site.program.path().join("source");
    std::fs::create_dir(&source).unwrap();
    std::fs::write(source.join("a"), "one").unwrap();
    place.json(&["add", "source", "--path", source.to_str().unwrap()]);
    place.mount();
    assert_eq!(place.cat("local/source/a"), "one");
    assert_eq!(place.cat("projects/web/npm/lib/version"), "1.0.0");

    place.site.server().fail("team/docs.git", Stage::Any, Fault::StallBeforeHeaders);
    place.cat("git/forge.test/team/docs/a");
    let asked = || place.cat(".srcfs/status.json").contains("\"who\": \"refresh\"");
    wait_until("the server is asked again, and stalls", || {
        place.site.server().counts("team/docs.git").stalled > 0 && asked()
    });
    write(&place, "package-lock.json", &package_lock(&[("lib", new)], &["lib"]));
    std::fs::write(source.join("a"), "two").unwrap();
    wait_until("the lockfile is followed", || place.cat("projects/web/npm/lib/version") == "2.0.0");
    wait_until("the directory is followed", || place.cat("local/source/a") == "two");
    assert!(asked(), "it still stalls");
}

#[test]
fn a_project_that_is_removed_is_gone() {
    let (place, _) = setting();
    let mut held = std::fs::File::open(place.path("projects/web/npm/lib/version")).unwrap();
    place.json(&["remove", "projects/web"]);
    wait_until("it is gone", || place.ls("projects").is_empty());
    assert!(std::fs::metadata(place.path("projects/web/npm/lib")).is_err());
    let mut text = String::new();
    std::io::Read::read_to_string(&mut held, &mut text).unwrap();
    assert_eq!(text, "1.0.0");
    assert_eq!(place.cat("npm/lib@1.0.0/version"), "1.0.0", "what it pinned stays where it is");
}

#[test]
fn what_may_stand_in_a_lockfile_that_cannot_be_read_is_not_said_to_be_absent() {
    let (place, lock) = setting();
    write(&place, "Cargo.lock", "<<<<<<< ours\n");
    let of = |name: &str| errno(std::fs::metadata(place.path(&format!("projects/web/{name}"))));
    wait_until("it is listed", || place.ls("projects/web") == ["crates", "npm"]);
    assert_eq!((of("crates"), of("crates/serde")), (libc::EIO, libc::EIO));
    let explained = place.json(&["explain", "projects/web/crates/serde"]).to_string();
    assert!(explained.contains("finish the merge"), "{explained}");
    // The others are as they were.
    assert_eq!(place.ls("projects/web/npm"), ["lib"]);
    assert_eq!((of("npm/other"), of("pypi/six")), (libc::ENOENT, libc::ENOENT));
    write(&place, "package-lock.json", "{");
    wait_until("it is believed", || of("npm") == libc::EIO);
    write(&place, "package-lock.json", &lock);
    std::fs::remove_file(directory(&place).join("Cargo.lock")).unwrap();
    wait_until("all is well again", || {
        place.ls("projects/web") == ["npm"] && of("crates/serde") == libc::ENOENT
    });
    assert_eq!(place.cat("projects/web/npm/lib/version"), "2.0.0");

    std::fs::rename(directory(&place), place.site.program.path().join("elsewhere")).unwrap();
    wait_until("the directory is gone", || errno(std::fs::metadata(place.path("projects/web"))) == libc::EIO);
    assert_eq!(place.ls("projects"), ["web"]);
}

#[test]
fn a_lockfile_that_goes_away_takes_its_pins_along_a_moment_later() {
    let (place, _) = setting();
    write(&place, "requirements.txt", "lib==1.0\n");
    place.json(&["update", "npm/lib@1.0.0"]);
    assert_eq!(place.ls("projects/web"), ["npm", "pypi"], "what comes is there at once");
    std::fs::remove_file(directory(&place).join("requirements.txt")).unwrap();
    wait_until("what it pinned is gone", || place.ls("projects/web") == ["npm"]);
    assert_eq!(place.cat("projects/web/npm/lib/version"), "1.0.0");
}
