//! Where a KEY stands below the mount, also if it is written as the path of something in a mount.
//!
//! A KEY means the same in every directory; what is none may be a path from the working directory on.
//! Whether a path lies in a mount is told by mountinfo and its text alone, because a mount may hang. Only if
//! that finds no mount are its links followed, up to where they come into one, by a child with a bound.

use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use super::super::Context;
use super::super::mounts::{self, Mounted};
use super::super::probe::{self, Answer, Ask};
use super::EXAMPLES;
use crate::config::Config;
use crate::error::{Error, Kind, Result};
use crate::key::Origin;
use crate::view::{self, name::Name};

/// Where a KEY stands.
#[derive(Clone, Debug)]
pub(in super::super) struct Place<'m> {
    /// Below the mount.
    pub inside: String,
    /// The mount, if the KEY was written as a path in one.
    pub mounted: Option<&'m Mounted>,
}

/// Whether links are followed, which takes a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Links {
    /// They are.
    Followed,
    /// Only those that the working directory was come to by.
    Left,
}

impl<'m> Place<'m> {
    /// Of `text`. One that begins like a path on disk must lie in a mount.
    pub fn of(text: &str, config: &Config, mounts: &'m [Mounted]) -> Result<Place<'m>> {
        Place::with(Links::Followed, text, config, mounts)
    }

    /// The same with links followed or not.
    pub(super) fn with(
        links: Links,
        text: &str,
        config: &Config,
        mounts: &'m [Mounted],
    ) -> Result<Place<'m>> {
        let is_path = begins_like_a_path(text);
        let key = || Place { inside: text.to_owned(), mounted: None };
        if !is_path && Name::split(text, config).is_ok() {
            return Ok(key());
        }
        let failed = |why: &str| {
            Error::new(Kind::Invalid, format!("read the key {text:?}"), why.to_owned())
                .hint(format!("write it as below the mount: {EXAMPLES}"))
        };
        if let Some((mounted, inside)) = on_disk(links, text, mounts) {
            let inside = inside.into_os_string().into_string().map_err(|_| failed("it is not UTF-8"))?;
            return Ok(Place { inside, mounted: Some(mounted) });
        }
        if !is_path {
            // Whoever reads it says what is wrong with it.
            return Ok(key());
        }
        let path = absolute(Path::new(text)).ok_or_else(|| failed("the working directory is not known"))?;
        Err(match shown_as(&path, config) {
            Some(name) => failed("it is not its name below the mount").hint(format!("write {name}")),
            None => failed("it lies in no mount of srcfs").hint(format!(
                "write it as below the mount: {EXAMPLES}; a directory gets one by `srcfs add NAME --path {}`",
                path.display()
            )),
        })
    }

    /// Whether it is one of the files in which the mount tells about itself.
    pub fn is_of_the_mount(&self) -> bool {
        let own = self.inside == view::OWN
            || view::status::FILES.iter().any(|file| self.inside == format!("{}/{file}", view::OWN));
        self.mounted.is_some() && (own || self.inside == view::README)
    }

    /// Of `text` as a path from the working directory on, if that is in a tree which has it. In a tree people
    /// write `crates/core/lib.rs` and mean no package. Nobody upstream is asked: the tree is shown already.
    pub fn in_this_tree(text: &str, config: &Config, mounts: &'m [Mounted]) -> Option<Place<'m>> {
        let is_plain = !begins_like_a_path(text) && !text.split('/').any(|part| matches!(part, "" | ".."));
        if !is_plain || !is_in_a_tree(config, mounts) {
            return None;
        }
        // From that very directory: no name may lead to it any more.
        let answers = probe::ask(Ask::LookUp, &[PathBuf::from(text)]);
        let (mounted, inside) =
            matches!(answers[..], [Answer::Found(_)]).then(|| on_disk(Links::Left, text, mounts))??;
        Some(Place { inside: inside.into_os_string().into_string().ok()?, mounted: Some(mounted) })
    }
}

/// Whether `text` is a path on disk and no KEY.
pub(in super::super) fn is_on_disk(text: &str, config: &Config, mounts: &[Mounted]) -> bool {
    begins_like_a_path(text)
        || (Name::split(text, config).is_err() && on_disk(Links::Followed, text, mounts).is_some())
}

/// Whether the working directory is in a tree, by its text alone.
pub(super) fn is_in_a_tree(config: &Config, mounts: &[Mounted]) -> bool {
    let Ok(here) = std::env::current_dir() else { return false };
    let inside = mounts::containing(mounts, &here).and_then(|(_, inside)| inside.to_str());
    inside.and_then(|inside| Name::split(inside, config).ok()).is_some_and(|(name, _)| name.key().is_some())
}

/// Whether nobody can mean a KEY by it.
pub(super) fn begins_like_a_path(text: &str) -> bool {
    text.starts_with(['/', '.'])
}

/// The mount that the path `text` leads into, if it does.
pub(in super::super) fn mount_of<'m>(text: &str, mounts: &'m [Mounted]) -> Option<&'m Mounted> {
    on_disk(Links::Followed, text, mounts).map(|(mounted, _)| mounted)
}

/// The mount that the path `text` lies in, and what it is called below that.
fn on_disk<'m>(links: Links, text: &str, mounts: &'m [Mounted]) -> Option<(&'m Mounted, PathBuf)> {
    let contained = |path: &Path| {
        let (mounted, inside) = mounts::containing(mounts, path)?;
        Some((mounted, inside.to_owned()))
    };
    let path = Path::new(text);
    contained(&absolute(path)?).or_else(|| {
        if links == Links::Left || mounts.is_empty() {
            return None;
        }
        match probe::ask(Ask::Follow, &[std::path::absolute(path).ok()?]).pop()? {
            Answer::Found(path) => contained(Path::new(&std::ffi::OsString::from_vec(path))),
            _ => None,
        }
    })
}

/// Where `path` is below the mount, if it is a configured directory or lies in one.
pub(in super::super) fn shown_as(path: &Path, config: &Config) -> Option<String> {
    config.resources.iter().find_map(|resource| {
        let Origin::Local(directory) = resource.key.origin() else { return None };
        let inside = path.strip_prefix(directory.path()).ok()?.to_str()?;
        let slash = if inside.is_empty() { "" } else { "/" };
        Some(format!("{}{slash}{inside}", resource.name))
    })
}

/// What to do about a path on disk that lies where srcfs would be mounted, and nothing is.
fn where_nothing_is_mounted(context: &Context, mounts: &[Mounted], path: &str) -> Option<String> {
    let usual = context.environment.mount_point(None).ok()?;
    absolute(Path::new(path)).filter(|path| path.starts_with(&usual))?;
    let is_mounted = mount_of(path, mounts).is_some();
    (!is_mounted).then(|| format!("nothing is mounted on {}: run `srcfs mount`", usual.display()))
}

/// `error` of reading `text`, with what to do if that is a path where srcfs would be mounted, and nothing is.
pub(in super::super) fn hinted(error: Error, context: &Context, mounts: &[Mounted], text: &str) -> Error {
    match where_nothing_is_mounted(context, mounts, text) {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// `path` without `.` and `..`, made absolute without touching it: it may lie in a dead mount.
pub(in super::super) fn absolute(path: &Path) -> Option<PathBuf> {
    let mut clean = PathBuf::new();
    for component in std::path::absolute(path).ok()?.components() {
        match component {
            Component::ParentDir => {
                clean.pop();
            }
            other => clean.push(other),
        }
    }
    Some(clean)
}
