//! What an archive is, by its first bytes, and the bytes within a compressed one.
//!
//! Clients go by the name of a file or by these bytes; the name is a server's word, and where both are
//! looked at they must agree anyway. Not read are bzip2 and xz, which the registries have not accepted
//! for years.

use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;

use super::allowance::{Allowance, Measured};
use super::failure;
use crate::error::{Error, Kind, Result};

/// A format of archives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Gzip,
    Zip,
    Tar,
    Bzip2,
    Xz,
    Other,
}

/// The format of what comes next; nothing of it is consumed.
pub(super) fn format_of(archive: &mut impl BufRead) -> Result<Format> {
    /// Where a tar header says so. A header of the oldest sort does not; nobody publishes those.
    const USTAR: std::ops::Range<usize> = 257..262;
    let start = archive.fill_buf().map_err(|error| failure::of_stream(&error))?;
    if start.is_empty() {
        return Err(failure::corrupt_archive("it is empty"));
    }
    let begins = |magic: &[u8]| start.starts_with(magic);
    Ok(match () {
        () if begins(b"\x1f\x8b") => Format::Gzip,
        () if begins(b"PK\x03\x04") || begins(b"PK\x05\x06") => Format::Zip,
        () if begins(b"BZh") => Format::Bzip2,
        () if begins(b"\xfd7zXZ\0") => Format::Xz,
        () if start.get(USTAR) == Some(b"ustar") => Format::Tar,
        () => Format::Other,
    })
}

/// That nothing reads this format.
pub(super) fn unknown(format: Format) -> Error {
    let why = match format {
        Format::Bzip2 => "it is compressed with bzip2, which srcfs does not read",
        Format::Xz => "it is compressed with xz, which srcfs does not read",
        _ => "it is neither gzip, zip nor tar",
    };
    Error::new(Kind::Unsupported, failure::ARCHIVE, why)
}

/// The tar within an archive.
pub(super) fn stream<'b, 'a, R: BufRead + 'b>(
    archive: R,
    format: Format,
    all_members: bool,
    allowance: &'b mut Allowance<'a>,
) -> Measured<'b, 'a, Box<dyn Read + 'b>> {
    let inner: Box<dyn Read + 'b> = match format {
        Format::Gzip => Box::new(Members { current: Some(GzDecoder::new(archive)), all_members }),
        _ => Box::new(archive),
    };
    Measured { inner, allowance }
}

/// The members of a gzip file, one after the other.
///
/// What follows the last one is ignored, as node and cargo do and as Python does with the tar in it:
/// some servers and tools pad.
struct Members<R> {
    current: Option<GzDecoder<R>>,
    all_members: bool,
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.current {
            let length = member.read(buffer)?;
            if length > 0 || buffer.is_empty() {
                return Ok(length);
            }
            let rest = self.current.take().map(GzDecoder::into_inner);
            if let Some(mut rest) = rest.filter(|_| self.all_members)
                && rest.fill_buf()?.first() == Some(&0x1f)
            {
                self.current = Some(GzDecoder::new(rest));
            }
        }
        Ok(0)
    }
}
