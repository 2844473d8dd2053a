//! Private directories in which sources prepare, each with a lease.
//!
//! The lease is a locked file. It is made and locked first, the directory second, and it goes last: so
//! a directory whose lease is free or absent belongs to nobody, and a reaper of any process may remove
//! it. A child that writes into the directory inherits the lease, which is then free only when the
//! child is gone too. A staging directory that is dropped is removed.
//!
//! Where hosts share the cache, what another host has locked need not be seen: so with leases the names
//! begin with the life of the process they belong to ([`super::lease::life`]), and a reaper leaves them
//! alone until that is over, or silent for as long as a pin would count.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::layout::{Layout, random_id};
use super::lease::life::Life;
use super::lock::{Locked, Mode};
use super::removal::{Grave, Removal};
use crate::error::{Error, Result};
use crate::fault;

const LEASE: &str = ".lease";

/// A private directory, ours until it is dropped.
#[derive(Debug)]
pub(super) struct Staging {
    lease: Locked,
    lease_path: PathBuf,
    directory: PathBuf,
    // Beats for as long as this lives.
    _life: Option<Arc<Life>>,
}

impl Staging {
    /// Makes a new, empty one.
    pub fn create(layout: &Layout) -> Result<Staging> {
        let staging = layout.staging();
        loop {
            let life = layout.lease().map(|lease| lease.life()).transpose()?;
            let id = match &life {
                Some(life) => format!("{}-{}", life.owner(), random_id()),
                None => random_id(),
            };
            let lease_path = staging.join(format!("{id}{LEASE}"));
            let failed = |error: io::Error| Error::io("create the lease", &lease_path, &error);
            let lease =
                File::options().read(true).write(true).create_new(true).open(&lease_path).map_err(failed)?;
            // Between making and locking, a reaper may have found it free and removed it.
            let Some(lease) = Locked::attempt(lease, &lease_path, Mode::Exclusive)? else { continue };
            if !lease.is_at(&lease_path)? {
                continue;
            }
            fault!("staging.leased")?;
            let directory = staging.join(&id);
            // From here on dropping it removes both.
            let staging = Staging { lease, lease_path, directory, _life: life };
            fs::DirBuilder::new()
                .mode(0o700)
                .create(&staging.directory)
                .map_err(|error| Error::io("create the staging directory", &staging.directory, &error))?;
            fault!("staging.created")?;
            return Ok(staging);
        }
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The lease, for a child to inherit.
    pub fn lease(&self) -> BorrowedFd<'_> {
        self.lease.file().as_fd()
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if let (Some(parent), Some(name)) = (self.directory.parent(), self.directory.file_name())
            && let Some(grave) = Grave::open(parent)
        {
            grave.remove(name);
        }
        if fault!("staging.removed").is_err() {
            return;
        }
        if let Err(error) = fs::remove_file(&self.lease_path)
            && error.kind() != io::ErrorKind::NotFound
        {
            log::warn!("could not remove {}: {error}", self.lease_path.display());
        }
    }
}

/// Removes what belongs to nobody; how many directories that were.
pub(super) fn reap(layout: &Layout) -> (u64, Removal) {
    let (mut count, mut removal) = (0, Removal::default());
    let staging = layout.staging();
    let Some(grave) = Grave::open(&staging) else { return (count, removal) };
    for entry in fs::read_dir(&staging).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            removal = removal.and(grave.remove(&name));
            continue;
        };
        let id = id_of(name);
        let lease_path = staging.join(format!("{id}{LEASE}"));
        if let (Some(lease), Some((owner, _))) = (layout.lease(), id.split_once('-'))
            && !lease.is_own(owner)
            && !lease.is_dead(owner)
        {
            continue;
        }
        match take_free_lease(&lease_path) {
            Lease::Held => continue,
            // A link or a directory in its place, or nothing, leases nothing.
            Lease::None => removal = removal.and(grave.remove(id.as_ref())).and(grave.remove(name.as_ref())),
            Lease::Free(lock) => {
                removal = removal.and(grave.remove(id.as_ref()));
                if fault!("reap.staging").is_err() {
                    continue;
                }
                removal = removal.and(grave.remove(format!("{id}{LEASE}").as_ref()));
                drop(lock);
            }
        }
        count += 1;
    }
    (count, removal)
}

/// Whether the staging directory of this id belongs to nobody: its lease is free or absent.
pub(super) fn is_orphan(layout: &Layout, id: &str) -> bool {
    !matches!(take_free_lease(&layout.staging().join(format!("{id}{LEASE}"))), Lease::Held)
}

/// The id of a staging directory, from its name or that of its lease.
pub(super) fn id_of(name: &str) -> &str {
    name.strip_suffix(LEASE).unwrap_or(name)
}

enum Lease {
    Held,
    Free(Locked),
    None,
}

fn take_free_lease(path: &Path) -> Lease {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = match File::options().read(true).write(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Lease::None,
        Err(error) if matches!(error.raw_os_error(), Some(libc::ELOOP | libc::EISDIR)) => return Lease::None,
        Err(error) => {
            log::warn!("left in staging: {} cannot be opened: {error}", path.display());
            return Lease::Held;
        }
    };
    match Locked::attempt(file, path, Mode::Exclusive) {
        Ok(Some(lock)) if lock.is_at(path).unwrap_or(false) => Lease::Free(lock),
        _ => Lease::Held,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn layout() -> (tempfile::TempDir, Layout) {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::open(directory.path(), &crate::config::locking::Locking::default()).unwrap();
        (directory, layout)
    }

    fn count(layout: &Layout) -> usize {
        fs::read_dir(layout.staging()).unwrap().count()
    }

    #[test]
    fn what_is_dropped_is_gone_and_what_lives_is_never_reaped() {
        let (_directory, layout) = layout();
        let staging = Staging::create(&layout).unwrap();
        fs::create_dir_all(staging.directory().join("a/b")).unwrap();
        assert_eq!(reap(&layout).0, 0);
        assert!(staging.directory().join("a/b").exists());
        drop(staging);
        assert_eq!(count(&layout), 0);
    }

    #[test]
    fn what_a_dead_process_left_is_reaped() {
        let (_directory, layout) = layout();
        let staging = Staging::create(&layout).unwrap();
        fs::write(staging.directory().join("file"), "x").unwrap();
        // What SIGKILL does: the lock goes, nothing else.
        staging.lease.file().unlock().unwrap();
        std::mem::forget(staging);
        // And one killed between the two steps, and one whose lease was removed by hand.
        fs::write(layout.staging().join("lonely.lease"), "").unwrap();
        fs::create_dir(layout.staging().join("unleased")).unwrap();
        assert!(reap(&layout).0 >= 3);
        assert_eq!(count(&layout), 0);
    }

    #[test]
    fn with_leases_what_another_host_stages_is_left_for_as_long_as_it_shows_that_it_lives() {
        use crate::config::locking::{Backend, LeaseTimes, Locking};
        use std::time::Duration;
        let (stale, heartbeat) = (Duration::from_millis(600), Duration::from_millis(50));
        let lease = LeaseTimes::new(stale, Some(heartbeat), Some(stale)).unwrap();
        let locking = Locking { backend: Some(Backend::Lease), lease };
        let directory = tempfile::tempdir().unwrap();
        let open = || Layout::open(directory.path(), &locking).unwrap();
        let (host, other) = (open(), open());
        let staging = Staging::create(&host).unwrap();
        // Another host does not see what the kernel of this one has locked.
        staging.lease.file().unlock().unwrap();
        let started = std::time::Instant::now();
        while started.elapsed() < stale * 2 {
            assert_eq!(reap(&other).0, 0);
            std::thread::sleep(heartbeat);
        }
        assert!(staging.directory().exists());
        // What SIGKILL does: nothing is said any more, and nothing removed.
        let life = fs::read_dir(directory.path().join("v1/alive")).unwrap().next().unwrap().unwrap();
        let content = fs::read(life.path()).unwrap();
        std::mem::forget(staging);
        drop(host);
        fs::write(life.path(), content).unwrap();
        while reap(&other).0 == 0 {
            assert!(started.elapsed() < Duration::from_secs(60));
            std::thread::sleep(heartbeat);
        }
        assert_eq!(count(&other), 0);
    }

    #[test]
    fn planted_links_are_removed_and_never_followed() {
        let (_directory, layout) = layout();
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("precious"), "x").unwrap();
        symlink(outside.path(), layout.staging().join("dir")).unwrap();
        symlink(outside.path().join("precious"), layout.staging().join("dir.lease")).unwrap();
        symlink(outside.path().join("absent"), layout.staging().join("other.lease")).unwrap();
        reap(&layout);
        assert_eq!(count(&layout), 0);
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_staging_directory_replaced_by_a_link_is_not_reaped() {
        let (directory, layout) = layout();
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("precious"), "x").unwrap();
        fs::remove_dir(layout.staging()).unwrap();
        symlink(outside.path(), directory.path().join("v1/staging")).unwrap();
        reap(&layout);
        assert!(outside.path().join("precious").exists());
    }
}
