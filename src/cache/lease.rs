//! Leases: locks and signs of life as files, for hosts that share a cache and no kernel.
//!
//! **A lock** ([`lock`]) is a file that is there while somebody holds it. It says who (a random owner),
//! a fencing token and a count of heartbeats. It appears whole at once, by link(2), which is exclusive.
//! The holder counts the heartbeat up ([`pulse`]), in the very file that it has just read to be its
//! own: so it never keeps a successor's lock alive, and never makes a lost one anew.
//!
//! **Time.** Nobody compares the clocks of two hosts, or the time of a file with a clock. Who waits
//! looks again and again, and takes a lock over when it has seen the same content for `stale` by its
//! own monotonic clock; between two looks it counts no more than one heartbeat. So a clock that is set
//! or skewed means nothing at all, and a waiter that was itself stopped or suspended begins to believe
//! only what it sees afterwards. That clock stands still while its host is suspended, other than
//! CLOCK_BOOTTIME: when a laptop wakes, nobody on it takes the time of its sleep for the death of a
//! neighbour that slept as well. A holder that is stopped or suspended for longer than `stale` while
//! another host goes on is taken over; whether its pid lives means nothing.
//!
//! **Taking over and releasing** ([`moving`]) never remove what was not meant: what is taken is renamed
//! away, looked at there, and put back without overwriting if it is something else.
//!
//! **Fencing.** One that was taken over can never publish, wherever it was stopped. Every file that
//! publishes is replaced in three steps: (1) write `<name>.<random>.new` beside it, (2) read that the
//! lock is still one's own, (3) rename. And whoever gets the commit lock removes all `.new` of that
//! mirror before it reads the state ([`super::durable::sweep`]). Let A be taken over by B. If A reads
//! its lock (2) after B has it, A is refused. If it read before, its `.new` of (1) was there before B
//! had the lock, so B removed it before it read the state; then A's rename (3) finds nothing and is
//! refused, unless it came before that, and then B reads what A published. Both are told with
//! `Kind::Stale`. `state.json` also records the token, and refuses a lower one. It is removed or moved
//! away by nobody, for that could not be fenced: also a torn one is only replaced, and a clear that finds
//! no room for a tombstone replaces it by an empty file.
//!
//! That assumes of the file system: rename, unlink and exclusive creation are atomic at the server, and
//! who opens a file sees what was written before it was last closed (close-to-open). A listing may come
//! from a cache, so who is about to believe one makes an entry of its own in that directory first.
//!
//! **Pins** ([`pin`]) are files as well, of processes that show that they live ([`life`]).
//!
//! Calls `clock`, `durable` and `layout` for names. Fails with errors of the disk.

pub(super) mod life;
pub(super) mod lock;
mod moving;
mod observation;
pub(super) mod pin;
mod pulse;
mod reap;
pub(super) mod record;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

pub(super) use self::pulse::Beating;

use self::life::Life;
use self::observation::Observations;
use self::pulse::Pulse;
use super::layout::random_id;
use crate::config::locking::LeaseTimes;

/// What all leases of one open cache share.
#[derive(Debug)]
pub(super) struct Lease {
    times: LeaseTimes,
    /// Random; what owners of locks begin with.
    instance: String,
    count: AtomicU64,
    pulse: Pulse,
    alive: PathBuf,
    observations: Observations,
    life: Mutex<Option<Arc<Life>>>,
    held: Held,
}

/// The locks that are held, by their owner.
type Held = Arc<Mutex<BTreeMap<String, PathBuf>>>;

impl Lease {
    /// Of the cache whose `v1` this is. Touches nothing.
    pub fn new(v1: &Path, times: LeaseTimes) -> Lease {
        Lease {
            times,
            instance: random_id(),
            count: AtomicU64::new(0),
            pulse: Pulse::new(times.heartbeat()),
            alive: v1.join(ALIVE),
            observations: Observations::new(v1.join(SEEN)),
            life: Mutex::new(None),
            held: Held::default(),
        }
    }

    /// Its times.
    pub fn times(&self) -> LeaseTimes {
        self.times
    }

    /// What beats for this cache.
    pub fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    /// Gives up everything that this cache holds, because its process is about to end and nobody will
    /// drop it. Whatever still works under one of its locks is refused like one that was taken over.
    pub fn give_up(&self) {
        self.end_life();
        let held = std::mem::take(&mut *self.held.lock().unwrap_or_else(PoisonError::into_inner));
        for (owner, path) in held {
            lock::release(&path, &owner);
        }
    }

    fn number(&self) -> u64 {
        self.count.fetch_add(1, Ordering::Relaxed)
    }

    /// A name that nobody else has, without asking the kernel for randomness each time.
    fn new_owner(&self) -> String {
        format!("{}-{}", self.instance, self.number())
    }
}

/// The directory of signs of life, below `v1`.
pub(super) const ALIVE: &str = "alive";
/// The directory of what hosts have seen of them, below `v1`.
pub(super) const SEEN: &str = "seen";
