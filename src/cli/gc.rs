//! `srcfs gc`.

use super::exit::Failed;
use super::invocation::Invocation;
use super::table::{age, bytes, count, reader, short, unanswered};
use crate::operation::gc::{self, GcItem, GcReport};

const AFTER_HELP: &str = "\
Goes, the least recently used first: mirrors not used for max_age; revisions that no reference
means any more; whole mirrors, while the cache is above low_watermark of max_size or the disk has
less than keep_free left. What somebody reads or fetches stays, and so does what `srcfs keep` names.

Without being asked the same happens after a fetch and in a mount, at most once a minute, once the
cache is above high_watermark of max_size, its disk has less than keep_free left, or something was
not used for max_age.

What stays because it is in use or kept is no failure, also where a bound is not met then.

Example:
  srcfs gc --dry-run";

/// Make room in the cache: drop what nobody used for longest
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// Only tell what would go
    #[arg(long)]
    dry_run: bool,
}

/// Makes room.
pub fn run(arguments: &Arguments, invocation: &Invocation) -> Result<(), Failed> {
    let report = gc::gc(&invocation.context()?, arguments.dry_run)?;
    invocation.output.report(&report, || text(&report))?;
    Failed::unless(report.complete())
}

fn text(report: &GcReport) -> String {
    let mut text: String = report.items.iter().map(|item| line(item, report.dry_run)).collect();
    if report.leftovers > 0 {
        text.push_str(&format!("leftovers of dead processes  freed {}\n", bytes(report.leftovers)));
    }
    text.push_str(&format!("cache {}", bytes(report.before)));
    if report.freed + report.being_freed > 0 {
        let now = if report.dry_run { "would be" } else { "now" };
        text.push_str(&format!(", {now} {}", bytes(report.after)));
    }
    if let Some(most) = report.max_size {
        text.push_str(&format!(", may have {}", bytes(most)));
    }
    text.push_str(&format!("; {} free on its disk", bytes(report.free)));
    if report.must_be_free > 0 {
        text.push_str(&format!(", {} wanted", bytes(report.must_be_free)));
    }
    text.push('\n');
    if !report.within_bounds {
        text.push_str("that is not within the bounds, and nothing more can go\n");
    }
    text + &unanswered(&report.unanswered)
}

fn line(item: &GcItem, dry_run: bool) -> String {
    let why = match item.why {
        "age" => format!("not used for {}", age(item.used)),
        "size" => "the cache is too large".to_owned(),
        "free_space" => "the disk is too full".to_owned(),
        _ => "no reference means it any more".to_owned(),
    };
    let what = match &item.revisions {
        None => String::new(),
        Some(revisions) if revisions.is_empty() => " (old revisions)".to_owned(),
        Some(revisions) if revisions.len() <= 3 => {
            format!(" ({})", revisions.iter().map(|one| short(one)).collect::<Vec<_>>().join(", "))
        }
        Some(revisions) => format!(" ({})", count(revisions.len() as u64, "revision")),
    };
    let key = &item.key;
    let mut text = match item.stays {
        Some(stays) => format!("{key}{what}  stays: {}\n", reason(stays, item)),
        None => {
            let freed = match (dry_run, item.being_freed) {
                (true, _) => format!("would free {}", bytes(item.freed)),
                (false, 0) => format!("freed {}", bytes(item.freed)),
                (false, pending) => format!("frees {} when its readers end", bytes(pending)),
            };
            format!("{key}{what}  {freed}: {why}\n")
        }
    };
    for mount in &item.shown_by {
        text.push_str(&format!("  shown by {}\n", mount.display()));
    }
    for one in &item.readers {
        text.push_str(&format!("  read by {}\n", reader(one)));
    }
    text
}

fn reason(stays: &str, item: &GcItem) -> String {
    match stays {
        "pinned" => "somebody reads it".to_owned(),
        "kept" => "it is kept".to_owned(),
        "busy" => item.holder.clone().unwrap_or_else(|| "somebody works on it".to_owned()),
        "used" => "it was used just now".to_owned(),
        "small" => "too little would be won".to_owned(),
        "no_room" => "there is no room to write what would remain".to_owned(),
        _ => item.error.as_ref().map(ToString::to_string).unwrap_or_default(),
    }
}
