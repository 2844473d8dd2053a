//! Reading the files of a project: beneath its directory, bounded, with a stamp of what was read.
//!
//! A symlink is followed only while it stays beneath the project's directory (openat2's
//! `RESOLVE_BENEATH`): a project that was cloned from a stranger must not make srcfs read the user's
//! files. Only regular files are read, and opening never blocks on a FIFO. Nothing is read of a mount of srcfs,
//! also not of one that was made later: a daemon that looks into its own waits for itself. Where mounts are is
//! known from the system's table alone. Fails as `Kind::Io`, `TooLarge`, `Invalid` for what lies in such a
//! mount, or `Stale` if a file keeps changing while it is read.

mod stamp;

pub use stamp::Stamp;

use crate::error::{Error, Kind, Result};
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{Mode, fstat};
use srcfs_mount::mountinfo::{FS_TYPE, Table};
use stamp::{FileStamp, Fresh, sum};
use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The largest lockfile that is read, in bytes. The largest known ones are near 10 MiB.
pub const MAX_FILE: u64 = 100_000_000;

/// The mounts of srcfs.
fn own_mounts() -> Result<Vec<PathBuf>> {
    let table =
        Table::read().map_err(|error| Error::io("read the mounts of", "/proc/self/mountinfo", &error))?;
    Ok(table.of_type(FS_TYPE).map(|mount| mount.mount_point.clone()).collect())
}

/// Refuses the project in `path`, which leads to `real`, if it lies in a mount of srcfs.
fn keep_out(path: &Path, real: &Path) -> Result<()> {
    let Some(mount) = own_mounts()?.into_iter().find(|mount| real.starts_with(mount)) else { return Ok(()) };
    let what = format!("read the project in {}", path.display());
    let why = format!("it lies in the mount of srcfs at {}", mount.display());
    Err(Error::new(Kind::Invalid, what, why).hint("give a directory outside of it"))
}

/// The directory of a project, held open, and what has been read of it.
pub(super) struct Root {
    dir: File,
    path: PathBuf,
    /// Where that is, without links.
    real: PathBuf,
    pub(super) stamp: Stamp,
}

impl Root {
    pub(super) fn open(path: &Path) -> Result<Root> {
        let failed = |error: std::io::Error| Error::io("read the project in", path, &error);
        // By its name before anything of it is touched, then by where that leads.
        keep_out(path, path)?;
        // A FIFO would make an open wait for somebody who writes.
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let dir = nix::fcntl::open(path, flags, Mode::empty()).map_err(|errno| failed(errno.into()))?;
        let dir = File::from(dir);
        let real = std::fs::read_link(format!("/proc/self/fd/{}", dir.as_raw_fd())).map_err(failed)?;
        keep_out(path, &real)?;
        Ok(Root { dir, path: path.to_owned(), real, stamp: Stamp::default() })
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
        let beneath = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS;
        let how = |resolve| {
            OpenHow::new()
                .flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY)
                .mode(Mode::empty())
                .resolve(resolve)
        };
        let mut opened = openat2(&self.dir, name, how(beneath | ResolveFlag::RESOLVE_NO_XDEV));
        // It may be a lockfile that is mounted there, into a container.
        if matches!(opened, Err(nix::errno::Errno::EXDEV))
            && !own_mounts()?.iter().any(|mount| mount.starts_with(&self.real))
        {
            opened = openat2(&self.dir, name, how(beneath));
        }
        match opened {
            Ok(fd) => Ok(Some(File::from(fd))),
            Err(nix::errno::Errno::ENOENT | nix::errno::Errno::ENOTDIR) => Ok(None),
            Err(nix::errno::Errno::EXDEV) => Err(Error::new(
                Kind::Denied,
                format!("read {}", self.path.join(name).display()),
                "it leads out of the project's directory by a symlink or into a mount, which is not followed",
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
                let how = OpenHow::new()
                    .flags(OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC)
                    .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_XDEV);
                let stat = fstat(openat2(&self.dir, name, how).ok()?).ok()?;
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
        self.stamp.files.insert(name.to_owned(), stamp);
    }

    /// The text of `name`, noted in the stamp; `None` if there is no such file.
    pub(super) fn read(&mut self, name: &Path) -> Result<Option<String>> {
        // What fails below stands in the stamp as well as it can, so that its repair is seen.
        self.pass(name);
        let now = SystemTime::now();
        let found = self.bytes(name)?;
        self.stamp.files.insert(name.to_owned(), found.as_ref().map(|(stamp, _)| *stamp));
        let Some((stamp, bytes)) = found else { return Ok(None) };
        if stamp.is_fresh(now) {
            let fresh = Fresh { sum: sum(&bytes), settled: Default::default() };
            self.stamp.fresh.insert(name.to_owned(), fresh);
        }
        let text = decoded(bytes).map_err(|why| {
            let what = format!("read {}", self.path.join(name).display());
            Error::new(Kind::Invalid, what, why).hint("write it again with its own tool")
        })?;
        Ok(Some(text))
    }

    /// What `name` is and says, both of one moment; `None` if there is no such file.
    fn bytes(&self, name: &Path) -> Result<Option<(FileStamp, Vec<u8>)>> {
        for _ in 0..3 {
            let Some(mut file) = self.find(name)? else { return Ok(None) };
            self.check(&file, name)?;
            let before = self.stamp_of(&file, name)?;
            let mut bytes = Vec::new();
            let read = file.by_ref().take(MAX_FILE + 1).read_to_end(&mut bytes);
            read.map_err(|error| Error::io("read", self.path.join(name), &error))?;
            if self.stamp_of(&file, name)? == before && bytes.len() as u64 == before.size {
                return Ok(Some((before, bytes)));
            }
        }
        let what = format!("read {}", self.path.join(name).display());
        Err(Error::new(Kind::Stale, what, "it changes while it is read")
            .hint("try again when its tool is done"))
    }
}

/// UTF-8, or UTF-16 if its first two bytes are the mark of that: the `>` of PowerShell 5 writes so, and pip reads it.
/// The text is at most half as large again.
fn decoded(bytes: Vec<u8>) -> Result<String, String> {
    let (big, rest) = match &bytes[..] {
        [0xff, 0xfe, rest @ ..] => (false, rest),
        [0xfe, 0xff, rest @ ..] => (true, rest),
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
    let unit = |pair: &[u8; 2]| if big { u16::from_be_bytes(*pair) } else { u16::from_le_bytes(*pair) };
    let text = char::decode_utf16(pairs.iter().map(unit)).collect::<Result<String, _>>();
    match text {
        Ok(text) if odd.is_empty() => Ok(text),
        _ => Err("it begins as UTF-16 does, and is not".to_owned()),
    }
}
