//! The header of an entry in a pack: what it is, and the size it inflates to.

use super::{Failure, LARGEST_BLOB};
use crate::store::ObjectId;

/// What an entry is a delta of.
pub(super) enum Base {
    /// Nothing: it is a whole blob.
    None,
    /// The entry that begins this many bytes before it.
    Distance(u64),
    /// An object of the same pack.
    Object(ObjectId),
}

pub(super) struct Header {
    pub(super) base: Base,
    /// What follows inflates to this many bytes, at most [`LARGEST_BLOB`].
    pub(super) size: u64,
    /// The length of the header itself.
    pub(super) length: usize,
}

impl Header {
    /// The header at the beginning of an entry; an error for what is neither a blob nor a delta.
    pub(super) fn parse(entry: &[u8]) -> Result<Header, Failure> {
        let mut bytes = entry.iter().copied();
        let mut next = || bytes.next().ok_or(Failure::Damaged("its header is cut short"));

        let first = next()?;
        let mut size = u64::from(first & 15);
        let mut shift = 4;
        let mut byte = first;
        while byte & 0x80 != 0 {
            byte = next()?;
            if shift > 56 {
                return Err(Failure::Damaged("its size is impossible"));
            }
            size |= u64::from(byte & 0x7f) << shift;
            shift += 7;
        }
        if size > LARGEST_BLOB {
            return Err(Failure::TooLarge(size));
        }
        let base = match (first >> 4) & 7 {
            3 => Base::None,
            6 => {
                let mut byte = next()?;
                let mut distance = u64::from(byte & 0x7f);
                while byte & 0x80 != 0 {
                    byte = next()?;
                    if distance >= 1 << 56 {
                        return Err(Failure::Damaged("its delta base is nowhere"));
                    }
                    distance = ((distance + 1) << 7) | u64::from(byte & 0x7f);
                }
                Base::Distance(distance)
            }
            7 => {
                let mut id = [0; 20];
                for byte in &mut id {
                    *byte = next()?;
                }
                Base::Object(ObjectId(id))
            }
            _ => return Err(Failure::Damaged("it is no blob")),
        };
        Ok(Header { base, size, length: entry.len() - bytes.len() })
    }
}
