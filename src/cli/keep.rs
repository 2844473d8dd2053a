//! `srcfs keep`.

use super::exit::Failed;
use super::invocation::{Invocation, targets};
use super::progress::Bars;
use super::table::short;
use crate::operation::keep::{self, KeptReport};

const AFTER_HELP: &str = "\
What is not cached is fetched. It stays kept until `srcfs release`, also after a restart. After a
`srcfs clear` it is fetched again at its next use, and kept then. If it is a branch, its present
revision is kept.

Example:
  srcfs keep git/github.com/owner/repository@v1.2.0 docs";

/// Keep something from being dropped to make room
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// What to keep
    #[arg(value_name = "KEY", required = true)]
    keys: Vec<String>,
}

/// Keeps.
pub fn run(arguments: &Arguments, invocation: &Invocation) -> Result<(), Failed> {
    let context = invocation.context()?;
    let targets = targets(&context, &arguments.keys)?;
    let mut bars = Bars::new(&invocation.output);
    let report = keep::keep(&context, &targets, &mut |key| bars.next(key))?;
    bars.finish();
    invocation.output.report(&report, || report.references.iter().map(line).collect())?;
    Failed::unless(report.complete())
}

fn line(one: &KeptReport) -> String {
    let KeptReport { key, kept, was_kept, revision, error, .. } = one;
    let mut text = match (kept, was_kept) {
        (false, _) => format!("{key}  failed\n"),
        (true, before) => {
            let already = if *before { "kept already" } else { "kept" };
            let revision = revision.as_deref().map(short).unwrap_or_else(|| "not cached".to_owned());
            format!("{key}  {already}, {revision}\n")
        }
    };
    if let Some(error) = error {
        text.push_str(&format!("  {error}\n"));
    }
    text
}
