//! What the directories above the views list: what is configured or cached. Listing asks nobody.
//!
//! The mount lists all its directories in one pass, each second and in each barrier, so what is cached
//! is read once for many of them ([`Recent`]).

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use srcfs_mount::tree::ListedKind;

use super::name;
use super::{OWN, PROJECTS, README, lock};
use crate::cache::Cache;
use crate::config::Config;
use crate::key::Kind;
use crate::project::Ecosystem;

/// How long what was read is good, if nothing is known to have changed.
const RECENT: Duration = Duration::from_millis(100);

/// What was cached a moment ago. What this process changed, and what changed before a barrier, is
/// always seen; what another process changes is seen [`RECENT`] later.
#[derive(Default)]
pub(super) struct Recent {
    /// How often something changed.
    changes: AtomicU64,
    read: Mutex<Option<Read>>,
}

struct Read {
    /// How often it had when the reading began.
    changes: u64,
    ended: Instant,
    config: Arc<Config>,
    paths: Arc<Vec<String>>,
}

impl Recent {
    /// What is being read, or was, is not good any more.
    pub fn outdate(&self) {
        self.changes.fetch_add(1, SeqCst);
    }

    fn paths(&self, config: &Arc<Config>, read: impl FnOnce() -> Vec<String>) -> Arc<Vec<String>> {
        // Before the reading: a change during it may be missing in it.
        let changes = self.changes.load(SeqCst);
        if let Some(read) = &*lock(&self.read)
            && read.changes == changes
            && read.ended.elapsed() < RECENT
            && Arc::ptr_eq(&read.config, config)
        {
            return read.paths.clone();
        }
        let paths = Arc::new(read());
        let (config, ended) = (config.clone(), Instant::now());
        *lock(&self.read) = Some(Read { changes, ended, config, paths: paths.clone() });
        paths
    }
}

/// The names in `directory`, sorted; `None` if only lockfiles tell that were never read.
pub(super) fn of(
    directory: &Path,
    config: &Arc<Config>,
    cache: &Cache,
    recent: &Recent,
) -> Option<Vec<(String, ListedKind)>> {
    let mut names = BTreeSet::new();
    let root = directory.as_os_str().is_empty();
    if root {
        names.insert((OWN.to_owned(), ListedKind::Directory));
        names.insert((README.to_owned(), ListedKind::File));
        names.insert((PROJECTS.to_owned(), ListedKind::Directory));
        names.extend(Kind::ALL.map(|kind| (kind.as_str().to_owned(), ListedKind::Directory)));
    }
    if directory == Path::new(Kind::Git.as_str()) {
        names.extend(config.hosts.iter().map(|host| (host.name.clone(), ListedKind::Directory)));
    }
    for resource in &config.resources {
        names.extend(below(directory, &resource.name));
    }
    if let Ok(inside) = directory.strip_prefix(PROJECTS) {
        names.extend(pinned(inside, directory, config)?);
    }
    let first = directory.components().next().and_then(|first| first.as_os_str().to_str());
    if first.and_then(Kind::parse).is_some_and(Kind::needs_network) {
        for path in &*recent.paths(config, || cached(config, cache)) {
            names.extend(below(directory, path));
        }
    }
    Some(names.into_iter().collect())
}

/// What a directory of projects lists: their names, the kinds of which they pin something, what they pin. A
/// project that cannot be read lists nothing, and cannot be asked to ([`super::following::trouble`]).
fn pinned(inside: &Path, directory: &Path, config: &Config) -> Option<Vec<(String, ListedKind)>> {
    let Some(name) = inside.components().next().and_then(|name| name.as_os_str().to_str()) else {
        let names = config.projects.iter().map(|project| project.name.clone());
        return Some(names.map(|name| (name, ListedKind::Directory)).collect());
    };
    let Some(project) = config.project(name) else { return Some(Vec::new()) };
    let Ok(pins) = project.pins.known()? else { return Some(Vec::new()) };
    let mut listed = Vec::new();
    for ecosystem in Ecosystem::ALL {
        let place = Path::new(PROJECTS).join(name).join(ecosystem.kind());
        let mut names = pins.names(ecosystem);
        match directory.strip_prefix(&place) {
            // There are tens of thousands of names, and this is asked again and again.
            Ok(inside) => {
                let scope = inside.to_str().unwrap_or_default();
                let inside = |name| -> Option<&str> {
                    let rest = str::strip_prefix(name, scope)?;
                    if scope.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
                };
                listed.extend(names.filter_map(inside).map(|name| name.split('/').next().unwrap_or(name)));
            }
            // One that cannot be read pins something, too; what is asked for there says so.
            Err(_) if place.starts_with(directory) => {
                let is_broken = pins.project.broken.iter().any(|broken| broken.ecosystem == ecosystem);
                listed.extend((is_broken || names.next().is_some()).then(|| ecosystem.kind()));
            }
            Err(_) => {}
        }
    }
    Some(listed.into_iter().map(|name| (name.to_owned(), ListedKind::Directory)).collect())
}

/// The paths of everything cached that has one.
fn cached(config: &Config, cache: &Cache) -> Vec<String> {
    let mirrors = cache.mirrors().unwrap_or_else(|error| {
        log::warn!("{error}");
        Vec::new()
    });
    let mut paths = Vec::new();
    for state in mirrors.iter().filter(|state| state.generation.is_some()) {
        let Ok(key) = state.key() else { continue };
        for reference in state.references.keys() {
            let Ok(reference) = key.reference(reference) else { continue };
            paths.extend(name::path_of(&key, &reference, config));
        }
    }
    paths
}

/// The component of `path` that stands in `directory`, if it leads through it.
fn below(directory: &Path, path: &str) -> Option<(String, ListedKind)> {
    let rest = Path::new(path).strip_prefix(directory).ok()?;
    let first = rest.components().next()?.as_os_str().to_str()?;
    Some((first.to_owned(), ListedKind::Directory))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_lists_its_next_component_in_each_directory_it_leads_through() {
        let listed = |directory: &str| below(Path::new(directory), "git/h/o/r@v1").map(|(name, _)| name);
        assert_eq!(listed("").as_deref(), Some("git"));
        assert_eq!(listed("git/h/o").as_deref(), Some("r@v1"));
        assert_eq!(listed("git/h/o/r@v1"), None);
        assert_eq!(listed("git/h2"), None);
    }

    #[test]
    fn what_is_cached_is_read_once_until_something_changes() {
        let (recent, config) = (Recent::default(), Arc::new(Config::default()));
        let mut readings = 0;
        let mut paths = |config: &Arc<Config>| {
            recent.paths(config, || {
                readings += 1;
                vec![readings.to_string()]
            })[0]
                .clone()
        };
        // A machine that is busy may take longer than it is good for.
        while paths(&config) != paths(&config) {}
        let last = paths(&config);
        recent.outdate();
        assert_ne!(paths(&config), last, "something changed");
        let last = paths(&config);
        assert_ne!(paths(&Arc::new(Config::default())), last, "another configuration");
        let during = recent.paths(&config, || {
            recent.outdate();
            vec!["during".to_owned()]
        });
        assert_eq!(*during, ["during"]);
        assert_ne!(*recent.paths(&config, || vec!["after".to_owned()]), *during, "a change during it");
    }
}
