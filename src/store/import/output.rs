//! The file of a new pack: written from front to back, with the last entry taken back if need be.
//!
//! It has a temporary name, which git programs know for one (`tmp_pack_`), and is gone when dropped.

use std::fs::{self, Permissions};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use flate2::{Compress, Compression, FlushCompress, Status};
use sha1::Digest;
use tempfile::NamedTempFile;

use crate::error::{Error, Kind, Result};
use crate::store::repository::{hex, pack_directory};

/// Of zlib: quick, because a reader waits for it; what is written is a cache.
const LEVEL: u32 = 3;
/// Magic, version, and the number of objects, which is known at the end.
const HEADER: &[u8; 12] = b"PACK\0\0\0\x02\0\0\0\0";

pub(super) struct Output {
    directory: PathBuf,
    file: BufWriter<NamedTempFile>,
    /// Where the next byte goes.
    at: u64,
    /// Of the entry that is being written.
    checksum: crc32fast::Hasher,
    /// One for all entries: it takes longer to make one than to deflate a small file.
    compress: Compress,
    deflated: Vec<u8>,
}

impl Output {
    pub(super) fn create(repository: &Path) -> Result<Output> {
        let directory = pack_directory(repository);
        let file = tempfile::Builder::new()
            .prefix("tmp_pack_")
            .permissions(Permissions::from_mode(0o600))
            .tempfile_in(&directory)
            .map_err(|error| Error::io("create a pack in", &directory, &error))?;
        let mut output = Output {
            directory,
            file: BufWriter::with_capacity(256 << 10, file),
            at: 0,
            checksum: crc32fast::Hasher::new(),
            compress: Compress::new(Compression::new(LEVEL), true),
            deflated: vec![0; 64 << 10],
        };
        output.write(HEADER)?;
        Ok(output)
    }

    /// Begins an entry with its header; returns where it begins.
    pub(super) fn begin_entry(&mut self, header: &[u8]) -> Result<u64> {
        let start = self.at;
        self.checksum = crc32fast::Hasher::new();
        self.compress.reset();
        self.write(header)?;
        Ok(start)
    }

    /// More of the content of the entry; with `Finish` the last of it.
    pub(super) fn deflate(&mut self, mut content: &[u8], flush: FlushCompress) -> Result<()> {
        loop {
            let (read, written) = (self.compress.total_in(), self.compress.total_out());
            let mut deflated = std::mem::take(&mut self.deflated);
            let status = self.compress.compress(content, &mut deflated, flush);
            content = &content[(self.compress.total_in() - read) as usize..];
            let length = (self.compress.total_out() - written) as usize;
            let is_full = length == deflated.len();
            let outcome = self.write(&deflated[..length]);
            self.deflated = deflated;
            outcome?;
            let status =
                status.map_err(|error| Error::new(Kind::Io, "deflate an object", error.to_string()))?;
            let is_done = match flush {
                FlushCompress::Finish => status == Status::StreamEnd,
                _ => content.is_empty() && !is_full,
            };
            if is_done {
                return Ok(());
            }
        }
    }

    /// The CRC-32 of the entry that was written last.
    pub(super) fn entry_checksum(&self) -> u32 {
        self.checksum.clone().finalize()
    }

    /// Takes back everything from `start`, where the last entry began.
    pub(super) fn back_to(&mut self, start: u64) -> Result<()> {
        let moved = self.file.seek(SeekFrom::Start(start));
        let cut = moved.and_then(|_| self.file.get_ref().as_file().set_len(start));
        cut.map_err(|error| self.failed("write", &error))?;
        self.at = start;
        Ok(())
    }

    /// Writes the number of objects and the checksum of all; returns that.
    pub(super) fn seal(&mut self, objects: u32) -> Result<[u8; 20]> {
        let sealed = self.sealed(objects);
        sealed.map_err(|error| self.failed("complete", &error))
    }

    fn sealed(&mut self, objects: u32) -> io::Result<[u8; 20]> {
        self.file.seek(SeekFrom::Start(8))?;
        self.file.write_all(&objects.to_be_bytes())?;
        // The number stands at the front, so the checksum takes a second look, at what is in memory still.
        self.file.seek(SeekFrom::Start(0))?;
        let mut hash = sha1::Sha1::new();
        let mut chunk = vec![0; 256 << 10];
        let mut file = self.file.get_ref().as_file();
        loop {
            match file.read(&mut chunk)? {
                0 => break,
                length => hash.update(&chunk[..length]),
            }
        }
        let checksum: [u8; 20] = hash.finalize().into();
        self.file.write_all(&checksum)?;
        self.file.flush()?;
        self.at += checksum.len() as u64;
        Ok(checksum)
    }

    /// Gives the sealed pack its name, and then an index to it. Returns the bytes of the pack.
    pub(super) fn publish(self, checksum: &[u8; 20], index: &[u8]) -> Result<u64> {
        let Output { directory, file, at, .. } = self;
        let name = directory.join(format!("pack-{}", hex(checksum)));
        let pack = name.with_extension("pack");
        let failed = |error: io::Error| Error::io("complete", &pack, &error);
        let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
        // As git's own: nobody is to write into it.
        let read_only = Permissions::from_mode(0o444);
        file.as_file().set_permissions(read_only.clone()).map_err(failed)?;
        file.persist(&pack).map_err(|error| failed(error.error))?;
        let path = name.with_extension("idx");
        let written = fs::write(&path, index).and_then(|()| fs::set_permissions(&path, read_only));
        written.map_err(|error| Error::io("write", &path, &error))?;
        Ok(at)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.checksum.update(bytes);
        self.at += bytes.len() as u64;
        self.file.write_all(bytes).map_err(|error| self.failed("write", &error))
    }

    fn failed(&self, what: &str, error: &io::Error) -> Error {
        Error::io(format!("{what} a pack in"), &self.directory, error)
    }
}
