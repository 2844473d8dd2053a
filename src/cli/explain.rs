//! `srcfs explain`.

use super::exit::Failed;
use super::invocation::Invocation;
use super::table::seconds;
use crate::operation::explain::{self, Explanation};

/// A lockfile may have hundreds of entries of a kind that is not shown.
const MOST_NOTES: usize = 20;

const AFTER_HELP: &str = "\
Examples:
  srcfs explain ~/srcfs/git/github.com/owner/repository@v9
  srcfs explain docs";

/// Say why something failed, and what to do
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// A path in the mount, or a KEY
    #[arg(value_name = "PATH_OR_KEY")]
    about: String,
}

/// Explains.
pub fn run(arguments: &Arguments, invocation: &Invocation) -> Result<(), Failed> {
    let explanation = explain::explain(&invocation.context()?, &arguments.about)?;
    invocation.output.report(&explanation, || text(&explanation))
}

fn text(explanation: &Explanation) -> String {
    let mut text = format!("{}\n", explanation.about);
    if let Some(failure) = &explanation.failure {
        let when = explanation.age.map(|age| format!(" ({} ago)", seconds(age))).unwrap_or_default();
        text.push_str(&format!("  failed{when}: {}\n  because {}\n", failure.what, failure.why));
        if let Some(hint) = &failure.hint {
            text.push_str(&format!("  what to do: {hint}\n"));
        }
    }
    if let Some(state) = &explanation.state {
        text.push_str(&format!("  {state}\n"));
    }
    if let Some(revision) = &explanation.revision {
        text.push_str(&format!("  cached: {revision}\n"));
    }
    for note in explanation.notes.iter().take(MOST_NOTES) {
        text.push_str(&format!("  note: {note}\n"));
    }
    let more = explanation.notes.len().saturating_sub(MOST_NOTES);
    if more > 0 {
        text.push_str(&format!("  and {more} more notes: see them with --json\n"));
    }
    text
}
