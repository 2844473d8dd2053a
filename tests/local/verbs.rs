//! What people do with a directory: add it, look at it, follow it, clear it, lose it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::Value;

use super::mounted2::{errno, run, wait_until, xattr};
use super::place::{KEY, Place};

#[test]
fn one_directory_under_two_names_is_one_mirror() {
    let place = Place::new();
    place.write_all(&["a"]);
    place.add(&[]);
    let link = place.site.program.path().join("link");
    symlink(place.path(), &link).unwrap();
    // By a link, and by a relative path that goes up and down.
    place.json(&["add", "team/again", "--path", link.to_str().unwrap()]);
    place.json(&["add", "third", "--path", "./cache/../work/"]);
    let report = place.json(&["get", KEY, "local/team/again", "local/third"]);
    assert_eq!(report["fetched"], 1, "{report}");
    assert_eq!(place.generations().len(), 1);
    let text = fs::read_to_string(place.site.program.config()).unwrap();
    assert_eq!(text.matches(&format!("path = \"{}\"", place.path().display())).count(), 3, "{text}");
    let listed = place.json(&["list"]);
    let rows = listed["resources"].as_array().unwrap();
    assert!(rows.iter().all(|row| row["kind"] == "local" && row["revision"] != Value::Null), "{listed}");
}

#[test]
fn what_cannot_be_added_says_what_to_do() {
    let place = Place::new();
    place.write_all(&["file"]);
    let path = place.path();
    let path = path.to_str().unwrap();
    for (arguments, hint) in [
        (&["add", "x", "--path", "nowhere"][..], "does not exist"),
        (&["add", "x", "--path", "work/file"], "no directory"),
        (&["add", "x", "--path", "/"], "root of all files"),
        (&["add", "x", "--path", path, "--ref", "main"], "one state"),
        (&["add", "x", "--path", path, "--ignore", "!a"], "ignores nothing"),
        (&["add", "x", "--path", path, "--ignore", "a{b"], "glob"),
        (&["add", "x", "./work"], "--path ./work"),
        (&["add", "x", "work"], "--path work"),
        (&["add", "x", path], "--path"),
        (&["add", "../x", "--path", path], "x"),
        (&["add", "x", "--ignore", "a", "https://example.org/a.git"], "--path"),
        (&["add", "x", "--path", path, "--subpath", "nowhere"], "nowhere"),
    ] {
        let refused = place.refused(arguments);
        assert!(refused.contains(hint), "{arguments:?}: {refused}");
    }
    assert!(!fs::read_to_string(place.site.program.config()).unwrap().contains("[[resource]]"));
}

#[test]
fn keys_that_are_nearly_right_get_a_hint() {
    let place = Place::new();
    place.write_all(&["a"]);
    place.add(&[]);
    let other = place.site.program.path().join("cache");
    for (key, hint) in [
        ("./work", "write local/work"),
        (place.path().to_str().unwrap(), "write local/work"),
        (other.to_str().unwrap(), "srcfs add NAME --path"),
        ("local/wrok", "local/work"),
        ("local/elsewhere", "srcfs add NAME --path"),
        ("local/work@main", "one state"),
        ("local/work/a", "write local/work"),
        ("local", "not a tree"),
    ] {
        let refused = place.refused(&["get", key]);
        assert!(refused.contains(hint), "{key}: {refused}");
        assert!(!refused.contains("branch"), "{key}: {refused}");
    }
}

#[test]
fn a_mount_shows_it_and_says_where_it_comes_from() {
    let mut place = Place::new();
    place.write_all(&["src/a"]);
    place.site.mount();
    assert_eq!(errno(fs::metadata(place.site.path(KEY))), libc::ENOENT);
    place.add(&[]);
    assert_eq!(place.site.cat(&place.site.path("local/work/src/a")), "src/a");
    assert_eq!(place.site.sh("ls local").out, "work\n");
    let file = place.site.path("local/work/src/a");
    assert_eq!(xattr(&file, "user.srcfs.revision").unwrap(), place.revision());
    assert!(xattr(&file, "user.srcfs.citation").unwrap().starts_with(place.path().to_str().unwrap()));
    let at = place.json(&["path", KEY]);
    assert_eq!(at["path"], place.site.path(KEY).to_str().unwrap());
    let refused = place.refused(&["path", "--pin", KEY]);
    assert!(refused.contains("leave --pin out"), "{refused}");
    // A subpath of it, as of a repository.
    place.write_all(&["docs/b"]);
    let path = place.path();
    place.json(&["add", "docs", "--path", path.to_str().unwrap(), "--subpath", "docs"]);
    place.json(&["update", KEY]);
    assert_eq!(place.site.sh("cd local/docs && find . -type f").out, "./docs/b\n");
    for verb in [&["status"][..], &["list"], &["explain", KEY], &["gc"]] {
        let run = place.run(verb);
        assert_eq!(run.code, 0, "{verb:?}: {run:?}");
        assert!(!run.out.contains("HEAD") && !run.err.contains("repository"), "{verb:?}: {run:?}");
    }
}

#[test]
fn an_update_is_seen_by_whatever_starts_after_it_and_by_nobody_in_the_middle() {
    let mut place = Place::new();
    place.write("a", "one");
    place.write("b", "one");
    place.add(&[]);
    place.site.mount();
    let script = format!(
        "cat local/work/a; echo; printf two > {0}/a; printf two > {0}/b; \"$SRCFS\" update {KEY} >&2; \
         cat local/work/b; sh -c 'cat local/work/b'",
        place.path().display()
    );
    let mut shell = place.command(&[]);
    let program = shell.get_program().to_owned();
    let environment: Vec<_> =
        shell.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect();
    shell = std::process::Command::new("sh");
    let shell = shell.args(["-c", &script]).envs(environment).env("SRCFS", program);
    let ended = run(shell.current_dir(place.site.mount_point()));
    assert_eq!(ended.out, "one\ntwotwo", "{ended:?}");
}

#[test]
fn a_change_is_followed_after_refresh_also_offline() {
    for settings in
        ["refresh = \"1s\"\nquiet = \"100ms\"", "refresh = \"1s\"\nquiet = \"100ms\"\noffline = true"]
    {
        let mut place = Place::new();
        place.site.configure(settings);
        place.write("a", "one");
        place.add(&[]);
        place.site.mount();
        assert_eq!(place.site.sh("cat local/work/a").out, "one");
        place.write("a", "two");
        wait_until("a new process sees the change", || place.site.sh("cat local/work/a").out == "two");
        place.write("a", "three");
        wait_until("so does a verb", || {
            let old = place.content("a");
            old == "three"
        });
    }
}

#[test]
fn without_refresh_only_an_update_looks_again() {
    let place = Place::new();
    place.write("a", "one");
    place.add(&[]);
    assert_eq!(place.content("a"), "one");
    place.write("a", "two");
    assert_eq!(place.content("a"), "one");
    place.json(&["update", KEY]);
    assert_eq!(place.content("a"), "two");
}

#[test]
fn a_directory_that_is_gone_is_served_as_it_is_cached_and_said_to_be_gone() {
    let mut place = Place::new();
    place.site.configure("refresh = \"1s\"\nquiet = \"100ms\"");
    place.write("a", "one");
    place.add(&[]);
    place.site.mount();
    assert_eq!(place.site.sh("cat local/work/a").out, "one");
    let away = place.site.program.path().join("away");
    fs::rename(place.path(), &away).unwrap();
    let refused = place.refused(&["update", KEY]);
    assert!(refused.contains("does not exist") && refused.contains("srcfs remove"), "{refused}");
    wait_until("it is asked again", || {
        assert_eq!(place.site.sh("cat local/work/a").out, "one");
        place.site.log().contains("refresh local/work")
    });
    let explained = place.json(&["explain", KEY]);
    assert!(explained["failure"]["why"].as_str().unwrap().contains("does not exist"), "{explained}");
    place.site.remount();
    assert_eq!(place.site.sh("cat local/work/a").out, "one");
    // A link is where it leads; what is no directory is none.
    fs::write(place.path(), "file").unwrap();
    let refused = place.refused(&["update", KEY]);
    assert!(refused.contains("no directory"), "{refused}");
    fs::remove_file(place.path()).unwrap();
    symlink(&away, place.path()).unwrap();
    fs::write(away.join("a"), "two").unwrap();
    place.json(&["update", KEY]);
    assert_eq!(place.content("a"), "two");
}

#[test]
fn what_makes_room_takes_what_is_remembered_with_it() {
    let place = Place::new();
    // Bytes that do not become fewer.
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    place.write("a", (0..2_000_000).map(|_| next()).collect::<Vec<u8>>());
    place.add(&[]);
    place.update();
    assert_eq!(place.remembered(), 1);
    let known = fs::read_to_string(place.site.program.config()).unwrap();
    place.site.program.configure(&format!("max_size = \"1MB\"\n{known}"));
    let report = place.json(&["gc"]);
    assert!(report["items"][0]["freed"].as_u64() > Some(0), "{report}");
    assert_eq!(place.remembered(), 0);
}

#[test]
fn clear_keep_and_remove_do_to_it_what_they_do_to_others() {
    let mut place = Place::new();
    place.write("a", "one");
    place.add(&[]);
    place.update();
    let kept = place.json(&["keep", KEY]);
    assert_eq!(kept["references"][0]["kept"], true, "{kept}");
    assert!(place.run(&["list"]).out.contains(KEY));
    place.json(&["release", KEY]);
    place.site.mount();
    let held = fs::File::open(place.site.path("local/work/a")).unwrap();
    place.write("a", "two");
    assert_eq!(place.remembered(), 1);
    place.json(&["clear", KEY]);
    assert_eq!(place.remembered(), 0, "it holds the names of the files");
    // Whoever comes after a clear sees what is there now; who reads goes on.
    assert_eq!(place.site.sh("cat local/work/a").out, "two");
    assert_eq!(std::io::read_to_string(held).unwrap(), "one");
    assert_eq!(place.remembered(), 1);
    place.json(&["remove", KEY]);
    assert_eq!(place.remembered(), 0);
    assert_eq!(errno(fs::metadata(place.site.path(KEY))), libc::ENOENT);
    assert!(Path::new(&place.path().join("a")).exists(), "what is removed is the name");
}
