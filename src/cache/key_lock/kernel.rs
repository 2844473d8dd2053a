//! A lock of the kernel on a permanent file: free the moment its holder is gone, kept by one that is
//! stopped. The text in the file is for messages; an empty one tells a listing that nobody holds it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::HolderInfo;
use crate::cache::lock::{Locked, Mode, Wait};
use crate::error::{Error, Result};

/// A held lock.
#[derive(Debug)]
pub(super) struct KernelLock(Locked);

impl KernelLock {
    /// Takes the lock on the file `path`, which is made; `None` at the bound.
    pub fn acquire(path: &Path, wait: &Wait<'_>, holder: &HolderInfo) -> Result<Option<KernelLock>> {
        let open = || {
            File::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)
                .map_err(|error| Error::io("open the lock file", path, &error))
        };
        let Some(lock) = Locked::acquire(path, Mode::Exclusive, wait, open)? else { return Ok(None) };
        // For messages only: a full disk must not stop whoever wants to clear something from it.
        let written = serde_json::to_vec(holder).map_err(std::io::Error::from).and_then(|text| {
            lock.file().set_len(0)?;
            lock.file().write_all_at(&text, 0)
        });
        if let Err(error) = written {
            log::debug!("could not note the holder of a lock: {error}");
        }
        Ok(Some(KernelLock(lock)))
    }

    /// Whether `path` names the very file that is locked.
    pub fn is_at(&self, path: &Path) -> Result<bool> {
        self.0.is_at(path)
    }
}

impl Drop for KernelLock {
    fn drop(&mut self) {
        let _ = self.0.file().set_len(0);
    }
}

/// What the text in a lock file says.
pub(super) fn read_holder(file: &File) -> Option<HolderInfo> {
    let mut text = vec![0; usize::try_from(file.metadata().ok()?.len().min(64 * 1024)).ok()?];
    let read = file.read_at(&mut text, 0).ok()?;
    serde_json::from_slice(&text[..read]).ok()
}

/// Who holds the lock on the file `path`, if somebody does.
pub(super) fn holder_of(path: &Path) -> Option<HolderInfo> {
    let file = File::open(path).ok()?;
    let holder = read_holder(&file)?;
    // A shared attempt, for an instant: it fails exactly when somebody holds the lock.
    matches!(Locked::attempt(file, path, Mode::Shared), Ok(None)).then_some(holder)
}
