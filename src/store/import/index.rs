//! The index of a new pack (`.idx`, version 2 of gitformat-pack(5)).

use sha1::Digest;

use crate::store::ObjectId;

/// Offsets from here on are written in a table of their own.
const FIRST_LARGE: u64 = 1 << 31;

/// Where an object lies in the pack.
pub(super) struct Row {
    pub(super) id: ObjectId,
    pub(super) offset: u64,
    /// The CRC-32 of the entry as it lies there.
    pub(super) checksum: u32,
}

/// The bytes of the index of these objects, which are sorted by it.
pub(super) fn encode(rows: &mut [Row], pack_checksum: &[u8; 20]) -> Vec<u8> {
    rows.sort_unstable_by_key(|row| row.id);
    let mut index = Vec::with_capacity(8 + 1024 + rows.len() * 28 + 40);
    index.extend_from_slice(b"\xfftOc\0\0\0\x02");
    let mut up_to = 0;
    for first in 0..=u8::MAX {
        up_to += rows[up_to..].iter().take_while(|row| row.id.0[0] == first).count();
        index.extend_from_slice(&(up_to as u32).to_be_bytes());
    }
    rows.iter().for_each(|row| index.extend_from_slice(&row.id.0));
    rows.iter().for_each(|row| index.extend_from_slice(&row.checksum.to_be_bytes()));
    let mut large: Vec<u64> = Vec::new();
    for row in rows.iter() {
        let word = if row.offset < FIRST_LARGE {
            row.offset as u32
        } else {
            large.push(row.offset);
            FIRST_LARGE as u32 | (large.len() - 1) as u32
        };
        index.extend_from_slice(&word.to_be_bytes());
    }
    large.iter().for_each(|offset| index.extend_from_slice(&offset.to_be_bytes()));
    index.extend_from_slice(pack_checksum);
    let own = sha1::Sha1::digest(&index);
    index.extend_from_slice(&own);
    index
}

#[cfg(test)]
mod tests {
    use super::{FIRST_LARGE, Row, encode};
    use crate::store::ObjectId;

    #[test]
    fn offsets_beyond_two_gibibytes_have_a_table_of_their_own() {
        let row = |first, offset| Row { id: ObjectId([first; 20]), offset, checksum: u32::from(first) };
        let far = FIRST_LARGE + 12;
        let mut rows = vec![row(9, far + 1), row(2, 12), row(4, far)];
        let index = encode(&mut rows, &[7; 20]);
        let words = &index[8 + 1024 + 3 * 24..];
        assert_eq!(words[..12], [0, 0, 0, 12, 0x80, 0, 0, 0, 0x80, 0, 0, 1]);
        assert_eq!(words[12..20], far.to_be_bytes());
        assert_eq!(words[20..28], (far + 1).to_be_bytes());
        assert_eq!(words.len(), 28 + 40);
        assert_eq!(index[8 + 4 * 255..8 + 1024], 3u32.to_be_bytes());
        assert_eq!(index[8 + 4 * 3..8 + 4 * 4], 1u32.to_be_bytes());
    }
}
