//! `srcfs get`.

use super::exit::Failed;
use super::invocation::{Invocation, targets};
use super::progress::Bars;
use super::table::{bytes, count, unanswered};
use crate::operation::get::{self, Got};

const AFTER_HELP: &str = "\
Prints the key, its revision, files, bytes and seconds.

Example:
  srcfs get git/github.com/owner/repository@v1.2.0 docs";

/// Fetch into the cache, without a mount
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// What to fetch
    #[arg(value_name = "KEY", required = true)]
    keys: Vec<String>,
}

/// Materializes.
pub fn run(arguments: &Arguments, invocation: &Invocation) -> Result<(), Failed> {
    let context = invocation.context()?;
    let targets = targets(&context, &arguments.keys)?;
    let mut bars = Bars::new(&invocation.output);
    let report = get::get(&context, &targets, &mut |key| bars.next(key))?;
    bars.finish();
    invocation.output.report(&report, || {
        let lines: String = report.trees.iter().map(line).collect();
        lines + &unanswered(&report.unanswered)
    })?;
    Failed::unless(report.complete())
}

fn line(got: &Got) -> String {
    let mut text = match &got.tree {
        Some(tree) => {
            let how = if tree.fetched { format!("{:.2} s", got.seconds) } else { "cached".to_owned() };
            let files = count(tree.files, "file");
            format!("{}  {}  {files}  {}  {how}\n", got.key, tree.revision, bytes(tree.bytes))
        }
        None => format!("{}  failed\n", got.key),
    };
    if let Some(error) = &got.error {
        text.push_str(&format!("  {error}\n"));
    }
    text
}
