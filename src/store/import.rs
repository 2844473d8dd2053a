//! Writes blobs and trees into one new pack of a new repository.
//!
//! For what does not come from git: packages and local directories. Every object is whole (no deltas)
//! and deflated as it comes; an object that the pack or the lender has already is left out, so what
//! is written is what is new. Nothing is loose, and nothing of the pack has its name before `finish`.
//!
//! Memory is bounded: a large blob is streamed, and of an object written only its id, offset and
//! checksum are kept, 32 bytes. Ours and not libgit2's writers, because its packbuilder wants every
//! object in a database first, and its indexer cannot take back a streamed blob that turns out to be
//! there, and inflates each once more. The formats are those of gitformat-pack(5).
//!
//! A writer that is dropped leaves a repository without objects. Any error but that of a blob's reader
//! (`Kind::Full`, `Kind::Io`) leaves a writer that is only good for dropping.

use std::collections::HashSet;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use flate2::FlushCompress;
use sha1::Digest;

use super::repository::{init_bare, open_odb};
use super::{Kind, ObjectId, names};
use crate::error::{Error, Kind as ErrorKind, Result};

mod index;
mod output;

use output::Output;

/// Blobs up to this size are read whole, so that one that is there already is never deflated.
const AT_ONCE: u64 = 1 << 20;
/// Bytes of a larger blob that are held at a time.
const CHUNK: usize = 64 << 10;

/// The types of gitformat-pack(5).
#[derive(Clone, Copy)]
enum Type {
    Tree = 2,
    Blob = 3,
}

impl Type {
    fn name(self) -> &'static str {
        match self {
            Type::Tree => "tree",
            Type::Blob => "blob",
        }
    }
}

/// One entry of a tree to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeEntry {
    /// Its name: no slash, no NUL, nothing that [`super::name_refusal`] refuses.
    pub name: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Its blob or tree, which was written before.
    pub object: ObjectId,
}

/// What [`PackWriter::finish`] wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packed {
    /// Objects in the new pack. With none there is no pack.
    pub objects: u64,
    /// Bytes of the new pack.
    pub bytes: u64,
}

/// A pack that is being written.
pub struct PackWriter {
    lender: Option<git2::Odb<'static>>,
    output: Output,
    objects: Vec<index::Row>,
    written: HashSet<ObjectId>,
    buffer: Vec<u8>,
}

impl PackWriter {
    /// Makes `directory`, which exists and is empty, a bare repository, and begins its pack. Objects
    /// that the repository `borrow` has are not written again (git alternates).
    pub fn new(directory: &Path, borrow: Option<&Path>) -> Result<PackWriter> {
        init_bare(directory)?;
        if let Some(lender) = borrow {
            borrow_from(directory, lender)?;
        }
        Ok(PackWriter {
            lender: borrow.map(open_odb).transpose()?,
            output: Output::create(directory)?,
            objects: Vec::new(),
            written: HashSet::new(),
            buffer: Vec::new(),
        })
    }

    /// Whether an object need not be written: it is in this pack, or the lender has it.
    pub fn has(&self, object: &ObjectId) -> bool {
        let lent = |odb: &git2::Odb<'_>| {
            // The lender is pinned and does not change: not to look at its directory again for each miss.
            git2::Oid::from_bytes(&object.0)
                .is_ok_and(|oid| odb.exists_ext(oid, git2::OdbLookupFlags::NO_REFRESH))
        };
        self.written.contains(object) || self.lender.as_ref().is_some_and(lent)
    }

    /// Writes a blob.
    pub fn blob(&mut self, content: &[u8]) -> Result<ObjectId> {
        self.object(Type::Blob, content)
    }

    /// Writes a blob of `size` bytes, and reads no more than these. `Kind::Stale` if the reader ends
    /// before. An error of the reader that holds an [`Error`] is returned as that. After either the
    /// writer goes on as if it had not been called.
    pub fn blob_from(&mut self, size: u64, reader: &mut dyn Read) -> Result<ObjectId> {
        let mut reader = reader.take(size);
        if size <= AT_ONCE {
            let mut content = std::mem::take(&mut self.buffer);
            content.clear();
            let read = reader.read_to_end(&mut content).map_err(|error| unread(&error));
            let id = match read {
                Ok(_) if content.len() as u64 == size => self.blob(&content),
                Ok(read) => Err(cut_short(size, read as u64)),
                Err(error) => Err(error),
            };
            self.buffer = content;
            return id;
        }
        let start = self.begin(Type::Blob, size)?;
        match self.stream(size, &mut reader) {
            Ok(id) if !self.has(&id) => self.end(id, start),
            outcome => {
                self.output.back_to(start)?;
                outcome
            }
        }
    }

    /// Writes a tree of these entries, in any order. `Kind::Invalid` for names that no tree may have
    /// and for two entries of one name.
    pub fn tree(&mut self, entries: Vec<TreeEntry>) -> Result<ObjectId> {
        self.object(Type::Tree, &encoded(entries)?)
    }

    /// Completes the pack and gives it its name, the index last. It is not yet flushed to the disk.
    pub fn finish(mut self) -> Result<Packed> {
        let objects = self.objects.len() as u64;
        if objects == 0 {
            return Ok(Packed { objects: 0, bytes: 0 });
        }
        let Ok(count) = u32::try_from(objects) else {
            let why = format!("{objects} objects do not fit into a pack");
            return Err(Error::new(ErrorKind::TooLarge, "write a pack", why));
        };
        let checksum = self.output.seal(count)?;
        let index = index::encode(&mut self.objects, &checksum);
        let bytes = self.output.publish(&checksum, &index)?;
        Ok(Packed { objects, bytes })
    }

    fn object(&mut self, kind: Type, content: &[u8]) -> Result<ObjectId> {
        let id = ObjectId::of(kind.name(), content);
        if self.has(&id) {
            return Ok(id);
        }
        let start = self.begin(kind, content.len() as u64)?;
        self.output.deflate(content, FlushCompress::Finish)?;
        self.end(id, start)
    }

    /// The header of an entry; returns where it begins.
    fn begin(&mut self, kind: Type, size: u64) -> Result<u64> {
        let mut header = Vec::with_capacity(10);
        let mut byte = ((kind as u8) << 4) | (size & 15) as u8;
        let mut rest = size >> 4;
        while rest > 0 {
            header.push(byte | 0x80);
            byte = (rest & 0x7f) as u8;
            rest >>= 7;
        }
        header.push(byte);
        self.output.begin_entry(&header)
    }

    fn end(&mut self, id: ObjectId, offset: u64) -> Result<ObjectId> {
        self.objects.push(index::Row { id, offset, checksum: self.output.entry_checksum() });
        self.written.insert(id);
        Ok(id)
    }

    fn stream(&mut self, size: u64, reader: &mut dyn Read) -> Result<ObjectId> {
        let mut hash = sha1::Sha1::new();
        hash.update(format!("blob {size}\0"));
        let mut chunk = vec![0; CHUNK];
        let mut read = 0;
        loop {
            let length = match reader.read(&mut chunk) {
                Ok(0) => break,
                Ok(length) => length,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(unread(&error)),
            };
            hash.update(&chunk[..length]);
            self.output.deflate(&chunk[..length], FlushCompress::None)?;
            read += length as u64;
        }
        if read != size {
            return Err(cut_short(size, read));
        }
        self.output.deflate(&[], FlushCompress::Finish)?;
        Ok(ObjectId(hash.finalize().into()))
    }
}

/// The id that a tree of these entries has. Fails as [`PackWriter::tree`] does.
pub fn tree_id(entries: Vec<TreeEntry>) -> Result<ObjectId> {
    Ok(ObjectId::of(Type::Tree.name(), &encoded(entries)?))
}

/// The content of a tree of these entries.
fn encoded(mut entries: Vec<TreeEntry>) -> Result<Vec<u8>> {
    entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let refused = |name: &[u8], why: &str| {
        let what = format!("write the entry {:?} of a tree", String::from_utf8_lossy(name));
        Err(Error::new(ErrorKind::Invalid, what, why))
    };
    if let Some(twins) = entries.windows(2).find(|pair| pair[0].name == pair[1].name) {
        return refused(&twins[0].name, "there are two entries of this name");
    }
    // Git compares a directory's name as if a slash followed it.
    let slash = |entry: &TreeEntry| (entry.kind == Kind::Directory).then_some(b'/');
    entries
        .sort_by(|a, b| a.name.iter().copied().chain(slash(a)).cmp(b.name.iter().copied().chain(slash(b))));
    let mut content = Vec::new();
    for TreeEntry { name, kind, object } in &entries {
        if let Some(why) = names::refusal(name) {
            return refused(name, why);
        }
        let mode: &[u8] = match kind {
            Kind::Directory => b"40000 ",
            Kind::File { executable: false } => b"100644 ",
            Kind::File { executable: true } => b"100755 ",
            Kind::Symlink => b"120000 ",
            Kind::Submodule => b"160000 ",
        };
        content.extend_from_slice(mode);
        content.extend_from_slice(name);
        content.push(0);
        content.extend_from_slice(&object.0);
    }
    Ok(content)
}

impl std::fmt::Debug for PackWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PackWriter of {} objects", self.objects.len())
    }
}

/// What the reader of a blob failed with.
fn unread(error: &std::io::Error) -> Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(error) => error.clone(),
        None => Error::io("read the content of", PathBuf::from("a file"), error),
    }
}

fn cut_short(size: u64, read: u64) -> Error {
    let why = format!("it ended after {read} of {size} bytes");
    Error::new(ErrorKind::Stale, "read the content of a file", why)
}

/// Makes the objects of `lender` count as present in `directory`, with the same borders.
fn borrow_from(directory: &Path, lender: &Path) -> Result<()> {
    let objects = lender.join("objects");
    let mut line = objects.as_os_str().as_bytes().to_vec();
    if line.contains(&b'\n') || !objects.is_absolute() {
        let what = format!("borrow objects from {}", lender.display());
        return Err(Error::new(ErrorKind::Unsupported, what, "its path is relative or holds a line break")
            .hint("choose another --cache-dir"));
    }
    line.push(b'\n');
    let alternates = directory.join("objects/info/alternates");
    std::fs::write(&alternates, line).map_err(|error| Error::io("write", &alternates, &error))?;
    let (from, to) = (lender.join("shallow"), directory.join("shallow"));
    match std::fs::read(&from) {
        Ok(text) => std::fs::write(&to, text).map_err(|error| Error::io("write", &to, &error)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::io("read", &from, &error)),
    }
}
