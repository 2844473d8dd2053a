//! `srcfs path`.

use super::exit::Failed;
use super::invocation::{Invocation, targets};
use super::progress::Bars;
use crate::operation::path;

const AFTER_HELP: &str = "\
Examples:
  cd \"$(srcfs path git/github.com/owner/repository@v1.2.0)\"
  srcfs path --pin docs      # never shows another revision";

/// Print where something is in a running mount
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// What
    #[arg(value_name = "KEY")]
    key: String,
    /// Name the exact revision, which never changes
    #[arg(long)]
    pin: bool,
}

/// Prints a path.
pub fn run(arguments: &Arguments, invocation: &Invocation) -> Result<(), Failed> {
    let context = invocation.context()?;
    let targets = targets(&context, std::slice::from_ref(&arguments.key))?;
    let mut bars = Bars::new(&invocation.output);
    for target in &targets {
        let location = path::locate(&context, target, arguments.pin, &mut |key| bars.next(key))?;
        bars.finish();
        invocation.output.report(&location, || format!("{}\n", location.path.display()))?;
    }
    Ok(())
}
