//! Room without being asked: now and then after something came, and when the disk is full.
//!
//! How large the cache is is found out at most once a minute, by one process of all that share it, and
//! at the end of a batch, which may have brought much since the last look: the file `v1/gc` is locked by whoever looks, and modified when somebody has looked. So what this costs
//! does not grow with the number of fetches. Between two looks the cache may become larger than it
//! should; a disk that fills up meanwhile is met by [`Cache::make_room`].

use std::fs::File;
use std::time::{Duration, SystemTime};

use super::Cache;
use super::gc::{Bounds, Collected, Mode, open_collection};
use super::lock::{Locked, Mode as LockMode};
use super::state::State;
use super::usage::{Survey, disk, generation_used, unused_for};
use crate::config::{KeepFree, Quota};
use crate::error::{Error, Result};
use crate::key::Key;

/// How often it is looked whether something has to go.
const INTERVAL: Duration = Duration::from_secs(60);

/// What a fetch that met a full disk is given at least, if there is so much to give.
const LEAST_ROOM: u64 = 64 << 20;

impl Cache {
    /// Makes room if the quota demands it, and nobody has looked within the last minute or is looking
    /// now. Never fails its caller; `None` if there was nothing to do.
    pub fn tend(&self) -> Option<Collected> {
        self.tend_unless(was_looked)
    }

    /// The same although somebody may have looked within the last minute: for the end of a batch.
    pub fn tend_now(&self) -> Option<Collected> {
        self.tend_unless(|_| false)
    }

    fn tend_unless(&self, rests: impl Fn(&File) -> bool) -> Option<Collected> {
        if self.quota == Quota::none() {
            return None;
        }
        match self.look(rests) {
            Ok(collected) => collected,
            Err(error) => {
                log::warn!("the cache was not looked through: {error}");
                None
            }
        }
    }

    fn look(&self, rests: impl Fn(&File) -> bool) -> Result<Option<Collected>> {
        let path = self.layout.collection();
        let failed = |error: std::io::Error| Error::io("open", &path, &error);
        let file = open_collection(&path).map_err(failed)?;
        if rests(&file) {
            return Ok(None);
        }
        let Some(lock) = Locked::attempt(file, &path, LockMode::Exclusive)? else { return Ok(None) };
        if rests(lock.file()) || !lock.is_at(&path)? {
            return Ok(None);
        }
        self.note_collection(lock.file());
        if !self.is_due()? {
            return Ok(None);
        }
        self.collect_alone(Mode::Tending).map(Some)
    }

    /// Notes that it was looked just now.
    pub(super) fn note_collection(&self, file: &File) {
        // A file without content was never noted in: it may have been made just now.
        let noted = file.set_len(1).and_then(|()| file.set_modified(SystemTime::now()));
        if let Err(error) = noted {
            log::debug!("could not note that the cache was looked through: {error}");
        }
    }

    fn is_due(&self) -> Result<bool> {
        let Quota { keep_free, max_age, .. } = &self.quota;
        let (free, disk) = disk(&self.layout)?;
        if free < keep_free.of(disk) {
            return Ok(true);
        }
        // Ages of revisions are looked at when something is collected for another reason.
        if let Some(age) = max_age
            && self.mirrors()?.iter().any(|state| self.unused(state).is_some_and(|unused| unused > *age))
        {
            return Ok(true);
        }
        match self.quota.high() {
            Some(high) => Ok(Survey::of(self)?.bytes > high),
            None => Ok(false),
        }
    }

    fn unused(&self, state: &State) -> Option<Duration> {
        let directory = self.layout.mirror(&state.key().ok()?).join(state.generation.as_ref()?);
        Some(unused_for(generation_used(&directory)))
    }

    /// Gives a fetch of `key` that met a full disk some room: more than it had received by then.
    /// Whether there is any now. Not if the cache has no bounds: then nobody has agreed that anything
    /// goes.
    pub(super) fn make_room(&self, key: &Key, received: u64) -> bool {
        if self.quota.max_size.is_none() && self.quota.keep_free == KeepFree::Nothing {
            return false;
        }
        let made = disk(&self.layout).and_then(|(free, disk)| {
            let more = LEAST_ROOM.max(received.saturating_mul(2)).max(self.quota.keep_free.of(disk));
            self.evict_until(Bounds { bytes: None, free: free.saturating_add(more) }, key)
        });
        match made {
            Ok(freed) => {
                log::info!("the disk of the cache is full: {freed} bytes were given back for {key}");
                freed > 0
            }
            Err(error) => {
                log::warn!("no room could be made for {key}: {error}");
                false
            }
        }
    }
}

/// Whether somebody has looked within the last minute, by this clock.
fn was_looked(file: &File) -> bool {
    let Ok(metadata) = file.metadata() else { return false };
    let age = metadata.modified().map(|modified| modified.elapsed());
    metadata.len() > 0 && matches!(age, Ok(Ok(age)) if age < INTERVAL)
}
