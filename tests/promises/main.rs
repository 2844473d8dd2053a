//! What srcfs promises, with real mounts, processes and git servers: one module a promise.
#![allow(clippy::disallowed_methods, reason = "tests start programs of their own")]

#[path = "../harness.rs"]
mod harness;
#[path = "../harness/mounted.rs"]
mod mounted;
#[path = "../harness/program.rs"]
mod program;
#[path = "../harness/reader.rs"]
mod reader;
#[path = "../harness/setting.rs"]
mod setting;

mod atomic;
mod contained;
mod honest_death;
mod immutable;
mod interruptible;
mod listing;
mod mounting;
mod no_dead_lock;
mod no_stolen_lock;
mod pins;
mod read_only;
mod responsive;
mod role;
mod single_flight;
mod whole_walk;
