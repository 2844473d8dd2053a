//! What is being fetched, and what failed lately.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::lock;
use crate::error::{Error, Failure};
use crate::source::Progress;

/// How many failures are remembered.
const MOST: usize = 100;

/// A daemon's memory of its work.
#[derive(Default)]
pub struct Journal {
    running: Mutex<Running>,
    failures: Mutex<VecDeque<ErrorStatus>>,
}

#[derive(Default)]
struct Running {
    next: u64,
    work: BTreeMap<u64, Work>,
}

struct Work {
    path: String,
    who: String,
    since: Instant,
    progress: Arc<Progress>,
}

/// Something being resolved or fetched.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FetchStatus {
    /// The name below the mount.
    pub path: String,
    /// The process that caused it.
    pub who: String,
    /// For how long it has been running.
    pub seconds: f64,
    /// Bytes received.
    pub bytes: u64,
    /// Objects received.
    pub objects: u64,
    /// Objects expected; 0 while unknown.
    pub total_objects: u64,
}

/// Something that failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ErrorStatus {
    /// When, in seconds since 1970.
    pub at: u64,
    /// The name below the mount.
    pub path: String,
    /// The process that asked.
    pub who: String,
    /// The error number that the process got, by name.
    pub errno: String,
    /// What failed.
    #[serde(flatten)]
    pub failure: Failure,
}

/// Work under way; it is over when this is dropped.
pub struct Entry<'j> {
    journal: &'j Journal,
    number: u64,
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        lock(&self.journal.running).work.remove(&self.number);
    }
}

impl Journal {
    /// Notes that work begins.
    pub fn begin(&self, path: &str, who: &str, progress: &Arc<Progress>) -> Entry<'_> {
        let mut running = lock(&self.running);
        running.next += 1;
        let number = running.next;
        let (path, who) = (path.to_owned(), who.to_owned());
        running.work.insert(number, Work { path, who, since: Instant::now(), progress: progress.clone() });
        Entry { journal: self, number }
    }

    /// Notes a failure.
    pub fn note(&self, path: &str, who: &str, error: &Error) {
        let failure = ErrorStatus {
            path: path.to_owned(),
            who: who.to_owned(),
            at: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs()),
            errno: format!("{:?}", nix::errno::Errno::from_raw(error.kind().errno())),
            failure: Failure::from(error),
        };
        let mut failures = lock(&self.failures);
        if failures.len() == MOST {
            failures.pop_front();
        }
        failures.push_back(failure);
    }

    /// What is under way, the longest first.
    pub fn fetching(&self) -> Vec<FetchStatus> {
        let running = lock(&self.running);
        running
            .work
            .values()
            .map(|work| {
                let (objects, total_objects) = work.progress.objects();
                FetchStatus {
                    path: work.path.clone(),
                    who: work.who.clone(),
                    seconds: work.since.elapsed().as_secs_f64(),
                    bytes: work.progress.bytes(),
                    objects,
                    total_objects,
                }
            })
            .collect()
    }

    /// What failed lately, the newest first.
    pub fn failures(&self) -> Vec<ErrorStatus> {
        lock(&self.failures).iter().rev().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn work_is_listed_while_it_runs_and_failures_are_bounded_and_clean() {
        let journal = Journal::default();
        let entry = journal.begin("git/h/o/r", "1 rg", &Arc::default());
        assert_eq!(journal.fetching().len(), 1);
        drop(entry);
        assert!(journal.fetching().is_empty());
        for n in 0..=MOST {
            journal.note("x", "1 rg", &Error::new(Kind::NotFound, format!("get https://u:p@h/{n}"), "gone"));
        }
        let failures = journal.failures();
        assert_eq!((failures.len(), failures[0].failure.what.as_str()), (MOST, "get https://***@h/100"));
        assert_eq!(failures[0].errno, "ENOENT");
    }
}
