//! `srcfs unmount`.

use std::path::PathBuf;

use super::exit::Failed;
use super::invocation::Invocation;

const AFTER_HELP: &str = "\
A mount that is in use is detached at once; its daemon serves those who hold it to the last close.

Examples:
  srcfs unmount ~/srcfs
  srcfs unmount --force

Exit codes besides the usual ones:
  18-20 as with `srcfs mount`             21 srcfs is not mounted there
  22 something else is mounted there      23 it is in use";

/// Unmount, also while it is in use
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// Where [environment: SRCFS_MOUNT; default: ~/srcfs]
    dir: Option<PathBuf>,
    /// Also end the daemon: what is still in use fails
    #[arg(long)]
    force: bool,
}

/// Unmounts.
pub fn run(arguments: &Arguments, invocation: &Invocation) -> Result<(), Failed> {
    let directory = invocation.environment.mount_point(arguments.dir.as_deref())?;
    let report = crate::daemon::unmounting::unmount(&directory, arguments.force)?;
    invocation.output.confirm(&report, || {
        let place = report.mount_point.display();
        let mut text = match report.readers.as_slice() {
            [] => format!("unmounted {place}\n"),
            _ => format!("detached {place}, which is still in use by\n"),
        };
        for reader in &report.readers {
            text.push_str(&format!("  {}\n", super::table::reader(reader)));
        }
        if let Some(why) = report.not_told {
            text.push_str(&format!("its daemon was not told to end: {why}\n"));
        }
        text
    })
}
