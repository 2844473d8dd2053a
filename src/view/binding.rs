//! One binding of a name to a snapshot, perhaps one that must be fetched first.
//!
//! A binding stands for one thing. It begins with what the cache's pointer says (or with nothing) and
//! takes on the first snapshot that it shows; as soon as the pointer says something else, the tree makes
//! a new binding, and the mount decides who still sees the old one. Several names may share a binding
//! and open it at different times: one that opens it after the pointer moved gets what is new, and the
//! binding is over, so that the others are given a new one too.

use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant, SystemTime};

use srcfs_mount::tree::{self, Caller, Errno, Existence};

use super::guard::{Cause, Refused};
use super::snapshot::Shown;
use super::{Shared, lock};
use crate::cache::{Changed, Freshness, Snapshot, SnapshotState, State};
use crate::error::{Error, Kind, Result};
use crate::key::{Key, Kind as KeyKind, Reference};
use crate::source::Progress;

/// No server is asked for what a view shows more often than this, unless somebody says so.
const LEAST_ASKED: Duration = Duration::from_secs(60);

/// How often a snapshot may be replaced or cleared while it is opened, before that is an error.
const ATTEMPTS: usize = 50;

/// What a name asks for. Two names that ask for the same share their bindings.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct What {
    /// The repository.
    pub key: Key,
    /// What of it.
    pub reference: Reference,
    /// Only these of its paths; all if empty.
    pub subpaths: Vec<String>,
    /// Only if the published archive has one of these hashes; any will do if empty.
    pub hashes: Vec<String>,
}

/// Where the cache's pointer points: the generation and the revision in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pointer {
    pub(super) generation: String,
    pub(super) revision: String,
    /// The revision's own time.
    modified: Option<SystemTime>,
    /// When the mirror was last cleared.
    cleared: Option<Changed>,
}

/// What a binding stands for.
struct Stand {
    pointer: Option<Pointer>,
    /// Whether it was shown under some name: then the pointer above is final.
    shown: bool,
    /// Whether something else was shown as well since.
    over: bool,
}

impl Pointer {
    fn of(state: Option<&State>, reference: &Reference) -> Option<Pointer> {
        let state = state?;
        let generation = state.generation.clone()?;
        let (resolved, record, _) = state.find(reference)?;
        let revision = resolved.revision.as_str().to_owned();
        let (modified, cleared) = (Some(record.modified()), state.cleared.clone());
        Some(Pointer { generation, revision, modified, cleared })
    }

    /// Whether both are the same to whoever reads: without a clear in between, another generation is
    /// only another place of the same bytes.
    fn shows_the_same(&self, other: &Pointer) -> bool {
        (&self.revision, &self.cleared) == (&other.revision, &other.cleared)
    }
}

/// A caller that has it fetched or waits for that; until it is dropped.
struct Running<'b>(&'b Mutex<usize>);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        *lock(self.0) -= 1;
    }
}

/// Why a caller gets nothing.
enum Failed {
    /// The guard refused it to this process.
    Guarded(Refused),
    /// It failed.
    Itself(Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Failed::Itself(error)
    }
}

/// A binding. See the module.
pub struct Binding {
    id: u64,
    shared: Arc<Shared>,
    what: What,
    /// The name it was first asked for under, for messages.
    label: String,
    configured: bool,
    stand: Mutex<Stand>,
    /// What it is shown by, and when the mirror had been cleared by then.
    showing: Mutex<Vec<(Weak<Shown>, Option<Changed>)>>,
    /// How many callers that may have it fetched wait for it; the first of them caused it.
    running: Mutex<usize>,
    /// The last answer that asking again would not change, and until when it is believed.
    refused: Mutex<Option<(Error, Instant)>>,
}

impl Binding {
    pub(super) fn new(
        id: u64,
        shared: Arc<Shared>,
        what: What,
        label: String,
        configured: bool,
        state: Option<&State>,
    ) -> Self {
        let pointer = Pointer::of(state, &what.reference);
        let stand = Mutex::new(Stand { pointer, shown: false, over: false });
        Binding {
            id,
            shared,
            what,
            label,
            configured,
            stand,
            showing: Mutex::default(),
            running: Mutex::default(),
            refused: Mutex::default(),
        }
    }

    /// Whether this binding is still what the cache's pointer says.
    pub(super) fn agrees_with(&self, state: Option<&State>) -> bool {
        let now = Pointer::of(state, &self.what.reference);
        let mut stand = lock(&self.stand);
        match (&stand.pointer, now) {
            _ if stand.over => false,
            (Some(mine), now) => now.is_some_and(|now| mine.shows_the_same(&now)),
            (None, None) => true,
            // The first thing that came is what this binding was waiting for.
            (None, now) => {
                stand.pointer = now;
                true
            }
        }
    }

    pub(super) fn what(&self) -> &What {
        &self.what
    }

    /// Where the cache's pointer pointed when this was bound or opened.
    pub(super) fn shown(&self) -> Option<Pointer> {
        lock(&self.stand).pointer.clone()
    }

    /// Shows `snapshot` from now on. `None` if it was replaced or cleared on its way here: who began to
    /// wait after that must not be given it.
    fn show(&self, snapshot: &Snapshot) -> Result<Option<Arc<dyn tree::Snapshot>>> {
        let shown = Arc::new(Shown::new(self.shared.clone(), &self.label, snapshot, &self.what)?);
        // Compared and told under one lock: a change after the comparison disagrees with this binding,
        // and whoever comes then is given another one.
        let mut stand = lock(&self.stand);
        let state = self.shared.cache.state(&self.what.key)?;
        let Some(pointer) = Pointer::of(state.as_deref(), &self.what.reference) else { return Ok(None) };
        let own = (snapshot.generation(), snapshot.revision().as_str());
        if (pointer.generation.as_str(), pointer.revision.as_str()) != own {
            return Ok(None);
        }
        let mut showing = lock(&self.showing);
        showing.retain(|(shown, _)| shown.strong_count() > 0);
        showing.push((Arc::downgrade(&shown), pointer.cleared.clone()));
        if !stand.shown {
            (stand.pointer, stand.shown) = (Some(pointer), true);
        } else if !stand.pointer.as_ref().is_some_and(|first| first.shows_the_same(&pointer)) {
            stand.over = true;
        }
        Ok(Some(shown))
    }

    /// Has everything that shows this binding let go of a generation in which its snapshot does not lie
    /// any more. Looks at the disk.
    pub(super) fn move_over(&self) -> Result<()> {
        let showing: Vec<_> = lock(&self.showing)
            .iter()
            .filter_map(|(shown, cleared)| Some((shown.upgrade()?, cleared.clone())))
            .collect();
        if showing.is_empty() {
            return Ok(());
        }
        let Some(state) = self.shared.cache.state(&self.what.key)? else { return Ok(()) };
        for (shown, cleared) in showing {
            // What was shown before a clear keeps its own place, so that a clear can say what it waits for.
            if cleared == state.cleared
                && let Some(generation) = shown.move_over()?
                && let Some(pointer) = &mut lock(&self.stand).pointer
                && pointer.cleared == cleared
            {
                log::debug!("{} lies in {generation} now", self.label);
                pointer.generation = generation;
            }
        }
        Ok(())
    }

    /// Asks the guard, unless somebody else is having it fetched already.
    fn admit(&self, cause: &Cause) -> Result<Running<'_>, Failed> {
        self.check_refusal()?;
        // Looked at and counted under one lock, or a second caller would take one that is refused for
        // one that fetches.
        let mut running = lock(&self.running);
        if *running == 0
            && let Err(refused) = self.shared.guard.admit(cause, &self.what, &self.label)
        {
            drop(running);
            // What another process brought meanwhile is there for everybody.
            if !matches!(self.shared.cache.peek(&self.what.key, &self.what.reference), Ok(Some(_))) {
                return Err(Failed::Guarded(refused));
            }
            running = lock(&self.running);
        }
        *running += 1;
        Ok(Running(&self.running))
    }

    fn materialize(&self, who: &str) -> Result<Arc<dyn tree::Snapshot>> {
        let What { key, reference, .. } = &self.what;
        let progress = Arc::new(Progress::default());
        let _entry = self.shared.journal.begin(&self.label, who, &progress);
        let (cache, source) = (&self.shared.cache, &*self.shared.source);
        for _ in 0..ATTEMPTS {
            let fetched = cache.get(source, key, reference, Freshness::Cached, who, &progress)?;
            self.shared.cached.outdate();
            if let Some(shown) = self.show(&fetched.snapshot)? {
                return Ok(shown);
            }
        }
        Err(Error::new(Kind::Stale, format!("open {}", reference.of(key)), "it is changed again and again"))
    }

    fn find_out(&self, who: &str) -> Result<Existence> {
        let What { key, reference, .. } = &self.what;
        // Only fetching tells whether a repository holds a commit.
        if matches!(reference, Reference::Commit(_)) {
            let shown = self.materialize(who)?;
            return Ok(Existence { modified: Some(shown.modified()) });
        }
        let progress = Arc::new(Progress::default());
        let _entry = self.shared.journal.begin(&self.label, who, &progress);
        let (cache, source) = (&self.shared.cache, &*self.shared.source);
        let resolved = cache.resolve(source, key, reference, Freshness::Cached, &progress)?;
        // Another reference may have brought the revision already.
        let state = cache.state(key)?;
        let record = state.as_ref().and_then(|state| state.snapshots.get(resolved.revision.as_str()));
        Ok(Existence { modified: record.map(SnapshotState::modified) })
    }

    fn check_refusal(&self) -> Result<()> {
        match &*lock(&self.refused) {
            Some((error, until)) if Instant::now() < *until => Err(error.clone()),
            _ => Ok(()),
        }
    }

    /// Turns what failed into the number that the kernel takes. What the guard says is about a process
    /// and not about a repository, so only this mount remembers it.
    fn refuse(&self, failed: Failed, who: &str) -> Errno {
        match failed {
            Failed::Itself(error) => self.fail(error, who),
            Failed::Guarded(refused) => {
                if refused.first {
                    log::warn!("{}", refused.error);
                    self.shared.journal.note(&self.label, who, &refused.error);
                }
                Errno(refused.error.kind().errno())
            }
        }
    }

    /// Notes a failure where people look for it and turns it into the number that the kernel takes.
    fn fail(&self, error: Error, who: &str) -> Errno {
        let errno = error.kind().errno();
        let authoritative = !error.kind().passes()
            && !matches!(error.kind(), Kind::Offline | Kind::Full | Kind::Corrupt | Kind::Io);
        let mut refused = lock(&self.refused);
        let remembered = refused.as_ref().is_some_and(|(_, until)| Instant::now() < *until);
        if !remembered {
            self.shared.report(&self.what, &self.label, who, &error);
            if authoritative {
                *refused = Some((error, Instant::now() + self.shared.negative_ttl));
            }
        }
        Errno(errno)
    }

    /// Notes that the view is in use. Answers if the upstream is to be asked again, and how old its answer may be.
    pub(super) fn note_use(&self, refresh_of: &dyn Fn(KeyKind) -> Option<Duration>) -> Option<Duration> {
        let What { key, reference, .. } = &self.what;
        if let Some(pointer) = self.shown() {
            self.shared.cache.touch(key, &pointer.revision);
        }
        let mut refresh = refresh_of(key.kind())?;
        if key.kind().needs_network() {
            refresh = refresh.max(LEAST_ASKED);
        }
        let state = self.shared.cache.state(key).ok().flatten()?;
        let (resolved, _, checked) = state.find(reference)?;
        let checked = SystemTime::UNIX_EPOCH + Duration::from_secs(checked);
        let due = SystemTime::now().duration_since(checked).is_ok_and(|age| age >= refresh);
        (resolved.moving && due).then_some(refresh)
    }

    /// Asks the upstream again, unless somebody else has done so in `age`. Takes its time.
    pub(super) fn refresh(&self, age: Duration) {
        let What { key, reference, .. } = &self.what;
        let progress = Arc::new(Progress::default());
        let _entry = self.shared.journal.begin(&self.label, "refresh", &progress);
        let (cache, source) = (&self.shared.cache, &*self.shared.source);
        match cache.get(source, key, reference, Freshness::NotOlderThan(age), "refresh", &progress) {
            Ok(_) => self.shared.cached.outdate(),
            Err(error) => log::warn!("refresh {}: {error}", self.label),
        }
    }
}

impl tree::View for Binding {
    fn id(&self) -> u64 {
        self.id
    }

    fn local(&self) -> Result<Option<Arc<dyn tree::Snapshot>>, Errno> {
        let What { key, reference, .. } = &self.what;
        match self.shared.cache.peek(key, reference) {
            Ok(Some(snapshot)) => {
                self.shared.cache.touch_opened(&snapshot);
                self.show(&snapshot).map_err(|error| self.fail(error, "the cache"))
            }
            Ok(None) => Ok(None),
            // What is damaged is fetched again.
            Err(error) if error.kind() == Kind::Corrupt => {
                log::warn!("{error}");
                Ok(None)
            }
            Err(error) => Err(self.fail(error, "the cache")),
        }
    }

    fn known(&self) -> Option<Existence> {
        let pointer = self.shown();
        let modified = pointer.as_ref().and_then(|pointer| pointer.modified);
        (self.configured || pointer.is_some()).then_some(Existence { modified })
    }

    fn exists(&self, caller: Caller) -> Result<Existence, Errno> {
        let cause = Cause::of(caller);
        let who = cause.to_string();
        let found = self.admit(&cause).and_then(|_running| Ok(self.find_out(&who)?));
        found.map_err(|failed| self.refuse(failed, &who))
    }

    fn open(&self, caller: Caller) -> Result<Arc<dyn tree::Snapshot>, Errno> {
        let cause = Cause::of(caller);
        let who = cause.to_string();
        let shown = self.admit(&cause).and_then(|_running| Ok(self.materialize(&who)?));
        shown.map_err(|failed| self.refuse(failed, &who))
    }

    fn kept_waiting(&self, caller: Caller) {
        // It came just now.
        if self.shown().is_some() {
            return;
        }
        let what = format!("wait for {}", self.label);
        let error =
            Error::new(Kind::TimedOut, what, "it did not come within reply_bound, and is still awaited")
                .hint("try again: the fetch goes on and is joined; see `srcfs status` for how far it is");
        self.shared.report(&self.what, &self.label, &Cause::of(caller).to_string(), &error);
    }
}
