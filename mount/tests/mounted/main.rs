//! The mount over a tree in memory, through the real kernel. Needs /dev/fuse.
#![allow(clippy::disallowed_methods, reason = "tests start programs of their own")]

mod binding;
mod memory;
mod model;
mod reading;
mod retiring;
mod waiting;
