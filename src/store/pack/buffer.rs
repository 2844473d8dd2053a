//! Memory for what is decoded: of a fixed length, zeroed, and gone from the process when it is dropped.
//!
//! A large buffer is a mapping of its own. The heap would keep it: glibc raises its limits with each
//! large block that is freed, and 180 MB of freed blobs stayed in the process after one walk over the
//! Linux tree.

use std::ops::{Deref, DerefMut};

use memmap2::{Advice, MmapMut};

/// From this many bytes on, mapping costs little beside filling.
const LARGE: usize = 256 << 10;

/// The size of a huge page.
const HUGE: usize = 2 << 20;

/// A number of bytes.
pub(in crate::store) enum Buffer {
    Heap(Vec<u8>),
    Mapped(MmapMut),
}

impl Buffer {
    /// `length` zeros; an error if there is no memory for them.
    pub(in crate::store) fn zeroed(length: usize) -> std::io::Result<Self> {
        if length < LARGE {
            return Ok(Buffer::Heap(vec![0; length]));
        }
        let mapped = MmapMut::map_anon(length)?;
        // Else filling it costs a page fault for each 4 KiB: a fifth of all decoding. Whether the
        // kernel follows is its own affair.
        let advice = if length < HUGE { Advice::PopulateWrite } else { Advice::HugePage };
        let _ = mapped.advise(advice);
        Ok(Buffer::Mapped(mapped))
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Buffer::Heap(bytes) => bytes,
            Buffer::Mapped(bytes) => bytes,
        }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        match self {
            Buffer::Heap(bytes) => bytes,
            Buffer::Mapped(bytes) => bytes,
        }
    }
}
