//! What the end-to-end tests share. Each of them says `mod harness;`.
//!
//! cargo takes this file for a test of its own too, so the paths are said: they hold for both.
#![allow(dead_code, reason = "no test uses all of it")]
#![allow(clippy::disallowed_methods, reason = "tests start programs of their own")]

#[path = "harness/git_server.rs"]
pub mod git_server;
#[path = "harness/git_source.rs"]
pub mod git_source;
#[path = "harness/repository.rs"]
pub mod repository;
