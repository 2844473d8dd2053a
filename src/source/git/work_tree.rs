//! What git lists of a work tree of this machine.
//!
//! Asks no server, runs nothing that the repository's configuration names, and writes nothing, not even
//! its index. Whose the repository is does not matter, because nothing of it is run.

use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, Instant};

use super::child::{self, Bounds, Ended, Patience};
use super::command::Command;
use super::{Git, failure};
use crate::error::{Error, Kind, Result};
use crate::source::Progress;

/// How long git may take to list a work tree. The largest take seconds.
const DEADLINE: Duration = Duration::from_secs(120);

/// What git lists, as paths relative to the work tree.
#[derive(Debug, Default)]
pub(crate) struct WorkTree {
    pub(crate) entries: Vec<WorkTreeEntry>,
    /// Directories and `.gitignore` files that git may not read.
    pub(crate) unreadable: Vec<Vec<u8>>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum WorkTreeEntry {
    /// A file or a symbolic link.
    File(Vec<u8>),
    /// A submodule, or a repository that this one does not know of.
    Repository(Vec<u8>),
}

impl Git {
    /// What git tracks below `inside` of the work tree `top`, and what it neither tracks nor ignores
    /// there; without looking at what matches `excluded`, patterns as in its top `.gitignore`.
    ///
    /// Fails if it is no work tree that this git can read.
    pub(crate) fn work_tree(
        &self,
        top: &Path,
        inside: &Path,
        excluded: &[OsString],
        progress: &Progress,
    ) -> Result<WorkTree> {
        let what = format!("list the files of {}", top.display());
        let command = Command::list_work_tree(&self.options.program, top, inside, excluded);
        let ended = self.run_on_disk(&what, command, progress)?;
        if !ended.succeeded() {
            return Err(failure::of_disk(&what, &ended));
        }
        let records = ended.output.split(|byte| *byte == 0).filter(|record| !record.is_empty());
        let entries = records.map(|record| {
            entry(record).ok_or_else(|| {
                let said = String::from_utf8_lossy(record).into_owned();
                Error::new(Kind::Unsupported, what.clone(), format!("git said {said:?}"))
            })
        });
        let unreadable = ended.transcript.messages().filter_map(unreadable).map(Vec::from).collect();
        Ok(WorkTree { entries: entries.collect::<Result<_>>()?, unreadable })
    }

    /// Whether the work tree `top` ignores the directory `inside` as a whole.
    pub(crate) fn work_tree_ignores(&self, top: &Path, inside: &Path, progress: &Progress) -> Result<bool> {
        let what = format!("ask whether {} is ignored", top.join(inside).display());
        let command = Command::is_ignored(&self.options.program, top, inside);
        let ended = self.run_on_disk(&what, command, progress)?;
        match ended.code {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => Err(failure::of_disk(&what, &ended)),
        }
    }

    fn run_on_disk(&self, what: &str, command: Command, progress: &Progress) -> Result<Ended> {
        let bounds = Bounds {
            deadline: Instant::now() + DEADLINE,
            stall: DEADLINE,
            grace: self.options.grace,
            patience: Patience::FirstAnswer,
        };
        let command = command.with_environment(&self.options.environment);
        child::run(what, &command, bounds, None, progress).map_err(|error| match error.kind() {
            Kind::TimedOut => error.hint(
                "see how long `git status` takes there: a disk may hang, or a file \
                                          that git reads may be a FIFO",
            ),
            _ => error,
        })
    }
}

/// One record of `git ls-files -t --stage`: `H 100644 <id> 0<tab>path` of what is tracked, `? path` of
/// what is not.
fn entry(record: &[u8]) -> Option<WorkTreeEntry> {
    let (tag, rest) = record.split_at_checked(2)?;
    if tag == b"? " {
        return Some(match rest.strip_suffix(b"/") {
            Some(path) => WorkTreeEntry::Repository(path.to_vec()),
            None => WorkTreeEntry::File(rest.to_vec()),
        });
    }
    let tab = rest.iter().position(|byte| *byte == b'\t')?;
    let path = rest[tab + 1..].to_vec();
    Some(match rest.starts_with(b"160000 ") {
        true => WorkTreeEntry::Repository(path),
        false => WorkTreeEntry::File(path),
    })
}

/// The path that git warns it may not read. What is gone by now needs no warning, and an absolute path
/// is that of the user's own settings.
fn unreadable(message: &str) -> Option<&[u8]> {
    let rest = message.strip_prefix("warning: ")?;
    let starts = ["could not open directory '", "unable to access '"];
    let rest = starts.iter().find_map(|start| rest.strip_prefix(start))?;
    let (path, why) = rest.rsplit_once("': ")?;
    let gone = ["No such file or directory", "Not a directory"];
    (!gone.contains(&why) && !path.starts_with('/')).then(|| path.trim_end_matches('/').as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_listed_is_told_apart_by_what_no_name_can_imitate() {
        let file = |path: &str| Some(WorkTreeEntry::File(path.into()));
        let repository = |path: &str| Some(WorkTreeEntry::Repository(path.into()));
        let id = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391";
        assert_eq!(entry(format!("H 100644 {id} 0\ta\tb").as_bytes()), file("a\tb"));
        assert_eq!(entry(format!("S 100755 {id} 0\ta").as_bytes()), file("a"));
        assert_eq!(entry(format!("H 160000 {id} 0\tsub").as_bytes()), repository("sub"));
        assert_eq!(entry(format!("? 160000 {id} 0\tsub").as_bytes()), file(&format!("160000 {id} 0\tsub")));
        assert_eq!(entry(b"? nested/"), repository("nested"));
        assert_eq!(entry(b"H"), None);
        assert_eq!(entry(b"H x"), None);
    }

    #[test]
    fn what_git_may_not_read_is_heard_of() {
        let denied = |text: &'static str| unreadable(text).map(|path| std::str::from_utf8(path).unwrap());
        assert_eq!(denied("warning: could not open directory 'a/b/': Permission denied"), Some("a/b"));
        assert_eq!(
            denied("warning: unable to access 'a/.gitignore': Permission denied"),
            Some("a/.gitignore")
        );
        assert_eq!(denied("warning: could not open directory 'a/': No such file or directory"), None);
        assert_eq!(denied("warning: unable to access '/root/.config/git/ignore': Permission denied"), None);
        assert_eq!(denied("warning: something else"), None);
    }
}
