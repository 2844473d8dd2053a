//! `state.json`: what of a mirror is published. The pointer that readers follow.
//!
//! It is replaced atomically, under the commit lock, and read without any lock. `generation` names
//! the directory that holds everything else; `None` is the tombstone that a clear leaves, with the
//! time of the clear, so that whoever showed the old content knows since when it is old.
//!
//! Nothing of a file is believed that could lead out of the mirror's directory: names are checked
//! when it is read, and a file that cannot be understood is [`Kind::Corrupt`].

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::clock::Changed;
use super::durable;
use crate::error::{Error, Kind, Result};
use crate::key::{Key, Reference};
use crate::source::{About, Resolved, Revision};
use crate::store::{PackRecord, TableRecord};

const VERSION: u32 = 1;

/// What of a mirror is published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    version: u32,
    kind: String,
    /// Where it comes from: see [`Key::source`].
    pub url: String,
    /// The directory of the living generation; `None` after a clear.
    pub generation: Option<String>,
    /// When a reference last moved, or the mirror was cleared.
    pub changed: Changed,
    /// When the mirror was last cleared, if ever.
    pub cleared: Option<Changed>,
    /// The fencing token of the lease under which it was written; 0 with locks of the kernel.
    #[serde(default)]
    pub fence: u64,
    /// Whether it stands for one that could not be read, so that `cleared` is the time of that.
    #[serde(skip)]
    pub(super) torn: bool,
    /// What references resolved to, by [`Reference`]'s text (empty: the default).
    pub references: BTreeMap<String, ReferenceState>,
    /// What is complete in the generation, by revision.
    pub snapshots: BTreeMap<String, SnapshotState>,
}

/// What a reference resolved to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReferenceState {
    /// A key of [`State::snapshots`].
    pub revision: String,
    /// See [`Resolved::full_name`].
    pub full_name: Option<String>,
    /// Whether it can name another revision tomorrow.
    pub moving: bool,
    /// When the upstream was last asked, in seconds since 1970.
    pub checked: u64,
    /// When its meaning last changed: it moved, or the mirror was cleared before it came back.
    pub changed: Changed,
}

/// One complete tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotState {
    /// The object id of its root tree.
    pub tree: String,
    /// The revision's own time, in seconds since 1970.
    pub modified: i64,
    /// How many files it has.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Its table of nodes.
    pub table: TableRecord,
    /// The packs that hold its objects.
    pub packs: Vec<PackRecord>,
    /// When it came, in seconds since 1970.
    pub fetched: u64,
    /// What is told of it, if it is a package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<About>,
}

impl ReferenceState {
    /// As a source answered it.
    pub fn resolved(&self) -> Resolved {
        Resolved {
            revision: Revision::new(self.revision.clone()),
            full_name: self.full_name.clone(),
            moving: self.moving,
        }
    }
}

impl SnapshotState {
    /// The revision's own time.
    pub fn modified(&self) -> SystemTime {
        let seconds = Duration::from_secs(self.modified.unsigned_abs());
        if self.modified < 0 { UNIX_EPOCH - seconds } else { UNIX_EPOCH + seconds }
    }
}

impl State {
    /// Of a mirror in which nothing is.
    pub fn empty(key: &Key) -> State {
        State {
            version: VERSION,
            kind: key.kind().as_str().to_owned(),
            url: key.source().to_owned(),
            generation: None,
            changed: Changed::now(),
            cleared: None,
            fence: 0,
            torn: false,
            references: BTreeMap::new(),
            snapshots: BTreeMap::new(),
        }
    }

    /// The key whose mirror it is.
    pub fn key(&self) -> Result<Key> {
        Key::parse(&self.kind, &self.url)
    }

    /// Whether it is the state of this key's mirror, and not one that was copied there.
    pub fn is_of(&self, key: &Key) -> bool {
        self.key().is_ok_and(|own| own == *key)
    }

    /// What `reference` means here, and since when that is known; `None` if it is not cached. A full
    /// id needs no entry of its own.
    pub fn find(&self, reference: &Reference) -> Option<(Resolved, &SnapshotState, u64)> {
        if let Some(found) = self.references.get(&reference.to_string()) {
            let snapshot = self.snapshots.get(&found.revision)?;
            return Some((found.resolved(), snapshot, found.checked));
        }
        let Reference::Commit(id) = reference else { return None };
        let snapshot = self.snapshots.get(id)?;
        let resolved = Resolved { revision: Revision::new(id.clone()), full_name: None, moving: false };
        Some((resolved, snapshot, snapshot.fetched))
    }

    /// The bytes of its packs and tables, which are most of what it takes on the disk.
    pub fn bytes_on_disk(&self) -> u64 {
        let mut packs = BTreeMap::new();
        let mut tables = 0;
        for snapshot in self.snapshots.values() {
            tables += snapshot.table.bytes;
            packs.extend(snapshot.packs.iter().map(|pack| (pack.name.as_str(), pack.pack_bytes)));
        }
        tables + packs.values().sum::<u64>()
    }

    /// Reads the state of the mirror in `mirror`; `None` if there is none, or an empty one: that is what
    /// a clear leaves where there is no room for a tombstone.
    ///
    /// Fails with [`Kind::Corrupt`] if it cannot be understood, and with [`Kind::Unsupported`] if a
    /// later version wrote it.
    pub fn read(mirror: &Path) -> Result<Option<State>> {
        let file = State::file(mirror);
        let text = match std::fs::read(&file) {
            Ok(text) => text,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(error) => return Err(Error::io("read", &file, &error)),
        };
        if text.is_empty() {
            return Ok(None);
        }
        let corrupt = |why: String| Error::new(Kind::Corrupt, format!("read {}", file.display()), why);
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let Version { version } =
            serde_json::from_slice(&text).map_err(|error| corrupt(error.to_string()))?;
        if version > VERSION {
            let what = format!("read {}", file.display());
            return Err(Error::new(
                Kind::Unsupported,
                what,
                format!("a later srcfs wrote it (version {version})"),
            ));
        }
        let state: State = serde_json::from_slice(&text).map_err(|error| corrupt(error.to_string()))?;
        state.check().map_err(corrupt)?;
        Ok(Some(state))
    }

    /// Replaces the state of the mirror in `mirror`. The caller holds the commit lock.
    pub(super) fn write(&self, mirror: &Path, before: impl FnOnce() -> Result<()>) -> Result<()> {
        let text = serde_json::to_vec_pretty(self).map_err(|error| {
            Error::new(Kind::Io, format!("write the state of {}", self.url), error.to_string())
        })?;
        durable::replace(&State::file(mirror), &text, before)
    }

    pub(super) fn file(mirror: &Path) -> PathBuf {
        mirror.join("state.json")
    }

    fn check(&self) -> Result<(), String> {
        if let Some(generation) = &self.generation
            && !is_generation(generation)
        {
            return Err(format!("{generation:?} is not a generation"));
        }
        if let Some(revision) = self.snapshots.keys().find(|revision| !is_revision(revision)) {
            return Err(format!("{revision:?} is not a revision"));
        }
        let packs = self.snapshots.values().flat_map(|snapshot| &snapshot.packs);
        if let Some(pack) = packs.into_iter().find(|pack| !is_plain_name(&pack.name)) {
            return Err(format!("{:?} is not a pack", pack.name));
        }
        Ok(())
    }
}

fn is_plain_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 200
        && !text.starts_with('.')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'+' | b'!'))
}

/// Whether `text` is a name of a generation: what [`super::layout::random_id`] makes.
pub(super) fn is_generation(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether `text` is safe as a path component and as the last part of a ref.
pub(super) fn is_revision(text: &str) -> bool {
    is_plain_name(text) && !text.contains("..") && !text.ends_with(".lock") && !text.ends_with('.')
}

/// What tells one content of `state.json` from the next without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    inode: u64,
    modified: (i64, i64),
    size: u64,
}

impl Stamp {
    /// Of the mirror in `mirror`; `None` if it has no state. That it cannot be found out is an error,
    /// and does not count as a clear.
    pub fn of(mirror: &Path) -> Result<Option<Stamp>> {
        let file = State::file(mirror);
        match std::fs::metadata(&file) {
            Ok(metadata) => Ok(Some(Stamp {
                inode: metadata.ino(),
                modified: (metadata.mtime(), metadata.mtime_nsec()),
                size: metadata.size(),
            })),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Ok(None)
            }
            Err(error) => Err(Error::io("look at", &file, &error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        Key::git(crate::key::GitUrl::parse("https://example.org/a/b").unwrap())
    }

    #[test]
    fn what_is_written_is_read() {
        let mirror = tempfile::tempdir().unwrap();
        assert_eq!(State::read(mirror.path()).unwrap(), None);
        let mut state = State::empty(&key());
        state.generation = Some("0123456789abcdef".repeat(2));
        state.write(mirror.path(), || Ok(())).unwrap();
        assert_eq!(State::read(mirror.path()).unwrap().unwrap(), state);
        assert_eq!(state.key().unwrap(), key());
    }

    #[test]
    fn a_file_that_leads_out_or_is_torn_is_corrupt() {
        let mirror = tempfile::tempdir().unwrap();
        let mut state = State::empty(&key());
        state.generation = Some("../../../etc".into());
        state.write(mirror.path(), || Ok(())).unwrap();
        assert_eq!(State::read(mirror.path()).unwrap_err().kind(), Kind::Corrupt);
        state.generation = None;
        state.write(mirror.path(), || Ok(())).unwrap();
        let file = State::file(mirror.path());
        let whole = std::fs::read(&file).unwrap();
        for length in [1, whole.len() / 2, whole.len() - 1] {
            std::fs::write(&file, &whole[..length]).unwrap();
            assert_eq!(State::read(mirror.path()).unwrap_err().kind(), Kind::Corrupt, "{length} bytes");
        }
        std::fs::write(&file, "").unwrap();
        assert_eq!(State::read(mirror.path()).unwrap(), None, "as a clear of a full disk leaves it");
    }

    #[test]
    fn a_later_version_is_not_corrupt() {
        let mirror = tempfile::tempdir().unwrap();
        std::fs::write(State::file(mirror.path()), r#"{"version": 2, "else": []}"#).unwrap();
        assert_eq!(State::read(mirror.path()).unwrap_err().kind(), Kind::Unsupported);
    }

    #[test]
    fn every_replacement_has_its_own_stamp() {
        let mirror = tempfile::tempdir().unwrap();
        let state = State::empty(&key());
        let mut stamps = Vec::new();
        for _ in 0..20 {
            state.write(mirror.path(), || Ok(())).unwrap();
            let stamp = Stamp::of(mirror.path()).unwrap().unwrap();
            assert!(!stamps.contains(&stamp));
            stamps.push(stamp);
        }
    }

    #[test]
    fn revisions_are_safe_names() {
        assert!(is_revision(&"a1".repeat(20)) && is_revision("1.2.3-beta.1"));
        assert!(is_revision("1!2.0+local.1_sha256.0123"));
        for bad in ["", ".", "..", "a/b", "../x", ".hidden", "a..b", "x.lock", "x.", "a b", "a\0"] {
            assert!(!is_revision(bad), "{bad:?}");
        }
    }
}
