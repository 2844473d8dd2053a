//! What is remembered of files that were read: by what the system says of a file it is known that it
//! is still the one whose id that is.
//!
//! One file for each resource, replaced atomically, by whoever read something anew; a lost or damaged
//! one costs a reading of everything. A file counts as unchanged if device, inode, size, modification
//! and change time are what they were, and if both times are older than the look at them by [`RACY`]:
//! a file that was changed a moment ago may be changed again without a new time (git's "racily
//! clean"), so it is read again. That assumes that the clock of the file system is not behind that of
//! this machine by more than that, at the moment of such a change.

use std::collections::HashMap;
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
}

impl Stats {
    /// What `file` remembers; nothing if it does not exist or is not what was written.
    pub(super) fn load(file: &Path) -> Stats {
        let read = memory::load(file).and_then(|bytes| decode(&bytes));
        Stats { files: read.unwrap_or_default() }
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
    directory.join(format!("{digest}.stats"))
}
