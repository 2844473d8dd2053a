//! The blobs of one generation, read from its packs.
//!
//! Only the packs that are recorded are opened, each compared with its record first (`pack`). Small
//! blobs are decoded when they are asked for and forgotten; a blob that a reader gets in several
//! requests is decoded once (`kept`). No damage of the disk, before or after opening, shows as wrong
//! bytes: it is `Kind::Corrupt`, so that the caller can set the generation aside and fetch again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::pack::{Buffer, Pack};
use super::repository::PackRecord;
use super::{ObjectId, kept};
use crate::error::{Error, Kind, Result};

/// The blobs of one generation. Any number of threads may read at once.
pub struct Objects {
    repository: PathBuf,
    packs: Vec<Arc<Pack>>,
}

impl Objects {
    /// Checks the packs against their records and makes their blobs readable. `Kind::Corrupt` if one
    /// is missing or not as recorded.
    pub fn open(repository: &Path, packs: &[PackRecord]) -> Result<Objects> {
        let packs = packs.iter().map(|record| Pack::open(repository, record)).collect::<Result<_>>()?;
        Ok(Objects { repository: repository.to_owned(), packs })
    }

    /// Calls `with` once with up to `size` bytes of a blob from `offset`: less only at its end, none
    /// beyond. No lock is held during the call.
    pub fn read(&self, object: &ObjectId, offset: u64, size: u32, with: &mut dyn FnMut(&[u8])) -> Result<()> {
        let blob = kept::read(object, offset, size, || self.decode(object))?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(blob.len());
        let end = start.saturating_add(size as usize).min(blob.len());
        with(&blob[start..end]);
        Ok(())
    }

    /// Gives back the memory of blobs that somebody began to read and has not gone on with for a few
    /// seconds, of all generations of the process. Cheap; meant to be called now and then.
    pub fn trim() {
        kept::trim();
    }

    fn decode(&self, object: &ObjectId) -> Result<Arc<Buffer>> {
        let what = || format!("read the object {object} in {}", self.repository.display());
        let found = self.packs.iter().find_map(|pack| Some((pack, pack.find(object)?)));
        let Some((pack, entry)) = found else {
            return Err(Error::new(Kind::Corrupt, what(), "it is missing"));
        };
        pack.blob(entry).map_err(|failure| failure.of(object, &self.repository))
    }
}

impl std::fmt::Debug for Objects {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Objects of {}", self.repository.display())
    }
}
