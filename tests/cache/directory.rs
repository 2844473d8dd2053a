//! A [`Source`] over a real directory, which anybody may edit at any time.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::UNIX_EPOCH;

use sha2::Digest;
use srcfs::error::Result;
use srcfs::key::{Key, Reference};
use srcfs::source::{Prepared, Progress, Resolved, Revision, Source, Workplace};

use crate::upstream::names;

/// The files of a directory, but its `.git`. Its revision is what `stat` says of them.
pub struct Directory {
    directory: PathBuf,
    log: PathBuf,
    /// Called after each import, before it is compared.
    pub edit: Option<fn(&Path)>,
    /// How often it was asked what it is.
    pub asked: AtomicUsize,
}

impl Directory {
    /// Each import is a line of `log`.
    pub fn new(directory: PathBuf, log: PathBuf) -> Self {
        Directory { directory, log, edit: None, asked: AtomicUsize::new(0) }
    }

    fn stamp(&self) -> String {
        let mut text = String::new();
        stat(&self.directory, &mut text);
        sha2::Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn stat(directory: &Path, text: &mut String) {
    for name in names(directory).into_iter().filter(|name| name != ".git") {
        let path = directory.join(name);
        let metadata = fs::symlink_metadata(&path).unwrap();
        let (size, time) = (metadata.size(), (metadata.mtime(), metadata.mtime_nsec(), metadata.ino()));
        writeln!(text, "{} {size} {time:?}", path.display()).unwrap();
        if metadata.is_dir() {
            stat(&path, text);
        }
    }
}

impl Source for Directory {
    fn resolve(&self, _: &Key, _: &Reference, _: &[Revision], _: &Progress) -> Result<Resolved> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Ok(Resolved { revision: Revision::new(self.stamp()), full_name: None, moving: true })
    }

    fn prepare(&self, _: &Key, resolved: &Resolved, place: Workplace<'_>, _: &Progress) -> Result<Prepared> {
        writeln!(fs::OpenOptions::new().create(true).append(true).open(&self.log).unwrap(), "import")
            .unwrap();
        let git = |arguments: &[&str], input: &str| {
            let mut child = Command::new("git")
                .arg("--git-dir")
                .arg(place.directory)
                .args(["-c", "core.bare=false", "--work-tree"])
                .arg(&self.directory)
                .args(arguments)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "git {arguments:?}");
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        srcfs::store::init_bare(place.directory)?;
        git(&["add", "-A", "-f"], "");
        let tree = git(&["write-tree"], "");
        let objects = git(&["rev-list", "--objects", &tree], "");
        let pack = place.directory.join("objects/pack/pack");
        git(&["pack-objects", "-q", pack.to_str().unwrap()], &(objects + "\n"));
        git(&["prune-packed", "-q"], "");
        if let Some(edit) = self.edit {
            edit(&self.directory);
        }
        Ok(Prepared {
            revision: resolved.revision.clone(),
            tree,
            modified: UNIX_EPOCH,
            transferred: 0,
            stamp: Some(resolved.revision.to_string()),
            about: None,
        })
    }

    fn unchanged(&self, _: &Key, prepared: &Prepared) -> Result<bool> {
        Ok(prepared.stamp.as_deref() == Some(&*self.stamp()))
    }
}
