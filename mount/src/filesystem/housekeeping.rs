//! Once a second, what nobody asked for: changed names, drains that end, views that are given back.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::FileSystem;
use crate::locked;
use crate::name::Name;
use crate::process::{self, Identity};
use crate::slot::Slot;
use crate::sync::atomic::Ordering::SeqCst;
use crate::sync::{Condvar, Mutex};

const EVERY: Duration = Duration::from_secs(1);
/// A name that nobody has asked for in this long is looked at only so often: there may be tens of thousands of
/// them, and whoever asks for one has it looked at anyway.
const RESTING: Duration = Duration::from_secs(5);

/// Ends the housekeeping of a mount.
#[derive(Default)]
pub(crate) struct Pulse {
    ended: Arc<(Mutex<bool>, Condvar)>,
}

impl FileSystem {
    /// Keeps house until [`FileSystem::close`]. Runs on a thread of its own.
    pub(crate) fn keep_house(self: Arc<Self>) {
        let ended = locked(&self.boot).ended.clone();
        let mut all_at = Instant::now();
        loop {
            let over = locked(&ended.0);
            let wait = ended.1.wait_timeout_while(over, EVERY, |over| !*over);
            if *wait.unwrap_or_else(PoisonError::into_inner).0 {
                return;
            }
            // One round that fails must not be the last one.
            let now = Instant::now();
            let all = now >= all_at;
            if all {
                all_at = now + RESTING;
            }
            if catch_unwind(AssertUnwindSafe(|| self.round(all))).is_err() {
                log::error!("housekeeping panicked; it goes on");
            }
        }
    }

    fn round(self: &Arc<Self>, all: bool) {
        let now = Instant::now();
        let rests = |name: &Name| {
            !name.is_draining() && !name.may_be_cached() && now.duration_since(name.asked) >= RESTING
        };
        self.refresh_names(|name| all || !rests(name));
        self.park_working_directories();
        self.settle_drains();
        self.give_back_unused();
    }

    /// Answers everything that waits and ends the threads. Requests are still answered, from memory.
    pub(crate) fn close(&self) {
        let ended = locked(&self.boot).ended.clone();
        *locked(&ended.0) = true;
        ended.1.notify_all();
        self.waiters.close();
        for lane in [&self.fetch, &self.notifications, &self.local, &self.barriers] {
            lane.close();
        }
    }

    /// Ends the drains in which nobody is left on an older view.
    pub(super) fn settle_drains(&self) {
        let now = Instant::now();
        // Each once, however many names it was seen under, and outside the lock: this reads /proc.
        let watched: HashSet<Identity> = locked(&self.names).values().flat_map(Name::watched).collect();
        let halted: HashSet<Identity> =
            watched.iter().copied().filter(|&identity| process::is_halted(identity)).collect();
        let gone: HashSet<Identity> =
            watched.into_iter().filter(|&identity| !process::is_alive(identity)).collect();
        let mut ended = Vec::new();
        let mut names = locked(&self.names);
        for name in names.values_mut() {
            for identity in name.watched().into_iter().filter(|identity| halted.contains(identity)) {
                name.still_walking(identity, now);
            }
            ended.extend(name.settle(self.bounds(), now, |identity| !gone.contains(&identity)));
        }
        self.unbound(&mut ended.into_iter().filter_map(|slot| self.slots.get(slot)));
    }

    /// Starts giving back what is not offered any more, and what nobody asks for.
    pub(super) fn give_back_unused(self: &Arc<Self>) {
        let now = Instant::now();
        for slot in self.slots.all() {
            if !slot.bound.load(SeqCst) {
                self.retire(slot);
            } else if self.is_idle(&slot, now) {
                if slot.references.total() == 0 {
                    self.unbind_idle(slot, now);
                } else if slot.rests(now, self.config.idle) {
                    slot.rest_from(now);
                    self.retire(slot);
                }
            }
        }
    }

    fn is_idle(&self, slot: &Slot, now: Instant) -> bool {
        let names = locked(&self.names);
        names
            .get(&slot.path)
            .is_none_or(|name| now.duration_since(name.asked) >= self.config.idle && !name.is_draining())
    }

    pub(super) fn unbind_idle(&self, slot: Arc<Slot>, now: Instant) {
        let mut names = locked(&self.names);
        // The name may by now be bound to another slot, which would be left bound to nothing for ever.
        let idle = names.get(&slot.path).is_some_and(|name| {
            name.newest() == slot.number
                && now.duration_since(name.asked) >= self.config.idle
                && !name.is_draining()
        });
        // Looked at again under the lock that hands out references to roots.
        if idle && slot.references.total() == 0 {
            names.remove(&slot.path);
            slot.bound.store(false, SeqCst);
            drop(names);
            self.drop_if_over(slot);
        }
    }
}
