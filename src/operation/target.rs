//! What a KEY on the command line means.

use super::mounts::Mounted;
use super::{Context, Failure, daemon_status};
use crate::config::Config;
use crate::error::{Error, Kind, Result};
use crate::key::{Key, Reference};
use crate::project::Named;
use crate::view::name::{self, Name, pinned};
use place::Links;

mod place;

pub(super) use place::{Place, absolute, hinted, is_on_disk, mount_of, shown_as};

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
        Target::parse_with(Links::Followed, text, config, mounts).map(|(target, _)| target)
    }

    /// The same for what changes or asks the cache of `context`: a path in a mount of another one is refused, because
    /// what is done would not be seen there.
    pub fn parse_for(context: &Context, text: &str, mounts: &[Mounted]) -> Result<Target> {
        let (target, mounted) = Target::parse_with(Links::Followed, text, &context.config, mounts)
            .map_err(|error| hinted(error, context, mounts, text))?;
        let Some(other) = mounted.filter(|mounted| mounted.cache != context.cache.id()) else {
            return Ok(target);
        };
        let status =
            daemon_status::read(std::slice::from_ref(other)).pop().and_then(|daemon| daemon.status.ok());
        let directory = status.map_or_else(|| "DIR".to_owned(), |status| status.cache);
        let why = format!("{} is a mount of another cache", other.mount_point.display());
        Err(Error::new(Kind::Config, format!("read the key {text:?}"), why)
            .hint(format!("give --cache-dir {directory} to mean that, or write {}", target.text)))
    }

    /// The same of one of very many, for which no process is started: no link that leads to a mount is followed.
    pub fn parse_listed(text: &str, config: &Config, mounts: &[Mounted]) -> Result<Target> {
        Target::parse_with(Links::Left, text, config, mounts).map(|(target, _)| target)
    }

    fn parse_with<'m>(
        links: Links,
        text: &str,
        config: &Config,
        mounts: &'m [Mounted],
    ) -> Result<(Target, Option<&'m Mounted>)> {
        let place = Place::with(links, text, config, mounts)?;
        let (target, rest) = Target::at(&place.inside, text, config)?;
        if rest.is_empty() {
            return Ok((target, place.mounted));
        }
        if !place::begins_like_a_path(text) && place::is_in_a_tree(config, mounts) {
            // There every word might be a path, and a tree was asked for.
            Name::split(text, config)?;
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
        Target::at(&Place::of(text, config, mounts)?.inside, text, config)
    }

    /// What stands at `inside` below the mount, as was asked for by `text`.
    pub(super) fn at(inside: &str, text: &str, config: &Config) -> Result<(Target, String)> {
        let (name, rest) = Name::split(inside, config)?;
        let (Some(key), Some(reference)) = (name.key(), name.reference()) else {
            let read = format!("read the key {text:?}");
            let error = Error::new(Kind::Invalid, read, "it is a directory of the mount, not a tree");
            let directory = inside.trim_end_matches('/');
            let project = directory.strip_prefix("projects/").and_then(|rest| rest.split('/').next());
            return Err(error.hint(match project {
                Some(project) => {
                    format!(
                        "write what is below {directory}, or `srcfs get --project {project}` for all it pins"
                    )
                }
                None => format!("write it like {EXAMPLES}"),
            }));
        };
        let own = inside.trim_end_matches('/');
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
        let web = Config::parse("[[project]]\nname = \"web\"\npath = \"/web\"\n").unwrap();
        for text in ["projects/web", "/mnt/src/projects/web/"] {
            let error = Target::parse(text, &web, &mounts()).unwrap_err();
            let hint = "write what is below projects/web, or `srcfs get --project web` for all it pins";
            assert_eq!(error.advice(), Some(hint), "{text}");
        }
        for text in ["/elsewhere/git/github.com/a/b", "/mnt/src", "/mnt/src/git", "/mnt/srcs/git", "git", ""]
        {
            assert_eq!(Target::parse(text, &config, &mounts()).unwrap_err().kind(), Kind::Invalid, "{text}");
        }
    }
}
