//! What the caches of the cases are locked with.

use std::time::Duration;

use srcfs::config::locking::{Backend, LeaseTimes, Locking};

/// What keeps processes out of each other's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Locks {
    Kernel,
    /// Leases that go stale as fast as they may: for the dead.
    BriefLeases,
    /// Leases that do not go stale while somebody lives, however busy the machine is.
    LastingLeases,
}

impl Locks {
    pub const ALL: [Locks; 3] = [Locks::Kernel, Locks::BriefLeases, Locks::LastingLeases];

    pub fn are_leases(self) -> bool {
        self != Locks::Kernel
    }

    fn times(self) -> (u64, u64) {
        match self {
            Locks::Kernel => (30_000, 5_000),
            Locks::BriefLeases => (300, 50),
            Locks::LastingLeases => (5_000, 200),
        }
    }

    /// For a cache that is opened in this process.
    pub fn locking(self) -> Locking {
        let backend = if self.are_leases() { Backend::Lease } else { Backend::Kernel };
        let (stale, heartbeat) = self.times();
        let [stale, heartbeat] = [stale, heartbeat].map(Duration::from_millis);
        let lease = LeaseTimes::new(stale, Some(heartbeat), Some(stale)).unwrap();
        Locking { backend: Some(backend), lease }
    }

    /// As it stands in a configuration: a key, and a table that comes last.
    pub fn lines(self) -> (String, String) {
        let (stale, heartbeat) = self.times();
        match self.are_leases() {
            false => (String::new(), String::new()),
            true => (
                "lock = \"lease\"\n".to_owned(),
                format!(
                    "[lease]\nstale = \"{stale}ms\"\nheartbeat = \"{heartbeat}ms\"\npin_stale = \"{stale}ms\"\n"
                ),
            ),
        }
    }
}
