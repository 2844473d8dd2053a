//! Files in which sources remember what saves them work.
//!
//! None is needed: a lost one costs the work. Each is replaced atomically and ends with its own hash, so
//! what is read is what somebody wrote, or nothing. They are not forced to the disk. What is left of those that
//! were being written when somebody died is looked for now and then, not at each write: there may be thousands.

use std::collections::HashMap;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sha2::Digest;

use crate::error::{Error, Result};

/// What files begin with that are being written.
const UNFINISHED: &str = "tmp_";
const DIGEST: usize = 32;
/// Who writes for longer than that died. And how often this process looks for what they left.
const HOUR: Duration = Duration::from_secs(3600);

/// When this process last looked, by directory.
static LOOKED: Mutex<Option<HashMap<PathBuf, Instant>>> = Mutex::new(None);

/// The content of `file`; none if it does not exist or is not what was written.
pub(super) fn load(file: &Path) -> Option<Vec<u8>> {
    let mut bytes = std::fs::read(file).ok()?;
    let (content, digest) = bytes.split_at_checked(bytes.len().checked_sub(DIGEST)?)?;
    if sha2::Sha256::digest(content).as_slice() != digest {
        return None;
    }
    bytes.truncate(bytes.len() - DIGEST);
    Some(bytes)
}

/// Makes `content` that of `file`, which only its owner can read.
pub(super) fn store(file: &Path, mut content: Vec<u8>) -> Result<()> {
    content.extend(sha2::Sha256::digest(&content));
    let directory = file.parent().unwrap_or(Path::new("."));
    let failed = |error: std::io::Error| Error::io("write", file, &error);
    if is_time_to_look(directory) {
        forget_unfinished(directory);
    }
    let mut new = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(directory).map_err(failed)?;
    new.write_all(&content).map_err(failed)?;
    new.persist(file).map_err(|error| failed(error.error))?;
    Ok(())
}

fn is_time_to_look(directory: &Path) -> bool {
    let mut looked = LOOKED.lock().unwrap_or_else(PoisonError::into_inner);
    let looked = looked.get_or_insert_default();
    if looked.get(directory).is_some_and(|last| last.elapsed() < HOUR) {
        return false;
    }
    looked.insert(directory.to_owned(), Instant::now());
    true
}

/// Removes what others began to write an hour ago: they died.
fn forget_unfinished(directory: &Path) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        if !entry.file_name().as_bytes().starts_with(UNFINISHED.as_bytes()) {
            continue;
        }
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        let age = modified.ok().and_then(|modified| modified.elapsed().ok()).unwrap_or_default();
        if age > HOUR {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_left_is_looked_for_at_the_first_write_and_not_at_each() {
        let directory = tempfile::tempdir().unwrap();
        let left = |name: &str, age: Duration| {
            let path = directory.path().join(name);
            let file = std::fs::File::create(&path).unwrap();
            file.set_modified(std::time::SystemTime::now() - age).unwrap();
            path
        };
        let (old, young) = (left("tmp_old", HOUR * 2), left("tmp_young", HOUR / 2));
        let file = directory.path().join("file");
        store(&file, b"one".to_vec()).unwrap();
        assert!(!old.exists() && young.exists());
        let old = left("tmp_old", HOUR * 2);
        store(&file, b"two".to_vec()).unwrap();
        assert!(old.exists(), "a batch of thousands would look at thousands each time");
        assert_eq!(load(&file).unwrap(), b"two");
    }
}
