//! Names: what a path below the mount, or a KEY on the command line, stands for.
//!
//! A name is parsed to typed parts before anything else is done with it; what the grammar refuses
//! never reaches a process, the network or a path on disk. Nothing here does I/O, but where lockfiles say what a
//! name means ([`pinned`]) and were not read yet: whether a well-formed name exists is somebody else's question.
//!
//! | name | is |
//! |---|---|
//! | the empty path, `git`, `git/<host>`, `git/<host>/<owner>` | a directory |
//! | `git/<host>/<owner>/<repository>[@<reference>]` | a repository |
//! | `npm/<package>`, `npm/@<scope>/<package>`, `crates/<crate>`, `pypi/<project>`, each with `[@<version>]` | a package |
//! | `npm`, `npm/@<scope>`, `crates`, `pypi`, `local` | a directory |
//! | on a host whose groups nest: the first segment with `@` or ending in `.git` | a repository |
//! | `projects`, `projects/<name>`, `projects/<name>/<kind>`, `projects/<name>/npm/@<scope>` | a directory |
//! | `projects/<name>/<kind>/<package>[@<version>]` | what that project pins |
//! | a configured name, also with `@<reference>` | a resource |
//! | a part of configured names that ends before a `/` | a directory |
//!
//! Everything else is `ErrorKind::Invalid` (no such name can exist) or `ErrorKind::NotFound` (nobody
//! configured it), with the reason; both are "no such file" in the mount.

use std::path::{Component, Path};

use crate::config::{self, Config};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::key::{Key, Kind, Origin, Package, Reference};
use crate::project::Named;

mod meant;
pub mod pinned;

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// A directory of the name space.
    Directory,
    /// A repository on a configured host, or a package of a registry: what needs no configuration.
    Plain {
        /// The resource.
        key: Key,
        /// What of it.
        reference: Reference,
    },
    /// A package of a project, at the version that its lockfiles pin.
    Pinned {
        /// The resource.
        key: Key,
        /// What of it: exactly that.
        reference: Reference,
        /// The only paths that are shown; all if empty.
        subpaths: Vec<String>,
        /// The hashes that the lockfiles name, any of which the published archive may have; none is no demand.
        hashes: Vec<String>,
        /// The registry that the project has it from, if it is asked of the user's own instead.
        elsewhere: Option<Named>,
    },
    /// A named resource.
    Resource {
        /// Its index in [`Config::resources`].
        index: usize,
        /// What it is.
        key: Key,
        /// The configured reference, or the one after `@`.
        reference: Reference,
    },
}

/// The longest component that is looked at; the kernel's own limit.
const LONGEST_COMPONENT: usize = 255;

impl Name {
    /// Parses a whole name, relative to the mount. Fails if it goes on inside a view.
    pub fn parse(text: &str, config: &Config) -> Result<Name> {
        let (name, rest) = Name::split(text, config)?;
        if rest.is_empty() {
            return Ok(name);
        }
        Err(Error::new(ErrorKind::Invalid, what(text), format!("{rest:?} goes on inside the tree"))
            .hint("give the name of the tree only"))
    }

    /// Parses a path as the kernel gives it: the path of one name, relative to the mount.
    pub fn parse_path(path: &Path, config: &Config) -> Result<Name> {
        let plain = path.components().all(|component| matches!(component, Component::Normal(_)));
        match path.to_str() {
            Some(text) if plain => Name::parse(text, config),
            Some(text) => Err(Error::new(ErrorKind::Invalid, what(text), "it is not a plain relative path")),
            None => Err(Error::new(ErrorKind::Invalid, what(&path.to_string_lossy()), "it is not UTF-8")),
        }
    }

    /// Parses the name at the beginning of `text`, and answers what follows it inside its tree,
    /// without a leading slash. Slashes at the end do not count.
    pub fn split<'t>(text: &'t str, config: &Config) -> Result<(Name, &'t str)> {
        let text = text.trim_end_matches('/');
        if text.is_empty() {
            return Ok((Name::Directory, ""));
        }
        crate::key::refuse_invisible("the name", text)?;
        let (first, _) = next(text);
        if meant::is_url(text) {
            let error = Error::new(ErrorKind::Invalid, what(text), "it is a url");
            return Err(error.hint(match meant::instead(text, config) {
                Some(hint) => hint,
                None => "give it a name with `srcfs add NAME URL`".to_owned(),
            }));
        }
        if let Some(component) = text.split('/').find(|part| part.is_empty() || matches!(*part, "." | "..")) {
            return Err(Error::new(
                ErrorKind::Invalid,
                what(text),
                format!("{component:?} may not be a part of it"),
            )
            .hint("write it as below the mount: git/github.com/owner/repository"));
        }
        if let Some(long) = text.split('/').find(|part| part.len() > LONGEST_COMPONENT) {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!("read a name of {} bytes", long.len()),
                format!("a part of it is longer than {LONGEST_COMPONENT} bytes"),
            ));
        }
        match first {
            "git" => split_git(text, config),
            "local" if first == text => Ok((Name::Directory, "")),
            "npm" => split_package(Kind::Npm, text),
            "crates" => split_package(Kind::Crates, text),
            "pypi" => split_package(Kind::Pypi, text),
            "projects" => pinned::split(text, config),
            _ => split_resource(text, config),
        }
    }

    /// The repository, if it is a view.
    pub fn key(&self) -> Option<&Key> {
        match self {
            Name::Directory => None,
            Name::Plain { key, .. } | Name::Pinned { key, .. } | Name::Resource { key, .. } => Some(key),
        }
    }

    /// The reference, if it is a view.
    pub fn reference(&self) -> Option<&Reference> {
        match self {
            Name::Directory => None,
            Name::Plain { reference, .. }
            | Name::Pinned { reference, .. }
            | Name::Resource { reference, .. } => Some(reference),
        }
    }

    /// The hashes of which the published archive must have one; none is no demand.
    pub fn hashes(&self) -> &[String] {
        match self {
            Name::Pinned { hashes, .. } => hashes,
            _ => &[],
        }
    }

    /// The registry that a project has it from, if it is asked of the user's own instead.
    pub fn elsewhere(&self) -> Option<&Named> {
        match self {
            Name::Pinned { elsewhere, .. } => elsewhere.as_ref(),
            _ => None,
        }
    }

    /// The only paths that the view shows; all if empty.
    pub fn subpaths<'c>(&'c self, config: &'c Config) -> &'c [String] {
        match self {
            Name::Pinned { subpaths, .. } => subpaths,
            Name::Resource { index, .. } => {
                config.resources.get(*index).map_or(&[], |resource| resource.subpaths.as_slice())
            }
            _ => &[],
        }
    }
}

/// The path below the mount of `reference` of `key`: that of a repository if a configured host has it,
/// that of a directory if it is configured.
pub fn path_of(key: &Key, reference: &Reference, config: &Config) -> Option<String> {
    let url = match key.origin() {
        Origin::Git(url) => url,
        Origin::Package(package) => {
            let suffix = match reference {
                Reference::Default => String::new(),
                other => format!("@{}", other.to_path()),
            };
            // What a project has from another registry is seen in its project alone.
            let own = package.registry().is_none();
            return own.then(|| format!("{}/{}{suffix}", package.kind().as_str(), package.name()));
        }
        // Only its name leads to it.
        Origin::Local(_) => return names_of(key, config).first().map(|name| (*name).to_owned()),
    };
    config.hosts.iter().find_map(|host| {
        let path = host.path_of(url)?;
        let suffix = match reference {
            Reference::Default if host.nested => ".git".to_owned(),
            Reference::Default => String::new(),
            other => format!("@{}", other.to_path()),
        };
        Some(format!("git/{}/{path}{suffix}", host.name))
    })
}

/// The names of all resources that are `key`.
pub fn names_of<'c>(key: &Key, config: &'c Config) -> Vec<&'c str> {
    config
        .resources
        .iter()
        .filter(|resource| resource.key == *key)
        .map(|resource| resource.name.as_str())
        .collect()
}

/// `<kind>/<package>[@<version>]`; for npm also `npm/@<scope>/<package>[@<version>]`.
fn split_package(kind: Kind, text: &str) -> Result<(Name, &str)> {
    let (_, mut rest) = next(text);
    let mut scope = "";
    if kind == Kind::Npm && rest.starts_with('@') {
        (scope, rest) = next(rest);
        Package::new(kind, &format!("{scope}/x")).map_err(|error| error.during(what(text)))?;
    }
    if rest.is_empty() {
        return Ok((Name::Directory, ""));
    }
    let (segment, rest) = next(rest);
    let (bare, reference) = match segment.split_once('@') {
        Some((bare, reference)) => (bare, Some(reference)),
        None => (segment, None),
    };
    let name = if scope.is_empty() { bare.to_owned() } else { format!("{scope}/{bare}") };
    let package = Package::new(kind, &name).map_err(|error| {
        let error = error.during(what(text));
        match as_a_reference(kind, &name) {
            Some(hint) => error.hint(hint),
            None => error,
        }
    })?;
    // `package.json` is a package of npm that people use.
    let is_one = kind == Kind::Npm && scope.is_empty() && bare == "package.json";
    if reference.is_none() && config::is_probed(bare) && !is_one {
        let why = "programs look for this name in every directory, so no registry is asked for it";
        return Err(Error::new(ErrorKind::Invalid, what(text), why)
            .hint("a package that is called so can be had by its version: write @ and a range after it"));
    }
    let key = Key::package(package);
    let reference = match reference {
        Some(reference) => key.reference_in_path(reference)?,
        None => Reference::Default,
    };
    Ok((Name::Plain { key, reference }, rest))
}

/// What somebody means who writes a package as a requirement: `requests==2.31`, `requests[socks]`.
fn as_a_reference(kind: Kind, name: &str) -> Option<String> {
    let (bare, rest) = name.split_at(name.find(['=', '<', '>', '~', '!', '^', '[', ' '])?);
    Package::new(kind, bare).ok()?;
    let kind = kind.as_str();
    match rest.trim_start_matches(['=', ' ']) {
        "" => None,
        rest if rest.starts_with('[') => {
            Some(format!("write {kind}/{bare}: extras have no source of their own"))
        }
        rest => Some(format!("write '{kind}/{bare}@{}'", rest.replace('/', "%2F"))),
    }
}

fn split_git<'t>(text: &'t str, config: &Config) -> Result<(Name, &'t str)> {
    let mut rest = text.strip_prefix("git").unwrap_or(text).trim_start_matches('/');
    if rest.is_empty() {
        return Ok((Name::Directory, ""));
    }
    let (host_name, after) = next(rest);
    rest = after;
    let Some(host) = config.host(host_name) else {
        let error =
            Error::new(ErrorKind::NotFound, what(text), format!("{host_name:?} is not a configured host"));
        let known = config.host(&host_name.to_ascii_lowercase());
        return Err(error.hint(match known {
            Some(host) => format!("write {}", host.name),
            None => format!("add a [[host]] with name = {host_name:?} to the configuration to allow it"),
        }));
    };
    let mut segments: Vec<&str> = Vec::new();
    while !rest.is_empty() {
        let (segment, after) = next(rest);
        rest = after;
        let (bare, reference) = match segment.split_once('@') {
            Some((bare, reference)) => (bare, Some(reference)),
            None => (segment, None),
        };
        let index = segments.len();
        let ends = match reference {
            Some(_) => true,
            None if host.nested => bare.ends_with(".git"),
            None => index == 1,
        };
        let bare = match bare.strip_suffix(".git") {
            Some(stem) if ends && host.nested && reference.is_none() => stem,
            _ => bare,
        };
        segments.push(bare);
        if !ends {
            config::check_host_segment(bare, index, false).map_err(|error| error.during(what(text)))?;
            continue;
        }
        let url = host.repository(&segments)?;
        let reference = match reference {
            Some(reference) => Reference::parse_path(reference)?,
            None => Reference::Default,
        };
        return Ok((Name::Plain { key: Key::git(url), reference }, rest));
    }
    if segments.len() > config::DEEPEST_GROUP {
        return Err(Error::new(ErrorKind::Invalid, what(text), "no forge nests groups so deep"));
    }
    Ok((Name::Directory, ""))
}

fn split_resource<'t>(text: &'t str, config: &Config) -> Result<(Name, &'t str)> {
    let mut end = 0;
    loop {
        // `end` is the beginning of a component, `stop` its end.
        let stop = text[end..].find('/').map_or(text.len(), |at| end + at);
        let (bare, reference) = match text[end..stop].split_once('@') {
            Some((bare, reference)) => (bare, Some(reference)),
            None => (&text[end..stop], None),
        };
        config::check_name_segment(bare).map_err(|why| {
            let error = Error::new(ErrorKind::Invalid, what(text), why);
            match meant::instead(text, config) {
                Some(hint) => error.hint(hint),
                None => error,
            }
        })?;
        let name = &text[..end + bare.len()];
        if let Some((index, resource)) = config.resource(name) {
            let reference = match reference {
                Some(reference) => resource.key.reference_in_path(reference)?,
                None => resource.reference.clone(),
            };
            let rest = text[stop..].trim_start_matches('/');
            return Ok((Name::Resource { index, key: resource.key.clone(), reference }, rest));
        }
        let directory = format!("{name}/");
        let inside = config.resources.iter().any(|resource| resource.name.starts_with(&directory));
        if !inside || reference.is_some() {
            return Err(unknown(text, name, config));
        }
        if stop == text.len() {
            return Ok((Name::Directory, ""));
        }
        end = stop + 1;
    }
}

/// What to do about a name that nobody knows.
const KNOWN: &str = "see `srcfs list` for the configured names, or add it with `srcfs add NAME URL`";

fn unknown(text: &str, name: &str, config: &Config) -> Error {
    let error = Error::new(ErrorKind::NotFound, what(text), format!("no resource is called {name:?}"));
    let names: Vec<&str> = config.resources.iter().map(|resource| resource.name.as_str()).collect();
    let first = name.split('/').next().unwrap_or(name);
    let directory = format!("{}/", Kind::Local.as_str());
    let mut locals = names.iter().filter_map(|name| name.strip_prefix(&directory));
    // A directory has no references, so what follows @ was not meant.
    let meant = locals.find_map(|local| {
        let rest = text.strip_prefix(local)?;
        (rest.is_empty() || rest.starts_with(['/', '@'])).then_some((local, rest))
    });
    if let Some((local, rest)) = meant {
        let rest = if rest.starts_with('@') { "" } else { rest };
        return error.hint(format!("write {directory}{local}{rest}"));
    }
    if config.project(first).is_some() {
        return error.hint(format!(
            "what the project {first} pins is below projects/{first}; `srcfs get --project {first}` fetches it"
        ));
    }
    match config::nearest(text, &names) {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None if config.host(first).is_some() => error.hint(format!("write git/{text}")),
        None if first == Kind::Local.as_str() => error.hint(
            "see `srcfs list` for the configured directories, or add one with `srcfs add NAME --path DIR`",
        ),
        None => error.hint(match meant::packages(name) {
            Some(packages) => format!("{KNOWN}; a package is {packages}"),
            None => KNOWN.to_owned(),
        }),
    }
}

/// The first component, and what follows its slash.
fn next(text: &str) -> (&str, &str) {
    text.split_once('/').unwrap_or((text, ""))
}

fn what(text: &str) -> String {
    // A name may be 4096 bytes of rubbish; a sentence about it need not be.
    let short: String = text.chars().take(120).collect();
    let dots = if short.len() < text.len() { "..." } else { "" };
    format!("read the name {short:?}{dots}")
}

#[cfg(test)]
mod tests;
