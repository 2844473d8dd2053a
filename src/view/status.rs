//! `.srcfs/`: what a mount tells about itself, as files.
//!
//! There is no other way to ask a daemon: whoever can read the mount can read its status, and a verb
//! works the same with no daemon, one or four.

use std::path::PathBuf;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::SourceTree;
use super::journal::Fetching;

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

/// The content of `.srcfs/status.json`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Status {
    /// The daemon's version.
    pub version: String,
    /// The daemon's process.
    pub pid: u32,
    /// Where it is mounted.
    pub mount: String,
    /// How long it has been running, in whole seconds.
    pub uptime: u64,
    /// The cache's id and directory.
    pub cache: CacheStatus,
    /// What is wrong with the configuration file, if its last change was refused.
    pub configuration_problem: Option<String>,
    /// What is being resolved or fetched.
    pub fetching: Vec<Fetching>,
    /// The views in use.
    pub views: Vec<ViewStatus>,
    /// Requests that wait for a slow answer.
    pub waiting: Vec<WaitingStatus>,
    /// Requests received, by kind.
    pub requests: std::collections::BTreeMap<String, u64>,
    /// How many failures `.srcfs/errors.json` lists.
    pub errors: usize,
}

/// The cache of a daemon.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct CacheStatus {
    /// Its id.
    pub id: String,
    /// Its directory.
    pub directory: String,
}

/// A view in use.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ViewStatus {
    /// Its path below the mount.
    pub path: String,
    /// The upper half of its inode numbers.
    pub slot: u32,
    /// Whether its snapshot is open.
    pub open: bool,
    /// What the kernel holds of it.
    pub references: u64,
    /// Whether new processes get it under its name.
    pub newest: bool,
    /// Whether it may still be answered for its name.
    pub bound: bool,
    /// The processes that are kept on an older view of this name.
    pub kept: Vec<u32>,
}

/// A waiting request.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
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

    fn status(&self, tree: &SourceTree) -> Status {
        let shared = tree.shared();
        let report = tree.mount_report();
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            mount: self.directory.display().to_string(),
            uptime: self.started.elapsed().map_or(0, |elapsed| elapsed.as_secs()),
            cache: CacheStatus {
                id: shared.cache.id().to_owned(),
                directory: shared.cache.directory().display().to_string(),
            },
            configuration_problem: tree.configuration_problem().map(|problem| problem.to_string()),
            fetching: shared.journal.fetching(),
            views: report
                .views
                .into_iter()
                .map(|view| ViewStatus {
                    path: view.path,
                    slot: view.slot,
                    open: view.open,
                    references: view.references,
                    newest: view.newest,
                    bound: view.bound,
                    kept: view.kept,
                })
                .collect(),
            waiting: report
                .waiting
                .into_iter()
                .map(|waiting| WaitingStatus { tid: waiting.tid, seconds: waiting.seconds })
                .collect(),
            requests: report.requests.into_iter().map(|(kind, count)| (kind.to_owned(), count)).collect(),
            errors: shared.journal.failures().len(),
        }
    }
}
