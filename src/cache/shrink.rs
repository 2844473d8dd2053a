//! Shrink: revisions of a mirror that nobody uses go, and the mirror stays.
//!
//! What an update brings needs what was there before, so no pack can simply be removed. What the
//! revisions that stay need is copied into a new generation, in staging and under the fetch lock; under
//! the commit lock only `generation` and the packs of the snapshots change. What references mean, and
//! since when, stays as it is: for readers nothing changed. The old generation goes when nobody pins it,
//! as always, and whoever shows a revision that stayed can move over ([`Cache::move_over`]).
//!
//! What is damaged is not copied: then everything stays, for whoever reads it to find out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::Cache;
use super::durable::sync_tree;
use super::evict::{Stays, stays};
use super::gc::Rules;
use super::materialize::ATTEMPTS;
use super::pin::Pin;
use super::prepare::{create_directory, is_marked_corrupt, protect, shallow_lines};
use super::publish::{Desk, read_for_change};
use super::removal;
use super::snapshot::{Snapshot, TABLES, table_file};
use super::staging::Staging;
use super::state::State;
use super::trash::{self, PIN};
use super::usage::{Usage, copy_use, disk, revision_used};
use crate::error::{Error, Kind, Result};
use crate::fault;
use crate::source::Revision;
use crate::store::{self, Kind as NodeKind, ObjectId, PackRecord, Selection, Table};

/// At least this part of a generation must be won: a quarter.
const PAYS: u64 = 4;

/// What the smallest file takes on most disks, and how many such a generation has at least.
const SMALL_FILE: u64 = 4096;
const SMALL_FILES: u64 = 14;

/// What a shrink did, or would do.
pub(super) struct Shrunk {
    /// The revisions that went.
    pub revisions: Vec<String>,
    /// What that gives back, or will when nobody pins the old generation any more.
    pub won: u64,
    /// Whether somebody still pins it.
    pub pending: bool,
    /// What is published now, and where it lies; nothing after a rehearsal.
    pub now: Option<(Arc<State>, String)>,
}

/// What stays of a generation.
struct Plan {
    pin: Arc<Pin>,
    state: Arc<State>,
    tables: BTreeMap<String, Table>,
    dropped: Vec<String>,
    selection: Selection,
    bytes: u64,
    won: u64,
}

impl Cache {
    /// Drops the revisions that `rules` do not protect; `None` if there are none, or if none would
    /// stay: then it is a matter of the whole mirror. A `rehearsal` changes nothing.
    pub(super) fn shrink(
        &self,
        usage: &Usage,
        rules: &Rules<'_>,
        rehearsal: bool,
    ) -> Result<Option<Shrunk>, Stays> {
        // Without any lock: most mirrors have nothing to drop.
        let Ok(dropped) = self.droppable(usage, &usage.state, rules) else { return Err(Stays::Kept) };
        if dropped.is_empty() || dropped.len() == usage.state.snapshots.len() {
            return Ok(None);
        }
        let fetch = self.try_fetch_lock(&usage.key)?;
        for _ in 0..ATTEMPTS {
            let Some(plan) = self.plan(usage, rules)? else { return Ok(None) };
            if plan.won == 0 || plan.won < (plan.bytes + plan.won) / PAYS {
                return Err(Stays::Small);
            }
            if disk(&self.layout).map_err(stays)?.0 < plan.bytes + plan.bytes / 8 {
                return Err(Stays::NoRoom);
            }
            if rehearsal {
                let (revisions, won) = (plan.dropped, plan.won);
                return Ok(Some(Shrunk { revisions, won, pending: false, now: None }));
            }
            fault!("gc.selected").map_err(stays)?;
            let staging = Staging::create(&self.layout).map_err(stays)?;
            let pack = plan.prepare(staging.directory()).map_err(stays)?;
            fault!("gc.prepared").map_err(stays)?;
            let committed = self.commit(&usage.key, &fetch, |desk| {
                let live = read_for_change(&usage.mirror, &usage.key, desk.commit)?;
                let mut planned = State::clone(&plan.state);
                // The token is that of whoever reads it.
                planned.fence = live.fence;
                let same = live == planned;
                // Something may have been kept, or used, since.
                let dropped = self.droppable(usage, &plan.state, rules)?;
                match same && plan.dropped.iter().all(|revision| dropped.contains(revision)) {
                    true => plan.publish(desk, live, &usage.mirror, staging.directory(), &pack).map(Some),
                    false => Ok(None),
                }
            });
            if let Some(new) = committed.map_err(stays)? {
                fault!("gc.released").map_err(stays)?;
                let Plan { pin, dropped: revisions, .. } = plan;
                let old = pin.directory().to_owned();
                let won = removal::size(&old).saturating_sub(removal::size(new.directory()));
                let state = self.state(&usage.key).map_err(stays)?;
                let now = state.map(|state| (state, new.generation().to_owned()));
                drop((pin, new));
                // Dropping the last pin leaves that to another thread, which a verb would not wait for.
                trash::empty(&self.layout);
                return Ok(Some(Shrunk { revisions, won, pending: old.exists(), now }));
            }
        }
        Err(Stays::Used)
    }

    /// The revisions of a state that may go, the oldest use first.
    fn droppable(&self, usage: &Usage, state: &State, rules: &Rules<'_>) -> Result<Vec<String>> {
        let kept = self.kept_of(&usage.key)?;
        let kept: BTreeSet<String> = kept
            .iter()
            .filter_map(|reference| state.find(reference))
            .map(|(resolved, _, _)| resolved.revision.to_string())
            .collect();
        let meant: BTreeSet<&String> =
            state.references.values().map(|reference| &reference.revision).collect();
        let may_go = |revision: &&String| {
            let used = revision_used(&usage.directory(), revision);
            !kept.contains(*revision) && rules.drop(used, meant.contains(revision))
        };
        Ok(state.snapshots.keys().filter(may_go).cloned().collect())
    }

    fn plan(&self, usage: &Usage, rules: &Rules<'_>) -> Result<Option<Plan>, Stays> {
        let Some(state) = self.state(&usage.key).map_err(stays)? else { return Err(Stays::Used) };
        if state.generation.as_ref() != Some(&usage.generation) {
            return Err(Stays::Used);
        }
        let pinned = self.pins.hold(&usage.mirror, &usage.generation).map_err(stays)?;
        let Some(pin) = pinned else { return Err(Stays::Used) };
        let repository = pin.directory();
        if is_marked_corrupt(repository) {
            return Err(Stays::Used);
        }
        let dropped = self.droppable(usage, &state, rules).map_err(stays)?;
        let staying = || state.snapshots.iter().filter(|(revision, _)| !dropped.contains(revision));
        if dropped.is_empty() || staying().next().is_none() {
            return Ok(None);
        }
        let mut tables = BTreeMap::new();
        let mut packs: Vec<PackRecord> = Vec::new();
        let mut wanted: BTreeSet<ObjectId> = BTreeSet::new();
        let mut table_bytes = 0;
        for (revision, record) in staying() {
            let file = table_file(repository, &Revision::new(revision));
            let table = Table::load(&file, &record.table).map_err(stays)?;
            // A commit is a revision's own object; of other kinds of sources there is none.
            wanted.extend(ObjectId::parse(revision));
            wanted.extend(objects_of(&table));
            packs.extend(record.packs.iter().cloned());
            table_bytes += record.table.bytes;
            tables.insert(revision.clone(), table);
        }
        // Directories and small files: as many as a generation has, and some for each revision.
        let small = SMALL_FILE * (SMALL_FILES + 2 * tables.len() as u64);
        packs.sort_by(|a, b| a.name.cmp(&b.name));
        packs.dedup_by(|a, b| a.name == b.name);
        let selection = Selection::of(repository, &packs, wanted).map_err(stays)?;
        let bytes = selection.bytes() + table_bytes + small;
        let won = removal::size(repository).saturating_sub(bytes);
        Ok(Some(Plan { pin, state, tables, dropped, selection, bytes, won }))
    }

    /// The same snapshot in the living generation, if it lies in an older one and nothing but its place
    /// changed: what pins the older one can then be dropped. `None` if it is there already, or not at
    /// all. Who shows a snapshot calls it when the pointer names another generation.
    pub fn move_over(&self, snapshot: &Snapshot) -> Result<Option<Snapshot>> {
        let (key, revision) = (snapshot.key(), snapshot.revision());
        let Some(state) = self.state(key)? else { return Ok(None) };
        let Some(generation) = &state.generation else { return Ok(None) };
        let Some(record) = state.snapshots.get(revision.as_str()) else { return Ok(None) };
        if generation == snapshot.generation() || !snapshot.has_nodes_of(record) {
            return Ok(None);
        }
        let Some(pin) = self.pins.hold(&self.layout.mirror(key), generation)? else { return Ok(None) };
        self.opened.move_over(snapshot, pin, record).map(Some)
    }
}

impl Plan {
    /// Writes what stays into an empty staging directory, and to the disk; the pack that holds it.
    fn prepare(&self, repository: &Path) -> Result<PackRecord> {
        store::init_bare(repository)?;
        let pack = self.selection.write(repository)?;
        create_directory(&repository.join(TABLES))?;
        for (revision, table) in &self.tables {
            let revision = Revision::new(revision);
            let saved = table.save(&table_file(repository, &revision))?;
            if self.state.snapshots.get(revision.as_str()).map(|record| &record.table) != Some(&saved) {
                let what = format!("copy the table of {revision}");
                return Err(Error::new(Kind::Corrupt, what, "it is not what its record says"));
            }
            let tree = self.state.snapshots.get(revision.as_str()).map(|record| record.tree.as_str());
            protect(repository, &revision, tree.unwrap_or_default())?;
        }
        // Of commits alone that are here: git does not expect others.
        let mut shallow = shallow_lines(self.pin.directory())?;
        shallow.retain(|commit| self.tables.contains_key(commit));
        let file = repository.join("shallow");
        let lines: String = shallow.into_iter().map(|line| line + "\n").collect();
        fs::write(&file, lines).map_err(|error| Error::io("write", &file, &error))?;
        sync_tree(repository)?;
        Ok(pack)
    }

    /// Makes it the living generation. The `state` is as it was when this was planned.
    fn publish(
        &self,
        desk: &Desk<'_>,
        mut state: State,
        mirror: &Path,
        repository: &Path,
        pack: &PackRecord,
    ) -> Result<Arc<Pin>> {
        desk.still_ours()?;
        fault!("gc.locked")?;
        let old = self.pin.directory();
        copy_use(&old.join(PIN), &repository.join(PIN))?;
        for revision in self.tables.keys().map(Revision::new) {
            copy_use(&table_file(old, &revision), &table_file(repository, &revision))?;
        }
        let pin = desk.move_to_generation(mirror, repository)?;
        state.generation = Some(pin.generation().to_owned());
        state.snapshots.retain(|revision, _| self.tables.contains_key(revision));
        state.references.retain(|_, reference| self.tables.contains_key(&reference.revision));
        for record in state.snapshots.values_mut() {
            record.packs = vec![pack.clone()];
        }
        fault!("gc.moved")?;
        state.write(mirror, || desk.still_ours())?;
        fault!("gc.stated")?;
        Ok(pin)
    }
}

/// The trees and blobs of a tree. What a submodule names is in another repository.
fn objects_of(table: &Table) -> impl Iterator<Item = ObjectId> {
    let nodes = (0..table.len()).filter_map(|index| table.node(index));
    nodes.filter(|node| node.kind != NodeKind::Submodule).map(|node| node.object)
}
