//! `srcfs remove`.

use super::exit::Failed;
use super::invocation::Invocation;
use super::table::unanswered;
use crate::operation::remove;

const AFTER_HELP: &str = "\
Its mirror is cleared too, unless another name uses it, something of it is kept, or another version
of the package is cached; `srcfs clear` clears all. Of a project only the name goes.

Examples:
  srcfs remove docs --keep-cache
  srcfs remove projects/web";

/// Take a name out of the configuration
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// The name
    name: String,
    /// Leave its mirror in the cache
    #[arg(long)]
    keep_cache: bool,
}

/// Removes.
pub fn run(arguments: &Arguments, invocation: &Invocation) -> Result<(), Failed> {
    let context = invocation.context()?;
    let file = invocation.config_file()?;
    let report = remove::remove(&context, &file, &arguments.name, arguments.keep_cache)?;
    invocation.output.confirm(&report, || {
        let mut text = format!("removed {}\n", report.name);
        if !report.kept_for.is_empty() {
            text.push_str(&format!("  its mirror is kept for {}\n", report.kept_for.join(", ")));
        }
        if let Some(cleared) = &report.cleared {
            text.push_str(&super::clear::text(cleared, true));
        }
        text + &unanswered(&report.unanswered)
    })?;
    Failed::unless(report.cleared.as_ref().is_none_or(|cleared| cleared.complete()))
}
