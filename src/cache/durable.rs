//! Writing so that a crash leaves the old or the new, and nothing in between; and so that who has lost
//! its lock meanwhile replaces nothing (the argument is in [`super::lease`]).

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::layout::random_id;
use super::lock::{Locked, Mode};
use crate::error::{Error, Kind, Result};
use crate::fault;

/// The end of a file's name while it is written.
const UNFINISHED: &str = ".new";

/// Writes a directory's entries to the disk.
pub(super) fn sync_directory(directory: &Path) -> Result<()> {
    File::open(directory)
        .and_then(|open| open.sync_all())
        .map_err(|error| Error::io("write to disk the directory", directory, &error))
}

/// Writes everything below a directory to the disk, and the directory itself. Symbolic links are not
/// followed.
pub(super) fn sync_tree(directory: &Path) -> Result<()> {
    let failed = |error: io::Error| Error::io("write to disk", directory, &error);
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            sync_tree(&entry.path())?;
        } else if kind.is_file() {
            let path = entry.path();
            File::open(&path)
                .and_then(|file| file.sync_all())
                .map_err(|error| Error::io("write to disk", &path, &error))?;
        }
    }
    sync_directory(directory)
}

/// A file that is being written beside its place; removed when it is dropped without having taken it.
///
/// It is locked for as long as it is written, so one that is not locked was left by somebody who died
/// ([`reap`]), or is written on another host.
pub(super) struct Unfinished {
    file: File,
    path: PathBuf,
    // On a file system without locks there is none, and then what is left stays.
    _lock: Option<Locked>,
}

impl Unfinished {
    /// Writes `content` to a new file beside `place`.
    pub fn write(place: &Path, content: &[u8]) -> io::Result<Unfinished> {
        loop {
            let mut path = place.as_os_str().to_owned();
            path.push(format!(".{}{UNFINISHED}", random_id()));
            let path = PathBuf::from(path);
            let file = File::create_new(&path)?;
            let lock = Locked::attempt(file.try_clone()?, &path, Mode::Exclusive);
            let mut unfinished = match lock {
                Ok(Some(lock)) if lock.is_at(&path).unwrap_or(true) => {
                    Unfinished { file, path, _lock: Some(lock) }
                }
                // Between making and locking, a reaper has found it free and takes it.
                Ok(_) => continue,
                Err(_) => Unfinished { file, path, _lock: None },
            };
            unfinished.file.write_all(content)?;
            return Ok(unfinished);
        }
    }

    /// Takes the place of whatever is there.
    pub fn replace(self, place: &Path) -> io::Result<()> {
        fs::rename(&self.path, place)
    }

    /// Takes the place only if it is free, and for good: its content is on the disk first, for what
    /// was written by nobody else would be empty there after a power loss.
    pub fn settle(self, place: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        match fs::hard_link(&self.path, place) {
            Err(error) if has_no_links(&error) => {
                let content = fs::read(&self.path)?;
                let mut file = File::create_new(place)?;
                file.write_all(&content)?;
                file.sync_all()
            }
            linked => linked,
        }
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Replaces `file` by one with this content. `still_ours` is asked after the new one is on the disk and
/// before it takes the name: its failure leaves the old one.
///
/// The caller holds the lock that makes it the only writer, and has called [`sweep`] since it got it.
/// Fails with [`Kind::Stale`] if somebody else has done so since.
pub(super) fn replace(file: &Path, content: &[u8], still_ours: impl FnOnce() -> Result<()>) -> Result<()> {
    exchange(file, content, still_ours)?;
    sync_directory(file.parent().unwrap_or(Path::new(".")))
}

/// [`replace`], but that the directory is not forced to the disk: the caller does that when it has
/// changed all that it changes.
pub(super) fn exchange(file: &Path, content: &[u8], still_ours: impl FnOnce() -> Result<()>) -> Result<()> {
    let failed = |error: io::Error| Error::io("write", file, &error);
    let new = Unfinished::write(file, content).map_err(failed)?;
    // Readers tell two contents by inode, size and this time; the kernel's own is as coarse as its
    // tick, and inodes are used again.
    new.file.set_modified(SystemTime::now()).map_err(failed)?;
    fault!("replace.written")?;
    new.file.sync_all().map_err(failed)?;
    fault!("replace.synced")?;
    still_ours()?;
    fault!("replace.checked")?;
    match new.replace(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let why = "another process has taken over its lock since";
            return Err(Error::new(Kind::Stale, format!("write {}", file.display()), why).hint("try again"));
        }
        renamed => renamed.map_err(failed)?,
    }
    fault!("replace.renamed")?;
    Ok(())
}

/// Removes what was not finished by those who died; how many files that were. Where hosts share the cache
/// the lock of a writer may say nothing on another one: there [`super::lease`] decides.
pub(super) fn reap(unfinished: &[PathBuf]) -> u64 {
    let left = unfinished.iter().filter(|path| match take(path) {
        Some(_lock) => fs::remove_file(path).is_ok(),
        None => false,
    });
    left.count() as u64
}

/// The files of a directory that are being written, or were when their writer died.
pub(super) fn unfinished(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let named = |path: &PathBuf| path.extension().is_some_and(|end| end == &UNFINISHED[1..]);
    entries.map(|entry| entry.path()).filter(named).collect()
}

/// Whether nobody on this host writes an unfinished file any more.
pub(super) fn is_left(path: &Path) -> bool {
    take(path).is_some()
}

fn take(path: &Path) -> Option<Locked> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = File::options().read(true).write(true).custom_flags(flags).open(path).ok()?;
    let lock = Locked::attempt(file, path, Mode::Exclusive).ok()??;
    lock.is_at(path).unwrap_or(false).then_some(lock)
}

/// Makes whatever remembers the entries of `directory` ask for them again: a network client that has
/// changed a directory itself knows that what it remembered of it is old.
pub(super) fn revalidate(directory: &Path) {
    let own = directory.join(format!("{}{UNFINISHED}", random_id()));
    match File::create_new(&own) {
        Ok(_) => drop(fs::remove_file(&own)),
        Err(error) => log::debug!("{} is seen as it is known: {error}", directory.display()),
    }
}

/// Removes from `directory` what others have begun to write there and not finished: those who died, and
/// those whose lock was taken over, who can then not finish. Only what begins with `prefix`: what the
/// caller's lock is for.
pub(super) fn sweep(directory: &Path, prefix: &str) {
    revalidate(directory);
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(prefix) && name.ends_with(UNFINISHED) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Whether a file system says by this that it has no hard links.
pub(super) fn has_no_links(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EPERM | libc::EOPNOTSUPP | libc::ENOSYS | libc::EMLINK))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_replacement_leaves_the_old_content_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("state.json");
        replace(&file, b"one", || Ok(())).unwrap();
        let refused = replace(&file, b"two", || Err(Error::new(Kind::Stale, "commit", "refused")));
        assert_eq!(refused.unwrap_err().kind(), Kind::Stale);
        assert_eq!(fs::read(&file).unwrap(), b"one");
        fs::write(directory.path().join("state.json.abc.new"), "of one that died").unwrap();
        sweep(directory.path(), "");
        replace(&file, b"two", || Ok(())).unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"two");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
    #[test]
    fn one_that_was_swept_after_its_check_replaces_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("state.json");
        replace(&file, b"one", || Ok(())).unwrap();
        let overtaken = replace(&file, b"overtaken", || {
            sweep(directory.path(), "");
            replace(&file, b"two", || Ok(()))
        });
        assert_eq!(overtaken.unwrap_err().kind(), Kind::Stale);
        assert_eq!(fs::read(&file).unwrap(), b"two");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn only_what_nobody_writes_any_more_is_reaped() {
        let directory = tempfile::tempdir().unwrap();
        let writing = Unfinished::write(&directory.path().join("a"), b"one").unwrap();
        fs::write(directory.path().join("b.abc.new"), "of one that died").unwrap();
        fs::write(directory.path().join("precious"), "x").unwrap();
        std::os::unix::fs::symlink("precious", directory.path().join("c.new")).unwrap();
        assert_eq!(reap(&unfinished(directory.path())), 1);
        assert!(writing.path.exists() && directory.path().join("precious").exists());
        writing.replace(&directory.path().join("a")).unwrap();
        assert_eq!(fs::read(directory.path().join("a")).unwrap(), b"one");
    }
}
