//! What is listed of a directory that is no repository, and what in either case never is.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;

use super::place::{Place, fifo, odd_name};

#[test]
fn without_git_it_is_everything_but_what_is_built_or_fetched() {
    let place = Place::new();
    place.write_all(&["Cargo.toml", "src/main.rs", "target/debug/x", ".env", ".hg/store"]);
    place.write_all(&["web/package.json", "web/node_modules/a/index.js", "web/dist/a.js", "web/app.js"]);
    place.write_all(&["py/venv/pyvenv.cfg", "py/venv/lib/x.py", "py/__pycache__/x.pyc", "py/x.py"]);
    // What has such a name, but not beside what would have built it, is source.
    place.write_all(&["docs/target/a.md", "docs/dist/b.md", "docs/build/c.md", "docs/vendor/d.md"]);
    place.write("tmp/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n# mine\n");
    place.write_all(&["tmp/x", "fake/x"]);
    place.write("fake/CACHEDIR.TAG", "Signature: something else\n");
    fs::create_dir(place.path().join("empty")).unwrap();
    place.add(&[]);
    assert_eq!(
        place.shown(),
        [
            ".env",
            "Cargo.toml",
            "docs/build/c.md",
            "docs/dist/b.md",
            "docs/target/a.md",
            "docs/vendor/d.md",
            "empty/",
            "fake/CACHEDIR.TAG",
            "fake/x",
            "py/x.py",
            "src/main.rs",
            "web/app.js",
            "web/package.json",
        ]
    );
    assert_eq!(place.content("src/main.rs"), "src/main.rs");
}

#[test]
fn globs_leave_out_more_and_make_it_another_resource() {
    let place = Place::new();
    place.write_all(&["a.log", "src/b.log", "src/c.rs", "out/d.rs", "src/out/e.rs"]);
    place.add(&["--ignore", "*.log", "--ignore", "/out/"]);
    assert_eq!(place.shown(), ["src/c.rs", "src/out/e.rs"]);
    let path = place.path();
    place.json(&["add", "all", "--path", path.to_str().unwrap()]);
    assert_eq!(place.json(&["get", "local/all"])["trees"][0]["tree"]["files"], 5);
    assert_eq!(place.generations().len(), 2);
}

#[test]
fn links_stay_links_and_lead_nobody_anywhere() {
    let place = Place::new();
    let outside = place.site.program.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "secret").unwrap();
    place.write_all(&["src/a"]);
    symlink("src/a", place.path().join("inside")).unwrap();
    symlink(&outside, place.path().join("away")).unwrap();
    symlink("nowhere", place.path().join("dangling")).unwrap();
    symlink(".", place.path().join("src/loop")).unwrap();
    place.add(&[]);
    assert_eq!(place.shown(), ["away", "dangling", "inside", "src/a", "src/loop"]);
    assert_eq!(place.content("away"), outside.to_str().unwrap());
}

#[test]
fn what_is_no_file_is_left_out_and_nothing_waits_for_it() {
    for repository in [false, true] {
        let place = Place::new();
        place.write_all(&["a"]);
        fifo(&place.path().join("fifo"));
        let _socket = UnixListener::bind(place.path().join("socket")).unwrap();
        if repository {
            place.commit();
        }
        place.add(&[]);
        assert_eq!(place.shown(), ["a"]);
    }
}

#[test]
fn a_tracked_file_that_became_a_fifo_is_not_waited_for() {
    let place = Place::new();
    place.write_all(&["a", "b", "CACHEDIR.TAG"]);
    place.commit();
    fs::remove_file(place.path().join("b")).unwrap();
    fifo(&place.path().join("b"));
    place.add(&[]);
    assert_eq!(place.shown(), ["CACHEDIR.TAG", "a"]);
}

#[test]
fn a_mark_of_a_cache_that_is_a_fifo_is_not_waited_for() {
    let place = Place::new();
    place.write_all(&["sub/a"]);
    fifo(&place.path().join("sub/CACHEDIR.TAG"));
    fifo(&place.path().join("sub/pyvenv.cfg.x"));
    place.add(&[]);
    assert_eq!(place.shown(), ["sub/a"]);
}

#[test]
fn any_name_that_a_tree_may_have_is_shown_and_others_are_not() {
    for repository in [false, true] {
        let place = Place::new();
        place.write(odd_name(), "odd");
        place.write_all(&["-x", "a b", "a\nb", "*", "[a]", "a\tb", "äö", ":(top)", "back\\slash"]);
        // What some file system takes for .git.
        place.write_all(&["sub/.GIT/config", "sub/git~1", "sub/ok"]);
        if repository {
            place.git(&["init", "--quiet"]);
        }
        place.add(&[]);
        assert_eq!(
            place.shown(),
            [
                "*",
                "-x",
                ":(top)",
                "[a]",
                "a\tb",
                "a\nb",
                "a b",
                "back\\slash",
                "odd\u{fffd}\u{fffd} name",
                "sub/ok",
                "äö"
            ],
            "a repository: {repository}"
        );
    }
}

#[test]
fn what_the_owner_may_execute_is_executable() {
    let place = Place::new();
    place.write_all(&["plain", "tool"]);
    fs::set_permissions(place.path().join("tool"), fs::Permissions::from_mode(0o744)).unwrap();
    place.add(&[]);
    let before = place.update();
    // A mode is content, a time is not.
    fs::set_permissions(place.path().join("tool"), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(place.update(), before);
    fs::set_permissions(place.path().join("tool"), fs::Permissions::from_mode(0o644)).unwrap();
    assert_ne!(place.update(), before);
}

#[test]
fn a_directory_deeper_than_a_path_may_be_long_is_refused_by_name() {
    let place = Place::new();
    let mut path = place.path();
    for _ in 0..520 {
        path.push("d");
    }
    fs::create_dir_all(&path).unwrap();
    place.add(&["--no-check"]);
    let refused = place.refused(&["get", "local/work"]);
    assert!(refused.contains("512 deep") && refused.contains("`ignore`"), "{refused}");
}
