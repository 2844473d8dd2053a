//! One record of the central directory.

use super::fields::{Fields, extras};
use super::{Source, name};
use crate::error::Result;
use crate::source::archive::failure;

pub(super) const STORED: u16 = 0;
pub(super) const DEFLATED: u16 = 8;

/// Flags: encrypted in one of three ways; sizes after the data; the name is UTF-8.
pub(super) const ENCRYPTED: u16 = 1 << 0 | 1 << 6 | 1 << 13;
pub(super) const DESCRIPTOR: u16 = 1 << 3;
pub(super) const UTF8: u16 = 1 << 11;

/// The numbers of extra fields.
pub(super) const LARGE: u16 = 0x0001;
const UNICODE_NAME: u16 = 0x7075;

const MAGIC: &[u8; 4] = b"PK\x01\x02";
const LENGTH: usize = 46;

/// What the central directory says of an entry.
#[derive(Debug)]
pub(super) struct Record {
    /// As it lies in the archive.
    pub(super) raw_name: Vec<u8>,
    /// In UTF-8, as Python decodes it.
    pub(super) name: Vec<u8>,
    pub(super) flags: u16,
    pub(super) method: u16,
    pub(super) checksum: u32,
    pub(super) compressed: u64,
    pub(super) size: u64,
    /// Where its local header begins.
    pub(super) offset: u64,
    /// Its mode on Unix; 0 if it has none.
    pub(super) mode: u32,
    /// Seconds since 1970, of a clock whose time zone nobody knows: taken for UTC.
    pub(super) modified: Option<i64>,
}

/// Reads the next record; `left` is what is left of the directory.
pub(super) fn read(archive: &mut impl Source, left: &mut u64) -> Result<Record> {
    let malformed = || failure::corrupt_archive("its central directory is malformed");
    let mut take = |length: usize| {
        *left = left.checked_sub(length as u64).ok_or_else(malformed)?;
        let mut bytes = vec![0; length];
        archive.read_exact(&mut bytes).map_err(|error| failure::of_stream(&error))?;
        Ok::<_, crate::error::Error>(bytes)
    };
    let header = take(LENGTH)?;
    let mut fields = Fields(header.strip_prefix(MAGIC).ok_or_else(malformed)?);
    let mut parse = || {
        fields.bytes(4)?;
        let (flags, method) = (fields.u16()?, fields.u16()?);
        let (time, date) = (fields.u16()?, fields.u16()?);
        let (checksum, compressed, size) = (fields.u32()?, fields.u32()?, fields.u32()?);
        let lengths = (fields.u16()?, fields.u16()?, fields.u16()?);
        let disk = fields.u16()?;
        fields.bytes(2)?;
        let (attributes, offset) = (fields.u32()?, fields.u32()?);
        let record = Record {
            raw_name: Vec::new(),
            name: Vec::new(),
            flags,
            method,
            checksum,
            compressed: compressed.into(),
            size: size.into(),
            offset: offset.into(),
            mode: attributes >> 16,
            modified: seconds(date, time),
        };
        Some((record, lengths, disk))
    };
    let (mut record, (name_bytes, extra_bytes, comment_bytes), disk) = parse().ok_or_else(malformed)?;
    record.raw_name = take(usize::from(name_bytes))?;
    let extra = take(usize::from(extra_bytes))?;
    take(usize::from(comment_bytes))?;
    let refused = |why: &str| failure::refused(&record.raw_name, why);

    record.name = name::decode(&record.raw_name, record.flags & UTF8 != 0)
        .ok_or_else(|| refused("its name is said to be UTF-8 and is not"))?;
    let extras = extras(&extra).ok_or_else(|| refused("its extra fields are malformed"))?;
    if extras.iter().any(|(number, _)| *number == UNICODE_NAME) {
        return Err(refused("it has a second name in an extra field"));
    }
    // Before sizes and method: what is encrypted may say anything there.
    if record.flags & ENCRYPTED != 0 {
        return Err(refused("it is encrypted"));
    }
    if !matches!(record.method, STORED | DEFLATED) {
        let why = format!("it is compressed by method {}, which srcfs does not read", record.method);
        return Err(refused(&why));
    }
    let mut large = extras.iter().filter(|(number, _)| *number == LARGE).map(|(_, content)| *content);
    let mut wide = Fields(large.next().unwrap_or_default());
    if large.next().is_some() {
        return Err(refused("it says its sizes twice"));
    }
    for field in [&mut record.size, &mut record.compressed, &mut record.offset] {
        if *field == u64::from(u32::MAX) {
            *field = wide.u64().ok_or_else(|| {
                failure::refused(&record.raw_name, "it is large and does not say how large")
            })?;
        }
    }
    let refused = |why: &str| Err(failure::refused(&record.raw_name, why));
    if disk != 0 {
        return refused("it lies on another disk");
    }
    if record.method == STORED && record.compressed != record.size {
        return refused("it is stored and has two sizes");
    }
    Ok(record)
}

/// A date and time of DOS; `None` for one that no calendar has.
fn seconds(date: u16, time: u16) -> Option<i64> {
    let [year, month, day] = [date >> 9, date >> 5 & 15, date & 31].map(i64::from);
    let [hour, minute, second] = [time >> 11, time >> 5 & 63, (time & 31) * 2].map(i64::from);
    if !(1..=12).contains(&month) || day == 0 || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some(((days(1980 + year, month, day) * 24 + hour) * 60 + minute) * 60 + second)
}

/// Days from 1970-01-01 to a date after it. Years begin in March, so that a leap day is the last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::{days, seconds};

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(days(1970, 1, 1), 0);
        assert_eq!(days(1980, 1, 1), 3652);
        assert_eq!(days(2000, 2, 29), 11_016);
        assert_eq!(days(2000, 3, 1), 11_017);
        assert_eq!(days(2107, 12, 31), 50_402);
        assert_eq!(seconds(0x21, 0), Some(315_532_800));
        assert_eq!(seconds(0x21, 23 << 11 | 59 << 5 | 29), Some(315_532_800 + 86_398));
        assert_eq!(seconds(0, 0), None);
    }
}
