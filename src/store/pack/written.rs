//! A pack and its index as they are written, in the formats of gitformat-pack(5).
//!
//! Plain writes, checked one by one: nothing is mapped, so that a disk that fills up is an error and
//! not a signal.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

use sha1::{Digest, Sha1};

use crate::store::ObjectId;

/// A pack that is being written.
pub(super) struct Written {
    file: BufWriter<File>,
    hash: Sha1,
    offset: u64,
    rows: Vec<Row>,
}

/// Where an object lies.
struct Row {
    id: ObjectId,
    checksum: u32,
    offset: u64,
}

impl Written {
    /// Begins a pack of so many objects in a new file.
    pub(super) fn begin(file: &Path, objects: u32) -> io::Result<Written> {
        let file = BufWriter::with_capacity(256 << 10, File::create_new(file)?);
        let mut written = Written { file, hash: Sha1::new(), offset: 0, rows: Vec::new() };
        written.put(b"PACK\0\0\0\x02")?;
        written.put(&objects.to_be_bytes())?;
        Ok(written)
    }

    /// Where the next entry will lie.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Appends the entry of an object, which comes in parts.
    pub(super) fn entry(&mut self, id: ObjectId, parts: &[&[u8]]) -> io::Result<()> {
        let offset = self.offset;
        let mut checksum = crc32fast::Hasher::new();
        for part in parts {
            checksum.update(part);
            self.put(part)?;
        }
        self.rows.push(Row { id, checksum: checksum.finalize(), offset });
        Ok(())
    }

    /// Ends the pack and writes its index. The checksum of the pack, which is its name.
    pub(super) fn finish(mut self, index: &Path) -> io::Result<[u8; 20]> {
        let checksum: [u8; 20] = self.hash.clone().finalize().into();
        self.file.write_all(&checksum)?;
        self.file.flush()?;
        self.rows.sort_unstable_by_key(|row| row.id);
        let content = contents(&self.rows, &checksum);
        File::create_new(index)?.write_all(&content)?;
        // What a full disk did not take is told here at the latest.
        let end = self.file.get_mut().seek(SeekFrom::End(0))?;
        if end == self.offset + 20 { Ok(checksum) } else { Err(io::ErrorKind::WriteZero.into()) }
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.hash.update(bytes);
        self.offset += bytes.len() as u64;
        Ok(())
    }
}

/// An index of version 2.
fn contents(rows: &[Row], pack: &[u8; 20]) -> Vec<u8> {
    let mut index = b"\xfftOc\0\0\0\x02".to_vec();
    let mut up_to = 0;
    for first in 0..=255 {
        while rows.get(up_to).is_some_and(|row| row.id.0[0] <= first) {
            up_to += 1;
        }
        index.extend_from_slice(&(up_to as u32).to_be_bytes());
    }
    rows.iter().for_each(|row| index.extend_from_slice(&row.id.0));
    rows.iter().for_each(|row| index.extend_from_slice(&row.checksum.to_be_bytes()));
    let mut large: Vec<u64> = Vec::new();
    for row in rows {
        let word = match u32::try_from(row.offset) {
            Ok(small) if small >> 31 == 0 => small,
            _ => {
                large.push(row.offset);
                1 << 31 | (large.len() as u32 - 1)
            }
        };
        index.extend_from_slice(&word.to_be_bytes());
    }
    large.iter().for_each(|offset| index.extend_from_slice(&offset.to_be_bytes()));
    index.extend_from_slice(pack);
    let own = Sha1::digest(&index);
    index.extend_from_slice(&own);
    index
}

#[cfg(test)]
mod tests {
    use super::super::index::Index;
    use super::{ObjectId, Row, contents};

    #[test]
    fn what_is_written_is_read_also_beyond_two_gigabytes() {
        let id = |first: u8| ObjectId([first; 20]);
        let offsets = [12, (1 << 31) - 1, 1 << 31, 1 << 40];
        let rows: Vec<Row> = offsets
            .iter()
            .enumerate()
            .map(|(number, &offset)| Row { id: id(number as u8 * 80), checksum: number as u32, offset })
            .collect();
        let (index, checksum) = Index::parse(&contents(&rows, &[7; 20]), (1 << 41) + 20).unwrap();
        assert_eq!((index.len(), checksum), (4, [7; 20]));
        for (number, &offset) in offsets.iter().enumerate() {
            let entry = index.find(&id(number as u8 * 80)).unwrap();
            assert_eq!((index.range(entry).start, index.checksum(entry)), (offset, number as u32));
        }
        assert_eq!(index.ids(), rows.iter().map(|row| row.id).collect::<Vec<_>>());
    }
}
