//! The name space of the mount.

pub mod name;
