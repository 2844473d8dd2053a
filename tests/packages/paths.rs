//! The path of something in a mount is a KEY too, from whichever directory and over whichever link it is
//! written, and whichever cache the mount shows.

use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::Value;

use super::mounted2::{errno, run};
use super::place::Place;
use super::program::Run;

const FILES: [(&str, &str); 3] =
    [("package.json", "{\n}\n"), ("crates/core/lib.rs", "one\ntwo\n"), ("src/a.js", "a\n")];

/// `npm/lib`, mounted, and `18.2.0` of it read.
fn place() -> Place {
    let mut place = Place::new();
    let lib = place.registry.npm("lib").version("18.2.0", &FILES).version("18.3.1", &FILES);
    lib.tag("latest", "18.3.1");
    place.mount();
    assert_eq!(place.cat("npm/lib@18.2.0/src/a.js"), "a\n");
    place
}

/// Runs the program in a directory.
fn run_in(place: &Place, directory: &Path, arguments: &[&str]) -> Run {
    run(place.command(arguments).current_dir(directory))
}

fn cited(place: &Place, directory: &Path, path: &str) -> String {
    let cited = run_in(place, directory, &["cite", path]);
    assert_eq!((cited.code, cited.err.as_str()), (0, ""), "{path}: {cited:?}");
    cited.out
}

fn explained(place: &Place, directory: &Path, path: &str) -> Value {
    let explained = run_in(place, directory, &["--json", "explain", path]).json();
    assert_eq!(explained["about"], path);
    explained
}

#[test]
fn a_path_is_written_from_any_directory_on_and_over_links() {
    let place = place();
    let home = place.site.program.path().to_owned();
    symlink("mount", home.join("linked")).unwrap();
    symlink(place.path("npm/lib@18.2.0"), home.join("dep")).unwrap();
    symlink(".", home.join("here")).unwrap();
    let absolute = home.join("linked/npm/lib@18.2.0");
    let tree = place.path("npm/lib@18.2.0");
    let all = [
        (home.clone(), "mount/npm/lib@18.2.0"),
        (home.clone(), "./mount/npm/lib@18.2.0"),
        (home.clone(), "linked/npm/lib@18.2.0"),
        (home.clone(), "./linked/npm/lib@18.2.0"),
        (home.clone(), "here/linked/npm/lib@18.2.0"),
        (home.clone(), "dep"),
        (home.clone(), absolute.to_str().unwrap()),
        (home.join("config"), "../mount/npm/lib@18.2.0"),
        (home.clone(), "npm/lib@18.2.0"),
        (place.path(""), "npm/lib@18.2.0"),
        (place.path("npm"), "lib@18.2.0"),
        (tree.join("src"), "npm/lib@18.2.0"),
    ];
    for (directory, path) in &all {
        let run = |arguments: &[&str]| run_in(&place, directory, &[arguments, &[*path]].concat());
        let file = format!("{path}/package.json");
        let citation = cited(&place, directory, &format!("{file}:1"));
        assert!(citation.starts_with("npm/lib@18.2.0:package.json:1 sha512-"), "{citation}");
        let state = explained(&place, directory, path)["state"].clone();
        assert_eq!(state, "it is cached, and nothing failed", "{path}");
        let state = explained(&place, directory, &file)["state"].clone();
        assert_eq!(state, "package.json exists in this revision, and nothing failed", "{path}");
        assert_eq!(run(&["path"]).out, format!("{}\n", tree.display()), "{path}");
        for verb in ["get", "update", "keep", "release"] {
            let run = run(&["--json", verb]);
            assert!(run.code == 0 && run.out.contains("\"key\":\"npm/lib@18.2.0\""), "{path}: {run:?}");
        }
        let inside = run_in(&place, directory, &["get", &file]);
        assert!(inside.code == 2 && inside.err.contains("write npm/lib@18.2.0"), "{path}: {inside:?}");
    }
    // Also where the usual mount point is reached by a link.
    let absent = absolute.join("none");
    let mut command = place.command(&["cite", absent.to_str().unwrap()]);
    let missing = run(command.env("SRCFS_MOUNT", home.join("linked")));
    assert!(missing.err.contains("srcfs explain") && !missing.err.contains("srcfs mount"), "{missing:?}");
    // What is neither is told as the KEY that it should be.
    for (directory, path) in [(&home, "dcos"), (&home, "dep.js/x"), (&tree, "dcos"), (&home, "here/none/x")] {
        let run = run_in(&place, directory, &["get", path]);
        assert!(run.err.contains("no resource is called"), "{path}: {run:?}");
    }
}

#[test]
fn in_a_tree_a_path_that_it_has_is_meant_and_else_the_key() {
    let place = place();
    let tree = place.path("npm/lib@18.2.0");
    assert!(cited(&place, &tree, "crates/core/lib.rs:2").starts_with("npm/lib@18.2.0:crates/core/lib.rs:2"));
    for (directory, path, state) in [
        (&tree, "package.json", "package.json exists"),
        (&tree, "crates/core/lib.rs", "crates/core/lib.rs exists"),
        (&tree.join("src"), "a.js", "src/a.js exists"),
        (&tree.join("src"), "../src/none.js", "src/none.js does not exist"),
        (&tree, "src/none.js", "src/none.js does not exist"),
        // Nothing is there, so it is the package.
        (&tree, "crates/other", "it is not cached yet"),
        (&place.path(""), "crates/core/lib.rs", "it is not cached yet"),
    ] {
        let explained = explained(&place, directory, path);
        assert!(explained["state"].as_str().unwrap().starts_with(state), "{path}: {explained}");
    }
    place.registry.reset();
    explained(&place, &place.path(""), "npm/lib@18.9");
    assert_eq!(place.registry.requests(), [], "nobody is asked to explain");
}

#[test]
fn a_mount_of_another_cache_tells_itself_what_it_shows_and_why_it_failed() {
    let place = place();
    let path = |name: &str| place.path(name).to_str().unwrap().to_owned();
    assert_eq!(errno(std::fs::metadata(path("npm/lib@99.9.9"))), libc::ENOENT);
    let (lib, absent) = (path("npm/lib@18.2.0"), path("npm/lib@99.9.9"));
    let citation = place.attribute("npm/lib@18.2.0/package.json", "citation");
    let own = |arguments: &[&str]| {
        let mut command = place.command(&[&["--json"], arguments].concat());
        run(command.env("SRCFS_CACHE_DIR", place.site.program.path().join("own"))).json()
    };
    for asked in ["", "/package.json", "/crates/core/lib.rs:2"] {
        let asked = format!("{lib}{asked}");
        let other = own(&["cite", &asked])["citations"][0].clone();
        let mut same = place.json(&["cite", &asked])["citations"][0].clone();
        assert!(other["citation"].as_str().unwrap().ends_with(citation.split(' ').next_back().unwrap()));
        // That alone is in no attribute.
        same["package"].as_object_mut().unwrap().remove("published");
        assert_eq!(other, same, "{asked}");
    }
    let cache = place.site.program.cache();
    let status = own(&["status"]);
    let points = status["other_mounts"].as_array().unwrap();
    assert!(points.contains(&path("").trim_end_matches('/').into()), "{status}");
    assert_eq!(status["mounts"], serde_json::json!([]));
    let explained = own(&["explain", &absent]);
    assert_eq!(explained["failure"]["hint"], "the nearest are 18.2.0, 18.3.1", "{explained}");
    assert!(explained["age"].is_u64(), "{explained}");
    let explained = own(&["explain", &lib]);
    assert!(explained["state"].as_str().unwrap().contains("shows npm/lib@18.2.0"), "{explained}");
    assert!(explained["revision"].as_str().unwrap().starts_with("18.2.0"), "{explained}");
    for (file, says) in [("src/a.js", "exists"), ("src/none.js", "is not in what")] {
        let explained = own(&["explain", &format!("{lib}/{file}")]);
        assert!(explained["state"].as_str().unwrap().starts_with(&format!("{file} {says}")), "{explained}");
    }
    let explained = own(&["explain", &path("crates/none")]);
    assert!(explained["state"].as_str().unwrap().contains("remembers no failure"), "{explained}");
    assert!(explained["notes"][0].as_str().unwrap().contains(cache.to_str().unwrap()), "{explained}");
    // What is done to the own cache would not be seen there.
    for verb in ["get", "update", "clear", "keep", "path"] {
        let error = own(&[verb, &lib])["error"].clone();
        assert!(error["why"].as_str().unwrap().contains("a mount of another cache"), "{verb}: {error}");
        let hint = format!("give --cache-dir {} to mean that, or write npm/lib@18.2.0", cache.display());
        assert_eq!(error["hint"], hint, "{verb}");
    }
    // A name that only the configuration of the mount has.
    place.json(&["add", "ui", "--npm", "lib"]);
    assert_eq!(place.cat("ui/src/a.js"), "a\n");
    let other = place.site.program.path().join("other.toml");
    let mut command = place.command(&["--json", "cite", &path("ui/package.json:1")]);
    let report = run(command.env("SRCFS_CONFIG", &other)).json();
    let error = &report["citations"][0]["error"];
    assert_eq!(
        (&error["kind"], &error["hint"]),
        (&"config".into(), &"give the --config of the mount".into())
    );
}
