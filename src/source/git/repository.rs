//! The bare repository that a fetch fills: made, and looked at when it is full.
//!
//! It is made by hand, because `git init` copies templates (with hooks) of the user's choice.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use git2::{ObjectType, Oid, RepositoryOpenFlags};

use crate::error::{Error, Kind, Result};

/// Makes `directory`, which exists and is empty, a bare repository that holds nothing yet.
pub(super) fn init(directory: &Path) -> Result<()> {
    for part in ["objects/info", "objects/pack", "refs"] {
        let path = directory.join(part);
        fs::create_dir_all(&path).map_err(|error| Error::io("make the directory", &path, &error))?;
    }
    write(&directory.join("HEAD"), b"ref: refs/heads/none\n")?;
    write(&directory.join("config"), b"[core]\n\trepositoryformatversion = 0\n\tbare = true\n")
}

/// Makes the objects of `lender` count as present in `directory`, with the same borders: without its
/// list of shallow commits git would miss their parents.
pub(super) fn borrow(directory: &Path, lender: &Path) -> Result<()> {
    let objects = lender.join("objects");
    let mut line = objects.as_os_str().as_bytes().to_vec();
    if line.contains(&b'\n') || !objects.is_absolute() {
        return Err(Error::new(
            Kind::Unsupported,
            format!("borrow objects from {}", lender.display()),
            "its path is relative or holds a line break",
        )
        .hint("choose another --cache-dir"));
    }
    line.push(b'\n');
    write(&directory.join("objects/info/alternates"), &line)?;
    let shallow = lender.join("shallow");
    match fs::read(&shallow) {
        Ok(text) => write(&directory.join("shallow"), &text),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::io("read", &shallow, &error)),
    }
}

/// The name under which a revision is kept.
pub(super) fn reference_of(revision: &str) -> String {
    format!("refs/srcfs/{revision}")
}

/// A commit as it was fetched.
#[derive(Debug)]
pub(super) struct Commit {
    /// Its root tree, in hex.
    pub(super) tree: String,
    /// Its committer time.
    pub(super) time: SystemTime,
}

/// What the name of `revision` holds, compared with it.
#[derive(Debug)]
pub(super) enum Found {
    /// The commit itself.
    Commit(Commit),
    /// Another commit: the one to which it was peeled, in hex.
    Other(String),
    /// No commit: the sort of object that it is.
    NoCommit(&'static str),
}

/// Looks at what was fetched as `revision`, and lets its name hold the commit itself, not a tag of it.
pub(super) fn inspect(directory: &Path, revision: &str) -> Result<Found> {
    let failed = |error: git2::Error| {
        let what = format!("read the commit {revision} in {}", directory.display());
        Error::new(Kind::Corrupt, what, crate::redact::redact(error.message()))
    };
    // Its own directory only: no search, and no variable of the environment names another one.
    let flags = RepositoryOpenFlags::NO_SEARCH | RepositoryOpenFlags::BARE | RepositoryOpenFlags::NO_DOTGIT;
    let none: [&str; 0] = [];
    let repository = git2::Repository::open_ext(directory, flags, none).map_err(failed)?;
    let name = reference_of(revision);
    let held = repository.refname_to_id(&name).map_err(failed)?;
    let object = repository.find_object(held, None).map_err(failed)?;
    let Ok(object) = object.peel(ObjectType::Commit) else {
        return Ok(Found::NoCommit(object.kind().map_or("odd object", |kind| kind.str())));
    };
    let expected = Oid::from_str(revision).map_err(failed)?;
    if object.id() != expected {
        return Ok(Found::Other(object.id().to_string()));
    }
    if held != expected {
        repository.reference(&name, expected, true, "").map_err(failed)?;
    }
    let commit = repository.find_commit(expected).map_err(failed)?;
    // That it is there; that all below it is, git itself has checked.
    let tree = commit.tree().map_err(failed)?;
    Ok(Found::Commit(Commit { tree: tree.id().to_string(), time: time(commit.time().seconds()) }))
}

/// The bytes of all packs.
pub(super) fn pack_bytes(directory: &Path) -> u64 {
    let packs = fs::read_dir(directory.join("objects/pack")).into_iter().flatten().flatten();
    packs.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
}

/// Any number may stand in a commit; what no clock can show becomes the epoch.
fn time(seconds: i64) -> SystemTime {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    let time = match seconds {
        0.. => SystemTime::UNIX_EPOCH.checked_add(distance),
        _ => SystemTime::UNIX_EPOCH.checked_sub(distance),
    };
    time.unwrap_or(SystemTime::UNIX_EPOCH)
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).map_err(|error| Error::io("write", path, &error))
}
