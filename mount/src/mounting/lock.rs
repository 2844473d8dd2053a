//! One process at a time looks at and changes what is mounted in a directory.
//!
//! The lock is a name in the kernel: an abstract unix socket, free the moment its holder dies, with
//! nothing on any disk. Its key is the *parent* directory of the mount point (device and inode) in this
//! mount namespace. The mount point itself cannot be the key: once covered, its name leads to another
//! inode, and whoever opened it before and after would lock two different things; and a lock file or a
//! flock on the parent fails where it is not readable or on NFS.
//!
//! Taking the lock says nothing about mounts: who holds it looks at mountinfo again. Whoever shares
//! the mount namespace but not the network namespace does not share the lock; for them the look after
//! the mount (in `mounting`) is what is left. Nothing proceeds unlocked.

use std::fs;
use std::io;
use std::os::linux::fs::MetadataExt;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// The lock, held until it is dropped. Its descriptor is closed on exec; a child between fork and exec
/// may keep it for a moment longer.
#[derive(Debug)]
pub(super) struct Lock {
    _name: UnixDatagram,
}

impl Lock {
    /// Waits for the lock of the mount point `path` (canonical) up to `bound`; `None` if somebody holds
    /// it that long.
    pub(super) fn acquire(path: &Path, bound: Duration) -> io::Result<Option<Self>> {
        let name = name_of(path)?;
        let address = SocketAddr::from_abstract_name(name.as_bytes())?;
        let start = Instant::now();
        loop {
            match UnixDatagram::bind_addr(&address) {
                Ok(socket) => return Ok(Some(Lock { _name: socket })),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => return Err(error),
            }
            if start.elapsed() >= bound {
                return Ok(None);
            }
            // Holders need milliseconds; there is no way to wait for a name.
            thread::sleep(Duration::from_millis(10));
        }
    }
}

fn name_of(path: &Path) -> io::Result<String> {
    let parent = fs::metadata(path.parent().unwrap_or(path))?;
    let namespace = fs::metadata("/proc/thread-self/ns/mnt")?;
    Ok(format!("srcfs-mount/{}/{}/{}", namespace.st_ino(), parent.st_dev(), parent.st_ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time_and_free_when_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("m");
        let held = Lock::acquire(&place, Duration::ZERO).unwrap();
        assert!(held.is_some());
        assert!(Lock::acquire(&place, Duration::ZERO).unwrap().is_none());
        assert!(Lock::acquire(&directory.path().join("deeper/m"), Duration::ZERO).is_err(), "no such parent");
        drop(held);
        assert!(Lock::acquire(&place, Duration::from_secs(10)).unwrap().is_some());
    }
}
