//! Check: whether a cache is what it must be at every moment, whatever was killed in it.
//!
//! Looks only. It takes no key's lock, opens no cache (that would mend what it looks for) and runs
//! beside everything else: what it finds wrong in a mirror counts only if the mirror's pointer is the
//! same afterwards. What a dead process left is no flaw as long as a reap may still come for it
//! ([`AGE`]); when nothing else runs and a reap was done, [`Thoroughness::settled`] allows nothing.
//!
//! | room | what must hold |
//! |---|---|
//! | here | the directories are private, known, and hold nothing that nobody owns |
//! | `mirror` | a pointer names one complete generation; nobody's generations are gone |
//! | `generation` | what the records say is there, byte for byte |

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::durable;
use super::layout::{Layout, ROOMS};
use super::lease::{ALIVE, SEEN};
use super::lock::{Locked, Mode};
use super::staging;
use crate::error::{Error, Result};

mod generation;
mod mirror;

/// How long a leftover may lie about. A daemon reaps every ten minutes, and so does every verb.
pub const AGE: Duration = Duration::from_secs(3600);

/// How closely to look.
#[derive(Clone, Copy, Debug, Default)]
pub struct Thoroughness {
    /// Nothing else runs, and what dead processes left was reaped: then nothing may be left.
    pub settled: bool,
    /// Every byte of every file is read and hashed.
    pub deep: bool,
}

/// What is wrong with a part of a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flaw {
    /// Others could look into it, or it is not ours.
    Permission,
    /// Nobody knows what it is for.
    Foreign,
    /// A file that says what this cache is, is missing or says nothing.
    Marker,
    /// A pointer that cannot be read, or contradicts itself.
    State,
    /// A mirror that is not at the place of its key.
    Misplaced,
    /// A pointer names a generation that is not whole.
    Generation,
    /// A table that is not that of its record, or not of its tree.
    Table,
    /// A pack that is not that of its record.
    Pack,
    /// An object that is missing, or not what its id says.
    Object,
    /// A commit that a git program could clean away.
    Unprotected,
    /// Sums that do not agree with what they are of.
    Count,
    /// A generation that nobody names and nobody pins.
    Orphan,
    /// A staging directory that nobody leases.
    Staging,
    /// Something that should have been deleted.
    Trash,
    /// A file that somebody was writing when he died.
    Unfinished,
    /// A lock that is held though nobody is there.
    Held,
    /// It could not be looked at.
    Unreadable,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// What sort of thing.
    pub flaw: Flaw,
    /// Where.
    pub path: PathBuf,
    /// In words.
    pub why: String,
}

/// What a check found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Checked {
    /// Mirrors, tombstones included.
    pub mirrors: u64,
    /// Generations that a pointer names.
    pub generations: u64,
    /// Snapshots in them.
    pub snapshots: u64,
    /// Files whose bytes were hashed.
    pub objects: u64,
    /// What dead processes left and a reap will take.
    pub leftovers: u64,
    /// Mirrors that changed each time they were looked at.
    pub unsettled: u64,
    /// All that is wrong.
    pub violations: Vec<Violation>,
}

/// Looks at the cache in `directory`. Fails if there is none.
pub fn check(directory: &Path, how: Thoroughness) -> Result<Checked> {
    let directory = std::path::absolute(directory)
        .map_err(|error| Error::io("find the cache directory", directory, &error))?;
    let layout = Layout::as_it_is(&directory);
    fs::metadata(layout.v1()).map_err(|error| Error::io("look at", layout.v1(), &error))?;
    let mut check = Check { layout: &layout, how, found: Checked::default() };
    check.places();
    check.locks();
    check.staging();
    check.trash();
    for written in layout.written() {
        check.unfinished(&written);
    }
    check.mirrors();
    let order = |violation: &Violation| (violation.path.clone(), violation.flaw as u8);
    check.found.violations.sort_by_key(order);
    Ok(check.found)
}

struct Check<'a> {
    layout: &'a Layout,
    how: Thoroughness,
    found: Checked,
}

impl Check<'_> {
    fn report(&mut self, flaw: Flaw, path: impl Into<PathBuf>, why: impl Into<String>) {
        self.found.violations.push(Violation { flaw, path: path.into(), why: why.into() });
    }

    /// Something that a reap takes: a flaw if it should have come by now.
    fn leftover(&mut self, flaw: Flaw, path: &Path, since: Option<SystemTime>, why: &str) {
        if fs::symlink_metadata(path).is_err() {
            // Somebody took it meanwhile.
        } else if self.is_old(path, since) {
            self.report(flaw, path, why);
        } else {
            self.found.leftovers += 1;
        }
    }

    /// Whether nobody can be at work on it any more.
    fn is_old(&self, path: &Path, since: Option<SystemTime>) -> bool {
        let modified = || fs::symlink_metadata(path).ok()?.modified().ok();
        let since = since.or_else(modified);
        self.how.settled || since.is_some_and(|since| since.elapsed().is_ok_and(|age| age > AGE))
    }

    /// The entries of a directory, sorted; an absent one has none.
    fn entries(&mut self, directory: &Path) -> Vec<(String, PathBuf)> {
        let mut entries = Vec::new();
        match fs::read_dir(directory) {
            Ok(read) => {
                for entry in read.flatten() {
                    match entry.file_name().into_string() {
                        Ok(name) => entries.push((name, entry.path())),
                        Err(_) => self.report(Flaw::Foreign, entry.path(), "its name is not of this cache"),
                    }
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => self.report(Flaw::Unreadable, directory, error.to_string()),
        }
        entries.sort();
        entries
    }

    /// The directories themselves, and that there is nothing else.
    fn places(&mut self) {
        let layout = self.layout;
        let user = nix::unistd::geteuid().as_raw();
        let of_leases = if layout.lease().is_some() { &[ALIVE, SEEN][..] } else { &[] };
        let rooms = ROOMS.iter().chain(of_leases).map(|room| layout.v1().join(room));
        for place in [layout.root().to_owned(), layout.v1().to_owned()].into_iter().chain(rooms) {
            match fs::symlink_metadata(&place) {
                Ok(found) if !found.is_dir() => self.report(Flaw::Foreign, place, "it is no directory"),
                Ok(found) if found.uid() != user || found.permissions().mode() & 0o777 != 0o700 => {
                    let mode = found.permissions().mode() & 0o777;
                    self.report(Flaw::Permission, place, format!("mode {mode:03o} of user {}", found.uid()));
                }
                Ok(_) => {}
                Err(error) => self.report(Flaw::Unreadable, place, error.to_string()),
            }
        }
        for (name, path) in self.entries(layout.root()) {
            let later = name.strip_prefix('v').is_some_and(|number| number.parse::<u32>().is_ok());
            if name != "CACHEDIR.TAG" && !later && !is_unfinished(&name) {
                self.report(Flaw::Foreign, path, "nobody knows what it is for");
            }
        }
        for (name, path) in self.entries(layout.v1()) {
            if !ROOMS.contains(&name.as_str())
                && !of_leases.contains(&name.as_str())
                && !["id", "lock-backend", "gc"].contains(&name.as_str())
                && !is_unfinished(&name)
            {
                self.report(Flaw::Foreign, path, "nobody knows what it is for");
            }
        }
        for marker in
            [layout.root().join("CACHEDIR.TAG"), layout.v1().join("lock-backend"), layout.v1().join("id")]
        {
            match fs::read_to_string(&marker) {
                Ok(text) if text.trim().is_empty() => self.report(Flaw::Marker, marker, "it is empty"),
                // Whoever makes a cache makes its directories first; these take their names whole.
                Err(_) if self.is_old(layout.v1(), None) => {
                    self.report(Flaw::Marker, marker, "it is missing");
                }
                _ => {}
            }
        }
        for (name, path) in self.entries(&layout.failures()) {
            if !name.ends_with(".json") && !is_unfinished(&name) {
                self.report(Flaw::Foreign, path, "it is no note of a failure");
            }
        }
    }

    fn locks(&mut self) {
        for (name, path) in self.entries(self.layout.locks().directory()) {
            let digest = name.split('.').next().unwrap_or_default();
            if digest.len() != 64 || !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                self.report(Flaw::Foreign, path, "it is no lock of a key");
                continue;
            }
            if !self.how.settled {
                continue;
            }
            if self.layout.lease().is_some() {
                if !name.ends_with(".last") {
                    self.report(Flaw::Held, path, "somebody holds it, or died with it");
                }
                continue;
            }
            let lock = fs::File::open(&path).map(|file| Locked::attempt(file, &path, Mode::Shared));
            match lock {
                Ok(Ok(Some(_free))) => {}
                Ok(Ok(None)) => self.report(Flaw::Held, path, "somebody holds it"),
                Ok(Err(error)) => self.report(Flaw::Unreadable, path, error.to_string()),
                Err(error) => self.report(Flaw::Unreadable, path, error.to_string()),
            }
        }
    }

    fn staging(&mut self) {
        for (name, path) in self.entries(&self.layout.staging()) {
            if staging::is_orphan(self.layout, staging::id_of(&name)) {
                self.leftover(Flaw::Staging, &path, None, "nobody leases it");
            } else if self.how.settled {
                self.report(Flaw::Held, path, "somebody leases it");
            }
        }
    }

    fn trash(&mut self) {
        for (_, path) in self.entries(&self.layout.trash()) {
            self.leftover(Flaw::Trash, &path, None, "nobody deletes it");
        }
    }

    fn unfinished(&mut self, directory: &Path) {
        for path in durable::unfinished(directory) {
            if self.layout.lease().is_some() && !self.is_old(&path, None) {
                self.found.leftovers += 1;
            } else if self.layout.lease().is_some() && self.how.settled {
                self.report(Flaw::Held, path, "somebody writes it, or died while it was written");
            } else if durable::is_left(&path) {
                self.leftover(Flaw::Unfinished, &path, None, "nobody writes it any more");
            }
        }
    }
}

fn is_unfinished(name: &str) -> bool {
    name.ends_with(".new")
}
