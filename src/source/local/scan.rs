//! The present state of a directory: each file with the id of its content.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::errno::Errno;
use sha1::Digest;

use super::beneath::{Below, Root, Sort, failed};
use super::listing::Listing;
use super::stats::{Stat, Stats};
use super::tree::Tree;
use crate::error::{Error, Kind, Result};
use crate::source::Progress;
use crate::store::{self, LARGEST_BLOB, ObjectId};

/// How many unreadable files a message names.
const MOST_NAMED: usize = 10;
/// How often a file is read again because it changed while it was read.
const TRIES: usize = 5;

/// One file or symbolic link.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) stat: Stat,
    pub(super) kind: store::Kind,
    pub(super) object: ObjectId,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) entries: BTreeMap<PathBuf, Entry>,
    pub(super) directories: Vec<PathBuf>,
    /// When it began.
    pub(super) began: Option<SystemTime>,
    /// Whether something had to be read, because it was not known to be unchanged.
    pub(super) read: usize,
    /// Bytes of that.
    pub(super) bytes: u64,
}

/// What is done with the content of a file that has to be read: its id comes back.
pub(super) type Reading<'r> = &'r mut dyn FnMut(u64, &mut dyn Read) -> Result<ObjectId>;

impl Scan {
    /// Looks at everything that is listed, and gives to `read` what `is_known` does not answer by its id.
    ///
    /// Fails with [`Kind::Denied`] for files that may not be read, and names them; with
    /// [`Kind::TooLarge`] for one that is larger than any that is shown.
    pub(super) fn of(
        root: &Root,
        base: &Path,
        listing: Listing,
        is_known: &dyn Fn(&Path, &Stat) -> Option<ObjectId>,
        read: Reading<'_>,
        progress: &Progress,
    ) -> Result<Scan> {
        let mut scan = Scan { began: Some(SystemTime::now()), ..Scan::default() };
        let mut unreadable = Vec::new();
        let mut open: Option<(PathBuf, Option<Below>)> = None;
        for path in listing.files {
            if progress.is_cancelled() {
                let what = format!("read {}", base.display());
                return Err(Error::new(Kind::Interrupted, what, "nobody waits for it any more"));
            }
            let (Some(name), parent) = (path.file_name(), path.parent().unwrap_or(Path::new(""))) else {
                continue;
            };
            if open.as_ref().is_none_or(|(opened, _)| opened != parent) {
                let below = match root.directory(parent) {
                    Err(error) if error.kind() == Kind::Denied => {
                        unreadable.push(parent.to_owned());
                        None
                    }
                    below => below?,
                };
                open = Some((parent.to_owned(), below));
            }
            let Some((_, Some(directory))) = &open else { continue };
            let entry = Opened { directory, name, path: &path, base };
            match entry.look(is_known, read, &mut scan) {
                Ok(Some(entry)) => {
                    scan.entries.insert(path, entry);
                }
                Ok(None) => {}
                Err(error) if error.kind() == Kind::Denied => unreadable.push(path),
                Err(error) => return Err(error),
            }
        }
        if !unreadable.is_empty() {
            return Err(denied(base, &unreadable));
        }
        scan.directories = listing.directories.into_iter().collect();
        Ok(scan)
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
        let times = self.entries.values().map(|entry| entry.stat.modified());
        times.max().unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// Whether all files are what they were; by the words of the system alone.
    pub(super) fn is_still_so(&self, root: &Root) -> bool {
        let mut open: Option<(PathBuf, Option<Below>)> = None;
        self.entries.iter().all(|(path, entry)| {
            let (Some(name), parent) = (path.file_name(), path.parent().unwrap_or(Path::new(""))) else {
                return false;
            };
            if open.as_ref().is_none_or(|(opened, _)| opened != parent) {
                open = Some((parent.to_owned(), root.directory(parent).ok().flatten()));
            }
            let Some((_, Some(directory))) = &open else { return false };
            matches!(directory.look(name), Ok(Some((_, stat))) if Stat::of(&stat) == entry.stat)
        })
    }
}

/// What looks up nothing of what is remembered.
pub(super) fn from(stats: &Stats) -> impl Fn(&Path, &Stat) -> Option<ObjectId> + '_ {
    |path, stat| stats.unchanged(path, stat)
}

/// A name in an open directory.
struct Opened<'a> {
    directory: &'a Below,
    name: &'a OsStr,
    path: &'a Path,
    base: &'a Path,
}

impl Opened<'_> {
    fn look(
        &self,
        is_known: &dyn Fn(&Path, &Stat) -> Option<ObjectId>,
        read: Reading<'_>,
        scan: &mut Scan,
    ) -> Result<Option<Entry>> {
        let failed = |errno: Errno| failed("read", &self.base.join(self.path), errno);
        let Some((sort, stat)) = self.directory.look(self.name).map_err(failed)? else { return Ok(None) };
        let stat = Stat::of(&stat);
        match sort {
            Sort::Symlink => {
                let Some(target) = self.directory.link(self.name).map_err(failed)? else { return Ok(None) };
                let bytes = target.as_bytes();
                let object = read(bytes.len() as u64, &mut &*bytes)?;
                Ok(Some(Entry { stat, kind: store::Kind::Symlink, object }))
            }
            Sort::File => {
                if let Some(object) = is_known(self.path, &stat) {
                    return Ok(Some(entry_of(stat, object)));
                }
                self.read(read, scan)
            }
            Sort::Special => {
                log::info!("{} is left out: it is no file", self.base.join(self.path).display());
                Ok(None)
            }
            Sort::Directory => Ok(None),
        }
    }

    /// Reads the file until it stays the same while it is read, a few times.
    fn read(&self, read: Reading<'_>, scan: &mut Scan) -> Result<Option<Entry>> {
        let shown = self.base.join(self.path);
        let failed = |errno: Errno| failed("read", &shown, errno);
        for _ in 0..TRIES {
            let Some((mut file, stat)) = self.directory.file(self.name).map_err(failed)? else {
                return Ok(None);
            };
            let stat = Stat::of(&stat);
            if stat.size() > LARGEST_BLOB {
                let why =
                    format!("it has {} bytes, more than the {LARGEST_BLOB} that can be shown", stat.size());
                return Err(Error::new(Kind::TooLarge, format!("read {}", shown.display()), why)
                    .hint("leave it out with `ignore`"));
            }
            let outcome = read(stat.size(), &mut file);
            let after = nix::sys::stat::fstat(&file).map_err(failed)?;
            // It grew or changed under our eyes: what came is no state that it ever had.
            if Stat::of(&after) != stat {
                continue;
            }
            match outcome {
                Ok(object) => {
                    scan.read += 1;
                    scan.bytes += stat.size();
                    return Ok(Some(entry_of(stat, object)));
                }
                Err(error) if error.kind() == Kind::Stale => {}
                Err(error) => return Err(error.during(format!("read {}", shown.display()))),
            }
        }
        Err(Error::new(Kind::Stale, format!("read {}", shown.display()), "it changes while it is read")
            .hint("try again when nothing writes there, or leave it out with `ignore`"))
    }
}

fn entry_of(stat: Stat, object: ObjectId) -> Entry {
    Entry { stat, kind: store::Kind::File { executable: stat.is_executable() }, object }
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

/// The id of a blob of `size` bytes; [`Kind::Stale`] if there are fewer.
pub(super) fn hash(size: u64, reader: &mut dyn Read) -> Result<ObjectId> {
    let mut hash = sha1::Sha1::new();
    hash.update(format!("blob {size}\0"));
    let mut buffer = [0; 64 << 10];
    let (mut reader, mut got) = (reader.take(size), 0);
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => {
                hash.update(&buffer[..length]);
                got += length as u64;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::new(Kind::Io, "read a file", error.to_string())),
        }
    }
    match got == size {
        true => Ok(ObjectId(hash.finalize().into())),
        false => Err(Error::new(Kind::Stale, "read a file", "it became shorter while it was read")),
    }
}
