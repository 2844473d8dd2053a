//! Signs of life: a file `v1/alive/<owner>` for each process that has pins or stages something.
//!
//! What a process holds for long (pins, staging) counts for as long as it lives. It shows that by
//! counting up in its file; who doubts it looks for `pin_stale` ([`super::observation`]). Who believes
//! it dead removes that file first, and only then what it held: so one that was only suspended learns
//! it at its next heartbeat, begins a new life under another name, and asks for its pins again.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::Lease;
use super::moving::{Taken, take_away};
use super::pulse::Beating;
use super::record::{Record, Seen, amend, look};
use crate::cache::layout::random_id;
use crate::config::locking::LeaseTimes;
use crate::error::{Error, Result};

/// One life of this process.
#[derive(Debug)]
pub(in crate::cache) struct Life {
    owner: String,
    path: PathBuf,
    lost: Arc<AtomicBool>,
    _beating: Beating,
}

impl Life {
    /// Its name: 32 hexadecimal digits.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// Whether others took this process for dead: what it held in this life counts no more.
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                log::debug!("{} stays until it is stale: {error}", self.path.display());
            }
            _ => {}
        }
    }
}

impl Lease {
    /// The present life of this process on this cache; it begins with the first call.
    pub fn life(&self) -> Result<Arc<Life>> {
        // Nothing panics while this is locked.
        let mut current = self.life.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(life) = current.as_ref().filter(|life| !life.is_lost()) {
            return Ok(Arc::clone(life));
        }
        let owner = random_id();
        let path = self.alive.join(&owner);
        let record = Record::new(&owner, 0, self.times, None);
        File::create_new(&path)
            .and_then(|mut file| file.write_all(&record.encode()))
            .map_err(|error| Error::io("give a sign of life in", &path, &error))?;
        let lost = Arc::new(AtomicBool::new(false));
        let beating = {
            let (path, owner, lost) = (path.clone(), owner.clone(), Arc::clone(&lost));
            self.pulse.beat(move || match amend(&path, &owner, |record| record.beat += 1) {
                Ok(true) => {}
                Ok(false) => {
                    if !lost.swap(true, Ordering::Relaxed) {
                        log::warn!("others took this process for dead: {} is gone", path.display());
                    }
                }
                Err(error) => log::warn!("no sign of life in {}: {error}", path.display()),
            })?
        };
        let life = Arc::new(Life { owner, path, lost, _beating: beating });
        *current = Some(Arc::clone(&life));
        Ok(life)
    }

    /// Ends the present life: nothing that was held in it counts any more.
    pub(super) fn end_life(&self) {
        let life = self.life.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(life) = life {
            life.lost.store(true, Ordering::Relaxed);
            let _ = fs::remove_file(&life.path);
        }
    }

    /// Whether `owner` is the present life of this process on this cache.
    pub fn is_own(&self, owner: &str) -> bool {
        let own = self.life.lock().unwrap_or_else(PoisonError::into_inner);
        own.as_ref().is_some_and(|life| life.owner == owner && !life.is_lost())
    }

    /// Whether `owner` is gone, or has given no sign of life for the time `counts` as far as this host
    /// knows.
    pub(super) fn is_silent(&self, owner: &str, counts: impl Fn(&Seen, LeaseTimes) -> Duration) -> bool {
        if self.is_own(owner) {
            return false;
        }
        match look(&self.alive.join(owner)) {
            Ok(None) => true,
            Ok(Some(seen)) => {
                self.observations.unchanged_for(owner, &seen.content) >= counts(&seen, self.times)
            }
            Err(error) => {
                log::debug!("whether {owner} lives is not known: {error}");
                false
            }
        }
    }

    /// Whether what `owner` holds counts no more. If it has just been silent for too long, that is made
    /// known to it before this answers.
    pub fn is_dead(&self, owner: &str) -> bool {
        if !self.is_silent(owner, Seen::pin_stale) {
            return false;
        }
        let path = self.alive.join(owner);
        let meant = match look(&path) {
            Ok(Some(meant)) => meant,
            Ok(None) => return true,
            // Whether it lives is not known, and it could not be told that it counts as dead.
            Err(error) => {
                log::debug!("whether {owner} lives is not known: {error}");
                return false;
            }
        };
        // It may have given a sign since: only the silent record goes.
        let counts = meant.pin_stale(self.times);
        if self.observations.unchanged_for(owner, &meant.content) < counts {
            return false;
        }
        match take_away(&path, &self.new_owner(), |seen| seen.is_same(&meant)) {
            Ok(Taken::Gone) => {
                log::info!("{owner} gave no sign of life for {:?}: its pins count no more", counts);
                true
            }
            Ok(Taken::Absent) => true,
            Ok(Taken::Replaced) => false,
            Err(error) => {
                log::warn!("left for a later reap: {error}");
                false
            }
        }
    }
}
