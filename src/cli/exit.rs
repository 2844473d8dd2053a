//! Exit codes.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done |
//! | 1 | it failed, or a part of it did |
//! | 2 | usage: an option or a key that cannot be read |
//! | 3 | the configuration is wrong |
//! | 129, 130, 143 | `get` was asked to end by SIGHUP, SIGINT or SIGTERM |
//! | 10-23 | of mount and unmount: each cause has its own code (`srcfs mount --help`, `srcfs unmount --help`) |

use crate::daemon::{self, unmounting};
use crate::error::{Error, Kind};

/// It failed, or a part of it did.
pub const FAILED: u8 = 1;
/// An option or a key that cannot be read.
pub const USAGE: u8 = 2;
/// The configuration is wrong.
pub const CONFIGURATION: u8 = 3;

/// Why a verb ends with another code than 0.
#[derive(Debug)]
pub struct Failed {
    /// What is still to be told; none if the report has told it already.
    pub error: Option<Error>,
    /// The exit code.
    pub code: u8,
}

impl Failed {
    /// A failure with a code of its own.
    pub fn with_code(error: Error, code: u8) -> Failed {
        Failed { error: Some(error), code }
    }

    /// Failed if not `complete`; the report says what.
    pub fn unless(complete: bool) -> Result<(), Failed> {
        if complete { Ok(()) } else { Err(Failed { error: None, code: FAILED }) }
    }
}

impl From<daemon::Failed> for Failed {
    fn from(failed: daemon::Failed) -> Self {
        match failed {
            daemon::Failed::Other(error) => error.into(),
            daemon::Failed::Mount(error) => Failed::with_code(
                Error::new(Kind::Unsupported, error.what(), error.why()).hint(error.hint()),
                error.exit_code(),
            ),
        }
    }
}

impl From<unmounting::Failed> for Failed {
    fn from(failed: unmounting::Failed) -> Self {
        match failed {
            unmounting::Failed::Other(error) => error.into(),
            unmounting::Failed::Unmount(error) => Failed::with_code(
                Error::new(Kind::Unsupported, error.what(), error.why()).hint(error.hint()),
                error.exit_code(),
            ),
        }
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        let code = match error.kind() {
            Kind::Invalid => USAGE,
            Kind::Config => CONFIGURATION,
            _ => FAILED,
        };
        Failed { error: Some(error), code }
    }
}
