//! What a KEY on the command line means.

use std::path::Path;

use super::mounts::{self, Mounted};
use super::{Context, Failure};
use crate::config::Config;
use crate::error::{Error, Kind, Result};
use crate::key::{Key, Origin, Reference};
use crate::project::Named;
use crate::view::name::{self, Name, pinned};

/// How a KEY looks.
pub(super) const EXAMPLES: &str = "git/github.com/owner/repository, npm/react@18, or a configured name";

/// A KEY, parsed: written as below the mount, or as the path of something in a mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// As it was written, but relative to the mount and without what follows inside the tree.
    pub text: String,
    /// Where it comes from.
    pub key: Key,
    /// What of it.
    pub reference: Reference,
    /// The only paths that are shown; all if empty.
    pub subpaths: Vec<String>,
    /// The index of the named resource, if it is one.
    pub resource: Option<usize>,
    /// The hashes of which the published archive must have one; none is no demand.
    pub hashes: Vec<String>,
    /// The registry that a project has it from, if it is asked of the user's own instead.
    pub elsewhere: Option<Box<Named>>,
}

impl Target {
    /// Parses a KEY that must name a tree; what follows inside the tree is refused.
    pub fn parse(text: &str, config: &Config, mounts: &[Mounted]) -> Result<Target> {
        let (target, rest) = Target::split(text, config, mounts)?;
        if rest.is_empty() {
            return Ok(target);
        }
        Err(Error::new(
            Kind::Invalid,
            format!("read the key {text:?}"),
            format!("{rest:?} lies inside the tree"),
        )
        .hint(format!("write {}", target.text)))
    }

    /// Parses a KEY or a path that may go on inside the tree; answers also what follows.
    pub fn split(text: &str, config: &Config, mounts: &[Mounted]) -> Result<(Target, String)> {
        let relative = relative(text, config, mounts)?;
        let (name, rest) = Name::split(&relative, config)?;
        let (Some(key), Some(reference)) = (name.key(), name.reference()) else {
            return Err(Error::new(
                Kind::Invalid,
                format!("read the key {text:?}"),
                "it is a directory of the mount, not a tree",
            )
            .hint(format!("write it like {EXAMPLES}")));
        };
        let own = relative.trim_end_matches('/');
        let own = own.strip_suffix(rest).unwrap_or(own).trim_end_matches('/').to_owned();
        let resource = match name {
            Name::Resource { index, .. } => Some(index),
            _ => None,
        };
        let target = Target {
            text: own,
            key: key.clone(),
            reference: reference.clone(),
            subpaths: name.subpaths(config).to_vec(),
            resource,
            hashes: name.hashes().to_vec(),
            elsewhere: name.elsewhere().cloned().map(Box::new),
        };
        Ok((target, rest.to_owned()))
    }

    /// The target of a configured resource.
    pub fn of_resource(index: usize, config: &Config) -> Option<Target> {
        let resource = config.resources.get(index)?;
        Some(Target {
            text: resource.name.clone(),
            key: resource.key.clone(),
            reference: resource.reference.clone(),
            subpaths: resource.subpaths.clone(),
            resource: Some(index),
            hashes: Vec::new(),
            elsewhere: None,
        })
    }

    /// The target of something cached: by the name of its path, if a configured host has it.
    pub fn of_cached(key: Key, reference: Reference, config: &Config) -> Target {
        let text = name::path_of(&key, &reference, config).unwrap_or_else(|| described(&key, &reference));
        let (subpaths, hashes) = (Vec::new(), Vec::new());
        Target { text, key, reference, subpaths, resource: None, hashes, elsewhere: None }
    }

    /// `failure` to have it, with where its project has it from if that may be why.
    pub(super) fn told(&self, failure: Failure, config: &Config) -> Failure {
        let is_absent = matches!(failure.kind.as_str(), "not_found" | "not_found_or_private" | "corrupt");
        let elsewhere = self.elsewhere.as_ref().filter(|_| is_absent);
        match elsewhere.and_then(|elsewhere| pinned::advice(elsewhere, config)) {
            Some(advice) => Failure {
                hint: Some(failure.hint.map_or_else(|| advice.clone(), |hint| format!("{hint}; {advice}"))),
                ..failure
            },
            None => failure,
        }
    }
}

/// A key and its reference for reading, where no path leads to them.
pub fn described(key: &Key, reference: &Reference) -> String {
    reference.of(key)
}

/// `text` as it stands below the mount: a path that begins like a path on disk must lie in a mount.
pub(super) fn relative(text: &str, config: &Config, mounts: &[Mounted]) -> Result<String> {
    let on_disk = text.starts_with(['/', '.']);
    if !on_disk {
        return Ok(text.to_owned());
    }
    let failed = |why: &str| {
        Error::new(Kind::Invalid, format!("read the key {text:?}"), why.to_owned())
            .hint(format!("write it as below the mount: {EXAMPLES}"))
    };
    let path = absolute(Path::new(text)).ok_or_else(|| failed("the working directory is not known"))?;
    match mounts::containing(mounts, &path) {
        Some((_, inside)) => inside.to_str().map(str::to_owned).ok_or_else(|| failed("it is not UTF-8")),
        None => match shown_as(&path, config) {
            Some(name) => Err(failed("it is not its name below the mount").hint(format!("write {name}"))),
            None => Err(failed("it lies in no mount of srcfs").hint(format!(
                "write it as below the mount: {EXAMPLES}; a directory gets one by `srcfs add NAME --path {}`",
                path.display()
            ))),
        },
    }
}

/// The path below the mount of the configured directory that `path` is.
fn shown_as<'c>(path: &Path, config: &'c Config) -> Option<&'c str> {
    let is_it = |key: &Key| matches!(key.origin(), Origin::Local(directory) if directory.path() == path);
    config.resources.iter().find(|resource| is_it(&resource.key)).map(|resource| resource.name.as_str())
}

/// What to do about a path on disk that lies where srcfs would be mounted, and nothing is.
pub(super) fn where_nothing_is_mounted(context: &Context, mounts: &[Mounted], path: &str) -> Option<String> {
    let usual = context.environment.mount_point(None).ok()?;
    let path = absolute(Path::new(path)).filter(|path| path.starts_with(&usual))?;
    let is_mounted = mounts::containing(mounts, &path).is_some();
    (!is_mounted).then(|| format!("nothing is mounted on {}: run `srcfs mount`", usual.display()))
}

/// `path` without `.` and `..`, made absolute without touching it: it may lie in a dead mount.
pub(super) fn absolute(path: &Path) -> Option<std::path::PathBuf> {
    let mut clean = std::path::PathBuf::new();
    for component in std::path::absolute(path).ok()?.components() {
        match component {
            std::path::Component::ParentDir => {
                clean.pop();
            }
            other => clean.push(other),
        }
    }
    Some(clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mounts() -> Vec<Mounted> {
        let mounted = |path: &str| Mounted {
            mount_point: path.into(),
            cache: "c".into(),
            user: Some(0),
            target: srcfs_mount::holders::Target {
                mount_id: 1,
                device: srcfs_mount::mountinfo::Device { major: 0, minor: 1 },
            },
        };

        vec![mounted("/mnt/src"), mounted("/mnt/src/git/inner")]
    }

    #[test]
    fn a_path_in_a_mount_is_its_key() {
        let config = Config::default();
        let target = Target::parse("/mnt/src/git/github.com/a/b@v1/", &config, &mounts()).unwrap();
        assert_eq!(target, Target::parse("git/github.com/a/b@v1", &config, &[]).unwrap());
        let (target, rest) =
            Target::split("/mnt/src/x/../git/github.com/a/b/c/d.rs", &config, &mounts()).unwrap();
        assert_eq!((target.text.as_str(), rest.as_str()), ("git/github.com/a/b", "c/d.rs"));
        let error = Target::parse("/mnt/src/git/github.com/a/b/c", &config, &mounts()).unwrap_err();
        assert_eq!(error.advice(), Some("write git/github.com/a/b"));
        for text in ["/elsewhere/git/github.com/a/b", "/mnt/src", "/mnt/src/git", "/mnt/srcs/git", "git", ""]
        {
            assert_eq!(Target::parse(text, &config, &mounts()).unwrap_err().kind(), Kind::Invalid, "{text}");
        }
    }
}
