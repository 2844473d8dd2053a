//! Materialize: a reference becomes a pinned snapshot, fetched once for everybody.
//!
//! What is published and fresh enough is opened without any lock. Otherwise callers of this process
//! join one flight; its worker waits for its turn in the key's line and for the fetch lock, looks
//! again, asks the source what the reference is, prepares it in staging, and commits under the commit
//! lock. A fetch that is overtaken by a clear becomes the first snapshot of the next generation.
//!
//! While the network fails, what is cached is served, unless the caller wants the present or nothing
//! ([`Freshness::Now`]). An authoritative "does not exist" is never papered over.

use std::sync::Arc;
use std::time::Duration;

use super::Cache;
use super::clock::unix_now;
use super::key_lock::KeyLock;
use super::single_flight::Flight;
use super::snapshot::{Contents, Snapshot};
use super::state::{SnapshotState, State};
use super::turns::Turn;
use crate::error::{Error, Kind, Result};
use crate::fault;
use crate::key::{Key, Reference};
use crate::source::{Progress, Resolved, Revision, Source};

/// How often work is begun again when somebody else clears or replaces what it stands on.
pub(super) const ATTEMPTS: usize = 5;

/// How old an answer may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Freshness {
    /// Any that is cached.
    Cached,
    /// Younger than this, if it can change at all.
    NotOlderThan(Duration),
    /// Asked of the upstream after this call began.
    Now,
}

impl Freshness {
    /// Whether an answer of the time `checked` will do.
    pub(super) fn allows(self, resolved: &Resolved, checked: u64) -> bool {
        match self {
            Freshness::Cached => true,
            // A time in the future is that of a clock that was wrong: ask.
            Freshness::NotOlderThan(age) => {
                !resolved.moving
                    || unix_now().checked_sub(checked).is_some_and(|old| Duration::from_secs(old) < age)
            }
            Freshness::Now => false,
        }
    }
}

/// What [`Cache::get`] gives.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The tree.
    pub snapshot: Snapshot,
    /// Whether its objects came just now.
    pub fetched: bool,
    /// Whether the reference meant another revision before.
    pub changed: bool,
    /// Bytes that came.
    pub transferred: u64,
    /// Why it could not be refreshed, if what is cached is given instead.
    pub failed: Option<Error>,
}

impl Fetched {
    pub(super) fn cached(snapshot: Snapshot) -> Fetched {
        Fetched { snapshot, fetched: false, changed: false, transferred: 0, failed: None }
    }
}

/// Who can share one outcome: the same key, reference, and age that will do.
pub(super) type Seat = (String, Reference, Freshness);

/// What somebody wants.
#[derive(Clone, Copy)]
pub struct Order<'a> {
    /// Where it comes from.
    pub source: &'a dyn Source,
    /// Of which resource.
    pub key: &'a Key,
    /// What of it.
    pub reference: &'a Reference,
    /// How old an answer may be.
    pub freshness: Freshness,
    /// Who asks, for those who wait for it.
    pub who: &'a str,
    /// Shows what comes, and can end it.
    pub progress: &'a Arc<Progress>,
    /// Its place in the order of commits, if it is one of a batch.
    pub turn: Option<&'a Turn>,
}

impl Order<'_> {
    /// Whether the caller gave up. Asked by all who wait for somebody else, before each pause, so those
    /// behind in a batch hear here that they need not wait for this one.
    fn cancelled_while_it_waits(&self) -> bool {
        if let Some(turn) = self.turn {
            turn.waits();
        }
        self.progress.is_cancelled()
    }
}

impl Cache {
    /// The snapshot that `reference` of `key` means, materialized if it is not there. `who` asks, for
    /// those who wait for it; `progress` shows what comes, and can end it.
    ///
    /// Fails with what the source says, with [`Kind::Busy`] naming the holder if another process holds
    /// the key's lock for longer than the bound, and with errors of the disk.
    pub fn get(
        &self,
        source: &dyn Source,
        key: &Key,
        reference: &Reference,
        freshness: Freshness,
        who: &str,
        progress: &Arc<Progress>,
    ) -> Result<Fetched> {
        self.fulfil(&Order { source, key, reference, freshness, who, progress, turn: None })
    }

    /// The same for an order that may be one of a batch. It is committed when its turn has come; until
    /// then it is prepared, and its fetch lock is held.
    pub fn fulfil(&self, order: &Order<'_>) -> Result<Fetched> {
        let Order { key, reference, freshness, progress, .. } = *order;
        if let Some(snapshot) = self.published(key, reference, freshness)? {
            self.touch_opened(&snapshot);
            return Ok(Fetched::cached(snapshot));
        }
        let seat = (key.digest(), reference.clone(), freshness);
        let cancelled = || order.cancelled_while_it_waits();
        let wait = self.fetch_wait(&cancelled);
        self.flights.run(&seat, progress, &wait, |flight| {
            self.serializer.serialize(&seat.0, &wait, || self.materialize(order, flight))
        })
    }

    /// What `reference` of `key` is, without fetching it. The answer is kept in memory, and used by a
    /// [`Cache::get`] that follows.
    pub fn resolve(
        &self,
        source: &dyn Source,
        key: &Key,
        reference: &Reference,
        freshness: Freshness,
        progress: &Arc<Progress>,
    ) -> Result<Resolved> {
        if let Some(answer) = self.resolved(key, reference, freshness)? {
            return Ok(answer.resolved);
        }
        let seat = (key.digest(), reference.clone(), freshness);
        let cancelled = || progress.is_cancelled();
        let order = Order { source, key, reference, freshness, who: "", progress, turn: None };
        let asked = self.questions.run(&seat, progress, &self.fetch_wait(&cancelled), |flight| {
            if freshness == Freshness::Now {
                flight.depart();
            }
            let asked = self.ask(&order).map(|answer| answer.resolved);
            self.note(key, reference, asked)
        });
        match asked {
            Err(error) if freshness != Freshness::Now && leaves_the_cache_valid(&error) => {
                let known = self.resolved(key, reference, Freshness::Cached)?;
                known.map(|answer| answer.resolved).ok_or(error)
            }
            asked => asked,
        }
    }

    /// What is published for `reference`, pinned. Uses neither lock nor network.
    pub fn peek(&self, key: &Key, reference: &Reference) -> Result<Option<Snapshot>> {
        self.published(key, reference, Freshness::Cached)
    }

    fn published(&self, key: &Key, reference: &Reference, freshness: Freshness) -> Result<Option<Snapshot>> {
        // Each further round means that it was cleared or replaced between two steps.
        for _ in 0..ATTEMPTS * 20 {
            let Some(state) = self.state(key)? else { return Ok(None) };
            let Some((resolved, record, checked)) = state.find(reference) else { return Ok(None) };
            if !freshness.allows(&resolved, checked) {
                return Ok(None);
            }
            if let Some(contents) = self.open_revision(key, &state, &resolved.revision, record)? {
                return Ok(Some(Snapshot::new(key, reference, resolved, contents)));
            }
        }
        Err(Error::new(Kind::Stale, format!("open {}", reference.of(key)), "it is cleared again and again"))
    }

    /// Whether a record says so; opening it may tell otherwise.
    fn is_published(&self, key: &Key, reference: &Reference, freshness: Freshness) -> bool {
        let state = self.state(key).ok().flatten();
        let found = state.as_ref().and_then(|state| state.find(reference));
        found.is_some_and(|(resolved, _, checked)| freshness.allows(&resolved, checked))
    }

    /// Pins and opens a revision that `state` names. `None`: it is not published any more, also
    /// because it was found corrupt just now.
    pub(super) fn open_revision(
        &self,
        key: &Key,
        state: &State,
        revision: &Revision,
        record: &SnapshotState,
    ) -> Result<Option<Arc<Contents>>> {
        let Some(generation) = &state.generation else { return Ok(None) };
        let pinned = self.pins.hold(&self.layout.mirror(key), generation);
        let opened = match pinned {
            Ok(None) => return Ok(None),
            Ok(Some(pin)) => self.opened.contents(pin, revision, record),
            Err(error) => Err(error),
        };
        match opened {
            Ok(contents) => Ok(Some(contents)),
            Err(error) if error.kind() == Kind::Corrupt => {
                if let Err(second) = self.quarantine(key, generation, &error) {
                    log::error!("{second}");
                    return Err(error);
                }
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn materialize(&self, order: &Order<'_>, flight: &Flight<'_, Seat, Fetched>) -> Result<Fetched> {
        self.reaped.call_once(|| {
            self.reap();
        });
        let mut outcome = self.fetch(order, flight);
        if matches!(&outcome, Err(error) if error.kind() == Kind::Stale) {
            // Somebody removed a lock file: what the other holder published is found this time.
            outcome = self.fetch(order, flight);
        }
        if met_a_full_disk(&outcome) && self.make_room(order.key, order.progress.bytes()) {
            outcome = self.fetch(order, flight);
        }
        let outcome = outcome.map_err(|error| match error.kind() {
            Kind::Full => error
                .hint("free some space there (`srcfs gc`, `srcfs clear KEY`), or choose another --cache-dir"),
            _ => error,
        });
        if let Ok(fetched) = &outcome {
            self.touch_opened(&fetched.snapshot);
        }
        self.note(order.key, order.reference, outcome)
    }

    fn note<T>(&self, key: &Key, reference: &Reference, outcome: Result<T>) -> Result<T> {
        match &outcome {
            Err(error) if error.kind() == Kind::Interrupted => {}
            Err(error) => self.note_failure(key, reference, error),
            Ok(_) => {}
        }
        outcome
    }

    /// From the fetch lock to its release.
    fn fetch(&self, order: &Order<'_>, flight: &Flight<'_, Seat, Fetched>) -> Result<Fetched> {
        let Order { key, reference, freshness, who, .. } = *order;
        let cancelled = || order.cancelled_while_it_waits();
        let what = format!("fetch {} for {who}", reference.of(key));
        // What somebody else publishes needs no lock to be read: of many who wait, each would otherwise
        // have to take the lock in its turn only to find it.
        let ends = || cancelled() || self.is_published(key, reference, freshness);
        let keys = KeyLock::new(self.layout.locks(), key);
        let lock = match keys.fetch(&self.fetch_wait(&ends), &what) {
            Err(error) if error.kind() == Kind::Interrupted && !cancelled() => {
                if let Some(snapshot) = self.published(key, reference, freshness)? {
                    return Ok(Fetched::cached(snapshot));
                }
                // It was cleared at that moment.
                keys.fetch(&self.fetch_wait(&cancelled), &what)?
            }
            lock => lock?,
        };
        if let Some(turn) = order.turn {
            turn.works();
        }
        fault!("fetch.locked")?;
        if let Some(snapshot) = self.published(key, reference, freshness)? {
            return Ok(Fetched::cached(snapshot));
        }
        if freshness == Freshness::Now {
            flight.depart();
        }
        let cached = self.published(key, reference, Freshness::Cached)?;
        match (self.bring(order, &lock), cached) {
            (Ok((fetched, moved)), _) => {
                drop(lock);
                fault!("fetch.released")?;
                self.remembered.remove(&(key.digest(), reference.clone()));
                self.forget_failure(key, reference);
                if let Some(moved) = moved {
                    moved.wait_until_past();
                }
                Ok(fetched)
            }
            (Err(error), Some(cached)) if freshness != Freshness::Now && leaves_the_cache_valid(&error) => {
                log::warn!("{error}; {} is served as it is cached", reference.of(key));
                self.note_failure(key, reference, &error);
                Ok(Fetched { failed: Some(error), ..Fetched::cached(cached) })
            }
            (Err(error), _) => Err(error),
        }
    }
}

/// Whether something could not be brought because the disk is full, also if what is cached is given
/// instead.
fn met_a_full_disk(outcome: &Result<Fetched>) -> bool {
    let error = match outcome {
        Ok(fetched) => fetched.failed.as_ref(),
        Err(error) => Some(error),
    };
    error.is_some_and(|error| error.kind() == Kind::Full)
}

/// Whether a failure to refresh says nothing against what is cached.
fn leaves_the_cache_valid(error: &Error) -> bool {
    !matches!(error.kind(), Kind::NotFound | Kind::Invalid | Kind::Interrupted | Kind::Stale)
}

#[cfg(test)]
mod tests;
