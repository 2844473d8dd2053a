//! The present state of a directory: each file with the id of its content.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::beneath::{Below, Root};
use super::listing::Listing;
use super::reading::{Found, Known, Named, Reading};
use super::stats::Stat;
use super::tree::Tree;
use crate::error::{Error, Kind, Result};
use crate::source::Progress;
use crate::store::{self, ObjectId};

/// How many unreadable files a message names.
const MOST_NAMED: usize = 10;

/// One file or symbolic link.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) stat: Stat,
    pub(super) kind: store::Kind,
    pub(super) object: ObjectId,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Scan {
    /// In the order of the listing.
    pub(super) entries: Vec<(PathBuf, Entry)>,
    directories: Vec<PathBuf>,
    /// When it began.
    pub(super) began: SystemTime,
    /// How many were known to be unchanged.
    pub(super) known: usize,
    /// How many files had to be read.
    pub(super) read: usize,
    /// Bytes of those.
    pub(super) bytes: u64,
}

impl Scan {
    /// Looks at everything that is listed, and gives to `read` what `is_known` does not answer by its id.
    ///
    /// Fails with [`Kind::Denied`] for what may not be read, and names it; with [`Kind::TooLarge`] for a
    /// file that is larger than any that is shown; with [`Kind::Stale`] for one that does not hold still.
    pub(super) fn of(
        root: &Root,
        listing: Listing,
        is_known: Known<'_>,
        read: Reading<'_>,
        progress: &Progress,
    ) -> Result<Scan> {
        let Listing { files, directories, mut unreadable } = listing;
        let began = SystemTime::now();
        let mut scan = Scan {
            entries: Vec::with_capacity(files.len()),
            directories,
            began,
            known: 0,
            read: 0,
            bytes: 0,
        };
        let mut open = Open::default();
        for path in files {
            if progress.is_cancelled() {
                let what = format!("read {}", root.path().display());
                return Err(Error::new(Kind::Interrupted, what, "nobody waits for it any more"));
            }
            let found = match open.parent_of(&path, root) {
                Ok(Some((directory, name))) => {
                    Named { directory, name, path: &path, root: root.path() }.found(is_known, read)
                }
                Ok(None) => Ok(Found::Nothing),
                Err(error) => Err(error),
            };
            let entry = match found {
                Ok(Found::Nothing) => continue,
                Ok(Found::Known(entry)) => {
                    scan.known += 1;
                    entry
                }
                Ok(Found::Read(entry)) => {
                    scan.read += 1;
                    scan.bytes += entry.stat.size();
                    entry
                }
                Ok(Found::Link(entry)) => entry,
                Err(error) if error.kind() == Kind::Denied => {
                    unreadable.push(path);
                    continue;
                }
                Err(error) => return Err(error),
            };
            scan.entries.push((path, entry));
        }
        match unreadable.is_empty() {
            true => Ok(scan),
            false => Err(denied(root.path(), &unreadable)),
        }
    }

    /// The trees that it makes.
    pub(super) fn tree(&self) -> Tree {
        let mut tree = Tree::default();
        for path in &self.directories {
            tree.add_directory(path);
        }
        for (path, entry) in &self.entries {
            tree.add(path, entry.kind, entry.object);
        }
        tree
    }

    /// When the youngest of its files was modified.
    pub(super) fn modified(&self) -> SystemTime {
        let times = self.entries.iter().map(|(_, entry)| entry.stat.modified());
        times.max().unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// The files, without links.
    pub(super) fn files(&self) -> impl Iterator<Item = (&Path, &Stat, &ObjectId)> {
        let files = self.entries.iter().filter(|(_, entry)| entry.kind != store::Kind::Symlink);
        files.map(|(path, entry)| (path.as_path(), &entry.stat, &entry.object))
    }

    /// Whether all files are what they were; by the words of the system alone.
    pub(super) fn is_still_so(&self, root: &Root) -> bool {
        let mut open = Open::default();
        self.entries.iter().all(|(path, entry)| {
            let Ok(Some((directory, name))) = open.parent_of(path, root) else { return false };
            matches!(directory.look(name), Ok(Some((_, stat))) if Stat::of(&stat) == entry.stat)
        })
    }
}

/// The directory that was opened last: the next file is probably in it, too.
#[derive(Default)]
struct Open(Option<(PathBuf, Option<Below>)>);

impl Open {
    /// The directory that `path` lies in, and its name there; `None` if it is gone.
    fn parent_of<'p>(&mut self, path: &'p Path, root: &Root) -> Result<Option<(&Below, &'p OsStr)>> {
        let (Some(name), Some(parent)) = (path.file_name(), path.parent()) else { return Ok(None) };
        if self.0.as_ref().is_none_or(|(opened, _)| opened.as_os_str() != parent.as_os_str()) {
            self.0 = Some((parent.to_owned(), root.directory(parent)?));
        }
        let below = self.0.as_ref().and_then(|(_, below)| below.as_ref());
        Ok(below.map(|below| (below, name)))
    }
}

fn denied(base: &Path, paths: &[PathBuf]) -> Error {
    let named: Vec<String> = paths.iter().take(MOST_NAMED).map(|path| path.display().to_string()).collect();
    let more = match paths.len().saturating_sub(MOST_NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let why = format!("not readable: {}{more}", named.join(", "));
    Error::new(Kind::Denied, format!("read {}", base.display()), why)
        .hint("make them readable for the user that runs srcfs, or leave them out with `ignore`")
}
