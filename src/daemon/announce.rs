//! Saying that the mount answers: to whoever started the daemon, and to a service manager.

use std::io::Write;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::environment::Environment;
use crate::error::{Error, Failure};

/// The one line that a daemon in the background writes to whoever started it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Announcement {
    /// The mount answers.
    Ready {
        /// Where it is.
        directory: PathBuf,
        /// The daemon's process id.
        pid: u32,
    },
    /// There is no mount.
    Failed {
        /// What the program should end with.
        exit_code: u8,
        /// Why.
        failure: Failure,
    },
}

impl Announcement {
    /// That there is no mount, because of `error`.
    pub fn failed(exit_code: u8, error: &Error) -> Self {
        Announcement::Failed { exit_code, failure: Failure::from(error) }
    }

    /// Writes it to standard output.
    pub fn send(&self) {
        let mut line = serde_json::to_string(self).unwrap_or_default();
        line.push('\n');
        // If nobody reads it any more, the daemon goes on: it was asked for.
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
    }
}

/// Says that the mount at `directory` answers, then lets go of the terminal.
pub(super) fn ready(directory: &Path) {
    Announcement::Ready { directory: directory.to_owned(), pid: std::process::id() }.send();
    let null = match std::fs::File::options().read(true).write(true).open("/dev/null") {
        Ok(null) => null,
        Err(error) => return log::warn!("cannot let go of the terminal: open /dev/null: {error}"),
    };
    let released = nix::unistd::dup2_stdin(&null)
        .and_then(|()| nix::unistd::dup2_stdout(&null))
        .and_then(|()| nix::unistd::dup2_stderr(&null));
    if let Err(error) = released {
        log::warn!("cannot let go of the terminal: {error}");
    }
}

/// Tells the service manager that waits on `NOTIFY_SOCKET`, if one does. See sd_notify(3).
pub(super) fn to_service_manager(environment: &Environment) {
    let Some(name) = &environment.notify_socket else { return };
    let address = match name.as_bytes() {
        [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest),
        _ => SocketAddr::from_pathname(name),
    };
    let sent = address.and_then(|address| {
        let socket = UnixDatagram::unbound()?;
        socket.send_to_addr(format!("READY=1\nMAINPID={}\n", std::process::id()).as_bytes(), &address)
    });
    if let Err(error) = sent {
        log::warn!("cannot tell the service manager that the mount answers: {error}");
    }
}
