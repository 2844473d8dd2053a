//! Taking a mount away, from outside of its daemon.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Serialize;
use srcfs_mount::mounting::{self, UnmountError};
use srcfs_mount::process::{self, Identity};

use crate::error::{Error, Kind};
use crate::operation::daemon_status;
use crate::operation::mounts;
use crate::operation::readers::{Reader, Readers};

/// How long a daemon that was told to end may take.
const BOUND: Duration = Duration::from_secs(6);

/// What came of unmounting.
#[derive(Clone, Debug, Serialize)]
pub struct Unmounted {
    /// Where it was.
    pub mount_point: PathBuf,
    /// Who still reads; the daemon serves them until they close.
    pub readers: Vec<Reader>,
    /// Processes that this user may not look into.
    pub hidden: usize,
    /// Whether the daemon was told to end and did.
    pub ended: bool,
    /// Why the daemon was not told to end although that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_told: Option<&'static str>,
}

/// Why it is still mounted.
#[derive(Debug)]
pub enum Failed {
    /// It could not be unmounted.
    Unmount(UnmountError),
    /// Anything else.
    Other(Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Failed::Other(error)
    }
}

/// Detaches the mount at `directory`. A busy one is served on to the last close; with `force` its daemon
/// ends within a few seconds instead.
pub fn unmount(directory: &Path, force: bool) -> Result<Unmounted, Failed> {
    let directory = mounting::absolute(directory).map_err(|error| Error::io("find", directory, &error))?;
    let all = mounts::all()?;
    let mounted: Vec<_> = all.into_iter().filter(|mounted| mounted.mount_point == directory).collect();
    let daemons = daemon_status::read(&mounted);
    // Looked at before the mount is gone, so that it cannot be a later process of that number.
    let daemon = daemons.iter().find_map(|daemon| {
        let status = daemon.status.as_ref().ok()?;
        Some(found(status.pid, daemon.mounted.user))
    });
    let readers = Readers::find(&daemons);
    mounting::unmount(&directory, None, true).map_err(Failed::Unmount)?;
    let (ended, not_told) = match daemon.filter(|_| force) {
        Some(Ok(daemon)) => (end(daemon)?, None),
        Some(Err(why)) => (false, Some(why)),
        None => (false, None),
    };
    Ok(Unmounted {
        mount_point: directory,
        readers: readers.of(true, |_| true),
        hidden: readers.hidden,
        ended,
        not_told,
    })
}

/// The daemon that a mount of `user` names as `pid`, or why that is not believed. Whoever serves a mount
/// writes what it likes into it, also the number of a process that it could never end itself; and a
/// daemon in a container tells a number that is somebody else's here.
fn found(pid: u32, user: Option<u32>) -> Result<Identity, &'static str> {
    let daemon = Identity::of_thread(pid).filter(|daemon| daemon.tgid == pid);
    let daemon = daemon.ok_or("it cannot be seen from here")?;
    if user.is_none() || real_user(pid) != user {
        return Err("the process that it says it is belongs to another user than the mount");
    }
    let namespace = |of: &str| std::fs::read_link(format!("/proc/{of}/ns/pid")).ok();
    let own = namespace("self");
    if own.is_none() || namespace(&pid.to_string()) != own {
        return Err("it runs in another pid namespace");
    }
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    // The text of the link alone: opening what it leads to could hang.
    let mut targets = descriptors.filter_map(|descriptor| std::fs::read_link(descriptor.path()).ok());
    if !targets.any(|target| target == Path::new("/dev/fuse")) {
        return Err("the process that it says it is serves no file system");
    }
    Ok(daemon)
}

/// The real user of a process: the first number of `Uid:` in its status.
fn real_user(pid: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// Tells a daemon to end and waits until it has.
fn end(daemon: Identity) -> Result<bool, Error> {
    let pid = Pid::from_raw(i32::try_from(daemon.tgid).unwrap_or(i32::MAX));
    let deadline = Instant::now() + BOUND;
    if let Err(error) = kill(pid, Signal::SIGTERM)
        && error != nix::Error::ESRCH
    {
        return Err(Error::new(Kind::Denied, format!("end the daemon {pid}"), error.to_string()));
    }
    while process::is_alive(daemon) {
        if Instant::now() >= deadline {
            // It was told and did not listen; nothing of the cache depends on how a process ends.
            let _ = kill(pid, Signal::SIGKILL);
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_process_that_serves_a_file_system_of_that_user_is_believed_to_be_the_daemon() {
        let (own, user) = (std::process::id(), nix::unistd::getuid().as_raw());
        assert_eq!(real_user(own), Some(user));
        assert!(found(0, Some(user)).is_err() && found(u32::MAX, Some(user)).is_err());
        assert!(found(own, None).unwrap_err().contains("another user"));
        assert!(found(own, Some(user + 1)).unwrap_err().contains("another user"));
        assert!(found(own, Some(user)).unwrap_err().contains("no file system"));
        // A thread's number is not a process's.
        let thread = std::thread::spawn(|| nix::unistd::gettid().as_raw()).join().unwrap();
        assert!(found(thread.cast_unsigned(), Some(user)).is_err());
        if let Ok(_device) = std::fs::File::options().read(true).write(true).open("/dev/fuse") {
            assert_eq!(found(own, Some(user)), Identity::of_thread(own).ok_or(""));
        }
    }
}
