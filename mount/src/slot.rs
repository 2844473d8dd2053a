//! A view as the mount serves it: its place in the name space, its snapshot once it is open, and what
//! the kernel holds of it.
//!
//! A slot lives while the kernel holds a reference into it or its name is bound to it; with the slot
//! goes the snapshot, and with the snapshot its pin.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use crate::ino::{Ino, SlotNumber};
use crate::locked;
use crate::misses::{Misses, Taken};
use crate::references::References;
use crate::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed, Ordering::SeqCst};
use crate::sync::{Mutex, RwLock};
use crate::tree::{Errno, Existence, Snapshot, View};
use crate::waiters::WaiterId;

/// One view.
pub(crate) struct Slot {
    pub(crate) number: SlotNumber,
    pub(crate) view: Arc<dyn View>,
    /// Where it stands, relative to the root of the mount.
    pub(crate) path: PathBuf,
    pub(crate) references: References,
    /// Whether its name may still be answered with it.
    pub(crate) bound: AtomicBool,
    /// Whether a pass that gives it back is running.
    pub(crate) retiring: AtomicBool,
    /// Whether something in it was asked for since [`Slot::rests`] last looked.
    touched: AtomicBool,
    rest: Mutex<Instant>,
    snapshot: RwLock<Option<Arc<dyn Snapshot>>>,
    pub(crate) opening: Mutex<Opening>,
    pub(crate) misses: Misses,
}

/// How far a view is on its way to its snapshot, and who waits for it.
#[derive(Default)]
pub(crate) struct Opening {
    pub(crate) existence: Option<Existence>,
    /// Waiters for the existence, while somebody finds out.
    pub(crate) asking: Option<Vec<WaiterId>>,
    /// Waiters for the snapshot, while somebody opens it.
    pub(crate) opening: Option<Vec<WaiterId>>,
}

impl Slot {
    /// The snapshot, if it is open.
    pub(crate) fn snapshot(&self) -> Option<Arc<dyn Snapshot>> {
        self.snapshot.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Shows this snapshot from now on. Done once.
    pub(crate) fn open(&self, snapshot: Arc<dyn Snapshot>) {
        self.references.grow(snapshot.len());
        *self.snapshot.write().unwrap_or_else(PoisonError::into_inner) = Some(snapshot);
    }

    /// Something in it was asked for.
    pub(crate) fn touch(&self) {
        // Read first: all event-loop threads come by here, and a read leaves the line where it is.
        if !self.touched.load(Relaxed) {
            self.touched.store(true, Relaxed);
        }
    }

    /// Whether for `long` nothing in it was asked for and it was not given back either. Who works in it
    /// by relative paths never asks for its name, and from the kernel's caches for nothing at all.
    pub(crate) fn rests(&self, now: Instant, long: Duration) -> bool {
        let mut since = locked(&self.rest);
        if self.touched.swap(false, Relaxed) {
            *since = now;
        }
        now.duration_since(*since) >= long
    }

    /// It is being given back, which is not done again before it has rested as long.
    pub(crate) fn rest_from(&self, now: Instant) {
        *locked(&self.rest) = now;
    }

    /// The inode number of a node.
    pub(crate) fn ino(&self, index: u32) -> Ino {
        Ino::new(self.number, index)
    }

    /// Whether nothing needs it any more.
    pub(crate) fn is_over(&self) -> bool {
        !self.bound.load(SeqCst) && self.references.total() == 0
    }

    /// Its last component.
    pub(crate) fn name(&self) -> OsString {
        self.path.file_name().unwrap_or_default().to_owned()
    }
}

/// All views of a mount.
#[derive(Default)]
pub(crate) struct Slots {
    last: AtomicU32,
    misses: Taken,
    live: RwLock<HashMap<SlotNumber, Arc<Slot>>>,
}

impl Slots {
    /// Makes a slot for `view`, bound. Fails when the numbers of this mount are used up.
    pub(crate) fn add(&self, view: Arc<dyn View>, path: PathBuf) -> Result<Arc<Slot>, Errno> {
        let next = |last: u32| last.checked_add(1);
        let last = self.last.fetch_update(SeqCst, SeqCst, next).map_err(|_| Errno(libc::ENFILE))?;
        let slot = Arc::new(Slot {
            number: last + 1,
            view,
            path,
            references: References::default(),
            bound: AtomicBool::new(true),
            retiring: AtomicBool::new(false),
            touched: AtomicBool::new(false),
            rest: Mutex::new(Instant::now()),
            snapshot: RwLock::new(None),
            opening: Mutex::default(),
            misses: Misses::new(self.misses.clone()),
        });
        self.live.write().unwrap_or_else(PoisonError::into_inner).insert(slot.number, slot.clone());
        Ok(slot)
    }

    /// A live slot.
    pub(crate) fn get(&self, number: SlotNumber) -> Option<Arc<Slot>> {
        self.live.read().unwrap_or_else(PoisonError::into_inner).get(&number).cloned()
    }

    /// All live slots.
    pub(crate) fn all(&self) -> Vec<Arc<Slot>> {
        self.live.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Lets a slot go if nothing needs it any more.
    pub(crate) fn drop_if_over(&self, number: SlotNumber) {
        let gone = {
            let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
            match live.get(&number) {
                Some(slot) if slot.is_over() => live.remove(&number),
                _ => None,
            }
        };
        // Outside the lock: with the last handle on a snapshot its pin is dropped, which works on the disk.
        drop(gone);
    }
}
