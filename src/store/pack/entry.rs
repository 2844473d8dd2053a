//! The header of an entry in a pack: what it is, and the size it inflates to.

use super::{Failure, LARGEST_BLOB};
use crate::store::ObjectId;

/// What an entry is, or is a delta of.
pub(super) enum Base {
    /// Nothing: it is a whole object of this sort.
    None(Sort),
    /// The entry that begins this many bytes before it.
    Distance(u64),
    /// An object of the same pack.
    Object(ObjectId),
}

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Commit,
    Tree,
    Blob,
    Tag,
}

impl Sort {
    /// As git hashes it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Sort::Commit => "commit",
            Sort::Tree => "tree",
            Sort::Blob => "blob",
            Sort::Tag => "tag",
        }
    }
}

/// A longer header is not possible: 10 bytes of a size and an id.
pub(super) const LONGEST: u64 = 32;

pub(super) struct Header {
    pub(super) base: Base,
    /// What follows inflates to this many bytes, at most [`LARGEST_BLOB`].
    pub(super) size: u64,
    /// The length of sort and size alone.
    pub(super) prefix: usize,
    /// The length of the header itself, with what it says of the base.
    pub(super) length: usize,
}

impl Header {
    /// The header at the beginning of an entry.
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
        // All bytes of it but the last say that another one follows, and all of them were there.
        let prefix = 1 + entry.iter().take_while(|&&byte| byte & 0x80 != 0).count();
        let base = match (first >> 4) & 7 {
            1 => Base::None(Sort::Commit),
            2 => Base::None(Sort::Tree),
            3 => Base::None(Sort::Blob),
            4 => Base::None(Sort::Tag),
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
            _ => return Err(Failure::Damaged("it is of no known sort")),
        };
        Ok(Header { base, size, prefix, length: entry.len() - bytes.len() })
    }
}
