//! A source that starts no process: it copies the packs of a generation. A thousand fetches take seconds.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use srcfs::cache::{Cache, Fetched, Freshness};
use srcfs::error::Result;
use srcfs::key::{Key, Reference};
use srcfs::source::{Prepared, Progress, Resolved, Revision, Source, Workplace};

use crate::stage::{Case, Stage, Start, generations, key};

/// Brings what one case has into others.
pub struct Copying {
    packs: PathBuf,
    revision: String,
    tree: String,
    fetches: AtomicUsize,
}

impl Copying {
    /// What `case` has, which must stay for as long as this is used.
    pub fn of(case: &Case<'_>) -> Copying {
        let state = case.open().state(&key()).unwrap().unwrap();
        let (revision, snapshot) = state.snapshots.first_key_value().unwrap();
        let generation = generations(&case.mirror()).remove(0);
        Copying {
            packs: generation.join("objects/pack"),
            revision: revision.clone(),
            tree: snapshot.tree.clone(),
            fetches: AtomicUsize::new(0),
        }
    }

    /// How often it was asked to.
    pub fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }

    /// Gets the default of the key.
    pub fn get(&self, cache: &Cache) -> Result<Fetched> {
        let progress: Arc<Progress> = Arc::default();
        cache.get(self, &key(), &Reference::Default, Freshness::Cached, "a test", &progress)
    }
}

impl Source for Copying {
    fn resolve(&self, _: &Key, _: &Reference, _: &[Revision], _: &Progress) -> Result<Resolved> {
        let full_name = Some("refs/heads/main".to_owned());
        Ok(Resolved { revision: Revision::new(&self.revision), full_name, moving: true })
    }

    fn prepare(&self, _: &Key, resolved: &Resolved, place: Workplace<'_>, _: &Progress) -> Result<Prepared> {
        self.fetches.fetch_add(1, Ordering::SeqCst);
        srcfs::store::init_bare(place.directory)?;
        for entry in fs::read_dir(&self.packs).unwrap().flatten() {
            fs::copy(entry.path(), place.directory.join("objects/pack").join(entry.file_name())).unwrap();
        }
        Ok(Prepared {
            revision: resolved.revision.clone(),
            tree: self.tree.clone(),
            modified: UNIX_EPOCH + Duration::from_secs(1_700_000_000),
            transferred: 1,
            stamp: None,
            about: None,
        })
    }
}

/// A stage with a source that copies from its first case.
pub fn with_source(test: impl FnOnce(&Stage, &Copying)) {
    let stage = Stage::new();
    let origin = stage.case(Start::Old);
    test(&stage, &Copying::of(&origin));
}
