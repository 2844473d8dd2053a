//! Which file systems can hold a cache: those on which a file lock means one machine's kernel.
//!
//! On a network file system a lock may be local to the client, or lost without notice; two hosts
//! would then fetch and publish at once. Such a cache is refused until there is a backend for it.

use std::path::Path;

use nix::sys::statfs::statfs;

use crate::error::{Error, Kind, Result};

/// The magic numbers of statfs(2) (linux/magic.h and the file systems' own headers).
const NETWORK: &[(u32, &str)] = &[
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB2"),
    (0x0102_1997, "9p"),
    (0x6573_5546, "FUSE"),
    (0x5346_414f, "AFS"),
    (0x6b41_4653, "AFS"),
    (0x7375_7245, "Coda"),
    (0x00c3_6400, "Ceph"),
    (0x564c, "NCP"),
    (0x0116_1970, "GFS2"),
    (0x7461_636f, "OCFS2"),
    (0x0bd0_0bd0, "Lustre"),
    (0x4750_4653, "GPFS"),
    (0x1983_0326, "BeeGFS"),
    (0xaad7_aaea, "PanFS"),
    (0x2003_0528, "OrangeFS"),
    (0xbacb_acbc, "a VMware shared folder"),
    (0x786f_4256, "a VirtualBox shared folder"),
];

fn network_name(magic: u32) -> Option<&'static str> {
    NETWORK.iter().find(|(number, _)| *number == magic).map(|(_, name)| *name)
}

/// Fails with [`Kind::Unsupported`] if `directory` is on a network file system.
pub fn refuse_network(directory: &Path) -> Result<()> {
    let found = statfs(directory).map_err(|error| {
        Error::io("look at the file system of the cache directory", directory, &std::io::Error::from(error))
    })?;
    // The width and sign of the field differ between platforms; every magic number has 32 bits.
    #[allow(clippy::unnecessary_cast)]
    let magic = found.filesystem_type().0 as u32;
    let Some(name) = network_name(magic) else { return Ok(()) };
    let what = format!("use the cache directory {}", directory.display());
    let why = format!("it is on {name}, where file locks cannot be trusted until the lease backend exists");
    Err(Error::new(Kind::Unsupported, what, why).hint("choose a directory on a local disk with --cache-dir"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_known_by_number() {
        assert_eq!(network_name(0x6969), Some("NFS"));
        assert_eq!(network_name(libc::FUSE_SUPER_MAGIC as u32), Some("FUSE"));
        assert_eq!(network_name(libc::NFS_SUPER_MAGIC as u32), Some("NFS"));
        assert_eq!(network_name(libc::AFS_SUPER_MAGIC as u32), Some("AFS"));
        assert_eq!(network_name(libc::CODA_SUPER_MAGIC as u32), Some("Coda"));
        assert_eq!(network_name(libc::SMB_SUPER_MAGIC as u32), Some("SMB"));
        assert_eq!(network_name(libc::NCP_SUPER_MAGIC as u32), Some("NCP"));
        for local in [
            libc::EXT4_SUPER_MAGIC,
            libc::TMPFS_MAGIC,
            libc::BTRFS_SUPER_MAGIC,
            libc::XFS_SUPER_MAGIC,
            libc::OVERLAYFS_SUPER_MAGIC,
        ] {
            assert_eq!(network_name(local as u32), None);
        }
    }

    #[test]
    fn the_disk_of_this_test_is_local() {
        refuse_network(tempfile::tempdir().unwrap().path()).unwrap();
    }
}
