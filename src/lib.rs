//! srcfs: one mounted directory in which the source of everything you depend on is already there.
//!
//! The layers, each of which calls only downwards:
//!
//! | module | room |
//! |---|---|
//! | [`cli`] | verbs: parse, call, print |
//! | [`operation`], [`daemon`] | what the verbs do, as typed reports; the process that serves a mount |
//! | [`view`] | the name space of the mount: paths to keys to views; implements `srcfs_mount::Tree` |
//! | [`cache`] | layout, locks, staging, mirrors, snapshots, pins, clear, reaping |
//! | [`store`] | git objects on disk: the table of a snapshot's nodes, and its blobs |
//! | [`source`] | one module a kind: what a reference is, and how its objects come |
//! | [`project`] | which exact versions a project's lockfiles pin |
//! | [`config`], [`key`], [`error`], [`redact`], [`mod@fault`] | the words that all of them use |
//! | `npmrc` | the format of npm's configuration, which a user and a project have |
//! | `sync` | locks and maps of the cache, which a test may schedule |

pub mod cache;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod error;
pub mod fault;
pub mod key;
mod npmrc;
pub mod operation;
pub mod project;
pub mod redact;
pub mod source;
pub mod store;
mod sync;
pub mod view;
