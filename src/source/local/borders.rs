//! What lies in a directory and is no part of it: what is mounted there, and the cache.
//!
//! A mount may be one of ours: whoever asked its daemon for something while that daemon waits for us
//! would wait for ever. Or it is one of a server that is away, and a mere `stat` of it hangs. So nothing
//! of a mount is ever touched, and where mounts are is known from the system's table alone.
//!
//! A mount that is made while a directory is looked at is in no table that was read before. What is
//! opened beneath the directory does not enter it ([`super::beneath`]); git may, and is ended at its
//! deadline if it waits there.

use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use srcfs_mount::mountinfo::{FS_TYPE, Table};

use crate::error::{Error, Kind, Result};

/// The borders of one directory.
#[derive(Debug)]
pub(super) struct Borders {
    /// Absolute paths of what is not entered.
    outside: Vec<PathBuf>,
}

impl Borders {
    /// The borders of the directory `path`, which the configuration may name by a way through symbolic
    /// links; nothing of it is touched. `cache` is the cache's own directory.
    ///
    /// Fails with [`Kind::Invalid`] if all of it lies in a mount of srcfs or in the cache.
    pub(super) fn of(path: &Path, cache: &Path) -> Result<Borders> {
        let table =
            Table::read().map_err(|error| Error::io("read the mounts of", "/proc/self/mountinfo", &error))?;
        let refused = |why: String| {
            let error = Error::new(Kind::Invalid, format!("show the directory {}", path.display()), why);
            Err(error.hint("give one outside of it"))
        };
        if let Some(mount) = table.of_type(FS_TYPE).find(|mount| path.starts_with(&mount.mount_point)) {
            return refused(format!("it lies in the mount of srcfs at {}", mount.mount_point.display()));
        }
        if path.starts_with(cache) {
            return refused(format!("it lies in the cache {}", cache.display()));
        }
        let inside = |mount: &Path| mount.starts_with(path) && mount != path;
        let mut outside: Vec<PathBuf> =
            table.iter().map(|mount| mount.mount_point.clone()).filter(|mount| inside(mount)).collect();
        outside.push(cache.to_owned());
        outside.sort();
        outside.dedup();
        Ok(Borders { outside })
    }

    /// Whether `path`, which is absolute, is or lies in something that is not entered.
    pub(super) fn keep_out(&self, path: &Path) -> bool {
        self.outside.iter().any(|outside| path.starts_with(outside))
    }

    /// What keeps git out of there, as patterns of a `.gitignore` file at the top of the work tree `top`.
    pub(super) fn patterns(&self, top: &Path) -> Vec<std::ffi::OsString> {
        let below = self.outside.iter().filter_map(|outside| outside.strip_prefix(top).ok());
        below.filter(|path| !path.as_os_str().is_empty()).map(pattern).collect()
    }
}

/// The pattern that `path` alone matches: see gitignore(5).
fn pattern(path: &Path) -> std::ffi::OsString {
    let mut pattern = vec![b'/'];
    for &byte in path.as_os_str().as_bytes() {
        if matches!(byte, b'\\' | b'*' | b'?' | b'[' | b' ') {
            pattern.push(b'\\');
        }
        pattern.push(byte);
    }
    std::ffi::OsString::from_vec(pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_means_one_path_and_nothing_else() {
        for (path, expected) in [("src", "/src"), ("a/b c ", "/a/b\\ c\\ "), ("[x]*\\?", "/\\[x]\\*\\\\\\?")]
        {
            assert_eq!(pattern(Path::new(path)), expected);
        }
    }

    #[test]
    fn the_cache_and_what_lies_in_it_is_kept_out() {
        let borders = Borders::of(Path::new("/home/me"), Path::new("/home/me/.cache/srcfs")).unwrap();
        assert!(borders.keep_out(Path::new("/home/me/.cache/srcfs/v1")));
        assert!(!borders.keep_out(Path::new("/home/me/.cache/srcfs-bench")));
        assert_eq!(borders.patterns(Path::new("/home/me/.cache")), ["/srcfs"]);
        for inside in ["/home/me/.cache/srcfs", "/home/me/.cache/srcfs/v1/mirrors"] {
            let error = Borders::of(Path::new(inside), Path::new("/home/me/.cache/srcfs")).unwrap_err();
            assert_eq!(error.kind(), Kind::Invalid);
        }
    }
}
