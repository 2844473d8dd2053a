//! A generation that a pointer names: all that its records say is there, and protected.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::Path;

use super::{Check, Flaw, is_unfinished};
use crate::cache::lease::pin::PINS;
use crate::cache::prepare::{object_of, packs_directory, reference_file};
use crate::cache::snapshot::table_file;
use crate::cache::state::{SnapshotState, State};
use crate::cache::trash::PIN;
use crate::error::{Error, Kind};
use crate::source::Revision;
use crate::store::{Kind as NodeKind, Limits, ObjectId, Objects, Table};

/// What lies in a generation: what srcfs puts there, then what git programs do.
const KNOWN: &[&str] = &[
    "HEAD",
    "config",
    "corrupt",
    "objects",
    "pin",
    "refs",
    "shallow",
    "tables",
    "FETCH_HEAD",
    "ORIG_HEAD",
    "branches",
    "description",
    "gc.log",
    "gc.pid",
    "hooks",
    "info",
    "logs",
    "packed-refs",
    "worktrees",
];

impl Check<'_> {
    pub(super) fn generation(&mut self, state: &State, directory: &Path) {
        self.found.generations += 1;
        match fs::symlink_metadata(directory) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return self.report(Flaw::Generation, directory, "it is no directory"),
            Err(_) => return self.report(Flaw::Generation, directory, "it is published and not there"),
        }
        for needed in [PIN, "HEAD", "config"] {
            if !directory.join(needed).is_file() {
                self.report(Flaw::Generation, directory.join(needed), "it is missing");
            }
        }
        let alternates = directory.join("objects/info/alternates");
        if alternates.exists() {
            self.report(Flaw::Generation, alternates, "it borrows objects, so it is not whole by itself");
        }
        for (name, path) in self.entries(directory) {
            let of_leases = name == PINS && self.layout.lease().is_some();
            if !KNOWN.contains(&name.as_str()) && !of_leases && !is_unfinished(&name) {
                self.report(Flaw::Foreign, path, "nobody knows what it is for");
            }
        }
        self.unfinished(directory);
        let mut hashed = HashSet::new();
        let mut files = BTreeMap::new();
        for (revision, record) in &state.snapshots {
            self.found.snapshots += 1;
            self.snapshot(directory, &Revision::new(revision), record, &mut hashed);
            let table = table_file(directory, &Revision::new(revision));
            files.insert(table.clone(), table);
            for pack in &record.packs {
                let file = packs_directory(directory).join(format!("{}.pack", pack.name));
                files.insert(file.clone(), file);
            }
        }
        let there: u64 =
            files.values().filter_map(|file| fs::metadata(file).ok()).map(|found| found.len()).sum();
        if there != state.bytes_on_disk() {
            let why = format!("{there} bytes are there, and the records say {}", state.bytes_on_disk());
            self.report(Flaw::Count, directory, why);
        }
    }

    fn snapshot(
        &mut self,
        directory: &Path,
        revision: &Revision,
        record: &SnapshotState,
        hashed: &mut HashSet<ObjectId>,
    ) {
        self.protection(directory, revision, record);
        let table_file = table_file(directory, revision);
        let table = match Table::load(&table_file, &record.table) {
            Ok(table) => Some(table),
            Err(error) => {
                self.failure(Flaw::Table, &table_file, &error);
                None
            }
        };
        let objects = match Objects::open(directory, &record.packs) {
            Ok(objects) => Some(objects),
            Err(error) => {
                self.failure(Flaw::Pack, &packs_directory(directory), &error);
                None
            }
        };
        let Some(table) = table else { return };
        if table.node(0).is_none_or(|root| root.object.hex() != record.tree) {
            self.report(Flaw::Table, &table_file, format!("its root is not {}", record.tree));
        }
        if (table.files(), table.bytes()) != (record.files, record.bytes) {
            let why = format!("it has {} files and {} bytes", table.files(), table.bytes());
            self.report(Flaw::Count, &table_file, why);
        }
        if let (Some(objects), true) = (objects, self.how.deep) {
            self.content(directory, &table_file, record, &table, &objects, hashed);
        }
    }

    /// What keeps a git program, run in the mirror, from cleaning it away.
    fn protection(&mut self, directory: &Path, revision: &Revision, record: &SnapshotState) {
        let reference = reference_file(directory, revision);
        let object = object_of(revision, &record.tree);
        let loose = fs::read_to_string(&reference).is_ok_and(|text| text.trim_end() == object);
        let packed = fs::read_to_string(directory.join("packed-refs")).unwrap_or_default();
        let line = format!("{object} refs/srcfs/{revision}");
        if !loose && !packed.lines().any(|packed| packed == line) {
            self.report(Flaw::Unprotected, reference, "no ref keeps it");
        }
        for pack in &record.packs {
            let keep = packs_directory(directory).join(format!("{}.keep", pack.name));
            if !keep.is_file() {
                self.report(Flaw::Unprotected, keep, "nothing keeps the pack");
            }
        }
    }

    /// Every byte: the trees are those of the table, the blobs are what their ids say.
    fn content(
        &mut self,
        directory: &Path,
        table_file: &Path,
        record: &SnapshotState,
        table: &Table,
        objects: &Objects,
        hashed: &mut HashSet<ObjectId>,
    ) {
        match Table::build(directory, &record.tree, &Limits::default()) {
            Ok(built) if built == *table => {}
            Ok(_) => self.report(Flaw::Table, table_file, "it is not the table of its tree"),
            Err(error) => self.failure(Flaw::Object, directory, &error),
        }
        for index in 0..table.len() {
            let Some(node) = table.node(index) else { continue };
            let blob = matches!(node.kind, NodeKind::File { .. } | NodeKind::Symlink);
            if !blob || !hashed.insert(node.object) {
                continue;
            }
            self.found.objects += 1;
            let mut id = None;
            let mut hash = |bytes: &[u8]| id = Some((ObjectId::of("blob", bytes), bytes.len() as u64));
            let read = objects.read(&node.object, 0, u32::MAX, &mut hash);
            let path = || directory.join(table.path(index));
            match (read, id) {
                (Ok(()), Some((id, size))) if id == node.object && size == node.size => {}
                (Ok(()), _) => self.report(Flaw::Object, path(), "its bytes are not what its id says"),
                (Err(error), _) => self.failure(Flaw::Object, &path(), &error),
            }
        }
    }

    /// A part that could not be loaded: damaged, or not to be looked at.
    fn failure(&mut self, flaw: Flaw, path: &Path, error: &Error) {
        let flaw = if error.kind() == Kind::Corrupt { flaw } else { Flaw::Unreadable };
        self.report(flaw, path, error.to_string());
    }
}
