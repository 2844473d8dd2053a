//! Reap: what a process that died, or one that could not take it away, left behind.
//!
//! Orphaned staging, generations that no state names and nobody pins, files that were being written,
//! and the trash. Any number of processes may reap at once, beside all other work. It skips symbolic links among the mirrors,
//! removes those planted in staging and trash themselves, and never fails its caller.

use std::fs;
use std::path::PathBuf;

use super::Cache;
use super::durable;
use super::failures;
use super::staging;
use super::state::is_generation;
use super::trash::{self, Discarded};
use crate::fault;

/// What a reap found and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reaped {
    /// Staging directories and leases of nobody.
    pub staging: u64,
    /// Generations that were taken away.
    pub generations: u64,
    /// Old generations that somebody still uses.
    pub pinned: u64,
    /// Files that somebody was writing when he died.
    pub unfinished: u64,
    /// Bytes given back to the disk.
    pub freed: u64,
    /// Entries that could not be removed; the log says why.
    pub left: u64,
}

impl Cache {
    /// Removes what belongs to nobody.
    pub fn reap(&self) -> Reaped {
        let mut reaped = Reaped::default();
        let unfinished = self.unfinished();
        reaped.unfinished = match self.layout.lease() {
            None => durable::reap(&unfinished),
            Some(lease) => lease.reap(self.layout.locks().directory(), &unfinished),
        };
        let (staging, removed) = staging::reap(&self.layout);
        reaped.staging = staging;
        for mirror in self.mirror_directories() {
            for entry in fs::read_dir(&mirror).into_iter().flatten().flatten() {
                let name = entry.file_name();
                let Some(generation) = name.to_str().filter(|name| is_generation(name)) else { continue };
                match trash::discard(&self.layout, &mirror, generation) {
                    Ok(Discarded::Trashed(_)) => reaped.generations += 1,
                    Ok(Discarded::Pinned(_)) => reaped.pinned += 1,
                    Ok(Discarded::Named) => {
                        if let Some(lease) = self.layout.lease() {
                            lease.tidy_pins(&mirror.join(generation));
                        }
                    }
                    Ok(Discarded::Absent) => {}
                    Err(error) => log::warn!("not reaped: {error}"),
                }
            }
        }
        let emptied =
            if fault!("reap.moved").is_ok() { trash::empty(&self.layout) } else { Default::default() };
        failures::forget_old(&self.layout.failures());
        let total = removed.and(emptied);
        reaped.freed = total.freed;
        reaped.left = total.left;
        if reaped != Reaped::default() {
            log::debug!("reaped {reaped:?}");
        }
        reaped
    }

    /// The files that are being written, or were when their writer died.
    fn unfinished(&self) -> Vec<PathBuf> {
        let mut directories = self.layout.written();
        for mirror in self.mirror_directories() {
            let entries = fs::read_dir(&mirror).into_iter().flatten().flatten();
            let is_generation = |entry: &fs::DirEntry| entry.file_name().to_str().is_some_and(is_generation);
            directories.extend(entries.filter(is_generation).map(|entry| entry.path()));
            directories.push(mirror);
        }
        directories.iter().flat_map(|directory| durable::unfinished(directory)).collect()
    }

    /// The directories of all mirrors; links are not mirrors.
    pub(super) fn mirror_directories(&self) -> Vec<PathBuf> {
        let directories = |parent: PathBuf| {
            let entries = fs::read_dir(parent).into_iter().flatten().flatten();
            let real = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
            real.map(|entry| entry.path()).collect::<Vec<_>>()
        };
        directories(self.layout.mirrors()).into_iter().flat_map(directories).collect()
    }
}
