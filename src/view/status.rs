//! `.srcfs/`: what a mount tells about itself, as files.
//!
//! There is no other way to ask a daemon: whoever can read the mount can read its status, and a verb
//! works the same with no daemon, one or four.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use srcfs_mount::{ViewReport, WaitingReport};

use super::SourceTree;
pub use super::guard::WalkerStatus;
use super::journal::{ErrorStatus, FetchStatus};

/// The files in `.srcfs/`.
pub const FILES: [&str; 2] = ["errors.json", "status.json"];

/// What does not change about a daemon.
#[derive(Clone, Debug)]
pub struct About {
    /// Where the mount is.
    pub directory: PathBuf,
    /// When the daemon started.
    pub started: SystemTime,
}

/// The content of `.srcfs/status.json`. A field that a daemon of another version does not write has its
/// default; one that it adds is ignored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DaemonStatus {
    /// The daemon's process id, in its own namespace.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// Where it is mounted.
    pub mount: String,
    /// When it started, in seconds since 1970.
    pub started: u64,
    /// The directory of its cache.
    pub cache: String,
    /// What is wrong with the configuration file, if its last change was refused.
    pub configuration_problem: Option<String>,
    /// The views that it holds.
    pub views: Vec<ViewStatus>,
    /// What it resolves or fetches now.
    pub fetches: Vec<FetchStatus>,
    /// Requests that wait for a slow answer.
    pub waiting: Vec<WaitingStatus>,
    /// Processes that were refused a fetch, because they caused too many.
    pub walkers: Vec<WalkerStatus>,
    /// Requests received since the start, by kind.
    pub requests: BTreeMap<String, u64>,
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
    /// The generation it pins; empty before it is materialized.
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

/// A waiting request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WaitingStatus {
    /// The calling thread.
    pub tid: u32,
    /// For how long.
    pub seconds: f64,
}

impl About {
    /// The content of a file in `.srcfs/`; none for a name that is not one of [`FILES`].
    pub(super) fn file(&self, name: &str, tree: &SourceTree) -> Option<Vec<u8>> {
        let mut content = match name {
            "status.json" => serde_json::to_vec_pretty(&self.status(tree)),
            "errors.json" => serde_json::to_vec_pretty(&tree.shared().journal.failures()),
            _ => return None,
        }
        .unwrap_or_default();
        content.push(b'\n');
        Some(content)
    }

    fn status(&self, tree: &SourceTree) -> DaemonStatus {
        let shared = tree.shared();
        let report = tree.mount_report();
        let waiting = |waiting: &WaitingReport| WaitingStatus { tid: waiting.tid, seconds: waiting.seconds };
        DaemonStatus {
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            mount: self.directory.display().to_string(),
            started: self.started.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs()),
            cache: shared.cache.directory().display().to_string(),
            configuration_problem: tree.configuration_problem().map(|problem| problem.to_string()),
            views: report.views.into_iter().map(|view| view_status(tree, view)).collect(),
            fetches: shared.journal.fetching(),
            waiting: report.waiting.iter().map(waiting).collect(),
            walkers: shared.guard.walkers(),
            requests: report.requests.into_iter().map(|(kind, count)| (kind.to_owned(), count)).collect(),
            errors: shared.journal.failures(),
        }
    }
}

fn view_status(tree: &SourceTree, view: ViewReport) -> ViewStatus {
    let binding = tree.binding(view.id);
    let shown = binding.as_ref().and_then(|binding| binding.shown()).unwrap_or_default();
    ViewStatus {
        path: view.path,
        key: binding.as_ref().map(|binding| binding.what().key.to_string()).unwrap_or_default(),
        reference: binding.as_ref().map(|binding| binding.what().reference.to_string()).unwrap_or_default(),
        generation: if view.open { shown.generation } else { String::new() },
        revision: if view.open { shown.revision } else { String::new() },
        newest: view.newest,
        first_inode: view.inodes.0,
        last_inode: view.inodes.1,
        lookups: view.references,
        processes: view.kept,
    }
}
