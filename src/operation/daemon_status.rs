//! What a daemon knows, as it shows it in its mount: `.srcfs/status.json`.
//!
//! The daemon writes these types and the verbs read them. A field that a daemon of another version
//! does not write has its default; one that it adds is ignored.

use serde::{Deserialize, Serialize};

use super::Failure;
use super::mounts::Mounted;
use super::probe::{self, Answer, Ask};

/// The path of the file below the mount point.
pub const FILE: &str = ".srcfs/status.json";

/// What one daemon knows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DaemonStatus {
    /// The daemon's process id, in its own namespace.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// When it started, in seconds since 1970.
    pub started: u64,
    /// The views that it holds.
    pub views: Vec<ViewStatus>,
    /// What it fetches now.
    pub fetches: Vec<FetchStatus>,
    /// The last failures, newest first.
    pub errors: Vec<ErrorStatus>,
}

/// One view.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ViewStatus {
    /// Its path below the mount point.
    pub path: String,
    /// The text of its key.
    pub key: String,
    /// The reference it was asked for by.
    pub reference: String,
    /// The revision it shows; empty before it is materialized.
    pub revision: String,
    /// The generation it pins.
    pub generation: String,
    /// Whether this is what a new process sees under the path.
    pub newest: bool,
    /// Its first inode number.
    pub first_inode: u64,
    /// Its last inode number.
    pub last_inode: u64,
    /// References that the kernel holds into it.
    pub lookups: u64,
    /// Processes that keep seeing this view although it is not the newest.
    pub processes: Vec<u32>,
}

/// One running fetch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FetchStatus {
    /// The text of its key, with the reference.
    pub key: String,
    /// Bytes received.
    pub bytes: u64,
    /// Objects received.
    pub objects: u64,
    /// Objects expected; 0 if that is not known yet.
    pub total_objects: u64,
    /// Since when, in seconds.
    pub seconds: u64,
    /// Who asked for it.
    pub who: String,
}

/// One failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorStatus {
    /// When, in seconds since 1970.
    #[serde(default)]
    pub at: u64,
    /// The path below the mount point, or the key.
    #[serde(default)]
    pub path: String,
    /// What failed.
    #[serde(flatten)]
    pub failure: Failure,
}

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
