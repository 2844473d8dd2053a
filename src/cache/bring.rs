//! Bring: the work under the fetch lock, from the question what a reference is to the commit.
//!
//! What somebody else clears or replaces meanwhile, and what changed at its source, is begun again, a
//! few times. Nothing is published
//! that was not opened and compared with its record, and nothing is built on a generation that is not
//! what its records say.

use std::sync::Arc;
use std::time::Duration;

use super::Cache;
use super::clock::Changed;
use super::key_lock::{HeldFetch, KeyLock};
use super::materialize::{ATTEMPTS, Fetched, Freshness, Order};
use super::prepare::{Lender, Staged, prepare};
use super::publish::{Committed, Desk, Meaning, Outcome};
use super::snapshot::Snapshot;
use super::state::State;
use crate::error::{Error, Kind, Result};
use crate::fault;
use crate::key::Key;

/// How old an answer may be that is fetched without asking again.
const RECENT: Duration = Duration::from_secs(60);

/// How one attempt ended.
enum Attempt {
    Done(Fetched, Option<Changed>),
    /// It was cleared or replaced meanwhile.
    Again,
    /// What could be borrowed is of no use.
    Unaided,
    /// The source holds something else by now.
    Changed,
    /// It held something else already when it was prepared.
    Moved(Box<Staged>),
    /// The mirror was cleared after the upstream was asked.
    Overtaken(Box<Staged>),
    /// The source could not bring it.
    Unprepared(Error),
}

impl Cache {
    /// Asks, prepares and commits.
    pub(super) fn bring(&self, order: &Order<'_>, fetch: &HeldFetch) -> Result<(Fetched, Option<Changed>)> {
        let Order { key, reference, freshness, .. } = *order;
        let recent = match freshness {
            Freshness::NotOlderThan(age) => Freshness::NotOlderThan(age.min(RECENT)),
            Freshness::Cached => Freshness::NotOlderThan(RECENT),
            Freshness::Now => Freshness::Now,
        };
        let (mut remembered, mut answer) = match self.resolved(key, reference, recent)? {
            Some(known) => (true, known),
            None => (false, self.ask(order)?),
        };
        fault!("fetch.resolved")?;
        let (mut borrows, mut changed) = (true, false);
        // What was prepared when a clear came: the question is put again, the fetch is not repeated. Or
        // what is something else than the answer said, which is corrected by it.
        let mut overtaken = None;
        for attempt in 1..=ATTEMPTS {
            // Where clears come faster than answers the last one has to do.
            let insists = attempt == ATTEMPTS;
            let meaning = Meaning { reference, answer: &answer, insists };
            match self.attempt(order, fetch, &meaning, borrows, overtaken.take())? {
                Attempt::Done(fetched, moved) => return Ok((fetched, moved)),
                Attempt::Again if !self.state(key)?.is_some_and(|state| answer.is_overtaken(&state)) => {
                    continue;
                }
                Attempt::Again => {}
                Attempt::Unaided => {
                    borrows = false;
                    continue;
                }
                Attempt::Changed => changed = true,
                Attempt::Moved(staged) => {
                    answer.resolved = staged.resolved.clone();
                    overtaken = Some(*staged);
                    continue;
                }
                Attempt::Overtaken(staged) => overtaken = Some(*staged),
                // The upstream may have taken back what it answered before.
                Attempt::Unprepared(error) if remembered && error.kind() != Kind::Interrupted => {
                    log::info!("{error}; asking again what {} is", reference.of(key));
                }
                Attempt::Unprepared(error) => return Err(error),
            }
            self.remembered.remove(&(key.digest(), reference.clone()));
            // There is no further attempt that would use the answer.
            if attempt < ATTEMPTS {
                remembered = false;
                answer = self.ask(order)?;
            }
        }
        let what = format!("fetch {}", reference.of(key));
        Err(match changed {
            true => Error::new(Kind::Stale, what, "its source changed each time while it was brought")
                .hint("try again when nothing writes there"),
            false => Error::new(Kind::Stale, what, "it is cleared again and again while it is published"),
        })
    }

    fn attempt(
        &self,
        order: &Order<'_>,
        fetch: &HeldFetch,
        meaning: &Meaning<'_>,
        borrows: bool,
        overtaken: Option<Staged>,
    ) -> Result<Attempt> {
        let Order { source, key, progress, .. } = *order;
        let resolved = &meaning.answer.resolved;
        let revision = &resolved.revision;
        if let Some(unused) = overtaken.as_ref().filter(|staged| staged.resolved.revision != *revision) {
            // The soak, which counts fetches, goes by this line.
            let unused = &unused.resolved.revision;
            log::info!("{key}@{unused} was brought and is not published: by now it is {revision}");
        }
        let state = self.state(key)?;
        let published =
            state.as_ref().and_then(|state| Some((state, state.snapshots.get(revision.as_str())?)));
        if let Some((state, record)) = published {
            // Opened first, so that what is corrupt is not confirmed.
            let Some(_open) = self.open_revision(key, state, revision, record)? else {
                return Ok(Attempt::Again);
            };
            return match self.commit_in_turn(order, fetch, |desk| desk.note(meaning))? {
                Some(noted) => self.show(order, noted, 0),
                None => Ok(Attempt::Again),
            };
        }
        let mut staged = match overtaken.filter(|staged| staged.resolved.revision == *revision) {
            Some(staged) => staged,
            None => {
                let lender = match &state {
                    Some(state) if borrows => self.lender(key, state)?,
                    _ => None,
                };
                match prepare(&self.layout, &self.limits, source, key, resolved, lender, progress) {
                    Ok(staged) if staged.resolved.revision != *revision => {
                        return Ok(Attempt::Moved(Box::new(staged)));
                    }
                    Ok(staged) => staged,
                    Err(error) => return Ok(Attempt::Unprepared(error)),
                }
            }
        };
        // What is not moved by the commit goes with `staged`, when the commit lock is free again.
        let committed = loop {
            match self.commit_in_turn(order, fetch, |desk| desk.publish(&staged, meaning, source))? {
                Outcome::Committed(committed) => break committed,
                Outcome::Changed => {
                    log::info!("{} has changed since it was prepared: prepared again", key.at(revision));
                    return Ok(Attempt::Changed);
                }
                Outcome::Overtaken => {
                    log::info!("{key} was cleared since it was asked for: asked again");
                    return Ok(Attempt::Overtaken(Box::new(staged)));
                }
                Outcome::Incomplete => {}
            }
            if let Err(error) = staged.stand_alone() {
                log::info!("{error}; {} is fetched anew", key.at(revision));
                return Ok(Attempt::Unaided);
            }
        };
        fault!("publish.released")?;
        self.show(order, *committed, staged.prepared.transferred)
    }

    /// Opens what the reference means after a commit, which may be what somebody else published.
    fn show(&self, order: &Order<'_>, committed: Committed, transferred: u64) -> Result<Attempt> {
        let Order { key, reference, .. } = *order;
        let Committed { state, pin, moved, brought } = committed;
        let Some((resolved, record, _)) = state.find(reference) else { return Ok(Attempt::Again) };
        match self.opened.contents(Arc::clone(&pin), &resolved.revision, record) {
            Ok(contents) => {
                let snapshot = Snapshot::new(key, reference, resolved, contents);
                let changed = moved.is_some();
                let fetched = Fetched { snapshot, fetched: brought, changed, transferred, failed: None };
                Ok(Attempt::Done(fetched, moved))
            }
            Err(error) if error.kind() == Kind::Corrupt => {
                self.quarantine(key, pin.generation(), &error)?;
                Ok(Attempt::Unaided)
            }
            Err(error) => Err(error),
        }
    }

    /// Does `work` under the commit lock, when the turn of the order has come.
    fn commit_in_turn<T>(
        &self,
        order: &Order<'_>,
        fetch: &HeldFetch,
        work: impl FnOnce(&Desk<'_>) -> Result<T>,
    ) -> Result<T> {
        if let Some(turn) = order.turn {
            turn.come(&|| order.progress.is_cancelled())?;
        }
        self.commit(order.key, fetch, work)
    }

    /// Does `work` under the commit lock, by one who holds the fetch lock.
    pub(super) fn commit<T>(
        &self,
        key: &Key,
        fetch: &HeldFetch,
        work: impl FnOnce(&Desk<'_>) -> Result<T>,
    ) -> Result<T> {
        let lock = KeyLock::new(self.layout.locks(), key);
        let commit = lock.commit(&self.commit_wait(), &format!("publish {key}"))?;
        work(&Desk { layout: &self.layout, pins: &self.pins, key, fetch, commit: &commit })
    }

    /// The living generation, if objects can be borrowed from it.
    fn lender(&self, key: &Key, state: &State) -> Result<Option<Lender>> {
        let Some(generation) = &state.generation else { return Ok(None) };
        let Some(pin) = self.pins.hold(&self.layout.mirror(key), generation)? else { return Ok(None) };
        let mut packs: Vec<_> =
            state.snapshots.values().flat_map(|snapshot| &snapshot.packs).cloned().collect();
        packs.sort_by(|a, b| a.name.cmp(&b.name));
        packs.dedup_by(|a, b| a.name == b.name);
        // Objects that are built upon must be what they were.
        match crate::store::Objects::open(pin.directory(), &packs) {
            Ok(_) => Ok(Some(Lender { pin, packs })),
            Err(error) if error.kind() == Kind::Corrupt => {
                self.quarantine(key, generation, &error)?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}
