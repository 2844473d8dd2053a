//! A git repository on the local disk, and a [`Source`] that fetches from it with the `git` program.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use srcfs::cache::{Cache, Fetched, Freshness, Options, Snapshot};
use srcfs::config::locking::{Backend, LeaseTimes, Locking};
use srcfs::error::{Error, Kind, Result};
use srcfs::key::{GitUrl, Key, Reference};
use srcfs::source::{Prepared, Progress, Resolved, Revision, Source, Workplace};

/// How many files each version has; every one of them names its version.
const FILES: usize = 12;

fn git(directory: &Path, arguments: &[&str]) -> String {
    let output = command(directory).args(arguments).output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn command(directory: &Path) -> Command {
    let mut command = Command::new("git");
    command
        .arg("-C")
        .arg(directory)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null");
    for (name, value) in [("NAME", "a"), ("EMAIL", "a@example.org"), ("DATE", "1700000000 +0000")] {
        command.env(format!("GIT_AUTHOR_{name}"), value).env(format!("GIT_COMMITTER_{name}"), value);
    }
    command
}

/// A world of its own: an upstream repository and a cache directory.
pub struct World {
    directory: tempfile::TempDir,
}

impl World {
    /// With version 1 on `main`.
    pub fn new() -> World {
        let world = World { directory: tempfile::tempdir().unwrap() };
        fs::create_dir(world.upstream()).unwrap();
        git(&world.upstream(), &["init", "-q", "-b", "main"]);
        git(&world.upstream(), &["config", "uploadpack.allowAnySHA1InWant", "true"]);
        git(&world.upstream(), &["config", "gc.auto", "0"]);
        // Something that does not change and does not compress.
        let mut noise = Vec::new();
        let mut state = 1_u64;
        for _ in 0..25_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            noise.extend_from_slice(&state.to_be_bytes());
        }
        fs::write(world.upstream().join("noise"), noise).unwrap();
        world.publish(1);
        world
    }

    /// The same with leases instead of locks of the kernel, which go stale, like pins, in this time.
    pub fn leased(stale: Duration) -> World {
        World::new().with_leases(stale)
    }

    /// See [`World::leased`]; before anything is cached.
    pub fn with_leases(self, stale: Duration) -> World {
        fs::write(self.directory().join(LEASED), stale.as_millis().to_string()).unwrap();
        self
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub fn upstream(&self) -> PathBuf {
        self.directory().join("upstream")
    }

    pub fn cache_directory(&self) -> PathBuf {
        self.directory().join("cache")
    }

    pub fn v1(&self, name: &str) -> PathBuf {
        self.cache_directory().join("v1").join(name)
    }

    pub fn mirror(&self) -> PathBuf {
        self.v1("mirrors/git").join(key().file_name())
    }

    /// Commits a version: all files change, the noise does not. Its commit.
    pub fn publish(&self, version: u32) -> String {
        for number in 0..FILES {
            let file = self.upstream().join(format!("d{}/f{number}", number % 3));
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, format!("version {version} file {number}\n")).unwrap();
        }
        git(&self.upstream(), &["add", "-A"]);
        git(&self.upstream(), &["commit", "-q", "--allow-empty", "-m", &format!("version {version}")]);
        git(&self.upstream(), &["rev-parse", "HEAD"])
    }

    pub fn git(&self, arguments: &[&str]) -> String {
        git(&self.upstream(), arguments)
    }

    pub fn source(&self) -> LocalGit {
        LocalGit { upstream: self.upstream(), log: self.directory().join("fetches") }
    }

    /// The network is gone until [`World::reconnect`].
    pub fn disconnect(&self) {
        fs::rename(self.upstream(), self.directory().join("away")).unwrap();
    }

    pub fn reconnect(&self) {
        fs::rename(self.directory().join("away"), self.upstream()).unwrap();
    }

    /// How many fetches there were, by all processes.
    pub fn fetches(&self) -> usize {
        fs::read_to_string(self.directory().join("fetches")).map_or(0, |log| log.lines().count())
    }

    pub fn open(&self) -> Arc<Cache> {
        Cache::open(&self.cache_directory(), options(self.directory())).unwrap()
    }

    pub fn get(&self, cache: &Cache, freshness: Freshness) -> Result<Fetched> {
        get(cache, &self.source(), &Reference::Default, freshness)
    }

    /// The names in a directory of the cache.
    pub fn names(&self, directory: &str) -> Vec<String> {
        names(&self.v1(directory))
    }

    /// The generations that are in their place, named or not.
    pub fn generations(&self) -> Vec<String> {
        names(&self.mirror()).into_iter().filter(|name| name.len() == 32).collect()
    }

    /// Nothing lies about that nobody needs, and what is published is complete.
    pub fn assert_whole(&self, cache: &Cache) {
        assert_eq!(self.names("staging"), [""; 0]);
        assert_eq!(self.names("trash"), [""; 0]);
        let state = cache.state(&key()).unwrap();
        let named: Vec<String> = state.iter().filter_map(|state| state.generation.clone()).collect();
        assert_eq!(self.generations(), named);
        let Some(state) = state else { return };
        for (revision, record) in &state.snapshots {
            let reference = Reference::parse(revision).unwrap();
            let snapshot = cache.peek(&key(), &reference).unwrap().expect("a recorded snapshot opens");
            assert_eq!(snapshot.tree(), record.tree);
            version(&snapshot);
        }
        for (name, reference) in &state.references {
            assert!(state.snapshots.contains_key(&reference.revision), "{name:?} points nowhere");
        }
    }
}

/// A file in a world whose cache has leases: after how many milliseconds they are stale.
const LEASED: &str = "leased";

/// As a cache in the world `directory` is opened, by whichever process.
pub fn options(directory: &Path) -> Options {
    let mut options = Options::default();
    if let Ok(stale) = fs::read_to_string(directory.join(LEASED)) {
        let stale = Duration::from_millis(stale.parse().unwrap());
        let lease = LeaseTimes::new(stale, Some(Duration::from_millis(100)), Some(stale)).unwrap();
        options.locking = Locking { backend: Some(Backend::Lease), lease };
    }
    options
}

pub fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

pub fn key() -> Key {
    Key::git(GitUrl::parse("https://example.org/a/b.git").unwrap())
}

pub fn get(
    cache: &Cache,
    source: &dyn Source,
    reference: &Reference,
    freshness: Freshness,
) -> Result<Fetched> {
    cache.get(source, &key(), reference, freshness, "a test", &Arc::default())
}

/// Reads a whole snapshot; the one version that all its files name.
pub fn version(snapshot: &Snapshot) -> u32 {
    let read = |path: &str| {
        let index = snapshot.table().find(path).unwrap_or_else(|| panic!("{path} is missing"));
        let node = snapshot.table().node(index).unwrap();
        let mut content = Vec::new();
        let size = u32::try_from(node.size).unwrap();
        let mut with = |bytes: &[u8]| content.extend_from_slice(bytes);
        snapshot.objects().read(&node.object, 0, size, &mut with).unwrap();
        assert_eq!(content.len() as u64, node.size);
        content
    };
    read("noise");
    let versions: BTreeSet<u32> = (0..FILES)
        .map(|number| {
            let text = String::from_utf8(read(&format!("d{}/f{number}", number % 3))).unwrap();
            let words: Vec<&str> = text.split_whitespace().collect();
            assert_eq!(words[3], number.to_string());
            words[1].parse().unwrap()
        })
        .collect();
    assert_eq!(versions.len(), 1, "one snapshot shows several versions: {versions:?}");
    *versions.first().unwrap()
}

/// Waits until `condition` holds; a minute is for a test that fails.
pub fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < Duration::from_secs(60), "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Fetches from a directory with the `git` program.
pub struct LocalGit {
    upstream: PathBuf,
    log: PathBuf,
}

impl LocalGit {
    pub fn new(upstream: PathBuf, log: PathBuf) -> Self {
        LocalGit { upstream, log }
    }

    fn run(&self, directory: &Path, stdin: Stdio, arguments: &[&str]) -> Result<String> {
        let what = format!("run git {}", arguments.join(" "));
        if !self.upstream.exists() {
            return Err(Error::new(Kind::Unreachable, what, "there is no network"));
        }
        let output = command(directory).args(arguments).stdin(stdin).output().unwrap();
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            let kind = if why.contains("No space left") { Kind::Full } else { Kind::Network };
            return Err(Error::new(kind, what, why));
        }
        Ok(String::from_utf8(output.stdout).unwrap().trim().to_owned())
    }
}

impl Source for LocalGit {
    fn resolve(&self, _: &Key, reference: &Reference, _: &[Revision], _: &Progress) -> Result<Resolved> {
        let name = match reference {
            Reference::Commit(id) => {
                return Ok(Resolved { revision: Revision::new(id), full_name: None, moving: false });
            }
            Reference::Default => "HEAD".to_owned(),
            other => format!("refs/heads/{other}"),
        };
        let url = format!("file://{}", self.upstream.display());
        let listed = self.run(Path::new("/"), Stdio::null(), &["ls-remote", &url, &name])?;
        let Some((id, _)) = listed.split_once('\t') else {
            return Err(Error::new(
                Kind::NotFound,
                format!("find {name}"),
                "the upstream has no such reference",
            ));
        };
        Ok(Resolved { revision: Revision::new(id), full_name: Some(name), moving: true })
    }

    fn prepare(&self, _: &Key, resolved: &Resolved, place: Workplace<'_>, _: &Progress) -> Result<Prepared> {
        let mut log = fs::OpenOptions::new().create(true).append(true).open(&self.log).unwrap();
        writeln!(log, "{} by {}", resolved.revision, std::process::id()).unwrap();
        let directory = place.directory;
        srcfs::store::init_bare(directory)?;
        if let Some(lender) = place.borrow {
            let objects = format!("{}\n", lender.join("objects").display());
            fs::create_dir_all(directory.join("objects/info")).unwrap();
            fs::write(directory.join("objects/info/alternates"), objects).unwrap();
            fs::copy(lender.join("shallow"), directory.join("shallow")).unwrap();
        }
        let lease = place.lease.expect("the cache leases its staging").try_clone_to_owned().unwrap();
        let url = format!("file://{}", self.upstream.display());
        let commit = resolved.revision.as_str();
        let quiet = ["-c", "fetch.unpackLimit=1", "-c", "gc.auto=0", "-c", "maintenance.auto=false"];
        let fetch = ["fetch", "-q", "--depth", "1", "--no-tags", &url, commit];
        self.run(directory, Stdio::from(lease), &[&quiet[..], &fetch[..]].concat())?;
        let tree = self.run(directory, Stdio::null(), &["rev-parse", &format!("{commit}^{{tree}}")])?;
        let time = self.run(directory, Stdio::null(), &["show", "-s", "--format=%ct", commit])?;
        let packs = fs::read_dir(directory.join("objects/pack")).unwrap();
        Ok(Prepared {
            revision: resolved.revision.clone(),
            tree,
            modified: UNIX_EPOCH + Duration::from_secs(time.parse().unwrap()),
            transferred: packs.map(|entry| entry.unwrap().metadata().unwrap().len()).sum(),
            stamp: None,
            about: None,
        })
    }
}
