//! A read-only, snapshot-pinned FUSE face over a trait of trees.
//!
//! A [`tree::Tree`] says which names there are; some of them are views, and a view opens into an
//! immutable snapshot. This crate shows them so that the kernel does nearly all of the reading, that no
//! reader ever sees a snapshot change or vanish, that one process sees one snapshot under a name, and
//! that no slow name holds up another. It knows nothing of git, packages or caches.
//!
//! | room | |
//! |---|---|
//! | [`tree`] | the traits |
//! | [`mounting`], [`mountinfo`] | mounting and unmounting |
//! | [`Session`], `adapter` | the kernel's protocol |
//! | `filesystem` | requests in, answers out |
//! | `name`, `namespace`, `slot`, `references`, `misses`, `ino` | what names, views and nodes are |
//! | `waiters`, `pool` | requests that wait, and threads that may |
//! | `sync` | locks, atomics and threads, which a test may schedule |
//! | `kernel` | what the daemon tells the kernel |
//! | [`process`], [`holders`] | what /proc tells of who asks and who holds |

mod adapter;
pub mod config;
mod counters;
mod fdinfo;
mod filesystem;
pub mod holders;
mod ino;
mod insisting;
mod kernel;
mod misses;
pub mod mountinfo;
pub mod mounting;
mod name;
mod namespace;
mod pool;
pub mod process;
mod references;
mod session;
mod slot;
mod sync;
pub mod tree;
mod waiters;

pub use config::Config;
pub use filesystem::{Report, ViewReport, WaitingReport};
pub use session::{Monitor, Session};

use std::sync::PoisonError;

use sync::{Mutex, MutexGuard};

/// Locks, also after a panic elsewhere: every table of this crate is consistent between its statements,
/// and one failed request must not fail all later ones.
fn locked<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
