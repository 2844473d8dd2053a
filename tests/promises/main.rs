//! The promises, each through a real mount and the real program.
#![allow(clippy::disallowed_methods, reason = "tests start programs and read the environment")]

#[path = "../harness.rs"]
mod harness;
#[path = "../harness/mounted2.rs"]
mod mounted2;
#[path = "../harness/program.rs"]
mod program;

mod honest_errors;
mod hostile_names;
mod integrity;
mod offline;
