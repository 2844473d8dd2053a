//! The name space of the mount: path -> name -> binding -> snapshot.
//!
//! [`SourceTree`] implements the mount's [`Tree`] over the configuration, the cache and the sources.
//! What it answers on the mount's threads comes from memory and from a stat of the cache's pointers;
//! what may take longer is done by the bindings it hands out ([`binding`]), on the mount's pool.
//!
//! The rooms: [`name`] (what a path means), [`binding`] (which snapshot a name shows), [`snapshot`] (a
//! snapshot as the mount serves it), [`citation`], `listing` (what a directory lists), [`journal`]
//! (what is being fetched, what failed), [`status`] (`.srcfs/`), [`guide`] (`README.md`), `swept` (the tables
//! of bindings), `guard` (how much a process may cause), `following` (lockfiles that change), `noting` (what is used).

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use srcfs_mount::Monitor;
use srcfs_mount::tree::{Caller, Entry, ListedKind, Tree};

use crate::cache::Cache;
use crate::config::Config;
use crate::error::{Error, Kind, Result};
use crate::key::{GitUrl, Key};
use crate::source::Source;

pub mod binding;
pub mod citation;
mod following;
mod guard;
pub mod guide;
pub mod journal;
mod listing;
pub mod name;
mod noting;
pub mod snapshot;
pub mod status;
mod swept;

use binding::{Binding, What};
use journal::Journal;
use name::Name;
use noting::Notes;
use snapshot::agree;
use swept::Swept;

/// The file of the mount that explains it.
pub const README: &str = "README.md";
/// The directory of the projects.
pub const PROJECTS: &str = "projects";
/// The directory in which the mount tells about itself.
pub const OWN: &str = ".srcfs";
/// A name below [`OWN`] that begins so is a barrier: its lookup is answered when the mount has taken
/// notice of everything that changed before.
pub const BARRIER: &str = "sync-";

/// All source, as a name space.
pub struct SourceTree {
    shared: Arc<Shared>,
    configuration: RwLock<Loaded>,
    bindings: Mutex<Swept<What, Arc<Binding>>>,
    notes: Notes,
    monitor: Arc<OnceLock<Monitor>>,
    about: status::About,
}

/// What the tree and its bindings work with.
pub struct Shared {
    /// The cache that everything comes from.
    pub cache: Arc<Cache>,
    /// Where git repositories come from.
    pub source: Arc<dyn Source>,
    /// What is being fetched and what failed.
    pub journal: Journal,
    /// How long "does not exist" is believed.
    pub negative_ttl: Duration,
    /// The configuration as it was read last.
    config: RwLock<Arc<Config>>,
    /// Who causes too much.
    guard: guard::Guard<What>,
    next: AtomicU64,
    /// All bindings that somebody still holds, by their id.
    by_id: Mutex<Swept<u64, Weak<Binding>>>,
    /// What is cached, for listings.
    cached: listing::Recent,
}

/// The file that [`Shared::config`] was read from.
struct Loaded {
    file: Option<PathBuf>,
    stamp: Option<Stamp>,
    /// Since when a file that had content is gone or empty.
    vanished: Option<Instant>,
    problem: Option<Error>,
}

/// For how long a configuration file must have been gone or empty until that is believed: an editor
/// that truncates it and then writes takes a moment.
const VANISHED: Duration = Duration::from_secs(1);

impl Loaded {
    /// Whether the file is not what was read last, and is whole as far as one can tell.
    fn is_outdated(&self, now: Option<Stamp>) -> bool {
        now != self.stamp && (!self.vanishes(now) || self.vanished.is_some_and(|at| at.elapsed() >= VANISHED))
    }

    /// Whether the file has content no more.
    fn vanishes(&self, now: Option<Stamp>) -> bool {
        let length = |stamp: Option<Stamp>| stamp.map_or(0, |(_, length, _)| length);
        length(self.stamp) > 0 && length(now) == 0
    }
}

impl Shared {
    /// The configuration as it was read last; [`SourceTree::config`] sees whether it changed.
    fn config(&self) -> Arc<Config> {
        self.config.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Has all views let go of generations in which what they show does not lie any more, because what
    /// nobody used was dropped from their mirrors. Nothing that they show changes. Looks at the disk.
    pub fn move_over(&self) {
        let living: Vec<Arc<Binding>> = lock(&self.by_id).values().filter_map(Weak::upgrade).collect();
        for binding in living {
            if let Err(error) = binding.move_over() {
                log::warn!("the old place of {} is kept for now: {error}", binding.what().key);
            }
        }
    }

    /// Notes a failure where people look for it: the log, `.srcfs/errors.json` and the cache.
    fn report(&self, what: &What, label: &str, who: &str, error: &Error) {
        log::warn!("{label}: {error}");
        self.journal.note(label, who, error);
        // A missing subpath is the matter of the configuration, and another hash that of one lockfile. A note of
        // what they name would stay when they are corrected, and be told of whatever else has that name. Whoever
        // explains them looks for himself.
        let there = || self.cache.peek(&what.key, &what.reference).ok().flatten();
        let is_of_who_asks = match error.kind() {
            Kind::NotFound => !what.subpaths.is_empty() && there().is_some(),
            Kind::Corrupt => there().is_some_and(|there| agree(&what.hashes, there.about()).is_err()),
            _ => false,
        };
        if !is_of_who_asks {
            self.cache.note_failure(&what.key, &what.reference, error);
        }
    }
}

/// What tells one content of a file from the next: modification time, length and inode number.
type Stamp = (std::time::SystemTime, u64, u64);

impl SourceTree {
    /// The name space of `config` over `cache`. `about` is what its status says of the daemon.
    ///
    /// Fails if no thread can be started.
    pub fn new(
        cache: Arc<Cache>,
        source: Arc<dyn Source>,
        config: Config,
        file: Option<PathBuf>,
        about: status::About,
    ) -> Result<Arc<Self>> {
        let first = config.clone();
        let shared = Arc::new(Shared {
            cache,
            source,
            journal: Journal::default(),
            negative_ttl: config.negative_ttl,
            guard: guard::Guard::new(config.walkers.clone()),
            config: RwLock::new(Arc::new(config)),
            next: AtomicU64::new(1),
            by_id: Mutex::default(),
            cached: listing::Recent::default(),
        });
        let notes = Notes::new(shared.clone(), first)?;
        let stamp = file.as_deref().and_then(stamp);
        let configuration = RwLock::new(Loaded { file, stamp, vanished: None, problem: None });
        let (bindings, monitor) = (Mutex::default(), Arc::default());
        let tree = SourceTree { shared, configuration, bindings, notes, monitor, about };
        // So that nobody who lists one has to wait for its lockfiles.
        tree.look_at_projects(&tree.shared.config());
        Ok(Arc::new(tree))
    }

    /// Tells the tree where it is mounted, for its status.
    pub fn attach(&self, monitor: Monitor) {
        let _ = self.monitor.set(monitor);
    }

    /// What the tree works with.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The configuration, read again if its file changed. A file with errors changes nothing; the
    /// status says so; one that is gone or empty counts when that lasts.
    pub fn config(&self) -> Arc<Config> {
        {
            let loaded = self.configuration.read().unwrap_or_else(PoisonError::into_inner);
            if loaded.file.as_deref().and_then(stamp) == loaded.stamp && loaded.vanished.is_none() {
                return self.shared.config();
            }
        }
        let mut loaded = self.configuration.write().unwrap_or_else(PoisonError::into_inner);
        let now = loaded.file.as_deref().and_then(stamp);
        loaded.vanished = loaded.vanishes(now).then(|| loaded.vanished.unwrap_or_else(Instant::now));
        if loaded.is_outdated(now)
            && let Some(file) = loaded.file.clone()
        {
            match Config::load(&file) {
                Ok(mut config) => {
                    log::info!("read {} again", file.display());
                    config.take_over(&self.shared.config());
                    self.shared.guard.set(&config.walkers);
                    let mut current = self.shared.config.write().unwrap_or_else(PoisonError::into_inner);
                    (*current, loaded.problem) = (Arc::new(config), None);
                }
                Err(error) => {
                    log::error!("{error}; the configuration stays as it was");
                    loaded.problem = Some(error);
                }
            }
            (loaded.stamp, loaded.vanished) = (now, None);
        }
        self.shared.config()
    }

    /// What is wrong with the configuration file, if its last change was refused.
    pub fn configuration_problem(&self) -> Option<Error> {
        self.configuration.read().unwrap_or_else(PoisonError::into_inner).problem.clone()
    }

    /// The binding that a name has now. Names of one repository, reference and subpaths share it.
    fn bind(&self, path: &Path, name: &Name, config: &Config) -> Option<Arc<Binding>> {
        let (key, reference) = (name.key()?, name.reference()?);
        let what = What {
            key: key.clone(),
            reference: reference.clone(),
            subpaths: name.subpaths(config).to_vec(),
            hashes: name.hashes().to_vec(),
        };
        let fresh = lock(&self.bindings).get(&what).is_none();
        // Looked for before the table is locked, because it looks at all mirrors.
        if fresh && matches!(name, Name::Plain { .. }) && self.is_case_twin(key) {
            return None;
        }
        let state = self.shared.cache.state(key);
        let mut bindings = lock(&self.bindings);
        let current = bindings.get(&what).filter(|binding| match &state {
            Ok(state) => binding.agrees_with(state.as_deref()),
            // That it cannot be read now is no news of what it says.
            Err(_) => true,
        });
        if let Some(binding) = current {
            return Some(binding.clone());
        }
        let state = state.unwrap_or_else(|error| {
            log::warn!("{error}");
            None
        });
        let id = self.shared.next.fetch_add(1, Relaxed);
        let named = config.resources.iter().any(|resource| {
            resource.key == what.key
                && resource.reference == what.reference
                && resource.subpaths == what.subpaths
        });
        let configured = named || matches!(name, Name::Pinned { .. });
        let label = path.display().to_string();
        let binding = Arc::new(Binding::new(
            id,
            self.shared.clone(),
            what.clone(),
            label,
            configured,
            state.as_deref(),
        ));
        // What nobody shows any more is only in this table.
        bindings.insert(what, binding.clone(), |binding| Arc::strong_count(binding) > 1);
        lock(&self.shared.by_id).insert(id, Arc::downgrade(&binding), |binding| binding.strong_count() > 0);
        Some(binding)
    }

    /// A binding by its id, while somebody holds it.
    fn binding(&self, id: u64) -> Option<Arc<Binding>> {
        lock(&self.shared.by_id).get(&id).and_then(Weak::upgrade)
    }

    /// Whether a repository is not cached, but one is whose name differs only in case. Forges do not
    /// tell such names apart, so it would be the same source a second time.
    fn is_case_twin(&self, key: &Key) -> bool {
        if self.shared.cache.state(key).is_ok_and(|state| state.is_some()) {
            return false;
        }
        let Some(identity) = key.git_url().map(GitUrl::identity) else { return false };
        let mirrors = self.shared.cache.mirrors().unwrap_or_default();
        let cached = mirrors.iter().filter(|state| state.generation.is_some());
        cached.filter_map(|state| state.key().ok()).any(|other| {
            let other = other.git_url().map(GitUrl::identity);
            other.is_some_and(|other| other != identity && other.eq_ignore_ascii_case(identity))
        })
    }
}

impl Tree for SourceTree {
    fn entry(&self, path: &Path) -> Entry {
        let mut components = path.components();
        let Some(first) = components.next().map(|component| component.as_os_str()) else {
            return Entry::Directory;
        };
        if first == OWN {
            return self.own(components.as_path());
        }
        if first == README && components.next().is_none() {
            return Entry::File(self.readme().into_bytes().into());
        }
        if first.as_encoded_bytes().starts_with(b".") {
            return Entry::Missing;
        }
        let config = self.config();
        if first == PROJECTS {
            self.look_at_projects(&config);
        }
        match self.name(path, &config) {
            Some(Ok(Name::Directory)) => {
                following::trouble(path, &config).map_or(Entry::Directory, Entry::Refused)
            }
            Some(Ok(name)) => {
                self.bind(path, &name, &config).map_or(Entry::Missing, |view| Entry::View(view))
            }
            // What is not in the lockfiles that could be read may be in one that could not.
            Some(Err(_)) => following::trouble(path, &config).map_or(Entry::Missing, Entry::Refused),
            None => Entry::Later,
        }
    }

    fn list(&self, path: &Path) -> Option<Vec<(String, ListedKind)>> {
        if path == Path::new(OWN) {
            return Some(status::FILES.map(|name| (name.to_owned(), ListedKind::File)).into());
        }
        let config = self.config();
        if path.starts_with(PROJECTS) {
            self.look_at_projects(&config);
        }
        listing::of(path, &config, &self.shared.cache, &self.shared.cached)
    }

    fn take_notice(&self) {
        self.look_at_all_projects(&self.config());
    }

    fn used(&self, path: &Path, _: Caller) {
        let config = self.config();
        let Some(Ok(name)) = self.name(path, &config) else { return };
        if let Some(binding) = self.bind(path, &name, &config) {
            self.notes.used(binding);
        }
    }
}

impl SourceTree {
    /// What `path` means; `None` if only lockfiles tell that were never read, or a client that was not asked yet.
    fn name(&self, path: &Path, config: &Config) -> Option<Result<Name>> {
        if following::is_unread(path, config) {
            return None;
        }
        if name::pinned::is_undecided(path, config) {
            self.look_at_registries(config);
            return None;
        }
        Some(Name::parse_path(path, config))
    }

    fn readme(&self) -> String {
        guide::text(guide::Form::Readme, &self.about.directory, &self.config())
    }

    fn own(&self, rest: &Path) -> Entry {
        let Some(name) = rest.to_str() else { return Entry::Missing };
        if name.is_empty() {
            return Entry::Directory;
        }
        if name.starts_with(BARRIER) && rest.file_name() == Some(OsStr::new(name)) {
            self.shared.cached.outdate();
            self.notes.moved();
            return Entry::Barrier;
        }
        match self.about.file(name, self) {
            Some(content) => Entry::File(content.into()),
            None => Entry::Missing,
        }
    }

    /// What the mount reports of itself; empty before it is mounted.
    pub fn mount_report(&self) -> srcfs_mount::Report {
        self.monitor.get().map(Monitor::report).unwrap_or_default()
    }
}

fn stamp(file: &Path) -> Option<Stamp> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(file).ok()?;
    Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
}

/// Locks, also after a panic elsewhere: the tables of this room are consistent between statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
