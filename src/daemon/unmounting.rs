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
    let pid = daemons.iter().find_map(|daemon| daemon.status.as_ref().ok()).map(|status| status.pid);
    // Looked up before the mount is gone, so that it cannot be a later process of that number.
    let daemon = pid.and_then(Identity::of_thread);
    let readers = Readers::find(&daemons);
    mounting::unmount(&directory, None, true).map_err(Failed::Unmount)?;
    let ended = force && end(daemon)?;
    Ok(Unmounted {
        mount_point: directory,
        readers: readers.of(true, |_| true),
        hidden: readers.hidden,
        ended,
    })
}

/// Tells a daemon to end and waits until it has.
fn end(daemon: Option<Identity>) -> Result<bool, Error> {
    let Some(daemon) = daemon else { return Ok(false) };
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
