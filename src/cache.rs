//! The cache on disk: mirrors of resources, shared by all processes of this machine, of which what a
//! reader has begun to read neither changes nor vanishes.
//!
//! | module | room |
//! |---|---|
//! | `layout`, `file_system` | where things are, and on which disks they may be |
//! | `lock`, `key_lock` | file locks; the fetch and the commit lock of a key |
//! | `lease` | the same as files, and signs of life, for hosts that share a cache |
//! | `serializer`, `single_flight` | order and joining within the process |
//! | `state`, `clock` | what is published, and since when |
//! | `answer`, `staging`, `prepare`, `publish`, `bring`, `materialize` | how a revision gets there |
//! | `turns` | the order in which a batch commits |
//! | `pin`, `snapshot` | what readers hold |
//! | `clear`, `reap`, `trash`, `removal` | how it goes away |
//! | `gc`, `usage`, `evict`, `shrink`, `kept`, `room` | what goes to make room, and what is kept from it |
//! | `failures`, `durable` | notes of failures; writing whole or not at all |
//! | `check` | whether all of it is as it must be |
//!
//! Locks are taken in this order: line of the key (serializer), fetch, commit, pin. Readers of what is
//! published take none. Nothing here knows what a git url is or how objects come: that is the
//! source's, and reading them is the store's.

mod answer;
mod bring;
pub mod check;
mod clear;
mod clock;
mod durable;
mod evict;
mod failures;
pub mod file_system;
mod gc;
mod kept;
mod key_lock;
mod layout;
mod lease;
mod lock;
mod materialize;
mod pin;
mod prepare;
mod publish;
mod reap;
mod removal;
mod room;
mod serializer;
mod shrink;
mod single_flight;
mod snapshot;
mod staging;
mod state;
mod trash;
mod turns;
mod usage;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};
use std::time::Duration;

use dashmap::DashMap;

pub use clear::Cleared;
pub use clock::{Changed, boot_id};
pub use evict::Stays;
pub use failures::Failure;
pub use gc::{Collected, Done, Item, Mode, What, Why};
pub use kept::Kept;
pub use key_lock::{HolderInfo, LockKind};
pub use materialize::{Fetched, Freshness, Order};
pub use reap::Reaped;
pub use snapshot::Snapshot;
pub use state::{ReferenceState, SnapshotState, State};
pub use turns::{Turn, Turns};

use self::answer::Answer;
use self::layout::Layout;
use self::lock::Wait;
use self::materialize::Seat;
use self::pin::Pins;
use self::serializer::KeyedSerializer;
use self::single_flight::SingleFlight;
use self::snapshot::Opened;
use self::state::Stamp;
use crate::config::Quota;
use crate::config::locking::{Backend, Locking};
use crate::error::{Error, Kind, Result};
use crate::key::{Key, Reference};
use crate::source::Resolved;
use crate::store::Limits;

/// How many `state.json` are kept in memory; one is a few KiB.
const MOST_STATES: usize = 2048;

/// How a cache is used.
pub struct Options {
    /// Whether opening it removes what dead processes left. It is done before the first fetch anyway.
    pub reap: bool,
    /// How long to wait for another process or thread that fetches the same.
    pub fetch_wait: Duration,
    /// How long to wait for another process that publishes or clears the same.
    pub commit_wait: Duration,
    /// What a tree may be at most.
    pub limits: Limits,
    /// How large it may become.
    pub quota: Quota,
    /// What its locks are.
    pub locking: Locking,
}

impl Default for Options {
    /// Reap; 10 minutes; 10 seconds; the store's own limits; as large as it becomes.
    fn default() -> Self {
        Options {
            reap: true,
            fetch_wait: Duration::from_secs(600),
            commit_wait: Duration::from_secs(10),
            limits: Limits::default(),
            quota: Quota::none(),
            locking: Locking::default(),
        }
    }
}

/// A cache directory, open.
pub struct Cache {
    layout: Arc<Layout>,
    fetch_wait: Duration,
    commit_wait: Duration,
    limits: Limits,
    quota: Quota,
    pins: Pins,
    opened: Opened,
    states: DashMap<PathBuf, (Stamp, Arc<State>)>,
    serializer: KeyedSerializer,
    flights: SingleFlight<Seat, Fetched>,
    questions: SingleFlight<Seat, Resolved>,
    remembered: DashMap<(String, Reference), Answer>,
    reaped: Once,
}

impl Cache {
    /// Opens the cache in `directory`, which is made (0700) if it is absent.
    ///
    /// Fails if it belongs to another user, was made for another lock backend, or cannot be written; the
    /// path is in the error.
    pub fn open(directory: &Path, options: Options) -> Result<Arc<Cache>> {
        let layout = Arc::new(Layout::open(directory, &options.locking)?);
        // Who waits for a lease of a dead process must not give up before it may take it over.
        let least = layout.lease().map_or(Duration::ZERO, |lease| lease.times().takeover());
        let cache = Arc::new(Cache {
            pins: Pins::new(Arc::clone(&layout)),
            layout,
            fetch_wait: options.fetch_wait.max(least),
            commit_wait: options.commit_wait.max(least),
            limits: options.limits,
            quota: options.quota,
            opened: Opened::default(),
            states: DashMap::new(),
            serializer: KeyedSerializer::default(),
            flights: SingleFlight::new(),
            questions: SingleFlight::new(),
            remembered: DashMap::new(),
            reaped: Once::new(),
        });
        if options.reap {
            cache.reaped.call_once(|| {
                cache.reap();
            });
        }
        Ok(cache)
    }

    /// What its locks are.
    pub fn backend(&self) -> Backend {
        self.layout.locks().into()
    }

    /// Gives up all locks and pins that would otherwise count until they are stale, because this process
    /// is about to end and threads of it may never let go. Nothing may be read after it. With locks of
    /// the kernel the end of the process does it.
    pub fn give_up(&self) {
        if let Some(lease) = self.layout.lease() {
            lease.give_up();
        }
    }

    /// Its directory.
    pub fn directory(&self) -> &Path {
        self.layout.root()
    }

    /// The directory in which the `state.json` of `key` is replaced, for those who watch it. It is made
    /// when `key` is first published.
    pub fn mirror_directory(&self, key: &Key) -> PathBuf {
        self.layout.mirror(key)
    }

    /// What tells it from every other cache, wherever it is mounted or linked.
    pub fn id(&self) -> &str {
        self.layout.id()
    }

    /// What of `key` is published; `None` if it never was. The file is read again only if it changed.
    /// One that cannot be understood counts as absent.
    pub fn state(&self, key: &Key) -> Result<Option<Arc<State>>> {
        let mirror = self.layout.mirror(key);
        let why = match self.state_in(&mirror) {
            Ok(Some(state)) if !state.is_of(key) => format!("{} is of {}", mirror.display(), state.url),
            Err(error) if error.kind() == Kind::Corrupt => error.to_string(),
            state => return state,
        };
        log::warn!("{why}; {key} counts as absent");
        Ok(None)
    }

    fn state_in(&self, mirror: &Path) -> Result<Option<Arc<State>>> {
        // Taken before reading: if it is replaced in between, the next call reads again.
        let Some(stamp) = Stamp::of(mirror)? else {
            self.states.remove(mirror);
            return Ok(None);
        };
        let cached = self.states.get(mirror).filter(|cached| cached.0 == stamp);
        if let Some(state) = cached.map(|cached| Arc::clone(&cached.1)) {
            return Ok(Some(state));
        }
        let Some(state) = State::read(mirror)?.map(Arc::new) else { return Ok(None) };
        // A bound for a process that looks at ever new mirrors.
        if self.states.len() >= MOST_STATES {
            self.states.clear();
        }
        self.states.insert(mirror.to_owned(), (stamp, Arc::clone(&state)));
        Ok(Some(state))
    }

    /// What is published of all resources, by key, tombstones included. Directories that are not
    /// mirrors are logged and left out.
    pub fn mirrors(&self) -> Result<Vec<Arc<State>>> {
        let mut found = Vec::new();
        for mirror in self.mirror_directories() {
            match self
                .state_in(&mirror)
                .and_then(|state| state.map(|state| Ok((state.key()?, state))).transpose())
            {
                Ok(Some((key, state))) if self.layout.mirror(&key) == mirror => found.push((key, state)),
                Ok(Some((key, _))) => {
                    log::warn!("not listed: {} is not the place of {key}", mirror.display())
                }
                Ok(None) => {}
                Err(error) => log::warn!("not listed: {error}"),
            }
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(found.into_iter().map(|(_, state)| state).collect())
    }

    /// A directory in which sources remember what saves them work: nothing that is there is needed, and
    /// nothing of it is ever shown.
    pub fn memory_of_sources(&self) -> PathBuf {
        self.layout.sources()
    }

    /// Notes why `reference` of `key` could not be had. [`Cache::get`] and [`Cache::resolve`] do so
    /// themselves.
    pub fn note_failure(&self, key: &Key, reference: &Reference, error: &Error) {
        failures::note(&self.layout.failures(), key, reference, error);
    }

    /// Forgets why `reference` of `key` could not be had. A successful [`Cache::get`] does so itself.
    pub fn forget_failure(&self, key: &Key, reference: &Reference) {
        failures::forget(&self.layout.failures(), key, reference);
    }

    /// Why `reference` of `key` last failed, in any process, if it did not succeed since.
    pub fn failure(&self, key: &Key, reference: &Reference) -> Option<Failure> {
        failures::last(&self.layout.failures(), key, reference)
    }

    /// The last failures of all keys and references, the newest first.
    pub fn failures(&self) -> Vec<Failure> {
        failures::all(&self.layout.failures())
    }

    /// Who holds which lock now, in any process that shares this cache.
    pub fn lock_holders(&self) -> Vec<HolderInfo> {
        key_lock::holders(self.layout.locks())
    }

    /// Holds a lock of `key` until the value is dropped, as who fetches or publishes does. For
    /// `benches/locks`, which measures the locks as a cache takes them, of whatever backend; nothing can
    /// be published with it.
    #[doc(hidden)]
    pub fn hold_lock(&self, key: &Key, lock: LockKind) -> Result<Box<dyn Send>> {
        let locks = self.layout.locks();
        let lock_of = key_lock::KeyLock::new(locks, key);
        Ok(match lock {
            LockKind::Fetch => Box::new(lock_of.fetch(&self.fetch_wait(&|| false), "measure")?),
            LockKind::Commit => Box::new(lock_of.commit(&self.commit_wait(), "measure")?),
        })
    }

    /// Forgets what is only remembered of `key`.
    fn forget(&self, key: &Key) {
        let digest = key.digest();
        self.remembered.retain(|(of, _), _| *of != digest);
        failures::forget_all(&self.layout.failures(), key);
    }

    fn fetch_wait<'a>(&self, cancelled: &'a dyn Fn() -> bool) -> Wait<'a> {
        Wait { bound: self.fetch_wait, cancelled }
    }

    fn commit_wait(&self) -> Wait<'static> {
        Wait { bound: self.commit_wait, cancelled: &|| false }
    }
}
