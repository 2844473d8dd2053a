//! What a daemon knows, as it shows it in its mount: `.srcfs/status.json`.
//!
//! The types are the daemon's: [`crate::view::status`].

use super::mounts::Mounted;
use super::probe::{self, Answer, Ask};
pub use crate::view::journal::{ErrorStatus, FetchStatus};
pub use crate::view::status::{DaemonStatus, ViewStatus};

/// The path of the file below the mount point.
pub const FILE: &str = ".srcfs/status.json";

/// A mount and what its daemon says.
#[derive(Clone, Debug)]
pub struct Daemon {
    /// The mount.
    pub mounted: Mounted,
    /// What it says, or why it says nothing.
    pub status: Result<DaemonStatus, String>,
}

/// Asks the daemons of all `mounts` at once.
pub fn read(mounts: &[Mounted]) -> Vec<Daemon> {
    let paths: Vec<_> = mounts.iter().map(|mounted| mounted.mount_point.join(FILE)).collect();
    let answers = probe::ask(Ask::Read, &paths);
    mounts
        .iter()
        .zip(answers)
        .map(|(mounted, answer)| Daemon {
            mounted: mounted.clone(),
            status: match answer {
                Answer::Found(bytes) => serde_json::from_slice(&bytes)
                    .map_err(|error| format!("its status cannot be understood: {error}")),
                other => Err(other.describe()),
            },
        })
        .collect()
}
