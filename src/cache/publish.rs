//! Commit: a prepared revision becomes what readers see, by renames and one replaced `state.json`.
//!
//! Both locks are asked for as values, and compared with their paths first and last: a lock file that
//! was removed by hand may have let in a second holder, and then this one is refused. Nothing here
//! uses the network, unpacks, or forces bulk data to the disk.
//!
//! The order is packs (index last), `shallow`, ref, table, state. Whoever dies in between leaves the
//! old state, and objects that no record names.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::clock::Changed;
use super::durable::{self, sync_directory};
use super::key_lock::{HeldCommit, HeldFetch};
use super::layout::{Layout, random_id};
use super::pin::{Pin, Pins, lock_shared};
use super::prepare::{self, Staged, merged_shallow, pack_files, packs_directory, reference_file};
use super::snapshot::{TABLES, table_file};
use super::state::{ReferenceState, State};
use crate::error::{Error, Kind, Result};
use crate::fault;
use crate::key::{Key, Reference};
use crate::source::Resolved;

/// What a commit works on.
pub(super) struct Desk<'a> {
    pub layout: &'a Layout,
    pub pins: &'a Pins,
    pub key: &'a Key,
    pub fetch: &'a HeldFetch,
    pub commit: &'a HeldCommit,
}

/// What a reference is to mean.
pub(super) struct Meaning<'a> {
    pub reference: &'a Reference,
    pub resolved: &'a Resolved,
    /// When the upstream was asked, in seconds since 1970.
    pub checked: u64,
}

/// A commit that is done.
pub(super) struct Committed {
    pub state: State,
    pub pin: Arc<Pin>,
    /// Set if the reference meant another revision before.
    pub moved: Option<Changed>,
}

/// What came of a prepared revision.
pub(super) enum Outcome {
    Committed(Box<Committed>),
    /// The generation it borrowed from was cleared: it must be made complete, without the commit
    /// lock, and brought again.
    Incomplete(Box<Staged>),
}

impl Desk<'_> {
    fn still_ours(&self) -> Result<()> {
        self.fetch.still_ours()?;
        self.commit.still_ours()
    }

    /// Publishes a prepared revision.
    pub fn publish(&self, staged: Staged, meaning: &Meaning<'_>) -> Result<Outcome> {
        self.still_ours()?;
        fault!("publish.locked")?;
        let mirror = self.layout.mirror(self.key);
        prepare::create_directory(&mirror)?;
        let mut state = read_for_change(&mirror, self.key)?;
        let revision = &staged.resolved.revision;
        let pin = match (state.generation.clone(), &staged.lender) {
            (Some(generation), Some(lender)) if lender.generation() == generation => Arc::clone(lender),
            (_, Some(_)) => return Ok(Outcome::Incomplete(Box::new(staged))),
            (Some(generation), None) => self.pins.hold(&mirror, &generation)?.ok_or_else(|| self.gone())?,
            (None, None) => self.found_generation(&mirror, &staged, &mut state)?,
        };
        // Renamed already, or published meanwhile by somebody else.
        if staged.repository().exists() && !state.snapshots.contains_key(revision.as_str()) {
            move_into(pin.directory(), &staged)?;
        }
        state.snapshots.entry(revision.as_str().to_owned()).or_insert_with(|| staged.record.clone());
        let moved = set_meaning(&mut state, meaning);
        fault!("publish.moved")?;
        state.write(&mirror, || self.still_ours())?;
        fault!("publish.stated")?;
        Ok(Outcome::Committed(Box::new(Committed { state, pin, moved })))
    }

    /// Publishes that a reference means a revision that is published already; `None` if that was
    /// cleared meanwhile.
    pub fn note(&self, meaning: &Meaning<'_>) -> Result<Option<Committed>> {
        self.still_ours()?;
        let mirror = self.layout.mirror(self.key);
        let mut state = read_for_change(&mirror, self.key)?;
        let Some(generation) = state.generation.clone() else { return Ok(None) };
        if !state.snapshots.contains_key(meaning.resolved.revision.as_str()) {
            return Ok(None);
        }
        let pin = self.pins.hold(&mirror, &generation)?.ok_or_else(|| self.gone())?;
        let moved = set_meaning(&mut state, meaning);
        fault!("note.locked")?;
        state.write(&mirror, || self.still_ours())?;
        Ok(Some(Committed { state, pin, moved }))
    }

    /// Under the commit lock the generation that the state names stays named.
    fn gone(&self) -> Error {
        let what = format!("publish {}", self.key);
        Error::new(Kind::Stale, what, "its mirror was changed without its lock").hint("try again")
    }

    /// Moves the staged repository to the place of a new generation, pinned before anybody can see it.
    fn found_generation(&self, mirror: &Path, staged: &Staged, state: &mut State) -> Result<Arc<Pin>> {
        let generation = random_id();
        let lock = lock_shared(staged.repository(), || Ok(true))?.ok_or_else(|| self.gone())?;
        let place = mirror.join(&generation);
        fs::rename(staged.repository(), &place)
            .map_err(|error| Error::io("move the generation to", &place, &error))?;
        let pin = self.pins.adopt(mirror, &generation, lock);
        fault!("publish.renamed")?;
        sync_directory(mirror)?;
        // The mirror may be new as well.
        sync_directory(mirror.parent().unwrap_or(mirror))?;
        state.generation = Some(generation);
        state.references.clear();
        state.snapshots.clear();
        Ok(pin)
    }
}

/// Moves what a staged repository has more than the generation `to`.
fn move_into(to: &Path, staged: &Staged) -> Result<()> {
    let from = staged.repository();
    let revision = &staged.resolved.revision;
    let rename = |from: &Path, to: &Path| {
        fs::rename(from, to).map_err(|error| Error::io("move into the mirror", to, &error))
    };
    let (old, new) = (packs_directory(from), packs_directory(to));
    for name in pack_files(&old)? {
        rename(&old.join(&name), &new.join(&name))?;
        fault!("publish.pack")?;
    }
    sync_directory(&new)?;
    if let Some(merged) = merged_shallow(to, from)? {
        durable::replace(&to.join("shallow"), merged.as_bytes(), || Ok(()))?;
    }
    fault!("publish.shallow")?;
    rename(&reference_file(from, revision), &reference_file(to, revision))?;
    fault!("publish.reference")?;
    rename(&table_file(from, revision), &table_file(to, revision))?;
    fault!("publish.table")?;
    sync_directory(&to.join("refs/srcfs"))?;
    sync_directory(&to.join(TABLES))
}

/// Notes what the reference means now; since when, if it meant something else before.
fn set_meaning(state: &mut State, meaning: &Meaning<'_>) -> Option<Changed> {
    let name = meaning.reference.to_string();
    let revision = meaning.resolved.revision.as_str().to_owned();
    let before = state.references.get(&name);
    let (changed, moved) = match before {
        Some(before) if before.revision == revision => (before.changed.clone(), None),
        Some(_) => {
            let now = Changed::now();
            state.changed = now.clone();
            (now.clone(), Some(now))
        }
        // What it showed before, if anything, went with the last clear.
        None => (state.cleared.clone().unwrap_or_else(Changed::now), None),
    };
    let entry = ReferenceState {
        revision,
        full_name: meaning.resolved.full_name.clone(),
        moving: meaning.resolved.moving,
        checked: meaning.checked,
        changed,
    };
    state.references.insert(name, entry);
    moved
}

/// The state of a mirror, by one who holds its commit lock and will replace it. A torn one is moved
/// aside, and counts as absent.
pub(super) fn read_for_change(mirror: &Path, key: &Key) -> Result<State> {
    let foreign = |state: &State| {
        let what = format!("read {}", State::file(mirror).display());
        Error::new(Kind::Corrupt, what, format!("it is of {}", state.url))
    };
    let read = match State::read(mirror) {
        Ok(Some(state)) if !state.is_of(key) => Err(foreign(&state)),
        read => read,
    };
    match read {
        Ok(state) => Ok(state.unwrap_or_else(|| State::empty(key))),
        Err(error) if error.kind() == Kind::Corrupt => {
            let (file, aside) = (State::file(mirror), mirror.join("state.json.bad"));
            log::error!("{error}; moved aside to {}, {key} is fetched again", aside.display());
            match fs::rename(&file, &aside) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::io("move aside", &file, &error));
                }
                _ => {}
            }
            fault!("state.aside")?;
            // What was shown before is not known any more: as after a clear.
            let mut state = State::empty(key);
            state.cleared = Some(state.changed.clone());
            Ok(state)
        }
        Err(error) => Err(error),
    }
}
