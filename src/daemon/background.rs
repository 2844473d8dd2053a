//! Starting a daemon and returning when its mount answers.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use super::Announcement;
use crate::error::{Error, Kind, Result};

/// Starts this program again with `arguments`, which must make it a daemon in the foreground that
/// announces itself, and waits for what it says.
///
/// Fails if it cannot be started or ends without a word.
pub fn start(arguments: impl IntoIterator<Item = OsString>) -> Result<Announcement> {
    let failed = |error: &std::io::Error| Error::new(Kind::Io, "start the daemon", error.to_string());
    #[allow(clippy::disallowed_methods, reason = "it starts srcfs itself, not git")]
    // Not the path of the program: that may have been replaced since.
    let mut command = Command::new("/proc/self/exe");
    let mut daemon = command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| failed(&error))?;
    let mut line = String::new();
    if let Some(output) = daemon.stdout.take() {
        BufReader::new(output).read_line(&mut line).map_err(|error| failed(&error))?;
    }
    match serde_json::from_str(&line) {
        Ok(announcement) => Ok(announcement),
        Err(_) => {
            let ended = daemon.wait().map_err(|error| failed(&error))?;
            Err(Error::new(Kind::Io, "start the daemon", format!("it ended without a word, with {ended}"))
                .hint("run srcfs mount --foreground -v to see more"))
        }
    }
}

/// Leaves the session of whoever started this process, so that the daemon outlives its terminal.
pub fn leave_session() {
    // It fails only for a process that leads its group already, which is then detached enough.
    let _ = nix::unistd::setsid();
}
