//! `package-lock.json` and `npm-shrinkwrap.json`, versions 1 to 3.
//!
//! Version 2 has both shapes; the table of paths is the one that npm itself reads then. Fails only if
//! what should be a table is none.

use super::found::{Found, expect, flag, known_version, table, text};
use super::grammar;
use super::pin::{Ecosystem::Npm, Origin, Reach};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// The tables of a `package.json` that name dependencies. npm and pnpm install a root's peers, too.
pub(super) const ASKED: [&str; 4] =
    ["dependencies", "devDependencies", "optionalDependencies", "peerDependencies"];

pub(super) fn parse(lock: &Value, manifest: &Value, found: &mut Found) -> Result<(), String> {
    known_version(lock, "lockfileVersion", &["1", "2", "3"], found);
    expect(lock, "packages", Value::is_object)?;
    expect(lock, "dependencies", Value::is_object)?;
    match (lock.get("packages"), lock.get("dependencies"), lock.get("lockfileVersion")) {
        (Some(_), ..) => paths(lock, found),
        (None, None, None) => return Err("it has neither packages nor a lockfileVersion".to_owned()),
        _ => {
            let asked: Vec<_> = ASKED.iter().flat_map(|key| table(manifest, key)).collect();
            let asked = asked.iter().map(|(name, _)| (name.as_str(), Reach::Root)).collect();
            nested(lock, asked, found);
        }
    }
    Ok(())
}

/// Whether `manifest` asks for `name`.
pub(super) fn asks(manifest: &Value, name: &str) -> bool {
    ASKED.iter().any(|key| manifest.get(key).and_then(|table| table.get(name)).is_some())
}

fn paths(lock: &Value, found: &mut Found) {
    let entries = lock.get("packages").unwrap_or(&Value::Null);
    let root = entries.get("").unwrap_or(&Value::Null);
    let members =
        table(lock, "packages").filter(|(path, _)| !path.is_empty() && !path.contains("node_modules/"));
    let by_members: BTreeSet<&str> = members
        .flat_map(|(path, entry)| {
            ASKED.iter().flat_map(move |key| table(entry, key)).map(move |(n, _)| (path, n))
        })
        .filter(|(path, name)| entries.get(format!("{path}/node_modules/{name}")).is_none())
        .map(|(_, name)| name.as_str())
        .collect();
    // What somebody asks for by an address is no registry's, whatever the address looks like.
    let by_address: BTreeSet<(&str, &str)> = table(lock, "packages")
        .flat_map(|(_, entry)| ASKED.iter().flat_map(move |key| table(entry, key)))
        .filter_map(|(name, range)| Some((name.as_str(), range.as_str()?)))
        .filter(|(_, range)| range.contains("://"))
        .collect();
    let names_by_address: BTreeSet<&str> = by_address.iter().map(|(name, _)| *name).collect();
    for (path, entry) in table(lock, "packages") {
        let Some((above, installed)) = path.rsplit_once("node_modules/") else {
            if !path.is_empty() {
                let name = Some(text(entry, "name")).filter(|name| !name.is_empty());
                let name = name.unwrap_or(path.rsplit_once('/').map_or(path, |(_, last)| last));
                found.local(Npm, name, Some(path));
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
        let hashes = sri(entry);
        let resolved = text(entry, "resolved");
        let asked = match hashes.is_empty() || names_by_address.contains(installed) {
            // The same package may be asked for by a range elsewhere.
            true if by_address.contains(&(installed, resolved)) => Asked::ByAddress,
            true => Asked::ByRange,
            false => Asked::Hashed,
        };
        let from = origin(name, &by_https(resolved), asked);
        let Some(at) = found.pin(Npm, name, text(entry, "version"), from, hashes) else { continue };
        facts(at, entry, installed, found);
        if above.is_empty() && asks(root, installed) {
            found.reach(at, Reach::Root);
        }
        // A member finds what is installed in it first, then what is at the top.
        let member = match above.trim_end_matches('/') {
            "" => by_members.contains(installed),
            member => entries.get(member).is_some_and(|member| asks(member, installed)),
        };
        if member && !above.contains("node_modules/") {
            found.reach(at, Reach::Member);
        }
    }
}

/// The shape of version 1; `asked` are the names that the root or a member looks for here.
fn nested<'a>(lock: &'a Value, mut asked: BTreeMap<&'a str, Reach>, found: &mut Found) {
    let local = |entry: &Value| ["file:", "link:"].iter().any(|s| text(entry, "version").starts_with(s));
    for (_, entry) in table(lock, "dependencies").filter(|(_, entry)| local(entry)) {
        // What a member has not of its own, it has from here.
        let own = entry.get("dependencies").unwrap_or(&Value::Null);
        for (name, _) in table(entry, "requires").filter(|(name, _)| own.get(name).is_none()) {
            asked.entry(name).or_insert(Reach::Member);
        }
    }
    for (installed, entry) in table(lock, "dependencies") {
        let version = text(entry, "version");
        let alias = version.strip_prefix("npm:").and_then(|real| real.rsplit_once('@'));
        let (name, version) = alias.unwrap_or((installed, version));
        if local(entry) {
            found.local(Npm, name, Some(version));
            let members = table(entry, "requires").map(|(name, _)| (name.as_str(), Reach::Member));
            nested(entry, members.collect(), found);
            continue;
        }
        let hashes = sri(entry);
        let (exact, from) = if version.contains(':') {
            (version_of_file(name, version), origin(name, &by_https(version), Asked::ByAddress))
        } else {
            let asked = if hashes.is_empty() { Asked::ByRange } else { Asked::Hashed };
            (version, origin(name, &by_https(text(entry, "resolved")), asked))
        };
        if let Some(at) = found.pin(Npm, name, exact, from, hashes) {
            facts(at, entry, installed, found);
            if let Some(reach) = asked.get(installed.as_str()) {
                found.reach(at, *reach);
            }
        }
        // The JSON parser allows 128 levels, so this ends.
        nested(entry, BTreeMap::new(), found);
    }
}

/// `1.0.0` of `https://host/name-1.0.0.tgz`; empty if it cannot be seen.
fn version_of_file<'a>(name: &str, url: &'a str) -> &'a str {
    let address = url.split(['#', '?']).next().unwrap_or(url);
    let file = address.rsplit('/').next().and_then(|file| file.strip_suffix(".tgz"));
    let bare = name.rsplit('/').next().unwrap_or(name);
    file.and_then(|file| file.strip_prefix(bare)?.strip_prefix('-')).unwrap_or("")
}

fn facts(at: usize, entry: &Value, installed: &str, found: &mut Found) {
    found.pins[at].dev = flag(entry, "dev") || flag(entry, "devOptional");
    found.pins[at].optional = flag(entry, "optional") || flag(entry, "devOptional");
    found.alias(at, installed);
}

pub(super) fn sri(entry: &Value) -> Vec<String> {
    text(entry, "integrity").split_whitespace().map(str::to_owned).collect()
}

/// The hosts that npm knows: shorthand, name, and what it calls them.
const HOSTED: [(&str, &str); 5] = [
    ("github:", "github.com"),
    ("gitlab:", "gitlab.com"),
    ("bitbucket:", "bitbucket.org"),
    ("gist:", "gist.github.com"),
    ("sourcehut:", "git.sr.ht"),
];

/// Of a repository on a host that npm knows, the address that npm itself asks first, which is by https. It writes
/// them all as `git+ssh://git@host/owner/name.git`, also what is public and was asked for as `github:owner/name`.
pub(super) fn by_https(resolved: &str) -> Cow<'_, str> {
    let bare = resolved.strip_prefix("git+").unwrap_or(resolved);
    let bare = ["ssh://git@", "git://", "git@"].iter().find_map(|start| bare.strip_prefix(start));
    // With a port it is another server.
    let is_port = |path: &str| path.split('/').next().is_some_and(|p| p.bytes().all(|b| b.is_ascii_digit()));
    let found = HOSTED.iter().find_map(|(short, host)| {
        let path = match (resolved.strip_prefix(short), bare.and_then(|bare| bare.strip_prefix(host))) {
            (Some(path), _) => path,
            (None, Some(rest)) => {
                let scp = rest.strip_prefix(':').filter(|path| !is_port(path));
                rest.strip_prefix('/').or(scp)?
            }
            (None, None) => return None,
        };
        Some(format!("git+https://{host}/{path}"))
    });
    found.map_or(Cow::Borrowed(resolved), Cow::Owned)
}

/// What is known of an entry besides its address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// It was asked for by this very address, so it is no registry's, whatever the address looks like.
    ByAddress,
    /// By a range or a tag, as far as it is known.
    ByRange,
    /// By a range, and the lockfile has a hash: then it is from a registry, whatever its addresses look like.
    Hashed,
}

/// What `resolved` says; nothing said is the default registry.
pub(super) fn origin(name: &str, resolved: &str, asked: Asked) -> Option<Origin> {
    if resolved.is_empty() {
        return Some(Origin::Registry { index: None });
    }
    if resolved.starts_with("git") || resolved.contains(".git#") || is_repository(resolved) {
        return grammar::git_with_fragment(resolved);
    }
    let url = grammar::location(resolved)?;
    if let Some(commit) = archive_of_commit(resolved) {
        return Some(commit);
    }
    // Most registries serve `<index>/<name>/-/<file>.tgz`; what is deeper is a forge's archive.
    let address = resolved.split(['#', '?']).next().unwrap_or(resolved);
    let index = address.rsplit_once("/-/").and_then(|(before, file)| {
        let escaped = name.replace('/', "%2f");
        let spellings = [name, escaped.as_str(), &escaped.replace("%2f", "%2F")];
        let index = spellings.iter().find_map(|name| before.strip_suffix(*name));
        index.filter(|_| file.ends_with(".tgz") && !file.contains('/'))
    });
    match index.and_then(grammar::location) {
        _ if asked == Asked::ByAddress => Some(Origin::Archive { url }),
        Some(index) => Some(Origin::Registry { index: Some(index) }),
        None if asked == Asked::Hashed => Some(Origin::Registry { index: None }),
        None => Some(Origin::Archive { url }),
    }
}

/// Whether yarn 1 takes an address for a repository's though nothing else in it says so: by ssh, or an owner and a
/// name on a host that is known. What lies deeper there is an archive, and its fragment the archive's hash.
fn is_repository(resolved: &str) -> bool {
    let Ok(url) = url::Url::parse(resolved) else { return resolved.starts_with("ssh:") };
    let known = HOSTED.iter().any(|(_, host)| url.host_str() == Some(host));
    let parts = url.path().split('/').filter(|part| !part.is_empty()).count();
    url.scheme() == "ssh" || known && parts == 2
}

/// `https://codeload.<host>/<owner>/<repository>/tar.gz/<commit>`, in which yarn and pnpm write a
/// repository on GitHub.
fn archive_of_commit(resolved: &str) -> Option<Origin> {
    let rest = resolved.strip_prefix("https://codeload.")?;
    let mut parts = rest.split('#').next()?.splitn(5, '/');
    let (host, owner, repository) = (parts.next()?, parts.next()?, parts.next()?);
    let commit = (parts.next()? == "tar.gz").then_some(parts.next()?)?;
    grammar::git(&format!("https://{host}/{owner}/{repository}"), commit, None)
}
