//! The only place that takes file locks (flock(2), through `std::fs::File`).
//!
//! What is known about flock and kept here: the lock belongs to the open file, so it is released by
//! unlocking, not by closing alone (a child forked at that moment still has the file open); a shared
//! lock is never upgraded (a failed upgrade loses it); a blocking lock would ignore bounds, so every
//! wait polls; and a lock is on an inode, so whoever cares that the *name* is locked compares the two
//! ([`Locked::is_at`]). A file that is locked by name is never unlinked.
//!
//! May call nothing but `error`. Fails with [`Kind::Busy`] at the bound, [`Kind::Interrupted`] when
//! the caller gave up, and with the error of the operating system; it never proceeds unlocked.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::error::{Error, Kind, Result};

const FIRST_POLL: Duration = Duration::from_millis(1);
/// At first, when what is waited for may be a commit that is over in a moment.
const SHORT_POLL: Duration = Duration::from_millis(8);
/// Later, when it is a fetch that takes its time.
const LONG_POLL: Duration = Duration::from_millis(20);
const AT_FIRST: Duration = Duration::from_secs(10);

/// How a file is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Any number of holders, none of them exclusive.
    Shared,
    /// One holder.
    Exclusive,
}

/// How long somebody is willing to wait, and whether they still are.
#[derive(Clone, Copy)]
pub(super) struct Wait<'a> {
    /// The longest wait.
    pub bound: Duration,
    /// Asked between two polls; `true` ends the wait.
    pub cancelled: &'a dyn Fn() -> bool,
}

impl Wait<'_> {
    /// Not at all: one attempt.
    #[cfg(test)]
    pub fn never() -> Wait<'static> {
        Wait { bound: Duration::ZERO, cancelled: &|| false }
    }

    /// Calls `attempt` until it gives something: `Ok(None)` when the bound is reached.
    pub fn poll<T>(&self, mut attempt: impl FnMut() -> Result<Option<T>>) -> Result<Option<T>> {
        let started = Instant::now();
        let mut pause = FIRST_POLL;
        loop {
            if let Some(value) = attempt()? {
                return Ok(Some(value));
            }
            let waited = started.elapsed();
            if waited >= self.bound {
                return Ok(None);
            }
            if (self.cancelled)() {
                return Err(Error::new(Kind::Interrupted, "wait for a lock", "the caller gave up"));
            }
            std::thread::sleep(pause.min(self.bound - waited));
            pause = (pause * 2).min(if waited < AT_FIRST { SHORT_POLL } else { LONG_POLL });
        }
    }
}

/// A locked file. Unlocked when it is dropped, also by a panic.
#[derive(Debug)]
pub(super) struct Locked {
    file: File,
}

impl Locked {
    /// One attempt to lock an open file; `None` if another holder is in the way. `path` is what the
    /// error names.
    #[allow(clippy::disallowed_methods)] // This is the lock module.
    pub fn attempt(file: File, path: &Path, mode: Mode) -> Result<Option<Locked>> {
        loop {
            let outcome = match mode {
                Mode::Shared => file.try_lock_shared(),
                Mode::Exclusive => file.try_lock(),
            };
            match outcome {
                Ok(()) => return Ok(Some(Locked { file })),
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(TryLockError::Error(error)) => return Err(Error::io("lock", path, &error)),
            }
        }
    }

    /// Opens with `open` and locks, again and again until the lock is held and `path` names the file
    /// that was locked; `None` at the bound.
    pub fn acquire(
        path: &Path,
        mode: Mode,
        wait: &Wait<'_>,
        open: impl Fn() -> Result<File>,
    ) -> Result<Option<Locked>> {
        wait.poll(|| match Locked::attempt(open()?, path, mode)? {
            Some(locked) if locked.is_at(path)? => Ok(Some(locked)),
            _ => Ok(None),
        })
    }

    /// Whether `path` names the very file that is locked.
    pub fn is_at(&self, path: &Path) -> Result<bool> {
        let held = self.file.metadata().map_err(|error| Error::io("look at the lock", path, &error))?;
        match std::fs::symlink_metadata(path) {
            Ok(named) => Ok(named.ino() == held.ino() && named.dev() == held.dev()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::io("look at the lock", path, &error)),
        }
    }

    /// The file itself.
    pub fn file(&self) -> &File {
        &self.file
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        if let Err(error) = self.file.unlock() {
            log::warn!("could not unlock a file: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(path: &Path, mode: Mode) -> Option<Locked> {
        let open = || File::options().read(true).write(true).create(true).truncate(false).open(path);
        Locked::acquire(path, mode, &Wait::never(), || Ok(open().unwrap())).unwrap()
    }

    #[test]
    fn one_exclusive_or_many_shared() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let one = at(&path, Mode::Shared).unwrap();
        let two = at(&path, Mode::Shared).unwrap();
        assert!(at(&path, Mode::Exclusive).is_none());
        drop((one, two));
        let exclusive = at(&path, Mode::Exclusive).unwrap();
        assert!(at(&path, Mode::Shared).is_none());
        drop(exclusive);
        assert!(at(&path, Mode::Shared).is_some());
    }

    #[test]
    fn a_lock_whose_name_is_gone_is_not_taken() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let held = at(&path, Mode::Exclusive).unwrap();
        assert!(held.is_at(&path).unwrap());
        std::fs::remove_file(&path).unwrap();
        assert!(!held.is_at(&path).unwrap());
        let second = at(&path, Mode::Exclusive).unwrap();
        assert!(second.is_at(&path).unwrap() && !held.is_at(&path).unwrap());
    }

    #[test]
    fn a_wait_ends_when_the_caller_gives_up() {
        let wait = Wait { bound: Duration::from_secs(3600), cancelled: &|| true };
        let error = wait.poll(|| Ok(None::<()>)).unwrap_err();
        assert_eq!(error.kind(), Kind::Interrupted);
    }
}
