//! Who reads what: the processes that hold files or directories of a mount, and those that a daemon
//! keeps on a snapshot although they hold nothing at the moment.
//!
//! The kernel knows the former (`/proc/*/fdinfo`, maps and cwd links), the daemon the latter, and only
//! the daemon knows which view an inode number belongs to.

use serde::Serialize;
use srcfs_mount::holders::{self, Held, Holder};

use super::daemon_status::{Daemon, DaemonStatus, ViewStatus};

/// A process that uses something of a view.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Reader {
    /// Its id; not the daemon's.
    pub pid: u32,
    /// Its command.
    pub command: String,
    /// What it holds: `file`, `mapping`, `directory`, or `walk` if it only must not see a change yet.
    pub holds: String,
    /// The path of the view below the mount; empty if the daemon does not say.
    pub view: String,
}

/// All readers of some mounts.
pub struct Readers {
    found: Vec<(Reader, Option<ViewStatus>)>,
    /// Processes that this user may not look into.
    pub hidden: usize,
}

impl Readers {
    /// Looks through all processes.
    pub fn find(daemons: &[Daemon]) -> Readers {
        let mut found = Vec::new();
        let mut hidden = 0;
        for daemon in daemons {
            let held = holders::of(daemon.mounted.target);
            hidden = hidden.max(held.unreadable);
            let status = daemon.status.as_ref().ok();
            for holder in held.found {
                if status.is_some_and(|status| status.pid == holder.pid) {
                    continue;
                }
                found.push(of_holder(daemon, holder));
            }
        }
        for status in daemons.iter().filter_map(|daemon| daemon.status.as_ref().ok()) {
            for view in &status.views {
                // Who asks is no reader, also if it inherited a descriptor of the mount: `holders` leaves
                // it out as well.
                for &pid in view.processes.iter().filter(|pid| **pid != std::process::id()) {
                    let held = |(reader, of): &(Reader, Option<ViewStatus>)| {
                        reader.pid == pid && of.as_ref().is_some_and(|of| of.first_inode == view.first_inode)
                    };
                    if !found.iter().any(held) {
                        found.push((reader(pid, command(pid), "walk", Some(view)), Some(view.clone())));
                    }
                }
            }
        }
        Readers { found, hidden }
    }

    /// What this process itself holds, which is no reader of anything.
    pub fn own(daemons: &[Daemon]) -> Readers {
        let mut found = Vec::new();
        for daemon in daemons {
            found.extend(holders::own(daemon.mounted.target).into_iter().map(|one| of_holder(daemon, one)));
        }
        Readers { found, hidden: 0 }
    }

    /// Those that use a view for which `of` holds; also those of which nobody knows what they use,
    /// if `unknown` is set.
    pub fn of(&self, unknown: bool, of: impl Fn(&ViewStatus) -> bool) -> Vec<Reader> {
        let mut readers: Vec<Reader> = self
            .found
            .iter()
            .filter(|(_, view)| view.as_ref().map_or(unknown, &of))
            .map(|(reader, _)| reader.clone())
            .collect();
        readers.sort();
        readers.dedup();
        readers
    }
}

fn of_holder(daemon: &Daemon, holder: Holder) -> (Reader, Option<ViewStatus>) {
    let view = daemon.status.as_ref().ok().and_then(|status| view_of(status, daemon, &holder));
    let holds = match holder.what {
        Held::Fd(_) => "file",
        Held::Mapping => "mapping",
        Held::Cwd | Held::Root => "directory",
    };
    (reader(holder.pid, holder.command, holds, view), view.cloned())
}

/// The view that `holder` holds something of: by the inode number; by the path on kernels that do not
/// tell the number.
fn view_of<'s>(status: &'s DaemonStatus, daemon: &Daemon, holder: &Holder) -> Option<&'s ViewStatus> {
    if holder.ino != 0 {
        let of = |view: &&ViewStatus| (view.first_inode..=view.last_inode).contains(&holder.ino);
        return status.views.iter().find(of);
    }
    let path = std::path::Path::new(holder.path.as_deref()?);
    let inside = path.strip_prefix(&daemon.mounted.mount_point).ok()?;
    status.views.iter().find(|view| inside.starts_with(&view.path))
}

fn reader(pid: u32, command: String, holds: &str, view: Option<&ViewStatus>) -> Reader {
    let view = view.map(|view| view.path.clone()).unwrap_or_default();
    Reader { pid, command, holds: holds.to_owned(), view }
}

fn command(pid: u32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}
