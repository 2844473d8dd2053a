//! What a lease file says, and what somebody saw who looked at it.
//!
//! The text has the same length whatever its numbers are, so that it is replaced within the file by one
//! write. One that cannot be read as a record (empty, torn, of a later version) is a lease of an
//! unknown owner, which goes stale like any other.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cache::key_lock::HolderInfo;
use crate::config::locking::LeaseTimes;

/// No record is longer.
const LONGEST: u64 = 64 * 1024;

/// The content of a lease file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::cache) struct Record {
    /// Random: who wrote it.
    pub owner: String,
    /// Higher than that of every holder before.
    pub token: u64,
    /// How often the owner has said that it lives.
    pub beat: u64,
    /// For how many milliseconds each of these counts, as a lock and as the life of a process. Hosts
    /// may be configured differently: what the owner lives by counts, unless who looks is more patient.
    #[serde(default)]
    pub stale: u64,
    /// See `stale`.
    #[serde(default)]
    pub pin_stale: u64,
    /// For messages alone.
    pub holder: Option<HolderInfo>,
}

impl Record {
    /// The first of `owner`, who lives by `times`.
    pub fn new(owner: &str, token: u64, times: LeaseTimes, holder: Option<HolderInfo>) -> Record {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let (stale, pin_stale) = (millis(times.stale()), millis(times.pin_stale()));
        Record { owner: owner.to_owned(), token, beat: 0, stale, pin_stale, holder }
    }

    /// As it is written.
    pub fn encode(&self) -> Vec<u8> {
        let holder = serde_json::to_string(&self.holder).unwrap_or_else(|_| "null".to_owned());
        // Owners are hexadecimal digits and hyphens: nothing to escape.
        let Record { owner, token, beat, stale, pin_stale, .. } = self;
        format!(
            "{{\"owner\":\"{owner}\",\"token\":{token:>20},\"beat\":{beat:>20},\"stale\":{stale},\
             \"pin_stale\":{pin_stale},\"holder\":{holder}}}\n"
        )
        .into_bytes()
    }

    /// `None` for anything else.
    pub fn parse(content: &[u8]) -> Option<Record> {
        serde_json::from_slice(content).ok()
    }
}

/// What lay under a name when somebody looked.
#[derive(Clone, Debug)]
pub(in crate::cache) struct Seen {
    inode: u64,
    /// Its bytes.
    pub content: Vec<u8>,
    /// What they say, if they are a record.
    pub record: Option<Record>,
}

impl Seen {
    /// Whether the two are one lease with one heartbeat. Of a file that says nothing the inode number
    /// counts as well; of one that does, only what it says: an inode number is used again.
    pub fn is_same(&self, other: &Seen) -> bool {
        self.content == other.content && (self.record.is_some() || self.inode == other.inode)
    }

    /// For how long a lock that says this counts, for one who lives by `own` times.
    pub fn stale(&self, own: LeaseTimes) -> Duration {
        let said = self.record.as_ref().map_or(0, |record| record.stale);
        own.stale().max(Duration::from_millis(said).min(LeaseTimes::STALE.most))
    }

    /// The same of a sign of life.
    pub fn pin_stale(&self, own: LeaseTimes) -> Duration {
        let said = self.record.as_ref().map_or(0, |record| record.pin_stale);
        let most = LeaseTimes::pin_stale_range(own.stale()).most;
        own.pin_stale().max(Duration::from_millis(said).min(most))
    }

    /// Whether it is of this owner.
    pub fn is_of(&self, owner: &str) -> bool {
        self.record.as_ref().is_some_and(|record| record.owner == owner)
    }

    /// Who holds it, by its own account.
    pub fn holder(&self) -> Option<&HolderInfo> {
        self.record.as_ref()?.holder.as_ref()
    }
}

/// Looks at a lease file; `None` if it is not there.
pub(in crate::cache) fn look(path: &Path) -> io::Result<Option<Seen>> {
    match open(path, false).and_then(|file| read(&file)) {
        Ok(seen) => Ok(Some(seen)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        // Replaced at the server while it was opened: that is for the next look.
        Err(error) if error.raw_os_error() == Some(libc::ESTALE) => Ok(None),
        Err(_) => match std::fs::symlink_metadata(path) {
            Ok(metadata) => Ok(Some(Seen { inode: metadata.ino(), content: Vec::new(), record: None })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        },
    }
}

/// Changes the record at `path` if it is of `owner`; whether it is. The file that was read is the one
/// that is written: one that takes its name in between is not touched.
pub(in crate::cache) fn amend(
    path: &Path,
    owner: &str,
    change: impl FnOnce(&mut Record),
) -> io::Result<bool> {
    let file = match open(path, true) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let Some(mut record) = read(&file)?.record.filter(|record| record.owner == owner) else {
        return Ok(false);
    };
    change(&mut record);
    file.write_all_at(&record.encode(), 0)?;
    Ok(true)
}

fn open(path: &Path, write: bool) -> io::Result<File> {
    File::options().read(true).write(write).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)
}

fn read(file: &File) -> io::Result<Seen> {
    let inode = file.metadata()?.ino();
    let mut content = Vec::with_capacity(512);
    file.take(LONGEST).read_to_end(&mut content)?;
    let record = Record::parse(&content);
    Ok(Seen { inode, content, record })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(token: u64, beat: u64) -> Record {
        Record { beat, ..Record::new("0a-1", token, LeaseTimes::default(), None) }
    }

    #[test]
    fn a_record_keeps_its_length_and_is_read_as_it_was_written() {
        let lengths = [record(0, 0), record(7, 12_345), record(u64::MAX, u64::MAX)].map(|record| {
            assert_eq!(Record::parse(&record.encode()), Some(record.clone()));
            record.encode().len()
        });
        assert!(lengths.iter().all(|length| *length == lengths[0]));
        for torn in [&b""[..], b"{", b"null", b"1 2", b"{\"owner\":\"x\"}"] {
            assert_eq!(Record::parse(torn), None);
        }
    }

    #[test]
    fn what_the_owner_lives_by_counts_unless_who_looks_is_more_patient() {
        let seconds = Duration::from_secs;
        let times = |stale, pins| LeaseTimes::new(seconds(stale), None, Some(seconds(pins))).unwrap();
        let seen = |record: Option<Record>| Seen { inode: 1, content: Vec::new(), record };
        let (hasty, patient) = (times(1, 1), times(60, 900));
        let of_patient = seen(Some(Record::new("a", 1, patient, None)));
        assert_eq!((of_patient.stale(hasty), of_patient.pin_stale(hasty)), (seconds(60), seconds(900)));
        let of_hasty = seen(Some(Record::new("a", 1, hasty, None)));
        assert_eq!((of_hasty.stale(patient), of_hasty.pin_stale(patient)), (seconds(60), seconds(900)));
        assert_eq!((seen(None).stale(hasty), seen(None).pin_stale(hasty)), (seconds(1), seconds(1)));
        // What is out of every range holds up nobody for ever.
        let torn = Record { stale: u64::MAX, pin_stale: u64::MAX, ..record(1, 1) };
        assert_eq!(seen(Some(torn.clone())).stale(hasty), LeaseTimes::STALE.most);
        assert_eq!(seen(Some(torn)).pin_stale(hasty), LeaseTimes::pin_stale_range(seconds(1)).most);
    }

    #[test]
    fn only_the_owner_amends_and_nothing_is_made_anew() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lease");
        assert!(!amend(&path, "0a-1", |_| ()).unwrap());
        assert!(!path.exists());
        std::fs::write(&path, record(1, 1).encode()).unwrap();
        let before = look(&path).unwrap().unwrap();
        assert!(!amend(&path, "0a-2", |record| record.beat = 9).unwrap());
        assert!(look(&path).unwrap().unwrap().is_same(&before));
        assert!(amend(&path, "0a-1", |record| record.beat = 2).unwrap());
        let after = look(&path).unwrap().unwrap();
        assert!(!after.is_same(&before) && after.is_of("0a-1"));
        assert_eq!(after.record.unwrap().beat, 2);
    }

    #[test]
    fn what_says_nothing_is_told_apart_by_its_inode() {
        let directory = tempfile::tempdir().unwrap();
        let (one, two) = (directory.path().join("one"), directory.path().join("two"));
        for path in [&one, &two] {
            std::fs::write(path, "").unwrap();
        }
        let seen = |path| look(path).unwrap().unwrap();
        assert!(seen(&one).is_same(&seen(&one)) && !seen(&one).is_same(&seen(&two)));
        std::fs::create_dir(directory.path().join("directory")).unwrap();
        assert!(look(&directory.path().join("directory")).unwrap().unwrap().record.is_none());
    }
}
