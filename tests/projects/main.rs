//! Projects: what their lockfiles pin, shown below `projects/`; with real mounts and processes, and registries
//! on the loopback.
#![allow(clippy::disallowed_methods, reason = "tests start programs of their own")]

#[path = "../harness.rs"]
mod harness;
#[path = "../harness/mounted2.rs"]
mod mounted2;
#[path = "../harness/packages.rs"]
mod place;
#[path = "../harness/program.rs"]
mod program;
#[path = "../harness/registry.rs"]
mod registry;

mod changes;
mod hanging;
mod lockfiles;
mod registries;
mod verbs;
mod views;
