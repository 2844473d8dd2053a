//! A mount point: finding it, and what stands there, without a question to what is mounted.
//!
//! A path is opened with O_PATH, which walks onto the root of a mount but asks its file system
//! nothing, so this works on a mount that is dead or hangs. fdinfo then tells the mount and
//! `/proc/self/fd` the canonical path, in the words of mountinfo. Only [`Place::liveness`] asks the
//! file system, with a bound.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::fcntl::AtFlags;
use nix::unistd::{AccessFlags, faccessat, geteuid};

use super::error::MountError;
use crate::fdinfo::FdInfo;
use crate::mountinfo::{Mount, Table};

/// How long a mount may take to answer before it counts as one that does not answer.
pub const PROBE_BOUND: Duration = Duration::from_secs(2);

/// `path` made absolute from the working directory, without asking the file system: the working
/// directory may lie in a dead mount. Leading `.` and `..` are taken off it, which is exact, since
/// getcwd(2) gives a path without symbolic links; later ones are left to the kernel.
///
/// Fails for a relative path if the working directory was deleted or lies in a detached mount.
pub fn absolute(path: &Path) -> io::Result<PathBuf> {
    if path.is_absolute() {
        return Ok(path.to_owned());
    }
    if path.as_os_str().is_empty() {
        return Err(io::Error::from_raw_os_error(libc::ENOENT));
    }
    let base = nix::unistd::getcwd().map_err(|error| {
        let why = "the working directory was deleted or its mount is detached; give an absolute path";
        io::Error::new(io::Error::from(error).kind(), why)
    })?;
    Ok(join(base, path))
}

fn join(mut base: PathBuf, path: &Path) -> PathBuf {
    let mut rest = path.components();
    loop {
        let after = rest.clone();
        match rest.next() {
            Some(Component::CurDir) => {}
            Some(Component::ParentDir) => {
                base.pop();
            }
            _ => {
                let after = after.as_path();
                return if after.as_os_str().is_empty() { base } else { base.join(after) };
            }
        }
    }
}

/// A directory, and the mount it lies in.
#[derive(Debug)]
pub(super) struct Place {
    handle: File,
    /// Without symbolic links, as mountinfo writes it.
    pub(super) path: PathBuf,
    /// The mount that it lies in, or is the root of.
    pub(super) mount_id: u64,
}

/// What a mounted file system answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveness {
    /// It answers, be it with an error.
    Answers,
    /// Nothing within [`PROBE_BOUND`]: it hangs, or is just starting.
    Silent,
    /// Its daemon is gone.
    Dead,
}

impl Place {
    /// Opens what stands at `path` (absolute), the topmost mount if there are some.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        // Without O_DIRECTORY, which would set off an automount.
        let handle = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(path)?;
        let canonical = fs::read_link(own(&handle))?;
        let mount_id = FdInfo::of(&handle)?.mount_id;
        Ok(Place { handle, path: canonical, mount_id })
    }

    /// The same with the errors of a mount point.
    pub(super) fn of_mount_point(path: &Path) -> Result<Self, MountError> {
        Self::open(path).map_err(|error| {
            let directory = path.to_owned();
            match error.raw_os_error() {
                Some(libc::ENOENT) => MountError::Missing { directory },
                Some(libc::ENOTDIR) => MountError::NotADirectory { directory },
                Some(libc::EACCES | libc::EPERM) => {
                    MountError::NotOurs { directory, why: format!("it cannot be reached ({error})") }
                }
                _ => MountError::system(format!("open {}", path.display()), error),
            }
        })
    }

    /// The mount whose root is this place; `None` for a directory inside of a mount. An automount's
    /// trigger is a place to mount on, not a mount that is in the way.
    pub(super) fn mounted<'a>(&self, table: &'a Table) -> Option<&'a Mount> {
        let mount = table.by_id(self.mount_id)?;
        (mount.mount_point == self.path && mount.fs_type != "autofs").then_some(mount)
    }

    /// The path by which the kernel reaches this very directory, whatever is mounted over it since.
    pub(super) fn by_handle(&self) -> PathBuf {
        own(&self.handle)
    }

    /// Whether it is a directory, empty, and this user's to mount on. Only for a place that is not the
    /// root of a mount, which could hang.
    pub(super) fn check(&self) -> Result<(), MountError> {
        let directory = || self.path.clone();
        let system = |error| MountError::system(format!("read {}", self.path.display()), error);
        let denied = |why: String| MountError::NotOurs { directory: directory(), why };
        let metadata = self.handle.metadata().map_err(system)?;
        if !metadata.is_dir() {
            return Err(MountError::NotADirectory { directory: directory() });
        }
        let user = geteuid();
        if !user.is_root() {
            // The same two rules as fusermount3's, told before it is asked.
            if let Err(error) = faccessat(&self.handle, ".", AccessFlags::W_OK, AtFlags::AT_EACCESS) {
                return Err(denied(format!("we may not write to it ({})", error.desc())));
            }
            if metadata.mode() & libc::S_ISVTX != 0 && metadata.uid() != user.as_raw() {
                return Err(denied(format!("it is sticky and belongs to user {}", metadata.uid())));
            }
        }
        let mut entries = fs::read_dir(self.by_handle()).map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => denied(format!("we may not list it ({error})")),
            _ => system(error),
        })?;
        match entries.next() {
            None => Ok(()),
            Some(Ok(entry)) => {
                Err(MountError::NotEmpty { directory: directory(), example: entry.file_name() })
            }
            Some(Err(error)) => Err(system(error)),
        }
    }

    /// Asks the file system here whether it is alive. The question is put by a thread of its own: if it
    /// is not answered, that thread stays until it is, or until this process ends.
    pub(super) fn liveness(&self) -> io::Result<Liveness> {
        let handle = self.handle.try_clone()?;
        let (send, receive) = mpsc::channel();
        thread::Builder::new().name("probe".to_owned()).spawn(move || {
            // statfs is never answered from a cache.
            let answer = nix::sys::statfs::fstatfs(&handle).err();
            // Nobody listens any more if it took too long.
            let _ = send.send(answer);
        })?;
        Ok(match receive.recv_timeout(PROBE_BOUND) {
            // The second: its daemon ended while it was asked.
            Ok(Some(nix::Error::ENOTCONN | nix::Error::ECONNABORTED)) => Liveness::Dead,
            Ok(_) => Liveness::Answers,
            Err(_) => Liveness::Silent,
        })
    }
}

impl AsFd for Place {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }
}

fn own(handle: &File) -> PathBuf {
    PathBuf::from(format!("/proc/thread-self/fd/{}", handle.as_raw_fd()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_paths_are_resolved_on_paper() {
        let base = || PathBuf::from("/a/b");
        for (path, expected) in [
            (".", "/a/b"),
            ("./", "/a/b"),
            ("..", "/a"),
            ("../..", "/"),
            ("../../../..", "/"),
            ("c", "/a/b/c"),
            ("./c/../d", "/a/b/c/../d"),
            ("../c", "/a/c"),
            (".././../x", "/x"),
        ] {
            assert_eq!(join(base(), Path::new(path)), Path::new(expected), "{path}");
        }
        assert_eq!(absolute(Path::new("/x/../y")).unwrap(), Path::new("/x/../y"));
        assert!(absolute(Path::new("")).is_err());
    }

    #[test]
    fn a_place_knows_its_mount() {
        let directory = tempfile::tempdir().unwrap();
        let table = Table::read().unwrap();
        let place = Place::open(directory.path()).unwrap();
        assert_eq!(place.mounted(&table), None);
        assert_eq!(table.walk(&place.path).unwrap().id, place.mount_id);
        let proc = Place::open(Path::new("/proc")).unwrap();
        assert_eq!(proc.mounted(&table).unwrap().fs_type, "proc");
        assert_eq!(proc.liveness().unwrap(), Liveness::Answers);
    }
}
