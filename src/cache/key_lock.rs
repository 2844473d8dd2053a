//! The two locks of a key, on permanent files `v1/locks/<digest>.fetch` and `.commit`.
//!
//! *fetch* is held from "look again" to the end of the commit, through the network: one fetch for all
//! processes. *commit* is held for the few renames that change what is published. Order: serializer,
//! fetch, commit, pin. What publishes asks for [`HeldFetch`] and [`HeldCommit`] as arguments, so it
//! cannot be called without them.
//!
//! The text in a lock file says who holds it, for messages alone. Whether somebody does is decided by
//! the kernel: a holder that dies is gone at once, one that is stopped keeps its lock.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::clock::unix_now;
use super::lock::{Locked, Mode, Wait};
use crate::error::{Error, Kind, Result};
use crate::key::Key;

/// Which of a key's two locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LockKind {
    /// From "look again" to the end of the commit.
    Fetch,
    /// Around the change of what is published.
    Commit,
}

impl LockKind {
    /// Its name, which is the extension of its file.
    pub fn as_str(self) -> &'static str {
        match self {
            LockKind::Fetch => "fetch",
            LockKind::Commit => "commit",
        }
    }
}

/// Who holds a lock, by its own account. Not proof of anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HolderInfo {
    /// Which lock.
    pub lock: LockKind,
    /// The key it belongs to.
    pub key: String,
    /// The process, in its own pid namespace.
    pub pid: u32,
    /// The host it runs on.
    pub host: String,
    /// Its program.
    pub command: String,
    /// What it does under the lock.
    pub what: String,
    /// Since when, in seconds since 1970.
    pub since: u64,
}

impl std::fmt::Display for HolderInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = unix_now().saturating_sub(self.since);
        write!(
            f,
            "held for {seconds} s by process {} ({}) on {}: {}",
            self.pid, self.command, self.host, self.what
        )
    }
}

/// The locks of one key.
pub(super) struct KeyLock<'a> {
    directory: &'a Path,
    key: &'a Key,
}

/// The fetch lock of a key, held.
#[derive(Debug)]
pub(super) struct HeldFetch(Held);

/// The commit lock of a key, held.
#[derive(Debug)]
pub(super) struct HeldCommit(Held);

#[derive(Debug)]
struct Held {
    lock: Locked,
    path: PathBuf,
    // Stands after `lock`, so it is dropped, and logs, when the lock is free again.
    _time: HeldTime,
}

/// Logs for how long a lock was held: what `scripts/bench` holds against the promise of short commits.
#[derive(Debug)]
struct HeldTime {
    lock: LockKind,
    key: String,
    what: String,
    since: Instant,
}

impl<'a> KeyLock<'a> {
    /// The locks of `key` in the directory of lock files.
    pub fn new(directory: &'a Path, key: &'a Key) -> Self {
        KeyLock { directory, key }
    }

    /// Takes the fetch lock. `what` is told to those who wait for it.
    pub fn fetch(&self, wait: &Wait<'_>, what: &str) -> Result<HeldFetch> {
        self.acquire(LockKind::Fetch, wait, what).map(HeldFetch)
    }

    /// Takes the commit lock. `what` is told to those who wait for it.
    pub fn commit(&self, wait: &Wait<'_>, what: &str) -> Result<HeldCommit> {
        self.acquire(LockKind::Commit, wait, what).map(HeldCommit)
    }

    fn acquire(&self, kind: LockKind, wait: &Wait<'_>, what: &str) -> Result<Held> {
        let path = self.directory.join(format!("{}.{}", self.key.digest(), kind.as_str()));
        let open = || {
            File::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)
                .map_err(|error| Error::io("open the lock file", &path, &error))
        };
        let Some(lock) = Locked::acquire(&path, Mode::Exclusive, wait, open)? else {
            let why = match File::open(&path).ok().and_then(|file| read_holder(&file)) {
                Some(holder) => holder.to_string(),
                None => "another process holds it".to_owned(),
            };
            return Err(Error::new(
                Kind::Busy,
                format!("wait for the {} lock of {}", kind.as_str(), self.key),
                why,
            )
            .hint("wait for that process, or end it: its lock is free at that moment"));
        };
        let time =
            HeldTime { lock: kind, key: self.key.to_string(), what: what.to_owned(), since: Instant::now() };
        write_holder(lock.file(), kind, self.key, what);
        Ok(Held { lock, path, _time: time })
    }
}

impl Held {
    fn still_ours(&self) -> Result<()> {
        if self.lock.is_at(&self.path)? {
            return Ok(());
        }
        let what = format!("commit under the lock {}", self.path.display());
        Err(Error::new(Kind::Stale, what, "its file was removed, so another process may hold a new one")
            .hint("try again; lock files are never to be removed by hand"))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // An empty file tells a listing that nobody needs to be asked.
        let _ = self.lock.file().set_len(0);
    }
}

impl Drop for HeldTime {
    fn drop(&mut self) {
        let micros = self.since.elapsed().as_micros();
        let what = crate::redact::redact(&self.what);
        log::debug!("the {} lock of {} was held for {micros} us: {what}", self.lock.as_str(), self.key);
    }
}

impl HeldFetch {
    /// Fails with [`Kind::Stale`] if the lock's path does not name the file that is locked.
    pub fn still_ours(&self) -> Result<()> {
        self.0.still_ours()
    }
}

impl HeldCommit {
    /// Fails with [`Kind::Stale`] if the lock's path does not name the file that is locked.
    pub fn still_ours(&self) -> Result<()> {
        self.0.still_ours()
    }
}

fn write_holder(file: &File, lock: LockKind, key: &Key, what: &str) {
    let host = nix::sys::utsname::uname().map(|name| name.nodename().to_string_lossy().into_owned());
    let command = std::fs::read_to_string("/proc/self/comm").unwrap_or_default();
    let holder = HolderInfo {
        lock,
        key: key.to_string(),
        pid: std::process::id(),
        host: host.unwrap_or_default(),
        command: command.trim_end().to_owned(),
        what: crate::redact::redact(what),
        since: unix_now(),
    };
    // For messages only: a full disk must not stop whoever wants to clear something from it.
    let written = serde_json::to_vec(&holder).map_err(std::io::Error::from).and_then(|text| {
        let mut file = file;
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&text)
    });
    if let Err(error) = written {
        log::debug!("could not note the holder of a lock: {error}");
    }
}

fn read_holder(mut file: &File) -> Option<HolderInfo> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

/// Who holds which lock now. Locks whose file cannot be read are left out.
pub(super) fn holders(directory: &Path) -> Vec<HolderInfo> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let written = entry.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() > 0);
        if !written {
            continue;
        }
        let Ok(file) = File::open(&path) else { continue };
        let holder = read_holder(&file);
        // A shared attempt, for an instant: it fails exactly when somebody holds the lock.
        if let (Some(holder), Ok(None)) = (holder, Locked::attempt(file, &path, Mode::Shared)) {
            found.push(holder);
        }
    }
    found.sort_by(|a, b| (a.since, &a.key).cmp(&(b.since, &b.key)));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::GitUrl;
    use std::time::Duration;

    fn key() -> Key {
        Key::git(GitUrl::parse("https://example.org/a/b").unwrap())
    }

    #[test]
    fn a_waiter_ends_at_its_bound_and_names_the_holder() {
        let directory = tempfile::tempdir().unwrap();
        let key = key();
        let lock = KeyLock::new(directory.path(), &key);
        let _held = lock.fetch(&Wait::never(), "fetch for a test").unwrap();
        let wait = Wait { bound: Duration::from_millis(30), cancelled: &|| false };
        let error = lock.fetch(&wait, "second").unwrap_err();
        assert_eq!(error.kind(), Kind::Busy);
        assert!(error.why().contains(&std::process::id().to_string()), "{error}");
        assert!(error.why().contains("fetch for a test"), "{error}");
        // The other lock of the key, and the same of another key, are free.
        lock.commit(&Wait::never(), "commit").unwrap();
        let other = Key::git(GitUrl::parse("https://example.org/a/c").unwrap());
        KeyLock::new(directory.path(), &other).fetch(&Wait::never(), "other").unwrap();
    }

    #[test]
    fn it_is_free_after_release_and_after_a_panic_and_its_file_stays() {
        let directory = tempfile::tempdir().unwrap();
        let key = key();
        let lock = KeyLock::new(directory.path(), &key);
        drop(lock.fetch(&Wait::never(), "first").unwrap());
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _held = lock.fetch(&Wait::never(), "second").unwrap();
            panic!("under the lock");
        }));
        assert!(panicked.is_err());
        lock.fetch(&Wait::never(), "third").unwrap();
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn holders_are_listed_while_they_hold() {
        let directory = tempfile::tempdir().unwrap();
        let key = key();
        let lock = KeyLock::new(directory.path(), &key);
        let held = lock.commit(&Wait::never(), "clear https://u:secret@h/x").unwrap();
        let listed = holders(directory.path());
        assert_eq!(listed.len(), 1);
        assert_eq!((listed[0].lock, listed[0].pid), (LockKind::Commit, std::process::id()));
        assert!(!listed[0].what.contains("secret"));
        drop(held);
        assert!(holders(directory.path()).is_empty());
        // Text that a killed holder left behind is not a holder.
        let file = directory.path().join(format!("{}.commit", key.digest()));
        std::fs::write(file, serde_json::to_vec(&listed[0]).unwrap()).unwrap();
        assert!(holders(directory.path()).is_empty());
    }

    #[test]
    fn a_lock_file_removed_by_hand_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let key = key();
        let lock = KeyLock::new(directory.path(), &key);
        let first = lock.fetch(&Wait::never(), "first").unwrap();
        first.still_ours().unwrap();
        std::fs::remove_file(directory.path().join(format!("{}.fetch", key.digest()))).unwrap();
        let second = lock.fetch(&Wait::never(), "second").unwrap();
        second.still_ours().unwrap();
        assert_eq!(first.still_ours().unwrap_err().kind(), Kind::Stale);
    }
}
