//! Unmounting: the topmost mount of a path, if it is the one that is meant.
//!
//! umount(2) takes a path and unmounts whatever is topmost there, so what is there is looked at first,
//! under the lock of the mount point. That leaves one gap: somebody who does not take the lock and
//! mounts between the look and the call, microseconds later. The kernel has no call that closes it.

use std::io;
use std::path::Path;
use std::time::Duration;

use nix::mount::MntFlags;
use nix::unistd::geteuid;

use super::error::UnmountError;
use super::fusermount::{self, Failure};
use super::identity::MountId;
use super::is_of_this_user;
use super::lock::Lock;
use super::place::{Place, absolute};
use crate::mountinfo::Table;

/// How long another process may hold up an unmount: a daemon that was told to end must do so in 5 s.
const LOCK_BOUND: Duration = Duration::from_secs(3);

/// Unmounts what is mounted on `directory`, if it is `meant` (without that: a srcfs of this user, for
/// root of any user). With `detach` at once and for everybody, while what is open in it stays usable;
/// without, only if nothing is in use.
///
/// Fails with [`UnmountError::NotMounted`] if the meant one is gone, and with [`UnmountError::NotOurs`]
/// if another mount is there or covers it; the other one is not touched.
pub fn unmount(directory: &Path, meant: Option<&MountId>, detach: bool) -> Result<(), UnmountError> {
    let system = |what: &str| {
        let what = format!("{what} {}", directory.display());
        move |error| UnmountError::System { what, error }
    };
    let path = absolute(directory).map_err(system("find"))?;
    let open = || {
        Place::open(&path).map_err(|error| match error.raw_os_error() {
            // The last: the path leads through a dead mount.
            Some(libc::ENOENT | libc::ENOTDIR | libc::ENOTCONN) => {
                UnmountError::NotMounted { directory: path.clone() }
            }
            _ => system("open")(error),
        })
    };
    let found = open()?;
    let _lock = Lock::acquire(&found.path, LOCK_BOUND)
        .and_then(|lock| lock.ok_or_else(|| io::ErrorKind::TimedOut.into()))
        .map_err(system("wait for whoever is mounting or unmounting on"))?;
    let place = open()?;
    let table = Table::read().map_err(system("read mountinfo for"))?;
    judge(&place, &table, meant)?;
    take_away(&place.path, detach)
}

fn judge(place: &Place, table: &Table, meant: Option<&MountId>) -> Result<(), UnmountError> {
    let gone = || UnmountError::NotMounted { directory: place.path.clone() };
    let here = place.mounted(table).ok_or_else(gone)?;
    let other = || UnmountError::NotOurs {
        directory: place.path.clone(),
        fs_type: here.fs_type.clone(),
        source: here.source.clone(),
    };
    match meant {
        Some(meant) if meant.names(place, here) => Ok(()),
        Some(meant) if table.on(&place.path).any(|mount| mount.id != here.id && meant.may_be(mount)) => {
            Err(other())
        }
        Some(_) => Err(gone()),
        None if is_of_this_user(here) || here.is_srcfs() && geteuid().is_root() => Ok(()),
        None => Err(other()),
    }
}

/// Unmounts the topmost mount of `path` (canonical), whatever it is: the caller has looked, under the
/// lock.
pub(super) fn take_away(path: &Path, detach: bool) -> Result<(), UnmountError> {
    let directory = || path.to_owned();
    let mut flags = MntFlags::UMOUNT_NOFOLLOW;
    if detach {
        flags |= MntFlags::MNT_DETACH;
    }
    let refused = match nix::mount::umount2(path, flags) {
        Ok(()) => return Ok(()),
        Err(error @ (nix::Error::EPERM | nix::Error::EACCES)) => error,
        Err(nix::Error::EBUSY) => return Err(UnmountError::InUse { directory: directory() }),
        // Not a mount point any more.
        Err(nix::Error::EINVAL) => return Err(UnmountError::NotMounted { directory: directory() }),
        Err(error) => {
            return Err(UnmountError::System { what: path.display().to_string(), error: error.into() });
        }
    };
    fusermount::unmount(path, detach).map_err(|failure| match failure {
        Failure::Absent(why) if geteuid().is_root() => UnmountError::NotPermitted {
            said: format!("the kernel lets root not unmount here ({}), and {why}", refused.desc()),
        },
        Failure::Absent(why) => UnmountError::NoFusermount { why },
        Failure::Said(said) if said.contains("busy") => UnmountError::InUse { directory: directory() },
        Failure::Said(said) if said.contains("not permitted") => UnmountError::NotPermitted { said },
        // The words of its look into mtab, and of the kernel.
        Failure::Said(said) if said.contains("not found in") || said.contains("Invalid argument") => {
            UnmountError::NotMounted { directory: directory() }
        }
        Failure::Said(said) => UnmountError::Refused { said },
        Failure::System(error) => UnmountError::System { what: "run fusermount3".to_owned(), error },
    })
}
