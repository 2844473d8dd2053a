//! Pins: what keeps a generation on disk while somebody uses it, in any process.
//!
//! A pin is one for this process however many snapshots use it. With locks of the kernel it is a shared
//! lock on the generation's pin file, and a dead process pins nothing; with leases it is a file of our
//! own in the generation ([`super::lease::pin`]), and that of a dead process counts for a time. Who pins
//! takes hold and then checks that the state still names the generation; else it reads the state anew.
//! Whoever trashes claims it, which a pin refuses, so one of the two always sees the other.
//!
//! Dropping the last pin of this process lets go, and then tries to take the generation away, which
//! succeeds exactly if it is cleared and nobody else pins it.
//!
//! A process that others took for dead, because its host was suspended for long, finds its pins gone.
//! It takes hold again of what is still published; what was cleared meanwhile is lost, and reads of it
//! fail.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::durable::revalidate;
use super::layout::Layout;
use super::lease::Beating;
use super::lease::pin::Mark;
use super::lock::{Locked, Mode, Wait};
use super::trash::{self, Discarded, PIN};
use crate::error::{Error, Kind, Result};
use crate::fault;

/// An exclusive lock on a pin file is held for one rename. Only a holder that was stopped in it makes
/// anybody wait so long.
const BOUND: Duration = Duration::from_secs(5);

/// A pinned generation.
pub(super) struct Pin {
    grip: Mutex<Option<Grip>>,
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

impl Pin {
    // Nothing panics while this is locked.
    fn grip(&self) -> MutexGuard<'_, Option<Grip>> {
        self.grip.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes hold again if others have taken this process for dead. What cannot be held any more is told
    /// once, and let go.
    fn renew(&self) -> Result<()> {
        if !self.grip().as_ref().is_some_and(Grip::is_lost) {
            return Ok(());
        }
        let named = || trash::is_named(&self.mirror, &self.generation);
        // It is the heartbeat that calls, so it waits for nobody: it will call again.
        let once = Wait { bound: Duration::ZERO, cancelled: &|| false };
        let again = take_hold(&self.layout, &self.directory, &once, named)?;
        revalidate(&self.mirror);
        let again = if named()? { again } else { None };
        if again.is_none() {
            log::error!("{} may go while it is read", self.directory.display());
        }
        *self.grip() = again;
        Ok(())
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let grip = self.grip().take();
        drop(grip);
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
    held: Arc<Held>,
    renewing: Mutex<Option<Beating>>,
}

type Held = Mutex<HashMap<PathBuf, Weak<Pin>>>;

impl Pins {
    /// With none held.
    pub fn new(layout: Arc<Layout>) -> Pins {
        Pins { layout, held: Arc::default(), renewing: Mutex::default() }
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
        let Some(grip) = lock_shared(&self.layout, &directory, named)? else {
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
        let pin = self.pin(mirror, generation, grip);
        if self.layout.lease().is_some() {
            revalidate(mirror);
        }
        if !named()? {
            return Ok(None);
        }
        fault!("pin.checked")?;
        self.keep(pin).map(Some)
    }

    /// Takes over the hold on a generation that was just moved to its place and is not published yet.
    pub fn adopt(&self, mirror: &Path, generation: &str, grip: Grip) -> Result<Arc<Pin>> {
        let pin = self.pin(mirror, generation, grip.moved(&mirror.join(generation)));
        self.keep(pin)
    }

    fn pin(&self, mirror: &Path, generation: &str, grip: Grip) -> Pin {
        Pin {
            grip: Mutex::new(Some(grip)),
            layout: Arc::clone(&self.layout),
            mirror: mirror.to_owned(),
            generation: generation.to_owned(),
            directory: mirror.join(generation),
        }
    }

    fn keep(&self, pin: Pin) -> Result<Arc<Pin>> {
        let pin = Arc::new(pin);
        self.renew_from_now_on()?;
        let mut held = self.held();
        held.retain(|_, pin| pin.strong_count() > 0);
        // Another thread may have been faster: one of the two is enough, and ours goes when the
        // table is unlocked.
        let first = held.get(&pin.directory).and_then(Weak::upgrade);
        let Some(first) = first else {
            held.insert(pin.directory.clone(), Arc::downgrade(&pin));
            return Ok(pin);
        };
        drop(held);
        Ok(first)
    }

    /// Lets pins that are lost be taken again at every heartbeat.
    fn renew_from_now_on(&self) -> Result<()> {
        let Some(lease) = self.layout.lease() else { return Ok(()) };
        let mut renewing = self.renewing.lock().unwrap_or_else(PoisonError::into_inner);
        if renewing.is_none() {
            let held = Arc::downgrade(&self.held);
            let told = AtomicBool::new(false);
            *renewing = Some(lease.pulse().beat(move || {
                let Some(held) = held.upgrade() else { return };
                let pins: Vec<_> = {
                    let held = held.lock().unwrap_or_else(PoisonError::into_inner);
                    held.values().filter_map(Weak::upgrade).collect()
                };
                let failed: Vec<Error> = pins.iter().filter_map(|pin| pin.renew().err()).collect();
                match failed.first() {
                    // The next beat tries again; it need not say so.
                    Some(error) if !told.swap(true, Ordering::Relaxed) => {
                        log::warn!("{} generations are not pinned again: {error}", failed.len());
                    }
                    Some(_) => {}
                    None => told.store(false, Ordering::Relaxed),
                }
            })?);
        }
        Ok(())
    }
}

/// What keeps a generation where it is.
pub(super) enum Grip {
    /// The shared lock on its pin file.
    Kernel { _lock: Locked },
    /// A file of ours in it.
    Lease(Mark),
}

impl Grip {
    /// The same after the generation was moved to `directory`.
    fn moved(self, directory: &Path) -> Grip {
        match self {
            Grip::Lease(mark) => Grip::Lease(mark.moved(directory)),
            kernel => kernel,
        }
    }

    fn is_lost(&self) -> bool {
        matches!(self, Grip::Lease(mark) if mark.is_lost())
    }
}

/// Takes hold of the generation in `directory`; `None` if it is gone, or if somebody is taking it away
/// and it is not `wanted` any more.
pub(super) fn lock_shared(
    layout: &Layout,
    directory: &Path,
    wanted: impl Fn() -> Result<bool>,
) -> Result<Option<Grip>> {
    // A claim of a dead process counts until it is stale.
    let bound = layout.lease().map_or(BOUND, |lease| BOUND.max(lease.times().takeover()));
    take_hold(layout, directory, &Wait { bound, cancelled: &|| false }, wanted)
}

fn take_hold(
    layout: &Layout,
    directory: &Path,
    wait: &Wait<'_>,
    wanted: impl Fn() -> Result<bool>,
) -> Result<Option<Grip>> {
    let outcome = match layout.lease() {
        Some(lease) => lease.pin(directory, wait, wanted)?.map(|mark| mark.map(Grip::Lease)),
        None => lock_pin_file(directory, wait, wanted)?.map(|lock| lock.map(|_lock| Grip::Kernel { _lock })),
    };
    outcome.ok_or_else(|| {
        let what = format!("pin {}", directory.display());
        Error::new(Kind::Busy, what, "a process that was taking it away has stopped in the middle")
    })
}

fn lock_pin_file(
    directory: &Path,
    wait: &Wait<'_>,
    wanted: impl Fn() -> Result<bool>,
) -> Result<Option<Option<Locked>>> {
    let path = directory.join(PIN);
    wait.poll(|| {
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
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::layout::random_id;
    use crate::cache::state::State;
    use crate::config::locking::{Backend, Locking};
    use crate::key::{GitUrl, Key};

    #[test]
    fn a_lost_pin_is_held_again_or_let_go_once() {
        let directory = tempfile::tempdir().unwrap();
        let locking = Locking { backend: Some(Backend::Lease), ..Locking::default() };
        let layout = Arc::new(Layout::open(&directory.path().join("cache"), &locking).unwrap());
        let (mirror, generation) = (directory.path().join("mirror"), random_id());
        std::fs::create_dir_all(mirror.join(&generation)).unwrap();
        let mut state = State::empty(&Key::git(GitUrl::parse("https://example.org/a/b").unwrap()));
        state.generation = Some(generation.clone());
        state.write(&mirror, || Ok(())).unwrap();
        let pin = Pins::new(Arc::clone(&layout)).hold(&mirror, &generation).unwrap().unwrap();
        // As if others had taken this process for dead, each time.
        let die = || layout.lease().unwrap().give_up();
        let is_held = || pin.grip().as_ref().is_some_and(|grip| !grip.is_lost());
        die();
        assert!(!is_held());
        pin.renew().unwrap();
        assert!(is_held());
        die();
        state.generation = None;
        state.write(&mirror, || Ok(())).unwrap();
        pin.renew().unwrap();
        assert!(pin.grip().is_none(), "there is nothing to renew any more, and nothing to tell");
    }
}
