//! `srcfs add`.

use std::path::PathBuf;

use super::exit::Failed;
use super::invocation::Invocation;
use super::progress::Bars;
use super::table::{short, unanswered};
use crate::config::NewOrigin;
use crate::operation::add::{self, Addition};

const AFTER_HELP: &str = "\
Checks that the repository or directory, the reference and the subpaths exist.
The configuration keeps its comments and its order.

Example:
  srcfs add docs https://example.org/team/docs.git --ref main --subpath guide \\
      --note 'start at guide/intro.md'
  srcfs add work --path ~/work --ignore '*.log'      # is local/work below the mount";

/// Give a repository or a directory a name of its own below the mount
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// The name: letters, digits and . - _, with / for directories
    name: String,
    /// The repository
    #[arg(required_unless_present = "path", conflicts_with = "path")]
    url: Option<String>,
    /// A directory of this machine instead, shown as local/NAME: what git lists of it, or all but what is built
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
    /// Leave out what matches this, written as in a .gitignore file; may be repeated
    #[arg(long = "ignore", value_name = "GLOB", requires = "path", conflicts_with = "url")]
    ignore: Vec<String>,
    /// The branch, tag or full commit id to show, if not the remote's HEAD
    #[arg(long = "ref", value_name = "R")]
    reference: Option<String>,
    /// Show only this directory or file; may be repeated
    #[arg(long = "subpath", value_name = "P")]
    subpaths: Vec<String>,
    /// What its users should know
    #[arg(long, value_name = "T")]
    note: Option<String>,
    /// Do not look whether it exists
    #[arg(long)]
    no_check: bool,
}

/// Adds.
pub fn run(arguments: &Arguments, invocation: &Invocation) -> Result<(), Failed> {
    let context = invocation.context()?;
    let subpaths: Vec<&str> = arguments.subpaths.iter().map(String::as_str).collect();
    let ignore: Vec<&str> = arguments.ignore.iter().map(String::as_str).collect();
    let path = arguments.path.as_deref().map(add::real_directory).transpose()?;
    let origin = match (&path, &arguments.url) {
        (Some(path), _) => NewOrigin::Path { path, ignore: &ignore },
        (None, url) => NewOrigin::Git(url.as_deref().unwrap_or_default()),
    };
    let addition = Addition {
        name: &arguments.name,
        origin,
        reference: arguments.reference.as_deref(),
        subpaths: &subpaths,
        note: arguments.note.as_deref(),
    };
    let mut bars = Bars::new(&invocation.output);
    let file = invocation.config_file()?;
    let report = add::add(&context, &file, &addition, !arguments.no_check, &mut |key| bars.next(key))?;
    bars.finish();
    invocation.output.confirm(&report, || {
        let at = report.revision.as_deref().map(|revision| format!(" at {}", short(revision)));
        format!("added {} = {}{}\n", report.name, report.url, at.unwrap_or_default())
            + &unanswered(&report.unanswered)
    })
}
