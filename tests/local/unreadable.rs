//! P13: what may not be read is told of by its name, and never left out in silence.

use std::fs;

use super::place::{KEY, Place, lock, unlock};

/// What a refused look says, which must name all of `names` and the way out.
fn names(place: &Place, names: &[&str]) {
    let refused = place.refused(&["get", KEY]);
    for name in names {
        assert!(refused.contains(name), "{name} in {refused}");
    }
    assert!(refused.contains("not readable") && refused.contains("`ignore`"), "{refused}");
}

#[test]
fn files_and_directories_that_may_not_be_read_are_named_all_at_once() {
    let place = Place::ordinary();
    place.write_all(&["a", "locked", "sub/b", "sub/closed/c", "shut/d"]);
    place.add(&["--no-check"]);
    let locked = ["locked", "sub/closed", "shut"].map(|name| place.path().join(name));
    locked.iter().for_each(|path| lock(path));
    names(&place, &["locked", "sub/closed", "shut"]);
    // Once they may be read, they are there.
    locked.iter().for_each(|path| unlock(path));
    assert_eq!(place.shown(), ["a", "locked", "shut/d", "sub/b", "sub/closed/c"]);
}

#[test]
fn what_git_only_warns_of_is_an_error() {
    let place = Place::ordinary();
    place.write_all(&["a", "new/closed/b", "dir/c"]);
    place.write("dir/.gitignore", "secret\n");
    place.git(&["init", "--quiet"]);
    place.add(&["--no-check"]);
    let closed = place.path().join("new/closed");
    lock(&closed);
    names(&place, &["new/closed"]);
    unlock(&closed);
    // With rules that cannot be read, what they leave out would be shown.
    place.write_all(&["dir/secret"]);
    let rules = place.path().join("dir/.gitignore");
    lock(&rules);
    names(&place, &["dir/.gitignore"]);
    unlock(&rules);
    assert_eq!(place.shown(), ["a", "dir/.gitignore", "dir/c", "new/closed/b"]);
}

#[test]
fn what_is_left_out_need_not_be_readable() {
    for repository in [false, true] {
        let place = Place::ordinary();
        place.write_all(&["a", "private/b", "key"]);
        if repository {
            place.git(&["init", "--quiet"]);
        }
        let locked = ["private", "key"].map(|name| place.path().join(name));
        place.add(&["--no-check", "--ignore", "/private/", "--ignore", "key"]);
        locked.iter().for_each(|path| lock(path));
        assert_eq!(place.shown(), ["a"]);
        locked.iter().for_each(|path| unlock(path));
    }
}

#[test]
fn a_repository_whose_index_may_not_be_read_is_an_error() {
    let place = Place::ordinary();
    place.write_all(&["a"]);
    place.commit();
    place.add(&["--no-check"]);
    lock(&place.path().join(".git/index"));
    let refused = place.refused(&["get", KEY]);
    assert!(refused.contains("Permission denied"), "{refused}");
    unlock(&place.path().join(".git/index"));
}

#[test]
fn what_is_cached_stays_when_something_cannot_be_read_any_more() {
    let place = Place::ordinary();
    place.write_all(&["a", "b"]);
    place.add(&[]);
    let before = place.update();
    lock(&place.path().join("b"));
    place.refused(&["update", KEY]);
    assert_eq!(place.revision(), before);
    let explained = place.json(&["explain", KEY]);
    assert!(explained["failure"]["why"].as_str().unwrap().contains("not readable: b"), "{explained}");
    assert_eq!(explained["revision"], before.as_str());
    unlock(&place.path().join("b"));
    assert_eq!(place.update(), before);
    assert_eq!(place.json(&["explain", KEY])["failure"], serde_json::Value::Null);
}

#[test]
fn a_file_larger_than_any_that_can_be_shown_is_named() {
    let place = Place::new();
    place.write_all(&["a"]);
    let large = fs::File::create(place.path().join("disk.img")).unwrap();
    large.set_len((1 << 30) + 1).unwrap();
    place.add(&["--no-check"]);
    let refused = place.refused(&["get", KEY]);
    assert!(refused.contains("disk.img") && refused.contains("`ignore`"), "{refused}");
    large.set_len(0).unwrap();
    assert_eq!(place.shown(), ["a", "disk.img"]);
}
