//! Files in which sources remember what saves them work.
//!
//! None is needed: a lost one costs the work. Each is replaced atomically and ends with its own hash, so
//! what is read is what somebody wrote, or nothing. They are not forced to the disk.

use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use sha2::Digest;

use crate::error::{Error, Result};

/// What files begin with that are being written.
const UNFINISHED: &str = "tmp_";
const DIGEST: usize = 32;

/// The content of `file`; none if it does not exist or is not what was written.
pub(super) fn load(file: &Path) -> Option<Vec<u8>> {
    let mut bytes = std::fs::read(file).ok()?;
    let (content, digest) = bytes.split_at_checked(bytes.len().checked_sub(DIGEST)?)?;
    if sha2::Sha256::digest(content).as_slice() != digest {
        return None;
    }
    bytes.truncate(bytes.len() - DIGEST);
    Some(bytes)
}

/// Makes `content` that of `file`, which only its owner can read.
pub(super) fn store(file: &Path, mut content: Vec<u8>) -> Result<()> {
    content.extend(sha2::Sha256::digest(&content));
    let directory = file.parent().unwrap_or(Path::new("."));
    let failed = |error: std::io::Error| Error::io("write", file, &error);
    forget_unfinished(directory);
    let mut new = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(directory).map_err(failed)?;
    new.write_all(&content).map_err(failed)?;
    new.persist(file).map_err(|error| failed(error.error))?;
    Ok(())
}

/// Removes what others began to write an hour ago: they died.
fn forget_unfinished(directory: &Path) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        if !entry.file_name().as_bytes().starts_with(UNFINISHED.as_bytes()) {
            continue;
        }
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        let age = modified.ok().and_then(|modified| modified.elapsed().ok()).unwrap_or_default();
        if age > Duration::from_secs(3600) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}
