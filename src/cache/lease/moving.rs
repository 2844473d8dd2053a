//! Placing and removing lease files so that nobody else's is overwritten or lost.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::record::{Seen, look};
use crate::cache::durable::has_no_links;
use crate::fault;

/// What became of a file that was to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is gone.
    Gone,
    /// Something else lay there, and does so again.
    Replaced,
    /// There was nothing.
    Absent,
}

/// `path` with a further ending.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

/// Removes what lies at `path` if it is what is `meant`. `tag` is a name of the caller's own.
///
/// A name cannot be removed on the condition of its content. So it is renamed to a place of our own,
/// looked at there, and put back if it is something else.
pub(super) fn take_away(path: &Path, tag: &str, meant: impl Fn(&Seen) -> bool) -> io::Result<Taken> {
    let away = beside(path, &format!("{tag}{GONE}"));
    match fs::rename(path, &away) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Taken::Absent),
        renamed => renamed?,
    }
    let _ = fault!("lease.moved");
    let Some(seen) = look(&away)? else { return Ok(Taken::Absent) };
    if meant(&seen) {
        // A directory is what an older design had for a lock.
        let removed = fs::remove_file(&away).or_else(|_| fs::remove_dir(&away));
        if let Err(error) = removed {
            log::warn!("{} stays: {error}", away.display());
        }
        return Ok(Taken::Gone);
    }
    let restored = place(&away, path, &seen.content)?;
    fs::remove_file(&away)?;
    if !restored {
        log::warn!("{} was taken by a third one while it was looked at", path.display());
    }
    Ok(Taken::Replaced)
}

/// The end of the name of what is being taken away.
pub(super) const GONE: &str = ".gone";
/// The end of the name of what is being made.
pub(super) const NEW: &str = ".new";

/// Gives `from`, whose content is `content`, the name `to`, unless that is taken; whether it was free.
pub(super) fn place(from: &Path, to: &Path, content: &[u8]) -> io::Result<bool> {
    let linked = match fault!("lease.link") {
        Ok(()) => fs::hard_link(from, to),
        // A test plays a file system without links.
        Err(_) => Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP)),
    };
    match linked {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) if has_no_links(&error) => match File::create_new(to) {
            Ok(mut file) => file.write_all(content).map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_meant_goes_and_what_is_not_is_put_back_untouched() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lease");
        assert_eq!(take_away(&path, "a", |_| true).unwrap(), Taken::Absent);
        fs::write(&path, "other").unwrap();
        let inode = |path: &Path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap());
        let before = inode(&path);
        assert_eq!(take_away(&path, "a", |seen| seen.content == b"mine").unwrap(), Taken::Replaced);
        assert_eq!((inode(&path), fs::read(&path).unwrap()), (before, b"other".to_vec()));
        assert_eq!(take_away(&path, "a", |seen| seen.content == b"other").unwrap(), Taken::Gone);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_is_put_back_never_overwrites() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lease");
        fs::write(&path, "second").unwrap();
        let third = |_: &Seen| {
            fs::write(&path, "third").unwrap();
            false
        };
        assert_eq!(take_away(&path, "a", third).unwrap(), Taken::Replaced);
        assert_eq!(fs::read(&path).unwrap(), b"third");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
