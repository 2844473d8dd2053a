//! Prepare: a revision in a private staging directory, complete, verified and on the disk.
//!
//! Everything that takes time happens here, under the fetch lock at most: network, unpacking, reading
//! the tree, fsync. Nothing of it can be seen by a reader, and dropping a [`Staged`] removes it. What
//! is left for the commit are renames.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use super::clock::unix_now;
use super::durable::{sync_directory, sync_tree};
use super::layout::Layout;
use super::pin::Pin;
use super::snapshot::{TABLES, table_file};
use super::staging::Staging;
use super::state::{SnapshotState, is_revision};
use super::trash::PIN;
use crate::error::{Error, Kind, Result};
use crate::fault;
use crate::key::Key;
use crate::source::{Prepared, Progress, Resolved, Revision, Source, Workplace};
use crate::store::{self, Limits, PackRecord, Table};

/// In a generation: it was found corrupt, so nothing may be taken over from it.
const CORRUPT: &str = "corrupt";

/// A prepared revision that is not published yet.
pub(super) struct Staged {
    staging: Staging,
    pub resolved: Resolved,
    pub record: SnapshotState,
    /// The generation whose objects it needs. Pinned, so that they stay.
    pub lender: Option<Arc<Pin>>,
    /// What the source said of it.
    pub prepared: Prepared,
}

/// A generation to borrow objects from.
pub(super) struct Lender {
    pub pin: Arc<Pin>,
    /// What its packs are, by the records of those who published them.
    pub packs: Vec<PackRecord>,
}

/// Has `source` bring `resolved` into a new staging directory, and verifies it.
pub(super) fn prepare(
    layout: &Layout,
    limits: &Limits,
    source: &dyn Source,
    key: &Key,
    resolved: &Resolved,
    lender: Option<Lender>,
    progress: &Progress,
) -> Result<Staged> {
    let revision = &resolved.revision;
    if !is_revision(revision.as_str()) {
        let what = format!("prepare {key}");
        return Err(Error::new(Kind::Invalid, what, format!("{revision:?} is not a revision")));
    }
    let staging = Staging::create(layout)?;
    let repository = staging.directory();
    let place = Workplace {
        directory: repository,
        borrow: lender.as_ref().map(|lender| lender.pin.directory()),
        lease: Some(staging.lease()),
    };
    let prepared = source.prepare(key, resolved, place, progress)?;
    fault!("fetch.prepared")?;
    let broken = |why: &str| Error::new(Kind::Corrupt, format!("verify {}", key.at(revision)), why);
    let mut resolved = resolved.clone();
    match prepared.revision == *revision {
        true => {}
        // What is not asked for by its name may have moved on meanwhile: a directory.
        false if resolved.moving && is_revision(prepared.revision.as_str()) => {
            resolved.revision = prepared.revision.clone();
        }
        false => return Err(broken(&format!("its source brought {} instead", prepared.revision))),
    }
    let revision = &resolved.revision;
    if has_loose_objects(repository)? {
        return Err(broken("its source left objects outside of packs"));
    }
    // Reads every tree and the header of every blob: fails if one of them is missing.
    let table = Table::build(repository, &prepared.tree, limits)?;
    fault!("verify.built")?;
    create_directory(&repository.join(TABLES))?;
    let saved = table.save(&table_file(repository, revision))?;
    fault!("verify.saved")?;
    let mut packs = store::packs(repository)?;
    if let Some(lender) = &lender {
        packs.extend(packs_of(lender)?);
        packs.sort_by(|a, b| a.name.cmp(&b.name));
        packs.dedup_by(|a, b| a.name == b.name);
    }
    protect(repository, revision, &prepared.tree)?;
    fault!("verify.protected")?;
    sync_tree(repository)?;
    fault!("verify.synced")?;
    let modified = match prepared.modified.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_secs()).unwrap_or(i64::MAX),
    };
    let record = SnapshotState {
        tree: prepared.tree.clone(),
        modified,
        files: table.files(),
        bytes: table.bytes(),
        table: saved,
        packs,
        fetched: unix_now(),
        about: prepared.about.clone(),
    };
    let lender = lender.map(|lender| lender.pin);
    Ok(Staged { staging, resolved, record, lender, prepared })
}

impl Staged {
    /// The prepared repository.
    pub fn repository(&self) -> &Path {
        self.staging.directory()
    }

    /// Makes it complete by itself, after the generation it borrowed from was cleared: that one's
    /// packs get a second name here, which costs neither network nor space while it lives.
    ///
    /// Fails if that generation cannot be trusted or the file system has no hard links; then it must
    /// be prepared again, without borrowing.
    pub fn stand_alone(&mut self) -> Result<()> {
        let Some(lender) = self.lender.take() else { return Ok(()) };
        if is_marked_corrupt(lender.directory()) {
            let what = format!("take over {}", lender.directory().display());
            return Err(Error::new(Kind::Corrupt, what, "it was found corrupt"));
        }
        let from = packs_directory(lender.directory());
        let to = packs_directory(self.repository());
        for name in pack_files(&from)? {
            match fs::hard_link(from.join(&name), to.join(&name)) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(Error::io("link", from.join(&name), &error));
                }
                _ => {}
            }
            fault!("publish.linked")?;
        }
        let alternates = self.repository().join("objects/info/alternates");
        match fs::remove_file(&alternates) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::io("remove", &alternates, &error));
            }
            _ => {}
        }
        let merged = merged_shallow(lender.directory(), self.repository())?;
        if let Some(merged) = merged {
            let shallow = self.repository().join("shallow");
            fs::write(&shallow, merged).map_err(|error| Error::io("write", &shallow, &error))?;
        }
        fault!("publish.completed")?;
        sync_tree(self.repository())
    }
}

/// Notes in a generation that nothing may be taken over from it. As far as the disk lets.
pub(super) fn mark_corrupt(generation: &Path) {
    if let Err(error) = File::create(generation.join(CORRUPT)) {
        log::warn!("could not mark {} as corrupt: {error}", generation.display());
    }
}

/// Whether nothing may be taken over from a generation.
pub(super) fn is_marked_corrupt(generation: &Path) -> bool {
    generation.join(CORRUPT).exists()
}

/// The directory of packs of a repository.
pub(super) fn packs_directory(repository: &Path) -> PathBuf {
    repository.join("objects/pack")
}

/// The object that the ref of a revision names: the commit, if the revision is one, else its tree.
pub(super) fn object_of<'a>(revision: &'a Revision, tree: &'a str) -> &'a str {
    match crate::store::ObjectId::parse(revision.as_str()) {
        Some(_) => revision.as_str(),
        None => tree,
    }
}

/// The ref that keeps a revision in a mirror, whatever git program cleans up there.
pub(super) fn reference_file(repository: &Path, revision: &Revision) -> PathBuf {
    repository.join("refs/srcfs").join(revision.as_str())
}

/// The files of complete packs, in the order in which they may appear: an index last, because it is
/// what makes a pack visible.
pub(super) fn pack_files(directory: &Path) -> Result<Vec<String>> {
    let failed = |error: io::Error| Error::io("list", directory, &error);
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        if let Ok(name) = entry.map_err(failed)?.file_name().into_string()
            && name.starts_with("pack-")
        {
            names.push(name);
        }
    }
    let complete: BTreeSet<String> =
        names.iter().filter_map(|name| name.strip_suffix(".idx")).map(str::to_owned).collect();
    names.retain(|name| name.rsplit_once('.').is_some_and(|(stem, _)| complete.contains(stem)));
    names.sort_by_key(|name| match name.rsplit_once('.') {
        Some((_, "pack")) => 0,
        Some((_, "idx")) => 2,
        _ => 1,
    });
    Ok(names)
}

/// The lines of both `shallow` files; `None` if the first has them all.
pub(super) fn merged_shallow(into: &Path, from: &Path) -> Result<Option<String>> {
    let old = shallow_lines(into)?;
    let all: BTreeSet<String> = old.union(&shallow_lines(from)?).cloned().collect();
    if all == old {
        return Ok(None);
    }
    Ok(Some(all.into_iter().map(|line| line + "\n").collect()))
}

pub(super) fn shallow_lines(repository: &Path) -> Result<BTreeSet<String>> {
    let file = repository.join("shallow");
    match fs::read_to_string(&file) {
        Ok(text) => Ok(text.lines().map(str::to_owned).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeSet::new()),
        Err(error) => Err(Error::io("read", &file, &error)),
    }
}

/// Makes one directory, if it is not there.
pub(super) fn create_directory(directory: &Path) -> Result<()> {
    match fs::create_dir(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(Error::io("create the directory", directory, &error))
        }
        _ => Ok(()),
    }
}

fn has_loose_objects(repository: &Path) -> Result<bool> {
    let objects = repository.join("objects");
    let entries = fs::read_dir(&objects).map_err(|error| Error::io("list", &objects, &error))?;
    for entry in entries.flatten() {
        let fan_out = entry.file_name().len() == 2;
        if fan_out && fs::read_dir(entry.path()).is_ok_and(|mut inside| inside.next().is_some()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The packs a lender has: those of the record as they were recorded (a checksum computed now could
/// be that of a damaged file), and any that a commit left there before it died.
fn packs_of(lender: &Lender) -> Result<Vec<PackRecord>> {
    let mut packs = lender.packs.clone();
    for found in store::packs(lender.pin.directory())? {
        if !packs.iter().any(|pack| pack.name == found.name) {
            packs.push(found);
        }
    }
    Ok(packs)
}

/// Adds what belongs to a generation beside the objects: marks that keep any git program from
/// removing packs or objects, and the pin file for the case that it becomes a generation.
pub(super) fn protect(repository: &Path, revision: &Revision, tree: &str) -> Result<()> {
    let write = |path: PathBuf, text: String| {
        fs::write(&path, text).map_err(|error| Error::io("write", &path, &error))
    };
    let packs = packs_directory(repository);
    for name in pack_files(&packs)? {
        if let Some(stem) = name.strip_suffix(".idx") {
            write(packs.join(format!("{stem}.keep")), "srcfs\n".to_owned())?;
        }
    }
    create_directory(&repository.join("refs"))?;
    create_directory(&repository.join("refs/srcfs"))?;
    write(reference_file(repository, revision), format!("{}\n", object_of(revision, tree)))?;
    write(repository.join(PIN), String::new())?;
    sync_directory(repository)
}
