//! Whether a cache is as it must be: for tests, and for whoever suspects a disk.

use std::path::Path;

use crate::cache::check::{Checked, Thoroughness, check};
use crate::cache::{Cache, Options};
use crate::error::Result;

/// Looks at the cache in `directory`, after a reap if `reap` is set. Changes nothing otherwise.
pub fn examine(directory: &Path, how: Thoroughness, reap: bool) -> Result<Checked> {
    if reap {
        drop(Cache::open(directory, Options::default())?);
    }
    check(directory, how)
}
