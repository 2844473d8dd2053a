//! Which references are kept: what a `keep` notes and a `release` takes back.
//!
//! One small file for each, on the disk before the verb returns. It outlives restarts and clears; only
//! what makes room reads it. Notes are written and removed under the commit lock of their key, and who
//! drops something looks for them under the same lock, so neither overlooks the other. A note that
//! cannot be read counts: its mirror is kept as a whole.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::Digest;

use super::Cache;
use super::clock::unix_now;
use super::durable::{self, sync_directory};
use super::key_lock::KeyLock;
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
        let directory = self.layout.kept();
        let file = file(&directory, key, reference);
        let locks = KeyLock::new(self.layout.locks(), key);
        let commit = locks.commit(&self.commit_wait(), &format!("keep {key}"))?;
        durable::sweep(&directory, &key.digest());
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
        let directory = self.layout.kept();
        let file = file(&directory, key, reference);
        let _commit =
            KeyLock::new(self.layout.locks(), key).commit(&self.commit_wait(), &format!("release {key}"))?;
        match fs::remove_file(&file) {
            Ok(()) => sync_directory(&directory).map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::io("remove", &file, &error)),
        }
    }

    /// Everything that is kept, by key. Notes that cannot be read are logged and left out.
    pub fn kept(&self) -> Vec<Kept> {
        let mut kept: Vec<Kept> = Vec::new();
        for path in notes(&self.layout.kept()) {
            match read(&path) {
                Ok(note) => kept.push(note),
                Err(error) => log::warn!("{error}"),
            }
        }
        kept.sort_by(|a, b| (&a.key, a.reference.to_string()).cmp(&(&b.key, b.reference.to_string())));
        kept
    }

    /// What of `key` is kept. Fails if a note about it cannot be read.
    pub(super) fn kept_of(&self, key: &Key) -> Result<Vec<Reference>> {
        let digest = key.digest();
        let of =
            |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&digest));
        let directory = self.layout.kept();
        notes(&directory).filter(of).map(|path| read(&path).map(|kept| kept.reference)).collect()
    }
}

fn notes(directory: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "json"))
}

fn file(directory: &Path, key: &Key, reference: &Reference) -> PathBuf {
    let digest = sha2::Sha256::digest(reference.to_string());
    let digest: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    directory.join(format!("{}.{digest}.json", key.digest()))
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
    if path.file_name() != file(Path::new(""), &key, &reference).file_name() {
        return Err(torn(format!("it is about {}, and has another name", reference.of(&key))));
    }
    Ok(Kept { key, reference, since })
}
