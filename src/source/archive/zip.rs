//! The entries of a zip, in the order of its central directory.
//!
//! Our own few hundred lines and not the `zip` crate, because what is asked for here is what a reader
//! of zips takes pains to overlook: a zip says everything twice, and programs differ in which of the two
//! they believe. A stream reader (uv) sees local headers, a seeking one (pip) the central directory. So
//! the two must agree, and the file must be exactly: entries without gaps or overlaps, central directory,
//! end. PyPI refuses uploads that are not so. The crate builds the archives of the tests.
//!
//! Read are entries that are stored or deflated, which is all that wheels and sdists use. Encrypted
//! ones, archives of several disks, and names that Unicode extras would change are refused. The formats
//! are those of APPNOTE.TXT 6.3.

use std::io::{self, BufRead, Read, Seek, SeekFrom};

use flate2::bufread::DeflateDecoder;

use self::record::{DEFLATED, Record, STORED};
use super::allowance::{Allowance, Measured};
use super::entry::{Entry, EntryKind};
use super::{Limits, failure};
use crate::error::Result;

mod directory;
mod fields;
mod local;
mod name;
mod record;

/// What opened archives are read through.
trait Source: BufRead + Seek {}
impl<R: BufRead + Seek> Source for R {}

/// Calls `visit` for each entry.
pub(super) fn read(
    archive: &mut (impl BufRead + Seek),
    limits: &Limits,
    allowance: &mut Allowance<'_>,
    visit: &mut dyn FnMut(&Entry, &mut dyn Read) -> Result<()>,
) -> Result<()> {
    let (records, end) = directory::read(archive, limits)?;
    // What they say they have, before any of it is read; it is counted again as it comes.
    let said = records.iter().fold(0u64, |sum, record| sum.saturating_add(record.size));
    allowance.check(said)?;
    let starts = local::check(archive, &records, end)?;
    for (record, start) in records.iter().zip(starts) {
        archive.seek(SeekFrom::Start(start)).map_err(|error| failure::of_stream(&error))?;
        one(archive, record, allowance, visit).map_err(|error| failure::within(&record.name, error))?;
    }
    Ok(())
}

fn one(
    archive: &mut impl BufRead,
    record: &Record,
    allowance: &mut Allowance<'_>,
    visit: &mut dyn FnMut(&Entry, &mut dyn Read) -> Result<()>,
) -> Result<()> {
    let entry = entry(record)?;
    let mut raw = archive.take(record.compressed);
    let mut content = Content {
        inner: Decoder::of(record, &mut raw),
        checksum: crc32fast::Hasher::new(),
        left: record.size,
    };
    let mut measured = Measured { inner: &mut content, allowance };
    visit(&entry, &mut measured)?;
    // What nobody wanted is looked at all the same: it is part of what the archive says.
    io::copy(&mut measured, &mut io::sink()).map_err(|error| failure::of_stream(&error))?;
    let more = content.inner.read(&mut [0]).map_err(|error| failure::of_stream(&error))?;
    if more > 0 {
        return Err(failure::refused(&record.name, "it has more bytes than its header says"));
    }
    if content.checksum.finalize() != record.checksum {
        return Err(failure::corrupt(&record.name, "its checksum is wrong"));
    }
    if raw.limit() > 0 {
        return Err(failure::refused(&record.name, "something follows its compressed data"));
    }
    Ok(())
}

fn entry(record: &Record) -> Result<Entry> {
    /// The file types of a Unix mode, which stands in the upper half of the attributes.
    const TYPE: u32 = 0o170000;
    let refused = |why: &str| Err(failure::refused(&record.name, why));
    let file = |executable| EntryKind::File { executable };
    let is_directory = record.name.ends_with(b"/");
    let kind = match record.mode & TYPE {
        0 | 0o100000 | 0o040000 if is_directory => EntryKind::Directory,
        0o040000 => return refused("it is a directory without the name of one"),
        0o100000 => file(record.mode & 0o111 != 0),
        // Python, and so pip, writes a link as a file that has its target as content.
        0 | 0o120000 => file(false),
        0o020000 => EntryKind::Special("a character device"),
        0o060000 => EntryKind::Special("a block device"),
        0o010000 => EntryKind::Special("a FIFO"),
        0o140000 => EntryKind::Special("a socket"),
        _ => return refused("its mode says that it is something unknown"),
    };
    if is_directory && record.size > 0 {
        return refused("it is a directory with content");
    }
    Ok(Entry { name: record.name.clone(), kind, size: record.size, modified: record.modified })
}

/// The bytes of an entry as they were before they were packed.
enum Decoder<R> {
    Stored(R),
    Deflated(DeflateDecoder<R>),
}

impl<R: BufRead> Decoder<R> {
    fn of(record: &Record, raw: R) -> Self {
        match record.method {
            DEFLATED => Decoder::Deflated(DeflateDecoder::new(raw)),
            method => {
                debug_assert_eq!(method, STORED);
                Decoder::Stored(raw)
            }
        }
    }
}

impl<R: BufRead> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Decoder::Stored(raw) => raw.read(buffer),
            Decoder::Deflated(decoder) => decoder.read(buffer),
        }
    }
}

/// These bytes, as many as the entry says it has, and the checksum of those that were read.
struct Content<R> {
    inner: Decoder<R>,
    checksum: crc32fast::Hasher,
    left: u64,
}

impl<R: BufRead> Read for Content<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let length = self.inner.read(&mut buffer[..most])?;
        if length == 0 {
            let why = "it has fewer bytes than its header says";
            return Err(io::Error::other(failure::corrupt_archive(why)));
        }
        self.checksum.update(&buffer[..length]);
        self.left -= length as u64;
        Ok(length)
    }
}
