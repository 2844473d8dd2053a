//! `srcfs __check`: whether the cache is as it must be (see `cache::check`). For the tests.

use super::exit::Failed;
use super::invocation::Invocation;
use super::table::count;
use crate::cache::check::{Checked, Thoroughness};
use crate::operation::check::examine;

/// Look at everything in the cache and say what is not as it must be
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// Nothing else runs: then nothing may be left of anything
    #[arg(long)]
    settled: bool,
    /// Hash every file
    #[arg(long)]
    deep: bool,
    /// Remove first what dead processes left
    #[arg(long)]
    reap: bool,
}

/// Checks.
pub fn run(arguments: &Arguments, invocation: &Invocation) -> Result<(), Failed> {
    let how = Thoroughness { settled: arguments.settled, deep: arguments.deep };
    let reap = arguments.reap.then(|| invocation.config()).transpose()?;
    let checked = examine(&invocation.cache_directory()?, how, reap.map(|config| config.locking))?;
    invocation.output.report(&checked, || text(&checked))?;
    Failed::unless(checked.violations.is_empty())
}

fn text(checked: &Checked) -> String {
    let lines = checked.violations.iter();
    let lines: String =
        lines.map(|one| format!("{:?} {}: {}\n", one.flaw, one.path.display(), one.why)).collect();
    let sums = [
        count(checked.mirrors, "mirror"),
        count(checked.snapshots, "snapshot"),
        format!("{} hashed", count(checked.objects, "object")),
        count(checked.leftovers, "leftover"),
        count(checked.violations.len() as u64, "violation"),
    ];
    lines + &sums.join(", ") + "\n"
}
