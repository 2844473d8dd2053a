//! Writes packs that git would not write, with indexes and records that fit them.

use std::path::Path;

use sha1::{Digest, Sha1};
use srcfs::store::{ObjectId, PackRecord, packs};

/// The type numbers of gitformat-pack(5).
pub const TREE: u8 = 2;
pub const BLOB: u8 = 3;
pub const OFFSET_DELTA: u8 = 6;
pub const OBJECT_DELTA: u8 = 7;

/// An entry under any name, whatever it is.
pub struct Entry {
    pub id: ObjectId,
    pub raw: Vec<u8>,
}

/// The raw bytes of an entry: a header of this type and size, what stands between, and `content`
/// deflated.
pub fn entry(kind: u8, size: u64, between: &[u8], content: &[u8]) -> Vec<u8> {
    let mut raw = Vec::new();
    let mut byte = (kind << 4) | (size & 15) as u8;
    let mut rest = size >> 4;
    while rest > 0 {
        raw.push(byte | 0x80);
        byte = (rest & 0x7f) as u8;
        rest >>= 7;
    }
    raw.push(byte);
    raw.extend_from_slice(between);
    let mut compressor = libdeflater::Compressor::new(libdeflater::CompressionLvl::best());
    let mut deflated = vec![0; compressor.zlib_compress_bound(content.len())];
    let length = compressor.zlib_compress(content, &mut deflated).unwrap();
    raw.extend_from_slice(&deflated[..length]);
    raw
}

/// A size as deltas write it.
pub fn delta_size(mut size: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let byte = (size & 0x7f) as u8;
        size >>= 7;
        if size == 0 {
            bytes.push(byte);
            return bytes;
        }
        bytes.push(byte | 0x80);
    }
}

/// Writes one pack of these entries into a repository that has none, and returns its record.
pub fn write(repository: &Path, entries: &[Entry]) -> Vec<PackRecord> {
    let mut pack = b"PACK\0\0\0\x02".to_vec();
    pack.extend_from_slice(&(entries.len() as u32).to_be_bytes());
    let mut rows = Vec::new();
    for Entry { id, raw } in entries {
        rows.push((*id, crc32fast::hash(raw), pack.len() as u32));
        pack.extend_from_slice(raw);
    }
    let checksum = Sha1::digest(&pack);
    pack.extend_from_slice(&checksum);

    rows.sort();
    let mut index = b"\xfftOc\0\0\0\x02".to_vec();
    for first in 0..=255 {
        let number = rows.iter().filter(|(id, ..)| id.0[0] <= first).count() as u32;
        index.extend_from_slice(&number.to_be_bytes());
    }
    rows.iter().for_each(|(id, ..)| index.extend_from_slice(&id.0));
    rows.iter().for_each(|(_, crc, _)| index.extend_from_slice(&crc.to_be_bytes()));
    rows.iter().for_each(|(.., offset)| index.extend_from_slice(&offset.to_be_bytes()));
    index.extend_from_slice(&checksum);
    index.extend_from_slice(&Sha1::digest(&index));
    write_files(repository, &pack, &index)
}

/// Writes a pack and an index as they are.
pub fn write_files(repository: &Path, pack: &[u8], index: &[u8]) -> Vec<PackRecord> {
    let directory = repository.join("objects/pack");
    std::fs::write(directory.join("pack-00.pack"), pack).unwrap();
    std::fs::write(directory.join("pack-00.idx"), index).unwrap();
    packs(repository).unwrap()
}
