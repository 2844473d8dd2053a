//! The end of a zip and its central directory.

use std::io::SeekFrom;

use super::fields::Fields;
use super::record::{self, Record};
use super::{Limits, Source};
use crate::error::{Error, Kind, Result};
use crate::source::archive::failure;

/// The end record without its comment, and the two that stand before it in large archives.
const END: usize = 22;
const END_64: usize = 56;
const LOCATOR_64: usize = 20;
/// A comment has a length of 16 bits.
const LONGEST_COMMENT: usize = u16::MAX as usize;

/// Where the central directory lies, and how many records it has.
struct End {
    records: u64,
    size: u64,
    start: u64,
    /// Where the central directory must end.
    limit: u64,
}

/// All records, and where the entries must end.
pub(super) fn read(archive: &mut impl Source, limits: &Limits) -> Result<(Vec<Record>, u64)> {
    let end = end(archive)?;
    if end.start.checked_add(end.size) != Some(end.limit) {
        return Err(failure::refused_archive("its central directory does not lie right before its end"));
    }
    if end.records > u64::from(limits.entries) {
        let why = format!("it has {} entries, more than {}", end.records, limits.entries);
        return Err(Error::new(Kind::TooLarge, failure::ARCHIVE, why));
    }
    let mut left = end.size;
    archive.seek(SeekFrom::Start(end.start)).map_err(|error| failure::of_stream(&error))?;
    let (mut records, mut name_bytes) = (Vec::new(), 0);
    for _ in 0..end.records {
        let record = record::read(archive, &mut left)?;
        name_bytes += record.name.len() as u64;
        if name_bytes > limits.name_bytes {
            let why = format!("all names together have more than {} bytes", limits.name_bytes);
            return Err(failure::too_large(&record.name, why));
        }
        records.push(record);
    }
    if left > 0 {
        return Err(failure::refused_archive("its central directory has more than its entries"));
    }
    Ok((records, end.start))
}

fn end(archive: &mut impl Source) -> Result<End> {
    let short = || failure::corrupt_archive("it has no end of a zip, so it may be cut short");
    let failed = |error: std::io::Error| failure::of_stream(&error);
    let bytes = archive.seek(SeekFrom::End(0)).map_err(failed)?;
    let tail_bytes = bytes.min((END + LONGEST_COMMENT + LOCATOR_64 + END_64) as u64);
    archive.seek(SeekFrom::Start(bytes - tail_bytes)).map_err(failed)?;
    let mut tail = vec![0; tail_bytes as usize];
    archive.read_exact(&mut tail).map_err(failed)?;
    // Programs look for it from the end, so a second one in the comment of the first would be found.
    let at = tail.windows(4).rposition(|window| window == b"PK\x05\x06").ok_or_else(short)?;
    let mut fields = Fields(&tail[at + 4..]);
    let mut parse = || {
        let (disk, first_disk) = (fields.u16()?, fields.u16()?);
        let (here, all) = (fields.u16()?, fields.u16()?);
        let (size, start) = (fields.u32()?, fields.u32()?);
        Some((disk, first_disk, here, all, size, start, fields.u16()?))
    };
    let (disk, first_disk, here, all, size, start, comment) = parse().ok_or_else(short)?;
    if usize::from(comment) != fields.0.len() {
        return Err(failure::refused_archive("something follows its end"));
    }
    let position = bytes - tail_bytes + at as u64;
    let plain =
        End { records: u64::from(all), size: u64::from(size), start: u64::from(start), limit: position };
    let locator = at.checked_sub(LOCATOR_64).map(|from| &tail[from..at]);
    let found = match locator.and_then(|locator| locator.strip_prefix(b"PK\x06\x07")) {
        Some(locator) => Some(end_64(&tail[..at - LOCATOR_64], locator, position - LOCATOR_64 as u64)?),
        None => None,
    };
    let end = match found {
        // What the small record can say it must say as the large one does.
        Some(large)
            if fits(all.into(), u16::MAX.into(), large.records)
                && fits(size.into(), u32::MAX.into(), large.size)
                && fits(start.into(), u32::MAX.into(), large.start) =>
        {
            large
        }
        Some(_) => return Err(failure::refused_archive("its two ends say different things")),
        None => plain,
    };
    let disks = (disk, first_disk, here == all);
    if !matches!(disks, (0 | u16::MAX, 0 | u16::MAX, true)) {
        return Err(failure::refused_archive("it is one of several disks"));
    }
    Ok(end)
}

/// The end record of large archives, which lies right before its locator, which lies at `position`.
fn end_64(before: &[u8], locator: &[u8], position: u64) -> Result<End> {
    let refused = || failure::refused_archive("its end for large archives is malformed");
    let mut fields = Fields(locator);
    let mut parse = || Some((fields.u32()?, fields.u64()?, fields.u32()?));
    let (disk, offset, disks) = parse().ok_or_else(refused)?;
    let from = before.len().checked_sub(END_64).ok_or_else(refused)?;
    if disk != 0 || disks > 1 || offset != position.saturating_sub(END_64 as u64) {
        return Err(refused());
    }
    let mut fields = Fields(before[from..].strip_prefix(b"PK\x06\x06").ok_or_else(refused)?);
    let mut parse = || {
        let length = fields.u64()?;
        fields.bytes(4)?;
        let (disk, first_disk) = (fields.u32()?, fields.u32()?);
        let (here, all) = (fields.u64()?, fields.u64()?);
        let (size, start) = (fields.u64()?, fields.u64()?);
        let is_sound = length == END_64 as u64 - 12 && disk == 0 && first_disk == 0 && here == all;
        is_sound.then_some(End { records: all, size, start, limit: offset })
    };
    parse().ok_or_else(refused)
}

/// Whether a small field says what the large one does, or that it cannot.
fn fits(small: u64, cannot: u64, large: u64) -> bool {
    small == cannot || small == large
}
