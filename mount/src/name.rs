//! Which view a process sees under one name, while the name's content changes.
//!
//! The rule: a process that has been seen on a view keeps it until it has been quiet for a while;
//! everybody else gets the newest. So a walk that opens by full path for minutes sees one snapshot,
//! and a process started after a change sees the change at once. Outside of a change the kernel
//! caches the name for [`STABLE_TTL`]; while older views are still being used ("drain") it asks at
//! every step, and each process gets its own answer.
//!
//! This module decides and remembers; it reads no clock and no /proc, so it is tested as a function.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::ino::SlotNumber;
use crate::process::Identity;

/// How long the kernel may answer for a name by itself while nothing changes. It is also what says
/// that a view is in use: somebody asks once a second.
pub(crate) const STABLE_TTL: Duration = Duration::from_secs(1);
/// How long after the kernel was told of a change a process nobody has seen may still be in the middle of
/// a walk: the TTL under which it walked unseen, and a little for the way.
const UNSEEN: Duration = Duration::from_millis(1100);
/// How much longer the kernel may remember a name: it counts from when the caller goes on, not from the
/// answer, and a machine can be busy.
const LATE: Duration = Duration::from_secs(1);
/// How long callers that cannot be told apart (from outside the daemon's pid namespace) keep the view
/// that was stable before a change.
const CROWD: Duration = Duration::from_secs(60);

/// The bounds of a drain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// A process not seen for this long has ended its walk.
    pub(crate) quiet: Duration,
    /// Nobody keeps a replaced view longer.
    pub(crate) max_drain: Duration,
}

/// One moment on two clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) instant: Instant,
    /// In clock ticks since boot, the unit of process start times.
    pub(crate) tick: u64,
    /// Ticks in a second.
    pub(crate) second: u64,
}

/// Who asks for a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Asker {
    /// A process that can be told from every other one.
    Process(Identity),
    /// Somebody outside of what the daemon can see.
    Crowd,
    /// A process that was gone before it could be looked at, or that cannot walk.
    Nobody,
}

struct Seen {
    slot: SlotNumber,
    last: Instant,
}

/// An older view that may still be offered.
struct Older {
    slot: SlotNumber,
    replaced: Instant,
}

/// A change that processes may not have noticed yet.
struct Fresh {
    /// The view under which the name was cached before it.
    stable: SlotNumber,
    since: Instant,
    /// None while the kernel has not been told and its cache may still be good.
    told: Option<Told>,
    /// Whether it was found out, after the kernel was told, who holds something. Before that a process
    /// may still open something by the cached name.
    holders_known: bool,
}

/// When the kernel was told to ask again.
struct Told {
    instant: Instant,
    /// The boot tick from which on nobody can have walked by a cached name: a process that started
    /// later has not seen anything else than what it is answered.
    uncached: u64,
}

impl Fresh {
    /// Whether everybody who walked unseen before the change has been seen since, or walks no more.
    fn is_noticed(&self, now: Instant) -> bool {
        let told = self.told.as_ref();
        let asked = told.is_some_and(|told| now.duration_since(told.instant) >= UNSEEN);
        // Whatever hinders the kernel, or the search for holders, keeps nobody on the old for ever.
        asked && self.holders_known || now.duration_since(self.since) >= CROWD
    }
}

/// One name and the views it is bound to.
pub(crate) struct Name {
    newest: SlotNumber,
    older: Vec<Older>,
    fresh: Option<Fresh>,
    seen: HashMap<Asker, Seen>,
    /// The boot tick until which the kernel may answer for the name by itself.
    cached_until: u64,
    /// Held by every answer that is on its way to the kernel.
    answers: Arc<()>,
    /// The same of answers that were given before the kernel was last told to ask again.
    earlier_answers: Vec<Weak<()>>,
    /// When the name was last asked for.
    pub(crate) asked: Instant,
    /// When its last use was last noted.
    pub(crate) noted: Option<Instant>,
}

impl Name {
    /// A name bound to the view in `slot`.
    pub(crate) fn new(slot: SlotNumber, now: Instant) -> Self {
        Name {
            newest: slot,
            older: Vec::new(),
            fresh: None,
            seen: HashMap::new(),
            cached_until: 0,
            answers: Arc::new(()),
            earlier_answers: Vec::new(),
            asked: now,
            noted: None,
        }
    }

    /// The view that new processes get.
    pub(crate) fn newest(&self) -> SlotNumber {
        self.newest
    }

    /// All views that may still be offered.
    pub(crate) fn slots(&self) -> impl Iterator<Item = SlotNumber> {
        self.older.iter().map(|older| older.slot).chain([self.newest])
    }

    /// Whether older views are still being used, so that every step must ask.
    pub(crate) fn is_draining(&self) -> bool {
        !self.older.is_empty()
    }

    /// How long the kernel may remember an answer.
    pub(crate) fn ttl(&self) -> Duration {
        if self.is_draining() { Duration::ZERO } else { STABLE_TTL }
    }

    /// Binds the name to a newer view.
    pub(crate) fn rebind(&mut self, slot: SlotNumber, now: Instant) {
        if self.older.is_empty() {
            self.fresh = Some(Fresh { stable: self.newest, since: now, told: None, holders_known: false });
        }
        self.older.push(Older { slot: self.newest, replaced: now });
        self.newest = slot;
    }

    /// Whether the kernel was told of a change, and who holds something is to be found out.
    pub(crate) fn wants_holders(&self) -> bool {
        self.fresh.as_ref().is_some_and(|fresh| fresh.told.is_some() && !fresh.holders_known)
    }

    /// Processes known to hold something of a view count as seen on it, unless they have asked since.
    /// They were looked for after [`Name::wants_holders`] was true: who opened something by the cached
    /// name is among them. Until then everybody stays where he was.
    pub(crate) fn held_by(
        &mut self,
        holders: impl IntoIterator<Item = (Identity, SlotNumber)>,
        now: Instant,
    ) {
        if let Some(fresh) = &mut self.fresh {
            fresh.holders_known = fresh.told.is_some();
        }
        for (holder, slot) in holders {
            if self.slots().any(|known| known == slot) {
                self.seen.entry(Asker::Process(holder)).or_insert(Seen { slot, last: now });
            }
        }
    }

    /// Binds the name to a newer view in place of one from which nothing was ever read.
    pub(crate) fn replace_unread(&mut self, slot: SlotNumber) {
        let unread = self.newest;
        self.seen.retain(|_, seen| seen.slot != unread);
        self.newest = slot;
    }

    /// What is gone when every answer given so far has reached the kernel; later ones do not count.
    pub(crate) fn answers_on_their_way(&mut self) -> Vec<Weak<()>> {
        let answers = std::mem::take(&mut self.answers);
        self.earlier_answers.retain(|answers| answers.strong_count() > 0);
        self.earlier_answers.push(Arc::downgrade(&answers));
        self.earlier_answers.clone()
    }

    /// Whether the kernel may still answer for the name by itself although it has changed.
    pub(crate) fn may_be_cached(&self) -> bool {
        self.fresh.as_ref().is_some_and(|fresh| fresh.told.is_none())
    }

    /// The kernel was told at `instant`, which is boot tick `tick`, to ask again, and does. What it
    /// remembered may have ended before: then who started since was given the newest already, and so is
    /// who starts later.
    pub(crate) fn told(&mut self, tick: u64, instant: Instant) {
        if let Some(fresh) = &mut self.fresh {
            fresh.told.get_or_insert(Told { instant, uncached: tick.min(self.cached_until) });
        }
    }

    /// Which view `asker` gets at this moment (`tick` is the same in boot ticks, `second` of them in a
    /// second), and what to hold until the answer was sent.
    pub(crate) fn choose(&mut self, asker: Asker, bounds: Bounds, now: Moment) -> (SlotNumber, Arc<()>) {
        self.asked = now.instant;
        let slot = self.decide(asker, bounds, now.instant);
        if asker != Asker::Nobody {
            self.seen.insert(asker, Seen { slot, last: now.instant });
        }
        if !self.is_draining() {
            self.cached_until = now.tick + now.second * (STABLE_TTL + LATE).as_secs();
        }
        (slot, self.answers.clone())
    }

    fn decide(&self, asker: Asker, bounds: Bounds, now: Instant) -> SlotNumber {
        if self.older.is_empty() {
            return self.newest;
        }
        if let Some(seen) = self.seen.get(&asker) {
            return if self.keeps(asker, seen, bounds, now) { seen.slot } else { self.newest };
        }
        let Some(fresh) = &self.fresh else { return self.newest };
        if !self.older.iter().any(|older| older.slot == fresh.stable) {
            return self.newest;
        }
        let uncached = fresh.told.as_ref().map_or(self.cached_until, |told| told.uncached);
        match asker {
            Asker::Process(identity) if identity.start > uncached => self.newest,
            Asker::Process(_) if !fresh.is_noticed(now) => fresh.stable,
            Asker::Crowd if now.duration_since(fresh.since) < CROWD.min(bounds.max_drain) => fresh.stable,
            _ => self.newest,
        }
    }

    /// Whether `asker`, last seen on an older view, may go on with it.
    fn keeps(&self, asker: Asker, seen: &Seen, bounds: Bounds, now: Instant) -> bool {
        let bound = if asker == Asker::Crowd { CROWD.min(bounds.max_drain) } else { bounds.max_drain };
        self.older.iter().any(|older| {
            older.slot == seen.slot
                && now.duration_since(older.replaced) < bound
                && now.duration_since(seen.last) <= bounds.quiet
        })
    }

    /// The processes whose quiet time runs, to look at whether they are stopped or blocked.
    pub(crate) fn watched(&self) -> Vec<Identity> {
        self.seen
            .keys()
            .filter_map(|asker| if let Asker::Process(identity) = asker { Some(*identity) } else { None })
            .collect()
    }

    /// Time in which a process was stopped or blocked writing does not count as quiet.
    pub(crate) fn still_walking(&mut self, identity: Identity, now: Instant) {
        if let Some(seen) = self.seen.get_mut(&Asker::Process(identity)) {
            seen.last = now;
        }
    }

    /// Forgets who is gone or quiet, and ends the drain of views that nobody uses any more. Returns
    /// the views that are no longer offered.
    pub(crate) fn settle(
        &mut self,
        bounds: Bounds,
        now: Instant,
        alive: impl Fn(Identity) -> bool,
    ) -> Vec<SlotNumber> {
        self.seen.retain(|asker, seen| {
            now.duration_since(seen.last) <= bounds.quiet
                && match asker {
                    Asker::Process(identity) => alive(*identity),
                    _ => true,
                }
        });
        if let Some(fresh) = &self.fresh
            && fresh.is_noticed(now)
            && (!self.seen.contains_key(&Asker::Crowd) || now.duration_since(fresh.since) >= CROWD)
        {
            self.fresh = None;
        }
        let unnoticed = self.fresh.as_ref().map(|fresh| fresh.stable);
        let (kept, ended): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.older).into_iter().partition(|older| {
                let in_time = now.duration_since(older.replaced) < bounds.max_drain;
                in_time
                    && (unnoticed == Some(older.slot)
                        || self.seen.values().any(|seen| seen.slot == older.slot))
            });
        self.older = kept;
        if self.older.is_empty() {
            self.fresh = None;
        }
        ended.into_iter().map(|older| older.slot).collect()
    }

    /// The processes that are still given the view in `slot` although it is not the newest.
    pub(crate) fn kept_on(&self, slot: SlotNumber) -> Vec<Identity> {
        if slot == self.newest {
            return Vec::new();
        }
        let kept = self.seen.iter().filter(|(_, seen)| seen.slot == slot).map(|(asker, _)| *asker);
        kept.filter_map(|asker| if let Asker::Process(identity) = asker { Some(identity) } else { None })
            .collect()
    }
}

#[cfg(test)]
mod tests;
