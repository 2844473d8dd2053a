//! What may be a package's name, version, commit or url: each lockfile is somebody else's text.
//!
//! A name that passes contains no separator but the one of an npm scope, no leading dot, no control
//! character; a version is one of its ecosystem's. Pure; fails by answering `None`.

use super::pin::{Ecosystem, Location, Origin};
use std::str::FromStr;

/// `name` as its registry spells it, or `None` if it cannot be a name there.
pub(super) fn name(ecosystem: Ecosystem, name: &str) -> Option<String> {
    match ecosystem {
        Ecosystem::Npm => npm(name).then(|| name.to_owned()),
        Ecosystem::Crates => {
            let first = name.bytes().next()?.is_ascii_alphabetic();
            let rest = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
            (first && rest && name.len() <= 64).then(|| name.to_owned())
        }
        Ecosystem::Pypi => pypi(name),
    }
}

/// `name` folded so that every spelling that the registry takes for the same is the same.
pub(super) fn folded(ecosystem: Ecosystem, name: &str) -> String {
    match ecosystem {
        Ecosystem::Npm => name.to_owned(),
        Ecosystem::Crates => name.to_ascii_lowercase().replace('_', "-"),
        Ecosystem::Pypi => pypi(name).unwrap_or_else(|| name.to_owned()),
    }
}

fn npm(name: &str) -> bool {
    // Old packages have capitals and `!'()*~`, which new ones may not.
    let part = |part: &str, forbidden: &[char]| {
        !part.is_empty()
            && !part.starts_with(forbidden)
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.~!'()*".contains(&b))
    };
    let lower = name.to_ascii_lowercase();
    if name.len() > 214 || lower == "node_modules" || lower == "favicon.ico" {
        return false;
    }
    match name.strip_prefix('@') {
        // With a scope in front, only a dot is forbidden there.
        Some(scoped) => {
            scoped.split_once('/').is_some_and(|(scope, name)| part(scope, &['.']) && part(name, &['.']))
        }
        None => part(name, &['.', '_', '-']),
    }
}

fn pypi(name: &str) -> Option<String> {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    let bytes = name.as_bytes();
    let ends = bytes.first()?.is_ascii_alphanumeric() && bytes.last()?.is_ascii_alphanumeric();
    if !ends || name.len() > 200 || !name.bytes().all(inner) {
        return None;
    }
    let lower = name.to_ascii_lowercase();
    let runs = lower.split(['-', '_', '.']).filter(|run| !run.is_empty());
    Some(runs.collect::<Vec<_>>().join("-"))
}

/// `version` in its ecosystem's own spelling.
pub(super) fn version(ecosystem: Ecosystem, version: &str) -> Option<String> {
    if version.len() > 256 {
        return None;
    }
    match ecosystem {
        Ecosystem::Npm | Ecosystem::Crates => {
            cargo_lock::Version::from_str(version).ok().map(|_| version.to_owned())
        }
        Ecosystem::Pypi => pep440_rs::Version::from_str(version).ok().map(|v| v.to_string()),
    }
}

/// A whole commit id, in lower case.
pub(super) fn commit(id: &str) -> Option<String> {
    let whole = matches!(id.len(), 40 | 64) && id.bytes().all(|b| b.is_ascii_hexdigit());
    whole.then(|| id.to_ascii_lowercase())
}

/// A url that something may be fetched from.
pub(super) fn location(text: &str) -> Option<Location> {
    let url = url::Url::parse(text).ok()?;
    let known = matches!(url.scheme(), "https" | "http" | "ssh" | "git");
    let clean = !text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\');
    // A host that begins with a hyphen would be an option to ssh.
    let host = url.host_str().is_some_and(|host| !host.is_empty() && !host.starts_with('-'));
    (known && clean && host && text.len() <= 4096).then(|| Location::new(text))
}

/// A directory inside a repository, or `None` if it would leave it.
pub(super) fn subdirectory(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let inside = parts.iter().all(|part| {
        *part != ".."
            && !part.eq_ignore_ascii_case(".git")
            && !part.chars().any(|c| c.is_control() || c == '\\')
    });
    inside.then(|| parts.join("/"))
}

/// A repository at a commit; nothing if the id is not whole or the url is none.
pub(super) fn git(url: &str, id: &str, directory: Option<&str>) -> Option<Origin> {
    let url = url.strip_prefix("git+").unwrap_or(url);
    // scp's form, `git@host:owner/repo`, and a hosted shorthand are what npm writes at times.
    let scp = (!url.contains("://")).then(|| url.split_once(':')).flatten();
    let url = match scp {
        Some((host, path)) if host.contains('@') => format!("ssh://{host}/{path}"),
        _ => without_colon(url).unwrap_or_else(|| url.to_owned()),
    };
    let (url, commit) = (location(&url)?, commit(id)?);
    below(Origin::Git { url, commit, subdirectory: None }, directory)
}

/// `ssh://git@host:owner/repo`, which npm and yarn write where scp's form was asked for, as the url that is meant;
/// nothing if it is one already, maybe with a port.
fn without_colon(url: &str) -> Option<String> {
    let rest = url.strip_prefix("ssh://")?;
    let (authority, below) = rest.split_once('/').unwrap_or((rest, ""));
    let host = authority.rfind('@').map_or(0, |at| at + 1);
    let (name, path) = authority[host..].split_once(':').filter(|_| !authority[host..].starts_with('['))?;
    let is_port = path.bytes().all(|b| b.is_ascii_digit());
    (!is_port).then(|| format!("ssh://{}{name}/{path}/{below}", &authority[..host]))
}

/// What is in `directory` of `origin`, if that is a repository; nothing if it would leave it.
pub(super) fn below(mut origin: Origin, directory: Option<&str>) -> Option<Origin> {
    if let (Origin::Git { subdirectory: below, .. }, Some(directory)) = (&mut origin, directory) {
        *below = Some(subdirectory(directory)?).filter(|below| !below.is_empty());
    }
    Some(origin)
}

/// `url#commit`, `url#commit=id&workspace=x`, `url?rev=r&subdirectory=d#commit`: what the lockfiles
/// make of a repository.
pub(super) fn git_with_fragment(text: &str) -> Option<Origin> {
    let (address, fragment) = text.split_once('#')?;
    let (url, query) = address.split_once('?').unwrap_or((address, ""));
    let mut id = fragment.split('&').next().unwrap_or(fragment);
    let mut below = None;
    for (key, value) in query.split('&').chain(fragment.split('&')).filter_map(|pair| pair.split_once('=')) {
        match key {
            "commit" => id = value,
            "subdirectory" => below = Some(value.replace("%2F", "/").replace("%2f", "/")),
            _ => {}
        }
    }
    git(url, id, below.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_npm_calls_a_name_is_one_with_a_scope_and_without() {
        for good in ["lib", "JSONStream", "@a/b", "@-xun/debug", "@_sh/x", "@s/_x", "@s/-x"] {
            assert_eq!(name(Ecosystem::Npm, good).as_deref(), Some(good));
        }
        for bad in
            ["", ".x", "_x", "-x", "@a", "@/x", "@a/", "@../x", "@a/..", "@a/b/c", "a b", "node_modules"]
        {
            assert_eq!(name(Ecosystem::Npm, bad), None, "{bad}");
        }
    }
}
