//! Deleting, by handles of directories and never by a path that somebody could redirect.
//!
//! Each step names one entry of an open directory. A symbolic link is removed itself; what is mounted
//! somewhere below is left where it is; a directory without write permission is given it. What cannot
//! be removed is counted and logged, and the rest goes on: a deletion never fails its caller.

use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, open, openat, openat2};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use crate::fault;

/// Deeper than anything that is made here; each level costs an open directory.
const DEEPEST: u32 = 128;

const DIRECTORY: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// What a deletion did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Removal {
    /// Bytes given back to the disk.
    pub freed: u64,
    /// Entries that could not be removed.
    pub left: u64,
}

/// A directory of the cache whose entries are removed.
pub(super) struct Grave(OwnedFd);

impl Grave {
    /// Opens `directory`; `None` if it is absent or not a directory, also if it is a link to one.
    pub fn open(directory: &Path) -> Option<Grave> {
        open(directory, DIRECTORY, Mode::empty()).ok().map(Grave)
    }

    /// Removes the entry `name` and all below it. An absent one counts as removed.
    pub fn remove(&self, name: &OsStr) -> Removal {
        let mut removal = Removal::default();
        match CString::new(name.as_bytes()) {
            Ok(name)
                if !matches!(name.to_bytes(), b"" | b"." | b"..") && !name.to_bytes().contains(&b'/') =>
            {
                remove_entry(self.0.as_fd(), &name, 0, &mut removal);
            }
            _ => removal.left += 1,
        }
        removal
    }
}

impl Removal {
    /// Both together.
    pub fn and(self, other: Removal) -> Removal {
        Removal { freed: self.freed + other.freed, left: self.left + other.left }
    }

    fn leave(&mut self, name: &CStr, why: Errno) {
        log::warn!("could not delete {}: {}", name.to_string_lossy(), why.desc());
        self.left += 1;
    }
}

fn is_directory(stat: &FileStat) -> bool {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR
}

fn bytes(stat: &FileStat) -> u64 {
    // A file with another name elsewhere gives nothing back.
    if is_directory(stat) || stat.st_nlink == 1 {
        u64::try_from(stat.st_blocks).unwrap_or(0) * 512
    } else {
        0
    }
}

fn remove_entry(parent: BorrowedFd<'_>, name: &CStr, depth: u32, removal: &mut Removal) {
    if fault!("delete.entry").is_err() {
        return removal.leave(name, Errno::EIO);
    }
    let stat = match fstatat(parent, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::ENOENT) => return,
        Err(error) => return removal.leave(name, error),
    };
    let flag = if is_directory(&stat) {
        if let Err(error) = empty(parent, name, &stat, depth, removal) {
            return match error {
                Errno::ENOENT => (),
                error => removal.leave(name, error),
            };
        }
        UnlinkatFlags::RemoveDir
    } else {
        UnlinkatFlags::NoRemoveDir
    };
    let outcome = match unlinkat(parent, name, flag) {
        Err(Errno::EACCES) => heal(parent).and_then(|()| unlinkat(parent, name, flag)),
        outcome => outcome,
    };
    match outcome {
        Ok(()) => removal.freed += bytes(&stat),
        Err(Errno::ENOENT) => {}
        Err(error) => removal.leave(name, error),
    }
}

fn empty(
    parent: BorrowedFd<'_>,
    name: &CStr,
    stat: &FileStat,
    depth: u32,
    removal: &mut Removal,
) -> nix::Result<()> {
    if depth >= DEEPEST {
        return Err(Errno::EMLINK);
    }
    let directory = match open_beneath(parent, name, stat, DIRECTORY) {
        Err(Errno::EACCES) => {
            let closed = open_beneath(parent, name, stat, DIRECTORY | OFlag::O_PATH)?;
            make_ours(&closed)?;
            open_beneath(parent, name, stat, DIRECTORY)?
        }
        outcome => outcome?,
    };
    let mut directory = Dir::from_fd(directory)?;
    let mut names = Vec::new();
    for entry in directory.iter() {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_owned());
        }
    }
    for name in names {
        remove_entry(directory.as_fd(), &name, depth + 1, removal);
    }
    Ok(())
}

/// Opens the directory `name` in `parent`, neither through a link nor across a mount.
fn open_beneath(parent: BorrowedFd<'_>, name: &CStr, stat: &FileStat, flags: OFlag) -> nix::Result<OwnedFd> {
    let how = OpenHow::new().flags(flags).resolve(
        ResolveFlag::RESOLVE_NO_XDEV | ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_BENEATH,
    );
    match openat2(parent, name, how) {
        // A kernel before 5.6, or a container that forbids the call: a bind mount of the same file
        // system cannot be told then, any other mount can.
        Err(Errno::ENOSYS | Errno::EPERM) => {
            let opened = openat(parent, name, flags, Mode::empty())?;
            let found = fstat(&opened)?;
            let above = fstat(parent)?;
            let same = found.st_dev == above.st_dev && found.st_ino == stat.st_ino;
            if same { Ok(opened) } else { Err(Errno::EXDEV) }
        }
        outcome => outcome,
    }
}

/// Lets us remove entries of an open directory.
fn heal(directory: BorrowedFd<'_>) -> nix::Result<()> {
    fchmod(directory, Mode::S_IRWXU)
}

/// The same for one that we may not even read; the handle is a path handle, which fchmod refuses.
fn make_ours(directory: &OwnedFd) -> nix::Result<()> {
    let handle =
        CString::new(format!("/proc/self/fd/{}", directory.as_raw_fd())).map_err(|_| Errno::EINVAL)?;
    nix::sys::stat::fchmodat(
        nix::fcntl::AT_FDCWD,
        handle.as_c_str(),
        Mode::S_IRWXU,
        nix::sys::stat::FchmodatFlags::FollowSymlink,
    )
}

/// The bytes on disk below `path`, links not followed; what cannot be read counts nothing.
pub(super) fn size(path: &Path) -> u64 {
    let Ok(metadata) = std::fs::symlink_metadata(path) else { return 0 };
    let own = metadata.blocks() * 512;
    if !metadata.is_dir() {
        return own;
    }
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    own + entries.map(|entry| size(&entry.path())).sum::<u64>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn grave() -> (tempfile::TempDir, Grave) {
        let directory = tempfile::tempdir().unwrap();
        let grave = Grave::open(directory.path()).unwrap();
        (directory, grave)
    }

    #[test]
    fn links_are_removed_and_never_followed() {
        let (directory, grave) = grave();
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("precious"), "x").unwrap();
        fs::create_dir(directory.path().join("a")).unwrap();
        symlink(outside.path(), directory.path().join("a/link")).unwrap();
        symlink(outside.path().join("precious"), directory.path().join("a/file")).unwrap();
        symlink(outside.path(), directory.path().join("top")).unwrap();
        for name in ["a", "top"] {
            assert_eq!(grave.remove(OsStr::new(name)).left, 0);
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        assert!(outside.path().join("precious").exists());
    }

    #[test]
    fn names_that_lead_out_are_refused() {
        let (directory, grave) = grave();
        fs::write(directory.path().join("file"), "x").unwrap();
        for name in ["", ".", "..", "a/../file", "/etc"] {
            assert_eq!(grave.remove(OsStr::new(name)), Removal { freed: 0, left: 1 }, "{name}");
        }
        assert!(directory.path().join("file").exists());
        assert_eq!(grave.remove(OsStr::new("absent")), Removal::default());
    }

    #[test]
    fn a_link_to_a_directory_is_not_opened_as_one() {
        let (directory, _) = grave();
        let outside = tempfile::tempdir().unwrap();
        symlink(outside.path(), directory.path().join("link")).unwrap();
        assert!(Grave::open(&directory.path().join("link")).is_none());
    }

    #[test]
    fn bytes_are_counted_once() {
        let (directory, grave) = grave();
        fs::create_dir(directory.path().join("a")).unwrap();
        fs::write(directory.path().join("a/one"), vec![1; 100_000]).unwrap();
        fs::write(directory.path().join("a/two"), vec![1; 100_000]).unwrap();
        fs::hard_link(directory.path().join("a/two"), directory.path().join("kept")).unwrap();
        assert!(size(&directory.path().join("a")) >= 200_000);
        let freed = grave.remove(OsStr::new("a")).freed;
        assert!((100_000..200_000).contains(&freed), "{freed}");
    }

    #[test]
    fn a_directory_deeper_than_any_of_ours_is_left_and_reported() {
        let (directory, grave) = grave();
        fs::create_dir_all(directory.path().join(vec!["d"; 200].join("/"))).unwrap();
        assert!(grave.remove(OsStr::new("d")).left > 0);
    }

    /// Root may write anywhere, so this part has something to prove only for an ordinary user; the
    /// end-to-end tests run it as one.
    #[test]
    fn directories_without_permission_are_healed() {
        let (directory, grave) = grave();
        let inner = directory.path().join("a/b");
        fs::create_dir_all(&inner).unwrap();
        fs::write(inner.join("file"), "x").unwrap();
        fs::set_permissions(&inner, fs::Permissions::from_mode(0o000)).unwrap();
        fs::set_permissions(directory.path().join("a"), fs::Permissions::from_mode(0o500)).unwrap();
        assert_eq!(grave.remove(OsStr::new("a")).left, 0);
        assert!(!directory.path().join("a").exists());
    }
}
