//! The names of a view that were answered as absent, and that the kernel may remember for ever.
//!
//! They are what must be taken back from the kernel before it lets their directories go. All views of a
//! mount share a budget of bytes, because who looks up names that do not exist can think of any number
//! of them; beyond it, and beyond a number for each view, a name is answered as absent without being
//! remembered by anybody. Bytes come back when the names are taken or their view goes.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::sync::Arc;

use crate::locked;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// Misses remembered for one view.
const MOST: usize = 1 << 18;
/// Bytes of memory for the misses of a mount.
const BUDGET: usize = 64 << 20;
/// What a miss takes besides its name, about.
const EACH: usize = 64;

/// A name in a directory.
pub(crate) type Miss = (u32, Arc<OsStr>);

/// The bytes that the misses of a mount take.
#[derive(Clone, Default)]
pub(crate) struct Taken(Arc<AtomicUsize>);

/// The misses of one view.
pub(crate) struct Misses {
    taken: Taken,
    names: Mutex<HashSet<Miss>>,
}

impl Misses {
    /// None yet.
    pub(crate) fn new(taken: Taken) -> Self {
        Misses { taken, names: Mutex::default() }
    }

    /// Remembers that `name` in `directory` is answered as absent; `false` if there are too many.
    pub(crate) fn note(&self, directory: u32, name: &OsStr) -> bool {
        let miss = (directory, Arc::from(name));
        let mut names = locked(&self.names);
        if names.contains(&miss) {
            return true;
        }
        let more = |taken: usize| taken.checked_add(size(&miss)).filter(|&taken| taken <= BUDGET);
        if names.len() >= MOST || self.taken.0.fetch_update(SeqCst, SeqCst, more).is_err() {
            return false;
        }
        names.insert(miss)
    }

    /// All of them; they are forgotten here.
    pub(crate) fn take(&self) -> Vec<Miss> {
        let names: Vec<Miss> = locked(&self.names).drain().collect();
        self.taken.0.fetch_sub(names.iter().map(size).sum(), SeqCst);
        names
    }
}

impl Drop for Misses {
    fn drop(&mut self) {
        self.take();
    }
}

fn size((_, name): &Miss) -> usize {
    EACH + name.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_views_of_a_mount_share_a_budget_and_give_it_back() {
        let taken = Taken::default();
        let (one, other) = (Misses::new(taken.clone()), Misses::new(taken.clone()));
        let long = |n: u32| std::ffi::OsString::from(format!("{n:0>255}"));
        let all = (0..u32::MAX).take_while(|&n| one.note(0, &long(n))).count();
        assert!(all < MOST && all > BUDGET / 400, "{all}");
        assert!(!other.note(0, "name".repeat(60).as_ref()));
        assert!(one.note(0, &long(0)), "known already");
        assert_eq!(one.take().len(), all);
        assert!(other.note(0, "name".as_ref()));
        drop(other);
        assert_eq!(taken.0.load(SeqCst), 0);
    }
}
