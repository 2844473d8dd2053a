//! The loopback registry of the tests is one: its shapes are right, the registries' own clients install
//! from it, and it misbehaves as it is told.
#![allow(clippy::disallowed_methods, reason = "tests start programs of their own")]

#[path = "../harness/registry.rs"]
mod registry;

mod asking;
mod clients;
mod crates;
mod faults;
mod npm;
mod pypi;
