//! Why an archive is not shown: errors that name the entry.
//!
//! An error that has to travel through `std::io::Read` lies in an `io::Error` and is found in it again.

use std::io;

use crate::error::{Error, Kind};

/// What is tried, where no entry is known.
pub(super) const ARCHIVE: &str = "read the archive";

const REFUSED: &str = "srcfs shows no archive that programs read in different ways or that could harm them";

/// The entry would do harm, or no two programs agree on it.
pub(super) fn refused(name: &[u8], why: impl Into<String>) -> Error {
    Error::new(Kind::Unsupported, format!("read {} in the archive", shown(name)), why).hint(REFUSED)
}

/// The archive as a whole is not what it should be.
pub(super) fn refused_archive(why: impl Into<String>) -> Error {
    Error::new(Kind::Unsupported, ARCHIVE, why).hint(REFUSED)
}

/// What is there is damaged, or something is missing.
pub(super) fn corrupt(name: &[u8], why: impl Into<String>) -> Error {
    Error::new(Kind::Corrupt, format!("read {} in the archive", shown(name)), why)
}

/// The archive itself is damaged, or something is missing.
pub(super) fn corrupt_archive(why: impl Into<String>) -> Error {
    Error::new(Kind::Corrupt, ARCHIVE, why)
}

/// A limit was passed.
pub(super) fn too_large(name: &[u8], why: impl Into<String>) -> Error {
    Error::new(Kind::TooLarge, format!("read {} in the archive", shown(name)), why)
}

/// The same error, with the entry in which it happened, where it speaks of the archive only.
pub(super) fn within(name: &[u8], error: Error) -> Error {
    match error.what() == ARCHIVE {
        true => error.during(format!("read {}", shown(name))),
        false => error,
    }
}

/// What reading a stream failed with.
pub(super) fn of_stream(error: &io::Error) -> Error {
    if let Some(carried) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        return carried.clone();
    }
    match error.raw_os_error() {
        Some(_) => Error::io("read", "the archive", error),
        None => corrupt_archive(format!("its compressed data is damaged or cut short: {error}")),
    }
}

/// A name in quotes. A hostile one may have megabytes; its end says most.
pub(super) fn shown(name: &[u8]) -> String {
    const LONGEST: usize = 300;
    let tail = name.len().saturating_sub(LONGEST);
    let dots = if tail > 0 { "..." } else { "" };
    format!("{dots}{:?}", String::from_utf8_lossy(&name[tail..]))
}
