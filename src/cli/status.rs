//! `srcfs status`.

use std::io::IsTerminal;
use std::time::Duration;

use super::exit::Failed;
use super::invocation::Invocation;
use super::table::{age, bytes, count, reader, seconds};
use crate::operation::status::{self, MountReport, StatusReport};

const AFTER_HELP: &str = "\
Example:
  srcfs status --watch";

/// Show mounts, the cache, running fetches, locks and recent failures
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// Show it again every second, until interrupted
    #[arg(long)]
    watch: bool,
}

/// Shows.
pub fn run(arguments: &Arguments, invocation: &Invocation) -> Result<(), Failed> {
    let context = invocation.context()?;
    let output = &invocation.output;
    if !arguments.watch {
        let report = status::status(&context)?;
        return output.report(&report, || text(&report));
    }
    let clears = std::io::stdout().is_terminal() && !output.json;
    loop {
        let report = status::status(&context)?;
        if clears {
            // Home, and clear to the end: the one control sequence that is sent on purpose.
            use std::io::Write;
            if write!(std::io::stdout(), "\u{1b}[H\u{1b}[J").is_err() {
                return Ok(());
            }
        }
        output.report(&report, || text(&report))?;
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn text(report: &StatusReport) -> String {
    let mut text = String::new();
    for mounted in &report.mounts {
        text.push_str(&mount_line(mounted));
    }
    if report.mounts.is_empty() {
        text.push_str("mount    none; run `srcfs mount`\n");
    }
    for place in &report.other_mounts {
        let place = place.display();
        text.push_str(&format!("         {place} shows another cache; its --cache-dir tells of that\n"));
    }
    let cache = &report.cache;
    let (mirrors, snapshots) =
        (count(cache.mirrors as u64, "mirror"), count(cache.snapshots as u64, "snapshot"));
    let place = cache.directory.display();
    let most = cache.max_size.map(|most| format!(" of {}", bytes(most))).unwrap_or_default();
    let kept = if cache.kept > 0 { format!(", {} kept", cache.kept) } else { String::new() };
    let (size, lock) = (bytes(cache.bytes), &cache.lock);
    text.push_str(&format!("cache    {place}: {mirrors}, {snapshots}, {size}{most}{kept}, {lock} locks\n"));
    if let (Some(free), Some(must)) = (cache.free, cache.must_be_free)
        && free < must
    {
        let (free, must) = (bytes(free), bytes(must));
        text.push_str(&format!("         {free} free on its disk, {must} wanted; `srcfs gc` makes room\n"));
    }
    for fetch in &report.fetches {
        let objects = match fetch.total_objects {
            0 => String::new(),
            total => format!(", {}/{total} objects", fetch.objects),
        };
        let (key, who) = (&fetch.path, &fetch.who);
        let (size, since) = (bytes(fetch.bytes), seconds(fetch.seconds as u64));
        text.push_str(&format!("fetch    {key}: {size}{objects}, for {since}, for {who}\n"));
    }
    for lock in &report.locks {
        text.push_str(&format!("lock     {}: {}\n", lock.key, lock.holder));
    }
    for one in &report.readers {
        text.push_str(&format!("reader   {}\n", reader(one)));
    }
    for error in &report.errors {
        text.push_str(&format!("failed   {} ago: {}\n", age(error.at), error.failure));
    }
    text
}

fn mount_line(mounted: &MountReport) -> String {
    let place = mounted.mount_point.display();
    if let Some(why) = &mounted.silent {
        return format!("mount    {place}: {why}\n");
    }
    let pid = mounted.pid.unwrap_or_default();
    let since = mounted.started.map(age).unwrap_or_default();
    let views = count(mounted.views.unwrap_or_default() as u64, "view");
    let draining = match mounted.draining {
        Some(number) if number > 0 => format!(", {number} of them for older processes"),
        _ => String::new(),
    };
    let waiting = match mounted.waiting {
        Some(number) if number > 0 => format!(", {} waiting", count(number as u64, "request")),
        _ => String::new(),
    };
    let mut text = format!("mount    {place}: process {pid}, since {since}, {views}{draining}{waiting}\n");
    for walker in &mounted.walkers {
        let (who, caused, refused) = (&walker.who, walker.caused, walker.refused);
        text.push_str(&format!(
            "         {who} caused {caused} fetches or questions and is refused more ({refused} so far)\n"
        ));
    }
    if let Some(problem) = &mounted.configuration_problem {
        text.push_str(&format!("         keeps its old configuration: {problem}\n"));
    }
    text
}
