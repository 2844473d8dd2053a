//! Opening what lies beneath a directory, and nothing else.
//!
//! Every path is resolved by the kernel beneath the directory's own descriptor (openat2(2)), through no
//! symbolic link and into no other file system, so nobody who writes there can lead a reader out, not
//! even while it reads. Nothing but regular files is opened for reading, so nothing blocks.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat2, readlinkat};
use nix::sys::stat::{FileStat, SFlag, fstat, fstatat};

use crate::error::{Error, Kind, Result};

/// What a name in a directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    File,
    Symlink,
    Directory,
    /// A FIFO, socket or device.
    Special,
}

/// The directory that a resource is, open.
pub(super) struct Root {
    path: PathBuf,
    descriptor: OwnedFd,
}

/// A directory beneath it, open.
pub(super) struct Below {
    descriptor: OwnedFd,
}

impl Root {
    /// Opens it, by whatever way `path` leads to it. [`Kind::NotFound`] if there is none.
    pub(super) fn open(path: &Path) -> Result<Root> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let descriptor = nix::fcntl::open(path, flags, nix::sys::stat::Mode::empty())
            .map_err(|errno| failed("open", path, errno))?;
        // Where that is, without links: what the table of mounts and git say is compared with it.
        let link = format!("/proc/self/fd/{}", descriptor.as_raw_fd());
        let real = std::fs::read_link(&link).map_err(|error| Error::io("read", &link, &error))?;
        Ok(Root { path: real, descriptor })
    }

    /// Where it is, without links.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the directory `relative` (empty: itself). `None` if it is none any more, or a border of the
    /// file system lies before it.
    pub(super) fn directory(&self, relative: &Path) -> Result<Option<Below>> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
        self.opened(relative, flags).map(|opened| opened.map(|descriptor| Below { descriptor }))
    }

    fn opened(&self, relative: &Path, flags: OFlag) -> Result<Option<OwnedFd>> {
        let name = if relative.as_os_str().is_empty() { Path::new(".") } else { relative };
        match open_beneath(&self.descriptor, name.as_os_str(), flags) {
            Ok(descriptor) => Ok(Some(descriptor)),
            Err(errno) if is_gone(errno) || errno == Errno::EXDEV => Ok(None),
            Err(errno) => Err(failed("open", &self.path.join(relative), errno)),
        }
    }
}

impl Below {
    /// What `name` in it is; `None` if there is nothing.
    pub(super) fn look(&self, name: &OsStr) -> Result<Option<(Sort, FileStat)>, Errno> {
        match fstatat(&self.descriptor, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some((sort(&stat), stat))),
            Err(errno) if is_gone(errno) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// Opens the regular file `name`; `None` if that is not one any more.
    pub(super) fn file(&self, name: &OsStr) -> Result<Option<(File, FileStat)>, Errno> {
        // Without waiting, should it be a FIFO by now; and that is seen after it is open.
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        match open_beneath(&self.descriptor, name, flags) {
            Ok(descriptor) => {
                let stat = fstat(&descriptor)?;
                Ok((sort(&stat) == Sort::File).then(|| (File::from(descriptor), stat)))
            }
            Err(errno) if is_gone(errno) || matches!(errno, Errno::EXDEV | Errno::ENXIO) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// Where the symbolic link `name` leads; `None` if it is none any more.
    pub(super) fn link(&self, name: &OsStr) -> Result<Option<OsString>, Errno> {
        match readlinkat(&self.descriptor, name) {
            Ok(target) => Ok(Some(target)),
            Err(errno) if is_gone(errno) || errno == Errno::EINVAL => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// The names in it, sorted, with what they are if the file system says so along with them.
    pub(super) fn names(&self) -> Result<Vec<(OsString, Option<Sort>)>, Errno> {
        use std::os::unix::ffi::OsStrExt;
        let mut names = Vec::new();
        // A descriptor of its own, because this one is used up.
        let again = open_beneath(&self.descriptor, OsStr::new("."), OFlag::O_RDONLY | OFlag::O_DIRECTORY)?;
        for entry in Dir::from_fd(again)?.iter() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                let sort = entry.file_type().map(|kind| match kind {
                    Type::File => Sort::File,
                    Type::Symlink => Sort::Symlink,
                    Type::Directory => Sort::Directory,
                    _ => Sort::Special,
                });
                names.push((OsStr::from_bytes(name).to_owned(), sort));
            }
        }
        names.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        Ok(names)
    }
}

fn open_beneath(at: impl AsFd, name: &OsStr, flags: OFlag) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlag::RESOLVE_BENEATH
        | ResolveFlag::RESOLVE_NO_SYMLINKS
        | ResolveFlag::RESOLVE_NO_MAGICLINKS
        | ResolveFlag::RESOLVE_NO_XDEV;
    let how = OpenHow::new().flags(flags | OFlag::O_CLOEXEC).resolve(resolve);
    loop {
        match openat2(at.as_fd(), name, how) {
            // A rename somewhere above was under way.
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            opened => return opened,
        }
    }
}

/// Whether what was listed is not there any more, or is something else.
fn is_gone(errno: Errno) -> bool {
    matches!(errno, Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP)
}

fn sort(stat: &FileStat) -> Sort {
    match SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits()) {
        SFlag::S_IFREG => Sort::File,
        SFlag::S_IFLNK => Sort::Symlink,
        SFlag::S_IFDIR => Sort::Directory,
        _ => Sort::Special,
    }
}

/// A failure of the system with its path, as what a reader is told.
pub(super) fn failed(verb: &str, path: &Path, errno: Errno) -> Error {
    let what = format!("{verb} {}", path.display());
    let error = |kind, why: String| Error::new(kind, what.clone(), why);
    match errno {
        Errno::ENOENT => error(Kind::NotFound, "it does not exist".to_owned()),
        Errno::ENOTDIR => error(Kind::NotFound, "it is no directory".to_owned()),
        Errno::EACCES | Errno::EPERM => error(Kind::Denied, errno.desc().to_owned())
            .hint("make it readable for the user that runs srcfs, or leave it out with `ignore`"),
        Errno::ENOSYS => {
            error(Kind::Unsupported, "this kernel has no openat2".to_owned()).hint("use Linux 5.6 or newer")
        }
        other => Error::io(verb, path, &std::io::Error::from(other)),
    }
}
