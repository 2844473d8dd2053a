//! What is remembered of files that were read: by what the system says of a file it is known that it
//! is still the one whose id that is.
//!
//! One file for each resource, replaced atomically, by whoever read something anew; a lost or damaged
//! one costs a reading of everything. A file counts as unchanged if device, inode, size, modification
//! and change time are what they were, and if both times are older than the look at them by [`RACY`]:
//! a file that was changed a moment ago may be changed again without a new time (git's "racily
//! clean"), so it is read again. That assumes that the clock of the file system is not behind that of
//! this machine by more than that, at the moment of such a change.
//!
//! It holds the names of the files, so it goes with the mirror. Who looks at the directory at that moment
//! began with a file that is gone then, and does not write it anew; what slips in between goes with the
//! next collection ([`forget_others`]).

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::sys::stat::FileStat;

use crate::error::Result;
use crate::source::memory;
use crate::store::ObjectId;

/// The coarsest time stamps of file systems in use are 2 s apart.
const RACY: Duration = Duration::from_secs(2);
/// What the names of the files end with.
const ENDING: &str = ".stats";
/// No fetch takes so long.
const YOUNG: Duration = Duration::from_secs(24 * 3600);
const MAGIC: &[u8; 8] = b"srcfsst1";
const FIXED: usize = 4 + 8 * 5 + 4 + 20;

/// By what it is seen that a file is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    device: u64,
    inode: u64,
    size: u64,
    /// In nanoseconds since 1970.
    modified: i64,
    changed: i64,
    mode: u32,
}

impl Stat {
    pub(super) fn of(stat: &FileStat) -> Stat {
        let nanoseconds =
            |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
        Stat {
            device: stat.st_dev,
            inode: stat.st_ino,
            size: stat.st_size.unsigned_abs(),
            modified: nanoseconds(stat.st_mtime, stat.st_mtime_nsec),
            changed: nanoseconds(stat.st_ctime, stat.st_ctime_nsec),
            mode: stat.st_mode,
        }
    }

    /// Whether its owner may execute it: what git looks at.
    pub(super) fn is_executable(&self) -> bool {
        self.mode & 0o100 != 0
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn modified(&self) -> SystemTime {
        let time = Duration::from_nanos(self.modified.unsigned_abs());
        if self.modified < 0 { UNIX_EPOCH - time } else { UNIX_EPOCH + time }
    }

    /// Whether it was changed less than `span` before or after `now`.
    pub(super) fn changed_within(&self, span: Duration, now: SystemTime) -> bool {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        i128::from(self.changed).abs_diff(i128::try_from(now).unwrap_or(i128::MAX)) < span.as_nanos()
    }

    /// Whether a change after `seen` would have given it another time.
    fn is_settled(&self, seen: SystemTime) -> bool {
        let seen = seen.duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(RACY);
        let seen = i64::try_from(seen.as_nanos()).unwrap_or(i64::MAX);
        self.modified < seen && self.changed < seen
    }
}

/// The remembered files, by their paths.
#[derive(Default)]
pub(super) struct Stats {
    files: HashMap<OsString, (Stat, ObjectId)>,
    /// Whether there was a file that remembered them.
    kept: bool,
}

impl Stats {
    /// What `file` remembers; nothing if it does not exist or is not what was written.
    pub(super) fn load(file: &Path) -> Stats {
        let kept = file.exists();
        let read = memory::load(file).and_then(|bytes| decode(&bytes));
        Stats { files: read.unwrap_or_default(), kept }
    }

    /// Whether `file`, which they were loaded from, was removed since.
    pub(super) fn were_forgotten(&self, file: &Path) -> bool {
        self.kept && !file.exists()
    }

    /// The id of the file at `path`, if it is known that it is unchanged.
    pub(super) fn unchanged(&self, path: &Path, now: &Stat) -> Option<ObjectId> {
        self.files.get(path.as_os_str()).filter(|(then, _)| then == now).map(|(_, object)| *object)
    }

    /// How many are remembered.
    pub(super) fn len(&self) -> usize {
        self.files.len()
    }
}

/// Remembers `files` as they were `seen` not earlier than that; those whose times are too young are left
/// out, for they have to be read again anyway.
pub(super) fn save<'f>(
    file: &Path,
    seen: SystemTime,
    files: impl Iterator<Item = (&'f Path, &'f Stat, &'f ObjectId)>,
) -> Result<()> {
    let mut bytes = MAGIC.to_vec();
    for (path, stat, object) in files.filter(|(_, stat, _)| stat.is_settled(seen)) {
        let path = path.as_os_str().as_bytes();
        bytes.extend(u32::try_from(path.len()).unwrap_or(u32::MAX).to_le_bytes());
        for number in [stat.device, stat.inode, stat.size] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(stat.modified.to_le_bytes());
        bytes.extend(stat.changed.to_le_bytes());
        bytes.extend(stat.mode.to_le_bytes());
        bytes.extend(object.0);
        bytes.extend(path);
    }
    memory::store(file, bytes)
}

fn decode(bytes: &[u8]) -> Option<HashMap<OsString, (Stat, ObjectId)>> {
    let mut rest = bytes.strip_prefix(MAGIC)?;
    let mut files = HashMap::new();
    while !rest.is_empty() {
        let (fixed, after) = rest.split_at_checked(FIXED)?;
        let length = u32::from_le_bytes(fixed[..4].try_into().ok()?) as usize;
        let word = |at: usize| fixed[4 + 8 * at..12 + 8 * at].try_into().ok();
        let stat = Stat {
            device: u64::from_le_bytes(word(0)?),
            inode: u64::from_le_bytes(word(1)?),
            size: u64::from_le_bytes(word(2)?),
            modified: i64::from_le_bytes(word(3)?),
            changed: i64::from_le_bytes(word(4)?),
            mode: u32::from_le_bytes(fixed[44..48].try_into().ok()?),
        };
        let object = ObjectId(fixed[48..].try_into().ok()?);
        let (path, after) = after.split_at_checked(length)?;
        files.insert(OsString::from_vec(path.to_vec()), (stat, object));
        rest = after;
    }
    Some(files)
}

/// The place of what is remembered of a resource.
pub(super) fn place(directory: &Path, digest: &str) -> PathBuf {
    directory.join(format!("{digest}{ENDING}"))
}

/// Removes what is remembered of a resource.
pub(super) fn forget(directory: &Path, digest: &str) {
    let file = place(directory, digest);
    match std::fs::remove_file(&file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            log::warn!("could not delete {}: {error}", file.display());
        }
        _ => {}
    }
}

/// Removes what is remembered of resources whose digest is not among `digests`, if it is old: a young one
/// may be of a first fetch.
pub(super) fn forget_others(directory: &Path, digests: &HashSet<String>) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(digest) = name.to_str().and_then(|name| name.strip_suffix(ENDING)) else { continue };
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        let age = modified.ok().and_then(|modified| modified.elapsed().ok()).unwrap_or_default();
        if age > YOUNG && !digests.contains(digest) {
            forget(directory, digest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_of_nothing_goes_when_it_is_old_and_nothing_else_does() {
        let directory = tempfile::tempdir().unwrap();
        let names = ["used.stats", "unused.stats", "young.stats", "unused.document"];
        for name in names {
            let file = std::fs::File::create(directory.path().join(name)).unwrap();
            if name != "young.stats" {
                file.set_modified(SystemTime::now() - YOUNG * 2).unwrap();
            }
        }
        forget_others(directory.path(), &HashSet::from(["used".to_owned()]));
        let left = names.map(|name| directory.path().join(name).exists());
        assert_eq!(left, [true, false, true, true]);
    }

    #[test]
    fn who_began_with_a_file_that_is_gone_knows_it() {
        let directory = tempfile::tempdir().unwrap();
        let file = place(directory.path(), "x");
        assert!(!Stats::load(&file).were_forgotten(&file), "there was none");
        save(&file, SystemTime::now(), std::iter::empty()).unwrap();
        let stats = Stats::load(&file);
        assert!(!stats.were_forgotten(&file));
        forget(directory.path(), "x");
        assert!(stats.were_forgotten(&file));
    }
}
