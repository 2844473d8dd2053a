//! `srcfs release`.

use super::exit::Failed;
use super::invocation::{Invocation, targets};
use crate::operation::keep::{self, Released};

const AFTER_HELP: &str = "\
It stays cached until room is needed.

Example:
  srcfs release docs";

/// Let something go that is kept, when room is needed
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// What to release
    #[arg(value_name = "KEY", required = true)]
    keys: Vec<String>,
}

/// Releases.
pub fn run(arguments: &Arguments, invocation: &Invocation) -> Result<(), Failed> {
    let context = invocation.context()?;
    let targets = targets(&context, &arguments.keys)?;
    let report = keep::release(&context, &targets)?;
    invocation.output.report(&report, || report.references.iter().map(line).collect())?;
    Failed::unless(report.complete())
}

fn line(one: &Released) -> String {
    match (&one.error, one.was_kept) {
        (Some(error), _) => format!("{}  failed\n  {error}\n", one.key),
        (None, true) => format!("{}  released\n", one.key),
        (None, false) => format!("{}  was not kept\n", one.key),
    }
}
