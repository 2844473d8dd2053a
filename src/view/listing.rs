//! What the directories above the views list: what is configured or cached. Listing asks nobody.

use std::collections::BTreeSet;
use std::path::Path;

use srcfs_mount::tree::ListedKind;

use super::name;
use super::{OWN, README};
use crate::cache::Cache;
use crate::config::Config;
use crate::key::{Kind, Reference};

/// The names in `directory`, sorted.
pub(super) fn of(directory: &Path, config: &Config, cache: &Cache) -> Vec<(String, ListedKind)> {
    let mut names = BTreeSet::new();
    let root = directory.as_os_str().is_empty();
    if root {
        names.insert((OWN.to_owned(), ListedKind::Directory));
        names.insert((README.to_owned(), ListedKind::File));
        names.insert((Kind::Git.as_str().to_owned(), ListedKind::Directory));
    }
    if directory == Path::new(Kind::Git.as_str()) {
        names.extend(config.hosts.iter().map(|host| (host.name.clone(), ListedKind::Directory)));
    }
    for resource in &config.resources {
        names.extend(below(directory, &resource.name));
    }
    if directory.starts_with(Kind::Git.as_str()) {
        for path in cached(config, cache) {
            names.extend(below(directory, &path));
        }
    }
    names.into_iter().collect()
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
            let Ok(reference) = Reference::parse(reference) else { continue };
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
}
