//! Which references are kept: what a `keep` notes and a `release` takes back.
//!
//! One small file for each, in a directory of its key, so that whoever wants to know what of one key is
//! kept looks at no other, however many are kept: that is asked under the commit lock. It is on the disk
//! before the verb returns, and outlives restarts and clears; only what makes room reads it. Notes are
//! written and removed under the commit lock of their key, and who drops something looks for them under
//! the same lock, so neither overlooks the other. A note that cannot be read counts: its mirror is kept
//! as a whole.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::Digest;

use super::Cache;
use super::clock::unix_now;
use super::durable::{self, sync_directory};
use super::key_lock::KeyLock;
use super::prepare::create_directory;
use crate::error::{Error, Kind, Result};
use crate::key::{Key, Kind as KeyKind, Reference};

/// A reference that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Of which resource.
    pub key: Key,
    /// What of it.
    pub reference: Reference,
    /// Since when, in seconds since 1970.
    pub since: u64,
}

#[derive(Serialize, Deserialize)]
struct Note {
    #[serde(default = "git")]
    kind: String,
    url: String,
    reference: String,
    since: u64,
}

/// The kind of a note that does not say one: it is older than the others.
fn git() -> String {
    KeyKind::Git.as_str().to_owned()
}

impl Cache {
    /// Keeps `reference` of `key` from being dropped to make room, until it is released. False if it
    /// was kept already. Whether it is cached does not matter.
    pub fn keep(&self, key: &Key, reference: &Reference) -> Result<bool> {
        let kept = self.layout.kept();
        let (directory, file) = (directory(&kept, key), file(&kept, key, reference));
        let locks = KeyLock::new(self.layout.locks(), key);
        let commit = locks.commit(&self.commit_wait(), &format!("keep {key}"))?;
        if !directory.is_dir() {
            create_directory(&directory)?;
            sync_directory(&kept)?;
        }
        durable::sweep(&directory, "");
        // One that was about to evict it, and whose lock was taken over by this, must not do so after.
        durable::sweep(&self.layout.mirror(key), "");
        if file.exists() {
            return Ok(false);
        }
        let note = Note {
            kind: key.kind().as_str().to_owned(),
            url: key.source().to_owned(),
            reference: reference.to_string(),
            since: unix_now(),
        };
        let text = serde_json::to_vec(&note)
            .map_err(|error| Error::new(Kind::Io, format!("keep {key}"), error.to_string()))?;
        durable::replace(&file, &text, || commit.still_ours())?;
        Ok(true)
    }

    /// Lets `reference` of `key` go again when room is needed. False if it was not kept.
    pub fn release(&self, key: &Key, reference: &Reference) -> Result<bool> {
        let kept = self.layout.kept();
        let (directory, file) = (directory(&kept, key), file(&kept, key, reference));
        let _commit =
            KeyLock::new(self.layout.locks(), key).commit(&self.commit_wait(), &format!("release {key}"))?;
        match fs::remove_file(&file) {
            Ok(()) => {
                sync_directory(&directory)?;
                // Fails unless it was the last one.
                let _ = fs::remove_dir(&directory);
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::io("remove", &file, &error)),
        }
    }

    /// Everything that is kept, by key. Notes that cannot be read are logged and left out.
    pub fn kept(&self) -> Vec<Kept> {
        let mut kept: Vec<Kept> = Vec::new();
        let of_keys = fs::read_dir(self.layout.kept()).into_iter().flatten().flatten();
        for directory in of_keys {
            for path in notes(&directory.path()).into_iter().flatten() {
                match read(&path) {
                    Ok(note) => kept.push(note),
                    Err(error) => log::warn!("{error}"),
                }
            }
        }
        kept.sort_by(|a, b| (&a.key, a.reference.to_string()).cmp(&(&b.key, b.reference.to_string())));
        kept
    }

    /// What of `key` is kept. Fails if that, or a note about it, cannot be read.
    pub fn kept_of(&self, key: &Key) -> Result<Vec<Reference>> {
        let directory = directory(&self.layout.kept(), key);
        let notes =
            notes(&directory).map_err(|error| Error::io("list what is kept in", &directory, &error))?;
        notes.iter().map(|path| read(path).map(|kept| kept.reference)).collect()
    }
}

/// The notes in the directory of a key; none if it is absent, or something else.
fn notes(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        entries => entries?,
    };
    let mut notes = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "json") {
            notes.push(path);
        }
    }
    Ok(notes)
}

/// Where the notes about `key` are.
fn directory(kept: &Path, key: &Key) -> PathBuf {
    kept.join(key.digest())
}

fn file(kept: &Path, key: &Key, reference: &Reference) -> PathBuf {
    let digest = sha2::Sha256::digest(reference.to_string());
    let digest: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    directory(kept, key).join(format!("{digest}.json"))
}

fn read(path: &Path) -> Result<Kept> {
    let text = fs::read(path).map_err(|error| Error::io("read", path, &error))?;
    let torn = |why: String| {
        Error::new(Kind::Corrupt, format!("read what is kept, {}", path.display()), why)
            .hint("remove that file and run `srcfs keep` again")
    };
    let Note { kind, url, reference, since } =
        serde_json::from_slice(&text).map_err(|error| torn(error.to_string()))?;
    let key = Key::parse(&kind, &url).map_err(|error| torn(error.to_string()))?;
    let reference = key.reference(&reference).map_err(|error| torn(error.to_string()))?;
    if !path.ends_with(file(Path::new(""), &key, &reference)) {
        return Err(torn(format!("it is about {}, and has another name", reference.of(&key))));
    }
    Ok(Kept { key, reference, since })
}
