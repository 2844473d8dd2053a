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
    /// Tell what it is
    #[arg(long, conflicts_with = "read")]
    describe: bool,
    /// Count its lines too
    #[arg(long, requires = "describe")]
    lines: bool,
    /// Tell where its links lead
    #[arg(long, conflicts_with_all = ["read", "describe"])]
    follow: bool,
}

/// Looks.
pub fn run(arguments: &Arguments) -> Result<(), Failed> {
    let ask = match (arguments.read, arguments.describe, arguments.lines) {
        _ if arguments.follow => Ask::Follow,
        (true, ..) => Ask::Read,
        (false, true, true) => Ask::DescribeLines,
        (false, true, false) => Ask::Describe,
        (false, false, _) => Ask::LookUp,
    };
    match answer(ask, &arguments.path) {
        0 => Ok(()),
        code => Err(Failed { error: None, code }),
    }
}
