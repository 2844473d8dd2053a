//! `srcfs get`.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::exit::Failed;
use super::interrupt::Interrupt;
use super::invocation::{Invocation, targets};
use super::progress::Bars;
use super::table::{bytes, count, table, unanswered};
use crate::error::{Error, Kind, Result};
use crate::operation::get::{self, Batch, Got, Keys, Total};

const AFTER_HELP: &str = "\
Prints a line for each key as soon as it is done, in their order: the key, its revision, files,
bytes and seconds. Then a table of what failed and why; of a single key that alone. A key that fails
does not stop the others; an argument that is no key is refused before anything is fetched.

A FILE has one key a line; blank lines and those that begin with # say nothing. A line that is no
key fails for itself.

Ctrl-C ends all of it, leaves nothing half done, and says what was done (exit code 130).

Examples:
  srcfs get git/github.com/owner/repository@v1.2.0 docs
  srcfs get --jobs 16 --from dependencies.txt
  grep '^git/' notes.txt | srcfs get -
  srcfs get --project web                            # of `srcfs add web --project DIR`";

/// Fetch into the cache, without a mount
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// What to fetch; - alone reads the keys from the standard input
    #[arg(value_name = "KEY", required_unless_present_any = ["from", "project"], conflicts_with = "from")]
    keys: Vec<String>,
    /// Read the keys from FILE, one a line; - is the standard input
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Everything that the lockfiles of the project NAME pin
    #[arg(long, value_name = "NAME", conflicts_with_all = ["keys", "from"])]
    project: Option<String>,
    /// How many to fetch at once [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'t> {
    trees: Vec<Got>,
    #[serde(flatten)]
    total: &'t Total,
}

/// Materializes.
pub fn run(arguments: &Arguments, invocation: &Invocation) -> Result<(), Failed> {
    let interrupt = Interrupt::listen()?;
    let context = invocation.context()?;
    let output = &invocation.output;
    let keys = match (&arguments.from, arguments.keys.as_slice()) {
        (Some(file), _) => listed(file)?,
        (None, []) => get::pinned(&context, arguments.project.as_deref().unwrap_or_default())?,
        (None, [only]) if only == "-" => listed(Path::new("-"))?,
        (None, keys) if keys.iter().any(|key| key == "-") => {
            let why = "- stands for all keys, and there are others beside it";
            let hint = "give - alone, or leave it out";
            return Err(Error::new(Kind::Invalid, "read the command line", why).hint(hint).into());
        }
        (None, keys) => Keys::Given(targets(&context, keys)?),
    };
    // What is told of it in the end is all there is to tell.
    let alone = matches!(&keys, Keys::Given(given) if given.len() == 1);
    let mut bars = Bars::new(output);
    let (mut trees, mut troubles) = (Vec::new(), Vec::new());
    let mut tell = |got: Got| {
        if output.json {
            trees.push(got);
            return Ok(());
        }
        if got.interrupted() {
            return Ok(());
        }
        let said = match alone && got.tree.is_none() {
            true => Ok(()),
            false => bars.above(|| output.say(&line(&got))),
        };
        troubles.extend(trouble(got));
        said
    };
    let batch =
        Batch { jobs: jobs(arguments), spectator: &bars, interrupted: &|| interrupt.heard().is_some() };
    let total = get::get(&context, keys, &batch, &mut tell)?;
    bars.finish();
    output.report(&Report { trees, total: &total }, || {
        let mut text = unanswered(&total.unanswered);
        if !troubles.is_empty() {
            text.push_str(&table(&["KEY", "", "WHY"], &troubles));
        }
        if !output.quiet && (total.keys() > 1 || total.interrupted) {
            text.push_str(&sum(&total));
        }
        text
    })?;
    match interrupt.heard() {
        Some(code) if total.interrupted => Err(Failed { error: None, code }),
        _ => Failed::unless(total.complete()),
    }
}

fn listed(file: &Path) -> Result<Keys> {
    let standard = file == Path::new("-");
    let from: Box<dyn BufRead + Send> = match standard {
        true => Box::new(BufReader::new(std::io::stdin())),
        false => {
            let failed = |error: std::io::Error| Error::io("read the keys in", file, &error);
            let open = File::open(file).map_err(failed)?;
            // It can be opened, and would be told as its own first line.
            if open.metadata().map_err(failed)?.is_dir() {
                return Err(failed(std::io::ErrorKind::IsADirectory.into()));
            }
            Box::new(BufReader::new(open))
        }
    };
    let name = if standard { "the standard input".to_owned() } else { file.display().to_string() };
    Ok(Keys::Listed { from, name })
}

fn jobs(arguments: &Arguments) -> NonZeroUsize {
    let asked = arguments.jobs.and_then(|jobs| NonZeroUsize::new(jobs.into()));
    asked.or_else(|| std::thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN)
}

fn line(got: &Got) -> String {
    let Some(tree) = &got.tree else { return format!("{}  failed\n", got.key) };
    let how = match tree.fetched {
        true => format!("{:.2} s", got.seconds),
        false if got.error.is_some() => "cached, not refreshed".to_owned(),
        false => "cached".to_owned(),
    };
    let files = count(tree.files, "file");
    format!("{}  {}  {files}  {}  {how}\n", got.key, tree.revision, bytes(tree.bytes))
}

/// A row of the table of what went wrong.
fn trouble(got: Got) -> Option<Vec<String>> {
    let what = if got.tree.is_some() { "not refreshed" } else { "failed" };
    Some(vec![got.key, what.to_owned(), got.error?.to_string()])
}

fn sum(total: &Total) -> String {
    let Total { fetched, cached, failed, .. } = total;
    let (came, seconds) = (bytes(total.transferred), total.seconds);
    let done = format!("{fetched} fetched, {cached} cached, {failed} failed; {came} in {seconds:.2} s\n");
    if total.interrupted { format!("interrupted: {done}") } else { format!("total: {done}") }
}
