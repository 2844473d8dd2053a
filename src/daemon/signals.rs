//! SIGTERM and SIGINT: the first one unmounts and ends within a bound, the second one ends now.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};
use srcfs_mount::Monitor;
use srcfs_mount::mounting::{self, MountId};

use crate::error::{Error, Kind, Result};

/// How long readers that still hold something have after the first signal.
pub const GRACE: Duration = Duration::from_secs(4);

/// The signals that end a daemon, blocked in every thread.
pub(super) struct Signals(SigSet);

impl Signals {
    /// Blocks them in this thread and all that it starts later.
    pub(super) fn block() -> Result<Self> {
        let mut set = SigSet::empty();
        set.add(Signal::SIGTERM);
        set.add(Signal::SIGINT);
        // Without a terminal it means "read the configuration again", which happens by itself.
        set.add(Signal::SIGHUP);
        set.thread_block().map_err(|error| failed("block the signals that end the daemon", error))?;
        Ok(Signals(set))
    }

    /// Handles them on a thread of their own from now on.
    pub(super) fn handle(self, monitor: Monitor, directory: PathBuf, mount: MountId) -> Result<()> {
        std::thread::Builder::new()
            .name("srcfs-ends".to_owned())
            .spawn(move || self.wait(&monitor, &directory, &mount))
            .map(|_| ())
            .map_err(|error| Error::new(Kind::Exhausted, "start the thread of signals", error.to_string()))
    }

    fn wait(&self, monitor: &Monitor, directory: &Path, mount: &MountId) {
        let mut ending = false;
        loop {
            match self.0.wait() {
                Ok(Signal::SIGHUP) => {}
                Ok(signal) if ending => {
                    log::info!("{signal} again: ending now");
                    std::process::exit(1);
                }
                Ok(signal) => {
                    log::info!("{signal}: unmounting {}", directory.display());
                    ending = true;
                    if let Err(error) = end(monitor, directory, mount) {
                        log::error!("no thread can be started to end with: {error}; ending now");
                        std::process::exit(1);
                    }
                }
                Err(error) => {
                    log::error!("cannot wait for signals: {error}");
                    return;
                }
            }
        }
    }
}

/// Unmounts, and ends within the bound. The bound runs from the signal on, whatever unmounting waits
/// for, and the caller hears the next signal meanwhile.
fn end(monitor: &Monitor, directory: &Path, mount: &MountId) -> std::io::Result<()> {
    std::thread::Builder::new().name("srcfs-bound".to_owned()).spawn(|| {
        std::thread::sleep(GRACE);
        log::info!("readers are still there after {GRACE:?}: ending");
        std::process::exit(0);
    })?;
    let (monitor, directory, mount) = (monitor.clone(), directory.to_owned(), *mount);
    std::thread::Builder::new().name("srcfs-unmount".to_owned()).spawn(move || {
        // Whoever waits for a fetch is answered now; readers have until the bound.
        monitor.stop_waiting();
        if let Err(error) = mounting::unmount(&directory, Some(&mount), true) {
            log::warn!("{error}");
        }
    })?;
    Ok(())
}

fn failed(what: &str, error: nix::Error) -> Error {
    Error::new(Kind::Io, what, error.to_string())
}
