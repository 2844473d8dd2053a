//! `srcfs import`.

use std::path::PathBuf;

use super::exit::Failed;
use super::invocation::Invocation;
use super::progress::Bars;
use super::table::{short, table, unanswered};
use crate::operation::import::{self, ImportReport, Imported, Outcome, Wish};

const AFTER_HELP: &str = "\
Without a FILE it reads what btca would: btca.config.jsonc here or in a parent directory, and
~/.config/btca/btca.config.jsonc (or btca.json). A name of the former wins over the latter's.

Adds what is not there yet, with its branch or version, search paths and note, in one edit of the
configuration, and says of each what became of it. What is configured already stays as it is. Nobody
is asked whether it exists, unless --check is given. Exit code 1: something did not come along.

Examples:
  srcfs import --dry-run
  srcfs import ~/work/btca.config.jsonc --rename @types/node=types/node";

/// Bring over the resources of btca
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// The configuration of btca; of several the first that has a name wins it
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Call NAME of btca OTHER; may be repeated
    #[arg(long = "rename", value_name = "NAME=OTHER", value_parser = rename)]
    renames: Vec<(String, String)>,
    /// Add only what exists; fetches where there are search paths
    #[arg(long)]
    check: bool,
    /// Change nothing, only say what would be done
    #[arg(long)]
    dry_run: bool,
}

fn rename(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, other)| !name.is_empty() && !other.is_empty());
    let (name, other) = pair.ok_or_else(|| "write NAME=OTHER".to_owned())?;
    Ok((name.to_owned(), other.to_owned()))
}

/// Imports.
pub fn run(arguments: &Arguments, invocation: &Invocation) -> Result<(), Failed> {
    let context = invocation.context()?;
    let file = invocation.config_file()?;
    let Arguments { files, renames, check, dry_run } = arguments;
    let wish = Wish { files, renames, check: *check, dry_run: *dry_run };
    let mut bars = Bars::new(&invocation.output);
    let report = import::import(&context, &file, &wish, &mut |key| bars.next(key))?;
    bars.finish();
    let quiet = invocation.output.quiet;
    invocation.output.report(&report, || text(&report, quiet))?;
    Failed::unless(report.complete())
}

fn text(report: &ImportReport, quiet: bool) -> String {
    let troubled = |imported: &&Imported| imported.error.is_some() || !imported.left_out.is_empty();
    let shown = report.resources.iter().filter(|imported| !quiet || troubled(imported));
    let rows: Vec<Vec<String>> = shown.flat_map(|imported| rows(imported, report.dry_run)).collect();
    let mut text = if rows.is_empty() { String::new() } else { table(&["OUTCOME", "NAME", "WHAT"], &rows) };
    if !quiet {
        text.push_str(&sum(report));
    }
    text + &unanswered(&report.unanswered)
}

fn rows(imported: &Imported, dry_run: bool) -> Vec<Vec<String>> {
    let outcome = match imported.outcome {
        Outcome::Added if dry_run => "would add",
        Outcome::Added => "added",
        Outcome::Present => "already there",
        Outcome::Overridden => "overridden",
        Outcome::Conflict => "conflict",
        Outcome::Failed => "could not",
    };
    let what = match (&imported.error, imported.outcome) {
        (Some(error), _) => error.to_string(),
        (None, Outcome::Overridden) => "the file before has that name".to_owned(),
        (None, _) => described(imported),
    };
    let said = imported.remarks.iter().cloned();
    let left_out = imported.left_out.iter().map(|what| format!("left out {what}"));
    let more = said.chain(left_out).map(|line| vec![String::new(), String::new(), line]);
    [vec![outcome.to_owned(), imported.name.clone(), what]].into_iter().chain(more).collect()
}

fn described(imported: &Imported) -> String {
    let mut text = imported.url.clone().unwrap_or_default();
    if !imported.reference.is_empty() {
        text.push_str(&format!(" at {}", imported.reference));
    }
    if let Some(revision) = &imported.revision {
        text.push_str(&format!(" ({})", short(revision)));
    }
    if !imported.subpaths.is_empty() {
        text.push_str(&format!(", only {}", imported.subpaths.join(", ")));
    }
    text
}

fn sum(report: &ImportReport) -> String {
    let from: Vec<String> = report.from.iter().map(|file| file.display().to_string()).collect();
    let count = |outcome| report.count(outcome);
    let added = count(Outcome::Added);
    let to = if report.dry_run { "would be added to" } else { "added to" };
    let mut text = format!("from {}: {added} {to} {}", from.join(" and "), report.file.display());
    for (outcome, words) in [
        (Outcome::Present, "already there"),
        (Outcome::Overridden, "overridden"),
        (Outcome::Conflict, "in conflict"),
        (Outcome::Failed, "not brought over"),
    ] {
        match count(outcome) {
            0 => {}
            number => text.push_str(&format!(", {number} {words}")),
        }
    }
    text.push('\n');
    if added > 0 && !report.checked {
        text.push_str("nobody was asked whether they exist; `srcfs get NAME` does, and so does --check\n");
    }
    text
}
