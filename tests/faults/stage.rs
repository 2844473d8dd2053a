//! Where the matrix plays: two states of one small upstream on the disk, caches to begin with, and for
//! each case a copy of one. Cases share nothing, so any number of them run at once.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use srcfs::cache::check::{Checked, Thoroughness, check};
use srcfs::cache::{Cache, Options, Snapshot};
use srcfs::error::Error;
use srcfs::key::{GitUrl, Key, Reference};
use srcfs::store::Kind;

use crate::harness::repository::{File, Repository, hermetic};
use crate::locking::Locks;

/// The repository, as verbs call it.
pub const KEY: &str = "git/forge.test/team/tiny";

/// What a tree holds, by path.
pub type Content = BTreeMap<String, Vec<u8>>;

/// The upstream in its two states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upstream {
    Old,
    New,
    /// What was there before the old one, and large.
    Large,
}

/// What a cache holds when a case begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Start {
    /// There is no cache directory.
    Nothing,
    /// The old `main`, published.
    Old,
    /// That, and what three processes left that were killed: staging, a generation, trash.
    Leftovers,
    /// The old `main`, with one flipped bit in the index of its pack.
    Damaged,
    /// The old `main`, with half a pointer.
    Torn,
    /// The old `main`, which nobody used for as long as the configuration allows.
    Unused,
    /// The old `main`, and a large one before it that nobody has used for hours.
    Superseded,
    /// The old `main`, and what one held who died in the middle of its commit.
    Held,
}

/// The upstreams and the caches to begin with.
pub struct Stage {
    directory: tempfile::TempDir,
    cases: AtomicUsize,
}

/// A cache of its own.
pub struct Case<'s> {
    stage: &'s Stage,
    locks: Locks,
    directory: PathBuf,
}

/// The file `text` differs between the versions, `same` does not.
pub fn content(version: &str) -> Content {
    let noise: Vec<u8> = (0..600_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    [("deep/text", format!("this is {version}\n").into_bytes()), ("same", noise)]
        .map(|(path, bytes)| (path.to_owned(), bytes))
        .into()
}

fn files(version: &str) -> Vec<File> {
    content(version).into_iter().map(|(path, bytes)| File::new(&path, bytes)).collect()
}

pub fn key() -> Key {
    Key::git(GitUrl::parse("http://forge.test/team/tiny.git").unwrap())
}

impl Stage {
    pub fn new() -> Stage {
        // In memory, if that can be had: what a lost disk leaves is shown elsewhere, and a thousand
        // cases would wait for the disk of this machine.
        let memory = tempfile::Builder::new().prefix("srcfs-faults-").tempdir_in("/dev/shm");
        let directory = memory.unwrap_or_else(|_| tempfile::tempdir().unwrap());
        let stage = Stage { directory, cases: AtomicUsize::new(0) };
        let mut large = Repository::new(stage.upstream(Upstream::Large).join("team/tiny.git"));
        let noise: Vec<u8> =
            (0..200_000_u32).flat_map(|n| n.wrapping_mul(2_246_822_519).to_le_bytes()).collect();
        large.commit(&[File::new("noise", noise)]);
        for upstream in [Upstream::Old, Upstream::New] {
            let mut repository = Repository::new(stage.upstream(upstream).join("team/tiny.git"));
            let old = repository.commit(&files("old"));
            repository.branch("topic", &old);
            repository.commit_to("topic", &files("topic"));
            if upstream == Upstream::New {
                repository.commit(&files("new"));
            }
        }
        for locks in Locks::ALL {
            let (key, table) = locks.lines();
            let host = "[[host]]\nname = \"forge.test\"\nurl = \"http://forge.test/{path}.git\"\n";
            let config = format!("refresh = \"never\"\nmax_age = \"30d\"\n{key}{host}{table}");
            fs::write(stage.config(locks), config).unwrap();
        }
        stage.begin();
        stage.begin_with_leases();
        stage
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn upstream(&self, upstream: Upstream) -> PathBuf {
        self.path(match upstream {
            Upstream::Old => "srv-old",
            Upstream::New => "srv-new",
            Upstream::Large => "srv-large",
        })
    }

    fn config(&self, locks: Locks) -> PathBuf {
        self.path(&format!("{locks:?}.toml"))
    }

    fn template(&self, start: Start, locks: Locks) -> PathBuf {
        let leases = if locks.are_leases() { "-leases" } else { "" };
        self.path(&format!("begin-{start:?}{leases}"))
    }

    /// Makes the caches to begin with.
    fn begin(&self) {
        let case = self.case(Start::Nothing);
        let made = case.command(Upstream::Old, &["get", KEY]).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        for start in [Start::Old, Start::Leftovers, Start::Damaged, Start::Torn, Start::Unused] {
            copy(&case.cache(), &self.template(start, Locks::Kernel));
        }
        let case = self.case(Start::Nothing);
        for (upstream, verb) in [(Upstream::Large, "get"), (Upstream::Old, "update")] {
            let made = case.command(upstream, &[verb, KEY]).output().unwrap();
            assert!(made.status.success(), "{made:?}");
        }
        copy(&case.cache(), &self.template(Start::Superseded, Locks::Kernel));
        let v1 = self.template(Start::Leftovers, Locks::Kernel).join("v1");
        let mirror = mirror(&v1);
        let generation = generations(&mirror).remove(0);
        for (from, to) in [
            (&generation, v1.join("staging/dead")),
            (&generation, v1.join("trash/dead")),
            (&generation, mirror.join("d".repeat(32))),
        ] {
            copy(from, &to);
        }
        fs::write(v1.join("staging/dead.lease"), "").unwrap();
        let damaged =
            generations(&self::mirror(&self.template(Start::Damaged, Locks::Kernel).join("v1"))).remove(0);
        let index = file_in(&damaged.join("objects/pack"), ".idx");
        let mut bytes = fs::read(&index).unwrap();
        bytes[1030] ^= 4;
        rewrite(&index, &bytes);
        let state = self::mirror(&self.template(Start::Torn, Locks::Kernel).join("v1")).join("state.json");
        let text = fs::read(&state).unwrap();
        rewrite(&state, &text[..text.len() / 2]);
    }

    /// The same where there are leases.
    fn begin_with_leases(&self) {
        let case = self.case_with(Start::Nothing, Locks::LastingLeases);
        let made = case.command(Upstream::Old, &["get", KEY]).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        copy(&case.cache(), &self.template(Start::Old, case.locks));
        // Its locks, its sign of life, its staging. What it held says for how long it counts: briefly, for
        // every case waits for that.
        let case = self.case_with(Start::Old, Locks::BriefLeases);
        let mut dying = case.with_faults(Upstream::New, &["update", KEY], "publish.moved:kill");
        let died = dying.output().unwrap();
        assert!(died.status.code().is_none(), "{died:?}");
        copy(&case.cache(), &self.template(Start::Held, case.locks));
    }

    /// A case that begins so.
    pub fn case(&self, start: Start) -> Case<'_> {
        self.case_with(start, Locks::Kernel)
    }

    /// The same with these locks.
    pub fn case_with(&self, start: Start, locks: Locks) -> Case<'_> {
        let number = self.cases.fetch_add(1, Ordering::Relaxed);
        let case = Case { stage: self, locks, directory: self.path(&format!("case-{number}")) };
        fs::create_dir(&case.directory).unwrap();
        if start != Start::Nothing {
            copy(&self.template(start, locks), &case.cache());
        }
        if start == Start::Unused {
            let pin = generations(&mirror(&case.v1())).remove(0).join("pin");
            let long_ago = SystemTime::now() - Duration::from_secs(60 * 24 * 3600);
            fs::File::open(pin).unwrap().set_modified(long_ago).unwrap();
        }
        if start == Start::Superseded {
            let tables = generations(&mirror(&case.v1())).remove(0).join("tables");
            let hours_ago = SystemTime::now() - Duration::from_secs(5 * 3600);
            for table in fs::read_dir(tables).unwrap().flatten() {
                fs::File::open(table.path()).unwrap().set_modified(hours_ago).unwrap();
            }
        }
        case
    }
}

impl Case<'_> {
    pub fn cache(&self) -> PathBuf {
        self.directory.join("cache")
    }

    pub fn v1(&self) -> PathBuf {
        self.cache().join("v1")
    }

    /// What its cache is locked with.
    pub fn locks(&self) -> Locks {
        self.locks
    }

    /// The mirror of the repository.
    pub fn mirror(&self) -> PathBuf {
        mirror(&self.v1())
    }

    /// A run of the program that is not started yet; the upstream is as said.
    pub fn command(&self, upstream: Upstream, arguments: &[&str]) -> Command {
        let mut command = hermetic(env!("CARGO_BIN_EXE_srcfs"));
        let from = format!("url.file://{}/.insteadOf", self.stage.upstream(upstream).display());
        command
            .args(arguments)
            .env("SRCFS_CACHE_DIR", self.cache())
            .env("SRCFS_CONFIG", self.stage.config(self.locks))
            .env("SRCFS_MOUNT", self.directory.join("mount"))
            .env("GIT_CONFIG_COUNT", "1")
            .env("GIT_CONFIG_KEY_0", from)
            .env("GIT_CONFIG_VALUE_0", "http://forge.test/")
            .env("HOME", &self.directory)
            .env_remove("SRCFS_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// The same with faults, and with a trace of what was reached.
    pub fn with_faults(&self, upstream: Upstream, arguments: &[&str], faults: &str) -> Command {
        let mut command = self.command(upstream, arguments);
        command.env("SRCFS_FAULT_TRACE", self.trace_file());
        if !faults.is_empty() {
            command.env("SRCFS_FAULT", faults);
        }
        command
    }

    /// Where a daemon of the case is mounted.
    pub fn mount(&self) -> PathBuf {
        self.directory.join("mount")
    }

    /// A file for what a daemon says.
    pub fn log(&self) -> fs::File {
        fs::File::options().create(true).append(true).open(self.directory.join("log")).unwrap()
    }

    /// What the daemons have said.
    pub fn said(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }

    fn trace_file(&self) -> PathBuf {
        self.directory.join("trace")
    }

    /// The points that were reached, each with what happened there.
    pub fn trace(&self) -> Vec<(String, String)> {
        let text = fs::read_to_string(self.trace_file()).unwrap_or_default();
        let line = |line: &str| line.split_once(' ').map(|(point, mode)| (point.to_owned(), mode.to_owned()));
        text.lines().filter_map(line).collect()
    }

    /// Opens the cache in this process.
    pub fn open(&self) -> std::sync::Arc<Cache> {
        Cache::open(&self.cache(), self.options()).unwrap()
    }

    fn options(&self) -> Options {
        Options { reap: false, locking: self.locks.locking(), ..Options::default() }
    }

    /// What is published for a reference, byte for byte, or the reason why it cannot be read.
    pub fn published(&self, reference: &str) -> Result<Option<Content>, String> {
        if !self.v1().exists() {
            return Ok(None);
        }
        let cache = Cache::open(&self.cache(), self.options()).map_err(|error| error.to_string())?;
        let reference = Reference::parse(reference).unwrap();
        let snapshot = cache.peek(&key(), &reference).map_err(|error| error.to_string())?;
        let read = |snapshot| read(&snapshot).map_err(|error| error.to_string());
        snapshot.map(read).transpose()
    }

    /// Looks at the cache in this process.
    pub fn look(&self, how: Thoroughness) -> Checked {
        check(&self.cache(), how).unwrap()
    }
}

impl Drop for Case<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}

/// All files of a snapshot.
pub fn read(snapshot: &Snapshot) -> Result<Content, Error> {
    let table = snapshot.table();
    let mut content = Content::new();
    for index in 0..table.len() {
        let node = table.node(index).unwrap();
        if !matches!(node.kind, Kind::File { .. }) {
            continue;
        }
        let mut bytes = Vec::new();
        snapshot.objects().read(&node.object, 0, u32::MAX, &mut |part| bytes.extend_from_slice(part))?;
        content.insert(table.path(index).to_str().unwrap().to_owned(), bytes);
    }
    Ok(content)
}

fn mirror(v1: &Path) -> PathBuf {
    v1.join("mirrors/git").join(key().file_name())
}

/// The directories of a mirror's generations.
pub fn generations(mirror: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(mirror).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

/// The file of a directory whose name ends so.
pub fn file_in(directory: &Path, end: &str) -> PathBuf {
    let entries = fs::read_dir(directory).unwrap().flatten().map(|entry| entry.path());
    let mut found = entries.filter(|path| path.to_str().unwrap().ends_with(end));
    found.next().unwrap_or_else(|| panic!("no *{end} in {}", directory.display()))
}

/// Replaces the content of a file that may be read-only.
pub fn rewrite(path: &Path, bytes: &[u8]) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Copies a directory with its modes.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        match entry.file_type().unwrap().is_dir() {
            true => copy(&path, &to),
            false => drop(fs::copy(&path, &to).unwrap()),
        }
    }
}
