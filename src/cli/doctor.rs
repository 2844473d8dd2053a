//! `srcfs doctor`.

use super::exit::Failed;
use super::invocation::Invocation;
use crate::operation::doctor::{self, Check};

const AFTER_HELP: &str = "\
Ends with 1 if something is missing that is needed.

Example:
  srcfs doctor";

/// Check whether this machine has what srcfs needs
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {}

/// Examines.
pub fn run(_: &Arguments, invocation: &Invocation) -> Result<(), Failed> {
    let report =
        doctor::examine(&invocation.environment, &invocation.config(), &invocation.cache_directory());
    invocation.output.report(&report, || report.checks.iter().map(line).collect())?;
    Failed::unless(report.healthy())
}

fn line(check: &Check) -> String {
    let sign = match (check.ok, check.needed) {
        (true, _) => "ok",
        (false, true) => "!!",
        (false, false) => "--",
    };
    let mut text = format!("{sign} {}: {}\n", check.name, check.found);
    if let Some(advice) = check.advice.as_deref().filter(|_| !check.ok) {
        text.push_str(&format!("   {advice}\n"));
    }
    text
}
