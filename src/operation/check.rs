//! Whether a cache is as it must be: for tests, and for whoever suspects a disk.

use std::path::Path;

use crate::cache::check::{Checked, Thoroughness, check};
use crate::cache::{Cache, Options};
use crate::config::locking::Locking;
use crate::error::Result;

/// Looks at the cache in `directory`, after a reap if `reap` says what its locks are: the times of leases
/// decide what is dead. Changes nothing otherwise.
pub fn examine(directory: &Path, how: Thoroughness, reap: Option<Locking>) -> Result<Checked> {
    if let Some(locking) = reap {
        drop(Cache::open(directory, Options { locking, ..Options::default() })?);
    }
    check(directory, how)
}
