//! Collect: what nobody used for longest goes, until the cache is as small as it may be.
//!
//! In this order, the least recently used first: mirrors that were not used for `max_age`; revisions
//! that no reference means any more, of mirrors that stay; whole mirrors, while the cache is larger than
//! its low mark or its disk is fuller than it may be. What is pinned, kept or busy stays, whatever the
//! bounds say, and is reported with the reason.
//!
//! One process of a cache does this at a time. That spares work and is not what makes it safe: each
//! step takes the locks of its key (`evict`, `shrink`).

use std::collections::BTreeSet;
use std::fs::File;
use std::time::{Duration, SystemTime};

use super::Cache;
use super::evict::Stays;
use super::lock::{Locked, Mode as LockMode, Wait};
use super::usage::{Survey, Usage, disk, unused_for};
use crate::config::Quota;
use crate::error::{Error, Kind, Result};
use crate::fault;
use crate::key::Key;
use crate::source::local;

/// A revision that was used within this time is not dropped alone: whoever names it by its id is likely
/// to come again.
const GRACE: Duration = Duration::from_secs(3600);

/// Who wants it, and so how much goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Somebody asked for it: down to the low mark, and every revision that no reference means.
    Asked,
    /// The same, but nothing is changed.
    Rehearsal,
    /// Nobody asked: only what the quota demands, and only once the high mark is passed.
    Tending,
}

/// What went, or would go.
#[derive(Clone, Debug, Default)]
pub struct Collected {
    /// Bytes on the disk before.
    pub before: u64,
    /// And after; what goes with its last reader is counted as gone.
    pub after: u64,
    /// Bytes that dead processes had left.
    pub leftovers: u64,
    /// Bytes that are free on the disk.
    pub free: u64,
    /// Bytes that should be.
    pub must_be_free: u64,
    /// Whether the bounds hold now.
    pub within_bounds: bool,
    /// What went, and what stayed although it was its turn.
    pub items: Vec<Item>,
}

/// One mirror, or some of its revisions.
#[derive(Clone, Debug)]
pub struct Item {
    /// Of which resource.
    pub key: Key,
    /// The generation that it was about.
    pub generation: String,
    /// When the mirror was last used.
    pub used: SystemTime,
    /// What.
    pub what: What,
    /// Why.
    pub why: Why,
    /// What came of it.
    pub done: Done,
}

/// What goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A whole mirror.
    Mirror,
    /// Some of its revisions; empty if that did not get so far.
    Revisions(Vec<String>),
}

/// Why it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It was not used for `max_age`.
    Age,
    /// The cache is too large.
    Size,
    /// The disk is too full.
    FreeSpace,
    /// No reference means it any more.
    Superseded,
}

/// What came of it.
#[derive(Clone, Debug)]
pub enum Done {
    /// So many bytes are gone; or would be.
    Freed(u64),
    /// So many bytes go when the last reader of the old generation is gone.
    Pending(u64),
    /// It stays.
    Stays(Stays),
}

/// Which revisions of a mirror that stays may go.
pub(super) struct Rules<'a> {
    quota: &'a Quota,
    superseded: bool,
}

impl Rules<'_> {
    /// Whether one may go that was last used then, and that a reference means or not.
    pub fn drop(&self, used: SystemTime, meant: bool) -> bool {
        let unused = unused_for(used);
        let aged = self.quota.max_age.is_some_and(|age| unused > age);
        unused > GRACE && (aged || (self.superseded && !meant))
    }
}

/// Until when mirrors go.
pub(super) struct Bounds {
    pub bytes: Option<u64>,
    pub free: u64,
}

struct Run<'a> {
    cache: &'a Cache,
    rehearsal: bool,
    bounds: Bounds,
    bytes: u64,
    /// What is free, and what will be when readers have gone.
    free: u64,
    owed: u64,
    /// Mirrors that went or had to stay as a whole.
    turned_to: BTreeSet<Key>,
    items: Vec<Item>,
}

impl Cache {
    /// Makes the cache as small as its quota says.
    ///
    /// Fails with [`Kind::Busy`] if another process is at it for longer than a few seconds, and with
    /// errors of the disk. What could not go is part of the answer.
    pub fn collect(&self, mode: Mode) -> Result<Collected> {
        let lock = match mode {
            Mode::Rehearsal => None,
            Mode::Asked | Mode::Tending => Some(self.collection_lock()?),
        };
        let collected = self.collect_alone(mode)?;
        if let Some(lock) = lock {
            self.note_collection(lock.file());
        }
        Ok(collected)
    }

    fn collection_lock(&self) -> Result<Locked> {
        let path = self.layout.collection();
        let open = || open_collection(&path).map_err(|error| Error::io("open", &path, &error));
        let wait: Wait<'_> = self.commit_wait();
        Locked::acquire(&path, LockMode::Exclusive, &wait, open)?.ok_or_else(|| {
            let what = format!("make room in {}", self.layout.root().display());
            Error::new(Kind::Busy, what, "another process is at it").hint("try again in a moment")
        })
    }

    pub(super) fn collect_alone(&self, mode: Mode) -> Result<Collected> {
        let leftovers = if mode == Mode::Rehearsal { 0 } else { self.reap().freed };
        let mut survey = Survey::of(self)?;
        if mode != Mode::Rehearsal {
            local::forget_others(&self.layout.sources(), survey.mirrors.iter().map(|usage| &usage.key));
        }
        let (free, disk) = disk(&self.layout)?;
        let quota = &self.quota;
        let over = |most: Option<u64>| most.is_some_and(|most| survey.bytes > most);
        let bounds = Bounds {
            bytes: quota.low().filter(|_| mode != Mode::Tending || over(quota.high())),
            free: quota.keep_free.of(disk),
        };
        let mut run = Run::new(self, mode == Mode::Rehearsal, bounds, &survey, free);
        run.aged(&survey);
        run.revisions(&mut survey, mode != Mode::Tending);
        run.mirrors(&survey, None);
        Ok(Collected { leftovers, ..run.finish(&survey) })
    }

    /// Evicts mirrors but `except` until `bounds` hold; the bytes that went.
    pub(super) fn evict_until(&self, bounds: Bounds, except: &Key) -> Result<u64> {
        let survey = Survey::of(self)?;
        let (free, _) = disk(&self.layout)?;
        let mut run = Run::new(self, false, bounds, &survey, free);
        run.mirrors(&survey, Some(except));
        let collected = run.finish(&survey);
        Ok(collected.before.saturating_sub(collected.after))
    }
}

/// The file that is locked by whoever makes room.
pub(super) fn open_collection(path: &std::path::Path) -> std::io::Result<File> {
    File::options().read(true).write(true).create(true).truncate(false).open(path)
}

impl<'a> Run<'a> {
    fn new(cache: &'a Cache, rehearsal: bool, bounds: Bounds, survey: &Survey, free: u64) -> Run<'a> {
        let (turned_to, items) = (BTreeSet::new(), Vec::new());
        Run { cache, rehearsal, bounds, bytes: survey.bytes, free, owed: 0, turned_to, items }
    }

    /// What demands that something goes.
    fn pressure(&self) -> Option<Why> {
        if self.bounds.bytes.is_some_and(|most| self.bytes > most) {
            return Some(Why::Size);
        }
        (self.free + self.owed < self.bounds.free).then_some(Why::FreeSpace)
    }

    fn aged(&mut self, survey: &Survey) {
        let Some(age) = self.cache.quota.max_age else { return };
        for usage in survey.mirrors.iter().take_while(|usage| unused_for(usage.used) > age) {
            self.evict(usage, Why::Age);
        }
    }

    fn revisions(&mut self, survey: &mut Survey, asked: bool) {
        for usage in &mut survey.mirrors {
            let pressure = self.pressure().is_some();
            let rules = Rules { quota: &self.cache.quota, superseded: asked || pressure };
            if self.turned_to.contains(&usage.key) || fault!("gc.next").is_err() {
                continue;
            }
            let old = usage.generation.clone();
            let (revisions, done) = match self.cache.shrink(usage, &rules, self.rehearsal) {
                Ok(None) => continue,
                Ok(Some(shrunk)) => {
                    // Its turn to go as a whole may still come.
                    usage.bytes = usage.bytes.saturating_sub(shrunk.won);
                    if let Some((state, generation)) = shrunk.now {
                        (usage.state, usage.generation) = (state, generation);
                    }
                    let done = if shrunk.pending { Done::Pending } else { Done::Freed }(shrunk.won);
                    (shrunk.revisions, done)
                }
                // That is told when its turn as a whole comes.
                Err(Stays::Kept) => continue,
                Err(stays) => (Vec::new(), Done::Stays(stays)),
            };
            let why = if rules.superseded { Why::Superseded } else { Why::Age };
            self.note(usage, old, What::Revisions(revisions), why, done);
        }
    }

    fn mirrors(&mut self, survey: &Survey, except: Option<&Key>) {
        for usage in &survey.mirrors {
            let Some(why) = self.pressure() else { return };
            let may = except != Some(&usage.key) && !self.turned_to.contains(&usage.key);
            if may && fault!("gc.next").is_ok() {
                self.evict(usage, why);
            }
        }
    }

    fn evict(&mut self, usage: &Usage, why: Why) {
        self.turned_to.insert(usage.key.clone());
        let evicted = match self.rehearsal {
            true => self.cache.would_evict(usage),
            false => self.cache.evict(usage),
        };
        let done = match evicted {
            Ok(freed) => Done::Freed(freed),
            Err(stays) => Done::Stays(stays),
        };
        self.note(usage, usage.generation.clone(), What::Mirror, why, done);
    }

    fn note(&mut self, usage: &Usage, generation: String, what: What, why: Why, done: Done) {
        let gone = match done {
            Done::Freed(bytes) | Done::Pending(bytes) => bytes,
            Done::Stays(_) => 0,
        };
        self.bytes = self.bytes.saturating_sub(gone);
        match (&done, disk(&self.cache.layout)) {
            (Done::Freed(_), _) if self.rehearsal => self.free += gone,
            (Done::Pending(_), _) => self.owed += gone,
            (Done::Freed(_), Ok((free, _))) => self.free = free,
            _ => {}
        }
        log::info!("gc {}: {what:?} because of {why:?}: {done:?}", usage.key);
        let (key, used) = (usage.key.clone(), usage.used);
        self.items.push(Item { key, generation, used, what, why, done });
    }

    fn finish(self, survey: &Survey) -> Collected {
        let within_bounds = self.pressure().is_none();
        Collected {
            before: survey.bytes,
            after: self.bytes,
            leftovers: 0,
            free: self.free,
            must_be_free: self.bounds.free,
            within_bounds,
            items: self.items,
        }
    }
}
