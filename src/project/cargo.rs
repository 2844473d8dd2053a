//! `Cargo.lock`, versions 1 to 4. Sources are read by the `cargo-lock` crate, which also knows the
//! default registry; the tables leniently, so that one bad entry is a note and not the end.

use super::found::{Found, MAX_VERSIONS, expect, known_version, list, table, text};
use super::grammar;
use super::pin::{Ecosystem, Location, Origin, Reach};
use cargo_lock::SourceId;
use serde_json::Value;
use std::collections::BTreeMap;

pub(super) fn parse(lock: &Value, manifest: &Value, found: &mut Found) -> Result<(), String> {
    known_version(lock, "version", &["1", "2", "3", "4"], found);
    expect(lock, "package", Value::is_array)?;
    let metadata: BTreeMap<&str, &str> =
        table(lock, "metadata").filter_map(|(key, sum)| Some((key.as_str(), sum.as_str()?))).collect();
    let root = text(manifest.get("package").unwrap_or(&Value::Null), "name");
    let mut pinned: BTreeMap<&str, Vec<(&str, &str, usize)>> = BTreeMap::new();
    let mut asked = Vec::new();
    // Version 1 of the format could have the root apart.
    let root_entry = lock.get("root").into_iter();
    for package in list(lock, "package").chain(root_entry) {
        let (name, version, source) =
            (text(package, "name"), text(package, "version"), text(package, "source"));
        if source.is_empty() || source.starts_with("path+") {
            found.local(Ecosystem::Crates, name, None);
            let reach = if name == root { Reach::Root } else { Reach::Member };
            asked.extend(list(package, "dependencies").filter_map(Value::as_str).map(|d| (reach, d)));
            continue;
        }
        let key = format!("checksum {name} {version} ({source})");
        let sum = match text(package, "checksum") {
            "" => metadata.get(key.as_str()).copied().unwrap_or(""),
            sum => sum,
        };
        let hex = sum.len() == 64 && sum.bytes().all(|b| b.is_ascii_hexdigit());
        let hashes = hex.then(|| format!("sha256:{sum}")).into_iter().collect();
        if let Some(at) = found.pin(Ecosystem::Crates, name, version, origin(source), hashes) {
            pinned.entry(name).or_default().push((version, source, at));
        }
    }
    for (reach, dependency) in asked {
        // `name`, `name version` or `name version (source)`, as much as tells it from others.
        let mut words = dependency.split(' ');
        let (name, version) = (words.next().unwrap_or(""), words.next());
        let from = words.next().map(|word| without_commit(word.trim_matches(['(', ')'])));
        for (pin, source, at) in pinned.get(name).into_iter().flatten().take(MAX_VERSIONS) {
            let same = version.is_none_or(|version| version == *pin);
            if same && from.is_none_or(|from| from == without_commit(source)) {
                found.reach(*at, reach);
            }
        }
    }
    Ok(())
}

fn without_commit(source: &str) -> &str {
    source.split('#').next().unwrap_or(source)
}

fn origin(source: &str) -> Option<Origin> {
    let id = SourceId::from_url(source).ok()?;
    if id.is_git() {
        return grammar::git(id.url().as_str(), id.precise()?, None);
    }
    if !id.is_remote_registry() {
        return None;
    }
    let index = (!id.is_default_registry()).then(|| {
        let sparse = if source.starts_with("sparse+") { "sparse+" } else { "" };
        grammar::location(id.url().as_str()).map(|url| Location::new(format!("{sparse}{}", url.reveal())))
    });
    match index {
        Some(None) => None,
        Some(index) => Some(Origin::Registry { index }),
        None => Some(Origin::Registry { index: None }),
    }
}
