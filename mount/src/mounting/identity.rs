//! Which mount is meant, beyond the reuse of numbers.
//!
//! The kernel gives a free mount id and a free device number to the very next mount: after an external
//! umount another file system on the same path gets the id of ours (seen). Linux 6.8 has a second id
//! that is never reused, and that one decides; before, type, id and device together must agree, which
//! leaves one srcfs mistaken for another on the same path.

use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

use super::place::Place;
use crate::mountinfo::{Device, Mount};

/// Names one mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MountId {
    /// Its id in mountinfo and fdinfo.
    pub id: u64,
    /// The `st_dev` of its files.
    pub device: Device,
    /// The id that is never reused (STATX_MNT_ID_UNIQUE), where the kernel has it.
    pub unique: Option<u64>,
}

impl MountId {
    /// Of a mount that is topmost on `path` just now.
    pub(super) fn of(mount: &Mount, path: &Path) -> Self {
        match Place::open(path) {
            Ok(place) if place.mount_id == mount.id => Self::of_place(mount, &place),
            // Out of descriptors: the two numbers must do.
            _ => MountId { id: mount.id, device: mount.device, unique: None },
        }
    }

    /// Of the mount whose root `place` is.
    pub(super) fn of_place(mount: &Mount, place: &Place) -> Self {
        MountId { id: mount.id, device: mount.device, unique: unique_id(place) }
    }

    /// Whether the mount whose root `place` is, which mountinfo tells of as `mount`, is this one.
    pub(super) fn names(&self, place: &Place, mount: &Mount) -> bool {
        let unique = match self.unique {
            Some(unique) => unique_id(place) == Some(unique),
            None => true,
        };
        unique && self.may_be(mount)
    }

    /// Whether a mount has the numbers of this one; they may be reused.
    pub(super) fn may_be(&self, mount: &Mount) -> bool {
        mount.is_srcfs() && mount.id == self.id && mount.device == self.device
    }
}

/// The unique id of the mount a place lies in. `None` before Linux 6.8, and for a FUSE mount of
/// another user, which answers nothing.
fn unique_id(place: &Place) -> Option<u64> {
    let handle = place.as_fd();
    let mut buffer = std::mem::MaybeUninit::<libc::statx>::zeroed();
    // Nothing of the file itself is asked for, so its file system is not asked either.
    // SAFETY: the path is a constant C string, the descriptor is open for as long as `place` is
    // borrowed, and the buffer is a statx the kernel may write to.
    let done = unsafe {
        libc::statx(
            handle.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | libc::AT_STATX_DONT_SYNC,
            libc::STATX_MNT_ID_UNIQUE,
            buffer.as_mut_ptr(),
        )
    };
    if done != 0 {
        return None;
    }
    // SAFETY: a statx of zeros is a value of its type, and the kernel has filled it in.
    let statx = unsafe { buffer.assume_init() };
    (statx.stx_mask & libc::STATX_MNT_ID_UNIQUE != 0).then_some(statx.stx_mnt_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mountinfo::Table;

    #[test]
    fn every_mount_has_a_name_of_its_own_and_other_types_are_never_ours() {
        let table = Table::read().unwrap();
        let path = Path::new("/proc");
        let place = Place::open(path).unwrap();
        let mount = place.mounted(&table).unwrap();
        let id = MountId::of(mount, path);
        assert_eq!((id.id, id.device), (mount.id, mount.device));
        assert!(!id.names(&place, mount), "proc is no srcfs, whatever its numbers");
        let srcfs = Mount { fs_type: crate::mountinfo::FS_TYPE.into(), ..mount.clone() };
        assert!(id.names(&place, &srcfs));
        if let Some(unique) = id.unique {
            assert!(!MountId { unique: Some(unique + 1), ..id }.names(&place, &srcfs));
        } else {
            eprintln!("not tested: this kernel has no unique mount ids (Linux 6.8)");
        }
        assert!(!MountId { id: id.id + 1, unique: None, ..id }.names(&place, &srcfs));
    }
}
