//! Writing so that a crash leaves the old or the new, and nothing in between.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::layout::random_id;
use crate::error::{Error, Result};
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
pub(super) struct Unfinished {
    file: File,
    path: PathBuf,
}

impl Unfinished {
    /// Writes `content` to a new file beside `place`.
    pub fn write(place: &Path, content: &[u8]) -> io::Result<Unfinished> {
        let mut path = place.as_os_str().to_owned();
        path.push(format!(".{}{UNFINISHED}", random_id()));
        let path = PathBuf::from(path);
        let mut unfinished = Unfinished { file: File::create_new(&path)?, path };
        unfinished.file.write_all(content)?;
        Ok(unfinished)
    }

    /// Takes the place of whatever is there.
    pub fn replace(self, place: &Path) -> io::Result<()> {
        fs::rename(&self.path, place)
    }

    /// Takes the place only if it is free, and for good: its content is on the disk first, for what
    /// was written by nobody else would be empty there after a power loss.
    pub fn settle(self, place: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        fs::hard_link(&self.path, place)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Replaces `file` by one with this content. `before` is asked after the new one is on the disk and
/// before it takes the name: its failure leaves the old one.
///
/// The caller holds the lock that makes it the only writer: unfinished files of that name, left by
/// one that died, are removed first.
pub(super) fn replace(file: &Path, content: &[u8], before: impl FnOnce() -> Result<()>) -> Result<()> {
    let failed = |error: io::Error| Error::io("write", file, &error);
    let directory = file.parent().unwrap_or(Path::new("."));
    remove_unfinished(directory, &file.file_name().unwrap_or_default().to_string_lossy());
    let new = Unfinished::write(file, content).map_err(failed)?;
    // Readers tell two contents by inode, size and this time; the kernel's own is as coarse as its
    // tick, and inodes are used again.
    new.file.set_modified(SystemTime::now()).map_err(failed)?;
    fault!("replace.written")?;
    new.file.sync_all().map_err(failed)?;
    before()?;
    new.replace(file).map_err(failed)?;
    fault!("replace.renamed")?;
    sync_directory(directory)
}

fn remove_unfinished(directory: &Path, name: &str) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let left = entry.file_name();
        let left = left.to_string_lossy();
        if left.starts_with(&format!("{name}.")) && left.ends_with(UNFINISHED) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn a_refused_replacement_leaves_the_old_content_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("state.json");
        replace(&file, b"one", || Ok(())).unwrap();
        let refused = replace(&file, b"two", || Err(Error::new(Kind::Stale, "commit", "refused")));
        assert_eq!(refused.unwrap_err().kind(), Kind::Stale);
        assert_eq!(fs::read(&file).unwrap(), b"one");
        fs::write(directory.path().join("state.json.abc.new"), "of one that died").unwrap();
        replace(&file, b"two", || Ok(())).unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"two");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
