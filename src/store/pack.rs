//! One pack of git objects, and the decoding of blobs in it.
//!
//! Ours and not libgit2's, because of what a mount needs of its hot path. Measured on the Linux tree
//! (78,635 blobs, 1.3 GB, two threads, processor time and peak of private memory): libgit2 with SHA-1
//! of each blob 2.85 s and 122 MB, this 1.95 s and 72 MB, whatever the number of packs. And it cannot
//! die of a disk: no file is mapped, so a truncated one is an error and not a SIGBUS.
//!
//! What makes the bytes right: the index is compared with its record when the pack is opened, in the
//! buffer it is then read from. It has a CRC-32 of every entry as it lies in the pack, which git wrote
//! when it had compared the object with its id. Each entry read is compared with that, and zlib's own
//! checksum covers what it inflates to. That costs 0.02 s where SHA-1 of all blobs costs 0.75 s.
//!
//! The formats are those of gitformat-pack(5). Object sizes and chains come from a stranger, so both
//! are bounded, and chains are followed without recursion.

use std::cell::Cell;
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use libdeflater::Decompressor;
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

use super::ObjectId;
use super::repository::{PackRecord, is_pack_name, pack_directory, sha256};
use crate::error::{Error, Kind, Result};

mod bases;
mod buffer;
mod copy;
mod delta;
mod entry;
mod index;
mod written;

pub(super) use buffer::Buffer;
pub use copy::Selection;
use entry::{Base, Header, Sort};
use index::Index;

/// Blobs above this size are not read, because a blob can only be decoded as a whole, in memory.
pub const LARGEST_BLOB: u64 = 1 << 30;

/// Git itself makes no longer chains of deltas.
const LONGEST_CHAIN: usize = 4096;

/// Who reads so many entries is walking the tree.
const WALK: u32 = 64;
/// Bytes that the kernel is asked for at once.
const AHEAD: u64 = 4 << 20;
/// Larger packs would push other things out of the kernel's cache.
const LARGEST_AHEAD: u64 = 1 << 30;

/// A pack that is open. Its file may be deleted meanwhile.
pub(super) struct Pack {
    /// Never used again in this process: what the cache of delta bases knows it by.
    id: u64,
    file: File,
    index: Index,
    /// Entries read so far.
    reads: AtomicU32,
}

/// What an entry is made of.
enum Below {
    /// Itself alone.
    Nothing(Sort),
    /// Another entry, of which it is a delta.
    Entry(u32),
}

/// Why an object could not be decoded.
pub(super) enum Failure {
    /// It is not what git wrote.
    Damaged(&'static str),
    /// It, or what it is a delta of, has this many bytes.
    TooLarge(u64),
    /// The disk said no.
    Io(io::Error),
}

impl Failure {
    /// The error about an object in a repository.
    pub(super) fn of(self, object: &ObjectId, repository: &Path) -> Error {
        let what = || format!("read the object {object} in {}", repository.display());
        match self {
            Failure::Damaged(why) => Error::new(Kind::Corrupt, what(), why),
            Failure::TooLarge(bytes) => {
                let why = format!("decoding it takes {bytes} bytes, more than the {LARGEST_BLOB} allowed");
                Error::new(Kind::TooLarge, what(), why)
            }
            Failure::Io(error) => Error::io(format!("read the object {object} in"), repository, &error),
        }
    }
}

/// What identifies an open pack: device, inode, and what it must be.
type Identity = (u64, u64, PackRecord);

impl Pack {
    /// Opens the pack of the record, which must be what the record says. Snapshots of one generation
    /// share its packs: one that is open is not read again.
    pub(super) fn open(repository: &Path, record: &PackRecord) -> Result<Arc<Pack>> {
        static OPEN: Mutex<Option<HashMap<Identity, Weak<Pack>>>> = Mutex::new(None);
        let corrupt =
            |path: &Path, why: &str| Error::new(Kind::Corrupt, format!("open {}", path.display()), why);
        let failed = |path: &Path, error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => corrupt(path, "it is missing"),
            _ => Error::io("open", path, &error),
        };
        let directory = pack_directory(repository);
        if !is_pack_name(&record.name) {
            return Err(corrupt(&directory.join(&record.name), "its record has no name of a pack"));
        }
        let pack_path = directory.join(format!("{}.pack", record.name));
        let file = File::open(&pack_path).map_err(|error| failed(&pack_path, error))?;
        let metadata = file.metadata().map_err(|error| failed(&pack_path, error))?;
        if metadata.len() != record.pack_bytes {
            let why = format!("it has {} bytes, and its record says {}", metadata.len(), record.pack_bytes);
            return Err(corrupt(&pack_path, &why));
        }
        let identity = (metadata.dev(), metadata.ino(), record.clone());
        let known = |open: &HashMap<Identity, Weak<Pack>>| open.get(&identity).and_then(Weak::upgrade);
        if let Some(pack) = OPEN.lock().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(known) {
            return Ok(pack);
        }
        let index_path = directory.join(format!("{}.idx", record.name));
        let content = std::fs::read(&index_path).map_err(|error| failed(&index_path, error))?;
        if sha256(&content) != record.index_sha256 {
            return Err(corrupt(&index_path, "its content is not what its record says"));
        }
        let (index, pack_checksum) =
            Index::parse(&content, record.pack_bytes).map_err(|why| corrupt(&index_path, why))?;
        let ends = check_ends(&file, record.pack_bytes, index.len(), pack_checksum);
        if !ends.map_err(|error| failed(&pack_path, error))? {
            return Err(corrupt(&pack_path, "it is not the pack of its index"));
        }
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let pack = Arc::new(Pack {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            file,
            index,
            reads: AtomicU32::new(0),
        });
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let open = open.get_or_insert_default();
        open.retain(|_, pack| pack.strong_count() > 0);
        open.insert(identity, Arc::downgrade(&pack));
        Ok(pack)
    }

    /// The number of an object's entry, if the pack has it.
    pub(super) fn find(&self, object: &ObjectId) -> Option<u32> {
        self.index.find(object)
    }

    /// The content of a blob.
    pub(super) fn blob(&self, entry: u32) -> Result<Arc<Buffer>, Failure> {
        match self.object(entry)? {
            (Sort::Blob, content) => Ok(content),
            _ => Err(Failure::Damaged("it is no blob")),
        }
    }

    /// The sort and the content of any object.
    fn object(&self, entry: u32) -> Result<(Sort, Arc<Buffer>), Failure> {
        thread_local! {
            static INFLATER: Cell<Option<Box<Decompressor>>> = const { Cell::new(None) };
        }
        let mut inflater = INFLATER.take().unwrap_or_else(|| Box::new(Decompressor::new()));
        let object = self.decode(entry, &mut inflater);
        INFLATER.set(Some(inflater));
        object
    }

    fn decode(&self, entry: u32, inflater: &mut Decompressor) -> Result<(Sort, Arc<Buffer>), Failure> {
        // Down the chain of deltas to something whole, then up again.
        let mut deltas: Vec<(u32, Buffer)> = Vec::new();
        let mut delta_bytes = 0;
        let mut at = entry;
        let (sort, mut content) = loop {
            if let Some(base) = bases::get(self.id, at) {
                break base;
            }
            let raw = self.read(at)?;
            let Header { base, size, length, .. } = Header::parse(&raw)?;
            delta_bytes += size;
            if delta_bytes > LARGEST_BLOB {
                return Err(Failure::TooLarge(delta_bytes));
            }
            let below = self.below(at, &base)?;
            let inflated = inflate(inflater, &raw[length..], size)?;
            match below {
                Below::Nothing(sort) => {
                    let content = Arc::new(inflated);
                    if !deltas.is_empty() {
                        bases::put(self.id, at, sort, &content);
                    }
                    break (sort, content);
                }
                Below::Entry(_) if deltas.len() == LONGEST_CHAIN => {
                    return Err(Failure::Damaged("its chain of deltas is too long"));
                }
                Below::Entry(below) => {
                    deltas.push((at, inflated));
                    at = below;
                }
            }
        };
        while let Some((at, delta)) = deltas.pop() {
            content = Arc::new(delta::apply(&content, &delta, LARGEST_BLOB)?);
            if !deltas.is_empty() {
                bases::put(self.id, at, sort, &content);
            }
        }
        Ok((sort, content))
    }

    /// What lies below an entry whose header says that this is its base.
    fn below(&self, entry: u32, base: &Base) -> Result<Below, Failure> {
        let below = match base {
            Base::None(sort) => return Ok(Below::Nothing(*sort)),
            Base::Distance(distance) => {
                let offset = self.index.range(entry).start.checked_sub(*distance);
                offset.and_then(|offset| self.index.at(offset))
            }
            Base::Object(id) => self.index.find(id),
        };
        below.map(Below::Entry).ok_or(Failure::Damaged("its delta base is not in the pack"))
    }

    /// Has the kernel bring the whole pack into its cache, in the background. A walk reads entries in the
    /// order of paths, which is not theirs in the pack: from a cold disk it would wait for thousands of
    /// small reads, where one sequential read of a fifth of the tree's size is done in a moment.
    fn read_ahead(&self) {
        let Ok(file) = self.file.try_clone() else { return };
        let length = file.metadata().map_or(0, |metadata| metadata.len());
        if length > LARGEST_AHEAD {
            return;
        }
        // It only hurries; if no thread can be had or the file system does not know how, nothing is lost.
        let _ = std::thread::Builder::new().name("srcfs-ahead".to_owned()).spawn(move || {
            for start in (0..length).step_by(AHEAD as usize) {
                let advice = PosixFadviseAdvice::POSIX_FADV_WILLNEED;
                if posix_fadvise(&file, start as i64, AHEAD as i64, advice).is_err() {
                    return;
                }
            }
        });
    }

    /// An entry as it lies in the pack.
    fn read(&self, entry: u32) -> Result<Buffer, Failure> {
        let range = self.index.range(entry);
        let bytes = range.end - range.start;
        // What deflate cannot compress grows by less than a thousandth.
        if bytes > LARGEST_BLOB + LARGEST_BLOB / 512 {
            return Err(Failure::TooLarge(bytes));
        }
        if self.reads.fetch_add(1, Ordering::Relaxed) == WALK {
            self.read_ahead();
        }
        let mut raw = Buffer::zeroed(bytes as usize).map_err(Failure::Io)?;
        self.file.read_exact_at(&mut raw, range.start).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Failure::Damaged("the pack is cut short"),
            _ => Failure::Io(error),
        })?;
        if crc32fast::hash(&raw) != self.index.checksum(entry) {
            return Err(Failure::Damaged("its checksum is wrong"));
        }
        Ok(raw)
    }
}

/// Inflates what follows the header of an entry; `size` is what the header says.
fn inflate(inflater: &mut Decompressor, deflated: &[u8], size: u64) -> Result<Buffer, Failure> {
    let mut content = Buffer::zeroed(size as usize).map_err(Failure::Io)?;
    match inflater.zlib_decompress(deflated, &mut content) {
        Ok(length) if length == content.len() => Ok(content),
        _ => Err(Failure::Damaged("it does not inflate")),
    }
}

/// Whether the head and tail of the pack are those the index is about.
fn check_ends(file: &File, bytes: u64, objects: u32, checksum: [u8; 20]) -> io::Result<bool> {
    let (mut head, mut tail) = ([0; 12], [0; 20]);
    file.read_exact_at(&mut head, 0)?;
    file.read_exact_at(&mut tail, bytes.saturating_sub(20))?;
    let version_is_known = matches!(head[4..8], [0, 0, 0, 2 | 3]);
    Ok(head[..4] == *b"PACK" && version_is_known && head[8..] == objects.to_be_bytes() && tail == checksum)
}
