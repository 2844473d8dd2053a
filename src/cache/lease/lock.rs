//! One lock as a file: taking it, waiting for it, taking it over, giving it back.
//!
//! Beside `<lock>` there may be `<lock>.last`, the record of the last holder, which stays: it keeps the
//! token. A new holder writes `<lock>.<owner>.new` with the next token, links it to `<lock>`, and then
//! renames it to `.last`. It holds the lock when that is done and not before. Who takes over one that
//! stopped on the way removes its `.new` first, so that it cannot set `.last` back later: of those who
//! ever held the lock, each has a higher token than all before.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

use super::moving::{NEW, Taken, beside, place, take_away};
use super::pulse::Beating;
use super::record::{Record, Seen, amend, look};
use super::{Held, Lease};
use crate::cache::clock::steady;
use crate::cache::key_lock::HolderInfo;
use crate::cache::lock::Wait;
use crate::config::locking::LeaseTimes;
use crate::error::{Error, Kind, Result};
use crate::fault;

/// The end of the name of the record that keeps the token.
pub(super) const LAST: &str = "last";

/// A lease lock, held until it is dropped or somebody takes it over.
#[derive(Debug)]
pub(in crate::cache) struct LeaseLock {
    path: PathBuf,
    owner: String,
    token: u64,
    // Dropped first of all, so that nothing beats any more when the file goes.
    beating: Option<Beating>,
    held: Held,
}

/// What a waiter has seen, and for how long.
struct Watched {
    seen: Seen,
    unchanged: Duration,
    looked: Duration,
}

impl LeaseLock {
    /// Takes the lock at `path`, over if its holder gives no sign of life; `None` at the bound.
    pub fn acquire(
        lease: &Lease,
        path: &Path,
        wait: &Wait<'_>,
        holder: &HolderInfo,
    ) -> Result<Option<LeaseLock>> {
        let failed = |error: io::Error| Error::io("take the lock", path, &error);
        let mut watched: Option<Watched> = None;
        wait.poll(|| {
            if let Some(seen) = look(path).map_err(failed)? {
                if !is_stale(lease, &mut watched, seen) {
                    return Ok(None);
                }
                if let Some(Watched { seen, .. }) = watched.take()
                    && !break_lock(lease, path, &seen).map_err(failed)?
                {
                    return Ok(None);
                }
            }
            LeaseLock::create(lease, path, holder)
        })
    }

    /// Takes the lock if nobody has it.
    fn create(lease: &Lease, path: &Path, holder: &HolderInfo) -> Result<Option<LeaseLock>> {
        let failed = |error: io::Error| Error::io("take the lock", path, &error);
        let owner = lease.new_owner();
        let last = beside(path, LAST);
        let known = || last_token(&last).map_err(failed);
        let mut record = Record::new(&owner, known()? + 1, lease.times(), Some(holder.clone()));
        let content = record.encode();
        let new = NewFile::write(beside(path, &format!("{owner}{NEW}")), &content).map_err(failed)?;
        fault!("lease.written")?;
        if !place(&new.0, path, &content).map_err(failed)? {
            return Ok(None);
        }
        // From here on dropping it gives it back.
        let held = Arc::clone(&lease.held);
        held.lock().unwrap_or_else(PoisonError::into_inner).insert(owner.clone(), path.to_owned());
        let mut lock = LeaseLock { path: path.to_owned(), owner, token: record.token, beating: None, held };
        fault!("lease.linked")?;
        let newer = known()?;
        if newer >= record.token {
            // Somebody came and went since the token was read. Nobody does while the file is there.
            record.token = newer + 1;
            let amended = amend(path, &lock.owner, |now| now.token = record.token).map_err(failed)?;
            if !amended {
                return Ok(None);
            }
            // Never made anew: who took the lock over meanwhile has removed it for good.
            let written = File::options().write(true).truncate(true).open(&new.0);
            match written.and_then(|mut file| file.write_all(&record.encode())) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                written => written.map_err(failed)?,
            }
            lock.token = record.token;
        }
        fault!("lease.counted")?;
        match keep(&new.0, &last) {
            // Taken over already.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            kept => kept.map_err(failed)?,
        }
        let (file, owner) = (lock.path.clone(), lock.owner.clone());
        lock.beating = Some(lease.pulse().beat(move || beat(&file, &owner))?);
        Ok(Some(lock))
    }

    /// Higher than that of every holder before.
    pub fn token(&self) -> u64 {
        self.token
    }

    /// Whether nobody has taken it over.
    pub fn is_ours(&self) -> Result<bool> {
        let seen = look(&self.path).map_err(|error| Error::io("look at the lock", &self.path, &error))?;
        Ok(seen.is_some_and(|seen| seen.is_of(&self.owner)))
    }

    /// Lets the tokens of all holders after this one be higher than `token`.
    pub fn lift(&self, token: u64) {
        let record = Record::new(&self.owner, token, LeaseTimes::default(), None);
        let new = NewFile::write(beside(&self.path, &format!("{}{NEW}", self.owner)), &record.encode());
        let lifted = new.and_then(|new| fs::rename(&new.0, beside(&self.path, LAST)));
        if let Err(error) = lifted {
            log::warn!("could not lift the token of {}: {error}", self.path.display());
        }
    }
}

impl Drop for LeaseLock {
    fn drop(&mut self) {
        drop(self.beating.take());
        // Nothing panics while this is locked.
        self.held.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.owner);
        release(&self.path, &self.owner);
    }
}

/// Gives the lock at `path` back, if it is still that of `owner`; otherwise nothing is touched.
pub(super) fn release(path: &Path, owner: &str) {
    match try_release(path, owner) {
        Ok(Taken::Gone) => {}
        Ok(_) => log::warn!("the lock {} was taken over before it was given back", path.display()),
        Err(error) => log::warn!("could not give back {}: {error}", path.display()),
    }
}

fn try_release(path: &Path, owner: &str) -> io::Result<Taken> {
    match look(path)? {
        None => return Ok(Taken::Absent),
        Some(seen) if !seen.is_of(owner) => return Ok(Taken::Replaced),
        Some(_) => {}
    }
    let _ = fault!("lease.releasing");
    take_away(path, owner, |seen| seen.is_of(owner))
}

/// A file that is being made; removed when it is dropped, unless it has another name by then.
struct NewFile(PathBuf);

impl NewFile {
    fn write(path: PathBuf, content: &[u8]) -> io::Result<NewFile> {
        let mut file = File::create_new(&path)?;
        let new = NewFile(path);
        file.write_all(content)?;
        Ok(new)
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Makes `new` the `last` record. Where the kernel can, the two change names, and the older one is then
/// removed: a local disk forces a file out that replaces another by rename, which takes ten times as
/// long as everything else here.
fn keep(new: &Path, last: &Path) -> io::Result<()> {
    match renameat2(AT_FDCWD, new, AT_FDCWD, last, RenameFlags::RENAME_EXCHANGE) {
        Ok(()) => Ok(()),
        // There is no last one yet, or no such call on this file system, or `new` is gone.
        Err(_) => fs::rename(new, last),
    }
}

fn last_token(last: &Path) -> io::Result<u64> {
    Ok(look(last)?.and_then(|seen| seen.record).map_or(0, |record| record.token))
}

fn beat(path: &Path, owner: &str) {
    match amend(path, owner, |record| record.beat += 1) {
        Ok(true) => {}
        // Perhaps it is being looked at, and will be put back.
        Ok(false) => log::debug!("{} is not ours at this moment", path.display()),
        Err(error) => log::warn!("no heartbeat of {}: {error}", path.display()),
    }
}

/// Whether what lies there has been seen unchanged for long enough.
fn is_stale(lease: &Lease, watched: &mut Option<Watched>, seen: Seen) -> bool {
    let now = steady();
    match watched {
        Some(before) if before.seen.is_same(&seen) => {
            let since = now.saturating_sub(before.looked);
            before.unchanged += since.min(lease.times().heartbeat());
            before.looked = now;
            before.unchanged >= before.seen.stale(lease.times())
        }
        _ => {
            *watched = Some(Watched { seen, unchanged: Duration::ZERO, looked: now });
            false
        }
    }
}

/// Takes a lock away from a holder that is thought dead; whether the lock is free now.
pub(super) fn break_lock(lease: &Lease, path: &Path, meant: &Seen) -> io::Result<bool> {
    match look(path)? {
        None => return Ok(true),
        Some(now) if !now.is_same(meant) => return Ok(false),
        Some(_) => {}
    }
    let _ = fault!("lease.breaking");
    if let Some(record) = &meant.record {
        match fs::remove_file(beside(path, &format!("{}{NEW}", record.owner))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    let taken = take_away(path, &lease.new_owner(), |seen| seen.is_same(meant))?;
    if taken == Taken::Gone {
        let who = meant.holder().map_or_else(|| "an unknown holder".to_owned(), ToString::to_string);
        log::info!("took over the lock {}, which gave no sign of life: {who}", path.display());
    }
    Ok(taken != Taken::Replaced)
}

/// The error of one whose lock was taken over.
pub(in crate::cache) fn taken_over(path: &Path) -> Error {
    let now = look(path).ok().flatten();
    let why = match now.as_ref().map(Seen::holder) {
        Some(Some(holder)) => format!("it was taken over: it is {holder}"),
        Some(None) => "it was taken over".to_owned(),
        None => "it was taken over, or its file was removed".to_owned(),
    };
    Error::new(Kind::Stale, format!("commit under the lock {}", path.display()), why)
        .hint("try again; a holder that is stopped or suspended for long loses its lease")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn a_fresh_owners_lock_in_the_inode_of_a_stale_one_stays() {
        let directory = tempfile::tempdir().unwrap();
        let (path, lease) =
            (directory.path().join("lock"), Lease::new(directory.path(), LeaseTimes::default()));
        let record = |owner: &str| Record::new(owner, 1, LeaseTimes::default(), None).encode();
        fs::write(&path, record("aa-0")).unwrap();
        let inode = fs::metadata(&path).unwrap().ino();
        let stale = look(&path).unwrap().unwrap();
        // As a file system does that uses an inode number again.
        fs::write(&path, record("bb-0")).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
        assert!(!break_lock(&lease, &path, &stale).unwrap());
        // Also if it came only after the last look.
        assert_eq!(take_away(&path, "cc-0", |seen| seen.is_same(&stale)).unwrap(), Taken::Replaced);
        assert_eq!(fs::read(&path).unwrap(), record("bb-0"));
        assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
        // The one that was looked at goes.
        let seen = look(&path).unwrap().unwrap();
        assert!(break_lock(&lease, &path, &seen).unwrap() && !path.exists());
    }
}
