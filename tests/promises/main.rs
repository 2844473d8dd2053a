//! The promises, each through a real mount and the real program.
#![allow(clippy::disallowed_methods, reason = "tests start programs and read the environment")]

#[path = "../harness.rs"]
mod harness;
#[path = "../harness/mounted2.rs"]
mod mounted2;
#[path = "../harness/program.rs"]
mod program;

mod degrade;
mod honest_errors;
mod hostile_names;
mod hostile_trees;
mod hostile_urls;
mod integrity;
mod no_execution;
mod offline;
mod power_loss;
mod private;
mod references;
mod secrets;
mod submodules;
mod subpaths;
mod verbs;
