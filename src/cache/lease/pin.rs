//! Pins as files: `<generation>/pins/<owner>.<number>`, and claims beside them.
//!
//! Who pins makes its file first and looks for claims second; who claims makes its claim first and
//! looks for pins second. So one of the two always sees the other, and gives way: a pin waits, a claim
//! is refused. What a state names is read after that, and a generation that no state names is never
//! named again. A claim is held for a moment, so it counts for `stale` only; a pin until its owner is
//! dead. A pin file is of one pin, not of a process, because one that is dropped must not take another
//! with it that was just made.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::Lease;
use super::life::Life;
use super::record::Seen;
use crate::cache::lock::Wait;
use crate::error::{Error, Result};

/// The directory of pins and claims in a generation.
pub(in crate::cache) const PINS: &str = "pins";
const CLAIM: &str = "claim.";

/// For how long one of several that claim at once waits for the others to give way.
const GIVE_WAY: Duration = Duration::from_millis(200);

/// A pin or a claim of this process, taken back when it is dropped.
#[derive(Debug)]
pub(in crate::cache) struct Mark {
    life: Arc<Life>,
    name: String,
    generation: PathBuf,
}

impl Mark {
    /// Of `life`, in the generation in the directory `generation`; `None` if that is not there.
    fn make(lease: &Lease, generation: &Path, prefix: &str) -> Result<Option<Mark>> {
        let life = lease.life()?;
        let pins = generation.join(PINS);
        let name = format!("{prefix}{}.{}", life.owner(), lease.number());
        let path = pins.join(&name);
        let made = match fs::create_dir(&pins) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => File::create_new(&path).map(drop),
        };
        match made {
            Ok(()) => Ok(Some(Mark { life, name, generation: generation.to_owned() })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("pin", &path, &error)),
        }
    }

    /// The same after its generation was moved to another place.
    pub fn moved(mut self, generation: &Path) -> Mark {
        self.generation = generation.to_owned();
        self
    }

    /// Whether its owner is known to have been taken for dead. Looks at no disk: this is asked of
    /// thousands at every heartbeat, and whoever removes a mark has ended its owner's life first.
    pub fn is_lost(&self) -> bool {
        self.life.is_lost()
    }

    /// Whether it is still there, as it is unless its owner was taken for dead.
    pub fn is_there(&self) -> bool {
        !self.life.is_lost() && self.path().exists()
    }

    fn path(&self) -> PathBuf {
        self.generation.join(PINS).join(&self.name)
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        let path = self.path();
        match fs::remove_file(&path) {
            // It went with its generation.
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                log::warn!("{} counts until its owner is dead: {error}", path.display());
            }
            _ => {}
        }
    }
}

/// The owner in a mark's name.
fn owner_of(name: &str) -> &str {
    let name = name.strip_prefix(CLAIM).unwrap_or(name);
    name.split_once('.').map_or(name, |(owner, _)| owner)
}

fn names(generation: &Path) -> Result<Vec<String>> {
    let pins = generation.join(PINS);
    let failed = |error: io::Error| Error::io("list", &pins, &error);
    let entries = match fs::read_dir(&pins) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    entries.map(|entry| Ok(entry.map_err(failed)?.file_name().to_string_lossy().into_owned())).collect()
}

impl Lease {
    /// Pins the generation in the directory `generation`. `Some(None)` if it is gone, or if it is claimed
    /// and not `wanted` any more; `None` if it is still claimed at the bound.
    pub fn pin(
        &self,
        generation: &Path,
        wait: &Wait<'_>,
        wanted: impl Fn() -> Result<bool>,
    ) -> Result<Option<Option<Mark>>> {
        wait.poll(|| {
            let Some(mark) = Mark::make(self, generation, "")? else { return Ok(Some(None)) };
            let claimed = names(generation)?.into_iter().any(|name| self.is_claimed(generation, &name));
            match claimed {
                false => Ok(Some(Some(mark))),
                true if wanted()? => Ok(None),
                true => Ok(Some(None)),
            }
        })
    }

    /// Whether `name` is a claim that counts.
    fn is_claimed(&self, generation: &Path, name: &str) -> bool {
        if !name.starts_with(CLAIM) {
            return false;
        }
        let silent = self.is_silent(owner_of(name), Seen::stale);
        if silent {
            let _ = fs::remove_file(generation.join(PINS).join(name));
        }
        !silent
    }

    /// Claims the generation, if nobody pins it: the claim, or whether it is there at all.
    pub fn claim(&self, generation: &Path) -> Result<Result<Mark, bool>> {
        let Some(claim) = Mark::make(self, generation, CLAIM)? else { return Ok(Err(false)) };
        let wait = Wait { bound: GIVE_WAY, cancelled: &|| false };
        let alone = wait.poll(|| {
            let mut others = false;
            for name in names(generation)?.into_iter().filter(|name| *name != claim.name) {
                if !name.starts_with(CLAIM) {
                    if !self.forget_dead(generation, &name) {
                        return Ok(Some(false));
                    }
                } else if self.is_claimed(generation, &name) {
                    // The first by name goes on when the others have given way.
                    if name < claim.name {
                        return Ok(Some(false));
                    }
                    others = true;
                }
            }
            Ok((!others).then_some(true))
        })?;
        Ok(if alone == Some(true) { Ok(claim) } else { Err(true) })
    }

    /// Removes the mark `name` if its owner is dead; whether it is gone.
    pub(super) fn forget_dead(&self, generation: &Path, name: &str) -> bool {
        let dead = self.is_dead(owner_of(name));
        if dead {
            let _ = fs::remove_file(generation.join(PINS).join(name));
        }
        dead
    }

    /// Removes what dead processes left in a generation.
    pub fn tidy_pins(&self, generation: &Path) {
        for name in names(generation).unwrap_or_default() {
            self.forget_dead(generation, &name);
        }
    }
}
