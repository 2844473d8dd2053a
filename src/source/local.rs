//! Source trees from directories of this machine.
//!
//! | file | what it knows |
//! |---|---|
//! | `borders` | what is never entered: mounts, and the cache |
//! | `listing` | which files are shown |
//! | `beneath` | how they are opened, without being led elsewhere |
//! | `scan`, `reading` | what they hold now |
//! | `stats` | which of them need not be read again |
//! | `tree` | the git trees that they make |
//!
//! The revision of a directory is the id of its tree, so two states of equal content are one. Resolving
//! looks at every file and reads those that are not known to be unchanged; preparing writes what the
//! lender lacks into a pack. A directory changes under our hands: a file that changes while it is read is
//! read again; if something changed between resolving and preparing, what was prepared is what is
//! published; and if something changed between preparing and the commit, it is prepared again, a few
//! times. There is no state of all files at one moment to be had from a file system: what is shown is one
//! in which each file is whole.
//!
//! Asks no server and runs no program but `git ls-files` and `git check-ignore`. Fails with `NotFound` if
//! the directory is gone, `Denied` naming what may not be read, `TooLarge`, `Stale` naming what does not
//! hold still, and `Invalid` for what is no directory of source: see the rooms.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::git::Git;
use super::{Prepared, Progress, Resolved, Revision, Source, Workplace};
use crate::error::{Error, Kind, Result};
use crate::key::{Directory, Key, Origin, Reference};
use crate::store::{PackWriter, tree_id};

mod beneath;
mod borders;
mod listing;
mod reading;
mod scan;
mod stats;
mod tree;

use beneath::Root;
use borders::Borders;
use listing::Listing;
use scan::Scan;
use stats::{Stat, Stats};

/// How many files are looked at again under the commit lock: a lookup takes about a microsecond.
const MOST_LOOKED_AT: usize = 2_000;
/// How often in a row it is prepared again because a file changed before the commit. After that it has to
/// do: each file is whole, and where something always changes nothing is ever the last state.
const MOST_REFUSED: u32 = 3;

/// Source trees from directories.
pub struct Local {
    git: Git,
    /// The cache, without links: never entered.
    cache: PathBuf,
    /// Where it is remembered which files are unchanged.
    memory: PathBuf,
    /// What was prepared last of each, for the look at it under the commit lock.
    last: Mutex<HashMap<Key, Last>>,
}

/// What was prepared.
struct Last {
    /// None if there is too much of it to be looked at again.
    scan: Option<Scan>,
    /// How often in a row it was not the last state.
    refused: u32,
}

impl Local {
    /// Lists work trees by `git`, and remembers what was read in the directory `memory`, which is made
    /// when it is needed. Nothing of the directory `cache` is ever shown.
    pub fn new(git: Git, cache: &Path, memory: PathBuf) -> Self {
        Local { git, cache: without_links(cache), memory, last: Mutex::default() }
    }

    /// Lists the directory, and loads what is remembered of it meanwhile.
    fn look(&self, key: &Key, progress: &Progress) -> Result<(Root, Listing, Stats)> {
        let directory = directory_of(key)?;
        std::thread::scope(|scope| {
            let load = || Stats::load(&stats::place(&self.memory, &key.digest()));
            let remembered = std::thread::Builder::new().spawn_scoped(scope, load);
            let (root, listing) = self.list(directory, progress)?;
            let remembered = match remembered {
                // A panic there is none of ours, but what it would have found can be read again.
                Ok(loading) => loading.join().unwrap_or_default(),
                Err(_) => load(),
            };
            Ok((root, listing, remembered))
        })
    }

    /// Opens the directory and lists it.
    fn list(&self, directory: &Directory, progress: &Progress) -> Result<(Root, Listing)> {
        // By its name before anything of it is touched, then by where that leads.
        Borders::of(directory.path(), &self.cache)?;
        let root = Root::open(directory.path()).map_err(gone)?;
        let borders = Borders::of(root.path(), &self.cache)?;
        let listing = listing::of(directory, &root, &borders, &self.git, progress)?;
        Ok((root, listing))
    }

    /// Remembers what a scan found, if that is not what is remembered already.
    fn remember(&self, key: &Key, scan: &Scan, stats: &Stats) {
        if scan.read == 0 && scan.known == stats.len() {
            return;
        }
        let place = stats::place(&self.memory, &key.digest());
        if stats.were_forgotten(&place) {
            return;
        }
        let made = fs::create_dir_all(&self.memory).map_err(|error| Error::io("make", &self.memory, &error));
        if let Err(error) = made.and_then(|()| stats::save(&place, scan.began, scan.files())) {
            // The next look reads more than it need.
            log::warn!("{error}");
        }
    }

    fn last(&self) -> MutexGuard<'_, HashMap<Key, Last>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for Local {
    fn resolve(&self, key: &Key, _: &Reference, _: &[Revision], progress: &Progress) -> Result<Resolved> {
        let (root, listing, stats) = self.look(key, progress)?;
        let is_known = |path: &Path, stat: &Stat| stats.unchanged(path, stat);
        let scan = Scan::of(&root, listing, &is_known, &mut reading::hash, progress)?;
        self.remember(key, &scan, &stats);
        let tree = scan.tree().each(&mut tree_id)?;
        Ok(Resolved { revision: Revision::new(tree.hex()), full_name: None, moving: true })
    }

    fn prepare(
        &self,
        key: &Key,
        _: &Resolved,
        place: Workplace<'_>,
        progress: &Progress,
    ) -> Result<Prepared> {
        let (root, listing, stats) = self.look(key, progress)?;
        let mut pack = PackWriter::new(place.directory, place.borrow)?;
        let scan = {
            let pack = RefCell::new(&mut pack);
            // What is in the lender is not read again; what is known but not there is.
            let is_known = |path: &Path, stat: &Stat| {
                stats.unchanged(path, stat).filter(|object| pack.borrow().has(object))
            };
            let mut read = |size, reader: &mut dyn std::io::Read| {
                let written = pack.borrow_mut().blob_from(size, reader);
                progress.set(progress.bytes() + size, 0, 0);
                written
            };
            Scan::of(&root, listing, &is_known, &mut read, progress)?
        };
        let tree = scan.tree().each(&mut |entries| pack.tree(entries))?;
        pack.finish()?;
        self.remember(key, &scan, &stats);
        let (modified, transferred) = (scan.modified(), scan.bytes);
        let scan = (scan.entries.len() <= MOST_LOOKED_AT).then_some(scan);
        let mut last = self.last();
        let refused = last.get(key).map_or(0, |last| last.refused);
        last.insert(key.clone(), Last { scan, refused });
        let revision = Revision::new(tree.hex());
        Ok(Prepared { revision, tree: tree.hex(), modified, transferred, stamp: None, about: None })
    }

    /// Whether each file is still what was read, if there are not too many to be looked at under a lock.
    fn unchanged(&self, key: &Key, _: &Prepared) -> Result<bool> {
        let Some(Last { scan, refused }) = self.last().remove(key) else { return Ok(true) };
        let Some(scan) = scan.filter(|_| refused < MOST_REFUSED) else { return Ok(true) };
        let unchanged = Root::open(directory_of(key)?.path()).is_ok_and(|root| scan.is_still_so(&root));
        if !unchanged {
            self.last().insert(key.clone(), Last { scan: None, refused: refused + 1 });
        }
        Ok(unchanged)
    }
}

/// Refuses a directory that can never be shown, because it lies in a mount of srcfs or in the directory
/// `cache` of the cache.
pub fn check_place(directory: &Path, cache: &Path) -> Result<()> {
    Borders::of(directory, &without_links(cache)).map(|_| ())
}

/// Removes what is remembered in the directory `memory` of a key whose mirror is gone.
pub fn forget(memory: &Path, key: &Key) {
    if let Origin::Local(_) = key.origin() {
        stats::forget(memory, &key.digest());
    }
}

/// Removes what is remembered in the directory `memory`, and was not changed for a day, of all but `keys`.
pub fn forget_others<'k>(memory: &Path, keys: impl Iterator<Item = &'k Key>) {
    stats::forget_others(memory, &keys.map(Key::digest).collect());
}

fn without_links(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// The directory of a key that the caller has chosen this source for.
fn directory_of(key: &Key) -> Result<&Directory> {
    match key.origin() {
        Origin::Local(directory) => Ok(directory),
        _ => Err(Error::new(Kind::Unsupported, format!("read {key}"), "it is no directory")),
    }
}

fn gone(error: Error) -> Error {
    match error.kind() {
        Kind::NotFound => error.hint("make it again, or remove the resource with `srcfs remove`"),
        _ => error,
    }
}
