//! Directories of this machine, shown as `local/<name>`: with real directories, the user's git, and
//! processes of `srcfs`; and with a mount where it takes one.
#![allow(clippy::disallowed_methods, reason = "tests start programs of their own")]

#[path = "../harness.rs"]
mod harness;
#[path = "../harness/mounted2.rs"]
mod mounted2;
#[path = "../harness/program.rs"]
mod program;

mod changes;
mod hostile;
mod listing;
mod mounts;
mod place;
mod repositories;
mod unreadable;
mod verbs;
