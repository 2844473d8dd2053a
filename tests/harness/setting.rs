//! What most end-to-end tests begin with: a program, a git server on the loopback, and a repository
//! behind it that the mount shows as `git/github.com/team/docs`.

#![allow(dead_code, reason = "no test uses all of it")]

use std::fmt::Write as _;
use std::path::PathBuf;

use nix::sys::signal::Signal;
use serde_json::Value;

use super::harness::git_server::GitServer;
use super::harness::repository::{File, Repository, many_files};
use super::program::Program;

/// The KEY of the repository, and its path below the mount.
pub const KEY: &str = "git/github.com/team/docs";
/// The repository, as the server calls it.
pub const DOCS: &str = "team/docs.git";

/// A program, a server, a repository.
pub struct Setting {
    /// The program.
    pub program: Program,
    /// The server.
    pub server: GitServer,
    /// What it serves as [`DOCS`].
    pub docs: Repository,
    /// The commit that `main` of it shows at first.
    pub first: String,
}

impl Setting {
    /// With a few files.
    pub fn new() -> Self {
        Self::with("", &few("one"))
    }

    /// With further settings of the configuration, and these files in the first commit.
    pub fn with(settings: &str, files: &[File]) -> Self {
        let program = Program::new();
        let root = program.path().join("srv");
        let mut docs = Repository::new(root.join(DOCS));
        let first = docs.commit(files);
        let server = GitServer::start(&root);
        let setting = Setting { program, server, docs, first };
        setting.configure(settings);
        setting
    }

    /// Replaces the configuration: these settings, and the server as github.com.
    pub fn configure(&self, settings: &str) {
        let mut text = settings.to_owned();
        if !settings.contains("refresh") {
            text.insert_str(0, "refresh = \"never\"\n");
        }
        let url = self.server.url("{path}.git");
        writeln!(text, "\n[[host]]\nname = \"github.com\"\nurl = \"{url}\"").unwrap();
        self.program.configure(&text);
    }

    /// Runs a verb that changes something, and that every mount must have noticed when it returns.
    pub fn change(&self, verb: &str) -> Value {
        change(&self.program, verb)
    }

    /// Another repository of the server, shown as `git/github.com/team/<name>`.
    pub fn repository(&self, name: &str, files: &[File]) -> Repository {
        let mut repository = Repository::new(self.program.path().join(format!("srv/team/{name}.git")));
        repository.commit(files);
        repository
    }

    /// The directories of all generations in the cache.
    pub fn generations(&self) -> Vec<PathBuf> {
        let mirrors = self.program.cache().join("v1/mirrors/git");
        let inside =
            |path: PathBuf| std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
        inside(mirrors).flat_map(inside).filter(|path| path.is_dir()).collect()
    }

    /// What lies in the cache's staging and trash.
    pub fn leftovers(&self) -> Vec<PathBuf> {
        let inside = |name: &str| {
            let directory = self.program.cache().join("v1").join(name);
            std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path())
        };
        inside("staging").chain(inside("trash")).collect()
    }

    /// The processes of git that work in this test's directory.
    pub fn gits(&self) -> Vec<String> {
        let place = self.program.cache().display().to_string();
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        processes
            .filter_map(|process| std::fs::read(process.path().join("cmdline")).ok())
            .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
            .filter(|line| line.contains(&place) && line.contains("git") && !line.contains("srcfs mount"))
            .collect()
    }

    /// Starts `srcfs` with these arguments and kills it with `signal` as soon as `when` is so.
    pub fn interrupted(&self, arguments: &[&str], signal: Signal, when: impl FnOnce(&Self)) {
        let mut child = self.program.command(arguments);
        let child = child.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        let mut child = child.spawn().unwrap();
        when(self);
        nix::sys::signal::kill(super::reader::pid(&child), signal).unwrap();
        assert!(super::reader::ends(&mut child), "{arguments:?} did not end by {signal}");
    }
}

/// The same without the rest of the setting.
pub fn change(program: &Program, verb: &str) -> Value {
    let report = program.json(&[verb, KEY]);
    assert_eq!(report["unanswered"], Value::Null, "{report}");
    report
}

/// A few files that all name `version`.
pub fn few(version: &str) -> Vec<File> {
    many_files(60, version)
}

/// The first of the files of [`few`].
pub const ONE: &str = "d000/f00000.txt";

/// What that file says in `version`.
pub fn one(version: &str) -> String {
    format!("file 0 of {version}")
}

/// Says why a test does less than it could, and whether it does.
pub fn only_root_can(what: &str) -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        eprintln!("skipped: only root can {what}");
    }
    root
}
