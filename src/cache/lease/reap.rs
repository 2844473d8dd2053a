//! What dead processes left of their leases: signs of life, locks that nobody waits for, files of those
//! who died while they took or gave back a lock, and files that they were writing in the cache.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::Lease;
use super::lock::{LAST, break_lock};
use super::moving::{GONE, NEW};
use super::record::look;
use crate::cache::durable::is_left;

impl Lease {
    /// Removes what belongs to nobody from the directory of locks and from that of signs of life, and of
    /// the files that are being written those whose writer is dead; how many these were. Never fails its
    /// caller.
    pub fn reap(&self, locks: &Path, unfinished: &[PathBuf]) -> u64 {
        let (mut there, mut reaped) = (BTreeSet::new(), 0);
        for path in unfinished {
            let (Some(directory), Some(name)) = (path.parent(), path.file_name().and_then(|n| n.to_str()))
            else {
                continue;
            };
            // The lock of the file tells of writers on this host alone.
            if is_left(path) && self.is_forgotten(directory, name) {
                reaped += 1;
            } else {
                there.insert(name.to_owned());
            }
        }
        for name in names(&self.alive) {
            // What was being taken away when somebody died has no name that is an owner's.
            let gone = name.ends_with(GONE) && self.is_forgotten(&self.alive, &name);
            if !gone && (name.ends_with(GONE) || !self.is_dead(&name)) {
                there.insert(name);
            }
        }
        for name in names(locks).into_iter().filter(|name| !name.ends_with(LAST)) {
            let left = name.ends_with(GONE) || name.ends_with(NEW);
            let gone = if left { self.is_forgotten(locks, &name) } else { self.is_abandoned(locks, &name) };
            if !gone {
                there.insert(name);
            }
        }
        self.observations.forget(|subject| there.contains(subject));
        reaped
    }

    /// Whether a file that somebody made on the way to something is gone, because nothing happened to
    /// it for so long that its maker is dead.
    fn is_forgotten(&self, directory: &Path, name: &str) -> bool {
        let path = directory.join(name);
        let Ok(Some(seen)) = look(&path) else { return true };
        self.observations.unchanged_for(name, &seen.content) >= seen.pin_stale(self.times)
            && fs::remove_file(&path).is_ok()
    }

    /// Whether a lock is free, which nobody may have waited for.
    fn is_abandoned(&self, locks: &Path, name: &str) -> bool {
        let path = locks.join(name);
        let Ok(Some(seen)) = look(&path) else { return true };
        // Those who wait look for themselves; here a reap now and then must not be hasty.
        let limit = seen.stale(self.times) * 2;
        self.observations.unchanged_for(name, &seen.content) >= limit
            && break_lock(self, &path, &seen).unwrap_or(false)
    }
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}
