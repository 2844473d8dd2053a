//! Mounting and unmounting, done here because that of the FUSE library has faults.
//!
//! [`mount`] gives the open /dev/fuse of a new mount, for whoever serves it; [`unmount`] takes a mount
//! away, and never another one that stands on the same path. What holds:
//! - Type is `fuse.srcfs`, the source is the caller's, options are always `ro,nosuid,nodev` and
//!   `default_permissions`.
//! - Nothing here asks a mounted file system anything it could hang on; the one question that is asked
//!   (is it dead?) has a bound. Working directories in dead mounts do no harm.
//! - Of several mounts at once on one path exactly one succeeds: under a lock of the mount point one
//!   looks at mountinfo again, mounts by the handle that was looked at, and looks once more after it.
//! - A dead mount of this user is replaced, any other mount is left alone and refused.
//! - A failure leaves nothing behind: a mount that cannot be handed over is taken away.
//!
//! The kernel is asked first (mount(2), umount2(2)); where it says EPERM or EACCES, fusermount3. Errors
//! are [`MountError`], [`UnmountError`] and [`OptionError`], with sentences and exit codes. Calls only
//! `mountinfo` and `fdinfo`.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::mount::MsFlags;
use nix::unistd::{getegid, geteuid};

use crate::mountinfo::{self, FS_TYPE, Mount, Table};

mod device;
mod error;
mod fusermount;
mod identity;
mod lock;
mod options;
mod place;
mod unmounting;

pub use error::{MountError, UnmountError};
pub use identity::MountId;
pub use options::{Access, MountOptions, OptionError};
pub use place::{Liveness, PROBE_BOUND, absolute};
pub use unmounting::unmount;

use fusermount::Failure;
use lock::Lock;
use place::Place;

/// How long another process may hold up a mount: longer than fusermount3 may take.
const LOCK_BOUND: Duration = Duration::from_secs(12);

/// What is to be mounted.
#[derive(Clone, Copy, Debug)]
pub struct MountRequest<'a> {
    /// The mount point: an existing, empty directory.
    pub directory: &'a Path,
    /// The source, as mountinfo will show it: `srcfs:<id of the cache>`.
    pub source: &'a str,
    /// What the user chose.
    pub options: MountOptions,
}

/// A new mount, which nobody serves yet. Dropping it does not unmount; it leaves a dead mount.
#[derive(Debug)]
pub struct Mounted {
    /// The /dev/fuse of its connection: close-on-exec, above 2.
    pub device: OwnedFd,
    /// Names this very mount, for [`unmount`] and `holders`.
    pub id: MountId,
    /// Its mount point without symbolic links, as mountinfo shows it.
    pub directory: PathBuf,
}

/// Mounts. See the module for what holds; fails with one of [`MountError`].
pub fn mount(request: &MountRequest<'_>) -> Result<Mounted, MountError> {
    let path =
        absolute(request.directory).map_err(|error| MountError::system("find the mount point", error))?;
    let mut mounts =
        mountinfo::Source::open().map_err(|error| MountError::system("read mountinfo", error))?;
    // As often as dead mounts can be stacked by accident, or others can be faster; more is somebody
    // mounting in a loop.
    for _ in 0..100 {
        // What is there is asked without the lock: the answer may take its time. It is asked only of
        // mounts of ours, and a dead one stays dead.
        let dead = find_dead(&path, &mut mounts)?;
        let place = Place::of_mount_point(&path)?;
        let _lock = Lock::acquire(&place.path, LOCK_BOUND)
            .map_err(|error| MountError::system("take the lock of the mount point", error))?
            .ok_or_else(|| MountError::Busy { directory: path.clone() })?;
        let again = Place::of_mount_point(&path)?;
        let table = read(&mut mounts)?;
        if again.path != place.path || table.by_id(again.mount_id).is_none() {
            continue;
        }
        match (again.mounted(&table), dead) {
            (None, _) => return mount_on(again, table, &mut mounts, request),
            (Some(mount), Some(dead)) if dead.names(&again, mount) => detach_dead(&again)?,
            // Somebody else was faster.
            (Some(_), _) => {}
        }
    }
    Err(MountError::Busy { directory: path })
}

/// Mounts on a place where nothing is mounted, under its lock.
fn mount_on(
    place: Place,
    before: Table,
    mounts: &mut mountinfo::Source,
    request: &MountRequest<'_>,
) -> Result<Mounted, MountError> {
    place.check()?;
    let device = attempt(&place, request);
    let after = read(mounts);
    let mounted = match (device, &after) {
        (Ok(device), Ok(after)) => ours(&place, &before, after).map(|mount| Mounted {
            device,
            id: MountId::of(mount, &place.path),
            directory: place.path.clone(),
        }),
        (Ok(_), Err(error)) => Err(MountError::system("find the new mount", io::Error::other(error.why()))),
        (Err(error), _) => Err(error),
    };
    if mounted.is_err() {
        take_back(&place, &before, after.as_ref().ok());
    }
    mounted
}

/// Whether the mount at `directory` answers, hangs or is dead. Waits at most [`PROBE_BOUND`].
pub fn liveness(directory: &Path) -> io::Result<Liveness> {
    Place::open(&absolute(directory)?)?.liveness()
}

/// The dead mount of ours on `path`; `None` if nothing is mounted there. Anything else is refused.
fn find_dead(path: &Path, mounts: &mut mountinfo::Source) -> Result<Option<MountId>, MountError> {
    let place = Place::of_mount_point(path)?;
    let table = read(mounts)?;
    let Some(mount) = place.mounted(&table) else { return Ok(None) };
    let directory = place.path.clone();
    let source = mount.source.clone();
    if !is_of_this_user(mount) {
        return Err(MountError::Foreign { directory, fs_type: mount.fs_type.clone(), source });
    }
    match place.liveness().map_err(|error| MountError::system("ask the mount that is there", error))? {
        Liveness::Answers => Err(MountError::AlreadyMounted { directory, source, answers: true }),
        Liveness::Silent => Err(MountError::AlreadyMounted { directory, source, answers: false }),
        Liveness::Dead => Ok(Some(MountId::of_place(mount, &place))),
    }
}

fn detach_dead(place: &Place) -> Result<(), MountError> {
    log::info!("detaching a dead mount of ours from {}", place.path.display());
    unmounting::take_away(&place.path, true).map_err(|error| {
        let what = format!("detach the dead mount on {}", place.path.display());
        MountError::system(what, io::Error::other(error.to_string()))
    })
}

/// Whether a mount is srcfs and was mounted by this user.
fn is_of_this_user(mount: &Mount) -> bool {
    mount.is_srcfs() && mount.user_id() == Some(geteuid().as_raw())
}

fn attempt(place: &Place, request: &MountRequest<'_>) -> Result<OwnedFd, MountError> {
    let device = device::open()?;
    let refused = match direct(&device, place, request) {
        Ok(()) => return Ok(device),
        // EACCES is how AppArmor says it, EPERM everybody else.
        Err(error @ (nix::Error::EPERM | nix::Error::EACCES)) => error,
        Err(error @ nix::Error::ENODEV) => return Err(MountError::NoDevice { error: error.into() }),
        Err(error) => return Err(MountError::system(format!("mount on {}", place.path.display()), error)),
    };
    drop(device);
    fusermount::mount(&place.path, request.source, request.options).map_err(|failure| match failure {
        Failure::Absent(why) if geteuid().is_root() => MountError::NotPermitted {
            said: format!("the kernel lets root not mount here ({}), and {why}", refused.desc()),
        },
        Failure::Absent(why) => MountError::NoFusermount { why },
        Failure::Said(said) if said.contains("not permitted") => MountError::NotPermitted { said },
        Failure::Said(said) => MountError::Refused { said },
        Failure::System(error) => MountError::system("run fusermount3", error),
    })
}

/// mount(2), on the very directory that was looked at.
fn direct(device: &OwnedFd, place: &Place, request: &MountRequest<'_>) -> nix::Result<()> {
    let mut flags = MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    if request.options.noexec {
        flags |= MsFlags::MS_NOEXEC;
    }
    // rootmode is octal: a directory. Documentation/filesystems/fuse.rst of the kernel.
    let mut data = format!(
        "fd={},rootmode=40000,user_id={},group_id={},default_permissions",
        device.as_raw_fd(),
        geteuid(),
        getegid()
    );
    if request.options.access != Access::Owner {
        data.push_str(",allow_other");
    }
    nix::mount::mount(Some(request.source), &place.by_handle(), Some(FS_TYPE), flags, Some(data.as_str()))
}

/// The mount that was just made, if it stands directly on the place that was looked at.
fn ours<'a>(place: &Place, before: &Table, after: &'a Table) -> Result<&'a Mount, MountError> {
    let mount = fresh(place, before, after).next().ok_or_else(|| {
        MountError::system("find the new mount in mountinfo", io::Error::from(io::ErrorKind::NotFound))
    })?;
    match after.by_id(mount.parent) {
        Some(other) if other.id != place.mount_id && other.mount_point == place.path => {
            // Somebody who does not take the lock was faster: ours must not cover theirs.
            Err(MountError::Foreign {
                directory: place.path.clone(),
                fs_type: other.fs_type.clone(),
                source: other.source.clone(),
            })
        }
        _ => Ok(mount),
    }
}

fn fresh<'a>(place: &Place, before: &Table, after: &'a Table) -> impl Iterator<Item = &'a Mount> {
    after.on(&place.path).filter(|mount| is_of_this_user(mount) && !before.iter().any(|old| old == *mount))
}

/// Detaches what an attempt that failed has mounted all the same.
fn take_back(place: &Place, before: &Table, after: Option<&Table>) {
    let Some(after) = after else {
        log::error!("cannot read mountinfo, so a dead mount may be left on {}", place.path.display());
        return;
    };
    for mount in fresh(place, before, after) {
        if after.topmost(&place.path).map(|top| top.id) != Some(mount.id) {
            continue;
        }
        if let Err(error) = unmounting::take_away(&place.path, true) {
            log::error!("a dead mount is left behind: {error}");
        }
    }
}

fn read(mounts: &mut mountinfo::Source) -> Result<Table, MountError> {
    mounts.read().map_err(|error| MountError::system("read mountinfo", error))
}
