//! Which locks suit the file system that a cache is on.
//!
//! On a local disk a lock of the kernel is all that is needed. On a network file system it may be local
//! to the client, or lost without notice; two hosts would then fetch and publish at once. There leases
//! are used, unless the user knows better and says so.

use std::path::Path;

use nix::sys::statfs::statfs;

use super::layout::recorded_backend;
use crate::config::locking::Backend;
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

/// The name of the network file system that `directory` is on; `None` if it is on a local one.
pub fn network(directory: &Path) -> Result<Option<&'static str>> {
    let found = statfs(directory).map_err(|error| {
        Error::io("look at the file system of the cache directory", directory, &std::io::Error::from(error))
    })?;
    // The width and sign of the field differ between platforms; every magic number has 32 bits.
    #[allow(clippy::unnecessary_cast)]
    let magic = found.filesystem_type().0 as u32;
    Ok(network_name(magic))
}

/// The backend of the cache that is, or will be made, in `root`, or below it if that is not there.
///
/// Fails if it cannot be used that way.
pub fn backend(root: &Path, wanted: Option<Backend>) -> Result<Backend> {
    let existing = root.ancestors().find(|path| path.is_dir()).unwrap_or(root);
    choose(root, network(existing)?, recorded_backend(root)?.as_deref(), wanted)
}

/// What the locks of the cache in `root`, on the file system `network` if that is one, are: as
/// `recorded`, which must be what is `wanted`; for a new one as `wanted`, or what suits.
pub(super) fn choose(
    root: &Path,
    network: Option<&str>,
    recorded: Option<&str>,
    wanted: Option<Backend>,
) -> Result<Backend> {
    let what = || format!("use the cache {}", root.display());
    let refused = |why: String, hint: String| Err(Error::new(Kind::Unsupported, what(), why).hint(hint));
    let Some(recorded) = recorded.map(str::trim_end) else {
        return Ok(wanted.unwrap_or(match network {
            Some(_) => Backend::Lease,
            None => Backend::Kernel,
        }));
    };
    let Some(backend) = Backend::parse(recorded) else {
        let why = format!("its v1/lock-backend says {recorded:?}, which this srcfs does not have");
        return refused(why, "choose another --cache-dir, or a srcfs that has that backend".to_owned());
    };
    match (wanted, network) {
        (Some(wanted), _) if wanted != backend => refused(
            format!(
                "it was made for lock = {recorded:?} (v1/lock-backend), and the configuration says lock = \"{wanted}\"; \
                 the two keep nobody out of each other's way"
            ),
            "remove `lock` from the configuration to use it as it is; or choose another --cache-dir; or remove \
             this cache while no srcfs uses it on any host"
                .to_owned(),
        ),
        // Made on the disk of one host, and now seen from another.
        (None, Some(network)) if backend == Backend::Kernel => refused(
            format!(
                "it was made for lock = \"kernel\", and here it is on {network}, where such locks may not reach \
                 other hosts"
            ),
            "choose a directory on a local disk with --cache-dir; or say lock = \"kernel\" in the configuration \
             if you know that no other host uses it"
                .to_owned(),
        ),
        _ => Ok(backend),
    }
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
    fn what_is_recorded_and_what_is_wanted_must_agree_and_a_new_cache_gets_what_suits() {
        use Backend::{Kernel, Lease};
        let choose = |network, recorded, wanted| choose(Path::new("/cache"), network, recorded, wanted);
        for (network, recorded, wanted, chosen) in [
            (None, None, None, Kernel),
            (Some("NFS"), None, None, Lease),
            (Some("FUSE"), None, Some(Kernel), Kernel),
            (None, None, Some(Lease), Lease),
            (None, Some("lease\n"), None, Lease),
            (Some("NFS"), Some("kernel\n"), Some(Kernel), Kernel),
            (Some("NFS"), Some("lease"), None, Lease),
        ] {
            assert_eq!(
                choose(network, recorded, wanted).unwrap(),
                chosen,
                "{network:?} {recorded:?} {wanted:?}"
            );
        }
        for (network, recorded, wanted, named) in [
            (None, "kernel\n", Some(Lease), "lock = \"lease\""),
            (None, "lease\n", Some(Kernel), "lock = \"kernel\""),
            (None, "", None, "\"\""),
            (None, "quantum", Some(Kernel), "quantum"),
            // Made on one host's disk, seen from another: nobody has said that this is right.
            (Some("NFS"), "kernel", None, "NFS"),
        ] {
            let error = choose(network, Some(recorded), wanted).unwrap_err();
            assert_eq!(error.kind(), Kind::Unsupported);
            assert!(error.to_string().contains(named), "{error}");
            assert!(error.advice().unwrap().contains("--cache-dir"), "{error}");
        }
    }

    #[test]
    fn the_disk_of_this_test_is_local_and_gets_locks_of_the_kernel() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(network(directory.path()).unwrap(), None);
        assert_eq!(backend(&directory.path().join("new"), None).unwrap(), Backend::Kernel);
        assert_eq!(backend(&directory.path().join("new"), Some(Backend::Lease)).unwrap(), Backend::Lease);
    }
}
