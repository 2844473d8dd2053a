//! `srcfs update`.

use super::exit::Failed;
use super::invocation::{Invocation, targets};
use super::progress::Bars;
use super::table::{bytes, hidden, reader, short, unanswered};
use crate::operation::update::{self, UpdateReport, Updated};

const AFTER_HELP: &str = "\
New processes see what moved at once, running ones keep what they saw.

Examples:
  srcfs update              # everything cached that can move
  srcfs update docs --wait";

/// Ask whether branches and tags moved, and fetch what did
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// What to update [default: everything cached that can move]
    #[arg(value_name = "KEY")]
    keys: Vec<String>,
    /// Wait until no process sees an old snapshot
    #[arg(long)]
    wait: bool,
}

/// Updates.
pub fn run(arguments: &Arguments, invocation: &Invocation) -> Result<(), Failed> {
    let context = invocation.context()?;
    let targets = match arguments.keys.as_slice() {
        [] => update::moving(&context)?,
        keys => targets(&context, keys)?,
    };
    let mut bars = Bars::new(&invocation.output);
    let mut report = update::update(&context, &targets, &mut |key| bars.next(key))?;
    bars.finish();
    if arguments.wait {
        update::wait(&context, &mut report)?;
    }
    invocation.output.report(&report, || text(&report))?;
    Failed::unless(report.complete())
}

fn text(report: &UpdateReport) -> String {
    if report.references.is_empty() {
        return "nothing is cached that can move\n".to_owned();
    }
    let mut text: String = report.references.iter().map(lines).collect();
    text.push_str(&unanswered(&report.unanswered));
    if report.references.iter().any(|updated| updated.moved) {
        text.push_str(&hidden(report.hidden));
    }
    text
}

fn lines(updated: &Updated) -> String {
    let shown = |revision: &Option<String>| revision.as_deref().map(short).unwrap_or_default();
    let (before, now) = (shown(&updated.before), shown(&updated.revision));
    if let Some(error) = &updated.error {
        let kept = match error.kind.as_str() {
            _ if now.is_empty() => String::new(),
            // Asking again brings no other answer, so this is how it stays.
            "not_found" | "not_found_or_private" => {
                format!(", keeps {now} until `srcfs clear {}`", updated.key)
            }
            _ => format!(", keeps {now}"),
        };
        return format!("{}  failed{kept}\n  {error}\n", updated.key);
    }
    let mut text = match (updated.moved, before.is_empty()) {
        (true, _) => format!("{}  {before} -> {now}  {}\n", updated.key, bytes(updated.transferred)),
        (false, true) => format!("{}  {now}  {}\n", updated.key, bytes(updated.transferred)),
        (false, false) => format!("{}  {now}  unchanged\n", updated.key),
    };
    for old in &updated.readers {
        text.push_str(&format!("  still sees {before}: {}\n", reader(old)));
    }
    text
}
