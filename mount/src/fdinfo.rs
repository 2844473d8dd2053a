//! What `/proc/<pid>/fdinfo/<fd>` tells of an open file: the mount it was opened through and its inode.
//!
//! The kernel answers from its own memory, without asking the file system: this works on a mount whose
//! daemon hangs or is dead, and for a mount that is detached and so is in no mountinfo any more. It
//! reads `/proc` and calls nothing else. See proc_pid_fdinfo(5).

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

/// The mount and the inode of one open file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FdInfo {
    /// The id of the mount, as the first field of mountinfo.
    pub(crate) mount_id: u64,
    /// The inode number; 0 on kernels before 5.14, which do not tell it.
    pub(crate) ino: u64,
}

impl FdInfo {
    /// Of a descriptor of this process. `thread-self`, because `self` is empty once the first thread
    /// of the process has ended.
    pub(crate) fn of(descriptor: impl AsFd) -> io::Result<Self> {
        let path = format!("/proc/thread-self/fdinfo/{}", descriptor.as_fd().as_raw_fd());
        Self::read(Path::new(&path))?.ok_or_else(|| {
            io::Error::new(io::ErrorKind::Unsupported, format!("{path} names no mount (Linux 3.15 or later)"))
        })
    }

    /// Of any file in a `fdinfo` directory; `None` if it names no mount.
    pub(crate) fn read(path: &Path) -> io::Result<Option<Self>> {
        Ok(Self::parse(&fs::read_to_string(path)?))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut mount_id = None;
        let mut ino = 0;
        for line in text.lines() {
            let Some((key, value)) = line.split_once(':') else { continue };
            match key {
                "mnt_id" => mount_id = value.trim().parse().ok(),
                "ino" => {
                    ino = value.trim().parse().unwrap_or(0);
                    // What a driver adds stands after the general fields and may reuse their names.
                    break;
                }
                _ => {}
            }
        }
        Some(FdInfo { mount_id: mount_id?, ino })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_general_fields_are_read_and_a_drivers_own_are_not() {
        let text = "pos:\t0\nflags:\t02000000\nmnt_id:\t27\nino:\t4026\ninotify wd:1 ino:9 sdev:3\nino:\t1\n";
        assert_eq!(FdInfo::parse(text), Some(FdInfo { mount_id: 27, ino: 4026 }));
        assert_eq!(FdInfo::parse("pos:\t0\nmnt_id:\t5\n"), Some(FdInfo { mount_id: 5, ino: 0 }));
        assert_eq!(FdInfo::parse("pos:\t0\nino:\t5\n"), None);
        assert_eq!(FdInfo::parse(""), None);
    }

    #[test]
    fn a_descriptor_of_our_own_is_found() {
        use std::os::unix::fs::MetadataExt;
        let file = tempfile::tempfile().unwrap();
        assert_eq!(FdInfo::of(&file).unwrap().ino, file.metadata().unwrap().ino());
    }
}
