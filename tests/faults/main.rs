//! Faults, and what must be seen: every step that can be interrupted, interrupted in every way; and the
//! table of faults, row by row (`docs/faults.md` says which test shows which row).
//!
//! | file | what it shows |
//! |---|---|
//! | `matrix`, `operations`, `outcome` | killed, failed, stopped or delayed at every point of every operation |
//! | `planted` | the checker sees each sort of flaw, so that the matrix can fail |
//! | `daemons` | the same points in a daemon that goes on |
//! | the others | one row of the table each |
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

mod commit_times;
mod copying;
mod daemons;
mod damage;
mod dead_directory;
mod locking;
mod machine;
mod matrix;
mod operations;
mod outcome;
mod planted;
mod races;
mod role;
mod stage;
mod taken;
mod walks;
