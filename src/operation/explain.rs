//! Why something failed, and what to do.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::target::{self, Target, described};
use super::{Context, Failure, daemon_status, mounts, unix_now};
use crate::cache::Snapshot;
use crate::error::{Error, Result};
use crate::project::{Ecosystem, Project};
use crate::view::name::Name;
use crate::view::snapshot::agree;

/// What is known about a path or a key.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// What was asked for.
    pub about: String,
    /// The last failure, if there is one.
    pub failure: Option<Failure>,
    /// How long ago it was, in seconds; none for what the grammar says.
    pub age: Option<u64>,
    /// The cached revision, if it is cached.
    pub revision: Option<String>,
    /// In a sentence, if nothing failed; of a project also what else it pins.
    pub state: Option<String>,
    /// Of a project, what of its lockfiles is not pinned or was not understood.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// What is to be said of the project whose directory, or one of whose directories, `text` names.
fn project(text: &str, context: &Context, mounts: &[mounts::Mounted]) -> Option<Explanation> {
    let relative = target::relative(text, &context.config, mounts).ok()?;
    let name = relative.strip_prefix("projects/")?.split('/').next()?;
    let is_directory = matches!(Name::parse(&relative, &context.config), Ok(Name::Directory));
    let project = context.config.project(name).filter(|_| is_directory)?;
    let explanation = Explanation {
        about: text.to_owned(),
        failure: None,
        age: None,
        revision: None,
        state: None,
        notes: Vec::new(),
    };
    Some(match super::list::pins(std::slice::from_ref(project)).pop()? {
        Err(error) => Explanation { failure: Some(Failure::from(&error)), ..explanation },
        Ok(index) => {
            let Project { notes, broken, .. } = &index.project;
            let mut broken = broken.iter().map(|broken| &broken.error);
            let failure = broken.next().map(Failure::from);
            let notes =
                broken.map(ToString::to_string).chain(notes.iter().map(ToString::to_string)).collect();
            let state = Some(format!("the project {} {}", project.path.display(), pinned(&index.project)));
            Explanation { failure, state, notes, ..explanation }
        }
    })
}

/// How much the lockfiles of a project pin, and which they are.
fn pinned(project: &Project) -> String {
    let mut lockfiles: BTreeSet<&Path> =
        project.pins.iter().flat_map(|pin| &pin.lockfiles).map(PathBuf::as_path).collect();
    lockfiles.extend(project.notes.iter().map(|note| note.lockfile.as_path()));
    // What is noted of it is no pin.
    lockfiles.remove(Path::new(".npmrc"));
    lockfiles.extend(project.locals.iter().map(|local| local.lockfile.as_path()));
    let lockfiles: Vec<String> = lockfiles.iter().map(|file| file.display().to_string()).collect();
    let count = |ecosystem| project.pins.iter().filter(|pin| pin.ecosystem == ecosystem).count();
    let counts = Ecosystem::ALL.into_iter().map(|ecosystem| (count(ecosystem), ecosystem.kind()));
    let counts: Vec<String> =
        counts.filter(|(count, _)| *count > 0).map(|(count, kind)| format!("{count} of {kind}")).collect();
    match (counts.is_empty(), lockfiles.is_empty()) {
        (true, true) => "pins nothing: it has no lockfile that can be read".to_owned(),
        (true, false) => format!("pins nothing: {} name no version", lockfiles.join(", ")),
        _ => format!("pins exact versions, {}, by {}", counts.join(", "), lockfiles.join(", ")),
    }
}

/// Explains `text`: a KEY, or a path in a mount, also one inside a tree. Asks nobody upstream.
pub fn explain(context: &Context, text: &str) -> Result<Explanation> {
    let all = mounts::all()?;
    let about = text.to_owned();
    let (target, rest) = match Target::split(text, &context.config, &all) {
        Ok(found) => found,
        Err(error) => {
            let explanation = Explanation {
                about,
                failure: None,
                age: None,
                revision: None,
                state: None,
                notes: Vec::new(),
            };
            return Ok(project(text, context, &all).unwrap_or_else(|| {
                let relative = target::relative(text, &context.config, &all).ok();
                match relative.map(|relative| Name::parse(&relative, &context.config)) {
                    Some(Ok(Name::Directory)) => {
                        let state = "a directory of the mount: it lists what is configured or cached, and asks nobody";
                        Explanation { state: Some(state.to_owned()), ..explanation }
                    }
                    _ => {
                        let error = match target::where_nothing_is_mounted(context, &all, text) {
                            Some(hint) => error.hint(hint),
                            None => error,
                        };
                        Explanation { failure: Some(Failure::from(&error)), ..explanation }
                    }
                }
            }));
        }
    };
    let daemons = daemon_status::read(&mounts::of_cache(context.cache.id())?);
    let snapshot = context.cache.peek(&target.key, &target.reference);
    let known = described(&target.key, &target.reference);
    // The cache's note goes with the next success. What daemons remember is history, and counts only
    // where the cache could not be written and has nothing to show.
    let noted = context.cache.failure(&target.key, &target.reference);
    let remembered = || {
        let errors = daemons.iter().filter_map(|daemon| daemon.status.as_ref().ok()).flat_map(|s| &s.errors);
        let about =
            errors.filter(|error| error.path == known || error.path == target.text || error.path == text);
        about.max_by_key(|error| error.at).cloned()
    };
    let age = |at: u64| Some(unix_now().saturating_sub(at));
    // What is wrong with what was asked for and not with what is cached.
    let unfit = match &snapshot {
        Ok(Some(snapshot)) => unfit(&target, snapshot),
        _ => None,
    };
    let (failure, age) = match (noted, &snapshot) {
        _ if unfit.is_some() => (unfit.as_ref().map(Failure::from), None),
        (Some(noted), _) => (Some(Failure::from(noted.clone())), age(noted.at)),
        (None, Err(error)) => (Some(Failure::from(error)), None),
        (None, Ok(Some(_))) => (None, None),
        (None, Ok(None)) => match remembered() {
            Some(remembered) => (Some(remembered.failure), age(remembered.at)),
            None => (None, None),
        },
    };
    let failure = failure.map(|failure| target.told(failure, &context.config));
    let snapshot = snapshot.ok().flatten();
    let state = match (&failure, &snapshot) {
        (Some(_), _) => None,
        (None, Some(snapshot)) => Some(inside(&target, snapshot, &rest)),
        (None, None) => Some("it is not cached yet; nothing failed so far".to_owned()),
    };
    Ok(Explanation {
        about,
        failure,
        age,
        revision: snapshot.map(|snapshot| snapshot.revision().to_string()),
        state,
        notes: Vec::new(),
    })
}

/// Why a cached tree is not shown under this name, if it is not: a subpath is not in it, or a lockfile pins another
/// hash.
fn unfit(target: &Target, snapshot: &Snapshot) -> Option<Error> {
    let subpath = (!target.subpaths.is_empty()).then(|| snapshot.table().narrowed(&target.subpaths).err());
    subpath.flatten().or_else(|| agree(&target.hashes, snapshot.about()).err())
}

/// What is to be said of `rest` in a cached tree.
fn inside(target: &Target, snapshot: &Snapshot, rest: &str) -> String {
    if rest.is_empty() {
        return "it is cached, and nothing failed".to_owned();
    }
    if snapshot.table().find(rest).is_none() {
        return format!("{rest} does not exist in this revision");
    }
    let below = |long: &str, short: &str| long == short || long.starts_with(&format!("{short}/"));
    let visible = |subpath: &String| below(rest, subpath) || below(subpath, rest);
    match target.subpaths.is_empty() || target.subpaths.iter().any(visible) {
        true => format!("{rest} exists in this revision, and nothing failed"),
        false => {
            let shown = target.subpaths.join(", ");
            format!("{rest} exists in this revision, but {} shows only {shown}", target.text)
        }
    }
}
