//! A read-only, snapshot-pinned FUSE face over a trait of trees.

mod fdinfo;
pub mod holders;
pub mod mountinfo;
pub mod mounting;
pub mod process;
pub mod tree;
