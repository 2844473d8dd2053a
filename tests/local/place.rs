//! A directory, and a srcfs that knows it as `local/work`.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::harness::repository::hermetic;
use super::mounted2::{Site, run};
use super::program::Run;

/// The directory's name below the mount.
pub const KEY: &str = "local/work";
/// An ordinary user, of a test that root runs.
const NOBODY: u32 = 65534;

/// All of it.
pub struct Place {
    /// The program, and a mount if a test makes one.
    pub site: Site,
    user: Option<u32>,
}

impl Place {
    /// An empty directory that is not added yet.
    pub fn new() -> Place {
        let site = Site::new("refresh = \"never\"");
        fs::create_dir(site.program.path().join("work")).unwrap();
        Place { site, user: None }
    }

    /// One whose programs run as an ordinary user, to whom permissions matter.
    pub fn ordinary() -> Place {
        let place = Place::new();
        let user = nix::unistd::geteuid().is_root().then_some(NOBODY);
        Place { user, ..place }
    }

    /// The directory.
    pub fn path(&self) -> PathBuf {
        self.site.program.path().join("work")
    }

    /// Writes a file in it, and makes the directories above.
    pub fn write(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Writes files that hold their own names.
    pub fn write_all(&self, paths: &[&str]) {
        paths.iter().for_each(|path| self.write(path, path));
    }

    /// Runs git in the directory `below` of it.
    pub fn git_in(&self, below: &str, arguments: &[&str]) -> String {
        let git = run(hermetic("git").args(arguments).current_dir(self.path().join(below)));
        assert_eq!(git.code, 0, "git {arguments:?}: {git:?}");
        git.out
    }

    /// Runs git in it.
    pub fn git(&self, arguments: &[&str]) -> String {
        self.git_in("", arguments)
    }

    /// Makes it a repository, and commits all that is not ignored.
    pub fn commit(&self) {
        self.git(&["init", "--quiet", "--initial-branch=main"]);
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "-m", "all"]);
    }

    /// A run of the program that is not started yet.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.site.command(arguments);
        command.current_dir(self.site.program.path());
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command
    }

    /// Runs the program.
    pub fn run(&self, arguments: &[&str]) -> Run {
        if let Some(user) = self.user {
            give(self.site.program.path(), user);
        }
        run(&mut self.command(arguments))
    }

    /// Runs it with `--json`, and has it succeed.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let run = self.run(&[&["--json"], arguments].concat());
        assert_eq!(run.code, 0, "{arguments:?}: {run:?}");
        run.json()
    }

    /// The sentence with which it fails.
    pub fn refused(&self, arguments: &[&str]) -> String {
        let run = self.run(arguments);
        assert_ne!(run.code, 0, "{arguments:?}: {run:?}");
        run.err + &run.out
    }

    /// Adds it as it is now, with further arguments.
    pub fn add(&self, more: &[&str]) {
        let path = self.path();
        self.json(&[&["add", "work", "--path", path.to_str().unwrap()], more].concat());
    }

    /// Its revision now: everything is looked at.
    pub fn update(&self) -> String {
        // What was not cached is not updated but fetched.
        self.json(&["get", KEY]);
        let report = self.json(&["update", KEY]);
        report["references"][0]["revision"].as_str().unwrap().to_owned()
    }

    /// Of how many directories the cache remembers what lies in them, beside their mirrors.
    pub fn remembered(&self) -> usize {
        let sources = self.site.program.cache().join("v1/sources");
        let names = fs::read_dir(sources).unwrap().map(|entry| entry.unwrap().path());
        names.filter(|path| path.extension() == Some(OsStr::new("stats"))).count()
    }

    /// Its revision as it is cached.
    pub fn revision(&self) -> String {
        self.json(&["get", KEY])["trees"][0]["tree"]["revision"].as_str().unwrap().to_owned()
    }

    /// The paths that are shown of its present state, sorted; directories that are empty with a slash.
    pub fn shown(&self) -> Vec<String> {
        let revision = self.update();
        let listed = self.stored(&["ls-tree", "-r", "-t", "-z", &revision]);
        let mut paths = Vec::new();
        for line in listed.split(|byte| *byte == 0).filter(|line| !line.is_empty()) {
            let line = String::from_utf8_lossy(line).into_owned();
            let (about, path) = line.split_once('\t').unwrap();
            paths.push(if about.contains(" tree ") { format!("{path}/") } else { path.to_owned() });
        }
        let all = paths.clone();
        paths.retain(|path| !path.ends_with('/') || !all.iter().any(|p| p != path && p.starts_with(path)));
        paths.sort();
        paths
    }

    /// What is shown of a file, in the state that is cached.
    pub fn content(&self, path: &str) -> String {
        let revision = self.revision();
        String::from_utf8(self.stored(&["cat-file", "blob", &format!("{revision}:{path}")])).unwrap()
    }

    /// What git says of the mirror.
    fn stored(&self, arguments: &[&str]) -> Vec<u8> {
        let [generation] = &self.generations()[..] else { panic!("{:?}", self.generations()) };
        let mut git = hermetic("git");
        // As root it may be another user's.
        let output = git.arg("--git-dir").arg(generation).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        output.stdout
    }

    /// The generations of all directories in the cache.
    pub fn generations(&self) -> Vec<PathBuf> {
        let inside =
            |path: PathBuf| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
        let mirrors = self.site.program.cache().join("v1/mirrors/local");
        inside(mirrors).flat_map(inside).filter(|path| path.is_dir()).collect()
    }

    /// The file in which it is remembered what is unchanged.
    pub fn memory(&self) -> PathBuf {
        let sources = self.site.program.cache().join("v1/sources");
        let mut files = fs::read_dir(sources).unwrap().map(|entry| entry.unwrap().path());
        files.find(|path| path.extension() == Some(OsStr::new("stats"))).unwrap()
    }
}

/// Gives everything below to a user, without looking at what it is.
fn give(path: &Path, user: u32) {
    std::os::unix::fs::lchown(path, Some(user), Some(user)).unwrap();
    if path.symlink_metadata().unwrap().is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            give(&entry.unwrap().path(), user);
        }
    }
}

/// Takes all rights on a path from everybody but root.
pub fn lock(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
}

/// Gives them back to its owner.
pub fn unlock(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let mode = if path.is_dir() { 0o700 } else { 0o600 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A name that is not UTF-8.
pub fn odd_name() -> &'static OsStr {
    OsStr::from_bytes(b"odd\xff\xfe name")
}

/// Makes a FIFO.
pub fn fifo(path: &Path) {
    nix::unistd::mkfifo(path, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
}

/// Gives a path to somebody else, which only root can.
pub fn give_to_somebody_else(path: &Path) {
    chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
}
