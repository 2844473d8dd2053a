//! Source trees from directories of this machine.
//!
//! | file | what it knows |
//! |---|---|
//! | `listing` | which files are shown |
//! | `beneath` | how they are opened, without being led elsewhere |
//! | `scan` | what they hold now |
//! | `stats` | which of them need not be read again |
//! | `tree` | the git trees that they make |
//!
//! The revision of a directory is the id of its tree, so two states of equal content are one. Resolving
//! looks at every file and reads those that are not known to be unchanged; preparing writes what the
//! lender lacks into a pack. A directory changes under our hands: a file that changes while it is read is
//! read again, and what changed between resolving and the commit is seen by the stamp, so that it is
//! resolved and prepared again. There is no state of all files at one moment to be had from a file
//! system; what is shown is one in which each file is whole.
//!
//! Asks no server and runs no program but `git ls-files`. Fails with `NotFound` if the directory is gone,
//! `Denied` naming what may not be read, `TooLarge`, `Stale` if it changes faster than it can be read.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::git::Git;
use super::{Prepared, Progress, Resolved, Revision, Source, Workplace};
use crate::error::{Error, Kind, Result};
use crate::key::{Directory, Key, Origin, Reference};
use crate::store::{PackWriter, tree_id};

mod beneath;
mod listing;
mod scan;
mod stats;
mod tree;

use beneath::Root;
use scan::Scan;
use stats::Stats;

/// How many files are looked at again under the commit lock: a lookup takes about a microsecond.
const MOST_LOOKED_AT: usize = 2_000;

/// Source trees from directories.
pub struct Local {
    git: Git,
    /// Where it is remembered which files are unchanged.
    memory: PathBuf,
    /// What was prepared last, for the look at it under the commit lock.
    last: Mutex<Option<(Key, Arc<Scan>)>>,
}

impl Local {
    /// Lists work trees by `git`, and remembers in the directory `memory`, which is made when it is needed,
    /// what was read.
    pub fn new(git: Git, memory: PathBuf) -> Self {
        Local { git, memory, last: Mutex::default() }
    }

    /// Looks at everything; what is not known to be unchanged is given to `read`.
    fn scan(
        &self,
        key: &Key,
        directory: &Directory,
        root: &Root,
        read: scan::Reading<'_>,
        progress: &Progress,
    ) -> Result<Scan> {
        let listing = listing::of(directory, root, &self.git, progress)?;
        let stats = Stats::load(&stats::place(&self.memory, &key.digest()));
        Scan::of(root, directory.path(), listing, &scan::from(&stats), read, progress).inspect(|scan| {
            if scan.read > 0 || scan.entries.len() < stats.len() {
                self.remember(key, scan);
            }
        })
    }

    fn remember(&self, key: &Key, scan: &Scan) {
        let Some(began) = scan.began else { return };
        let files = scan.entries.iter().filter(|(_, entry)| entry.kind != crate::store::Kind::Symlink);
        let files = files.map(|(path, entry)| (path.as_path(), &entry.stat, &entry.object));
        let place = stats::place(&self.memory, &key.digest());
        let made = fs::create_dir_all(&self.memory).map_err(|error| Error::io("make", &self.memory, &error));
        if let Err(error) = made.and_then(|()| stats::save(&place, began, files)) {
            // The next look reads more than it need.
            log::warn!("{error}");
        }
    }
}

impl Source for Local {
    fn resolve(&self, key: &Key, _: &Reference, _: &[Revision], progress: &Progress) -> Result<Resolved> {
        let directory = directory_of(key)?;
        let root = Root::open(directory.path()).map_err(gone)?;
        let scan =
            self.scan(key, directory, &root, &mut |size, reader| scan::hash(size, reader), progress)?;
        let tree = scan.tree().each(&mut |entries| tree_id(entries))?;
        Ok(Resolved { revision: Revision::new(tree.hex()), full_name: None, moving: true })
    }

    fn prepare(
        &self,
        key: &Key,
        resolved: &Resolved,
        place: Workplace<'_>,
        progress: &Progress,
    ) -> Result<Prepared> {
        let directory = directory_of(key)?;
        let root = Root::open(directory.path()).map_err(gone)?;
        let mut pack = PackWriter::new(place.directory, place.borrow)?;
        // What is in the lender is not read again; what is known but not there is.
        let listing = listing::of(directory, &root, &self.git, progress)?;
        let stats = Stats::load(&stats::place(&self.memory, &key.digest()));
        let scan = {
            let pack = std::cell::RefCell::new(&mut pack);
            let is_known = |path: &Path, stat: &stats::Stat| {
                stats.unchanged(path, stat).filter(|object| pack.borrow().has(object))
            };
            let mut read = |size, reader: &mut dyn std::io::Read| {
                let written = pack.borrow_mut().blob_from(size, reader);
                progress.set(progress.bytes() + size, 0, 0);
                written
            };
            Scan::of(&root, directory.path(), listing, &is_known, &mut read, progress)?
        };
        let tree = scan.tree().each(&mut |entries| pack.tree(entries))?;
        pack.finish()?;
        if scan.read > 0 {
            self.remember(key, &scan);
        }
        let (modified, transferred) = (scan.modified(), scan.bytes);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((key.clone(), Arc::new(scan)));
        Ok(Prepared {
            revision: resolved.revision.clone(),
            tree: tree.hex(),
            modified,
            transferred,
            stamp: Some(tree.hex()),
        })
    }

    /// Whether what was read is what was resolved, and, if there is not too much of it to look at under a
    /// lock, whether it still is.
    fn unchanged(&self, key: &Key, prepared: &Prepared) -> Result<bool> {
        if prepared.stamp.as_deref() != Some(prepared.revision.as_str()) {
            return Ok(false);
        }
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match last {
            Some((of, scan)) if of == *key && scan.entries.len() <= MOST_LOOKED_AT => {
                Ok(Root::open(directory_of(key)?.path()).is_ok_and(|root| scan.is_still_so(&root)))
            }
            _ => Ok(true),
        }
    }
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
