//! Clear: a mirror's pointer goes at once, its bytes as soon as nobody uses them.
//!
//! Under the commit lock only the pointer is replaced by a tombstone. It waits for no reader and no
//! fetch: pinned generations stay for those who read them, and a fetch that is under way becomes the
//! first snapshot of the next generation.
//!
//! What its source remembers of it, names of files, goes with it.
//!
//! A generation that turned out to be corrupt goes the same way ([`Cache::quarantine`]).

use std::fs;
use std::path::Path;

use super::Cache;
use super::clock::Changed;
use super::durable::{self, sync_directory};
use super::key_lock::KeyLock;
use super::prepare::{create_directory, mark_corrupt};
use super::publish::read_for_change;
use super::snapshot::Snapshot;
use super::state::{State, is_generation};
use super::trash::{self, Discarded};
use crate::error::{Error, Kind, Result};
use crate::fault;
use crate::key::Key;
use crate::source::local;

/// What a clear did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cleared {
    /// Bytes given back to the disk.
    pub freed: u64,
    /// Bytes that go when the last reader of them is gone.
    pub pending: u64,
    /// The generation that was published until now, if there was one.
    pub generation: Option<String>,
}

impl Cache {
    /// Makes `key` absent: who looks it up from now on materializes it afresh, who reads it goes on.
    /// Returns in a later clock tick than the change is dated.
    pub fn clear(&self, key: &Key) -> Result<Cleared> {
        let mirror = self.layout.mirror(key);
        self.forget(key);
        if !mirror.is_dir() {
            // A tombstone of what never was: other processes may remember what the upstream answered, and
            // one that fetches it for the first time may have asked before this call.
            create_directory(&mirror)?;
            // Here, because nobody does it under the commit lock where something is published already.
            sync_directory(mirror.parent().unwrap_or(&mirror))?;
        }
        let (generation, changed) = self.bury(key, None, &format!("clear {key}"))?;
        fault!("clear.released")?;
        local::forget(&self.layout.sources(), key);
        if let Some(changed) = changed {
            changed.wait_until_past();
        }
        Ok(Cleared { generation, ..self.sweep(key) })
    }

    /// Takes the generation of a snapshot out of use, in which a read found bytes that are not what
    /// their id says. Who reads it goes on; the next who asks fetches it again.
    pub fn distrust(&self, snapshot: &Snapshot, found: &Error) -> Result<()> {
        self.quarantine(snapshot.key(), snapshot.generation(), found)
    }

    /// Takes a generation that was found corrupt out of use. The next who asks fetches it again.
    pub(super) fn quarantine(&self, key: &Key, generation: &str, found: &Error) -> Result<()> {
        log::error!("{found}; {key} is taken out of use and fetched again");
        mark_corrupt(&self.layout.mirror(key).join(generation));
        fault!("quarantine.marked")?;
        self.bury(key, Some(generation), &format!("quarantine {key}"))?;
        fault!("quarantine.buried")?;
        self.sweep(key);
        Ok(())
    }

    /// Replaces the pointer by a tombstone; if `only` is given, only while it names that generation.
    fn bury(&self, key: &Key, only: Option<&str>, what: &str) -> Result<(Option<String>, Option<Changed>)> {
        let mirror = self.layout.mirror(key);
        let commit = KeyLock::new(self.layout.locks(), key).commit(&self.commit_wait(), what)?;
        fault!("clear.locked")?;
        let mut state = read_for_change(&mirror, key, &commit)?;
        if only.is_some() && state.generation.as_deref() != only {
            return Ok((None, None));
        }
        let generation = state.generation.take();
        let changed = self.entomb(&mirror, state, || commit.still_ours())?;
        fault!("clear.stated")?;
        Ok((generation, Some(changed)))
    }

    /// Replaces a state by its tombstone, if `still_ours` says that the locks are held.
    pub(super) fn entomb(
        &self,
        mirror: &Path,
        mut state: State,
        still_ours: impl Fn() -> Result<()>,
    ) -> Result<Changed> {
        let changed = Changed::now();
        state.generation = None;
        state.references.clear();
        state.snapshots.clear();
        state.changed = changed.clone();
        state.cleared = Some(changed.clone());
        match state.write(mirror, &still_ours) {
            // Who clears a full disk must not need space for it, and an empty file needs none. Without
            // a tombstone the change has no date: a daemon takes the moment at which it sees it.
            Err(error) if error.kind() == Kind::Full => {
                match durable::replace(&State::file(mirror), b"", &still_ours) {
                    // Not even room for a name. Nobody takes over a lock of the kernel, so it is enough
                    // to look at it first.
                    Err(error) if error.kind() == Kind::Full && self.layout.lease().is_none() => {
                        let file = State::file(mirror);
                        still_ours()?;
                        fs::remove_file(&file).map_err(|error| Error::io("remove", &file, &error))?;
                    }
                    written => written?,
                }
            }
            written => written?,
        }
        Ok(changed)
    }

    /// Takes away all generations of `key` that nobody needs.
    pub fn sweep(&self, key: &Key) -> Cleared {
        let mirror = self.layout.mirror(key);
        let mut cleared = Cleared::default();
        for entry in fs::read_dir(&mirror).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Some(generation) = name.to_str().filter(|name| is_generation(name)) else { continue };
            match trash::discard(&self.layout, &mirror, generation) {
                Ok(Discarded::Trashed(id)) => cleared.freed += trash::delete(&self.layout, &id).freed,
                Ok(Discarded::Pinned(bytes)) => cleared.pending += bytes,
                Ok(Discarded::Named | Discarded::Absent) => {}
                Err(error) => log::warn!("left for a later reap: {error}"),
            }
        }
        cleared
    }
}
