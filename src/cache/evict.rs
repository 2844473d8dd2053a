//! Evict: a whole mirror goes to make room, unless anybody has anything to do with it.
//!
//! Who fetches something of it holds its fetch lock; who reads it pins its generation; what is kept has
//! a note. None of them is waited for. Its generation is claimed, which holds off new pins too, before
//! the pointer is replaced by a tombstone: whoever is just opening it either has its pin, and then it
//! stays, or waits for a moment and finds it absent, and fetches it anew. Nobody ever holds something
//! of which a part is gone.

use std::time::Duration;

use super::Cache;
use super::key_lock::{HeldFetch, KeyLock};
use super::lock::Wait;
use super::publish::read_for_change;
use super::trash::{self, Claim};
use super::usage::{Usage, generation_used};
use crate::error::{Error, Kind, Result};
use crate::fault;
use crate::key::Key;
use crate::source::local;

/// Why something stays that was to go.
#[derive(Clone, Debug)]
pub enum Stays {
    /// Somebody reads it.
    Pinned,
    /// It is kept.
    Kept,
    /// Somebody fetches or changes it; by whose account, if that is known.
    Busy(String),
    /// It was used or changed since it was chosen.
    Used,
    /// Too little would be won.
    Small,
    /// There is no room to write what would remain.
    NoRoom,
    /// It could not be done.
    Failed(Error),
}

impl Cache {
    /// Evicts a mirror as it was surveyed; the bytes that it gave back.
    pub(super) fn evict(&self, usage: &Usage) -> Result<u64, Stays> {
        let Usage { key, mirror, generation, .. } = usage;
        let fetch = self.try_fetch_lock(key)?;
        let what = format!("gc {key}");
        let commit =
            KeyLock::new(self.layout.locks(), key).commit(&self.commit_wait(), &what).map_err(stays)?;
        fault!("gc.locked").map_err(stays)?;
        let state = read_for_change(mirror, key, &commit).map_err(stays)?;
        if state.generation.as_ref() != Some(generation) || generation_used(&usage.directory()) > usage.used {
            return Err(Stays::Used);
        }
        if self.is_kept(key) {
            return Err(Stays::Kept);
        }
        let claimed = match trash::claim(&self.layout, mirror, generation).map_err(stays)? {
            Claim::Pinned => return Err(Stays::Pinned),
            Claim::Absent => return Err(Stays::Used),
            Claim::Claimed(claimed) => claimed,
        };
        fault!("gc.claimed").map_err(stays)?;
        let still_ours = || {
            fetch.still_ours()?;
            commit.still_ours()
        };
        let changed = self.entomb(mirror, state, still_ours).map_err(stays)?;
        fault!("gc.stated").map_err(stays)?;
        let id = claimed.take(&self.layout).map_err(stays)?;
        local::forget(&self.layout.sources(), key);
        drop((commit, fetch));
        fault!("gc.taken").map_err(stays)?;
        changed.wait_until_past();
        Ok(trash::delete(&self.layout, &id).freed)
    }

    /// Whether [`Cache::evict`] would find somebody in its way. Changes nothing.
    pub(super) fn would_evict(&self, usage: &Usage) -> Result<u64, Stays> {
        drop(self.try_fetch_lock(&usage.key)?);
        if self.is_kept(&usage.key) {
            return Err(Stays::Kept);
        }
        let claim = trash::claim(&self.layout, &usage.mirror, &usage.generation).map_err(stays)?;
        let found = match &claim {
            Claim::Claimed(_) => Ok(usage.bytes),
            Claim::Pinned => Err(Stays::Pinned),
            Claim::Absent => Err(Stays::Used),
        };
        drop(claim);
        // Holding it for a moment may have kept a clear from taking it.
        self.sweep(&usage.key);
        found
    }

    /// Whether anything of `key` is kept; a note that cannot be read counts.
    pub(super) fn is_kept(&self, key: &Key) -> bool {
        self.kept_of(key).map_or(true, |kept| !kept.is_empty())
    }

    /// The fetch lock of `key`, if it is free now.
    pub(super) fn try_fetch_lock(&self, key: &Key) -> Result<HeldFetch, Stays> {
        let wait = Wait { bound: Duration::ZERO, cancelled: &|| false };
        KeyLock::new(self.layout.locks(), key).fetch(&wait, &format!("gc {key}")).map_err(stays)
    }
}

/// What a failure means for what was to go.
pub(super) fn stays(error: Error) -> Stays {
    match error.kind() {
        Kind::Busy => Stays::Busy(error.why().to_owned()),
        _ => Stays::Failed(error),
    }
}
