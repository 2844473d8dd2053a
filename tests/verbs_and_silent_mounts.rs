//! A daemon that hangs or is dead hangs no verb: each look into a mount has a bound, and the verb says
//! which mounts did not answer.
#![allow(clippy::disallowed_methods, reason = "tests start programs of their own")]

mod harness;
#[path = "harness/program.rs"]
mod program;

use std::path::PathBuf;

use harness::repository::{File, Repository};
use program::Program;
use srcfs_mount::mounting::{MountOptions, MountRequest, Mounted, mount, unmount};

/// A mount of a program's cache whose requests nobody reads.
struct Silent {
    directory: PathBuf,
    mounted: Option<Mounted>,
}

impl Silent {
    fn of(program: &Program) -> Silent {
        let directory = program.path().join("mount");
        std::fs::create_dir(&directory).unwrap();
        let id = program.json(&["status"])["cache"]["id"].as_str().unwrap().to_owned();
        let source = format!("srcfs:{id}");
        let request =
            MountRequest { directory: &directory, source: &source, options: MountOptions::default() };
        let mounted = Some(mount(&request).unwrap());
        Silent { directory, mounted }
    }

    /// Closes its device, as the death of its daemon does.
    fn die(&mut self) {
        self.mounted = None;
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        let done = unmount(&self.directory, None, true);
        assert!(done.is_ok() || std::thread::panicking(), "{done:?}");
    }
}

#[test]
fn a_daemon_that_hangs_hangs_no_verb() {
    let program = Program::new();
    let mut repository = Repository::new(program.path().join("docs.git"));
    repository.commit(&[File::new("a", "a\n")]);
    let mut silent = Silent::of(&program);

    let added = program.json(&["add", "docs", &repository.url()]);
    assert_eq!(added["unanswered"][0]["why"], "no answer within 2 s");
    program.json(&["get", "docs"]);
    let cleared = program.json(&["clear", "docs"]);
    assert_eq!(cleared["unanswered"][0]["mount_point"], silent.directory.to_str().unwrap());
    assert!(cleared["mirrors"][0]["freed"].as_u64().unwrap() > 0, "{cleared}");
    let status = program.json(&["status"]);
    assert_eq!(status["mounts"][0]["silent"], "no answer within 2 s");
    let listed = program.json(&["list"]);
    assert_eq!(listed["unknown_readers"].as_array().unwrap().len(), 1);

    silent.die();
    let status = program.json(&["status"]);
    assert_eq!(status["mounts"][0]["silent"], "its daemon is dead");
    let examined = program.run(&["--json", "doctor"]);
    let place = silent.directory.display().to_string();
    let found = examined.json()["checks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|check| check["name"] == "mount" && check["found"].as_str().unwrap().starts_with(&place))
        .cloned()
        .unwrap();
    assert_eq!((examined.code, &found["ok"]), (1, &false.into()));
    assert!(found["advice"].as_str().unwrap().contains("srcfs unmount"), "{found}");
}

#[test]
fn a_path_over_a_link_into_a_mount_that_hangs_is_a_key_all_the_same() {
    let program = Program::new();
    let silent = Silent::of(&program);
    let link = program.path().join("link");
    std::os::unix::fs::symlink("mount", &link).unwrap();
    let path = link.join("npm/lib");
    let path = path.to_str().unwrap();
    let explained = program.json(&["explain", path]);
    assert_eq!(explained["state"], "it is not cached yet; nothing failed so far", "{explained}");
    let cited = program.run(&["--json", "cite", path]).json();
    assert_eq!(cited["citations"][0]["error"]["why"], "no answer within 2 s", "{cited}");
    // Of another cache only its daemon knows something.
    let mut other = program.command(&["--json", "explain", path]);
    let output = other.env("SRCFS_CACHE_DIR", program.path().join("other")).output().unwrap();
    let explained: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let state = explained["state"].as_str().unwrap();
    assert!(state.contains("another cache") && state.contains("no answer within 2 s"), "{explained}");
    drop(silent);
}

#[test]
fn the_probe_ends_with_the_number_of_its_error() {
    let program = Program::new();
    let file = program.path().join("f");
    std::fs::write(&file, "content").unwrap();
    let path = file.to_str().unwrap();
    let run = program.run(&["__probe", "--read", "--", path]);
    assert_eq!((run.code, run.out.as_str()), (0, "content"));
    assert_eq!(program.run(&["__probe", "--", path]).code, 0);
    assert_eq!(program.run(&["__probe", "--", &format!("{path}/x")]).code, libc::ENOTDIR);
    assert_eq!(program.run(&["__probe", "--", &format!("{path}x")]).code, libc::ENOENT);
}
