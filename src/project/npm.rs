//! `package-lock.json` and `npm-shrinkwrap.json`, versions 1 to 3.
//!
//! Version 2 has both shapes; the table of paths is the one that npm itself reads then.

use super::found::{Found, flag, table, text};
use super::grammar;
use super::pin::{Ecosystem::Npm, Origin, Reach};
use serde_json::Value;

/// The tables of a `package.json` that name dependencies.
pub(super) const ASKED: [&str; 3] = ["dependencies", "devDependencies", "optionalDependencies"];

pub(super) fn parse(lock: &Value, manifest: &Value, found: &mut Found) {
    if lock.get("packages").is_some_and(Value::is_object) {
        paths(lock, found);
    } else {
        nested(lock, Some(manifest), found);
    }
}

/// Whether `manifest` asks for `name`.
pub(super) fn asks(manifest: &Value, name: &str) -> bool {
    ASKED.iter().any(|key| manifest.get(key).and_then(|table| table.get(name)).is_some())
}

fn paths(lock: &Value, found: &mut Found) {
    let root = lock.get("packages").and_then(|packages| packages.get("")).unwrap_or(&Value::Null);
    let members: Vec<_> = table(lock, "packages")
        .filter(|(path, _)| !path.is_empty() && !path.contains("node_modules/"))
        .collect();
    for (path, entry) in table(lock, "packages") {
        let Some((above, installed)) = path.rsplit_once("node_modules/") else {
            if !path.is_empty() {
                found.local(
                    Npm,
                    if text(entry, "name").is_empty() { path } else { text(entry, "name") },
                    Some(path),
                );
            }
            continue;
        };
        if flag(entry, "link") || text(entry, "resolved").starts_with("file:") {
            // The target of a link has its own entry, so it is listed there.
            if !flag(entry, "link") {
                found.local(Npm, installed, Some(text(entry, "resolved")));
            }
            continue;
        }
        let name = if text(entry, "name").is_empty() { installed } else { text(entry, "name") };
        let from = origin(name, text(entry, "resolved"));
        let Some(at) = found.pin(Npm, name, text(entry, "version"), from, sri(entry)) else { continue };
        facts(at, entry, installed, found);
        if above.is_empty() && asks(root, installed) {
            found.reach(at, Reach::Root);
        }
        let nearest = |member: &str| above.trim_end_matches('/') == member || above.is_empty();
        if members.iter().any(|(member, entry)| nearest(member) && asks(entry, installed)) {
            found.reach(at, Reach::Member);
        }
    }
}

fn nested(lock: &Value, manifest: Option<&Value>, found: &mut Found) {
    for (installed, entry) in table(lock, "dependencies") {
        let version = text(entry, "version");
        let alias = version.strip_prefix("npm:").and_then(|real| real.rsplit_once('@'));
        let (name, version) = alias.unwrap_or((installed, version));
        if version.starts_with("file:") || version.starts_with("link:") {
            found.local(Npm, name, Some(version));
        } else {
            let from = if version.contains(':') {
                git_or_archive(name, version)
            } else {
                origin(name, text(entry, "resolved"))
            };
            let exact = if version.contains(':') { "" } else { version };
            if let Some(at) = found.pin(Npm, name, exact, from, sri(entry)) {
                facts(at, entry, installed, found);
                if manifest.is_some_and(|manifest| asks(manifest, installed)) {
                    found.reach(at, Reach::Root);
                }
            }
        }
        // The JSON parser allows 128 levels, so this ends.
        nested(entry, None, found);
    }
}

fn facts(at: usize, entry: &Value, installed: &str, found: &mut Found) {
    found.pins[at].dev = flag(entry, "dev") || flag(entry, "devOptional");
    found.pins[at].optional = flag(entry, "optional") || flag(entry, "devOptional");
    found.alias(at, installed);
}

fn sri(entry: &Value) -> Vec<String> {
    text(entry, "integrity").split_whitespace().map(str::to_owned).collect()
}

fn git_or_archive(name: &str, url: &str) -> Option<Origin> {
    let short = url.strip_prefix("github:").map(|rest| format!("git+ssh://git@github.com/{rest}"));
    origin(name, short.as_deref().unwrap_or(url))
}

/// What `resolved` says; nothing said is the default registry.
pub(super) fn origin(name: &str, resolved: &str) -> Option<Origin> {
    if resolved.is_empty() {
        return Some(Origin::Registry { index: None });
    }
    if resolved.starts_with("git") || resolved.contains(".git#") {
        return grammar::git_with_fragment(resolved);
    }
    let url = grammar::location(resolved)?;
    // A registry serves `<index>/<name>/-/<file>.tgz`; anything else is an address of its own.
    let address = resolved.split(['#', '?']).next().unwrap_or(resolved);
    let index = address.rsplit_once("/-/").and_then(|(before, _)| {
        let escaped = name.replace('/', "%2f");
        [name, escaped.as_str(), &escaped.replace("%2f", "%2F")]
            .iter()
            .find_map(|name| before.strip_suffix(*name))
    });
    match index.and_then(grammar::location) {
        Some(index) => Some(Origin::Registry { index: Some(index) }),
        None => Some(Origin::Archive { url }),
    }
}
