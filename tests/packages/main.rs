//! Packages of npm, crates and pypi: real mounts and processes, and registries on the loopback that hand out
//! real archives, recorded or packed for the test, and go wrong on request.
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

mod archives;
mod asked;
mod clients;
mod crashes;
mod faults;
mod indexes;
mod mirrors;
mod named;
mod names;
mod paths;
mod processes;
mod references;
mod secrets;
