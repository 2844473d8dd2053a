//! What takes how much space, and when it was last used.
//!
//! A use is noted as the modification time of a generation's pin file, and of the table of the revision
//! that was used: by mounts at most once a minute, by verbs each time. It is a wall clock's time, and
//! orders what goes first; nothing that is in use depends on it.
//!
//! A survey looks at every file of the cache. It is made when something may have to go, and never for
//! each fetch.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Cache;
use super::layout::Layout;
use super::removal;
use super::snapshot::{Snapshot, table_file};
use super::state::State;
use super::trash::PIN;
use crate::error::{Error, Result};
use crate::key::Key;
use crate::source::Revision;

/// One mirror that has something.
pub(super) struct Usage {
    pub key: Key,
    pub mirror: PathBuf,
    pub state: Arc<State>,
    pub generation: String,
    /// Of the living generation, on the disk.
    pub bytes: u64,
    pub used: SystemTime,
}

/// All of a cache.
pub(super) struct Survey {
    /// The least recently used first.
    pub mirrors: Vec<Usage>,
    /// What all generations, also old ones, and what is being prepared take.
    pub bytes: u64,
}

impl Usage {
    /// The directory of the living generation.
    pub fn directory(&self) -> PathBuf {
        self.mirror.join(&self.generation)
    }
}

impl Survey {
    /// Looks at everything.
    pub fn of(cache: &Cache) -> Result<Survey> {
        let mut sizes: HashMap<PathBuf, u64> = HashMap::new();
        for mirror in cache.mirror_directories() {
            let entries = fs::read_dir(&mirror).into_iter().flatten().flatten();
            sizes.extend(entries.map(|entry| (entry.path(), removal::size(&entry.path()))));
        }
        let bytes = sizes.values().sum::<u64>() + removal::size(&cache.layout.staging());
        let mut survey = Survey { mirrors: Vec::new(), bytes };
        for state in cache.mirrors()? {
            let (Ok(key), Some(generation)) = (state.key(), state.generation.clone()) else { continue };
            let mirror = cache.layout.mirror(&key);
            let directory = mirror.join(&generation);
            let bytes = sizes.get(&directory).copied().unwrap_or_default();
            let used = generation_used(&directory);
            survey.mirrors.push(Usage { key, mirror, state, generation, bytes, used });
        }
        survey.mirrors.sort_by_key(|usage| usage.used);
        Ok(survey)
    }
}

/// When something of a generation was last used; the epoch if that is not known.
pub(super) fn generation_used(directory: &Path) -> SystemTime {
    modified(&directory.join(PIN))
}

/// When a revision of a generation was last used; the epoch if that is not known.
pub(super) fn revision_used(directory: &Path, revision: &str) -> SystemTime {
    modified(&table_file(directory, &Revision::new(revision)))
}

fn modified(file: &Path) -> SystemTime {
    fs::metadata(file).and_then(|metadata| metadata.modified()).unwrap_or(UNIX_EPOCH)
}

/// For how long something was not used. What was used in the future was used just now.
pub(super) fn unused_for(used: SystemTime) -> Duration {
    used.elapsed().unwrap_or_default()
}

/// Notes when `to` was last used: as `from` was.
pub(super) fn copy_use(from: &Path, to: &Path) -> Result<()> {
    set_used(to, modified(from)).map_err(|error| Error::io("note the use of", to, &error))
}

fn set_used(file: &Path, time: SystemTime) -> std::io::Result<()> {
    File::open(file)?.set_modified(time)
}

/// The bytes of the disk that a cache lies on: those that are free for us, and all.
pub(super) fn disk(layout: &Layout) -> Result<(u64, u64)> {
    let root = layout.root();
    let disk = nix::sys::statvfs::statvfs(root)
        .map_err(|error| Error::io("look at the disk of", root, &std::io::Error::from(error)))?;
    let unit = disk.fragment_size();
    Ok((disk.blocks_available().saturating_mul(unit), disk.blocks().saturating_mul(unit)))
}

impl Cache {
    /// Notes that `revision` of `key` is in use.
    pub fn touch(&self, key: &Key, revision: &str) {
        let generation = self.state(key).ok().flatten().and_then(|state| {
            let known = state.snapshots.contains_key(revision);
            state.generation.clone().filter(|_| known)
        });
        if let Some(generation) = generation {
            note_use(key, &self.layout.mirror(key).join(generation), revision);
        }
    }

    /// Notes that what is opened is in use.
    pub fn touch_opened(&self, snapshot: &Snapshot) {
        note_use(snapshot.key(), snapshot.directory(), snapshot.revision().as_str());
    }

    /// When `key` was last used, as far as noted; `None` if it is not cached.
    pub fn last_used(&self, key: &Key) -> Option<SystemTime> {
        let generation = self.state(key).ok()??.generation.clone()?;
        let pin = self.layout.mirror(key).join(generation).join(PIN);
        fs::metadata(pin).ok()?.modified().ok()
    }

    /// The bytes that it takes on the disk, by which its quota is measured. Looks at every file.
    pub fn bytes_on_disk(&self) -> Result<u64> {
        Ok(Survey::of(self)?.bytes)
    }

    /// What must stay free on the disk of the cache by its quota, and what is free.
    pub fn free_space(&self) -> Result<(u64, u64)> {
        let (free, disk) = disk(&self.layout)?;
        Ok((self.quota.keep_free.of(disk), free))
    }
}

fn note_use(key: &Key, directory: &Path, revision: &str) {
    let now = SystemTime::now();
    for file in [directory.join(PIN), table_file(directory, &Revision::new(revision))] {
        if let Err(error) = set_used(&file, now) {
            log::debug!("could not note the use of {key}: {error}");
        }
    }
}
