//! The index of a pack (`.idx`, version 2): where each object lies, and the checksum of it there.
//!
//! Held in memory, 36 bytes an object, in the order of the pack, because that is how delta bases are
//! found and where an entry ends.

use std::ops::Range;

use crate::store::ObjectId;

/// Bytes before the first id: magic, version, and how many ids begin with at most each byte.
const HEADER: usize = 8 + 256 * 4;

pub(super) struct Index {
    /// Where the ids that begin with each byte end.
    fan_out: [u32; 256],
    /// Sorted; `entry_of` says the number of each one's entry.
    ids: Vec<ObjectId>,
    entry_of: Vec<u32>,
    /// By the number of the entry, so ascending, and where the last one ends.
    offsets: Vec<u64>,
    checksums: Vec<u32>,
}

impl Index {
    /// The index of a pack of `pack_bytes`, and the checksum that the pack must end with; else what
    /// is wrong with it.
    pub(super) fn parse(file: &[u8], pack_bytes: u64) -> Result<(Index, [u8; 20]), &'static str> {
        let short = "it is cut short";
        let (header, rest) = file.split_at_checked(HEADER).ok_or(short)?;
        if header[..8] != *b"\xfftOc\0\0\0\x02" {
            return Err("it is no index of version 2");
        }
        let mut fan_out = [0; 256];
        for (end, bytes) in fan_out.iter_mut().zip(header[8..].as_chunks().0) {
            *end = u32::from_be_bytes(*bytes);
        }
        let objects = fan_out[255];
        let count = objects as usize;
        let section = |rest, width: usize| <[u8]>::split_at_checked(rest, count.checked_mul(width)?);
        let (ids, rest) = section(rest, 20).ok_or(short)?;
        let (checksums, rest) = section(rest, 4).ok_or(short)?;
        let (offsets, rest) = section(rest, 4).ok_or(short)?;
        let (large_offsets, trailer) = rest.split_at_checked(rest.len().wrapping_sub(40)).ok_or(short)?;
        let large_offsets = large_offsets.as_chunks::<8>().0;

        let offset = |word: &[u8; 4]| match u32::from_be_bytes(*word) {
            small if small >> 31 == 0 => Some(u64::from(small)),
            large => {
                large_offsets.get((large & 0x7fff_ffff) as usize).map(|bytes| u64::from_be_bytes(*bytes))
            }
        };
        let offsets: Option<Vec<u64>> = offsets.as_chunks().0.iter().map(offset).collect();
        let offsets = offsets.ok_or("an offset is not in it")?;
        let mut by_offset: Vec<u32> = (0..objects).collect();
        by_offset.sort_unstable_by_key(|&position| offsets[position as usize]);
        let mut entry_of = vec![0; count];
        for (entry, &position) in by_offset.iter().enumerate() {
            entry_of[position as usize] = entry as u32;
        }
        let checksums = checksums.as_chunks().0;
        let checksum = |&position: &u32| u32::from_be_bytes(checksums[position as usize]);
        let index = Index {
            fan_out,
            ids: ids.as_chunks().0.iter().map(|&id| ObjectId(id)).collect(),
            entry_of,
            checksums: by_offset.iter().map(checksum).collect(),
            offsets: by_offset
                .iter()
                .map(|&position| offsets[position as usize])
                .chain([pack_bytes.saturating_sub(20)])
                .collect(),
        };
        if !index.offsets.is_sorted() || index.offsets[0] < 12 {
            return Err("an offset is not in the pack");
        }
        if !index.fan_out.is_sorted() || !index.ids.is_sorted() {
            return Err("its ids are not in order");
        }
        Ok((index, *trailer.first_chunk().ok_or(short)?))
    }

    /// The number of objects.
    pub(super) fn len(&self) -> u32 {
        self.ids.len() as u32
    }

    /// The ids of all objects, by the number of the entry.
    pub(super) fn ids(&self) -> Vec<ObjectId> {
        let mut ids = vec![ObjectId([0; 20]); self.ids.len()];
        for (id, &entry) in self.ids.iter().zip(&self.entry_of) {
            ids[entry as usize] = *id;
        }
        ids
    }

    /// The entry of an object.
    pub(super) fn find(&self, object: &ObjectId) -> Option<u32> {
        let first = usize::from(object.0[0]);
        let start = if first == 0 { 0 } else { self.fan_out[first - 1] as usize };
        let alike = &self.ids[start..self.fan_out[first] as usize];
        let position = alike.binary_search(object).ok()?;
        Some(self.entry_of[start + position])
    }

    /// The entry that begins at an offset of the pack.
    pub(super) fn at(&self, offset: u64) -> Option<u32> {
        let entry = self.offsets.binary_search(&offset).ok()?;
        (entry < self.checksums.len()).then_some(entry as u32)
    }

    /// Where an entry lies in the pack.
    pub(super) fn range(&self, entry: u32) -> Range<u64> {
        let entry = entry as usize;
        self.offsets[entry]..self.offsets[entry + 1]
    }

    /// The CRC-32 of an entry as it lies in the pack.
    pub(super) fn checksum(&self, entry: u32) -> u32 {
        self.checksums[entry as usize]
    }
}
