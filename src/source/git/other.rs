//! Runs a program that is not git as git is run: in a session of its own, bounded, and gone with this
//! process, with everything it started. It gets `/` as its working directory, no input and no terminal.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::time::{Duration, Instant};

use super::GitOptions;
use super::child::{self, Bounds, Patience};
use super::command::Command;
use crate::error::Result;
use crate::source::Progress;

/// What `program` prints, with `environment` as its whole environment; none if it fails. `what` is what it
/// is for, in errors.
pub(crate) fn run(
    what: &str,
    program: &Path,
    arguments: &[&OsStr],
    environment: Vec<(OsString, OsString)>,
    deadline: Duration,
) -> Result<Option<Vec<u8>>> {
    let command = Command::other(program, arguments, environment);
    let bounds = Bounds {
        deadline: Instant::now() + deadline,
        stall: deadline,
        grace: GitOptions::default().grace,
        patience: Patience::FirstAnswer,
    };
    let ended = child::run(what, &command, bounds, None, &Progress::default())?;
    for message in ended.transcript.messages() {
        log::debug!("{what}: {} says {message}", program.display());
    }
    Ok(ended.succeeded().then_some(ended.output))
}
