//! The promises of the cache, each kept by real processes on real git repositories.
//!
//! Tests about several processes start this binary again as a [`process`] that does one job.

// git and the test's own helpers are started here; the rules of clippy.toml are for the program.
#![allow(clippy::disallowed_methods)]

mod clear_and_pins;
mod clocks;
mod contained;
mod corruption;
mod crash;
mod directory;
mod disk;
mod leases;
mod locks;
mod offline;
mod one_fetch;
mod permissions;
mod process;
mod quota;
mod revalidation;
mod shrink;
mod turns;
mod update;
mod upstream;
