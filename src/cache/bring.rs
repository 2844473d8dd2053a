//! Bring: the work under the fetch lock, from the question what a reference is to the commit.
//!
//! What somebody else clears or replaces meanwhile is begun again, a few times. Nothing is published
//! that was not opened and compared with its record, and nothing is built on a generation that is not
//! what its records say.

use std::sync::Arc;
use std::time::Duration;

use super::Cache;
use super::clock::Changed;
use super::key_lock::{HeldFetch, KeyLock};
use super::materialize::{ATTEMPTS, Fetched, Freshness, Order};
use super::prepare::{Lender, prepare};
use super::publish::{Committed, Desk, Meaning, Outcome};
use super::snapshot::Snapshot;
use super::state::State;
use crate::error::{Error, Kind, Result};
use crate::fault;
use crate::key::Key;

/// How old an answer may be that is fetched without asking again.
const RECENT: Duration = Duration::from_secs(60);

impl Cache {
    /// Asks, prepares and commits.
    pub(super) fn bring(&self, order: &Order<'_>, fetch: &HeldFetch) -> Result<(Fetched, Option<Changed>)> {
        let Order { source, key, reference, freshness, progress, .. } = *order;
        let recent = match freshness {
            Freshness::NotOlderThan(age) => Freshness::NotOlderThan(age.min(RECENT)),
            Freshness::Cached => Freshness::NotOlderThan(RECENT),
            Freshness::Now => Freshness::Now,
        };
        let (answered, (resolved, checked)) = match self.resolved(key, reference, recent)? {
            Some(known) => (true, known),
            None => (false, self.ask(order)?),
        };
        fault!("fetch.resolved")?;
        let revision = &resolved.revision;
        let meaning = Meaning { reference, resolved: &resolved, checked };
        let mut borrows = true;
        for _ in 0..ATTEMPTS {
            let state = self.state(key)?;
            let published =
                state.as_ref().and_then(|state| Some((state, state.snapshots.get(revision.as_str())?)));
            if let Some((state, record)) = published {
                // Opened first, so that what is corrupt is not confirmed.
                if let Some(contents) = self.open_revision(key, state, revision, record)?
                    && let Some(noted) = self.commit(key, fetch, |desk| desk.note(&meaning))?
                {
                    let snapshot = Snapshot::new(key, reference, resolved.clone(), contents);
                    let changed = noted.moved.is_some();
                    return Ok((Fetched { changed, ..Fetched::cached(snapshot) }, noted.moved));
                }
                continue;
            }
            let lender = match &state {
                Some(state) if borrows => self.lender(key, state)?,
                _ => None,
            };
            let prepared = prepare(&self.layout, &self.limits, source, key, &resolved, lender, progress);
            let mut staged = match prepared {
                // The upstream may have taken back what it answered before.
                Err(error) if answered && error.kind() != Kind::Interrupted => {
                    log::info!("{error}; asking again what {key}@{reference} is");
                    self.remembered.remove(&(key.digest(), reference.clone()));
                    return self.bring(order, fetch);
                }
                prepared => prepared?,
            };
            let transferred = staged.transferred;
            let committed = loop {
                match self.commit(key, fetch, |desk| desk.publish(staged, &meaning))? {
                    Outcome::Committed(committed) => break Some(committed),
                    Outcome::Incomplete(back) => staged = *back,
                }
                if let Err(error) = staged.stand_alone() {
                    log::info!("{error}; {key}@{revision} is fetched anew");
                    borrows = false;
                    break None;
                }
            };
            let Some(committed) = committed else { continue };
            fault!("publish.released")?;
            let Committed { state, pin, moved } = *committed;
            let Some(record) = state.snapshots.get(revision.as_str()) else { continue };
            match self.opened.contents(Arc::clone(&pin), revision, record) {
                Ok(contents) => {
                    let snapshot = Snapshot::new(key, reference, resolved.clone(), contents);
                    let changed = moved.is_some();
                    return Ok((
                        Fetched { snapshot, fetched: true, changed, transferred, failed: None },
                        moved,
                    ));
                }
                Err(error) if error.kind() == Kind::Corrupt => {
                    self.quarantine(key, pin.generation(), &error)?;
                    borrows = false;
                }
                Err(error) => return Err(error),
            }
        }
        let what = format!("fetch {key}@{reference}");
        Err(Error::new(Kind::Stale, what, "it is cleared again and again while it is published"))
    }

    fn commit<T>(
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
