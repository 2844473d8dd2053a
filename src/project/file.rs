//! Reading the files of a project: beneath its directory, bounded, with a stamp of what was read.
//!
//! A symlink is followed only while it stays beneath the project's directory (openat2's
//! `RESOLVE_BENEATH`): a project that was cloned from a stranger must not make srcfs read the user's
//! files. Only regular files are read, and opening never blocks on a FIFO. Fails as `Kind::Io`,
//! `TooLarge`, or `Stale` if a file keeps changing while it is read.

use crate::error::{Error, Kind, Result};
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{Mode, fstatat};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The largest lockfile that is read, in bytes. The largest known ones are near 10 MiB.
pub const MAX_FILE: u64 = 100_000_000;

/// One file as it was when it was read; the times in nanoseconds of the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileStamp {
    size: u64,
    mtime: (i64, i64),
    ctime: (i64, i64),
    inode: u64,
}

/// What was read of a project, and what was looked for and absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stamp(BTreeMap<PathBuf, Option<FileStamp>>);

impl Stamp {
    /// The files that were read or looked for, relative to the project: what is worth watching, besides
    /// new requirement files.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.0.keys().map(PathBuf::as_path)
    }

    /// Whether nothing that was read of `dir` has changed, appeared or vanished since: a directory
    /// listing and a stat a file. A project that cannot be looked at is not current.
    pub fn is_current(&self, dir: &Path) -> bool {
        let Ok(root) = Root::open(dir) else { return false };
        let known = root.requirements().is_ok_and(|names| names.iter().all(|name| self.0.contains_key(name)));
        known && self.0.iter().all(|(name, stamp)| root.stat(name) == *stamp)
    }
}

/// The directory of a project, held open, and what has been read of it.
pub(super) struct Root {
    dir: File,
    path: PathBuf,
    pub(super) stamp: Stamp,
}

impl Root {
    pub(super) fn open(path: &Path) -> Result<Root> {
        let failed = |error: std::io::Error| Error::io("read the project in", path, &error);
        // A FIFO would make an open wait for somebody who writes.
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let dir = nix::fcntl::open(path, flags, Mode::empty()).map_err(|errno| failed(errno.into()))?;
        let dir = File::from(dir);
        Ok(Root { dir, path: path.to_owned(), stamp: Stamp::default() })
    }

    /// The requirement files at the top, in order.
    pub(super) fn requirements(&self) -> Result<Vec<PathBuf>> {
        let failed = |error: std::io::Error| Error::io("list", &self.path, &error);
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.path).map_err(failed)? {
            let name = PathBuf::from(entry.map_err(failed)?.file_name());
            let text = name.to_string_lossy();
            if text.starts_with("requirements") && text.ends_with(".txt") {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// `None` if it is absent, or no file, or leaves the directory.
    fn find(&self, name: &Path) -> Result<Option<File>> {
        let how = OpenHow::new()
            .flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY)
            .mode(Mode::empty())
            .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        match openat2(&self.dir, name, how) {
            Ok(fd) => Ok(Some(File::from(fd))),
            Err(nix::errno::Errno::ENOENT | nix::errno::Errno::ENOTDIR) => Ok(None),
            Err(nix::errno::Errno::EXDEV) => Err(Error::new(
                Kind::Denied,
                format!("read {}", self.path.join(name).display()),
                "it is a symlink that leaves the project's directory, which is not followed",
            )
            .hint("put the file itself there, or add the directory it lies in as the project")),
            Err(error) => Err(Error::io("open", self.path.join(name), &error.into())),
        }
    }

    /// What `name` is now, be it readable or not; a link that is not followed is looked at itself.
    fn stat(&self, name: &Path) -> Option<FileStamp> {
        match self.find(name) {
            Ok(file) => self.stamp_of(&file?, name).ok(),
            Err(_) => {
                let stat = fstatat(&self.dir, name, AtFlags::AT_SYMLINK_NOFOLLOW).ok()?;
                Some(FileStamp {
                    size: stat.st_size as u64,
                    mtime: (stat.st_mtime, stat.st_mtime_nsec),
                    ctime: (stat.st_ctime, stat.st_ctime_nsec),
                    inode: stat.st_ino,
                })
            }
        }
    }

    fn stamp_of(&self, file: &File, name: &Path) -> Result<FileStamp> {
        let meta = file.metadata().map_err(|error| Error::io("stat", self.path.join(name), &error))?;
        Ok(FileStamp {
            size: meta.len(),
            mtime: (meta.mtime(), meta.mtime_nsec()),
            ctime: (meta.ctime(), meta.ctime_nsec()),
            inode: meta.ino(),
        })
    }

    fn check(&self, file: &File, name: &Path) -> Result<()> {
        let path = self.path.join(name);
        let meta = file.metadata().map_err(|error| Error::io("stat", &path, &error))?;
        let what = format!("read {}", path.display());
        if !meta.is_file() {
            return Err(Error::new(Kind::Invalid, what, "it is not a regular file")
                .hint("a lockfile is a file; move away what has its name"));
        }
        if meta.len() > MAX_FILE {
            let why = format!("it has {} bytes; at most {MAX_FILE} are read", meta.len());
            return Err(Error::new(Kind::TooLarge, what, why).hint("see whether it is a lockfile at all"));
        }
        Ok(())
    }

    /// Notes in the stamp what `name` is, which is not read.
    pub(super) fn pass(&mut self, name: &Path) {
        let stamp = self.stat(name);
        self.stamp.0.insert(name.to_owned(), stamp);
    }

    /// The text of `name`, noted in the stamp; `None` if there is no such file.
    pub(super) fn read(&mut self, name: &Path) -> Result<Option<String>> {
        let what = format!("read {}", self.path.join(name).display());
        // What fails below stands in the stamp as well as it can, so that its repair is seen.
        self.pass(name);
        for _ in 0..3 {
            let Some(mut file) = self.find(name)? else {
                self.stamp.0.insert(name.to_owned(), None);
                return Ok(None);
            };
            self.check(&file, name)?;
            let before = self.stamp_of(&file, name)?;
            let mut bytes = Vec::new();
            let read = file.by_ref().take(MAX_FILE + 1).read_to_end(&mut bytes);
            read.map_err(|error| Error::io("read", self.path.join(name), &error))?;
            if self.stamp_of(&file, name)? == before && bytes.len() as u64 == before.size {
                self.stamp.0.insert(name.to_owned(), Some(before));
                let text = decoded(bytes).map_err(|why| {
                    Error::new(Kind::Invalid, &*what, why).hint("write it again with its own tool")
                })?;
                return Ok(Some(text));
            }
        }
        Err(Error::new(Kind::Stale, what, "it changes while it is read")
            .hint("try again when its tool is done"))
    }
}

/// UTF-8, or UTF-16 if its first two bytes are the mark of that: the `>` of PowerShell 5 writes so, and pip reads it.
/// The text is at most half as large again.
fn decoded(bytes: Vec<u8>) -> Result<String, String> {
    let (unit, rest): (fn([u8; 2]) -> u16, &[u8]) = match &bytes[..] {
        [0xff, 0xfe, rest @ ..] => (u16::from_le_bytes, rest),
        [0xfe, 0xff, rest @ ..] => (u16::from_be_bytes, rest),
        _ => {
            return match String::from_utf8(bytes) {
                Ok(text) => Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)),
                Err(error) => {
                    let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
                    let line = good.iter().filter(|b| **b == b'\n').count() + 1;
                    Err(format!("line {line} is not UTF-8"))
                }
            };
        }
    };
    let (pairs, odd) = rest.as_chunks::<2>();
    let text = char::decode_utf16(pairs.iter().copied().map(unit)).collect::<Result<String, _>>();
    match text {
        Ok(text) if odd.is_empty() => Ok(text),
        _ => Err("it begins as UTF-16 does, and is not".to_owned()),
    }
}
