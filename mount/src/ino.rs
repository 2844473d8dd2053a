//! Inode numbers by arithmetic: the upper half names the slot of a view, the lower half a node in it.
//!
//! Slot 0 is the name space, where node 1 is the root of the mount (the kernel's fixed number for it).
//! A slot is never used again within a mount, so a number that the kernel still holds can never come
//! to mean another node. No table maps numbers to nodes.

use std::fmt;

/// The number of a view within one mount; 0 is the name space.
pub(crate) type SlotNumber = u32;

/// An inode number of the mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Ino(pub(crate) u64);

impl Ino {
    /// The root of the mount.
    pub(crate) const ROOT: Ino = Ino(1);

    /// The node `index` of the view in `slot`, or of the name space if `slot` is 0.
    pub(crate) fn new(slot: SlotNumber, index: u32) -> Self {
        Ino(u64::from(slot) << 32 | u64::from(index))
    }

    /// The slot it lies in.
    pub(crate) fn slot(self) -> SlotNumber {
        (self.0 >> 32) as u32
    }

    /// Its node within the slot.
    pub(crate) fn index(self) -> u32 {
        self.0 as u32
    }
}

impl fmt::Display for Ino {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.slot(), self.index())
    }
}

#[cfg(test)]
mod tests {
    use super::Ino;

    #[test]
    fn the_root_is_the_kernels_root_and_halves_come_back() {
        assert_eq!((Ino::ROOT.slot(), Ino::ROOT.index()), (0, 1));
        let ino = Ino::new(7, u32::MAX);
        assert_eq!((ino.slot(), ino.index()), (7, u32::MAX));
    }
}
