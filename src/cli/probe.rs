//! `srcfs __probe`: the child by which other verbs look into a mount (see `operation::probe`).

use std::path::PathBuf;

use super::exit::Failed;
use crate::operation::probe::{Ask, answer};

/// One call on one path; ends with its error number
#[derive(clap::Args, Debug)]
pub struct Arguments {
    path: PathBuf,
    /// Read the file instead of looking it up
    #[arg(long)]
    read: bool,
}

/// Looks.
pub fn run(arguments: &Arguments) -> Result<(), Failed> {
    let ask = if arguments.read { Ask::Read } else { Ask::LookUp };
    match answer(ask, &arguments.path) {
        0 => Ok(()),
        code => Err(Failed { error: None, code }),
    }
}
