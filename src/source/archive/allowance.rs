//! How much an archive may still become: against bombs, and for whoever no longer waits.

use std::io::{self, Read};

use super::{Limits, failure};
use crate::error::{Error, Kind, Result};
use crate::source::Progress;

/// The bytes that may still be unpacked. Headers and what is skipped count, because they cost the
/// same time.
pub(super) struct Allowance<'a> {
    most: u64,
    used: u64,
    archive: u64,
    progress: &'a Progress,
}

impl<'a> Allowance<'a> {
    /// For an archive of `size` bytes.
    pub(super) fn new(limits: &Limits, size: u64, progress: &'a Progress) -> Self {
        let most = limits.unpacked.max(size.saturating_mul(limits.ratio));
        Allowance { most, used: 0, archive: size, progress }
    }

    /// Uses some of it up.
    pub(super) fn take(&mut self, bytes: u64) -> Result<()> {
        self.used = self.used.saturating_add(bytes);
        if self.progress.is_cancelled() {
            return Err(Error::new(Kind::Interrupted, failure::ARCHIVE, "nobody waits for it any more"));
        }
        self.check(0)
    }

    /// Fails if `more` bytes, which an archive says it has, would be too many.
    pub(super) fn check(&self, more: u64) -> Result<()> {
        if self.used.saturating_add(more) <= self.most {
            return Ok(());
        }
        let why = format!("its {} bytes become more than the {} allowed for them", self.archive, self.most);
        Err(Error::new(Kind::TooLarge, failure::ARCHIVE, why))
    }
}

/// A decoder whose bytes are taken from an allowance. Every error it gives holds an [`Error`].
pub(super) struct Measured<'b, 'a, R> {
    pub(super) inner: R,
    pub(super) allowance: &'b mut Allowance<'a>,
}

impl<R: Read> Read for Measured<'_, '_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.inner.read(buffer) {
                Ok(length) => {
                    self.allowance.take(length as u64).map_err(io::Error::other)?;
                    return Ok(length);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(io::Error::other(failure::of_stream(&error))),
            }
        }
    }
}
