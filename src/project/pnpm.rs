//! `pnpm-lock.yaml`, versions 5.x, 6 and 9: `/name/1.0.0_peers`, `/name@1.0.0(peers)`,
//! `name@1.0.0(peers)`. Since pnpm 11 a document about pnpm itself and what configures it may come before the
//! project's; both are of the same version of the format, and the project's is the last.

use super::found::{Found, expect, flag, known_version, table, text};
use super::grammar;
use super::npm::{self, ASKED, Asked};
use super::pin::{Ecosystem::Npm, Origin, Reach};
use serde_json::Value;
use std::collections::BTreeMap;

pub(super) fn parse(lock: &Value, found: &mut Found) -> Result<(), String> {
    known_version(lock, "lockfileVersion", &["5", "6", "9"], found);
    for key in ["packages", "importers", "dependencies"] {
        expect(lock, key, Value::is_object)?;
    }
    if lock.get("lockfileVersion").is_none() {
        return Err("it has no lockfileVersion".to_owned());
    }
    let mut pinned = BTreeMap::new();
    for (key, entry) in table(lock, "packages") {
        let (name, version) = split(key);
        let name = if text(entry, "name").is_empty() { name } else { text(entry, "name") };
        let version = if text(entry, "version").is_empty() { version } else { text(entry, "version") };
        let resolution = entry.get("resolution").unwrap_or(&Value::Null);
        let directory = text(resolution, "directory");
        if !directory.is_empty() || key.contains("file:") || key.contains("link:") {
            found.local(Npm, name, Some(directory));
            continue;
        }
        let below = Some(text(resolution, "path")).filter(|path| !path.is_empty());
        let from = match (text(resolution, "repo"), text(resolution, "tarball")) {
            // A registry's archive has a version in its key, another one its address.
            ("", tarball) => {
                let registry = grammar::version(Npm, split(key).1).is_some();
                let asked = if registry { Asked::Hashed } else { Asked::ByAddress };
                npm::origin(name, tarball, asked).and_then(|from| grammar::below(from, below))
            }
            (repo, _) => grammar::git(repo, text(resolution, "commit"), below),
        };
        let version = if matches!(from, Some(Origin::Git { .. })) && version.contains([':', '/']) {
            ""
        } else {
            version
        };
        let hashes = npm::sri(resolution);
        if let Some(at) = found.pin(Npm, name, version, from, hashes) {
            found.pins[at].dev = flag(entry, "dev");
            found.pins[at].optional = flag(entry, "optional");
            pinned.insert(bare(key).to_owned(), at);
        }
    }
    for (key, _) in table(lock, "patchedDependencies") {
        let name = key.get(1..).and_then(|rest| rest.find('@')).map_or(key.as_str(), |at| &key[..=at]);
        found.patched(name, key);
    }
    importer(lock, Reach::Root, &pinned, found);
    for (path, entry) in table(lock, "importers") {
        let reach = if path == "." { Reach::Root } else { Reach::Member };
        if path != "." {
            found.local(Npm, path, Some(path));
        }
        importer(entry, reach, &pinned, found);
    }
    Ok(())
}

fn importer(entry: &Value, reach: Reach, pinned: &BTreeMap<String, usize>, found: &mut Found) {
    for key in ASKED {
        for (name, to) in table(entry, key) {
            let to = bare(to.as_str().unwrap_or_else(|| text(to, "version")));
            let keys =
                [to.to_owned(), format!("{name}@{to}"), format!("/{name}@{to}"), format!("/{name}/{to}")];
            let Some(&at) = keys.iter().find_map(|key| pinned.get(key)) else { continue };
            found.reach(at, reach);
            found.alias(at, name);
            found.pins[at].dev |= key == "devDependencies";
            found.pins[at].optional |= key == "optionalDependencies";
        }
    }
}

/// Without the peers.
fn bare(key: &str) -> &str {
    let key = key.split('(').next().unwrap_or(key);
    // A version has no underscore; a name may, and stands before the last slash.
    let version = key.rfind('/').map_or(0, |slash| slash + 1);
    match key[version..].find('_') {
        Some(at) if key[version..].starts_with(|c: char| c.is_ascii_digit()) => &key[..version + at],
        _ => key,
    }
}

fn split(key: &str) -> (&str, &str) {
    let key = bare(key);
    let key = key.strip_prefix('/').unwrap_or(key);
    match key.get(1..).and_then(|rest| rest.find('@')) {
        Some(at) => (&key[..=at], &key[at + 2..]),
        None => key.rsplit_once('/').unwrap_or((key, "")),
    }
}
