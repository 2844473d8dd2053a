//! The blobs of one generation, read from its packs.
//!
//! - Before libgit2 maps a pack, its size and the hash of its index are compared with the record:
//!   libgit2 maps both files, and a truncated pack is SIGBUS and a flipped index can be SIGSEGV.
//! - Every decoded blob is compared with its id before a byte of it is seen, so no damage of the disk
//!   after that shows as wrong bytes.
//! - A blob that a reader gets in several requests is decoded once (`kept`), small ones are decoded
//!   when they are asked for and forgotten.
//!
//! Everything that is wrong with the files is `Kind::Corrupt`, so that the caller can set the
//! generation aside and fetch again; running out of descriptors or memory is not (`Exhausted`).

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use git2::ObjectType;

use super::handles::Handles;
use super::repository::{PackRecord, is_pack_name, pack_directory, sha256};
use super::{ObjectId, kept};
use crate::error::{Error, Kind, Result};

/// Blobs above this size are not read: libgit2 decodes a blob only as a whole, in memory.
pub const LARGEST_BLOB: u64 = 1 << 30;

/// Blobs up to this size are not kept: the kernel asks for them in one request.
const SMALL: usize = 64 << 10;

/// The blobs of one generation. Any number of threads may read at once.
pub struct Objects {
    repository: PathBuf,
    handles: Arc<Handles>,
}

impl Objects {
    /// Checks the packs against their records and makes their blobs readable. `Kind::Corrupt` if one
    /// is missing or not as recorded.
    pub fn open(repository: &Path, packs: &[PackRecord]) -> Result<Objects> {
        for record in packs {
            check_recorded(repository, record)?;
        }
        check_others(repository, packs)?;
        Ok(Objects { repository: repository.to_owned(), handles: Handles::new(repository) })
    }

    /// Calls `with` once with up to `size` bytes of a blob from `offset`: less only at its end, none
    /// beyond. No lock is held during the call.
    pub fn read(&self, object: &ObjectId, offset: u64, size: u32, with: &mut dyn FnMut(&[u8])) -> Result<()> {
        if let Some(blob) = kept::get(object, offset, size) {
            with(part(&blob, offset, size));
            return Ok(());
        }
        let odb = self.handles.take()?;
        let oid = git2::Oid::from_bytes(&object.0).map_err(|error| self.failed(object, &error))?;
        let (length, kind) = odb.read_header(oid).map_err(|error| self.failed(object, &error))?;
        if kind != ObjectType::Blob {
            return Err(corrupt(object, format!("it is no blob, but a {kind}")));
        }
        if length as u64 > LARGEST_BLOB {
            let why = format!("it has {length} bytes, and the largest that can be read has {LARGEST_BLOB}");
            return Err(Error::new(Kind::TooLarge, what(object), why));
        }
        let decode = || {
            let blob = odb.read(oid).map_err(|error| self.failed(object, &error))?;
            match blob.kind() == ObjectType::Blob && ObjectId::of("blob", blob.data()) == *object {
                true => Ok(blob),
                false => Err(corrupt(object, "its content is not what its id says".to_owned())),
            }
        };
        if length <= SMALL {
            let blob = decode()?;
            with(part(blob.data(), offset, size));
        } else {
            let blob = kept::get_or_decode(object, offset, size, || Ok(Arc::from(decode()?.data())))?;
            with(part(&blob, offset, size));
        }
        Ok(())
    }

    /// Gives back the memory of blobs that somebody began to read and has not gone on with for a few
    /// seconds, of all generations of the process. Cheap; meant to be called now and then.
    pub fn trim() {
        kept::trim();
    }

    fn failed(&self, object: &ObjectId, error: &git2::Error) -> Error {
        // libgit2 says "not found" when it has no descriptor left to open the pack with.
        let probe = self.repository.join("HEAD");
        if let Err(error) = fs::File::open(&probe) {
            let error = Error::io("open", &probe, &error);
            if error.kind() == Kind::Exhausted {
                return error.during(what(object));
            }
        }
        match (error.class(), error.code()) {
            (git2::ErrorClass::NoMemory, _) => Error::new(Kind::Exhausted, what(object), error.message()),
            (_, git2::ErrorCode::NotFound) => corrupt(object, "it is missing".to_owned()),
            _ => corrupt(object, error.message().to_owned()),
        }
    }
}

impl std::fmt::Debug for Objects {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Objects of {}", self.repository.display())
    }
}

fn what(object: &ObjectId) -> String {
    format!("read the object {object}")
}

fn corrupt(object: &ObjectId, why: String) -> Error {
    Error::new(Kind::Corrupt, what(object), why)
}

fn part(blob: &[u8], offset: u64, size: u32) -> &[u8] {
    let start = usize::try_from(offset).unwrap_or(usize::MAX).min(blob.len());
    let end = start.saturating_add(size as usize).min(blob.len());
    &blob[start..end]
}

fn check_recorded(repository: &Path, record: &PackRecord) -> Result<()> {
    let bad = |path: &Path, why: &str| Error::new(Kind::Corrupt, format!("open {}", path.display()), why);
    let directory = pack_directory(repository);
    if !is_pack_name(&record.name) {
        return Err(bad(&directory.join(&record.name), "its record has no name of a pack"));
    }
    let failed = |path: &Path, error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => bad(path, "it is missing"),
        _ => Error::io("open", path, &error),
    };
    let pack = directory.join(format!("{}.pack", record.name));
    let metadata = fs::metadata(&pack).map_err(|error| failed(&pack, error))?;
    if metadata.len() != record.pack_bytes {
        let why = format!("it has {} bytes, and its record says {}", metadata.len(), record.pack_bytes);
        return Err(bad(&pack, &why));
    }
    let index = directory.join(format!("{}.idx", record.name));
    let content = fs::read(&index).map_err(|error| failed(&index, error))?;
    if sha256(&content) != record.index_sha256 {
        return Err(bad(&index, "its content is not what its record says"));
    }
    Ok(())
}

/// libgit2 opens whatever lies in the directory, so what came there after this record was made (an
/// update's pack) is held to the checksum that every index ends with.
fn check_others(repository: &Path, packs: &[PackRecord]) -> Result<()> {
    let bad = |path: &Path, why: &str| Error::new(Kind::Corrupt, format!("open {}", path.display()), why);
    let alternates = repository.join("objects/info/alternates");
    if fs::symlink_metadata(&alternates).is_ok() {
        return Err(bad(&alternates, "a generation may not borrow objects of another one"));
    }
    let directory = pack_directory(repository);
    let failed = |error: &std::io::Error| Error::io("list", &directory, error);
    for entry in fs::read_dir(&directory).map_err(|error| failed(&error))? {
        let name = entry.map_err(|error| failed(&error))?.file_name();
        let Some(name) = name.to_str() else { continue };
        let pack = name.strip_suffix(".idx");
        let is_recorded = pack.is_some_and(|pack| packs.iter().any(|record| record.name == pack));
        if is_recorded || (pack.is_none() && name != "multi-pack-index") {
            continue;
        }
        let path = directory.join(name);
        let content = fs::read(&path).map_err(|error| Error::io("read", &path, &error))?;
        let whole = content.split_last_chunk::<20>().is_some_and(|(content, checksum)| {
            use sha1::Digest;
            sha1::Sha1::digest(content)[..] == checksum[..]
        });
        if !whole {
            return Err(bad(&path, "its content is not what its own checksum says"));
        }
    }
    Ok(())
}
