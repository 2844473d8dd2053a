//! The two locks of a key, `v1/locks/<digest>.fetch` and `.commit`.
//!
//! *fetch* is held from "look again" to the end of the commit, through the network: one fetch for all
//! processes. *commit* is held for the few renames that change what is published. Order: serializer,
//! fetch, commit, pin. What publishes asks for [`HeldFetch`] and [`HeldCommit`] as arguments, so it
//! cannot be called without them.
//!
//! Two backends hold them, of which a cache has one for all its life. With the *kernel's* ([`kernel`])
//! the files are permanent and whether somebody holds one is decided by the kernel: a holder that dies
//! is gone at once, one that is stopped keeps its lock. With *leases* ([`super::lease`]) a file is there
//! while somebody holds it: one that dies is taken over after a time, one that is stopped may be, and
//! can then not commit.
//!
//! What a lock says about its holder is for messages alone. Fails with [`Kind::Busy`] at the bound,
//! [`Kind::Interrupted`] when the caller gave up; nothing ever goes on unlocked.

mod kernel;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use self::kernel::KernelLock;
use super::clock::unix_now;
use super::lease::Lease;
use super::lease::lock::{LeaseLock, taken_over};
use super::lease::record::look;
use super::lock::Wait;
use crate::config::locking::Backend;
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

/// The locks of a cache: where they are and what they are.
#[derive(Debug)]
pub(super) struct Locks {
    directory: PathBuf,
    lease: Option<Arc<Lease>>,
}

impl Locks {
    /// Files in `directory`; leases if there is a `lease`, else the kernel's.
    pub fn new(directory: PathBuf, lease: Option<Arc<Lease>>) -> Locks {
        Locks { directory, lease }
    }

    /// Where the files are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

/// The locks of one key.
pub(super) struct KeyLock<'a> {
    locks: &'a Locks,
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
    grip: Grip,
    path: PathBuf,
    // Stands after `grip`, so it is dropped, and logs, when the lock is free again.
    _time: HeldTime,
}

#[derive(Debug)]
enum Grip {
    Kernel(KernelLock),
    Lease(LeaseLock),
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
    /// The locks of `key`.
    pub fn new(locks: &'a Locks, key: &'a Key) -> Self {
        KeyLock { locks, key }
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
        let path = self.locks.directory.join(format!("{}.{}", self.key.digest(), kind.as_str()));
        let holder = holder(kind, self.key, what);
        let grip = match &self.locks.lease {
            None => KernelLock::acquire(&path, wait, &holder)?.map(Grip::Kernel),
            Some(lease) => LeaseLock::acquire(lease, &path, wait, &holder)?.map(Grip::Lease),
        };
        let Some(grip) = grip else { return Err(self.busy(kind, &path)) };
        let time = HeldTime { lock: kind, key: holder.key, what: what.to_owned(), since: Instant::now() };
        Ok(Held { grip, path, _time: time })
    }

    fn busy(&self, kind: LockKind, path: &Path) -> Error {
        let seen = self.locks.lease.as_ref().and_then(|_| look(path).ok().flatten());
        let holder = match self.locks.lease {
            None => File::open(path).ok().and_then(|file| kernel::read_holder(&file)),
            Some(_) => seen.as_ref().and_then(|seen| seen.holder().cloned()),
        };
        let why = holder.map_or_else(|| "another process holds it".to_owned(), |holder| holder.to_string());
        let hint = match &self.locks.lease {
            None => "wait for that process, or end it: its lock is free at that moment".to_owned(),
            Some(lease) => format!(
                "wait for that process, or end it: its lock is free {} s later",
                seen.map_or(lease.times().stale(), |seen| seen.stale(lease.times())).as_secs_f32()
            ),
        };
        let what = format!("wait for the {} lock of {}", kind.as_str(), self.key);
        Error::new(Kind::Busy, what, why).hint(hint)
    }
}

impl Held {
    fn still_ours(&self) -> Result<()> {
        match &self.grip {
            Grip::Lease(lock) if lock.is_ours()? => Ok(()),
            Grip::Lease(_) => Err(taken_over(&self.path)),
            Grip::Kernel(lock) if lock.is_at(&self.path)? => Ok(()),
            Grip::Kernel(_) => {
                let what = format!("commit under the lock {}", self.path.display());
                let why = "its file was removed, so another process may hold a new one";
                Err(Error::new(Kind::Stale, what, why)
                    .hint("try again; lock files are never to be removed by hand"))
            }
        }
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
    /// Fails with [`Kind::Stale`] if somebody else may hold the lock now.
    pub fn still_ours(&self) -> Result<()> {
        self.0.still_ours()
    }
}

impl HeldCommit {
    /// Fails with [`Kind::Stale`] if somebody else may hold the lock now.
    pub fn still_ours(&self) -> Result<()> {
        self.0.still_ours()
    }

    /// Notes in a state that is about to be replaced that this holder does it. Fails with
    /// [`Kind::Stale`] if a later one has done so already.
    pub fn fence(&self, fence: &mut u64) -> Result<()> {
        let Grip::Lease(lock) = &self.0.grip else { return Ok(()) };
        if lock.token() >= *fence {
            *fence = lock.token();
            return Ok(());
        }
        self.still_ours()?;
        // The lock is ours and its count was lost: somebody removed its files by hand. Refused once;
        // whoever tries again is later than what was published.
        lock.lift(*fence);
        let what = format!("commit under the lock {}", self.0.path.display());
        let why = format!("its token {} is lower than {fence}, that of what is published", lock.token());
        Err(Error::new(Kind::Stale, what, why).hint("try again; lock files are never to be removed by hand"))
    }
}

/// This process as the holder of a lock.
fn holder(lock: LockKind, key: &Key, what: &str) -> HolderInfo {
    static SELF: OnceLock<(String, String)> = OnceLock::new();
    let (host, command) = SELF.get_or_init(|| {
        let host = nix::sys::utsname::uname().map(|name| name.nodename().to_string_lossy().into_owned());
        let command = fs::read_to_string("/proc/self/comm").unwrap_or_default();
        (host.unwrap_or_default(), command.trim_end().to_owned())
    });
    HolderInfo {
        lock,
        key: key.to_string(),
        pid: std::process::id(),
        host: host.clone(),
        command: command.clone(),
        what: crate::redact::redact(what),
        since: unix_now(),
    }
}

/// Who holds which lock now. Locks whose file cannot be read are left out; the lease of a dead process
/// counts until it is taken over.
pub(super) fn holders(locks: &Locks) -> Vec<HolderInfo> {
    let mut found = Vec::new();
    for entry in fs::read_dir(&locks.directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_lock = path.extension().is_some_and(|ending| ending == "fetch" || ending == "commit");
        if !is_lock {
            continue;
        }
        found.extend(match locks.lease {
            None => kernel::holder_of(&path),
            Some(_) => look(&path).ok().flatten().and_then(|seen| seen.holder().cloned()),
        });
    }
    found.sort_by(|a, b| (a.since, &a.key).cmp(&(b.since, &b.key)));
    found
}

/// Which backend it is.
impl From<&Locks> for Backend {
    fn from(locks: &Locks) -> Backend {
        if locks.lease.is_some() { Backend::Lease } else { Backend::Kernel }
    }
}
