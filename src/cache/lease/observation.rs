//! For how long this host has seen something unchanged, over many short processes.
//!
//! A verb lives for a moment, and a dead process is told from a living one only by looking for minutes.
//! So what was seen, and since when, is noted in the cache, one directory for each observer. An
//! observer is a boot of a host (and a time namespace of it): the monotonic clock of another one is
//! never compared. What is watched counts up, so two looks that see the same prove that nothing was
//! said between them.
//!
//! Notes alone: one that cannot be written makes its subject live longer, never shorter.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::Digest;

use crate::cache::clock::{observer, steady};
use crate::cache::durable::Unfinished;

/// What this host has seen.
#[derive(Debug)]
pub(super) struct Observations {
    directory: PathBuf,
}

impl Observations {
    /// Noted in `directory`, which need not exist.
    pub fn new(directory: PathBuf) -> Observations {
        Observations { directory }
    }

    /// Notes that `content` is what `subject` says now; for how long it is known to say so.
    pub fn unchanged_for(&self, subject: &str, content: &[u8]) -> Duration {
        let mine = self.directory.join(observer());
        let file = mine.join(subject);
        let digest: String =
            sha2::Sha256::digest(content).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let now = steady();
        let since = fs::read_to_string(&file).ok().and_then(|text| {
            let (seen, since) = text.trim_end().split_once(' ')?;
            (seen == digest).then(|| since.parse().ok().map(Duration::from_millis)).flatten()
        });
        if let Some(known) = since.and_then(|since| now.checked_sub(since)) {
            return known;
        }
        let text = format!("{digest} {}\n", now.as_millis());
        let written = fs::create_dir_all(&mine)
            .and_then(|()| Unfinished::write(&file, text.as_bytes()))
            .and_then(|new| new.replace(&file));
        if let Err(error) = written {
            log::debug!("could not note when {subject} was seen: {error}");
        }
        Duration::ZERO
    }

    /// Forgets what any host noted of subjects that are not there any more.
    pub fn forget(&self, is_there: impl Fn(&str) -> bool) {
        for observer in entries(&self.directory) {
            for note in entries(&observer) {
                let subject = note.file_name().and_then(|name| name.to_str());
                if !subject.is_some_and(&is_there) {
                    let _ = fs::remove_file(&note);
                }
            }
            // Fails unless it is empty.
            let _ = fs::remove_dir(&observer);
        }
    }
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_of_several_processes_add_up_and_a_sign_of_life_begins_anew() {
        let directory = tempfile::tempdir().unwrap();
        let look =
            |content: &[u8]| Observations::new(directory.path().join("seen")).unchanged_for("one", content);
        assert_eq!(look(b"1"), Duration::ZERO);
        while look(b"1") < Duration::from_millis(20) {}
        assert_eq!(look(b"2"), Duration::ZERO);
        // What another boot noted says nothing.
        let other = directory.path().join("seen/other");
        fs::create_dir(&other).unwrap();
        fs::write(other.join("two"), "0000000000000000 0\n").unwrap();
        Observations::new(directory.path().join("seen")).forget(|subject| subject == "one");
        assert!(!other.exists());
        assert!(look(b"2") < Duration::from_secs(60));
        assert_eq!(entries(&directory.path().join("seen").join(observer())).len(), 1);
    }
}
