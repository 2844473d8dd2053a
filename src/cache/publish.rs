//! Commit: a prepared revision becomes what readers see, by renames and one replaced `state.json`.
//!
//! A [`Desk`] is where all of it is done, and there is none without both locks as values. Those are made
//! by `key_lock` alone, when the lock is taken; they cannot be copied, and letting go consumes them. So
//! that nothing is published without its locks holds by type, and needs no test.
//! Both are looked at first and last: a lock file that was removed by hand, or a lease that was taken
//! over, may have let in a second holder, and then this one is refused. What is moved before the last
//! look is named by its content, so it does not matter who moved it. Nothing here uses the network,
//! unpacks, or forces bulk data to the disk.
//!
//! What was true when it was prepared is asked again here: whether somebody else has published it, or a
//! later answer of the upstream; whether its source still holds it; whether the generation it borrowed
//! from is still the living one.
//!
//! The order is packs (index last), `shallow`, ref, table, state. Whoever dies in between leaves the
//! old state, and objects that no record names.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::answer::Answer;
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
use crate::source::Source;

/// What a torn state is kept as, in its mirror.
pub(super) const ASIDE: &str = "state.json.bad";

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
    pub answer: &'a Answer,
    /// Whether it is to mean that even if the mirror was cleared since the upstream was asked.
    pub insists: bool,
}

impl Meaning<'_> {
    /// Whether the upstream has to be asked again, because who comes after a clear is to see what it
    /// has then.
    fn is_overtaken(&self, state: &State) -> bool {
        !self.insists && self.answer.resolved.moving && !state.torn && self.answer.is_overtaken(state)
    }
}

/// A commit that is done.
pub(super) struct Committed {
    pub state: State,
    pub pin: Arc<Pin>,
    /// Set if the reference meant another revision before.
    pub moved: Option<Changed>,
    /// Whether what the reference means now is what was brought here, and not somebody else's.
    pub brought: bool,
}

/// What came of a prepared revision.
pub(super) enum Outcome {
    Committed(Box<Committed>),
    /// The generation it borrowed from was cleared: it must be made complete, without the commit
    /// lock, and brought again.
    Incomplete,
    /// Its source holds something else by now: it must be prepared again.
    Changed,
    /// The mirror was cleared since the upstream was asked: it must be asked again.
    Overtaken,
}

impl Desk<'_> {
    /// Fails if a lock is not ours any more: then another process may hold it.
    pub fn still_ours(&self) -> Result<()> {
        self.fetch.still_ours()?;
        self.commit.still_ours()
    }

    /// Publishes a prepared revision, if the world is still the one it was prepared for. What is not
    /// needed of `staged` stays in it.
    pub fn publish(&self, staged: &Staged, meaning: &Meaning<'_>, source: &dyn Source) -> Result<Outcome> {
        self.still_ours()?;
        fault!("publish.locked")?;
        if !source.unchanged(self.key, &staged.prepared)? {
            return Ok(Outcome::Changed);
        }
        let mirror = self.make_mirror()?;
        let mut state = read_for_change(&mirror, self.key, self.commit)?;
        if meaning.is_overtaken(&state) {
            return Ok(Outcome::Overtaken);
        }
        let revision = &staged.resolved.revision;
        let hold = |generation: &str| self.pins.hold(&mirror, generation)?.ok_or_else(|| self.gone());
        let published = state.snapshots.contains_key(revision.as_str());
        let (pin, brought) = match (state.generation.clone(), &staged.lender) {
            // By somebody else, meanwhile.
            (Some(generation), _) if published => (hold(&generation)?, false),
            (Some(generation), Some(lender)) if lender.generation() == generation => {
                move_into(lender.directory(), staged, || self.still_ours())?;
                (Arc::clone(lender), true)
            }
            (_, Some(_)) => return Ok(Outcome::Incomplete),
            (Some(generation), None) => {
                let pin = hold(&generation)?;
                move_into(pin.directory(), staged, || self.still_ours())?;
                (pin, true)
            }
            (None, None) => (self.found_generation(&mirror, staged, &mut state)?, true),
        };
        state.snapshots.entry(revision.as_str().to_owned()).or_insert_with(|| staged.record.clone());
        if let Some(about) = &staged.record.about {
            // Of all spellings of one name the registry's own is listed.
            state.url = self.key.spelled(&about.name).source().to_owned();
        }
        let (moved, ours) = set_meaning(&mut state, meaning);
        fault!("publish.moved")?;
        state.write(&mirror, || self.still_ours())?;
        fault!("publish.stated")?;
        let brought = brought && ours;
        Ok(Outcome::Committed(Box::new(Committed { state, pin, moved, brought })))
    }

    /// Publishes that a reference means a revision that is published already; `None` if that was
    /// cleared meanwhile, perhaps after the upstream was asked.
    pub fn note(&self, meaning: &Meaning<'_>) -> Result<Option<Committed>> {
        self.still_ours()?;
        let mirror = self.layout.mirror(self.key);
        let mut state = read_for_change(&mirror, self.key, self.commit)?;
        let Some(generation) = state.generation.clone() else { return Ok(None) };
        if meaning.is_overtaken(&state)
            || !state.snapshots.contains_key(meaning.answer.resolved.revision.as_str())
        {
            return Ok(None);
        }
        let pin = self.pins.hold(&mirror, &generation)?.ok_or_else(|| self.gone())?;
        let (moved, ours) = set_meaning(&mut state, meaning);
        fault!("note.locked")?;
        if ours {
            state.write(&mirror, || self.still_ours())?;
        }
        Ok(Some(Committed { state, pin, moved, brought: false }))
    }

    /// The directory of the mirror. Whatever else has its name stays, and is not followed if it is a
    /// link.
    fn make_mirror(&self) -> Result<PathBuf> {
        let mirror = self.layout.mirror(self.key);
        let is_new = fs::symlink_metadata(&mirror).is_err();
        prepare::create_directory(&mirror)?;
        match fs::symlink_metadata(&mirror) {
            Ok(metadata) if metadata.is_dir() => {
                if is_new {
                    sync_directory(mirror.parent().unwrap_or(&mirror))?;
                }
                Ok(mirror)
            }
            Ok(_) => {
                let what = format!("publish {} as {}", self.key, mirror.display());
                Err(Error::new(Kind::Io, what, "something that is no directory has that name")
                    .hint("move it away, then try again"))
            }
            Err(error) => Err(Error::io("look at", &mirror, &error)),
        }
    }

    /// Under the commit lock the generation that the state names stays named.
    fn gone(&self) -> Error {
        let what = format!("publish {}", self.key);
        Error::new(Kind::Stale, what, "its mirror was changed without its lock").hint("try again")
    }

    /// Makes the staged repository the first of a new generation.
    fn found_generation(&self, mirror: &Path, staged: &Staged, state: &mut State) -> Result<Arc<Pin>> {
        let pin = self.move_to_generation(mirror, staged.repository())?;
        state.generation = Some(pin.generation().to_owned());
        state.references.clear();
        state.snapshots.clear();
        Ok(pin)
    }

    /// Moves a staged repository to the place of a new generation, pinned before anybody can see it.
    pub fn move_to_generation(&self, mirror: &Path, repository: &Path) -> Result<Arc<Pin>> {
        let generation = random_id();
        let lock = lock_shared(self.layout, repository, || Ok(true))?.ok_or_else(|| self.gone())?;
        let place = mirror.join(&generation);
        fs::rename(repository, &place)
            .map_err(|error| Error::io("move the generation to", &place, &error))?;
        let pin = self.pins.adopt(mirror, &generation, lock)?;
        fault!("publish.renamed")?;
        sync_directory(mirror)?;
        Ok(pin)
    }
}

/// Moves what a staged repository has more than the generation `to`. The directories are forced to the
/// disk at the end, together: no record names any of it before that, and each time for itself would
/// cost a commit of the file system's journal.
fn move_into(to: &Path, staged: &Staged, still_ours: impl FnOnce() -> Result<()>) -> Result<()> {
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
    if let Some(merged) = merged_shallow(to, from)? {
        durable::exchange(&to.join("shallow"), merged.as_bytes(), still_ours)?;
    }
    fault!("publish.shallow")?;
    rename(&reference_file(from, revision), &reference_file(to, revision))?;
    fault!("publish.reference")?;
    rename(&table_file(from, revision), &table_file(to, revision))?;
    fault!("publish.table")?;
    for changed in [new, to.to_owned(), to.join("refs/srcfs"), to.join(TABLES)] {
        sync_directory(&changed)?;
    }
    Ok(())
}

/// Notes what the reference means now; since when, if it meant something else before, and whether it
/// means what we say: one who asked later may have published another answer.
fn set_meaning(state: &mut State, meaning: &Meaning<'_>) -> (Option<Changed>, bool) {
    let name = meaning.reference.to_string();
    let revision = meaning.answer.resolved.revision.as_str().to_owned();
    let before = state.references.get(&name);
    if before.is_some_and(|before| {
        let another = before.revision != revision && state.snapshots.contains_key(&before.revision);
        another && !meaning.answer.is_later_than(before)
    }) {
        return (None, false);
    }
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
        full_name: meaning.answer.resolved.full_name.clone(),
        moving: meaning.answer.resolved.moving,
        checked: meaning.answer.checked,
        changed,
    };
    state.references.insert(name, entry);
    (moved, true)
}

/// The state of a mirror, by one who holds its commit lock and will replace it. From here on nobody who
/// held that lock before can replace it. A torn one counts as absent; what it was is kept for whoever
/// wants to know.
pub(super) fn read_for_change(mirror: &Path, key: &Key, commit: &HeldCommit) -> Result<State> {
    commit.still_ours()?;
    durable::sweep(mirror, "");
    let mut state = read_or_set_aside(mirror, key)?;
    if let Some(generation) = &state.generation {
        durable::sweep(&mirror.join(generation), "");
    }
    commit.fence(&mut state.fence)?;
    Ok(state)
}

fn read_or_set_aside(mirror: &Path, key: &Key) -> Result<State> {
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
            let aside = mirror.join(ASIDE);
            log::error!("{error}; it is kept as {}, {key} is fetched again", aside.display());
            fault!("state.torn")?;
            set_aside(&State::file(mirror), &aside);
            fault!("state.aside")?;
            // What was shown before is not known any more: as after a clear.
            let mut state = State::empty(key);
            state.cleared = Some(state.changed.clone());
            state.torn = true;
            Ok(state)
        }
        Err(error) => Err(error),
    }
}

/// Gives a torn state a second name. Its place is taken by the replacement alone, which is fenced: a
/// rename would take away what somebody published who has taken over our lock meanwhile.
fn set_aside(file: &Path, aside: &Path) {
    let _ = fs::remove_file(aside);
    let kept = match fs::hard_link(file, aside) {
        Err(error) if durable::has_no_links(&error) => fs::copy(file, aside).map(drop),
        linked => linked,
    };
    if let Err(error) = kept {
        log::warn!("{} is not kept: {error}", file.display());
    }
}
