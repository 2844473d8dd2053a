//! `srcfs list`.

use super::exit::Failed;
use super::invocation::Invocation;
use super::table::{age, bytes, count, short, table};
use crate::operation::list::{self, ListReport, ProjectRow, Row};

const AFTER_HELP: &str = "\
Never fetches. DISK is that of the whole mirror, which several references may share; USED is by
mounts and verbs. What is KEPT is not dropped to make room.

Example:
  srcfs list --json | jq -r '.resources[].key'";

/// List what is configured and what is cached
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {}

/// Lists.
pub fn run(_: &Arguments, invocation: &Invocation) -> Result<(), Failed> {
    let report = list::list(&invocation.context()?)?;
    invocation.output.report(&report, || text(&report))
}

fn text(report: &ListReport) -> String {
    if report.resources.is_empty() && report.projects.is_empty() {
        return "nothing is configured or cached; `srcfs add NAME URL` or a look into the mount changes that\n"
            .to_owned();
    }
    let rows: Vec<Vec<String>> = report.resources.iter().map(cells).collect();
    let heading = ["KEY", "REFERENCE", "REVISION", "FILES", "SIZE", "DISK", "AGE", "USED", "KEPT", "READ BY"];
    let mut text = match rows.is_empty() {
        true => String::new(),
        false => table(&heading, &rows),
    };
    for ProjectRow { key, path, pins, failures, .. } in &report.projects {
        let pinned = pins.map_or_else(|| "not read".to_owned(), |pins| count(pins as u64, "pinned version"));
        text.push_str(&format!("{key}  {}  {pinned}\n", path.display()));
        for failure in failures {
            text.push_str(&format!("  {}: {}\n", failure.what, failure.why));
        }
    }
    for unknown in &report.unknown_readers {
        text.push_str(&format!("readers not known of {unknown}\n"));
    }
    text
}

fn cells(row: &Row) -> Vec<String> {
    let dash = || "-".to_owned();
    let shown = |number: Option<u64>, show: &dyn Fn(u64) -> String| number.map_or_else(dash, show);
    let mut readers: Vec<String> =
        row.readers.iter().map(|reader| format!("{} ({})", reader.pid, reader.command)).collect();
    readers.dedup();
    vec![
        row.key.clone(),
        match (row.kind, row.reference.as_str()) {
            ("git", "") => "HEAD".to_owned(),
            ("local", "") => "-".to_owned(),
            (_, "") => "latest".to_owned(),
            (_, reference) => reference.to_owned(),
        },
        row.revision.as_deref().map_or_else(dash, short),
        shown(row.files, &|files| files.to_string()),
        shown(row.bytes, &bytes),
        shown(row.disk, &bytes),
        shown(row.fetched, &age),
        shown(row.used, &age),
        if row.kept { "kept".to_owned() } else { String::new() },
        readers.join(", "),
    ]
}
