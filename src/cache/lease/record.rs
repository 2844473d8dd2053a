//! What a lease file says, and what somebody saw who looked at it.
//!
//! The text has the same length whatever its numbers are, so that it is replaced within the file by one
//! write. One that cannot be read as a record (empty, torn, of a later version) is a lease of an
//! unknown owner, which goes stale like any other.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::cache::key_lock::HolderInfo;

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
    /// For messages alone.
    pub holder: Option<HolderInfo>,
}

impl Record {
    /// As it is written.
    pub fn encode(&self) -> Vec<u8> {
        let holder = serde_json::to_string(&self.holder).unwrap_or_else(|_| "null".to_owned());
        // Owners are hexadecimal digits and hyphens: nothing to escape.
        let Record { owner, token, beat, .. } = self;
        format!("{{\"owner\":\"{owner}\",\"token\":{token:>20},\"beat\":{beat:>20},\"holder\":{holder}}}\n")
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
        Record { owner: "0a-1".into(), token, beat, holder: None }
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
