//! The last failure of each key and reference, on disk, so that a verb can explain what another process met.
//!
//! Notes alone: nothing is decided by them, they are written without a lock and not forced to the
//! disk, and trouble with them is logged and otherwise ignored.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::Digest;

use super::clock::unix_now;
use super::durable::Unfinished;
use crate::error::Error;
use crate::fault;
use crate::key::{Key, Reference};
use crate::redact::redact;

/// A failure as it was noted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The key and the reference that was wanted, as [`Reference::of`] writes them.
    pub of: String,
    /// That reference alone; empty for the default.
    pub reference: String,
    /// The name of [`crate::error::Kind`].
    pub kind: String,
    /// The number that a reader of the mount saw.
    pub errno: i32,
    /// What was tried.
    pub what: String,
    /// Why it failed.
    pub why: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// When, in seconds since 1970.
    pub at: u64,
}

/// A failure is of interest for a day.
const LIFE: Duration = Duration::from_secs(24 * 3600);

fn file(directory: &Path, key: &Key, reference: &Reference) -> PathBuf {
    let digest = sha2::Sha256::digest(reference.to_string());
    let digest: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    directory.join(format!("{}.{digest}.json", key.digest()))
}

/// Notes the last failure of `reference`.
pub(super) fn note(directory: &Path, key: &Key, reference: &Reference, error: &Error) {
    let failure = Failure {
        of: reference.of(key),
        reference: reference.to_string(),
        kind: format!("{:?}", error.kind()),
        errno: error.kind().errno(),
        what: redact(error.what()),
        why: redact(error.why()),
        hint: error.advice().map(redact),
        at: unix_now(),
    };
    let written = serde_json::to_vec(&failure).map_err(std::io::Error::from).and_then(|text| {
        let file = file(directory, key, reference);
        let unfinished = Unfinished::write(&file, &text)?;
        fault!("failure.written").map_err(std::io::Error::other)?;
        unfinished.replace(&file)
    });
    if let Err(error) = written {
        log::debug!("could not note a failure of {key}: {error}");
    }
}

/// Forgets the last failure of `reference`.
pub(super) fn forget(directory: &Path, key: &Key, reference: &Reference) {
    let _ = fs::remove_file(file(directory, key, reference));
}

/// Forgets the last failures of all references of `key`.
pub(super) fn forget_all(directory: &Path, key: &Key) {
    let digest = key.digest();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(&digest) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Forgets what is of no interest any more.
pub(super) fn forget_old(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        if modified.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > LIFE)) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// The last failure of `reference`, if it was not followed by a success.
pub(super) fn last(directory: &Path, key: &Key, reference: &Reference) -> Option<Failure> {
    serde_json::from_slice(&fs::read(file(directory, key, reference)).ok()?).ok()
}

/// All of them, the newest first.
pub(super) fn all(directory: &Path) -> Vec<Failure> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let written = paths.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    let read = |path: PathBuf| serde_json::from_slice(&fs::read(path).ok()?).ok();
    let mut found: Vec<Failure> = written.filter_map(read).collect();
    found.sort_by_key(|failure| std::cmp::Reverse(failure.at));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use crate::key::GitUrl;

    #[test]
    fn the_last_failure_is_kept_without_secrets_until_it_is_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let key = Key::git(GitUrl::parse("https://example.org/a/b").unwrap());
        let (main, other) = (Reference::Default, Reference::parse("other").unwrap());
        assert_eq!(last(directory.path(), &key, &main), None);
        let error =
            Error::new(Kind::Denied, "fetch", "no to https://user:hunter2@example.org/a/b").hint("log in");
        note(directory.path(), &key, &main, &error);
        let failure = last(directory.path(), &key, &main).unwrap();
        assert_eq!(last(directory.path(), &key, &other), None);
        assert_eq!((failure.kind.as_str(), failure.errno), ("Denied", libc::EACCES));
        assert!(!failure.why.contains("hunter2"));
        assert_eq!(all(directory.path()), [failure]);
        forget(directory.path(), &key, &main);
        assert_eq!(last(directory.path(), &key, &main), None);
        note(directory.path(), &key, &main, &error);
        note(directory.path(), &key, &other, &error);
        forget_old(directory.path());
        assert_eq!(all(directory.path()).len(), 2);
        forget_all(directory.path(), &key);
        assert_eq!(all(directory.path()), []);
    }
}
