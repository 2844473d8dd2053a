//! What srcfs promises, with real mounts, processes and git servers: one module a promise.
#![allow(clippy::disallowed_methods, reason = "tests start programs of their own")]

#[path = "../harness.rs"]
mod harness;
#[path = "../harness/mounted.rs"]
mod mounted;
#[path = "../harness/mounted2.rs"]
mod mounted2;
#[path = "../harness/program.rs"]
mod program;
#[path = "../harness/reader.rs"]
mod reader;
#[path = "../harness/registry.rs"]
mod registry;
#[path = "../harness/setting.rs"]
mod setting;

mod atomic;
mod citations;
mod contained;
mod degrade;
mod guide;
mod honest_death;
mod honest_errors;
mod hostile_names;
mod hostile_trees;
mod hostile_urls;
mod immutable;
mod integrity;
mod interruptible;
mod leases;
mod leftovers;
mod listing;
mod making_room;
mod mounting;
mod no_dead_lock;
mod no_execution;
mod no_stolen_lock;
mod offline;
mod pins;
mod power_loss;
mod private;
mod read_only;
mod references;
mod resources;
mod responsive;
mod role;
mod secrets;
mod single_flight;
mod submodules;
mod subpaths;
mod verbs;
mod walkers;
mod whole_walk;
