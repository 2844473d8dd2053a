//! `srcfs clear`.

use super::exit::Failed;
use super::invocation::{Invocation, targets};
use super::table::{bytes, hidden, reader, unanswered};
use crate::operation::clear::{self, ClearReport, Cleared};

const AFTER_HELP: &str = "\
What a running process has begun to read stays for it, and goes when nobody uses it any more.
The next look into the mount fetches afresh.

Examples:
  srcfs clear docs
  srcfs clear --all --wait";

/// How many of what went with it are named.
const SHOWN: usize = 5;

/// Forget what is cached
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// What to forget: the whole mirror, with all its references
    #[arg(value_name = "KEY", required_unless_present = "all", conflicts_with = "all")]
    keys: Vec<String>,
    /// Everything
    #[arg(long)]
    all: bool,
    /// Wait until nobody holds it any more
    #[arg(long)]
    wait: bool,
}

/// Clears.
pub fn run(arguments: &Arguments, invocation: &Invocation) -> Result<(), Failed> {
    let context = invocation.context()?;
    let targets = match arguments.all {
        true => clear::everything(&context)?,
        false => targets(&context, &arguments.keys)?,
    };
    let mut report = clear::clear(&context, &targets)?;
    let waited = if arguments.wait { clear::wait(&context, &mut report) } else { Ok(()) };
    invocation.output.report(&report, || text(&report, !arguments.all))?;
    waited?;
    Failed::unless(report.complete())
}

/// The report in words; `others` if what went with what was named is to be told.
pub(super) fn text(report: &ClearReport, others: bool) -> String {
    if report.mirrors.is_empty() {
        return "nothing is cached\n".to_owned();
    }
    let mut text: String = report.mirrors.iter().map(|cleared| lines(cleared, others)).collect();
    text.push_str(&unanswered(&report.unanswered));
    if report.mirrors.iter().any(|cleared| cleared.being_freed + cleared.held > 0) {
        text.push_str(&hidden(report.hidden));
    }
    text
}

fn lines(cleared: &Cleared, others: bool) -> String {
    let keys = cleared.keys.join(", ");
    if let Some(error) = &cleared.error {
        return format!("{keys}  failed\n  {error}\n");
    }
    if !cleared.was_cached && cleared.freed + cleared.being_freed + cleared.held == 0 {
        return format!("{keys}  was not cached\n");
    }
    let mut text = format!("{keys}  freed {}", bytes(cleared.freed));
    if cleared.being_freed > 0 {
        text.push_str(&format!(", being freed {}", bytes(cleared.being_freed)));
    }
    if cleared.held > 0 {
        text.push_str(&format!(", held {}", bytes(cleared.held)));
    }
    text.push('\n');
    if others && !cleared.others.is_empty() {
        let (shown, rest) = cleared.others.split_at(cleared.others.len().min(SHOWN));
        let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
        text.push_str(&format!("  with it went {}{more}\n", shown.join(", ")));
    }
    if !cleared.shared.is_empty() {
        text.push_str(&format!("  shared with {}\n", cleared.shared.join(", ")));
    }
    for kept in &cleared.kept {
        text.push_str(&format!("  {kept} stays kept, and is fetched again at its next use\n"));
    }
    for holder in &cleared.readers {
        text.push_str(&format!("  held by {}\n", reader(holder)));
    }
    text
}
