//! The local headers of a zip: each must say what the central directory says, and together with their
//! data they must fill the file up to it.

use std::io::SeekFrom;

use super::Source;
use super::fields::{Fields, extras};
use super::record::{DESCRIPTOR, ENCRYPTED, LARGE, Record, UTF8};
use crate::error::Result;
use crate::source::archive::failure;

const MAGIC: &[u8; 4] = b"PK\x03\x04";
const DESCRIPTOR_MAGIC: &[u8; 4] = b"PK\x07\x08";
const LENGTH: usize = 30;

/// Where the data of each record begins; `end` is where the central directory does.
pub(super) fn check(archive: &mut impl Source, records: &[Record], end: u64) -> Result<Vec<u64>> {
    let mut in_file: Vec<usize> = (0..records.len()).collect();
    in_file.sort_unstable_by_key(|&index| records[index].offset);
    let mut starts = vec![0; records.len()];
    let mut at = 0;
    for (position, &index) in in_file.iter().enumerate() {
        let record = &records[index];
        let refused = |why: &str| failure::refused(&record.name, why);
        if record.offset < at {
            return Err(refused("it overlaps another entry"));
        }
        if record.offset > at {
            return Err(refused("something lies before it that the central directory does not know"));
        }
        let next = in_file.get(position + 1).map_or(end, |&next| records[next].offset);
        let start = header(archive, record)?;
        let data_end = start.saturating_add(record.compressed);
        if data_end > next.min(end) {
            return Err(refused("it overlaps another entry or the central directory"));
        }
        let has_descriptor = record.flags & DESCRIPTOR != 0;
        at = if has_descriptor { next } else { data_end };
        if has_descriptor {
            descriptor(archive, record, data_end, next - data_end)?;
        }
        starts[index] = start;
    }
    if at != end {
        let why = "something lies before its central directory that this does not know";
        return Err(failure::refused_archive(why));
    }
    Ok(starts)
}

/// Compares a local header with its record; returns where the data begins.
fn header(archive: &mut impl Source, record: &Record) -> Result<u64> {
    let differs = |what: &str| {
        let why = format!("its local header says another {what} than the central directory");
        failure::refused(&record.name, why)
    };
    archive.seek(SeekFrom::Start(record.offset)).map_err(|error| failure::of_stream(&error))?;
    let mut take = |length: usize| {
        let mut bytes = vec![0; length];
        archive.read_exact(&mut bytes).map_err(|error| failure::of_stream(&error))?;
        Ok::<_, crate::error::Error>(bytes)
    };
    let none = || failure::refused(&record.name, "it has no local header where the central directory says");
    let header = take(LENGTH)?;
    let mut fields = Fields(header.strip_prefix(MAGIC).ok_or_else(none)?);
    let mut parse = || {
        fields.bytes(2)?;
        let (flags, method) = (fields.u16()?, fields.u16()?);
        fields.bytes(4)?;
        let (checksum, compressed, size) = (fields.u32()?, fields.u32()?, fields.u32()?);
        Some((flags, method, checksum, compressed, size, fields.u16()?, fields.u16()?))
    };
    let (flags, method, checksum, compressed, size, name_bytes, extra_bytes) = parse().ok_or_else(none)?;
    let name = take(usize::from(name_bytes))?;
    let extra = take(usize::from(extra_bytes))?;
    if name != record.raw_name {
        return Err(differs("name"));
    }
    if (flags ^ record.flags) & (ENCRYPTED | DESCRIPTOR | UTF8) != 0 {
        return Err(differs("sort of content"));
    }
    if method != record.method {
        return Err(differs("method of compression"));
    }
    let extras =
        extras(&extra).ok_or_else(|| failure::refused(&record.name, "its extra fields are malformed"))?;
    let mut wide =
        Fields(extras.iter().find(|(number, _)| *number == LARGE).map_or(&[], |(_, content)| content));
    // With a descriptor the values may stand after the data, and be 0 here.
    let may_be_zero = flags & DESCRIPTOR != 0;
    let agrees = |said: u64, record: u64| said == record || may_be_zero && said == 0;
    if !agrees(checksum.into(), record.checksum.into()) {
        return Err(differs("checksum"));
    }
    for (said, record) in [(size, record.size), (compressed, record.compressed)] {
        let said = match said {
            u32::MAX => wide.u64().ok_or_else(|| differs("size"))?,
            said => said.into(),
        };
        if !agrees(said, record) {
            return Err(differs("size"));
        }
    }
    Ok(record.offset + (LENGTH + name.len() + extra.len()) as u64)
}

/// Compares the descriptor after an entry's data, which fills `length` bytes, with its record.
fn descriptor(archive: &mut impl Source, record: &Record, start: u64, length: u64) -> Result<()> {
    let differs = || {
        let why = "what follows its data is not what the central directory says";
        failure::refused(&record.name, why)
    };
    let failed = |error: std::io::Error| failure::of_stream(&error);
    if !matches!(length, 12 | 16 | 20 | 24) {
        return Err(differs());
    }
    archive.seek(SeekFrom::Start(start)).map_err(failed)?;
    let mut bytes = vec![0; length as usize];
    archive.read_exact(&mut bytes).map_err(failed)?;
    // Its magic is optional, and its sizes have 4 or 8 bytes each.
    let content = match length {
        16 | 24 => bytes.strip_prefix(DESCRIPTOR_MAGIC).ok_or_else(differs)?,
        _ => &bytes[..],
    };
    let is_wide = content.len() == 20;
    let mut fields = Fields(content);
    let number = |fields: &mut Fields<'_>| if is_wide { fields.u64() } else { fields.u32().map(u64::from) };
    let said = (fields.u32(), number(&mut fields), number(&mut fields));
    if said != (Some(record.checksum), Some(record.compressed), Some(record.size)) {
        return Err(differs());
    }
    Ok(())
}
