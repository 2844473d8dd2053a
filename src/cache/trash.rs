//! Taking a generation away: out of its place by one rename, then piece by piece.
//!
//! A generation is taken when `state.json` does not name it and nobody pins it. Both are true at one
//! moment because of the order: it is claimed, which a pin refuses, then the state is read again, then
//! it is renamed. Nobody can begin to pin it in between, and nothing makes a state name an old generation
//! again. A state that cannot be read, for any reason but being torn, takes nothing.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::durable::revalidate;
use super::layout::{Layout, random_id};
use super::lease::pin::Mark;
use super::lock::{Locked, Mode};
use super::removal::{self, Grave, Removal};
use super::state::State;
use crate::error::{Error, Kind, Result};
use crate::fault;

/// The name of a generation's pin file.
pub(super) const PIN: &str = "pin";

/// What became of a generation that was to be taken away.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Discarded {
    /// It is in use as what is published.
    Named,
    /// Somebody pins it; so many bytes stay.
    Pinned(u64),
    /// It was not there, or somebody else took it.
    Absent,
    /// It lies in the trash under this name.
    Trashed(String),
}

/// Whether the state of `mirror` names `generation`. A torn state names nothing.
pub(super) fn is_named(mirror: &Path, generation: &str) -> Result<bool> {
    match State::read(mirror) {
        Ok(state) => Ok(state.and_then(|state| state.generation).as_deref() == Some(generation)),
        Err(error) if error.kind() == Kind::Corrupt => Ok(false),
        Err(error) => Err(error),
    }
}

/// Moves `generation` of `mirror` to the trash, if nobody needs it.
pub(super) fn discard(layout: &Layout, mirror: &Path, generation: &str) -> Result<Discarded> {
    loop {
        if is_named(mirror, generation)? {
            return Ok(Discarded::Named);
        }
        fault!("trash.unnamed")?;
        let outcome = attempt(layout, mirror, generation)?;
        // It was named while its pin was held here, which kept a clear at that moment from taking
        // it: so look again.
        if outcome != Discarded::Named {
            return Ok(outcome);
        }
    }
}

fn attempt(layout: &Layout, mirror: &Path, generation: &str) -> Result<Discarded> {
    let claimed = match claim(layout, mirror, generation)? {
        Claim::Absent => return Ok(Discarded::Absent),
        Claim::Pinned => return Ok(Discarded::Pinned(removal::size(&mirror.join(generation)))),
        Claim::Claimed(claimed) => claimed,
    };
    fault!("trash.locked")?;
    if is_named(mirror, generation)? {
        return Ok(Discarded::Named);
    }
    claimed.take(layout).map(Discarded::Trashed)
}

/// Whether a generation can be taken away as far as its pins go.
pub(super) enum Claim {
    /// It is not there, or somebody else takes it.
    Absent,
    /// Somebody pins it.
    Pinned,
    /// Nobody pins it, and nobody can for as long as this lives.
    Claimed(Claimed),
}

/// A generation that nobody pins, and that nobody can pin until this is dropped.
pub(super) struct Claimed {
    directory: PathBuf,
    hold: Hold,
}

enum Hold {
    /// The pin file, exclusively.
    Kernel { _pin: Locked },
    /// A claim beside the pins.
    Lease(Mark),
}

/// Claims a generation, whether or not the state names it. Order: after the commit lock, if that is
/// held at all.
pub(super) fn claim(layout: &Layout, mirror: &Path, generation: &str) -> Result<Claim> {
    let directory = mirror.join(generation);
    match fs::symlink_metadata(&directory) {
        Ok(metadata) if metadata.is_dir() => {}
        _ => return Ok(Claim::Absent),
    }
    if let Some(lease) = layout.lease() {
        return Ok(match lease.claim(&directory)? {
            Ok(mark) => {
                // The caller is about to read what the state names.
                revalidate(mirror);
                Claim::Claimed(Claimed { directory, hold: Hold::Lease(mark) })
            }
            Err(true) => Claim::Pinned,
            Err(false) => Claim::Absent,
        });
    }
    let path = directory.join(PIN);
    // Made if somebody removed it: then nobody can find it to lock, and it need not be waited for.
    let opened = File::options().read(true).write(true).create(true).truncate(false).open(&path);
    let pin = match opened {
        Ok(pin) => pin,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Claim::Absent),
        Err(error) => return Err(Error::io("open the pin", &path, &error)),
    };
    let Some(pin) = Locked::attempt(pin, &path, Mode::Exclusive)? else { return Ok(Claim::Pinned) };
    if !pin.is_at(&path)? {
        return Ok(Claim::Absent);
    }
    Ok(Claim::Claimed(Claimed { directory, hold: Hold::Kernel { _pin: pin } }))
}

impl Claimed {
    /// Moves it to the trash; its name there. The caller has read, under this claim, that no state
    /// names it.
    pub fn take(self, layout: &Layout) -> Result<String> {
        if let Hold::Lease(mark) = &self.hold
            && !mark.is_there()
        {
            let what = format!("move to the trash {}", self.directory.display());
            return Err(Error::new(Kind::Stale, what, "this process was stopped for too long on the way"));
        }
        let id = random_id();
        fs::rename(&self.directory, layout.trash().join(&id))
            .map_err(|error| Error::io("move to the trash", &self.directory, &error))?;
        fault!("trash.renamed")?;
        Ok(id)
    }
}

/// Deletes one entry of the trash.
pub(super) fn delete(layout: &Layout, id: &str) -> Removal {
    Grave::open(&layout.trash()).map_or_else(Removal::default, |grave| grave.remove(id.as_ref()))
}

/// Deletes everything in the trash.
pub(super) fn empty(layout: &Layout) -> Removal {
    let trash = layout.trash();
    let Some(grave) = Grave::open(&trash) else { return Removal::default() };
    let entries = fs::read_dir(&trash).into_iter().flatten().flatten();
    entries.map(|entry| grave.remove(&entry.file_name())).fold(Removal::default(), Removal::and)
}
