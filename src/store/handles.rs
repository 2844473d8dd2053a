//! libgit2's object databases of one generation: one for each thread that reads at the same time.
//!
//! They belong to the generation and not to the threads, so that a generation that is let go closes
//! its packs at once and the disk gets their bytes back. libgit2 shares an open pack and its cache of
//! delta bases (at most 16 MiB a pack, not configurable) among all handles of the process and frees it
//! with the last one. So that many generations do not mean many caches, only the [`RECENT`] most
//! recently read ones keep handles that nobody is using.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::repository;
use crate::error::Result;

/// How many generations keep their packs open while nobody reads them.
const RECENT: usize = 2;

/// How many handles one generation keeps.
const IDLE: usize = 8;

/// The generations that may have idle handles, the most recently read one last.
static RECENTLY_READ: Mutex<Vec<Weak<Handles>>> = Mutex::new(Vec::new());

pub(super) struct Handles {
    repository: PathBuf,
    idle: Mutex<Vec<git2::Odb<'static>>>,
}

/// A handle that goes back when it is dropped.
pub(super) struct Handle {
    handles: Arc<Handles>,
    odb: Option<git2::Odb<'static>>,
}

impl Handles {
    pub(super) fn new(repository: &Path) -> Arc<Self> {
        Arc::new(Handles { repository: repository.to_owned(), idle: Mutex::default() })
    }

    pub(super) fn take(self: &Arc<Self>) -> Result<Handle> {
        self.note_use();
        let idle = lock(&self.idle).pop();
        let odb = match idle {
            Some(odb) => odb,
            None => repository::open_odb(&self.repository)?,
        };
        Ok(Handle { handles: Arc::clone(self), odb: Some(odb) })
    }

    fn note_use(self: &Arc<Self>) {
        let mut recent = lock(&RECENTLY_READ);
        let is_this = |other: &Weak<Handles>| std::ptr::eq(other.as_ptr(), Arc::as_ptr(self));
        if recent.last().is_some_and(is_this) {
            return;
        }
        recent.retain(|other| !is_this(other) && other.strong_count() > 0);
        recent.push(Arc::downgrade(self));
        let surplus = recent.len().saturating_sub(RECENT);
        let forgotten: Vec<_> = recent.drain(..surplus).collect();
        drop(recent);
        for handles in forgotten.iter().filter_map(Weak::upgrade) {
            let closing = std::mem::take(&mut *lock(&handles.idle));
            drop(closing);
        }
    }

    fn is_recent(&self) -> bool {
        lock(&RECENTLY_READ).iter().any(|other| std::ptr::eq(other.as_ptr(), self))
    }
}

impl Deref for Handle {
    type Target = git2::Odb<'static>;

    fn deref(&self) -> &Self::Target {
        // Some until `drop`.
        match &self.odb {
            Some(odb) => odb,
            None => unreachable!("a handle is used after it was given back"),
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let returned = self.odb.take();
        if self.handles.is_recent() {
            let mut idle = lock(&self.handles.idle);
            if idle.len() < IDLE {
                idle.extend(returned);
            }
        }
    }
}

/// What these locks protect is whole between any two statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
