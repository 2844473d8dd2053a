//! What a project pins now: read when somebody first asks, and again when a lockfile changed.
//!
//! Looking whether something changed costs a stat a file; reading may take a second, or for ever, where the
//! directory is on a server that is away. So what was read last is at hand at once ([`Latest::known`]);
//! looking again is done by a thread of its own ([`Latest::look`]), for which nobody need wait longer than he
//! wants; and who asks for himself alone may look himself ([`Latest::refresh`]). A project that cannot be read
//! is an error until it can.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::names::Spellings;
use super::{Ecosystem, Pin, Project, read};
use crate::error::{Error, Kind, Result};

mod rounds;

pub use rounds::Round;
pub(super) use rounds::Rounds;

/// What was seen is good for so long, unless somebody wants the present.
const GOOD: Duration = Duration::from_secs(1);
/// For how long lockfiles must have been gone, empty or broken until that is believed: some clients, and merges,
/// write them in pieces, and meanwhile nothing may vanish under who reads.
const DOUBT: Duration = Duration::from_secs(1);

/// A project as it was read, with its names in order.
#[derive(Debug)]
pub struct Index {
    /// What its lockfiles say.
    pub project: Project,
    names: BTreeMap<Ecosystem, BTreeMap<String, usize>>,
    spellings: Spellings,
}

impl Index {
    fn of(project: Project) -> Self {
        let names = Ecosystem::ALL.map(|ecosystem| {
            // By address: there may be tens of thousands.
            let places: BTreeMap<*const Pin, usize> =
                project.pins.iter().enumerate().map(|(at, pin)| (std::ptr::from_ref(pin), at)).collect();
            let names = project.names(ecosystem);
            let at = |pin: &Pin| places.get(&std::ptr::from_ref(pin)).copied();
            (ecosystem, names.into_iter().filter_map(|(name, pin)| Some((name, at(pin)?))).collect())
        });
        Index { names: names.into(), spellings: Spellings::of(&project.pins), project }
    }

    /// The names that are shown of an ecosystem, in order. A scope of npm is part of the name.
    pub fn names(&self, ecosystem: Ecosystem) -> impl Iterator<Item = &str> {
        self.names.get(&ecosystem).into_iter().flatten().map(|(name, _)| name.as_str())
    }

    /// Whether of an ecosystem nothing is left, or a lockfile that was read is broken.
    fn has_more_than(&self, found: &Result<Arc<Index>>) -> bool {
        let Ok(found) = found else { return true };
        let has = |index: &Index, ecosystem| index.names(ecosystem).next().is_some();
        let lost = Ecosystem::ALL.into_iter().any(|ecosystem| has(self, ecosystem) && !has(found, ecosystem));
        lost || found.project.broken.len() > self.project.broken.len()
    }

    /// The pin that a name means; else why there is none. See [`Project::find`].
    pub fn find(&self, ecosystem: Ecosystem, name: &str) -> Result<&Pin> {
        let shown = self.names.get(&ecosystem).and_then(|names| names.get(name)).copied();
        let pin = shown.and_then(|at| self.project.pins.get(at));
        let pin = pin.or_else(|| self.spellings.find(&self.project.pins, ecosystem, name));
        pin.ok_or_else(|| self.project.missing(ecosystem, name, self.names(ecosystem)))
    }
}

/// What of a project was read last.
#[derive(Debug)]
pub struct Latest {
    directory: PathBuf,
    last: RwLock<Option<Last>>,
    /// Held by whoever reads.
    reading: Mutex<()>,
    rounds: Rounds,
}

#[derive(Debug)]
struct Last {
    found: Result<Arc<Index>>,
    looked: Instant,
    /// Since when less is found than before, which may pass.
    doubted: Option<Instant>,
}

impl Latest {
    /// Of the project in `directory`. Nothing is read yet.
    pub fn new(directory: &Path) -> Self {
        Latest {
            directory: directory.to_owned(),
            last: RwLock::default(),
            reading: Mutex::default(),
            rounds: Rounds::default(),
        }
    }

    /// What was read last, however long ago; `None` if it never was. Waits for nobody.
    pub fn known(&self) -> Option<Result<Arc<Index>>> {
        self.last(|last| last.found.clone())
    }

    /// The same, but it is read if it never was.
    pub fn at_hand(&self) -> Result<Arc<Index>> {
        self.known().unwrap_or_else(|| self.refresh())
    }

    /// Has it read again if something changed, on another thread; there is one at most, however long it
    /// hangs. It calls `told` after each look.
    pub fn look(self: &Arc<Self>, told: impl Fn() + Send + 'static) -> Round {
        let (round, starts) = self.rounds.ask();
        if starts {
            let this = self.clone();
            let started = std::thread::Builder::new().name("srcfs-project".to_owned()).spawn(move || {
                while let Some(round) = this.rounds.next() {
                    if catch_unwind(AssertUnwindSafe(|| this.refresh())).is_err() {
                        let what = format!("read the lockfiles in {}", this.directory.display());
                        let error = Error::new(Kind::Invalid, what, "reading them panicked");
                        this.set(Last { found: Err(error), looked: Instant::now(), doubted: None });
                    }
                    this.rounds.end(round);
                    // Whoever is told must not be the end of this thread.
                    if catch_unwind(AssertUnwindSafe(&told)).is_err() {
                        log::error!(
                            "what follows from the lockfiles in {} panicked",
                            this.directory.display()
                        );
                    }
                }
            });
            if let Err(error) = started {
                self.rounds.abandon();
                log::warn!("no thread to read the lockfiles in {}: {error}", self.directory.display());
            }
        }
        round
    }

    /// Whether that look is over by then.
    pub fn is_seen(&self, round: Round, until: Instant) -> bool {
        self.rounds.wait(round, until)
    }

    /// For how long somebody has been looking.
    pub fn under_way(&self) -> Option<Duration> {
        self.rounds.under_way()
    }

    /// What is pinned now: it is read again if something changed.
    pub fn refresh(&self) -> Result<Arc<Index>> {
        // Whoever panicked there left what was read before.
        let _reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let looked = Instant::now();
        let known = self.last(|last| last.found.clone()).and_then(Result::ok);
        let current = known.filter(|index| index.project.stamp.is_current(&self.directory));
        let (mut doubted, mut looked) = (None, looked);
        let found = match current {
            Some(index) => Ok(index),
            None => {
                let found = read(&self.directory).map(|project| Arc::new(Index::of(project)));
                let before = self.last(|last| (last.found.clone(), last.doubted));
                if let Some((Ok(before), since)) = before
                    && before.has_more_than(&found)
                    && since.is_none_or(|since| since.elapsed() < DOUBT)
                {
                    doubted = since.or(Some(looked));
                    // So that the next look is soon.
                    looked = looked.checked_sub(GOOD).unwrap_or(looked);
                    self.set(Last { found: Ok(before.clone()), looked, doubted });
                    return Ok(before);
                }
                match &found {
                    // Whoever asks is told of them by `list`, `explain` and what fails.
                    Ok(index) => {
                        let (pins, place) = (index.project.pins.len(), self.directory.display());
                        log::info!("the lockfiles of {place} pin {pins} versions");
                        index.project.broken.iter().for_each(|broken| log::info!("{}", broken.error));
                    }
                    Err(error) => log::info!("{error}"),
                }
                found
            }
        };
        self.set(Last { found: found.clone(), looked, doubted });
        found
    }

    fn set(&self, last: Last) {
        *self.last.write().unwrap_or_else(PoisonError::into_inner) = Some(last);
    }

    /// Whether nobody has looked for a while.
    pub fn is_stale(&self) -> bool {
        self.last(|last| last.looked.elapsed() >= GOOD).unwrap_or(true)
    }

    fn last<T>(&self, of: impl FnOnce(&Last) -> T) -> Option<T> {
        self.last.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(of)
    }
}

/// The same project is the same, whatever was read of it.
impl PartialEq for Latest {
    fn eq(&self, other: &Self) -> bool {
        self.directory == other.directory
    }
}

impl Eq for Latest {}

#[cfg(test)]
mod tests {
    use super::*;

    fn requirements(directory: &Path, text: &str) {
        std::fs::write(directory.join("requirements.txt"), text).unwrap();
    }

    #[test]
    fn what_was_read_stays_until_somebody_looks_and_sees_a_change() {
        let directory = tempfile::tempdir().unwrap();
        requirements(directory.path(), "six==1.16.0\n");
        let latest = Latest::new(directory.path());
        assert!(latest.is_stale());
        let first = latest.at_hand().unwrap();
        let names = |index: &Index| index.names(Ecosystem::Pypi).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(names(&first), ["six"]);
        assert_eq!(first.find(Ecosystem::Pypi, "SIX").unwrap().version, "1.16.0");
        assert!(Arc::ptr_eq(&latest.refresh().unwrap(), &first), "nothing changed");
        requirements(directory.path(), "six==1.17.0\nidna==3.7\n");
        assert!(Arc::ptr_eq(&latest.at_hand().unwrap(), &first), "nobody has looked");
        assert_eq!(names(&latest.refresh().unwrap()), ["idna", "six"]);
        assert_eq!(latest.at_hand().unwrap().find(Ecosystem::Pypi, "six").unwrap().version, "1.17.0");
    }

    #[test]
    fn a_project_that_is_gone_is_an_error_until_it_is_back() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("p");
        std::fs::create_dir(&place).unwrap();
        requirements(&place, "six==1.16.0\n");
        let latest = Latest::new(&place);
        assert!(latest.refresh().is_ok());
        std::fs::rename(&place, directory.path().join("q")).unwrap();
        assert!(latest.refresh().is_ok(), "it may be back at once");
        until(|| latest.refresh().is_err());
        assert!(latest.at_hand().is_err());
        std::fs::rename(directory.path().join("q"), &place).unwrap();
        assert!(latest.refresh().is_ok() && latest.at_hand().is_ok());
    }

    /// Looks again and again; fails the test after 20 s.
    fn until(wanted: impl Fn() -> bool) {
        let end = Instant::now() + Duration::from_secs(20);
        while !wanted() {
            assert!(Instant::now() < end, "waited in vain");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn a_lockfile_that_is_being_written_takes_nothing_away() {
        let directory = tempfile::tempdir().unwrap();
        let lock = directory.path().join("Cargo.lock");
        let text = |version: &str| {
            format!(
                "version = 3\n\n[[package]]\nname = \"x\"\nversion = \"{version}\"\nsource = \"{}\"\nchecksum = \"{}\"\n",
                cargo_lock::SourceId::default(),
                "a".repeat(64)
            )
        };
        let pinned = |latest: &Latest| {
            let index = latest.refresh().unwrap();
            index.find(Ecosystem::Crates, "x").map(|pin| pin.version.clone()).ok()
        };
        std::fs::write(&lock, text("1.0.0")).unwrap();
        let latest = Latest::new(directory.path());
        for half in ["", "version = 3\n\n[[package]]\nname"] {
            assert_eq!(pinned(&latest).as_deref(), Some("1.0.0"));
            std::fs::write(&lock, half).unwrap();
            assert_eq!(pinned(&latest).as_deref(), Some("1.0.0"), "{half:?} may go on");
            std::fs::write(&lock, text("1.0.0")).unwrap();
            assert_eq!(pinned(&latest).as_deref(), Some("1.0.0"));
        }
        std::fs::write(&lock, "").unwrap();
        until(|| pinned(&latest).is_none());
        std::fs::write(&lock, text("2.0.0")).unwrap();
        assert_eq!(pinned(&latest).as_deref(), Some("2.0.0"), "what is there is believed at once");
    }
}
