//! What was read of a project, to see cheaply whether it still holds.
//!
//! The size, the inode and the times of each file are compared. Looks at the files through `Root`, so beneath the
//! project's directory only; what cannot be looked at does not hold.

use super::Root;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// One file as it was when it was read; the times in nanoseconds of the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileStamp {
    pub(super) size: u64,
    pub(super) mtime: (i64, i64),
    pub(super) ctime: (i64, i64),
    pub(super) inode: u64,
}

/// For how long after a change a file may change again and look the same: the coarsest clock of a file system.
const TICK: Duration = Duration::from_secs(2);

/// By how much the clock of a file system may go before.
const AHEAD: Duration = Duration::from_secs(3600);

impl FileStamp {
    /// Whether the file was changed so shortly before `now` that a change after it might not show. The clock may be
    /// another computer's and go before; what is of a far future, no change leaves as it is.
    pub(super) fn is_fresh(&self, now: SystemTime) -> bool {
        let fresh = |(seconds, nanoseconds): (i64, i64)| {
            let at = Duration::new(seconds.try_into().unwrap_or(0), nanoseconds.try_into().unwrap_or(0));
            let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
            at + TICK >= now && at <= now + AHEAD
        };
        fresh(self.mtime) || fresh(self.ctime)
    }
}

/// What a file says, for as long as its stamp may not show a change.
#[derive(Clone, Debug)]
pub(super) struct Fresh {
    /// Of its bytes. Nobody outside sees it, so it need not withstand who would forge it.
    pub(super) sum: u64,
    /// That it was the same when a later change would have shown.
    pub(super) settled: Arc<AtomicBool>,
}

/// What was read of a project, and what was looked for and absent.
///
/// As git's index does, it does not trust the times of a file that had just been changed when it was read: until
/// it has been looked at once more, what the file says is compared, too.
#[derive(Clone, Debug, Default)]
pub struct Stamp {
    pub(super) files: BTreeMap<PathBuf, Option<FileStamp>>,
    pub(super) fresh: BTreeMap<PathBuf, Fresh>,
}

impl Stamp {
    /// The files that were read or looked for, relative to the project: what is worth watching, besides
    /// new requirement files.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.keys().map(PathBuf::as_path)
    }

    /// Whether nothing that was read of `dir` has changed, appeared or vanished since: a directory
    /// listing and a stat a file; what had just been changed is read once more. A project that cannot be looked at is
    /// not current.
    pub fn is_current(&self, dir: &Path) -> bool {
        let Ok(root) = Root::open(dir) else { return false };
        let names = root.requirements();
        let known = names.is_ok_and(|names| names.iter().all(|name| self.files.contains_key(name)));
        known
            && self.files.iter().all(|(name, stamp)| root.stat(name) == *stamp)
            && self.fresh.iter().all(|(name, fresh)| self.says_the_same(&root, name, fresh))
    }

    fn says_the_same(&self, root: &Root, name: &Path, fresh: &Fresh) -> bool {
        if fresh.settled.load(Ordering::Relaxed) {
            return true;
        }
        let now = SystemTime::now();
        let Ok(Some((stamp, bytes))) = root.bytes(name) else { return false };
        let same = self.files.get(name) == Some(&Some(stamp)) && sum(&bytes) == fresh.sum;
        fresh.settled.store(same && !stamp.is_fresh(now), Ordering::Relaxed);
        same
    }
}

pub(super) fn sum(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "requirements.txt";

    fn read(directory: &Path) -> Stamp {
        let mut root = Root::open(directory).unwrap();
        assert!(root.read(Path::new(NAME)).unwrap().is_some());
        root.stamp
    }

    #[test]
    fn what_changes_within_a_tick_of_the_clock_is_seen() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(NAME);
        std::fs::write(&file, "a==1").unwrap();
        let mut stamp = read(directory.path());
        assert!(stamp.is_current(directory.path()));
        std::fs::write(&file, "a==2").unwrap();
        // As a clock has it that has not gone on since.
        let now = Root::open(directory.path()).unwrap().stat(Path::new(NAME));
        stamp.files.insert(NAME.into(), now);
        assert!(!stamp.is_current(directory.path()));
    }

    #[test]
    fn what_has_been_looked_at_after_the_tick_is_read_no_more() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(NAME), "a==1").unwrap();
        let stamp = read(directory.path());
        let fresh = &stamp.fresh[Path::new(NAME)];
        let of_file = stamp.files[Path::new(NAME)].unwrap();
        assert!(of_file.is_fresh(SystemTime::now()) && !of_file.is_fresh(SystemTime::now() + TICK * 2));
        assert!(stamp.is_current(directory.path()) && !fresh.settled.load(Ordering::Relaxed));
        fresh.settled.store(true, Ordering::Relaxed);
        std::fs::write(directory.path().join(NAME), "a==2").unwrap();
        assert!(!stamp.is_current(directory.path()), "its times still count");
    }
}
