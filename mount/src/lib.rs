//! A read-only, snapshot-pinned FUSE face over a trait of trees.

pub mod tree;
