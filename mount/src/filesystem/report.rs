//! What is going on in a mount, for `status`.

use super::FileSystem;
use crate::locked;
use crate::process;

/// A mount at one moment.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Requests received since the start, by their name in the protocol (`LOOKUP`, `READ`, ...).
    pub requests: Vec<(&'static str, u64)>,
    /// The views that the kernel or a name holds.
    pub views: Vec<ViewReport>,
    /// Requests that wait for a slow answer.
    pub waiting: Vec<WaitingReport>,
    /// Nodes of the name space that the kernel knows.
    pub names: usize,
}

/// One view.
#[derive(Clone, Debug)]
pub struct ViewReport {
    /// Its path below the mount.
    pub path: String,
    /// [`crate::tree::View::id`] of what it shows.
    pub id: u64,
    /// Its slot: the upper half of its inode numbers.
    pub slot: u32,
    /// Whether its snapshot is open.
    pub open: bool,
    /// Kernel references into it.
    pub references: u64,
    /// Whether its name may still be answered with it.
    pub bound: bool,
    /// Whether it is what new processes get under its name.
    pub newest: bool,
    /// Processes that keep getting it under its name although it is not the newest.
    pub kept: Vec<u32>,
    /// Its first and last inode number.
    pub inodes: (u64, u64),
}

/// One waiting request.
#[derive(Clone, Debug)]
pub struct WaitingReport {
    /// The calling thread.
    pub tid: u32,
    /// For how long.
    pub seconds: f64,
}

impl FileSystem {
    /// The mount at this moment.
    pub(crate) fn report(&self) -> Report {
        let mut views: Vec<ViewReport> = self
            .slots
            .all()
            .into_iter()
            .map(|slot| {
                let names = locked(&self.names);
                let name = names.get(&slot.path);
                let nodes = slot.snapshot().map_or(1, |snapshot| snapshot.len());
                ViewReport {
                    path: slot.path.display().to_string(),
                    id: slot.view.id(),
                    slot: slot.number,
                    open: slot.snapshot().is_some(),
                    references: slot.references.total(),
                    bound: slot.bound.load(std::sync::atomic::Ordering::SeqCst),
                    newest: name.is_some_and(|name| name.newest() == slot.number),
                    kept: name.map_or_else(Vec::new, |name| {
                        let kept = name.kept_on(slot.number).into_iter();
                        kept.filter(|&who| process::is_alive(who)).map(|who| who.tgid).collect()
                    }),
                    inodes: (slot.ino(0).0, slot.ino(nodes - 1).0),
                }
            })
            .collect();
        views.sort_by_key(|view| view.slot);
        let waiting = self.waiters.list().into_iter();
        let waiting =
            waiting.map(|(caller, waited)| WaitingReport { tid: caller.tid, seconds: waited.as_secs_f64() });
        Report {
            requests: self.counters.all(),
            views,
            waiting: waiting.collect(),
            names: self.namespace.len(),
        }
    }
}
