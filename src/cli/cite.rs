//! `srcfs cite`.

use super::exit::Failed;
use super::invocation::Invocation;
use super::progress::Bars;
use crate::operation::cite::{self, CiteReport};

const AFTER_HELP: &str = "\
Prints a permalink with the commit and the lines, where the host has such pages; else source,
revision, path and lines. Of a directory of this machine: its path and the id of its tree.

A path in a mount is cited by the revision that a process started now sees there, and is fetched if
it has to be, as for any reader. It may be written from the working directory on. A KEY with a path
inside it needs no mount: it is cited by the revision that is cached, and fetched as by `srcfs get`
if there is none. Neither asks whether a branch has moved on.

The citation of a package, in quotes, is read back: its version, path, lines and hash are looked at.

Lines are counted from 1 and must exist. A file whose own name ends in :12 is that file. What cannot
be cited is told on stderr, and does not stop the others (exit code 1).

Examples:
  srcfs cite ~/srcfs/git/github.com/owner/repository/src/lib.rs:10-20
  srcfs cite git/github.com/owner/repository@v1.2.0/src/lib.rs:10 docs/guide
  srcfs cite --json src/lib.rs:10 | jq -r '.citations[].revision'";

/// Print a permalink of a file, a directory or lines
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// A path in a mount, or a KEY with a path inside it
    #[arg(value_name = "PATH[:LINE[-LINE]]", required = true)]
    paths: Vec<String>,
}

/// Cites.
pub fn run(arguments: &Arguments, invocation: &Invocation) -> Result<(), Failed> {
    let context = invocation.context()?;
    let mut bars = Bars::new(&invocation.output);
    let report = cite::cite(&context, &arguments.paths, &mut |key| bars.next(key))?;
    bars.finish();
    invocation.output.report(&report, || text(&report))?;
    if !invocation.output.json {
        let errors = report.citations.iter().filter_map(|item| item.error.as_ref());
        errors.for_each(|error| invocation.output.failure(error));
    }
    Failed::unless(report.complete())
}

fn text(report: &CiteReport) -> String {
    let cited = report.citations.iter().filter_map(|item| item.cited.as_ref());
    cited.map(|cited| format!("{}\n", cited.citation)).collect()
}
