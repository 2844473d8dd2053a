//! Pins: what keeps a generation on disk while somebody uses it, in any process.
//!
//! A pin is a shared lock on the generation's pin file, one for this process however many snapshots
//! use it. A dead process pins nothing. Who pins opens the file, locks it, and then checks that the
//! path still names it and that the state still names the generation; else it reads the state anew.
//! Whoever trashes holds the same file exclusively, so one of the two always sees the other.
//!
//! Dropping the last pin of this process unlocks, and then tries to take the generation away, which
//! succeeds exactly if it is cleared and nobody else pins it.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::layout::Layout;
use super::lock::{Locked, Mode, Wait};
use super::trash::{self, Discarded, PIN};
use crate::error::{Error, Kind, Result};
use crate::fault;

/// An exclusive lock on a pin file is held for one rename. Only a holder that was stopped in it makes
/// anybody wait so long.
const BOUND: Duration = Duration::from_secs(5);

/// A pinned generation.
pub(super) struct Pin {
    lock: Option<Locked>,
    layout: Arc<Layout>,
    mirror: PathBuf,
    generation: String,
    directory: PathBuf,
}

impl Pin {
    /// Its name.
    pub fn generation(&self) -> &str {
        &self.generation
    }

    /// The bare repository. Its path does not change while this value lives.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        drop(self.lock.take());
        if fault!("pin.dropped").is_err() {
            return;
        }
        match trash::discard(&self.layout, &self.mirror, &self.generation) {
            Ok(Discarded::Trashed(id)) => delete_later(&self.layout, id),
            Ok(_) => {}
            Err(error) => log::warn!("left for a later reap: {error}"),
        }
    }
}

/// Deletes without making wait whoever dropped the pin: that may be a thread that answers the kernel.
fn delete_later(layout: &Arc<Layout>, id: String) {
    let layout = Arc::clone(layout);
    let spawned = std::thread::Builder::new().name("srcfs-delete".into()).spawn(move || {
        trash::delete(&layout, &id);
    });
    if let Err(error) = spawned {
        log::warn!("left in the trash for a later reap: {error}");
    }
}

/// The pins of this process on one cache.
pub(super) struct Pins {
    layout: Arc<Layout>,
    held: Mutex<HashMap<PathBuf, Weak<Pin>>>,
}

impl Pins {
    /// With none held.
    pub fn new(layout: Arc<Layout>) -> Pins {
        Pins { layout, held: Mutex::new(HashMap::new()) }
    }

    // Nothing panics while this is locked, and no I/O is done.
    fn held(&self) -> MutexGuard<'_, HashMap<PathBuf, Weak<Pin>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Pins `generation` of `mirror`. `None`: it was cleared meanwhile, so read the state again.
    ///
    /// Fails with [`Kind::Corrupt`] if the state names a generation that is not there.
    pub fn hold(&self, mirror: &Path, generation: &str) -> Result<Option<Arc<Pin>>> {
        let directory = mirror.join(generation);
        if let Some(pin) = self.held().get(&directory).and_then(Weak::upgrade) {
            return Ok(Some(pin));
        }
        let named = || trash::is_named(mirror, generation);
        let Some(lock) = lock_shared(&directory, named)? else {
            return if named()? && !directory.join(PIN).exists() {
                let what = format!("open the generation {}", directory.display());
                Err(Error::new(Kind::Corrupt, what, "it is published, but it or its pin file is gone"))
            } else {
                Ok(None)
            };
        };
        fault!("pin.locked")?;
        // From here on a pin that is not kept is dropped as a pin, because holding it for a moment
        // may have kept somebody else from taking the generation away.
        let pin = self.pin(mirror, generation, lock);
        if !named()? {
            return Ok(None);
        }
        fault!("pin.checked")?;
        Ok(Some(self.keep(pin)))
    }

    /// Takes over the shared lock on the pin file of a generation that was just moved to its place
    /// and is not published yet.
    pub fn adopt(&self, mirror: &Path, generation: &str, lock: Locked) -> Arc<Pin> {
        let pin = self.pin(mirror, generation, lock);
        self.keep(pin)
    }

    fn pin(&self, mirror: &Path, generation: &str, lock: Locked) -> Pin {
        Pin {
            lock: Some(lock),
            layout: Arc::clone(&self.layout),
            mirror: mirror.to_owned(),
            generation: generation.to_owned(),
            directory: mirror.join(generation),
        }
    }

    fn keep(&self, pin: Pin) -> Arc<Pin> {
        let pin = Arc::new(pin);
        let mut held = self.held();
        held.retain(|_, pin| pin.strong_count() > 0);
        // Another thread may have been faster: one of the two is enough, and ours goes when the
        // table is unlocked.
        let first = held.get(&pin.directory).and_then(Weak::upgrade);
        let Some(first) = first else {
            held.insert(pin.directory.clone(), Arc::downgrade(&pin));
            return pin;
        };
        drop(held);
        first
    }
}

/// The shared lock on the pin file of the generation in `directory`; `None` if it is gone, or if
/// somebody holds it exclusively and it is not `wanted` any more.
pub(super) fn lock_shared(directory: &Path, wanted: impl Fn() -> Result<bool>) -> Result<Option<Locked>> {
    let path = directory.join(PIN);
    let wait = Wait { bound: BOUND, cancelled: &|| false };
    let outcome = wait.poll(|| {
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(None)),
            Err(error) => return Err(Error::io("open the pin", &path, &error)),
        };
        fault!("pin.opened")?;
        match Locked::attempt(file, &path, Mode::Shared)? {
            None if wanted()? => Ok(None),
            None => Ok(Some(None)),
            Some(lock) if lock.is_at(&path)? => Ok(Some(Some(lock))),
            Some(_) => Ok(Some(None)),
        }
    })?;
    outcome.ok_or_else(|| {
        let what = format!("pin {}", directory.display());
        Error::new(Kind::Busy, what, "a process that was taking it away has stopped in the middle")
    })
}
