//! `yarn.lock`: version 1 by the `yarn-lock-parser` crate, berry's as the YAML that it is.
//!
//! Version 1 does not know the root: its `package.json` says what it asks for. Berry's checksums are
//! those of its own cache, not published ones, and are not taken, so each entry is from the registry that
//! `.yarnrc.yml` names. What a member asks for by a catalog stands in the lockfile under the range that this file
//! gives it there.

use super::found::{Found, table, text};
use super::grammar;
use super::npm::{self, ASKED, Asked};
use super::pin::{Ecosystem::Npm, Location, Origin, Reach};
use super::registries::Registries;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;

pub(super) fn classic(lock: &str, manifest: &Value, found: &mut Found) -> Result<(), String> {
    // Yarn takes an empty one for the mark of a project's root.
    if lock.lines().all(|line| line.trim().is_empty() || line.starts_with('#')) {
        return Ok(());
    }
    // Yarn takes comments anywhere and needs none; the crate wants two, at the top.
    let rest = lock.split_inclusive('\n').filter(|line| !line.trim_start().starts_with('#'));
    let lock: String = std::iter::once("#\n# yarn lockfile v1\n").chain(rest).collect();
    // The crate's own sentence repeats the rest of the file.
    let lock =
        yarn_lock_parser::parse_str(&lock).map_err(|_| "it is not a yarn.lock of version 1".to_owned())?;
    for entry in &lock.entries {
        let real = entry.descriptors.iter().find_map(|(_, range)| alias(range));
        let name = real.unwrap_or(entry.name);
        let local = entry
            .descriptors
            .iter()
            .any(|(_, range)| range.starts_with("file:") || range.starts_with("link:"));
        if local && !entry.resolved.contains("://") {
            found.local(Npm, name, None);
            continue;
        }
        let hashes = entry.integrity.split_whitespace().map(str::to_owned).collect();
        // An address may stand beside ranges, as which it was then resolved.
        let mut ranges = entry.descriptors.iter().map(|(_, range)| range);
        let by_address = ranges.clone().all(|range| range.contains("://"))
            || ranges.any(|range| range.contains("://") && address(range) == address(entry.resolved));
        let asked = match entry.integrity.is_empty() {
            _ if by_address => Asked::ByAddress,
            true => Asked::ByRange,
            false => Asked::Hashed,
        };
        // Git's own protocol is spoken no more where yarn once found it; ssh it writes where it was told so.
        let resolved = match entry.resolved.starts_with("git://") {
            true => npm::by_https(entry.resolved),
            false => Cow::Borrowed(entry.resolved),
        };
        let origin = npm::origin(name, &resolved, asked);
        let Some(at) = found.pin(Npm, name, entry.version, origin, hashes) else { continue };
        for (asked, range) in &entry.descriptors {
            asked_for(at, asked, range, manifest, &Value::Null, found);
            found.alias(at, asked);
        }
    }
    Ok(())
}

/// A url without its fragment, which is a hash, a commit or what was asked for.
fn address(url: &str) -> &str {
    url.split('#').next().unwrap_or(url)
}

fn alias(range: &str) -> Option<&str> {
    let real = range.strip_prefix("npm:")?;
    match real.rsplit_once('@') {
        Some((name, _)) if !name.is_empty() => Some(name),
        _ => None,
    }
}

fn asked_for(at: usize, name: &str, range: &str, manifest: &Value, catalogs: &Value, found: &mut Found) {
    for key in ASKED {
        let asked = manifest.get(key).map_or("", |table| text(table, name));
        let asked = meant(name, asked, catalogs);
        if !asked.is_empty() && (asked == range || range.strip_prefix("npm:") == Some(asked)) {
            found.reach(at, Reach::Root);
            found.pins[at].dev |= key == "devDependencies";
            found.pins[at].optional |= key == "optionalDependencies";
        }
    }
}

/// The range that `catalog:` or `catalog:of` means for `name`, as `.yarnrc.yml` says; any other means itself.
fn meant<'a>(name: &str, range: &'a str, catalogs: &'a Value) -> &'a str {
    let catalog = match range.strip_prefix("catalog:") {
        None => return range,
        Some("") => catalogs.get("catalog"),
        Some(of) => catalogs.get("catalogs").and_then(|all| all.get(of)),
    };
    catalog.map_or(range, |catalog| text(catalog, name))
}

pub(super) fn berry(lock: &Value, manifest: &Value, rc: &Value, found: &mut Found) -> Result<(), String> {
    let (registries, notes) = Registries::of_yarn(rc);
    found.notes.extend(notes);
    found.berry = true;
    let mut patched = Vec::new();
    let mut pinned: BTreeMap<&str, usize> = BTreeMap::new();
    let mut asked = Vec::new();
    for (key, entry) in lock.as_object().into_iter().flatten().filter(|(key, _)| *key != "__metadata") {
        let resolution = text(entry, "resolution");
        let Some(split) = resolution.get(1..).and_then(|rest| rest.find('@')).map(|at| at + 1) else {
            found.note(key, "it has no resolution", "write the lockfile again with yarn");
            continue;
        };
        let (name, from) = (&resolution[..split], &resolution[split + 1..]);
        if let Some(path) = from.strip_prefix("workspace:") {
            found.local(Npm, name, Some(path));
            let reach = if path == "." { Reach::Root } else { Reach::Member };
            asked.extend(
                table(entry, "dependencies").map(|(name, range)| (reach, name, range.as_str().unwrap_or(""))),
            );
            continue;
        }
        if let Some(from) = from.strip_prefix("patch:") {
            // The patches that yarn itself brings are no news to the project.
            if !from.contains("builtin<") {
                found.patched(name, name);
            }
            patched.push((key, from.split('#').next().unwrap_or(from).replace("%3A", ":")));
            continue;
        }
        if ["link:", "portal:", "file:", "exec:"].iter().any(|local| from.starts_with(local)) {
            found.local(Npm, name, Some(from));
            continue;
        }
        let origin = match from.strip_prefix("npm:") {
            Some(version) => published(name, version, registries.of(name)),
            None if from.contains("#commit=") => grammar::git_with_fragment(from),
            None => npm::origin(name, from, Asked::ByAddress),
        };
        let Some(at) = found.pin(Npm, name, text(entry, "version"), origin, Vec::new()) else { continue };
        for descriptor in descriptors(key) {
            pinned.insert(descriptor, at);
            asked_as(at, descriptor, manifest, rc, found);
        }
    }
    for (key, from) in patched {
        // `name@npm:1.0.0`, which is what the patch was made for, is an entry of its own.
        let Some(&at) = pinned.get(from.as_str()) else { continue };
        for descriptor in descriptors(key) {
            pinned.insert(descriptor, at);
            asked_as(at, descriptor, manifest, rc, found);
        }
    }
    for (reach, name, range) in asked {
        let range = meant(name, range, rc);
        for key in [format!("{name}@{range}"), format!("{name}@npm:{range}")] {
            if let Some(&at) = pinned.get(key.as_str()) {
                found.reach(at, reach);
            }
        }
    }
    Ok(())
}

/// Where berry has a version from: the registry that is configured, which is `own` if the project says it, or the
/// address that it noted because no registry has its archives there by custom. There is no hash that would tell
/// whether another registry has the same.
fn published(name: &str, version: &str, own: Option<&Location>) -> Option<Origin> {
    let parameters = version.split_once("::").map_or("", |(_, parameters)| parameters);
    let mut parameters = url::form_urlencoded::parse(parameters.as_bytes());
    let archive = parameters.find(|(key, value)| key == "__archiveUrl" && !value.is_empty());
    let server = |url: &str| url::Url::parse(url).ok().map(|url| url.origin());
    match archive {
        Some((_, url)) if own.is_none_or(|own| server(own.reveal()) != server(&url)) => {
            npm::origin(name, &url, Asked::ByRange)
        }
        _ => Some(Origin::Registry { index: own.cloned() }),
    }
}

/// What is asked for by this key, without the note from where.
fn descriptors(key: &str) -> impl Iterator<Item = &str> {
    key.split(", ").map(|descriptor| descriptor.split("::locator=").next().unwrap_or(descriptor))
}

fn asked_as(at: usize, descriptor: &str, manifest: &Value, catalogs: &Value, found: &mut Found) {
    if let Some(at_sign) = descriptor.get(1..).and_then(|rest| rest.find('@')) {
        let (asked, range) = (&descriptor[..=at_sign], &descriptor[at_sign + 2..]);
        found.alias(at, asked);
        asked_for(at, asked, range, manifest, catalogs, found);
    }
}
