//! The mount over a tree in memory, through the real kernel. Needs /dev/fuse.

mod binding;
mod memory;
mod model;
mod reading;
mod retiring;
mod waiting;
