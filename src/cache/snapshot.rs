//! An opened [`Snapshot`]: what readers hold. While one lives, its generation stays on disk.
//!
//! Table and objects of a revision are loaded once and shared by all snapshots of it in this process;
//! objects are shared by all revisions of a generation whose packs are open already.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::pin::Pin;
use super::state::SnapshotState;
use crate::error::Result;
use crate::key::{Key, Reference};
use crate::source::{About, Resolved, Revision};
use crate::store::{Objects, PackRecord, Table};

/// One immutable tree of one revision, pinned.
#[derive(Clone)]
pub struct Snapshot(Arc<Inner>);

struct Inner {
    key: Key,
    reference: Reference,
    resolved: Resolved,
    contents: Arc<Contents>,
}

/// What all snapshots of one revision in one generation share.
pub(super) struct Contents {
    record: SnapshotState,
    table: Arc<Table>,
    objects: Arc<Objects>,
    // Last: what is read goes before what keeps it on disk.
    pin: Arc<Pin>,
}

impl Snapshot {
    pub(super) fn new(key: &Key, reference: &Reference, resolved: Resolved, contents: Arc<Contents>) -> Self {
        let about = contents.record.about.as_ref();
        let key = about.map_or_else(|| key.clone(), |about| key.spelled(&about.name));
        Snapshot(Arc::new(Inner { key, reference: reference.clone(), resolved, contents }))
    }

    /// Of which resource: of a package with its name spelled as by its registry.
    pub fn key(&self) -> &Key {
        &self.0.key
    }

    /// The reference it was asked for by.
    pub fn reference(&self) -> &Reference {
        &self.0.reference
    }

    /// What that reference resolved to.
    pub fn resolved(&self) -> &Resolved {
        &self.0.resolved
    }

    /// The revision it is.
    pub fn revision(&self) -> &Revision {
        &self.0.resolved.revision
    }

    /// The object id of its root tree, in hex.
    pub fn tree(&self) -> &str {
        &self.0.contents.record.tree
    }

    /// The url it came from.
    pub fn url(&self) -> &str {
        self.0.key.source()
    }

    /// What is told of it, if it is a package.
    pub fn about(&self) -> Option<&About> {
        self.0.contents.record.about.as_ref()
    }

    /// The revision's own time.
    pub fn modified(&self) -> SystemTime {
        self.0.contents.record.modified()
    }

    /// When it came into the cache.
    pub fn fetched_at(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.0.contents.record.fetched)
    }

    /// Its nodes.
    pub fn table(&self) -> &Arc<Table> {
        &self.0.contents.table
    }

    /// Where its blobs are read.
    pub fn objects(&self) -> &Arc<Objects> {
        &self.0.contents.objects
    }

    /// The generation it is in.
    pub fn generation(&self) -> &str {
        self.0.contents.pin.generation()
    }

    /// The directory of that generation.
    pub(super) fn directory(&self) -> &Path {
        self.0.contents.pin.directory()
    }

    /// Whether a record is about the very same nodes.
    pub(super) fn has_nodes_of(&self, record: &SnapshotState) -> bool {
        let own = &self.0.contents.record;
        (&own.tree, &own.table) == (&record.tree, &record.table)
    }

    /// The bytes that its packs and its table take on disk; packs may be shared with other revisions.
    pub fn bytes_on_disk(&self) -> u64 {
        let record = &self.0.contents.record;
        record.table.bytes + record.packs.iter().map(|pack| pack.pack_bytes).sum::<u64>()
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Snapshot({}@{} of {})", self.key(), self.revision(), self.generation())
    }
}

/// The file that holds the table of `revision`, in a generation's repository.
pub(super) fn table_file(repository: &Path, revision: &Revision) -> PathBuf {
    repository.join(TABLES).join(format!("{revision}.table"))
}

/// The directory of tables in a generation's repository.
pub(super) const TABLES: &str = "tables";

type Slot = Arc<Mutex<Weak<Contents>>>;

/// What is open in this process.
#[derive(Default)]
pub(super) struct Opened {
    slots: Mutex<HashMap<(PathBuf, String), Slot>>,
    objects: Mutex<HashMap<PathBuf, Vec<OpenObjects>>>,
}

struct OpenObjects {
    packs: Vec<String>,
    objects: Weak<Objects>,
}

// The maps are locked for memory operations alone, which do not panic; a slot for as long as its
// contents are loaded, and a panic there leaves it as it was.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Opened {
    /// Loads what `record` describes, or joins what is loaded already.
    ///
    /// Fails with `Kind::Corrupt` if a file is not what the record says.
    pub fn contents(
        &self,
        pin: Arc<Pin>,
        revision: &Revision,
        record: &SnapshotState,
    ) -> Result<Arc<Contents>> {
        self.load(pin, revision, record, |file| Ok(Arc::new(Table::load(file, &record.table)?)))
    }

    /// A snapshot whose `record` in another generation has the very same nodes, there. Its table is in
    /// memory already.
    pub fn move_over(&self, snapshot: &Snapshot, pin: Arc<Pin>, record: &SnapshotState) -> Result<Snapshot> {
        let table = || Ok(Arc::clone(snapshot.table()));
        let contents = self.load(pin, snapshot.revision(), record, |_| table())?;
        Ok(Snapshot::new(snapshot.key(), snapshot.reference(), snapshot.resolved().clone(), contents))
    }

    fn load(
        &self,
        pin: Arc<Pin>,
        revision: &Revision,
        record: &SnapshotState,
        table: impl FnOnce(&Path) -> Result<Arc<Table>>,
    ) -> Result<Arc<Contents>> {
        let slot = {
            let mut slots = lock(&self.slots);
            slots.retain(|_, slot| Arc::strong_count(slot) > 1 || lock(slot).strong_count() > 0);
            let place = (pin.directory().to_owned(), revision.as_str().to_owned());
            Arc::clone(slots.entry(place).or_default())
        };
        let mut slot = lock(&slot);
        if let Some(contents) = slot.upgrade() {
            return Ok(contents);
        }
        let table = table(&table_file(pin.directory(), revision))?;
        let objects = self.objects(pin.directory(), &record.packs)?;
        let contents = Arc::new(Contents { record: record.clone(), table, objects, pin });
        *slot = Arc::downgrade(&contents);
        Ok(contents)
    }

    fn objects(&self, repository: &Path, packs: &[PackRecord]) -> Result<Arc<Objects>> {
        {
            let mut open = lock(&self.objects);
            open.retain(|_, several| {
                several.retain(|one| one.objects.strong_count() > 0);
                !several.is_empty()
            });
            let several = open.get(repository).into_iter().flatten();
            for one in several.filter(|one| packs.iter().all(|pack| one.packs.contains(&pack.name))) {
                if let Some(objects) = one.objects.upgrade() {
                    return Ok(objects);
                }
            }
        }
        let objects = Arc::new(Objects::open(repository, packs)?);
        lock(&self.objects).entry(repository.to_owned()).or_default().push(OpenObjects {
            packs: packs.iter().map(|pack| pack.name.clone()).collect(),
            objects: Arc::downgrade(&objects),
        });
        Ok(objects)
    }
}
